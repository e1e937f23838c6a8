"""AWS on one machine, as far as Outpost meets it: functions, their HTTP front ends, a queue and schedules."""
