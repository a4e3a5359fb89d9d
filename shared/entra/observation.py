"""One look at a tenant: all that onboarding needs to know before it changes anything.

Reads that belong together travel in one batch: a tenant without our application takes one request,
with it at most three (plus pages of very long lists). A read that fails raises; it never counts as
"there is none", which elsewhere made a tool grant everything again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shared.entra import applications
from shared.entra.app_role_assignments import Grant, grant_from_graph, grants_path
from shared.entra.applications import Application
from shared.entra.directory_roles import (
    RoleAssignment,
    assignment_from_graph,
    assignments_path,
    definitions_path,
    holds,
    role_ids,
)
from shared.entra.graph import BatchRequest, BatchResponse, GraphClient, quoted, relative, segment
from shared.entra.management_policies import key_rules
from shared.entra.service_principals import SELECTED as PRINCIPAL_SELECTED
from shared.entra.service_principals import ServicePrincipal
from shared.errors import Refused
from shared.manifest import Manifest, Resource
from shared.models import ResourcePrincipal

Answers = Mapping[str, BatchResponse]


@dataclass(frozen=True)
class Observation:
    """A tenant as it was seen. The fields on applications are those of `applications.Search`.

    ``missing_resources`` are APIs of the manifest without a service principal here;
    ``longest_certificate_days`` and ``ca_required`` are what the tenant's policy says for our
    application, or for one made now.
    """

    tenant_id: str
    display_name: str
    initial_domain: str
    default_domain: str
    resources: list[ResourcePrincipal]
    missing_resources: list[Resource]
    longest_certificate_days: int | None
    ca_required: bool
    application: Application | None = None
    name_holder: Application | None = None
    candidates: list[Application] = field(default_factory=list)
    namesakes: list[Application] = field(default_factory=list)
    principal: ServicePrincipal | None = None
    grants: list[Grant] = field(default_factory=list)
    role_assignments: list[RoleAssignment] = field(default_factory=list)
    role_ids: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def has_directory_role(self, template_id: str) -> bool:
        """Whether our principal holds this role for the whole tenant."""
        return holds(self.role_assignments, self.role_ids.get(template_id, {template_id}))


async def observe(
    graph: GraphClient,
    manifest: Manifest,
    application_name: str,
    *,
    adopt: str | None = None,
    now: datetime | None = None,
) -> Observation:
    """Look at the tenant; nothing is changed.

    Raises:
        Refused: a right is missing, or ``adopt`` names no application.
        NotYet: Graph cannot answer for now.
    """
    what = f"looking at tenant {graph.tenant_id}"
    answers = await _batch(
        graph,
        [
            *_tenant_requests(manifest),
            *applications.search_requests(application_name, adopt),
        ],
        what,
    )
    organization = _organization(answers, graph.tenant_id)
    domains = organization.get("verifiedDomains") or []
    resources, missing = _resources(answers, manifest)
    default_policy = answers["policy"].result("the tenant's app management policy")
    search = await applications.choose(graph, answers, application_name, adopt)
    known = await _ours(graph, search.application, what) if search.application else _Ours()
    application = known.application
    created = application.created_at if application is not None else None
    rules = key_rules(default_policy, known.policies, created or now or datetime.now(UTC))
    initial = _domain(domains, "isInitial")
    if initial is None:
        raise Refused(
            "initial_domain_missing",
            f"tenant {graph.tenant_id} shows no initial domain, which SharePoint and Exchange"
            " addresses are made from",
            remediation="Open a support case for the tenant; every tenant has an initial domain.",
            tenant_id=graph.tenant_id,
        )
    return Observation(
        tenant_id=graph.tenant_id,
        display_name=str(organization.get("displayName") or ""),
        initial_domain=initial,
        default_domain=_domain(domains, "isDefault") or initial,
        resources=resources,
        missing_resources=missing,
        longest_certificate_days=rules.longest_days,
        ca_required=rules.ca_required,
        application=application,
        name_holder=search.name_holder,
        candidates=search.candidates,
        namesakes=search.namesakes,
        principal=known.principal,
        grants=known.grants,
        role_assignments=known.roles,
        role_ids={
            role.template_id: role_ids(
                role.template_id,
                answers[f"role-{role.template_id}"]
                .result(f"the definition of directory role {role.name}")
                .get("value", ()),
            )
            for role in manifest.directory_roles
        },
    )


async def read_names(graph: GraphClient) -> tuple[str, str | None]:
    """Display name and initial domain of the tenant: for a tenant that `observe` may not read, and
    that people still have to find.

    Raises:
        OnboardingError: not even these may be read.
    """
    organization = await graph.get_all(
        "organization",
        select=("id", "displayName", "verifiedDomains"),
        what="the organization",
    )
    shown = organization[0] if organization else {}
    return str(shown.get("displayName") or ""), _domain(
        shown.get("verifiedDomains") or [], "isInitial"
    )


# --- first batch: the tenant ---------------------------------------------------------------------


def _tenant_requests(manifest: Manifest) -> list[BatchRequest]:
    return [
        BatchRequest(
            "organization",
            relative("organization", select=("id", "displayName", "verifiedDomains")),
        ),
        BatchRequest("policy", "policies/defaultAppManagementPolicy"),
        *(
            BatchRequest(
                f"resource-{resource.service}",
                relative(
                    f"servicePrincipals(appId={quoted(resource.app_id)})",
                    select=("id", "appId", "accountEnabled", "appRoles"),
                ),
            )
            for resource in manifest.resources
        ),
        *(
            BatchRequest(f"role-{role.template_id}", definitions_path(role.template_id))
            for role in manifest.directory_roles
        ),
    ]


def _organization(answers: Answers, tenant_id: str) -> dict[str, Any]:
    found = answers["organization"].result("the organization").get("value") or []
    if not found or str(found[0].get("id")).lower() != tenant_id:
        # A credential of another tenant would make us change the wrong one.
        raise Refused(
            "tenant_mismatch",
            f"our token for tenant {tenant_id} shows another organization",
            remediation="Check IDENTITY, and with `azure-cli` which tenant `az login` chose.",
            tenant_id=tenant_id,
        )
    return dict(found[0])


def _resources(
    answers: Answers, manifest: Manifest
) -> tuple[list[ResourcePrincipal], list[Resource]]:
    present, missing = [], []
    for resource in manifest.resources:
        entity = answers[f"resource-{resource.service}"].result_or_none(
            f"the service principal of {resource.name}"
        )
        if entity is None:
            missing.append(resource)
            continue
        offered = {
            str(role.get("id")).lower()
            for role in entity.get("appRoles") or ()
            if role.get("isEnabled") and "Application" in (role.get("allowedMemberTypes") or ())
        }
        present.append(
            ResourcePrincipal(
                service=resource.service,
                app_id=resource.app_id,
                object_id=str(entity["id"]).lower(),
                enabled=entity.get("accountEnabled") is not False,
                roles_missing=[
                    permission.id
                    for permission in manifest.permissions
                    if permission.resource == resource.service and permission.id not in offered
                ],
            )
        )
    return present, missing


def _domain(domains: list[dict[str, Any]], flag: str) -> str | None:
    return next((str(each["name"]).lower() for each in domains if each.get(flag)), None)


# --- second and third batch: our application -----------------------------------------------------


@dataclass(frozen=True)
class _Ours:
    application: Application | None = None
    policies: list[dict[str, Any]] = field(default_factory=list)
    principal: ServicePrincipal | None = None
    grants: list[Grant] = field(default_factory=list)
    roles: list[RoleAssignment] = field(default_factory=list)


async def _ours(graph: GraphClient, application: Application, what: str) -> _Ours:
    object_id = segment(application.object_id)
    requests = [
        BatchRequest(
            "principal",
            relative(
                f"servicePrincipals(appId={quoted(application.app_id)})", select=PRINCIPAL_SELECTED
            ),
        ),
        BatchRequest("policies", f"applications/{object_id}/appManagementPolicies"),
    ]
    if not application.complete:
        requests.append(
            BatchRequest(
                "application",
                relative(f"applications/{object_id}", select=applications.SELECTED),
            )
        )
    answers = await _batch(graph, requests, what)
    if "application" in answers:
        entity = answers["application"].result(f"application {application.app_id}")
        application = Application.from_graph(entity)
    policies = list(answers["policies"].result("its app management policies").get("value", ()))
    subject = f"the service principal of application {application.app_id}"
    found = answers["principal"].result_or_none(subject)
    if found is None:
        return _Ours(application, policies)
    principal = ServicePrincipal.from_graph(found)
    answers = await _batch(
        graph,
        [
            BatchRequest("grants", grants_path(principal.object_id)),
            BatchRequest("roles", assignments_path(principal.object_id)),
        ],
        what,
    )
    grants = await graph.rest_of(answers["grants"].result(f"the grants of {subject}"))
    roles = await graph.rest_of(answers["roles"].result(f"the directory roles of {subject}"))
    return _Ours(
        application,
        policies,
        principal,
        [grant_from_graph(each) for each in grants],
        [assignment_from_graph(each) for each in roles],
    )


async def _batch(
    graph: GraphClient, requests: list[BatchRequest], what: str
) -> dict[str, BatchResponse]:
    return {answer.id: answer for answer in await graph.batch(requests, what=what)}
