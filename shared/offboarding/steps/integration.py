"""Integrations: Mondoo stops scanning the tenant, before its credentials go.

The tenant's assets stay in the space until they age out; they are results, not a connection.
"""

from __future__ import annotations

from shared.context import Context
from shared.errors import Refused
from shared.models import ObjectKind, StepResult
from shared.mondoo import integrations
from shared.offboarding.calls import OffboardingCall
from shared.offboarding.entries import concluded, looked_at, present

_GONE = "mondoo_not_found"


async def run(context: Context, call: OffboardingCall) -> StepResult:
    """Delete every Microsoft 365 integration of ours, and read that it is gone."""
    return await _remove(context, call, ObjectKind.INTEGRATION, "integrations")


async def run_azure(context: Context, call: OffboardingCall) -> StepResult:
    """The same for Azure integrations."""
    return await _remove(context, call, ObjectKind.AZURE_INTEGRATION, "Azure integrations")


async def _remove(
    context: Context, call: OffboardingCall, kind: ObjectKind, what: str
) -> StepResult:
    still = set()
    for entry in present(call.facts, kind):
        await _delete(context, entry.id)
        if await _exists(context, entry.id):
            still.add(entry.id)
    return concluded(kind, looked_at(call.facts, kind, still, context.now()), what)


async def _delete(context: Context, mrn: str) -> None:
    try:
        await integrations.delete(context.mondoo, mrn)
    except Refused as error:
        if error.code != _GONE:
            raise


async def _exists(context: Context, mrn: str) -> bool:
    try:
        found = await integrations.read(context.mondoo, mrn)
    except Refused as error:
        if error.code != _GONE:
            raise
        return False
    return found.status != "DELETED"
