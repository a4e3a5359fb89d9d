"""HTTP: an administrator's own key and certificate, uploaded once.

PUT /api/tenants/{tenant}/certificate    200 with the reference

The body is the PEM itself. It is checked and goes into Key Vault within the request: it enters no
orchestration, no record and no log, and the answer holds the reference only. What is refused is
refused with a code for each reason. The new version is taken into use by onboarding the tenant, or
by rotating its certificate.
"""

from __future__ import annotations

import azure.durable_functions as df
import azure.functions as func
from msgspec import Struct

from shared.certificates import read_bundle
from shared.context import Context
from shared.entra.tenants import resolve_tenant
from shared.errors import InvalidRequest
from shared.models import CertificateReference
from shared.triggers.access import Gate
from shared.triggers.bodies import LARGEST_BODY
from shared.triggers.problems import answering, json_response
from shared.vault.certificates import certificate_name, is_own


class Stored(Struct, rename="camel"):
    """The answer: where the certificate is now, and what takes it into use."""

    tenant_id: str
    certificate: CertificateReference
    links: dict[str, str]


def certificate_functions(context: Context) -> df.Blueprint:
    """The blueprint of the upload."""
    blueprint = df.Blueprint()
    gate = Gate(context.settings)

    @blueprint.function_name("put_certificate")
    @blueprint.route(route="tenants/{tenant}/certificate", methods=["PUT"])
    @answering
    @gate.changes
    async def put_certificate(req: func.HttpRequest) -> func.HttpResponse:
        body = req.get_body()
        if len(body) > LARGEST_BODY:
            raise InvalidRequest(
                "body_too_large",
                f"the body has {len(body)} bytes; {LARGEST_BODY} are allowed",
                remediation="Send one private key and its certificate.",
                field="(body)",
            )
        bundle = read_bundle(body, now=context.now())
        tenant_id = await resolve_tenant(context.settings, context.http, req.route_params["tenant"])
        record = await context.records.get(tenant_id)
        known = record.application_name if record is not None else None
        known = known or context.settings.application_name
        used = record.certificate if record is not None else None
        if used is not None and is_own(used, context.vault.url, known, tenant_id):
            raise InvalidRequest(
                "certificate_is_own",
                f"tenant {tenant_id} uses certificate {used.name} of the vault {used.vault}",
                remediation=f"Make a new version of {used.name} in the vault.",
                field="tenant",
                tenant_id=tenant_id,
            )
        name = certificate_name(known, tenant_id)
        reference = await context.vault.take_in(name, bundle, tenant_id=tenant_id)
        links = {"rotate": f"/api/tenants/{tenant_id}/rotate"} if used is not None else {}
        return json_response(Stored(tenant_id, reference, {"onboard": "/api/tenants", **links}))

    return blueprint
