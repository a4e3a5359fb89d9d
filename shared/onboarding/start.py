"""Start an onboarding."""

from __future__ import annotations

from datetime import datetime

from shared.instances import DurableClient, start_operation
from shared.models import OnboardingOrder, WaitPolicy
from shared.onboarding.orchestrator import ONBOARD, OnboardingStart, begun


async def start_onboarding(
    client: DurableClient, order: OnboardingOrder, waits: WaitPolicy, now: datetime
) -> None:
    """Start the orchestrator.

    Raises:
        TenantBusy: an operation is running on the tenant, with its id.
        NotYet: ``not_started``, when the durable engine did not take it.
    """
    start = OnboardingStart(operation=begun(order, now), order=order, waits=waits)
    await start_operation(client, ONBOARD, order.tenant_id, start)
