"""The order of an audit of one tenant, and nothing else: audit, publish, record.

``publish`` and ``record`` run whatever became of the audit, so that a tenant which fails is told of
and kept; only an audit that was cancelled before it ended has nothing to tell. An audit that may
not change what it was to change ends ``refused``. How one step is run, repeated and waited for is
in `shared.operations`.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import Any

from msgspec import Struct

from shared.audit.operation import AuditOrder
from shared.models import (
    Operation,
    OperationKind,
    OperationStatus,
    Step,
    StepResult,
    WaitPolicy,
    from_json,
    to_json,
)
from shared.operations import (
    CANCELLED,
    Cancellation,
    OrchestrationContext,
    Pace,
    conclude,
    run_activity,
    skip,
    status_after_all,
)
from shared.rights import RIGHT_MISSING

AUDIT = "audit"
"""The registered name of the orchestrator."""

AUDIT_ACTIVITY = "audit_tenant"
PUBLISH_ACTIVITY = "audit_publish"
RECORD_ACTIVITY = "audit_record"


class AuditStart(Struct, frozen=True, rename="camel"):
    """The input of the orchestrator; ``operation`` as it is before its first step."""

    operation: Operation
    order: AuditOrder
    waits: WaitPolicy


class AuditCall(Struct, frozen=True, rename="camel"):
    """The input of each activity: the order, and the operation so far."""

    order: AuditOrder
    operation: Operation


def begun(order: AuditOrder, started_at: datetime) -> Operation:
    """The operation as it is before its first step."""
    return Operation(
        id=order.operation_id,
        kind=OperationKind.AUDIT,
        tenant_id=order.tenant_id,
        status=OperationStatus.RUNNING,
        started_at=started_at,
        steps=[Step(name="audit"), Step(name="publish"), Step(name="record")],
    )


def audit(context: OrchestrationContext) -> Generator[Any, Any, Any]:
    """Audit one tenant; the output is the `Operation` as JSON."""
    start = from_json(context.get_input(), AuditStart)
    operation, pace = start.operation, Pace.of(start.waits)
    cancellation, cancelled = Cancellation(context, operation), False
    results: list[StepResult] = []
    for name, activity in (("audit", AUDIT_ACTIVITY), ("publish", PUBLISH_ACTIVITY)):
        step = operation.step(name)
        if cancellation.requested and (not results or results[0].code == CANCELLED):
            # A report that was made is told: the next audit tells only what is new since then.
            cancelled = True
            skip(step, OperationStatus.CANCELLED)
            continue
        call = to_json(AuditCall(start.order, operation))
        result = yield from run_activity(
            context, operation, step, activity, call, pace, cancellation
        )
        results.append(result)
    operation.status = status_after_all(results, cancelled=cancelled)
    if [result.code for result in results if result.outcome.stops] == [RIGHT_MISSING]:
        operation.status = OperationStatus.REFUSED
    written = AuditCall(start.order, operation)
    return (yield from conclude(context, operation, RECORD_ACTIVITY, written, pace))
