"""Preflight: look at everything, change nothing, and name every missing thing at once.

The only thing it writes is our own record, so that the tenant is in sight from now on.

Four looks, side by side: our rights in the tenant (the roles in our own token), the tenant as it is
(one batch of reads), the vault, and the Mondoo space. Whatever is missing in any of them is
collected; a look that could not be taken for now (throttling, an outage) makes the step wait,
unless something else is missing for good.

What was seen is passed on as facts, so that later steps which find their goal reached need not read
again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

import msgspec

from shared.context import Context
from shared.entra.observation import Observation, observe, read_names
from shared.errors import NotYet, Refused
from shared.manifest import Manifest, load_manifest
from shared.models import (
    Finding,
    ObservedApplication,
    ObservedPrincipal,
    OnboardingOrder,
    Outcome,
    Severity,
    StepCall,
    StepResult,
)
from shared.mondoo import spaces
from shared.mondoo.diagnosis import explained
from shared.onboarding.steps import own_certificate, record
from shared.onboarding.steps.policies import choose, unknown
from shared.outcomes import ended, finding_of, learned, refused
from shared.rights import ONBOARDING_RIGHTS, RIGHT_MISSING, Right, missing_rights

RIGHTS = "rights in the tenant"


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Check the ground. Fails with every missing thing as a finding."""
    if not dry_run:
        await record.opened(context, call.order)
    return await look(context, call.order, ONBOARDING_RIGHTS)


async def look(context: Context, order: OnboardingOrder, needed: Iterable[Right]) -> StepResult:
    """Look at the ground for an operation that needs these rights; nothing at all is written."""
    manifest = load_manifest(order.manifest)
    # A token keeps the roles it was made with for an hour; a right granted since must count now.
    await context.identity.forget(order.tenant_id)
    looks: tuple[tuple[str, Coroutine[Any, Any, list[Finding] | Observation]], ...] = (
        (RIGHTS, missing_rights(context, order.tenant_id, needed)),
        ("tenant", _tenant(context, order, manifest)),
        # Without a key the vault has nothing to do, but to switch off what was there before.
        *((("vault", _vault(context, order)),) if order.retires or not order.keyless else ()),
        ("Mondoo space", _mondoo(context, order)),
    )
    answers = await asyncio.gather(*(look for _, look in looks), return_exceptions=True)
    problems: list[Finding] = []
    waits: list[NotYet] = []
    observation: Observation | None = None
    for (subject, _), answer in zip(looks, answers, strict=True):
        if isinstance(answer, Refused):
            problems.append(finding_of(answer, subject))
        elif isinstance(answer, NotYet):
            waits.append(answer)
        elif isinstance(answer, BaseException):
            raise answer
        elif isinstance(answer, Observation):
            observation = answer
            problems += _conflicts(answer, order)
        else:
            problems += answer
    problems = _without_symptoms(problems)
    if problems:
        names = await _names(context, order, observation)
        return msgspec.structs.replace(refused(problems), facts=learned(names))
    if waits:
        raise waits[0]
    assert observation is not None  # no answer of the tenant would have been a problem or a wait
    return ended(
        Outcome.PASSED,
        f"{observation.display_name} ({observation.initial_domain}) can be onboarded",
        findings=_namesakes(observation, order),
        facts=_facts(observation, manifest),
    )


async def _tenant(context: Context, order: OnboardingOrder, manifest: Manifest) -> Observation:
    graph = context.graph(order.tenant_id)
    return await observe(graph, manifest, order.application_name, adopt=order.adopt)


async def _vault(context: Context, order: OnboardingOrder) -> list[Finding]:
    await context.vault.reachable()
    return await own_certificate.look(context, order)


async def _mondoo(context: Context, order: OnboardingOrder) -> list[Finding]:
    account = await context.mondoo.account()
    try:
        scope = await _scope(context, order)
    except Refused as error:
        raise explained(error, account, order.space) from error
    roles = await spaces.rights(context.mondoo, scope)
    if scope == order.space:
        missing = spaces.missing_rights(roles)
    else:
        missing = spaces.rights_missing_to_make_one(roles)
    findings = [
        Finding(
            code="mondoo_right_missing",
            severity=Severity.HIGH,
            subject=role,
            message=f"our Mondoo service account lacks the role {role} in {scope}",
            remediation=(
                f"Give the service account the role {role} (or Editor) on the space."
                if scope == order.space
                else "Give the service account the role Owner on the organization."
            ),
        )
        for role in missing
    ]
    # The organization has the policies that a space in it will have.
    scoped = msgspec.structs.replace(order, space=scope)
    _, wrong = await choose(context, scoped)
    return findings + await unknown(context, scoped) + wrong


async def _scope(context: Context, order: OnboardingOrder) -> str:
    """The space, or its organization while it is still to be made."""
    try:
        return (await spaces.read_space(context.mondoo, order.space)).mrn
    except Refused as error:
        if order.new_space is None or error.code != "mondoo_space_missing":
            raise
        return order.new_space.organization


