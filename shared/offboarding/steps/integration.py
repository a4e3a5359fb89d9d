"""Integration: Mondoo stops scanning the tenant, before its credentials go.

The tenant's assets stay in the space until they age out; they are results, not a connection.
"""

from __future__ import annotations

from shared.context import Context
from shared.errors import Refused
from shared.models import ObjectKind, StepResult
from shared.mondoo import integrations
from shared.offboarding.calls import OffboardingCall
from shared.offboarding.entries import concluded, looked_at, present

_KIND = ObjectKind.INTEGRATION
_GONE = "mondoo_not_found"


async def run(context: Context, call: OffboardingCall) -> StepResult:
    """Delete every integration of ours, and read that it is gone."""
    still = set()
    for entry in present(call.facts, _KIND):
        await _delete(context, entry.id)
        if await _exists(context, entry.id):
            still.add(entry.id)
    entries = looked_at(call.facts, _KIND, still, context.now())
    return concluded(_KIND, entries, "integrations")


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
