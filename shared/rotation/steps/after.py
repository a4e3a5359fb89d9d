"""From the hand-over on: Mondoo gets the new one and scans with it; then the old one goes.

The old public part is removed only when the integration is known to hold the new certificate and
the tenant to know it; whoever changed either in the meantime is not overruled.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from shared.context import Context
from shared.entra.applications import read_object, remove_certificates
from shared.entra.key_credentials import is_ours, thumbprint
from shared.errors import Refused
from shared.models import (
    CertificateReference,
    Facts,
    Outcome,
    StepCall,
    StepResult,
    from_json,
    to_json,
)
from shared.mondoo import integrations
from shared.mondoo.azure_integrations import AzureIntegration
from shared.mondoo.integrations import THUMBPRINT_LABEL
from shared.onboarding.steps import first_scan as onboarding_scan
from shared.onboarding.steps import integration as onboarding_integration
from shared.outcomes import ended, not_yet
from shared.rotation import progress
from shared.subscriptions import renew_certificate
from shared.transitions import RotationEvent, RotationState
from shared.vault import lifecycle

_DONE_BEFORE = "done by an earlier operation"


async def integration(context: Context, call: StepCall) -> StepResult:
    """Give Mondoo the new certificate, and read back that it has it."""
    tenant_id = call.order.tenant_id
    rotation = await progress.read(context, tenant_id)
    result = await onboarding_integration.run(context, call)
    if result.outcome.stops or result.wait is not None:
        return result
    azure = await _azure_integration(context, call)
    if azure is not None:
        told = f"{result.message}; so has the Azure integration {azure.mrn}"
        result = msgspec.structs.replace(result, message=told)
    if rotation.state is RotationState.PROVEN:
        mrn = from_json(to_json(call.facts) | result.facts, Facts).integration
        event = RotationEvent.INTEGRATION_UPDATED
        await progress.advance(context, tenant_id, event, integration=mrn)
    return result


async def _azure_integration(context: Context, call: StepCall) -> AzureIntegration | None:
    """Mondoo's Azure integration signs in with the same certificate, so it gets the new one too."""
    order, facts = call.order, call.facts
    record = await context.records.get(order.tenant_id)
    if record is None or record.azure_integration is None:
        return None
    assert facts.app_id is not None  # the integration was found by it
    assert facts.certificate is not None
    return await renew_certificate(
        context,
        space=order.space,
        tenant_id=order.tenant_id,
        app_id=facts.app_id,
        certificate=facts.certificate,
        operation_id=order.operation_id,
    )


async def scan(context: Context, call: StepCall) -> StepResult:
    """Wait until Mondoo has scanned with the new certificate; then the overlap begins."""
    tenant_id = call.order.tenant_id
    rotation = await progress.read(context, tenant_id)
    if rotation.state is not RotationState.HANDED_OVER:
        return ended(Outcome.PASSED, _DONE_BEFORE)
    result = await onboarding_scan.run(
        context, StepCall(order=call.order, facts=call.facts, changed=True)
    )
    if result.outcome.stops or result.wait is not None:
        return result
    seen = from_json(to_json(call.facts) | result.facts, Facts)
    await progress.advance(
        context,
        tenant_id,
        RotationEvent.SCAN_FINISHED,
        overlap=timedelta(hours=context.settings.rotation_overlap_hours),
        scanned_at=seen.scanned_at,
    )
    return result


async def overlap(context: Context, call: StepCall) -> StepResult:
    """Wait out a short overlap; a long one is left to the daily run, and the tenant set free."""
    rotation = await progress.read(context, call.order.tenant_id)
    until = rotation.overlap_until
    left = (until - context.now()).total_seconds() if until is not None else 0.0
    if rotation.state is not RotationState.SCANNED or left <= 0:
        return ended(Outcome.PASSED, "the overlap is over")
    message = f"the old certificate stays registered until {until:%Y-%m-%d %H:%M:%S} UTC"
    if left > context.settings.waits.propagation_deadline:
        return ended(Outcome.PLANNED, f"{message}; the daily run then removes it")
    return not_yet(
        "overlap_running",
        message,
        remediation="Nothing to do: the daily run goes on when the overlap is over.",
        retry_after=left,
    )


async def retire(context: Context, call: StepCall) -> StepResult:
    """Remove the old public part from the tenant, and read back that it is gone."""
    order, facts = call.order, call.facts
    rotation = await progress.read(context, order.tenant_id)
    if rotation.state is not RotationState.SCANNED:
        return ended(Outcome.PASSED, _DONE_BEFORE)
    new = rotation.new
    assert new is not None  # the rotation has come far beyond making it
    assert facts.application_object_id is not None
    assert facts.integration is not None
    graph = context.graph(order.tenant_id)
    application = await read_object(graph, facts.application_object_id)
    await _check(context, facts.integration, application.thumbprints(), new, order.tenant_id)
    # It may have been touched since; without it the old certificate would be missed there.
    await _azure_integration(context, call)
    old = rotation.old.thumbprint
    held = [each for each in application.key_credentials if thumbprint(each) == old]
    if held and not all(is_ours(each) for each in held):
        result = ended(
            Outcome.WARNING,
            f"the old certificate {old} was registered by somebody else, so it stays in the tenant",
        )
    elif old == new.thumbprint or not held:
        result = ended(Outcome.PASSED, f"the old certificate {old} is not registered any more")
    else:
        await remove_certificates(graph, application, unwanted=old, now=context.now())
        result = ended(Outcome.CHANGED, f"the old certificate {old} was removed from the tenant")
    await progress.advance(context, order.tenant_id, RotationEvent.OLD_KEY_REMOVED)
    return result


async def disable(context: Context, call: StepCall) -> StepResult:
    """Switch the old version off in the vault. It stays there: a key that is off harms nobody."""
    tenant_id = call.order.tenant_id
    rotation = await progress.read(context, tenant_id)
    if rotation.state is not RotationState.RETIRED:
        return ended(Outcome.PASSED, _DONE_BEFORE)
    old, new = rotation.old, rotation.new
    assert new is not None  # the rotation has come far beyond making it
    if call.order.certificate is not None:
        await progress.advance(context, tenant_id, RotationEvent.OLD_VERSION_DISABLED)
        return ended(Outcome.PASSED, f"version {old.version} of {old.name} is theirs, and stays on")
    same = (old.name, old.version) == (new.name, new.version)
    switched = not same and await lifecycle.disable(context.vault, old)
    await progress.advance(context, tenant_id, RotationEvent.OLD_VERSION_DISABLED)
    if not switched:
        return ended(Outcome.PASSED, f"the vault has no old version of certificate {old.name}")
    return ended(Outcome.CHANGED, f"version {old.version} of certificate {old.name} is off")


async def _check(
    context: Context,
    mrn: str,
    registered: list[str],
    new: CertificateReference,
    tenant_id: str,
) -> None:
    """Nothing may be taken away unless what replaces it is in place."""
    label = (await integrations.read(context.mondoo, mrn)).labels.get(THUMBPRINT_LABEL)
    if label == new.thumbprint and new.thumbprint in registered:
        return
    holder = "the integration holds another certificate"
    if label == new.thumbprint:
        holder = "the tenant does not know the new certificate any more"
    raise Refused(
        "rotation_overtaken",
        f"the old certificate was not removed, because {holder}",
        remediation="Onboard the tenant again with POST /api/tenants, then rotate again.",
        tenant_id=tenant_id,
    )
