"""Schedules of timers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local.host.ncrontab import ScheduleError, parse

NOW = datetime(2026, 2, 27, 23, 59, 30, 5, tzinfo=UTC)  # a Friday


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("* * * * * *", datetime(2026, 2, 27, 23, 59, 31, tzinfo=UTC)),
        ("0 */5 * * * *", datetime(2026, 2, 28, tzinfo=UTC)),
        ("0 30 9-17 * * 1-5", datetime(2026, 3, 2, 9, 30, tzinfo=UTC)),
        ("0 0 3 * * Sun", datetime(2026, 3, 1, 3, tzinfo=UTC)),
        ("0 0 3 * * 7", datetime(2026, 3, 1, 3, tzinfo=UTC)),
        ("0 0 3 * * 5-7", datetime(2026, 2, 28, 3, tzinfo=UTC)),
        ("0 0 0 1 jan,jul *", datetime(2026, 7, 1, tzinfo=UTC)),
        ("15,45 59 23 * * *", datetime(2026, 2, 27, 23, 59, 45, tzinfo=UTC)),
        ("0 0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
        ("10/20 * * * * *", datetime(2026, 2, 27, 23, 59, 50, tzinfo=UTC)),
        ("0 3 * * *", datetime(2026, 2, 28, 3, tzinfo=UTC)),
    ],
)
def test_the_next_time_of_a_schedule(text: str, following: datetime) -> None:
    assert parse(text).after(NOW) == following


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "60 * * * * *",
        "* * 24 * * *",
        "* * * 0 * *",
        "* * * * 13 *",
        "a * * * * *",
        "5-1 * * * * *",
        "*/0 * * * * *",
        "* * * * * 8",
        "01:00:00",
    ],
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError):
        parse(text)


def test_a_day_that_never_comes_is_an_error() -> None:
    with pytest.raises(ScheduleError, match="never"):
        parse("0 0 0 30 2 *").after(NOW)
