"""How a report says things: times, spans of days, numbers of things, names of statuses."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.audit.report import Action, AuditStatus
from shared.models import CoverageState, Outcome, RepairPolicy

STATUSES = {
    AuditStatus.CLEAN: "Clean",
    AuditStatus.FINDINGS: "Findings",
    AuditStatus.FAILED: "Audit failed",
}
OUTCOMES = {
    Outcome.PASSED: "Right already",
    Outcome.CHANGED: "Corrected",
    Outcome.PLANNED: "Planned",
    Outcome.SKIPPED: "Skipped",
    Outcome.WARNING: "Warning",
    Outcome.FAILED: "Failed",
    Outcome.UNKNOWN: "Unknown",
}
CORRECTIONS = {
    Outcome.PASSED: "Right already",
    Outcome.CHANGED: "Corrected",
    Outcome.PLANNED: "Would be corrected",
    Outcome.SKIPPED: "Not corrected",
    Outcome.WARNING: "Corrected in part",
    Outcome.FAILED: "Correction failed",
    Outcome.UNKNOWN: "Correction not confirmed",
}
"""Outcomes in a place that does not say what they are of."""
POLICIES = {
    RepairPolicy.REPORT: "report (changes nothing)",
    RepairPolicy.REPAIR: "repair (adds what is missing)",
    RepairPolicy.ENFORCE: "enforce (also removes what is too much)",
}
COVERAGE = {
    CoverageState.SCANNED: "Scanned",
    CoverageState.PARTLY: "Partly",
    CoverageState.NOT_SCANNED: "Not scanned",
}


def moment(at: datetime) -> str:
    """A time for people: ``24 Nov 2026, 05:00 UTC``."""
    return f"{day(at)}, {at.astimezone(UTC):%H:%M} UTC"


def day(at: datetime) -> str:
    """A day for people: ``24 Nov 2026``."""
    utc = at.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y}"


def stamp(at: datetime) -> str:
    """A time for tools, to the second: ``2026-11-24T05:00:00Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_then(at: datetime, then: datetime) -> str:
    """How far ``at`` is from ``then``: ``in 80 days``, ``7 hours ago``, ``in 1 minute``."""
    seconds = (at - then).total_seconds()
    minutes = int(abs(seconds) // 60)
    if minutes < 120:
        span = many(minutes, "minute")
    elif minutes < 48 * 60:
        span = many(minutes // 60, "hour")
    else:
        span = many(minutes // (24 * 60), "day")
    return f"in {span}" if seconds > 0 else f"{span} ago"


def many(number: int, one: str, more: str | None = None) -> str:
    """``1 finding``, ``2,000 findings``."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def action(done: Action) -> str:
    """What a change does: ``Grant permission``."""
    return done.value.replace("-", " ").capitalize()


def listed(parts: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)
