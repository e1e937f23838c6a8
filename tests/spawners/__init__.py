"""One suite for every kind of Spawner: start, poll, stop, with Outpost killed in between."""
