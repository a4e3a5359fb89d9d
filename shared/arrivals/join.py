"""One operation for a tenant, however often and by whatever way it arrives.

An arrival says "this tenant should be onboarded", not "onboard it again". So it joins

    1. the onboarding that is running on the tenant,
    2. or the one that onboarded it, when it was onboarded just as this arrival wants it,
    3. or else a new one; where two arrivals get here at once, the engine lets one of them start it
       and the other joins.

While another kind of operation keeps the tenant busy, an arrival has to come again. Running is
asked before onboarded: an operation that ends in between has written its record by then.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import UNSET

from shared.context import Context
from shared.errors import NotYet, TenantBusy
from shared.instances import DurableClient, newest_operation
from shared.models import (
    OnboardingOrder,
    OnboardingRequest,
    Operation,
    OperationKind,
    PolicyAction,
    TenantRecord,
)
from shared.onboarding.start import start_onboarding
from shared.tenants.records import OPERATIONS_KEPT
from shared.transitions import TenantState


@dataclass(frozen=True)
class Joined:
    """The operation that an arrival belongs to. ``started``: this arrival started it; ``ended``: it
    had onboarded the tenant before."""

    operation: str
    started: bool = False
    ended: bool = False


async def join(
    context: Context,
    client: DurableClient,
    request: OnboardingRequest,
    order: OnboardingOrder,
) -> Joined:
    """Join or start an onboarding; ``order`` is what `take_order` made of the request.

    Raises:
        NotYet: the engine or the records cannot be reached; ``tenant_busy`` with another kind of
            operation.
        Refused: the records refuse us.
    """
    running = await _running(context, client, order.tenant_id)
    if running is not None and running.kind is OperationKind.ONBOARD:
        return Joined(running.id)
    record = await context.records.get(order.tenant_id)
    if record is not None and _as_wanted(record, request, order):
        newest = await newest_onboarding(context, order.tenant_id)
        return Joined(newest.id if newest else record.operation_id, ended=True)
    if running is not None:
        raise _busy(running)
    try:
        await start_onboarding(client, order, context.settings.waits, context.now())
    except TenantBusy as busy:
        running = await _running(context, client, order.tenant_id)
        if running is not None and running.kind is not OperationKind.ONBOARD:
            raise _busy(running) from busy
        return Joined(busy.operation_id)
    return Joined(order.operation_id, started=True)


async def newest_onboarding(context: Context, tenant_id: str) -> Operation | None:
    """The newest onboarding of a tenant that has ended; a record names its newest operation, which
    may be an audit."""
    for operation in await context.records.operations(tenant_id, OPERATIONS_KEPT):
        if operation.kind is OperationKind.ONBOARD:
            return operation
    return None


async def _running(context: Context, client: DurableClient, tenant_id: str) -> Operation | None:
    newest = await newest_operation(client, context.records, tenant_id, None)
    return newest if newest is not None and newest.finished_at is None else None


def _busy(running: Operation) -> NotYet:
    return NotYet(
        "tenant_busy",
        f"operation {running.id} ({running.kind}) is still running on tenant {running.tenant_id}",
        remediation="Nothing needs to be done; the tenant has its turn when that has ended.",
        tenant_id=running.tenant_id,
    )


def _as_wanted(record: TenantRecord, request: OnboardingRequest, order: OnboardingOrder) -> bool:
    """Whether the tenant is onboarded the way the request wants. A request that names policies, a
    certificate or subscriptions is carried out: those are not compared."""
    return (
        record.state is TenantState.ONBOARDED
        and record.manifest_target is None
        and request.policies is UNSET
        and request.policy_search is UNSET
        and request.policy_action is PolicyAction.ACTIVE
        and request.certificate is UNSET
        and request.subscriptions is UNSET
        and (record.space, record.manifest, record.application_name, record.authentication)
        == (order.space, order.manifest, order.application_name, order.authentication)
    )
