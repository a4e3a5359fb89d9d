"""Record: the operation kept, and its end announced. It runs last, always.

What the rotation has come to is in the tenant record already, written edge by edge; the tenant's
state does not change, since its connection stands all the while.
"""

from __future__ import annotations

import msgspec

from shared.context import Context
from shared.models import OnboardingOrder, Operation, OperationStatus, Outcome, StepResult, to_json
from shared.notifications import CERTIFICATE_NOT_ROTATED, CERTIFICATE_ROTATED
from shared.outcomes import ended


async def run(context: Context, order: OnboardingOrder, operation: Operation) -> StepResult:
    """Write the operation, and announce how far the rotation has come."""
    now = context.now()
    record = await context.records.get(order.tenant_id)
    rotation = record.rotation if record is not None else None
    told = "there is no rotation" if rotation is None else f"the rotation is {rotation.state}"
    result = ended(Outcome.CHANGED, told)
    if record is not None:
        await context.records.put(
            msgspec.structs.replace(record, operation_id=order.operation_id, updated_at=now)
        )
    completed = msgspec.convert(to_json(operation), Operation)
    step = completed.step("record")
    step.outcome, step.message, step.finished_at = result.outcome, result.message, now
    completed.finished_at = now
    await context.records.put_operation(completed)
    succeeded = operation.status is OperationStatus.SUCCEEDED
    await context.notifications.publish(
        CERTIFICATE_ROTATED if succeeded else CERTIFICATE_NOT_ROTATED,
        subject=order.tenant_id,
        data={
            "tenantId": order.tenant_id,
            "rotation": None if rotation is None else to_json(rotation),
            "operation": to_json(operation),
        },
        id=order.operation_id,
        time=now,
    )
    return result
