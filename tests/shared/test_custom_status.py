"""The custom status stays within what the engine takes, whatever an operation has to say."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from shared.custom_status import LONGEST_STATUS, status_of
from shared.models import (
    CoverageState,
    Finding,
    Operation,
    OperationKind,
    OperationStatus,
    Outcome,
    ServiceCoverage,
    Severity,
    Step,
    from_json,
    to_json,
)

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def operation(*, steps: int, findings: int, words: int) -> Operation:
    text = "word " * words
    return Operation(
        id="x",
        kind=OperationKind.ONBOARD,
        tenant_id="t",
        status=OperationStatus.RUNNING,
        started_at=NOW,
        steps=[
            Step(
                name=f"step-{number}",
                outcome=Outcome.WARNING,
                message=text[:700],
                remediation=text,
                findings=[Finding("code", Severity.HIGH, text, text, text, text)] * findings,
                coverage=[ServiceCoverage("entra", CoverageState.SCANNED)],
            )
            for number in range(steps)
        ],
    )


def test_an_operation_that_fits_is_shown_whole() -> None:
    small = operation(steps=11, findings=1, words=5)
    assert status_of(small) == to_json(small)


@pytest.mark.parametrize(
    ("findings", "words"), [(2, 40), (1, 200), (40, 20), (400, 200), (0, 2000)]
)
def test_an_operation_that_does_not_fit_is_shortened_and_keeps_every_step(
    findings: int, words: int
) -> None:
    large = operation(steps=11, findings=findings, words=words)
    shown = status_of(large)
    assert len(json.dumps(shown)) <= LONGEST_STATUS
    read = from_json(shown, Operation)
    assert [(each.name, each.outcome) for each in read.steps] == [
        (each.name, each.outcome) for each in large.steps
    ]
