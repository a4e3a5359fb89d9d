"""Before Mondoo is touched: the ground looked at, a new version made, registered and proven.

Until all of this succeeded Mondoo signs in with the old certificate, and nothing here changes that.
A new version that never signs in is taken back again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from shared.certificates import public_part, read_bundle
from shared.context import Context
from shared.entra.applications import add_certificate, read_object, remove_certificates
from shared.errors import OutcomeUnknown, Refused, Unusable
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
from shared.onboarding.steps import preflight as onboarding_preflight
from shared.onboarding.steps import sign_in as onboarding_sign_in
from shared.onboarding.steps.certificate import too_long
from shared.outcomes import ended, failed, learned, look_again
from shared.rights import ROTATION_RIGHTS
from shared.rotation import progress
from shared.transitions import RotationEvent, RotationState
from shared.vault import lifecycle

_DONE_BEFORE = "done by an earlier operation"


async def preflight(context: Context, call: StepCall) -> StepResult:
    """The same look as before an onboarding, and something must be there to rotate."""
    result = await onboarding_preflight.look(context, call.order, ROTATION_RIGHTS)
    if result.code == "adopt_not_found":
        return _missing(call)
    if result.outcome.stops or result.wait is not None:
        return result
    seen = from_json(to_json(call.facts) | result.facts, Facts)
    application, principal = seen.observed_application, seen.observed_principal
    if application is None or principal is None:
        return _missing(call)
    keyless = await _keyless(context, call)
    if keyless is not None:
        return keyless
    rotation = await progress.begin(context, call.order)
    facts: dict[str, Any] = {
        "application_object_id": application.object_id,
        "app_id": application.app_id,
        "service_principal_id": principal.object_id,
        "granted": principal.granted,
        "certificate": rotation.new,
    }
    return msgspec.structs.replace(
        result,
        message=f"the rotation of certificate {rotation.old.name} is {rotation.state}",
        facts=result.facts | learned(facts),
    )


async def certificate(context: Context, call: StepCall) -> StepResult:
    """Find or make the new version. One that is newer than ours (made by hand, or by an authority)
    is taken as it is."""
    order, facts = call.order, call.facts
    rotation = await progress.read(context, order.tenant_id)
    if rotation.state is not RotationState.BEGUN:
        return ended(Outcome.PASSED, _DONE_BEFORE, facts={"certificate": rotation.new})
    old = rotation.old
    stored = await context.vault.at(order.certificate_vault).read(old.name)
    if (
        stored is not None
        and stored.enabled
        and stored.reference.version != old.version
        and not too_long(stored.reference, facts)
        and await _usable(context, stored.reference)
    ):
        new, deed = stored.reference, "was found in the vault"
    elif order.certificate is not None:
        return failed(
            "certificate_not_renewed",
            f"certificate {old.name} is the administrator's own, and the vault has no newer version"
            " of it that could be used",
            remediation="Make a new version in its vault; it is taken over when it is there. Or"
            " onboard the tenant again and name no certificate; then one of ours is made.",
        )
    else:
        days = context.settings.certificate_validity_days
        if facts.longest_certificate_days is not None:
            days = min(days, facts.longest_certificate_days)
        try:
            new = await context.vault.issue(old.name, days=days, tenant_id=order.tenant_id)
        except OutcomeUnknown as error:
            raise look_again(error) from error
        read_bundle(await context.vault.pem(new), now=context.now())
        deed = "was made"
    await progress.advance(context, order.tenant_id, RotationEvent.VERSION_MADE, new=new)
    return ended(
        Outcome.CHANGED,
        f"version {new.version} (thumbprint {new.thumbprint}, valid until"
        f" {new.not_after:%Y-%m-%d}) {deed}",
        facts={"certificate": new},
    )


async def register(context: Context, call: StepCall) -> StepResult:
    """Add the new public part beside all that is there, and read it back."""
    order, facts = call.order, call.facts
    rotation = await progress.read(context, order.tenant_id)
    if rotation.state is not RotationState.ISSUED:
        return ended(Outcome.PASSED, _DONE_BEFORE)
    assert facts.certificate is not None  # an earlier step passed
    assert facts.application_object_id is not None
    graph, now = context.graph(order.tenant_id), context.now()
    pem, proven = await context.vault.pem(facts.certificate), facts.certificate.thumbprint
    der = public_part(pem, now=now, proven=proven)
    application = await add_certificate(
        graph,
        await read_object(graph, facts.application_object_id),
        certificate_der=der,
        key_display_name=f"{order.application_name} {facts.certificate.not_before:%Y-%m-%d}",
        now=now,
    )
    await progress.advance(context, order.tenant_id, RotationEvent.KEY_REGISTERED)
    return ended(
        Outcome.CHANGED,
        f"application {application.app_id} knows {facts.certificate.thumbprint} beside the"
        f" {len(application.key_credentials) - 1} that stay",
    )


async def sign_in(context: Context, call: StepCall) -> StepResult:
    """Sign in with the new one and read from each service."""
    rotation = await progress.read(context, call.order.tenant_id)
    if rotation.state is not RotationState.REGISTERED:
        return ended(Outcome.PASSED, _DONE_BEFORE)
    result = await onboarding_sign_in.run(context, call)
    if not result.outcome.stops and result.wait is None:
        await progress.advance(context, call.order.tenant_id, RotationEvent.SIGN_IN_PROVEN)
    return result


async def withdraw(context: Context, call: StepCall) -> StepResult:
    """Take a new version that does not sign in out of the tenant, and switch it off in the vault,
    unless it is the administrator's. The old one goes on working; the next rotation makes another
    version, or takes theirs."""
    order, facts = call.order, call.facts
    rotation = await progress.read(context, order.tenant_id)
    new = rotation.new
    if rotation.state is not RotationState.REGISTERED or new is None:
        return ended(Outcome.SKIPPED, f"nothing to take back: the rotation is {rotation.state}")
    assert facts.application_object_id is not None  # an earlier step passed
    graph = context.graph(order.tenant_id)
    application = await read_object(graph, facts.application_object_id)
    await remove_certificates(graph, application, unwanted=new.thumbprint, now=context.now())
    if order.certificate is None:
        await lifecycle.disable(context.vault, new)
    await progress.advance(context, order.tenant_id, RotationEvent.SIGN_IN_REFUSED)
    return ended(
        Outcome.CHANGED,
        f"the new certificate {new.thumbprint} was taken back; {rotation.old.thumbprint} goes on",
    )


async def _keyless(context: Context, call: StepCall) -> StepResult | None:
    """A move to keyless that did not end is not for a rotation to take back."""
    record = await context.records.get(call.order.tenant_id)
    if record is None or record.integration is None:
        return None
    try:
        integration = await integrations.read(context.mondoo, record.integration)
    except Refused as error:
        if error.code != "mondoo_not_found":
            raise
        return None
    if not integration.keyless:
        return None
    return failed(
        "rotation_overtaken",
        f"integration {integration.mrn} signs in without a certificate by now",
        remediation='Onboard the tenant again with the "authentication" that is wanted; then there'
        " is one certificate to rotate, or none.",
    )


def _missing(call: StepCall) -> StepResult:
    return failed(
        "application_missing",
        f"application {call.order.application_name!r}, or its service principal, is gone from"
        f" tenant {call.order.tenant_id}",
        remediation="Onboard the tenant again with POST /api/tenants; it makes what is missing.",
    )


async def _usable(context: Context, reference: CertificateReference) -> bool:
    try:
        read_bundle(await context.vault.pem(reference), now=context.now())
    except Unusable:
        return False
    return True
