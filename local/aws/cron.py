"""When AWS's schedules are due: ``rate(5 minutes)`` and ``cron(0 8 ? * MON-FRI *)``."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Protocol

_RATE = re.compile(r"rate\(\s*([1-9]\d*)\s+(minute|hour|day)(s?)\s*\)")
_CRON = re.compile(r"cron\((.*)\)")

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_SATURDAY = 7


class Expression(Protocol):
    """A schedule's expression."""

    def after(self, moment: datetime) -> datetime | None:
        """The first time it is due after that moment, which has a time zone; None when there is no such time."""


@dataclass(frozen=True)
class Rate:
    """Every so often, counted from when the schedule came to be."""

    every: timedelta

    def after(self, moment: datetime) -> datetime:
        """One period later."""
        return moment + self.every


@dataclass(frozen=True)
class Cron:
    """At all minutes that fit six fields. ``days`` are those of one month, in order."""

    minutes: Sequence[int]
    hours: Sequence[int]
    days: Callable[[int, int], Iterator[int]]
    months: Sequence[int]
    years: Sequence[int]
    zone: tzinfo = UTC

    def after(self, moment: datetime) -> datetime | None:
        """The first minute that fits and begins after that moment."""
        here = moment.astimezone(self.zone)
        for day in self._days_from(here.date()):
            for hour in self.hours:
                for minute in self.minutes:
                    due = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
                    if due.astimezone(UTC) > moment and _exists(due):
                        return due
        return None

    def _days_from(self, first: date) -> Iterator[date]:
        for year in self.years:
            for month in self.months if year >= first.year else ():
                if (year, month) >= (first.year, first.month):
                    days = (date(year, month, day) for day in self.days(year, month))
                    yield from (day for day in days if day >= first)


def _exists(local: datetime) -> bool:
    """Not while clocks are put forward."""
    return local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None)


def parse(expression: str, zone: tzinfo = UTC) -> Expression:
    """An expression as it stands in a template; ``zone`` is for ``cron``. ``ValueError`` says what is wrong with it."""
    if rate := _RATE.fullmatch(expression.strip()):
        count, unit, plural = int(rate[1]), rate[2], rate[3]
        if (count > 1) is not bool(plural):
            raise ValueError(f"{expression!r}: {count} goes with {unit if count == 1 else unit + 's'}")
        return Rate(timedelta(**{f"{unit}s": count}))
    if cron := _CRON.fullmatch(expression.strip()):
        try:
            return _cron(cron[1].upper().split(), zone)
        except ValueError as error:
            raise ValueError(f"{expression!r}: {error}") from error
    raise ValueError(f"{expression!r} is neither rate(VALUE UNIT) nor cron(FIELDS)")


def _cron(fields: list[str], zone: tzinfo) -> Cron:
    if len(fields) != 6:
        raise ValueError(f"cron takes six fields, not {len(fields)}: minutes hours day-of-month month day-of-week year")
    minutes, hours, of_month, months, of_week, years = fields
    if (of_month == "?") is (of_week == "?"):
        raise ValueError("one of day-of-month and day-of-week must be ?, and not both")
    return Cron(
        _numbers("minutes", minutes, 0, 59),
        _numbers("hours", hours, 0, 23),
        _days_of_week(of_week) if of_month == "?" else _days_of_month(of_month),
        _numbers("month", months, 1, 12, _MONTHS),
        _numbers("year", years, 1970, 2199),
        zone,
    )


def _numbers(
    field: str, text: str, lowest: int, highest: int, names: Sequence[str] = (), steps: bool = True
) -> list[int]:
    """Of a list of values, ranges and steps; a range may go past the end and on from the beginning."""
    found: set[int] = set()
    span = highest - lowest + 1
    for part in text.split(","):
        values, slash, step = part.partition("/")
        if slash and not re.fullmatch(r"[1-9]\d*", step):
            raise ValueError(f"{field}: {part!r} has no step that is a number")
        first, dash, last = ("*", "", "") if values == "*" else values.partition("-")
        begin = lowest if first == "*" else _number(field, first, lowest, highest, names)
        open_end = highest if first == "*" or slash else begin
        end = _number(field, last, lowest, highest, names) if dash else open_end
        length = end - begin + 1 if begin <= end else end - begin + 1 + span
        found |= {lowest + (begin - lowest + offset) % span for offset in range(0, length, int(step or 1))}
    return sorted(found)


def _number(field: str, text: str, lowest: int, highest: int, names: Sequence[str]) -> int:
    number = names.index(text) + 1 if text in names else int(text) if text.isdecimal() else -1
    if not lowest <= number <= highest:
        raise ValueError(f"{field}: {text!r} is not from {lowest} to {highest}")
    return number


def _days_of_month(text: str) -> Callable[[int, int], Iterator[int]]:
    """``L`` is the last day, ``L-3`` three days before, ``15W`` the workday nearest to the 15th."""
    if special := re.fullmatch(r"(L|\d+)(?:-(\d+))?(W?)", text):
        anchor, before, workday = special.groups()
        if anchor == "L" or workday:
            back = int(before or 0)
            if (before and (workday or anchor != "L")) or back > 30:
                raise ValueError(f"day-of-month: {text!r} is none of L, L-1 to L-30, LW, 1W to 31W")
            day = None if anchor == "L" else _number("day-of-month", anchor, 1, 31, ())
            return lambda year, month: _one_day(year, month, day, back, bool(workday))
    days = _numbers("day-of-month", text, 1, 31)
    return lambda year, month: (day for day in days if day <= monthrange(year, month)[1])


def _one_day(year: int, month: int, day: int | None, back: int, workday: bool) -> Iterator[int]:
    last = monthrange(year, month)[1]
    wanted = last - back if day is None else day
    if not 1 <= wanted <= last:
        return
    if workday:
        weekday = date(year, month, wanted).isoweekday()
        if weekday == 6:
            wanted += -1 if wanted > 1 else 2
        elif weekday == 7:
            wanted += 1 if wanted < last else -2
    yield wanted


def _days_of_week(text: str) -> Callable[[int, int], Iterator[int]]:
    """``6L`` is the month's last Friday, ``6#2`` its second; ``L`` alone is the last day of a week, Saturday."""
    if special := re.fullmatch(r"(\w+?)(L|#([1-5]))", text):
        weekday = _number("day-of-week", special[1], 1, 7, _WEEKDAYS)
        nth = int(special[3]) if special[3] else None
        return lambda year, month: _nth(year, month, weekday, nth)
    if "/" in text:
        raise ValueError(f"day-of-week: {text!r} has a step, which this field does not take")
    weekdays = [_SATURDAY] if text == "L" else _numbers("day-of-week", text, 1, 7, _WEEKDAYS)
    return lambda year, month: (
        day for day in range(1, monthrange(year, month)[1] + 1) if _weekday(year, month, day) in weekdays
    )


def _nth(year: int, month: int, weekday: int, nth: int | None) -> Iterator[int]:
    """The nth such day; None is the last one."""
    last = monthrange(year, month)[1]
    days = [day for day in range(1, last + 1) if _weekday(year, month, day) == weekday]
    if nth is None:
        yield days[-1]
    elif nth <= len(days):
        yield days[nth - 1]


def _weekday(year: int, month: int, day: int) -> int:
    """As AWS counts: 1 is Sunday."""
    return date(year, month, day).isoweekday() % 7 + 1