def _conflicts(observation: Observation, order: OnboardingOrder) -> list[Finding]:
    """What stands in the way of an application of ours."""
    findings: list[Finding] = []
    if observation.name_holder is not None:
        findings.append(
            Finding(
                code="application_name_taken",
                severity=Severity.HIGH,
                subject=observation.name_holder.app_id,
                message=(
                    f"the unique name {order.application_name!r} belongs to application"
                    f" {observation.name_holder.app_id}, which does not carry our mark"
                ),
                remediation=(
                    f'Send "adopt": "{observation.name_holder.app_id}" if it may be taken over,'
                    ' or another "applicationName".'
                ),
            )
        )
    if len(observation.candidates) > 1:
        listed = ", ".join(sorted(each.app_id for each in observation.candidates))
        findings.append(
            Finding(
                code="application_ambiguous",
                severity=Severity.HIGH,
                subject=order.application_name,
                message=f"several applications carry our mark and this name: {listed}",
                remediation='Send "adopt" with the appId of the one to keep; delete the others.',
            )
        )
    # Whether an authority that the policy trusts issued an own certificate, Entra ID will say.
    if observation.ca_required and order.certificate is None and not order.keyless:
        findings.append(
            Finding(
                code="certificate_authority_required",
                severity=Severity.HIGH,
                subject="app management policy",
                message="the tenant's policy demands certificates of a trusted authority",
                remediation=(
                    "Ask the tenant's administrator to exempt this application from the policy,"
                    " or have an authority that it trusts issue a certificate into the vault, and"
                    ' send its name as "certificate"; or do without a certificate, by'
                    ' "authentication": "federated". The policy is theirs; it is never changed'
                    " from here."
                ),
            )
        )
    graph_principal = next((r for r in observation.resources if r.service == "graph"), None)
    if graph_principal is None or not graph_principal.enabled:
        findings.append(
            Finding(
                code="graph_principal_missing",
                severity=Severity.HIGH,
                subject="Microsoft Graph",
                message="the tenant has no enabled service principal of Microsoft Graph",
                remediation="Enable Microsoft Graph under Enterprise applications in the tenant.",
            )
        )
    return findings


def _namesakes(observation: Observation, order: OnboardingOrder) -> list[Finding]:
    return [
        Finding(
            code="application_namesake",
            severity=Severity.INFO,
            subject=stranger.app_id,
            message=(
                f"another application ({stranger.app_id}) is also called"
                f" {order.application_name!r}; it is not ours and is left alone"
            ),
            remediation="Nothing to do. An older set-up by hand may be removed when convenient.",
        )
        for stranger in observation.namesakes
    ]


def _without_symptoms(problems: list[Finding]) -> list[Finding]:
    """Leave out reads that were refused only because a right is missing that is named anyway, and
    what both looks into the tenant met: a sign-in that failed is told once."""
    met = {p.code for p in problems if p.subject == RIGHTS}
    if any(p.code == RIGHT_MISSING for p in problems):
        met.add("graph_permission_missing")
    return [p for p in problems if p.subject == RIGHTS or p.code not in met]


async def _names(
    context: Context, order: OnboardingOrder, observation: Observation | None
) -> dict[str, Any]:
    """By its name people find the tenant that needs them."""
    if observation is not None:
        return {
            "display_name": observation.display_name,
            "initial_domain": observation.initial_domain,
        }
    try:
        display_name, initial_domain = await read_names(context.graph(order.tenant_id))
    except (NotYet, Refused):
        return {}  # what is told anyway keeps us from reading these, too
    return {"display_name": display_name or None, "initial_domain": initial_domain}


def _facts(observation: Observation, manifest: Manifest) -> dict[str, Any]:
    seen: dict[str, Any] = {
        "display_name": observation.display_name,
        "initial_domain": observation.initial_domain,
        "resources": observation.resources,
        "longest_certificate_days": observation.longest_certificate_days,
    }
    application = observation.application
    if application is not None:
        present = {resource.app_id for resource in observation.resources}
        seen["observed_application"] = ObservedApplication(
            object_id=application.object_id,
            app_id=application.app_id,
            declared_right=application.is_right(manifest, present),
            thumbprints=application.thumbprints(),
        )
    principal = observation.principal
    if principal is not None:
        app_ids = {resource.object_id: resource.app_id for resource in observation.resources}
        seen["observed_principal"] = ObservedPrincipal(
            object_id=principal.object_id,
            enabled=principal.enabled,
            marked=principal.ours,
            granted=sorted(
                f"{app_ids[grant.resource_id]}/{grant.app_role_id}"
                for grant in observation.grants
                if grant.resource_id in app_ids
            ),
            global_reader=observation.has_directory_role(manifest.directory_roles[0].template_id),
        )
    return seen
