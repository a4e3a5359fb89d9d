"""Receipt: what was removed and read back as gone, and what was not and why. It runs last, always.

The tenant record is kept, as ``offboarded`` or ``offboarding-incomplete``, with the receipt in it.
After a refusal there is no receipt, since nothing was removed, and the record stays as it was.
Once nothing of ours is left, references to what is gone are taken out of the record, so that no
audit looks for it; the receipt still has the ids. The announcement carries the operation's id.
"""

from __future__ import annotations

import msgspec

from shared.context import Context
from shared.models import (
    Fate,
    ObjectKind,
    Operation,
    OperationStatus,
    Outcome,
    Receipt,
    ReceiptEntry,
    ScannerAuthentication,
    StepResult,
    TenantRecord,
    to_json,
)
from shared.notifications import TENANT_FAILED, TENANT_OFFBOARDED
from shared.offboarding.calls import OffboardingFacts, OffboardingOrder
from shared.offboarding.entries import counted
from shared.offboarding.steps import STEPS
from shared.outcomes import ended
from shared.transitions import TenantEvent, next_state

OPEN = frozenset({Fate.PRESENT, Fate.UNKNOWN})
"""Fates that keep an offboarding from being complete; see `shared.models.Fate`."""

LONGEST_MESSAGE = 300


async def run(
    context: Context, order: OffboardingOrder, facts: OffboardingFacts, operation: Operation
) -> StepResult:
    """Write the receipt, the record and the operation, and announce the result."""
    if operation.status is OperationStatus.REFUSED or _untouched(operation):
        return await _refused(context, order, operation)
    now = context.now()
    entries = [_explained(entry, operation) for entry in facts.entries]
    complete = (
        operation.status is not OperationStatus.CANCELLED
        and not any(step.outcome and step.outcome.stops for step in operation.steps)
        and not any(
            entry.fate in OPEN and entry.kind is not ObjectKind.DELEGATED_GRANT for entry in entries
        )
    )
    receipt = Receipt(
        operation_id=order.operation_id,
        tenant_id=order.tenant_id,
        made_at=now,
        purged=order.purge,
        complete=complete,
        entries=entries,
    )
    known = await context.records.get(order.tenant_id)
    event = TenantEvent.OFFBOARDING_COMPLETED if complete else TenantEvent.OFFBOARDING_STOPPED
    record = _record(known, order, facts, receipt, event)
    await context.records.put(record)
    listed = counted(len(entries), "objects")
    result = StepResult(
        outcome=Outcome.CHANGED,
        message=f"the tenant is {record.state.value}; the receipt lists {listed}",
    )
    await context.records.put_operation(_completed(operation, result, context))
    await context.notifications.publish(
        TENANT_OFFBOARDED if complete else TENANT_FAILED,
        subject=order.tenant_id,
        data={
            "tenantId": order.tenant_id,
            "state": record.state,
            "operation": to_json(operation),
            "receipt": to_json(receipt),
        },
        id=order.operation_id,
        time=now,
    )
    return result


def _untouched(operation: Operation) -> bool:
    """Whether it was cancelled before any removal was begun."""
    removals = [each.name for each in STEPS if each.kind is not None]
    return operation.status is OperationStatus.CANCELLED and all(
        operation.step(name).attempts == 0 for name in removals
    )


async def _refused(context: Context, order: OffboardingOrder, operation: Operation) -> StepResult:
    """Keep and announce an offboarding that was not begun."""
    now = context.now()
    known = await context.records.get(order.tenant_id)
    if known is not None:
        await context.records.put(
            msgspec.structs.replace(known, operation_id=order.operation_id, updated_at=now)
        )
    result = ended(Outcome.PASSED, "nothing was removed, so there is no receipt")
    await context.records.put_operation(_completed(operation, result, context))
    await context.notifications.publish(
        TENANT_FAILED,
        subject=order.tenant_id,
        data={
            "tenantId": order.tenant_id,
            "state": known.state if known is not None else None,
            "operation": to_json(operation),
        },
        id=order.operation_id,
        time=now,
    )
    return result


def _explained(entry: ReceiptEntry, operation: Operation) -> ReceiptEntry:
    """What is left, with its own reason or that of the step of its kind."""
    if entry.fate is not Fate.PRESENT:
        return entry
    kind = entry.kind
    if kind is ObjectKind.DELEGATED_GRANT:
        kind = ObjectKind.SERVICE_PRINCIPAL  # which it goes with
    step = operation.step(next(each.name for each in STEPS if each.kind is kind))
    unknown = step.outcome is Outcome.UNKNOWN
    return msgspec.structs.replace(
        entry,
        fate=Fate.UNKNOWN if unknown else Fate.PRESENT,
        message=entry.message or step.message[:LONGEST_MESSAGE],
    )


def _record(
    known: TenantRecord | None,
    order: OffboardingOrder,
    facts: OffboardingFacts,
    receipt: Receipt,
    event: TenantEvent,
) -> TenantRecord:
    state = next_state(known.state if known else None, event)
    base = known or TenantRecord(
        tenant_id=order.tenant_id,
        state=state,
        operation_id=order.operation_id,
        updated_at=receipt.made_at,
        space=order.space,
        application_name=order.application_name,
    )
    record = msgspec.structs.replace(
        base,
        state=state,
        operation_id=order.operation_id,
        updated_at=receipt.made_at,
        receipt=receipt,
        app_id=facts.app_id or base.app_id,
        service_principal_id=facts.principal_id or base.service_principal_id,
    )
    if not receipt.complete:
        return record
    return msgspec.structs.replace(
        record,
        manifest_target=None,
        app_id=None,
        application_object_id=None,
        service_principal_id=None,
        authentication=ScannerAuthentication.CERTIFICATE,
        certificate=None,
        federated_credential=None,
        integration=None,
        azure_integration=None,
        subscriptions=None,
        reader_scopes=None,
        console=None,
        asset=None,
        grade=None,
        coverage=[],
        scanned_at=None,
        onboarded_at=None,
        audit_status=None,
        findings=None,
        rotation=None,
    )


def _completed(operation: Operation, result: StepResult, context: Context) -> Operation:
    completed = msgspec.convert(to_json(operation), Operation)
    step = completed.step("receipt")
    step.outcome, step.message, step.finished_at = result.outcome, result.message, context.now()
    completed.finished_at = context.now()
    return completed
