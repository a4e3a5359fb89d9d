"""How times, spans and numbers are said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.audit.rendering import words
from shared.audit.report import Action, AuditStatus
from shared.models import Outcome, RepairPolicy

AT = datetime(2026, 11, 4, 6, 0, 59, tzinfo=timezone(timedelta(hours=1)))


def test_times_are_said_in_utc() -> None:
    assert words.moment(AT) == "4 Nov 2026, 05:00 UTC"
    assert words.day(AT) == "4 Nov 2026"
    assert words.stamp(AT) == "2026-11-04T05:00:59Z"


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(), "0 minutes ago"),
        (timedelta(seconds=61), "in 1 minute"),
        (timedelta(minutes=-119), "119 minutes ago"),
        (timedelta(hours=-7), "7 hours ago"),
        (timedelta(hours=47), "in 47 hours"),
        (timedelta(hours=48), "in 2 days"),
        (timedelta(days=-1200), "1,200 days ago"),
    ],
)
def test_spans_are_said_in_what_one_would_count_in(span: timedelta, said: str) -> None:
    assert (
        words.from_then(datetime(2026, 11, 4, tzinfo=UTC) + span, AT.replace(hour=1, second=0))
        == said
    )


def test_lists_and_numbers_are_english() -> None:
    assert [words.listed(list("abc")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert [words.many(n, "tenant") for n in (0, 1, 2000)] == [
        "0 tenants",
        "1 tenant",
        "2,000 tenants",
    ]
    assert words.action(Action.RESTORE_APPLICATION) == "Restore application"


def test_everything_that_is_shown_has_a_word() -> None:
    assert set(words.STATUSES) == set(AuditStatus)
    assert set(words.OUTCOMES) == set(words.CORRECTIONS) == set(Outcome)
    assert set(words.POLICIES) == set(RepairPolicy)
