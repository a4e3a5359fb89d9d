"""The service principal and the application, in this order.

Softly by default: for thirty days both can be restored, which is what an onboarding of the same
tenant does. With ``purge`` they are deleted for good. Delegated grants, which somebody gave by
hand, go with the service principal; that they are gone is read as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from shared.context import Context
from shared.entra import removal
from shared.entra.delegated_grants import list_delegated
from shared.entra.graph import GraphClient
from shared.models import ObjectKind, StepResult, from_json, to_json
from shared.offboarding.calls import OffboardingCall, OffboardingFacts
from shared.offboarding.entries import concluded, looked_at, present

_DELETED = "directory/deletedItems"
_Delete = Callable[[GraphClient, str], Awaitable[None]]


async def remove_principal(context: Context, call: OffboardingCall) -> StepResult:
    """Delete the service principal, and read that it and what hangs on it are gone."""
    kind = ObjectKind.SERVICE_PRINCIPAL
    result = await _remove(
        context, call, kind, removal.delete_principal, "servicePrincipals", "service principals"
    )
    grants = present(call.facts, ObjectKind.DELEGATED_GRANT)
    if not grants or result.outcome.stops or result.wait is not None:
        return result
    assert call.facts.principal_id is not None  # grants were found on it
    graph = context.graph(call.order.tenant_id)
    still = {one.id for one in await list_delegated(graph, call.facts.principal_id)}
    facts = from_json(to_json(call.facts) | result.facts, OffboardingFacts)
    until = None if call.order.purge else context.now() + removal.KEPT_FOR
    entries = looked_at(
        facts,
        ObjectKind.DELEGATED_GRANT,
        still,
        context.now(),
        recoverable_until=until,
        message=None if until is None else "it went with the service principal, as it would return",
    )
    return msgspec.structs.replace(
        result, facts=result.facts | {"entries": [to_json(each) for each in entries]}
    )


async def remove_application(context: Context, call: OffboardingCall) -> StepResult:
    """Delete the application, and read that it is gone."""
    kind = ObjectKind.APPLICATION
    return await _remove(
        context, call, kind, removal.delete_application, "applications", "applications"
    )


async def _remove(
    context: Context,
    call: OffboardingCall,
    kind: ObjectKind,
    delete: _Delete,
    collection: str,
    what: str,
) -> StepResult:
    graph, purge = context.graph(call.order.tenant_id), call.order.purge
    still = set()
    for entry in present(call.facts, kind):
        await delete(graph, entry.id)
        there = await removal.exists(graph, collection, entry.id)
        if not there and purge:
            await removal.purge(graph, entry.id)
            there = await removal.exists(graph, _DELETED, entry.id)
        if there:
            still.add(entry.id)
    now = context.now()
    until = None if purge else now + removal.KEPT_FOR
    return concluded(kind, looked_at(call.facts, kind, still, now, recoverable_until=until), what)
