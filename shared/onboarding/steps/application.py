"""Application: ours in the tenant, with the permissions declared and the certificate registered.

Without a key there is no certificate to register: what it trusts instead depends on the integration
and comes after it (`shared.onboarding.steps.federated_credential`).

Found by unique name or by the appId that the request adopts, never by display name. Key credentials
that are there already stay; the new certificate is added beside them. A soft-deleted application of
ours still holds the unique name, so it is restored instead of made anew; nothing is ever rolled
back by deleting, since that would reserve the name for thirty days.
"""

from __future__ import annotations

from typing import Any

from shared.certificates import public_part
from shared.context import Context
from shared.entra.applications import (
    Application,
    create_application,
    find_application,
    find_deleted,
    restore,
    update_application,
)
from shared.entra.graph import GraphClient
from shared.errors import Refused
from shared.manifest import load_manifest
from shared.models import OnboardingOrder, Outcome, StepCall, StepResult
from shared.outcomes import ended


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Find, make or correct the application, then read it back."""
    order, facts, observed = call.order, call.facts, call.facts.observed_application
    certificate = facts.certificate
    knows = order.keyless or (
        observed is not None
        and certificate is not None
        and certificate.thumbprint in observed.thumbprints
    )
    if observed is not None and observed.declared_right and knows:
        also = "" if order.keyless else " and knows the certificate"
        return ended(
            Outcome.PASSED,
            f"application {observed.app_id} declares the permissions{also}",
            facts=_ids(observed.object_id, observed.app_id),
        )
    if dry_run:
        deed = "made" if observed is None else f"corrected ({observed.app_id})"
        return ended(
            Outcome.PLANNED,
            f"application {order.application_name!r} would be {deed}",
            facts={} if observed is None else _ids(observed.object_id, observed.app_id),
        )
    application, deed = await _upsert(context, context.graph(order.tenant_id), call)
    held = f", with certificate {certificate.thumbprint}" if certificate is not None else ""
    return ended(
        Outcome.CHANGED,
        f"application {application.app_id} was {deed}{held}",
        facts=_ids(application.object_id, application.app_id),
    )


async def _upsert(
    context: Context,
    graph: GraphClient,
    call: StepCall,
) -> tuple[Application, str]:
    order, certificate = call.order, call.facts.certificate
    manifest = load_manifest(order.manifest)
    present = {resource.app_id for resource in call.facts.resources}
    der, key_name = None, order.application_name
    if not order.keyless:
        assert certificate is not None  # the step before this one passed
        pem, proven = await context.vault.pem(certificate), certificate.thumbprint
        der = public_part(pem, now=context.now(), proven=proven)
        key_name = f"{order.application_name} {certificate.not_before:%Y-%m-%d}"[:90]
    # Judged by preflight, since this step may have been called before.
    deed = "made" if call.facts.observed_application is None else "corrected"
    application = await find_application(graph, order.application_name, adopt=order.adopt)
    if application is None:
        try:
            made = await create_application(
                graph,
                name=order.application_name,
                manifest=manifest,
                present=present,
                certificate_der=der,
                key_display_name=key_name,
            )
        except Refused as error:
            if error.code != "unique_name_taken":
                raise
            application, deed = await _restored(graph, order, error), "restored"
        else:
            return made, "made"
    application = await update_application(
        graph,
        application,
        manifest=manifest,
        present=present,
        unique_name=order.application_name,
        certificate_der=der,
        key_display_name=key_name,
        now=context.now(),
    )
    return application, deed


async def _restored(graph: GraphClient, order: OnboardingOrder, taken: Refused) -> Application:
    """Our own soft-deleted application, brought back."""
    deleted = await find_deleted(graph, order.application_name)
    if deleted is None:
        raise taken
    if not deleted.ours:
        raise Refused(
            "application_name_taken",
            f"the unique name {order.application_name!r} is held by the deleted application"
            f" {deleted.app_id}, which does not carry our mark",
            remediation="Purge it under Deleted applications, or use another application name.",
            tenant_id=order.tenant_id,
            request_id=taken.request_id,
        ) from taken
    return await restore(graph, deleted.object_id)


def _ids(object_id: str, app_id: str) -> dict[str, Any]:
    return {"application_object_id": object_id, "app_id": app_id}
