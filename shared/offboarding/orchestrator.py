"""The order of offboarding, and nothing else.

    1. the inventory; if it cannot be made, or finds that we may not remove what is there, nothing
       is removed
    2. every removal step in turn, whatever became of the ones before it that it does not need,
       until a request to cancel
    3. the receipt, always

How one step is run, repeated and waited for is in `shared.operations`.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import Any

from shared.models import (
    Operation,
    OperationKind,
    OperationStatus,
    Step,
    StepResult,
    from_json,
    to_json,
)
from shared.offboarding.calls import (
    OffboardingCall,
    OffboardingFacts,
    OffboardingOrder,
    OffboardingRecordCall,
    OffboardingStart,
)
from shared.offboarding.steps import STEPS
from shared.operations import (
    Cancellation,
    OrchestrationContext,
    Pace,
    conclude,
    run_activity,
    skip,
    status_after_all,
    status_after_stop,
)

OFFBOARD = "offboard"
"""The registered name of the orchestrator."""

RECEIPT = "receipt"
RECEIPT_ACTIVITY = "offboard_receipt"


def begun(order: OffboardingOrder, started_at: datetime) -> Operation:
    """The operation as it is before its first step."""
    return Operation(
        id=order.operation_id,
        kind=OperationKind.OFFBOARD,
        tenant_id=order.tenant_id,
        status=OperationStatus.RUNNING,
        started_at=started_at,
        steps=[Step(name=step.name) for step in STEPS] + [Step(name=RECEIPT)],
    )


def offboard(context: OrchestrationContext) -> Generator[Any, Any, Any]:
    """Offboard one tenant; the output is the `Operation` as JSON."""
    start = from_json(context.get_input(), OffboardingStart)
    operation, order, facts = start.operation, start.order, OffboardingFacts()
    pace = Pace.of(start.waits)
    cancellation, cancelled = Cancellation(context, operation), False
    results: list[StepResult] = []
    stopped: set[str] = set()
    for definition in STEPS:
        step = operation.step(definition.name)
        if cancellation.requested:
            cancelled = True
            skip(step, OperationStatus.CANCELLED)
            continue
        if stopped & {STEPS[0].name, *definition.needs}:
            skip(step)
            stopped.add(definition.name)
            continue
        call = to_json(OffboardingCall(order=order, facts=facts))
        result = yield from run_activity(
            context, operation, step, definition.activity, call, pace, cancellation
        )
        facts = from_json(to_json(facts) | result.facts, OffboardingFacts)
        results.append(result)
        if result.outcome.stops:
            stopped.add(definition.name)
    operation.status = status_after_all(results, cancelled=cancelled)
    if STEPS[0].name in stopped:
        operation.status = status_after_stop(results[0], first=True)
    written = OffboardingRecordCall(order=order, facts=facts, operation=operation)
    return (yield from conclude(context, operation, RECEIPT_ACTIVITY, written, pace))
