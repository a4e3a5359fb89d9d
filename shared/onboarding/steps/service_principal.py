"""Service principal: the application's presence in the tenant, enabled and marked as ours."""

from __future__ import annotations

from shared.context import Context
from shared.entra.service_principals import ensure_principal
from shared.models import Outcome, StepCall, StepResult
from shared.outcomes import ended


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Find, make or correct the service principal, then read it back."""
    facts, observed = call.facts, call.facts.observed_principal
    if observed is not None and observed.enabled and observed.marked:
        return ended(
            Outcome.PASSED,
            f"service principal {observed.object_id} is there and enabled",
            facts={"service_principal_id": observed.object_id},
        )
    if dry_run:
        deed = "made" if observed is None else "enabled and marked"
        return ended(Outcome.PLANNED, f"the service principal would be {deed}")
    assert facts.app_id is not None  # the step before this one passed
    principal = await ensure_principal(context.graph(call.order.tenant_id), facts.app_id)
    return ended(
        Outcome.CHANGED,
        f"service principal {principal.object_id} was "
        + ("made" if observed is None else "enabled and marked"),
        facts={"service_principal_id": principal.object_id},
    )
