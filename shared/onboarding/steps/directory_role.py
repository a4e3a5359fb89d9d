"""Directory role: Global Reader for the service principal, tenant-wide.

Exchange Online and Teams answer an application only if it holds a directory role besides its
permissions (Exchange app-only documentation; maester issue 718).
"""

from __future__ import annotations

from shared.context import Context
from shared.entra.directory_roles import assign
from shared.manifest import load_manifest
from shared.models import Outcome, StepCall, StepResult
from shared.outcomes import ended


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Assign the role unless it is, then read it back."""
    role = load_manifest(call.order.manifest).directory_roles[0]
    observed = call.facts.observed_principal
    if observed is not None and observed.global_reader:
        return ended(Outcome.PASSED, f"{role.name} is assigned")
    if dry_run:
        return ended(Outcome.PLANNED, f"{role.name} would be assigned")
    principal_id = call.facts.service_principal_id
    assert principal_id is not None  # the step before this one passed
    await assign(context.graph(call.order.tenant_id), principal_id, role.template_id)
    return ended(Outcome.CHANGED, f"{role.name} was assigned")
