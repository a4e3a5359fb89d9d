"""The service principal and the application, in this order.

Softly by default: for thirty days both can be restored, which is what an onboarding of the same
tenant does. With ``purge`` they are deleted for good.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.context import Context
from shared.entra import removal
from shared.entra.graph import GraphClient
from shared.models import ObjectKind, StepResult
from shared.offboarding.calls import OffboardingCall
from shared.offboarding.entries import concluded, looked_at, present

_DELETED = "directory/deletedItems"
_Delete = Callable[[GraphClient, str], Awaitable[None]]


async def remove_principal(context: Context, call: OffboardingCall) -> StepResult:
    """Delete the service principal, and read that it is gone."""
    kind = ObjectKind.SERVICE_PRINCIPAL
    return await _remove(
        context, call, kind, removal.delete_principal, "servicePrincipals", "service principals"
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
