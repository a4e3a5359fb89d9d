"""NCRONTAB schedules of timer functions: six fields, the first is seconds; UTC.

Numbers, lists, ranges, steps and three-letter names of months and days are understood, and a
`TimeSpan` (`hh:mm:ss`) is refused: it works on App Service plans only. A five-field expression (no
seconds) is accepted, as the host does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_FIELDS = (("second", 0, 59), ("minute", 0, 59), ("hour", 0, 23))
_DATES = (("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


class ScheduleError(ValueError):
    """A text that is no NCRONTAB expression."""


@dataclass(frozen=True)
class Schedule:
    """Times at which a timer function runs."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def after(self, moment: datetime) -> datetime:
        """First time of the schedule later than `moment`.

        Raises:
            ScheduleError: if there is none within ten years (30 February).
        """
        when = moment.replace(microsecond=0) + timedelta(seconds=1)
        end = moment + timedelta(days=3660)
        while when < end:
            if not self._fits_date(when):
                when = (when + timedelta(days=1)).replace(hour=0, minute=0, second=0)
            elif when.hour not in self.hours:
                when = (when + timedelta(hours=1)).replace(minute=0, second=0)
            elif when.minute not in self.minutes:
                when = (when + timedelta(minutes=1)).replace(second=0)
            elif when.second not in self.seconds:
                when += timedelta(seconds=1)
            else:
                return when
        raise ScheduleError("the schedule never comes due")

    def _fits_date(self, when: datetime) -> bool:
        return (
            when.month in self.months
            and when.day in self.days
            and (when.weekday() + 1) % 7 in self.weekdays
        )


def parse(text: str) -> Schedule:
    """Schedule of an expression.

    Raises:
        ScheduleError: if it is not one.
    """
    parts = text.split()
    if len(parts) == 5:
        parts = ["0", *parts]
    if len(parts) != 6:
        raise ScheduleError(f"'{text}' is no NCRONTAB expression of six fields")
    fields = [
        _field(part, low, high, name)
        for part, (name, low, high) in zip(parts, _FIELDS + _DATES, strict=True)
    ]
    return Schedule(*fields)


def _field(text: str, low: int, high: int, name: str) -> frozenset[int]:
    values: set[int] = set()
    for item in text.lower().split(","):
        span, _, step_text = item.partition("/")
        step = _number(step_text, name) if step_text else 1
        if step < 1:
            raise ScheduleError(f"'{text}' is no {name} field")
        if span == "*":
            first, last = low, (6 if name == "weekday" else high)
        else:
            start, dash, end = span.partition("-")
            first = _number(start, name)
            last = _number(end, name) if dash else (high if step_text else first)
        if not low <= first <= last <= high:
            raise ScheduleError(f"'{text}' is no {name} field")
        values.update(range(first, last + 1, step))
    # Sunday is 0 and 7.
    return frozenset(value % 7 for value in values) if name == "weekday" else frozenset(values)


def _number(text: str, name: str) -> int:
    names = {"month": _MONTHS, "weekday": _DAYS}.get(name, [])
    if text in names:
        return names.index(text) + (1 if name == "month" else 0)
    if not text.isdigit():
        raise ScheduleError(f"'{text}' is no value of a {name} field")
    return int(text)
