"""The order of onboarding, and nothing else.

    1. every step that the order takes, in turn; a step that failed or whose outcome is unknown
       stops the rest, which are then ``skipped``; so does a request to cancel
    2. the ``record`` step, always

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
    Step,
    StepCall,
    StepResult,
    WaitPolicy,
    from_json,
    to_json,
)
from shared.onboarding.steps import STEPS, steps_of
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

ONBOARD = "onboard"
"""The registered name of the orchestrator."""

RECORD = "record"
RECORD_ACTIVITY = "onboard_record"


class OnboardingStart(Struct, frozen=True, rename="camel"):
    """The input of the orchestrator; ``operation`` as it is before its first step."""

    operation: Operation
    order: OnboardingOrder
    waits: WaitPolicy


class RecordCall(Struct, frozen=True, rename="camel"):
    """The input of the record activity."""

    order: OnboardingOrder
    facts: Facts
    operation: Operation


def begun(order: OnboardingOrder, started_at: datetime) -> Operation:
    """The operation as it is before its first step."""
    return Operation(
        id=order.operation_id,
        kind=OperationKind.ONBOARD,
        tenant_id=order.tenant_id,
        status=OperationStatus.RUNNING,
        started_at=started_at,
        steps=[Step(name=step.name) for step in steps_of(order)] + [Step(name=RECORD)],
    )


def onboard(context: OrchestrationContext) -> Generator[Any, Any, Any]:
    """Onboard one tenant; the output is the `Operation` as JSON."""
    start = from_json(context.get_input(), OnboardingStart)
    operation, facts = start.operation, Facts()
    cancellation = Cancellation(context, operation)
    for definition in steps_of(start.order):
        step = operation.step(definition.name)
        if operation.status is OperationStatus.RUNNING and cancellation.requested:
            operation.status = OperationStatus.CANCELLED
        if operation.status is not OperationStatus.RUNNING:
            skip(step, operation.status)
            continue
        call = StepCall(order=start.order, facts=facts, changed=changed(operation))
        pace = Pace.of(start.waits, scan=definition.scan)
        result = yield from run_activity(
            context, operation, step, definition.activity, to_json(call), pace, cancellation
        )
        facts = merged(facts, result)
        if result.outcome.stops:
            operation.status = status_after_stop(result, first=definition is STEPS[0])
    if operation.status is OperationStatus.RUNNING:
        operation.status = OperationStatus.SUCCEEDED
    written = RecordCall(order=start.order, facts=facts, operation=operation)
    return (yield from conclude(context, operation, RECORD_ACTIVITY, written, Pace.of(start.waits)))


def merged(facts: Facts, result: StepResult) -> Facts:
    """The facts with what a step learned."""
    return from_json(to_json(facts) | result.facts, Facts)
