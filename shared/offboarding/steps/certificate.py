"""Certificate: gone from the vault, with its private key and all its versions.

Softly by default. With ``purge`` it is deleted for good, if the vault allows it: under purge
protection nobody can, and the receipt says when it goes by itself.
"""

from __future__ import annotations

from shared.context import Context
from shared.models import ObjectKind, StepResult
from shared.offboarding.calls import OffboardingCall
from shared.offboarding.entries import concluded, looked_at, present
from shared.vault import lifecycle

_KIND = ObjectKind.CERTIFICATE


async def run(context: Context, call: OffboardingCall) -> StepResult:
    """Delete the certificate, and read that it is gone."""
    vault, name = context.vault, call.order.certificate
    if not present(call.facts, _KIND):
        return concluded(_KIND, call.facts.entries, "certificates")
    await lifecycle.delete(vault, name)
    there = await vault.read(name) is not None
    deleted = await lifecycle.read_deleted(vault, name)
    caution = None
    if call.order.purge and deleted is not None:
        if deleted.purgeable:
            await lifecycle.purge(vault, name)
            deleted = await lifecycle.read_deleted(vault, name)
            there = there or deleted is not None
        else:
            caution = (
                "the vault has purge protection, so the certificate stays among the deleted ones"
                " until its retention ends"
            )
    entries = looked_at(
        call.facts,
        _KIND,
        {name} if there else (),
        context.now(),
        recoverable_until=deleted.purged_at if deleted is not None else None,
        message=caution,
    )
    return concluded(_KIND, entries, "certificates", caution=caution)
