"""Policies: the chosen Microsoft 365 policies active in the space.

Without an active policy an integration yields an inventory and no findings. Policies that somebody
else made active are left as they are.
"""

from __future__ import annotations

from shared.context import Context
from shared.models import Outcome, StepCall, StepResult
from shared.mondoo import policies
from shared.outcomes import ended, not_yet


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Activate what is not active, then list again."""
    order = call.order
    if dry_run and order.new_space is not None and call.facts.integration is None:
        return ended(Outcome.PLANNED, f"would be activated: {_listed(order.policies)}")
    active = await policies.active(context.mondoo, order.space)
    missing = [mrn for mrn in order.policies if mrn not in active]
    if not missing:
        return ended(Outcome.PASSED, f"active: {_listed(order.policies)}")
    if dry_run:
        return ended(Outcome.PLANNED, f"would be activated: {_listed(missing)}")
    await policies.activate(context.mondoo, order.space, missing)
    active = await policies.active(context.mondoo, order.space)
    unseen = [mrn for mrn in missing if mrn not in active]
    if unseen:
        return not_yet(
            "policy_not_active",
            f"activated, but not listed as active yet: {_listed(unseen)}",
            remediation="Send the request again; look at the policies of the space.",
        )
    return ended(Outcome.CHANGED, f"activated: {_listed(missing)}")


def _listed(mrns: list[str]) -> str:
    return ", ".join(mrn.rsplit("/", 1)[-1] for mrn in mrns)
