"""Record: what became of the tenant, kept and announced. It runs last, always.

The tenant record and the operation are written also when a step failed, so that no tenant drops out
of sight. The announcement carries the operation's id, by which receivers know a repeated one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from shared.context import Context
from shared.errors import OutcomeUnknown, Refused
from shared.models import (
    Facts,
    OnboardingOrder,
    Operation,
    OperationStatus,
    Outcome,
    StepResult,
    TenantRecord,
    to_json,
)
from shared.notifications import TENANT_FAILED, TENANT_ONBOARDED
from shared.outcomes import ended, outcome_of
from shared.transitions import TenantEvent, next_state

EVENTS = {
    OperationStatus.SUCCEEDED: TenantEvent.ONBOARDING_PROVEN,
    OperationStatus.WAITING: TenantEvent.ONBOARDING_WAITS,
    OperationStatus.REFUSED: TenantEvent.ONBOARDING_REFUSED,
    OperationStatus.FAILED: TenantEvent.ONBOARDING_FAILED,
    OperationStatus.CANCELLED: TenantEvent.ONBOARDING_CANCELLED,
}


async def opened(context: Context, order: OnboardingOrder) -> None:
    """Write down that an onboarding has begun, before anything else is done."""
    known = await context.records.get(order.tenant_id)
    state = next_state(known.state if known else None, TenantEvent.ONBOARDING_STARTED)
    base = known or TenantRecord(
        tenant_id=order.tenant_id,
        state=state,
        operation_id=order.operation_id,
        updated_at=context.now(),
    )
    await context.records.put(
        msgspec.structs.replace(
            base, state=state, operation_id=order.operation_id, updated_at=context.now()
        )
    )


async def run(
    context: Context, order: OnboardingOrder, facts: Facts, operation: Operation
) -> StepResult:
    """Write the record and the operation, and announce the result.

    ``operation`` has its final status; its last step is this one, which is completed here.
    """
    now = context.now()
    known = await context.records.get(order.tenant_id)
    event = EVENTS[operation.status]
    # A record that is gone, or was closed by an earlier attempt of this step, is opened again.
    started = next_state(known.state if known else None, TenantEvent.ONBOARDING_STARTED)
    refused: StepResult | None = None
    try:
        # Announced first: what is kept must not promise more than the operation, and an
        # announcement that is made twice is known by its id.
        await context.notifications.publish(
            TENANT_ONBOARDED if event is TenantEvent.ONBOARDING_PROVEN else TENANT_FAILED,
            subject=order.tenant_id,
            data={
                "tenantId": order.tenant_id,
                "state": next_state(started, event),
                "operation": to_json(operation),
            },
            id=order.operation_id,
            time=now,
        )
    except (OutcomeUnknown, Refused) as error:
        refused = outcome_of(error)
        if event is TenantEvent.ONBOARDING_PROVEN:
            event = TenantEvent.ONBOARDING_FAILED
    record = _record(
        known,
        order,
        facts,
        operation,
        now,
        proven=event is TenantEvent.ONBOARDING_PROVEN,
    )
    record = msgspec.structs.replace(record, state=next_state(started, event))
    same = known is not None and _comparable(known) == _comparable(record)
    result = refused or ended(
        Outcome.PASSED if same else Outcome.CHANGED,
        f"the tenant is {record.state.value}"
        + (", as it was" if same else "; its record was written"),
    )
    await context.records.put(record)
    await context.records.put_operation(_completed(operation, result, context))
    return result


def _record(
    known: TenantRecord | None,
    order: OnboardingOrder,
    facts: Facts,
    operation: Operation,
    now: datetime,
    *,
    proven: bool,
) -> TenantRecord:
    """The record with what this operation learned; what it did not learn stays as it was."""
    azure_touched = _was_run(operation, "subscriptions")
    learned: dict[str, Any] = {
        "display_name": facts.display_name,
        "initial_domain": facts.initial_domain,
        "app_id": facts.app_id,
        "application_object_id": facts.application_object_id,
        "service_principal_id": facts.service_principal_id,
        "certificate": facts.certificate,
        "federated_credential": facts.federated_credential,
        "integration": facts.integration,
        "azure_integration": facts.azure_integration,
        "console": facts.console,
        "asset": facts.asset,
        "grade": facts.grade,
        "coverage": facts.coverage or None,
        "scanned_at": facts.scanned_at,
    }
    if facts.integration is not None:
        learned["space"] = order.space  # where that is
    if known is not None and known.onboarded_at is not None and facts.integration is None:
        # Mondoo still signs in with the one on record, so that stays the one in use.
        learned["certificate"] = known.certificate or facts.certificate
    if azure_touched:
        learned["subscriptions"] = order.subscriptions
    if proven:
        learned |= {
            "onboarded_at": now,
            "manifest": order.manifest,
            "space": order.space,
            "application_name": order.application_name,
            "repair": order.repair,
        }
    elif known is None or known.onboarded_at is None:
        # Where an attempt that was never proven left things, for whoever offboards the tenant.
        learned |= {"space": order.space, "application_name": order.application_name}
    base = known or TenantRecord(
        tenant_id=order.tenant_id,
        state=next_state(None, TenantEvent.ONBOARDING_STARTED),
        operation_id=order.operation_id,
        updated_at=now,
    )
    record = msgspec.structs.replace(
        base,
        operation_id=order.operation_id,
        updated_at=now,
        # An attempt that ended without telling may have assigned Reader anywhere.
        reader_scopes=facts.reader_scopes if azure_touched else base.reader_scopes,
        manifest_target=None if proven else _target(base, order, operation),
        **{name: value for name, value in learned.items() if value is not None},
    )
    return _settled(record, order, operation)


def _settled(record: TenantRecord, order: OnboardingOrder, operation: Operation) -> TenantRecord:
    """The record with how Mondoo signs in, as soon as a scan has proven that, and without the old
    credential, as soon as it is gone: whatever became of the operation after that."""
    if _succeeded(operation, "first-scan"):
        record = msgspec.structs.replace(record, authentication=order.authentication)
        if order.keyless:
            # It would need the certificate, and was looked for before the move began.
            record = msgspec.structs.replace(record, azure_integration=None)
    if not _succeeded(operation, "old-credential"):
        return record
    if order.keyless:
        return msgspec.structs.replace(record, certificate=None, rotation=None)
    return msgspec.structs.replace(record, federated_credential=None)


def _target(known: TenantRecord, order: OnboardingOrder, operation: Operation) -> str | None:
    """The list that an attempt which was not proven leaves the tenant on the way to: audits must
    not call excess what it declared or granted."""
    on_it = order.manifest == (known.manifest_target or known.manifest)
    if on_it or not _was_run(operation, "application"):
        return known.manifest_target
    return order.manifest


def _succeeded(operation: Operation, name: str) -> bool:
    """Whether a step is in the operation and reached its goal."""
    good = (Outcome.PASSED, Outcome.CHANGED, Outcome.WARNING)
    return any(step.name == name and step.outcome in good for step in operation.steps)


def _was_run(operation: Operation, name: str) -> bool:
    """Whether a step is in the operation and was come to."""
    return any(step.name == name and step.attempts > 0 for step in operation.steps)


def _comparable(record: TenantRecord) -> TenantRecord:
    """The record without what differs at every run."""
    return msgspec.structs.replace(
        record,
        operation_id="",
        updated_at=datetime.min,
        onboarded_at=None,
        scanned_at=None,
    )


def _completed(operation: Operation, result: StepResult, context: Context) -> Operation:
    completed = msgspec.convert(to_json(operation), Operation)
    step = completed.step("record")
    step.outcome, step.message, step.finished_at = result.outcome, result.message, context.now()
    step.code, step.remediation = result.code, result.remediation
    if result.outcome.stops:
        completed.status = OperationStatus.FAILED
    completed.finished_at = context.now()
    return completed
