"""Entries of a receipt: which are still to be removed, and what a look at the place makes of them.

An entry that was there when the operation began, and is not there any more, was removed, by
whichever attempt: an activity that died after its deletion would else be told as "gone before".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec

from shared.errors import NotYet, OnboardingError
from shared.models import Fate, ObjectKind, Outcome, ReceiptEntry, StepResult, to_json
from shared.offboarding.calls import OffboardingFacts
from shared.outcomes import outcome_of


def present(facts: OffboardingFacts, kind: ObjectKind) -> list[ReceiptEntry]:
    """The entries of this kind that are to be removed."""
    return [each for each in facts.entries if each.kind is kind and each.fate is Fate.PRESENT]


def looked_at(
    facts: OffboardingFacts,
    kind: ObjectKind,
    still: Collection[str],
    now: datetime,
    *,
    recoverable_until: datetime | None = None,
    message: str | None = None,
) -> list[ReceiptEntry]:
    """All entries after a look: of this kind, those with an id in ``still`` are there yet."""
    return [
        msgspec.structs.replace(
            each,
            fate=Fate.PRESENT if each.id in still else Fate.REMOVED,
            checked_at=now,
            recoverable_until=None if each.id in still else recoverable_until,
            message=None if each.id in still else message,
        )
        if each.kind is kind and each.fate is Fate.PRESENT
        else each
        for each in facts.entries
    ]


def concluded(
    kind: ObjectKind,
    entries: list[ReceiptEntry],
    what: str,
    errors: Sequence[OnboardingError] = (),
    *,
    caution: str | None = None,
) -> StepResult:
    """The result of a removal step. ``what`` names the objects in the plural; ``caution`` is told
    as a warning."""
    mine = [each for each in entries if each.kind is kind]
    left = [each for each in mine if each.fate is Fate.PRESENT]
    learned = {"entries": [to_json(each) for each in entries]}
    if left:
        return _unfinished(left, what, errors, learned)
    removed = sum(1 for each in mine if each.fate is Fate.REMOVED)
    kept = [each for each in mine if each.fate is Fate.KEPT]
    told = f"no {what} to remove"
    if removed:
        told = f"{counted(removed, what)} removed and read back as gone"
    notes = [f"{each.name} stays: {each.message}" for each in kept] + ([caution] if caution else [])
    outcome = Outcome.CHANGED if removed else Outcome.PASSED
    return StepResult(
        outcome=Outcome.WARNING if notes else outcome,
        message="; ".join([told, *notes]),
        facts=learned,
    )


def counted(number: int, what: str) -> str:
    """So many of what the plural ``what`` names."""
    return f"{number} {what.removesuffix('s') if number == 1 else what}"


def _unfinished(
    left: list[ReceiptEntry],
    what: str,
    errors: Sequence[OnboardingError],
    learned: dict[str, Any],
) -> StepResult:
    final = [error for error in errors if not isinstance(error, NotYet)]
    if final or errors:
        result = outcome_of((final or list(errors))[0])
        return msgspec.structs.replace(result, facts=learned)
    return StepResult(
        outcome=Outcome.UNKNOWN,
        code="still_listed",
        message=f"deleted, but still listed: {', '.join(each.name for each in left)}",
        remediation=f"Send the request again later; it looks first which {what} are left.",
        facts=learned,
        wait=0.0,
    )
