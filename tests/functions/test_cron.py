"""AWS's schedule expressions mean what AWS says they mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from local.aws.cron import Cron, Expression, parse

NOW = datetime(2026, 11, 24, 13, 30, 20, tzinfo=UTC)
"""A Tuesday."""


def due(expression: Expression, moment: datetime = NOW) -> list[str]:
    """The next four times."""
    times: list[str] = []
    after: datetime | None = moment
    while len(times) < 4 and after is not None and (after := expression.after(after)):
        times.append(after.strftime("%Y-%m-%d %H:%M"))
    return times


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("rate(1 minute)", ["2026-11-24 13:31", "2026-11-24 13:32", "2026-11-24 13:33", "2026-11-24 13:34"]),
        ("rate(5 hours)", ["2026-11-24 18:30", "2026-11-24 23:30", "2026-11-25 04:30", "2026-11-25 09:30"]),
        ("rate(2 days)", ["2026-11-26 13:30", "2026-11-28 13:30", "2026-11-30 13:30", "2026-12-02 13:30"]),
        ("cron(* * * * ? *)", ["2026-11-24 13:31", "2026-11-24 13:32", "2026-11-24 13:33", "2026-11-24 13:34"]),
        ("cron(0/15 * * * ? *)", ["2026-11-24 13:45", "2026-11-24 14:00", "2026-11-24 14:15", "2026-11-24 14:30"]),
        ("cron(*/20 * * * ? *)", ["2026-11-24 13:40", "2026-11-24 14:00", "2026-11-24 14:20", "2026-11-24 14:40"]),
        ("cron(40 13,14 * * ? *)", ["2026-11-24 13:40", "2026-11-24 14:40", "2026-11-25 13:40", "2026-11-25 14:40"]),
        ("cron(5-10/5 0 * * ? *)", ["2026-11-25 00:05", "2026-11-25 00:10", "2026-11-26 00:05", "2026-11-26 00:10"]),
        ("cron(0 22-1/2 * * ? *)", ["2026-11-24 22:00", "2026-11-25 00:00", "2026-11-25 22:00", "2026-11-26 00:00"]),
        ("cron(0 10 * * ? *)", ["2026-11-25 10:00", "2026-11-26 10:00", "2026-11-27 10:00", "2026-11-28 10:00"]),
        ("cron(0 18 ? * MON-FRI *)", ["2026-11-24 18:00", "2026-11-25 18:00", "2026-11-26 18:00", "2026-11-27 18:00"]),
        ("cron(0 0 ? * sat-sun *)", ["2026-11-28 00:00", "2026-11-29 00:00", "2026-12-05 00:00", "2026-12-06 00:00"]),
        ("cron(0 0 ? * 1 *)", ["2026-11-29 00:00", "2026-12-06 00:00", "2026-12-13 00:00", "2026-12-20 00:00"]),
        ("cron(0 0 ? * L *)", ["2026-11-28 00:00", "2026-12-05 00:00", "2026-12-12 00:00", "2026-12-19 00:00"]),
        ("cron(0 0 ? * 6L *)", ["2026-11-27 00:00", "2026-12-25 00:00", "2027-01-29 00:00", "2027-02-26 00:00"]),
        ("cron(0 0 ? * FRI#2 *)", ["2026-12-11 00:00", "2027-01-08 00:00", "2027-02-12 00:00", "2027-03-12 00:00"]),
        ("cron(0 0 ? * 2#5 *)", ["2026-11-30 00:00", "2027-03-29 00:00", "2027-05-31 00:00", "2027-08-30 00:00"]),
        ("cron(0 0 ? 2 2#5 *)", ["2044-02-29 00:00", "2072-02-29 00:00", "2112-02-29 00:00", "2140-02-29 00:00"]),
        ("cron(0 8 1 * ? *)", ["2026-12-01 08:00", "2027-01-01 08:00", "2027-02-01 08:00", "2027-03-01 08:00"]),
        ("cron(0 8 31 * ? *)", ["2026-12-31 08:00", "2027-01-31 08:00", "2027-03-31 08:00", "2027-05-31 08:00"]),
        ("cron(0 8 L * ? *)", ["2026-11-30 08:00", "2026-12-31 08:00", "2027-01-31 08:00", "2027-02-28 08:00"]),
        ("cron(0 8 L-3 * ? *)", ["2026-11-27 08:00", "2026-12-28 08:00", "2027-01-28 08:00", "2027-02-25 08:00"]),
        ("cron(0 8 LW * ? *)", ["2026-11-30 08:00", "2026-12-31 08:00", "2027-01-29 08:00", "2027-02-26 08:00"]),
        ("cron(0 8 1W * ? *)", ["2026-12-01 08:00", "2027-01-01 08:00", "2027-02-01 08:00", "2027-03-01 08:00"]),
        ("cron(0 8 1W 5,8 ? 2027)", ["2027-05-03 08:00", "2027-08-02 08:00"]),
        ("cron(0 8 15W * ? *)", ["2026-12-15 08:00", "2027-01-15 08:00", "2027-02-15 08:00", "2027-03-15 08:00"]),
        ("cron(0 8 31W 10 ? 2027)", ["2027-10-29 08:00"]),
        ("cron(0 8 29 2 ? *)", ["2028-02-29 08:00", "2032-02-29 08:00", "2036-02-29 08:00", "2040-02-29 08:00"]),
        ("cron(0 0 1 JAN-MAR/2 ? 2027)", ["2027-01-01 00:00", "2027-03-01 00:00"]),
        ("cron(0 0 1 DEC ? 2026-2027)", ["2026-12-01 00:00", "2027-12-01 00:00"]),
        ("cron(0 0 1 nov ? 2026/2)", ["2028-11-01 00:00", "2030-11-01 00:00", "2032-11-01 00:00", "2034-11-01 00:00"]),
        ("cron(0 0 31 2 ? *)", []),
        ("cron(0 0 1 1 ? 2026)", []),
    ],
)  # fmt: skip
def test_an_expression_is_due_when_aws_says_so(expression: str, times: list[str]) -> None:
    assert due(parse(expression)) == times


def test_what_is_due_in_this_very_minute_is_over() -> None:
    on_time = datetime(2026, 11, 24, 13, 30, tzinfo=UTC)
    assert due(parse("cron(30 13 * * ? *)"), on_time)[0] == "2026-11-25 13:30"
    assert due(parse("cron(30 13 * * ? *)"), on_time - timedelta(microseconds=1))[0] == "2026-11-24 13:30"


def test_every_minute_that_an_expression_names_is_found_and_no_other() -> None:
    """GIVEN a busy expression WHEN a year is gone through minute by minute THEN both ways find the same."""
    expression = parse("cron(10/25 3,20-22 L-1 2-12/3 ? 2027)")
    assert isinstance(expression, Cron)
    found = []
    moment: datetime | None = datetime(2026, 12, 31, tzinfo=UTC)
    while moment is not None and (moment := expression.after(moment)):
        found.append(moment)
    every = (datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=minute) for minute in range(365 * 24 * 60))
    fits = [
        each
        for each in every
        if each.minute in (10, 35)
        and each.hour in (3, 20, 21, 22)
        and each.month in (2, 5, 8, 11)
        and (each + timedelta(days=2)).day == 1
    ]
    assert found == fits


def test_a_schedules_time_zone_counts_and_an_hour_that_is_left_out_is_not_due() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    daily = parse("cron(30 2 * * ? *)", berlin)
    due_at = daily.after(datetime(2027, 3, 27, 12, tzinfo=UTC))
    assert due_at is not None
    assert due_at.astimezone(UTC) == datetime(2027, 3, 29, 0, 30, tzinfo=UTC)  # the 28th has no 02:30
    autumn = daily.after(datetime(2027, 10, 30, 12, tzinfo=UTC))
    assert autumn is not None
    assert autumn.astimezone(UTC) == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)  # and not at 01:30 once more
    again = daily.after(autumn)
    assert again is not None
    assert again.astimezone(UTC) == datetime(2027, 11, 1, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("rate(0 minutes)", "neither rate"),
        ("rate(1 minutes)", "1 goes with minute"),
        ("rate(5 minute)", "5 goes with minutes"),
        ("rate(5 seconds)", "neither rate"),
        ("every minute", "neither rate"),
        ("cron(0 10 * * *)", "six fields, not 5"),
        ("cron(0 10 * * * *)", "must be ?"),
        ("cron(0 10 ? * ? *)", "must be ?"),
        ("cron(60 10 * * ? *)", "minutes: '60' is not from 0 to 59"),
        ("cron(0 24 * * ? *)", "hours: '24' is not from 0 to 23"),
        ("cron(0 0 0 * ? *)", "day-of-month: '0' is not from 1 to 31"),
        ("cron(0 0 32W * ? *)", "day-of-month: '32' is not from 1 to 31"),
        ("cron(0 0 L-31 * ? *)", "day-of-month: 'L-31' is none of"),
        ("cron(0 0 L-2W * ? *)", "day-of-month: 'L-2W' is none of"),
        ("cron(0 0 1 13 ? *)", "month: '13' is not from 1 to 12"),
        ("cron(0 0 1 FOO ? *)", "month: 'FOO'"),
        ("cron(0 0 ? * 8 *)", "day-of-week: '8' is not from 1 to 7"),
        ("cron(0 0 ? * 2/2 *)", "day-of-week: '2/2' has a step"),
        ("cron(0 0 ? * 2#6 *)", "day-of-week"),
        ("cron(0 0 ? * 2#1,6#3 *)", "day-of-week"),
        ("cron(0 0 1 1 ? 1969)", "year: '1969' is not from 1970 to 2199"),
        ("cron(0/0 0 * * ? *)", "minutes: '0/0' has no step"),
        ("cron(1- 0 * * ? *)", "minutes: ''"),
    ],
)
def test_what_is_no_expression_is_refused_with_what_is_wrong(expression: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^'(rate|cron|every)") as error:
        parse(expression)
    assert said in str(error.value)
