"""The order of a rotation, and nothing else.

    1. every step of `steps.STEPS` in turn; one that failed or whose outcome is unknown stops the
       rest, and so does a request to cancel, or an overlap that is too long to be waited for
       (which is a success)
    2. ``withdraw``, only when the new certificate was refused at the sign-in
    3. the ``record`` step, always

How one step is run, repeated and waited for is in `shared.operations`.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import Any

from msgspec import Struct

from shared.models import (
    Facts,
    OnboardingOrder,
    Operation,
    OperationKind,
    OperationStatus,
    Outcome,
    Step,
    StepCall,
    StepResult,
    WaitPolicy,
    from_json,
    to_json,
)
from shared.operations import (
    Cancellation,
    OrchestrationContext,
    Pace,
    changed,
    conclude,
    run_activity,
    skip,
    status_after_stop,
)
from shared.rotation.steps import OVERLAP, SIGN_IN, STEPS, WITHDRAW

ROTATE = "rotate"
"""The registered name of the orchestrator."""

RECORD = "record"
RECORD_ACTIVITY = "rotate_record"
NOT_REGISTERED = "certificate_not_registered"
"""How an exhausted wait for a sign-in ends where the tenant never came to know the certificate."""


class RotationStart(Struct, frozen=True, rename="camel"):
    """The input of the orchestrator; ``operation`` as it is before its first step."""

    operation: Operation
    order: OnboardingOrder
    waits: WaitPolicy


class RotationRecordCall(Struct, frozen=True, rename="camel"):
    """The input of the record activity."""

    order: OnboardingOrder
    operation: Operation


def begun(order: OnboardingOrder, started_at: datetime) -> Operation:
    """The operation as it is before its first step."""
    names = [step.name for step in (*STEPS, WITHDRAW)]
    return Operation(
        id=order.operation_id,
        kind=OperationKind.ROTATE,
        tenant_id=order.tenant_id,
        status=OperationStatus.RUNNING,
        started_at=started_at,
        steps=[Step(name=name) for name in (*names, RECORD)],
    )


def rotate(context: OrchestrationContext) -> Generator[Any, Any, Any]:
    """Rotate one tenant's certificate; the output is the `Operation` as JSON."""
    start = from_json(context.get_input(), RotationStart)
    operation, order, facts = start.operation, start.order, Facts()
    cancellation = Cancellation(context, operation)
    refused = postponed = False
    for definition in STEPS:
        step = operation.step(definition.name)
        if operation.status is OperationStatus.RUNNING and cancellation.requested and not postponed:
            operation.status = OperationStatus.CANCELLED
        if operation.status is not OperationStatus.RUNNING or postponed:
            skip(step, operation.status)
            if postponed:
                step.message = "not yet, because the overlap runs"
            continue
        call = to_json(StepCall(order=order, facts=facts, changed=changed(operation)))
        pace = Pace.of(start.waits, scan=definition.scan)
        result = yield from run_activity(
            context, operation, step, definition.activity, call, pace, cancellation
        )
        facts = from_json(to_json(facts) | result.facts, Facts)
        postponed = definition is OVERLAP and result.outcome is Outcome.PLANNED
        if result.outcome.stops:
            operation.status = status_after_stop(result, first=definition is STEPS[0])
            refused = definition is SIGN_IN and _refused(result)
    step = operation.step(WITHDRAW.name)
    if refused:
        call = to_json(StepCall(order=order, facts=facts))
        operation.status = OperationStatus.RUNNING
        yield from run_activity(
            context, operation, step, WITHDRAW.activity, call, Pace.of(start.waits)
        )
        operation.status = OperationStatus.FAILED
    else:
        skip(step)
        step.message = "nothing had to be taken back"
        if operation.status is OperationStatus.RUNNING:
            operation.status = OperationStatus.SUCCEEDED
    written = RotationRecordCall(order=order, operation=operation)
    return (yield from conclude(context, operation, RECORD_ACTIVITY, written, Pace.of(start.waits)))


def _refused(result: StepResult) -> bool:
    """Whether the sign-in will never work, as opposed to a service that does not answer."""
    return result.outcome is Outcome.FAILED or result.code == NOT_REGISTERED
