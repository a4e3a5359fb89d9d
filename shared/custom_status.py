"""An operation as the custom status of its orchestration: what can be followed while it runs.

The engine refuses a custom status of more than 16 KB in UTF-16, and a refused one ends the
orchestration; findings and coverage of an unlucky tenant can be longer than that. So detail is left
out, step by step, until it fits. Nothing is lost by it: the output of the orchestration and the
tenant's record hold the whole operation once it has ended.
"""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace

from shared.models import Operation, Step, to_json

LONGEST_STATUS = 8_000
"""Characters of JSON; 16 KB are 8,192."""
SHORT = 120
"""Characters that are left of a text when room is scarce."""


def status_of(operation: Operation) -> Any:
    """The operation as JSON that the engine takes."""
    shown = to_json(operation)
    for shorten in (_without_coverage, _short_findings, _bare):
        if len(json.dumps(shown)) <= LONGEST_STATUS:
            break
        shown = to_json(replace(operation, steps=[shorten(step) for step in operation.steps]))
    return shown


def _without_coverage(step: Step) -> Step:
    return replace(step, coverage=[])


def _short_findings(step: Step) -> Step:
    return replace(
        step,
        coverage=[],
        findings=[
            replace(
                finding,
                subject=finding.subject[:SHORT],
                message=finding.message[:SHORT],
                remediation="",
                not_scanned=None,
                reason=None,
            )
            for finding in step.findings[:10]
        ],
    )


def _bare(step: Step) -> Step:
    return replace(
        step,
        coverage=[],
        findings=[],
        message=step.message[:SHORT],
        remediation=None if step.remediation is None else step.remediation[:SHORT],
    )
