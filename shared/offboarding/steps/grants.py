"""Directory roles and permissions of our service principal, taken away one by one.

They would come back with a restored service principal, so they go before it does.
"""

from __future__ import annotations

from shared.context import Context
from shared.entra.app_role_assignments import list_grants
from shared.entra.corrections import revoke_request, send, unassign_request
from shared.entra.directory_roles import list_assignments
from shared.models import ObjectKind, StepResult
from shared.offboarding.calls import OffboardingCall
from shared.offboarding.entries import concluded, looked_at, present


async def remove_roles(context: Context, call: OffboardingCall) -> StepResult:
    """Take the directory roles away, then list them again."""
    kind, facts = ObjectKind.DIRECTORY_ROLE, call.facts
    wanted = {entry.id for entry in present(facts, kind)}
    if not wanted:
        return concluded(kind, facts.entries, "directory roles")
    assert facts.principal_id is not None  # roles were found on it
    graph = context.graph(call.order.tenant_id)
    held = [one for one in await list_assignments(graph, facts.principal_id) if one.id in wanted]
    requests = [unassign_request(number, one) for number, one in enumerate(held)]
    answers = await send(graph, requests, what="removing directory roles")
    still = {one.id for one in await list_assignments(graph, facts.principal_id)}
    entries = looked_at(facts, kind, still, context.now())
    return concluded(kind, entries, "directory roles", [each for each in answers if each])


async def remove_permissions(context: Context, call: OffboardingCall) -> StepResult:
    """Take the granted permissions away, then list them again."""
    kind, facts = ObjectKind.PERMISSION, call.facts
    wanted = {entry.id for entry in present(facts, kind)}
    if not wanted:
        return concluded(kind, facts.entries, "permissions")
    assert facts.principal_id is not None  # permissions were found on it
    graph = context.graph(call.order.tenant_id)
    held = [one for one in await list_grants(graph, facts.principal_id) if one.id in wanted]
    requests = [revoke_request(number, one) for number, one in enumerate(held)]
    answers = await send(graph, requests, what="revoking permissions")
    still = {one.id for one in await list_grants(graph, facts.principal_id)}
    entries = looked_at(facts, kind, still, context.now())
    return concluded(kind, entries, "permissions", [each for each in answers if each])
