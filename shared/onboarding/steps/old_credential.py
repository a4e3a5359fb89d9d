"""Old credential: what the tenant was left with by the other way of signing in.

A tenant that is moved between certificate and keyless has both on its application until a scan has
proven the new one, so that it can be moved back at any moment; then the old one goes, since a
credential that nobody uses is only good for somebody else. Only what we added is removed: key
credentials by our name, the federated credential by our mark. In the vault the certificate is
switched off and stays; onboarding with a certificate again makes a new version.
"""

from __future__ import annotations

from shared.context import Context
from shared.entra.applications import read_object, remove_certificates
from shared.entra.federated_credentials import distrust, list_credentials
from shared.models import Outcome, StepCall, StepResult, TenantRecord
from shared.outcomes import ended
from shared.vault import lifecycle


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Remove it and read back.

    Raises:
        NotYet: reading does not show it yet.
    """
    if call.order.keyless:
        return await _certificates(context, call, dry_run=dry_run)
    return await _federated(context, call, dry_run=dry_run)


async def _certificates(context: Context, call: StepCall, *, dry_run: bool) -> StepResult:
    order, object_id = call.order, call.facts.application_object_id
    if dry_run:
        return ended(Outcome.PLANNED, "certificates of ours would be removed, where there are any")
    assert object_id is not None  # earlier steps passed
    record = await context.records.get(order.tenant_id)
    off = record is not None and await _switched_off(context, record)
    graph = context.graph(order.tenant_id)
    application = await read_object(graph, object_id)
    left = await remove_certificates(graph, application, now=context.now())
    removed = len(application.key_credentials) - len(left.key_credentials)
    if not removed and not off:
        return ended(Outcome.PASSED, "no certificate of ours is on the application")
    what = "the certificate" if removed == 1 else f"{removed} certificates"
    deeds = [f"{what} of ours was removed from the application"] if removed else []
    deeds += ["it was switched off in the vault"] if off else []
    return ended(Outcome.CHANGED, "; ".join(deeds))


async def _switched_off(context: Context, record: TenantRecord) -> bool:
    """Whether versions were switched off in the vault now. The administrator's own certificate
    carries no mark, or is in another vault, and is theirs to switch off."""
    used, rotation = record.certificate, record.rotation
    if used is None or used.vault != context.vault.url:
        return False
    stored = await context.vault.read(used.name)
    if stored is None or not stored.marked:
        return False
    known = [used]
    if rotation is not None and not rotation.state.over:
        # One that is under way leaves two that work.
        known += [each for each in (rotation.old, rotation.new) if each is not None]
    ours = {
        each.version: each for each in known if (each.vault, each.name) == (used.vault, used.name)
    }
    # The newest last: as long as it is on, a run that stopped here is seen to be unfinished.
    ours.pop(stored.reference.version, None)
    for reference in (*ours.values(), stored.reference):
        await lifecycle.disable(context.vault, reference)
    return stored.enabled


async def _federated(context: Context, call: StepCall, *, dry_run: bool) -> StepResult:
    object_id = call.facts.application_object_id
    if object_id is None:
        return ended(Outcome.PLANNED, "the federated credential would be removed")
    graph = context.graph(call.order.tenant_id)
    if dry_run:
        there = any(each.ours for each in await list_credentials(graph, object_id))
        return ended(
            Outcome.PLANNED if there else Outcome.PASSED,
            "the federated credential would be removed" if there else "it is gone already",
        )
    removed = await distrust(graph, object_id)
    return ended(
        Outcome.CHANGED if removed else Outcome.PASSED,
        "the application does not trust Mondoo's tokens any more"
        if removed
        else "the application does not trust Mondoo's tokens",
    )
