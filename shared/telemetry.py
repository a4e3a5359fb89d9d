"""What is logged so that queries can find it: one line of JSON for each end of a step, each end of
an operation, and each caller that was let through.

The Functions host passes on the text of a Python log record and its level, and nothing that is
attached to it, so the fields are in the text; the saved queries in ``infra/queries`` read them
back. Ids, codes and numbers only: messages of steps stay in the operation, and no line ever holds a
key, a token or a name of a person. Traces are the host's (``telemetryMode`` in ``host.json``): it
ties trigger, orchestrator and activities of an operation together.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from shared.models import Operation, StepResult, from_json, tenant_of_operation

_log = logging.getLogger("onboarding")


class StepEntry(Struct, frozen=True, omit_defaults=True, tag_field="event", tag="step"):
    """A call of a step came to an end; ``step`` is the name of its activity. ``outcome`` is
    ``waiting`` when it will be called again. ``findings`` counts them: those that the step names,
    or as many as it says that there are, where it names only the first."""

    tenant: str
    operation: str
    step: str
    outcome: str
    code: str | None = None
    findings: int = 0


class OperationEntry(
    Struct, frozen=True, omit_defaults=True, rename="camel", tag_field="event", tag="operation"
):
    """An operation came to an end; ``code`` is that of the step that stopped it."""

    tenant: str
    operation: str
    kind: str
    status: str
    seconds: float
    code: str | None = None
    certificate_expires: datetime | None = None


class RequestEntry(Struct, frozen=True, tag_field="event", tag="request"):
    """A caller was let through; ``caller`` is their object id."""

    function: str
    caller: str


def step_ended(activity: str, call: Mapping[str, Any], answer: Any) -> None:
    """Log how a call of an activity ended; one that is not a step of an operation is not told.

    ``call`` and ``answer`` are what the engine hands over: every step is given its order, and
    answers with a `StepResult`.
    """
    operation_id = str(call.get("order", {}).get("operationId", ""))
    tenant_id = tenant_of_operation(operation_id)
    if tenant_id is None or not isinstance(answer, dict) or "outcome" not in answer:
        return
    result = from_json(answer, StepResult)
    outcome = result.outcome.value if result.wait is None else "waiting"
    findings = result.facts.get("findings", len(result.findings))
    _write(
        StepEntry(tenant_id, operation_id, activity, outcome, result.code, findings),
        logging.WARNING if result.wait is None and result.outcome.stops else logging.INFO,
    )


def operation_ended(
    operation: Operation, certificate_expires: datetime | None, now: datetime
) -> None:
    """Log how an operation ended; ``operation`` has its final status."""
    stopped = next((step for step in operation.steps if step.outcome and step.outcome.stops), None)
    _write(
        OperationEntry(
            tenant=operation.tenant_id,
            operation=operation.id,
            kind=operation.kind.value,
            status=operation.status.value,
            seconds=round((now - operation.started_at).total_seconds(), 1),
            code=stopped.code if stopped else None,
            certificate_expires=certificate_expires,
        ),
        logging.WARNING if stopped else logging.INFO,
    )


def request_admitted(function: str, caller: str) -> None:
    """Log who called what."""
    _write(RequestEntry(function, caller), logging.INFO)


def _write(entry: Struct, level: int) -> None:
    _log.log(level, "%s", msgspec.json.encode(entry).decode())
