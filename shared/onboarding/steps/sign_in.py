"""Sign-in: the proof that the application works, before Mondoo is told of it.

We sign in as the new application with its certificate, compare the roles in each token with what
was granted, and read once from each service. A service that still refuses may not have heard of the
role or the grant yet, so the step waits, with a new token each time (a cached one keeps the roles
it was made with: microsoft-graph-docs issue 4765).
"""

from __future__ import annotations

from shared.certificates import read_bundle
from shared.context import Context
from shared.entra.sign_in import Probe, prove
from shared.manifest import Manifest, load_manifest
from shared.models import Facts, Outcome, StepCall, StepResult
from shared.outcomes import ended


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Sign in and read; nothing is changed, so the outcome is ``passed`` or no success at all."""
    facts = call.facts
    if dry_run and (call.changed or facts.certificate is None or facts.app_id is None):
        return ended(Outcome.PLANNED, "the application would sign in and read from each service")
    assert facts.certificate is not None
    assert facts.app_id is not None
    assert facts.initial_domain is not None
    manifest = load_manifest(call.order.manifest)
    pem, proven = await context.vault.pem(facts.certificate), facts.certificate.thumbprint
    answers = await prove(
        context.settings,
        context.http,
        tenant_id=call.order.tenant_id,
        initial_domain=facts.initial_domain,
        app_id=facts.app_id,
        # Of a chain, azure-identity would take the first certificate, whosever it is.
        pem=read_bundle(pem, now=context.now(), proven=proven).pem(),
        probes=_probes(manifest, facts),
    )
    return ended(Outcome.PASSED, "; ".join(answer.message for answer in answers))


def _probes(manifest: Manifest, facts: Facts) -> list[Probe]:
    """One probe for each service that something was granted on."""
    granted = {key: set[str]() for key in (resource.app_id for resource in manifest.resources)}
    for key in facts.granted:
        app_id, role = key.split("/")
        granted.setdefault(app_id, set()).add(role)
    return [
        Probe(
            service=resource.service,
            name=resource.name,
            roles=frozenset(
                permission.name
                for permission in manifest.permissions
                if permission.resource == resource.service
                and permission.id in granted[resource.app_id]
            ),
        )
        for resource in manifest.resources
        if granted[resource.app_id]
    ]
