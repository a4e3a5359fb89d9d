"""One operation for a tenant, however often and by whatever way it arrives.

An arrival says "this tenant should be onboarded", not "onboard it again". So it joins

    1. the operation that is running on the tenant,
    2. or the one that onboarded it, when it was onboarded just as this arrival wants it,
    3. or else a new one; where two arrivals get here at once, the engine lets one of them start it
       and the other joins.

Running is asked before onboarded: an operation that ends in between has written its record by then.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import UNSET

from shared.context import Context
from shared.errors import TenantBusy
from shared.models import OnboardingOrder, OnboardingRequest, TenantRecord
from shared.onboarding.start import DurableClient, newest_operation, start_onboarding
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
        NotYet: the engine or the records cannot be reached.
        Refused: the records refuse us.
    """
    running = await newest_operation(client, context.records, order.tenant_id, None)
    if running is not None and running.finished_at is None:
        return Joined(running.id)
    record = await context.records.get(order.tenant_id)
    if record is not None and _as_wanted(record, request, order):
        return Joined(record.operation_id, ended=True)
    try:
        await start_onboarding(client, order, context.settings.waits)
    except TenantBusy as busy:
        return Joined(busy.operation_id)
    return Joined(order.operation_id, started=True)


def _as_wanted(record: TenantRecord, request: OnboardingRequest, order: OnboardingOrder) -> bool:
    """Whether the tenant is onboarded the way the request wants. Which policies were activated is
    not in the record, so a request that names some is carried out."""
    return (
        record.state is TenantState.ONBOARDED
        and request.policies is UNSET
        and (record.space, record.manifest, record.application_name)
        == (order.space, order.manifest, order.application_name)
    )
