"""Field cases, group B: replication lag and concurrency, from the first step to the last."""

from __future__ import annotations

from local.simulators.objects import Lag
from local.simulators.tenant import SimulatedTenant
from tests.driving import outcomes
from tests.end_to_end.test_onboarding import ONCE, end_state
from tests.shared.onboarding.rehearsal import Rehearsal


async def test_probe(rehearsal: Rehearsal, tenant: SimulatedTenant) -> None:
    operation = await rehearsal.onboard(tenant)
    print(operation)
    assert operation["status"] == "succeeded"
    assert end_state(rehearsal, tenant) == ONCE

async def test_probe2(rehearsal: Rehearsal, tenant: SimulatedTenant) -> None:
    tenant.lag = Lag(*[300.0] * 6)
    operation = await rehearsal.onboard(tenant)
    for s in operation["steps"]: print(s["name"], s["outcome"], s["attempts"], s["message"])
    assert operation["status"] == "succeeded"
    assert end_state(rehearsal, tenant) == ONCE
