"""Everything of one application in one tenant, in one look: what an audit compares.

The ids are known from the tenant record, so all reads travel in one batch; only what that batch
shows to be strange (a deleted application, another principal than the recorded one, grants on APIs
that no manifest names) takes a second one. Lists are read to their end. A read that fails raises
and never counts as "there is none"; the few aspects that a tenant may lack a licence for, or that
our rights may not cover, are named in ``unread`` instead.

``isDisabled`` is a switch that not every cloud's v1.0 knows (terraform-provider-azuread#1855), and
selecting an unknown property fails the whole read, so it is asked for apart.

Left out: changing anything (`shared.entra.corrections`) and judging it (`shared.audit`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from shared.entra import applications
from shared.entra.app_role_assignments import Grant, grant_from_graph
from shared.entra.applications import Application
from shared.entra.directory_roles import (
    RoleAssignment,
    assignment_from_graph,
    assignments_path,
    definitions_path,
    role_ids,
)
from shared.entra.federated_credentials import FederatedCredential
from shared.entra.graph import (
    BatchRequest,
    BatchResponse,
    GraphClient,
    GraphError,
    literal,
    quoted,
    relative,
    segment,
)
from shared.entra.service_principals import SELECTED as PRINCIPAL_SELECTED
from shared.entra.service_principals import ServicePrincipal
from shared.errors import Refused
from shared.manifest import Manifest

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

PLATFORMS = ("web", "spa", "publicClient")
"""Parts of an application that hold redirect URIs."""

_APPLICATION = (
    *applications.SELECTED,
    "passwordCredentials",
    "signInAudience",
    "disabledByMicrosoftStatus",
    *PLATFORMS,
)
_RESOURCE = ("id", "appId", "displayName", "accountEnabled", "appRoles")
_OWNER = ("id", "displayName")
_SCHEDULES = "roleManagement/directory"
_NOT_DISABLED_BY_MICROSOFT = frozenset({"", "NotDisabled"})


class Aspect(StrEnum):
    """What may stay unread without the audit failing."""

    DELEGATED_GRANTS = "delegated grants"
    ELIGIBLE_ROLES = "eligible directory roles"
    TIMED_ROLES = "timed directory roles"
    OWNERS = "owners"


class Why(StrEnum):
    """Why an aspect was not read."""

    NOT_LICENSED = "the tenant has no licence for it, so there is nothing to read"
    NOT_PERMITTED = "our automation has no right to read it"
    UNKNOWN_OURSELVES = "our own object id is not in our token, so that no owner can be told apart"


@dataclass(frozen=True)
class Owner:
    """Who may change an application or its service principal."""

    of: Literal["application", "principal"]
    id: str
    name: str
    kind: str


@dataclass(frozen=True)
class PasswordCredential:
    """A client secret; ``entry`` is Graph's JSON, which never holds the secret."""

    key_id: str
    name: str
    entry: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class RedirectUri:
    """Where Entra ID would send sign-in answers to."""

    platform: str
    uri: str


@dataclass(frozen=True)
class DelegatedGrant:
    """Scopes that the principal may use for users: all of them, or the one ``user_id`` names."""

    id: str
    resource_id: str
    scope: str
    user_id: str | None

    @classmethod
    def from_graph(cls, entity: Mapping[str, Any]) -> DelegatedGrant:
        """From Graph's JSON."""
        return cls(
            str(entity["id"]),
            str(entity.get("resourceId") or "").lower(),
            str(entity.get("scope") or "").strip(),
            entity.get("principalId"),
        )


@dataclass(frozen=True)
class ScheduledRole:
    """A role by privileged identity management; ``ends`` is the text of its end, if it has one.

    ``assignment_id`` is the plain role assignment that this one appears as.
    """

    id: str
    role_id: str
    scope: str
    ends: str | None
    assignment_id: str | None


@dataclass(frozen=True)
class OfferedRole:
    """An app role of a resource; ``usable`` for applications."""

    name: str
    usable: bool


@dataclass(frozen=True)
class ResourcePrincipal:
    """An API in the tenant: its service principal and what it offers, by app role id."""

    object_id: str
    app_id: str
    name: str
    enabled: bool
    roles: Mapping[str, OfferedRole]

    def offers(self, role_id: str) -> bool:
        """Whether applications can be granted this role."""
        role = self.roles.get(role_id)
        return role is not None and role.usable


@dataclass(frozen=True)
class AuditedApplication:
    """Our application with all that hangs on it. ``disabled`` is None where no such switch is."""

    application: Application
    audience: str
    disabled: bool | None
    disabled_by_microsoft: str | None
    passwords: tuple[PasswordCredential, ...]
    redirect_uris: tuple[RedirectUri, ...]
    owners: tuple[Owner, ...]
    federated: tuple[FederatedCredential, ...]


@dataclass(frozen=True)
class AuditedPrincipal:
    """Our service principal with all that hangs on it. ``sign_in_disabled`` and ``switched_off``
    are two switches (``accountEnabled``, ``isDisabled``); either stops it."""

    principal: ServicePrincipal
    sign_in_disabled: bool
    switched_off: bool
    owners: tuple[Owner, ...]
    grants: tuple[Grant, ...]
    delegated: tuple[DelegatedGrant, ...]
    roles: tuple[RoleAssignment, ...]
    eligible: tuple[ScheduledRole, ...]
    timed: tuple[ScheduledRole, ...]


@dataclass(frozen=True)
class KnownIds:
    """What the tenant record knows of our application; all None before it was ever made."""

    app_id: str | None = None
    application_object_id: str | None = None
    service_principal_id: str | None = None


@dataclass(frozen=True)
class Inventory:
    """A tenant as it was seen.

    ``deleted`` is our application when it can still be restored. ``resources``, by object id, are
    the manifest's APIs that are here and all others that something was granted on. ``role_ids``
    maps a role's template id to every id that means it here, ``role_names`` any of those to names.
    ``our_object_id`` is our automation's own service principal in this tenant.
    """

    tenant_id: str
    display_name: str
    initial_domain: str | None
    our_object_id: str | None
    application: AuditedApplication | None
    deleted: Application | None
    principal: AuditedPrincipal | None
    resources: Mapping[str, ResourcePrincipal]
    role_ids: Mapping[str, frozenset[str]]
    role_names: Mapping[str, str]
    unread: Mapping[Aspect, Why]


async def own_object_id(credential: AsyncTokenCredential, scope: str) -> str | None:
    """Our own object id in the tenant: the ``oid`` of our token; None for an opaque token."""
    # Comes with azure-identity; a start that audits nothing shall not pay for it.
    import jwt

    token = await credential.get_token(scope)
    try:
        claims = jwt.decode(token.token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        # Nobody but the API can read such a token; the caller then judges no owner.
        return None
    return str(claims["oid"]).lower() if claims.get("oid") else None


async def take_inventory(
    graph: GraphClient, manifest: Manifest, known: KnownIds, *, our_object_id: str | None
) -> Inventory:
    """Read everything; nothing is changed.

    Raises:
        Refused: a right is missing without which no audit is possible, or the token is another
            tenant's (``tenant_mismatch``).
        NotYet: Graph cannot answer for now.
    """
    return await _Reading(graph, manifest, known, our_object_id).run()


class _Reading:
    """One inventory in the making."""

    def __init__(
        self, graph: GraphClient, manifest: Manifest, known: KnownIds, our_object_id: str | None
    ) -> None:
        self._graph = graph
        self._manifest = manifest
        self._known = known
        self._our_object_id = our_object_id
        self._what = f"the audit of tenant {graph.tenant_id}"
        self._answers: dict[str, BatchResponse] = {}
        self._unread: dict[Aspect, Why] = {}
        if our_object_id is None:
            self._unread[Aspect.OWNERS] = Why.UNKNOWN_OURSELVES

    async def run(self) -> Inventory:
        known = self._known
        await self._ask([*self._of_tenant(), *self._of_application(), *self._of_principal()])
        organization = self._organization()
        application = await self._application()
        principal_entity = self._optional("principal")
        resources = self._resources()
        grants = await self._grants() if principal_entity is not None else ()
        await self._look_closer(application is None, principal_entity, grants, resources)
        principal = None
        if principal_entity is not None:
            principal = await self._principal(principal_entity, grants)
        for name in self._answers:
            if name.startswith("other-") and (entity := self._optional(name)) is not None:
                found = _resource(entity)
                resources[found.object_id] = found
        deleted = None
        if application is None and known.app_id is not None:
            entity = self._optional("deleted")
            deleted = Application.from_graph(entity) if entity is not None else None
        domains = organization.get("verifiedDomains") or ()
        return Inventory(
            tenant_id=self._graph.tenant_id,
            display_name=str(organization.get("displayName") or ""),
            initial_domain=next(
                (str(d["name"]).lower() for d in domains if d.get("isInitial")), None
            ),
            our_object_id=self._our_object_id,
            application=application,
            deleted=deleted,
            principal=principal,
            resources=resources,
            role_ids=self._role_ids(),
            role_names=self._role_names(),
            unread=self._unread,
        )

    # --- what is asked ---------------------------------------------------------------------------

    def _of_tenant(self) -> list[BatchRequest]:
        return [
            BatchRequest(
                "organization",
                relative("organization", select=("id", "displayName", "verifiedDomains")),
            ),
            *(
                BatchRequest(
                    f"resource-{resource.service}",
                    relative(
                        f"servicePrincipals(appId={quoted(resource.app_id)})", select=_RESOURCE
                    ),
                )
                for resource in self._manifest.resources
            ),
            *(
                BatchRequest(f"role-{role.template_id}", definitions_path(role.template_id))
                for role in self._manifest.directory_roles
            ),
        ]

    def _of_application(self) -> list[BatchRequest]:
        known = self._known
        if known.app_id is None:
            return []
        if known.application_object_id is not None:
            path = f"applications/{segment(known.application_object_id)}"
        else:
            path = f"applications(appId={quoted(known.app_id)})"
        return [
            BatchRequest("application", relative(path, select=_APPLICATION)),
            BatchRequest("application-switch", relative(path, select=("id", "isDisabled"))),
            BatchRequest("application-owners", relative(f"{path}/owners", select=_OWNER)),
            BatchRequest("federated", f"{path}/federatedIdentityCredentials"),
        ]

    def _of_principal(self) -> list[BatchRequest]:
        known = self._known
        if known.app_id is None:
            return []
        # By appId: after a restore the principal may be a new one (azure-docs#99117).
        path = f"servicePrincipals(appId={quoted(known.app_id)})"
        return [
            BatchRequest("principal", relative(path, select=PRINCIPAL_SELECTED)),
            BatchRequest("principal-switch", relative(path, select=("id", "isDisabled"))),
            BatchRequest("principal-owners", relative(f"{path}/owners", select=_OWNER)),
            BatchRequest("grants", f"{path}/appRoleAssignments?$top=999"),
            BatchRequest("delegated", f"{path}/oauth2PermissionGrants"),
            *_role_requests(known.service_principal_id),
        ]

    async def _look_closer(
        self,
        application_missing: bool,
        principal: Mapping[str, Any] | None,
        grants: Iterable[Grant],
        resources: Mapping[str, ResourcePrincipal],
    ) -> None:
        """The second batch, where the first one showed something strange."""
        more: list[BatchRequest] = []
        object_id = self._known.application_object_id
        if application_missing and self._known.app_id is not None and object_id is not None:
            more.append(BatchRequest("deleted", f"directory/deletedItems/{segment(object_id)}"))
        if principal is not None:
            principal_id = str(principal["id"]).lower()
            if principal_id != (self._known.service_principal_id or "").lower():
                more += _role_requests(principal_id)
            strange = {grant.resource_id for grant in grants} - set(resources)
            more += [
                BatchRequest(
                    f"other-{resource_id}",
                    relative(f"servicePrincipals/{segment(resource_id)}", select=_RESOURCE),
                )
                for resource_id in sorted(strange)
            ]
            more += self._definition_requests()
        if more:
            await self._ask(more)

    def _definition_requests(self) -> list[BatchRequest]:
        """The names of roles that the manifest does not know."""
        wanted = {each for ids in self._role_ids().values() for each in ids}
        found: set[str] = set()
        for name in ("roles", "eligible"):
            answer = self._answers.get(name)
            if answer is not None and answer.error is None:
                entities = answer.body.get("value", ())
                found |= {str(entity["roleDefinitionId"]).lower() for entity in entities}
        return [
            BatchRequest(
                f"definition-{role_id}",
                relative(
                    f"roleManagement/directory/roleDefinitions/{segment(role_id)}",
                    select=("id", "displayName"),
                ),
            )
            for role_id in sorted(found - wanted)
        ]

    async def _ask(self, requests: list[BatchRequest]) -> None:
        for answer in await self._graph.batch(requests, what=self._what):
            self._answers[answer.id] = answer

    # --- what was answered -----------------------------------------------------------------------

    def _organization(self) -> dict[str, Any]:
        found = self._answers["organization"].result("the organization").get("value") or []
        if not found or str(found[0].get("id")).lower() != self._graph.tenant_id:
            raise Refused(
                "tenant_mismatch",
                f"our token for tenant {self._graph.tenant_id} shows another organization",
                remediation="Check IDENTITY, and with `azure-cli` which tenant `az login` chose.",
                tenant_id=self._graph.tenant_id,
            )
        return dict(found[0])

    def _optional(self, name: str) -> dict[str, Any] | None:
        """The answer of that name; None when it was not asked for or the object does not exist."""
        answer = self._answers.get(name)
        return None if answer is None else answer.result_or_none(f"{name} in {self._what}")

    async def _items(self, name: str) -> list[dict[str, Any]]:
        page = self._answers[name].result(f"{name} in {self._what}")
        return await self._graph.rest_of(page, what=f"{name} in {self._what}")

    async def _items_of(self, aspect: Aspect, name: str) -> list[dict[str, Any]]:
        """A list that may be unreadable for reasons that do not end the audit."""
        error = self._answers[name].error
        why = _bearable(error) if error is not None else None
        if why is not None:
            self._unread[aspect] = why
            return []
        return await self._items(name)

    def _switch(self, name: str) -> bool | None:
        answer = self._answers[name]
        if answer.status == 400:  # this cloud does not know the property
            return None
        value = answer.result(f"{name} in {self._what}").get("isDisabled")
        return bool(value) if value is not None else None

    async def _application(self) -> AuditedApplication | None:
        entity = self._optional("application")
        if entity is None:
            return None
        microsoft = str(entity.get("disabledByMicrosoftStatus") or "")
        return AuditedApplication(
            application=Application.from_graph(entity),
            audience=str(entity.get("signInAudience") or ""),
            disabled=self._switch("application-switch"),
            disabled_by_microsoft=None if microsoft in _NOT_DISABLED_BY_MICROSOFT else microsoft,
            passwords=tuple(
                PasswordCredential(
                    str(each["keyId"]), str(each.get("displayName") or "without a name"), each
                )
                for each in entity.get("passwordCredentials") or ()
            ),
            redirect_uris=tuple(
                RedirectUri(platform, str(uri))
                for platform in PLATFORMS
                for uri in (entity.get(platform) or {}).get("redirectUris") or ()
            ),
            owners=tuple(
                _owner("application", each) for each in await self._items("application-owners")
            ),
            federated=tuple(
                FederatedCredential.from_graph(each) for each in await self._items("federated")
            ),
        )

    async def _grants(self) -> tuple[Grant, ...]:
        return tuple(grant_from_graph(each) for each in await self._items("grants"))

    async def _principal(
        self, entity: Mapping[str, Any], grants: tuple[Grant, ...]
    ) -> AuditedPrincipal:
        switched_off = self._switch("principal-switch") is True
        eligible = await self._items_of(Aspect.ELIGIBLE_ROLES, "eligible")
        timed = await self._items_of(Aspect.TIMED_ROLES, "timed")
        delegated = await self._items_of(Aspect.DELEGATED_GRANTS, "delegated")
        return AuditedPrincipal(
            principal=ServicePrincipal.from_graph({**entity, "isDisabled": switched_off}),
            sign_in_disabled=entity.get("accountEnabled") is False,
            switched_off=switched_off,
            owners=tuple(
                _owner("principal", each) for each in await self._items("principal-owners")
            ),
            grants=grants,
            delegated=tuple(DelegatedGrant.from_graph(each) for each in delegated),
            roles=tuple(assignment_from_graph(each) for each in await self._items("roles")),
            eligible=tuple(_scheduled(each) for each in eligible),
            timed=tuple(_scheduled(each) for each in timed),
        )

    def _resources(self) -> dict[str, ResourcePrincipal]:
        found: dict[str, ResourcePrincipal] = {}
        for resource in self._manifest.resources:
            entity = self._optional(f"resource-{resource.service}")
            if entity is not None:
                principal = _resource(entity)
                found[principal.object_id] = principal
        return found

    def _role_ids(self) -> dict[str, frozenset[str]]:
        return {
            role.template_id: role_ids(
                role.template_id,
                self._answers[f"role-{role.template_id}"]
                .result(f"the definition of directory role {role.name}")
                .get("value", ()),
            )
            for role in self._manifest.directory_roles
        }

    def _role_names(self) -> dict[str, str]:
        names = {
            each: role.name
            for role in self._manifest.directory_roles
            for each in self._role_ids()[role.template_id]
        }
        for name, answer in self._answers.items():
            if name.startswith("definition-") and answer.error is None:
                role_id = name.removeprefix("definition-")
                names[role_id] = str(answer.body.get("displayName") or role_id)
        return names


def _role_requests(principal_id: str | None) -> list[BatchRequest]:
    if principal_id is None:
        return []
    mine = {"$filter": f"principalId eq {literal(principal_id)}"}
    return [
        BatchRequest("roles", assignments_path(principal_id)),
        BatchRequest(
            "eligible", relative(f"{_SCHEDULES}/roleEligibilityScheduleInstances", params=mine)
        ),
        BatchRequest(
            "timed", relative(f"{_SCHEDULES}/roleAssignmentScheduleInstances", params=mine)
        ),
    ]


def _bearable(error: GraphError) -> Why | None:
    """Why an aspect cannot be read, if that is no failure of the audit."""
    if "license" in f"{error.code} {error.message}".lower():
        return Why.NOT_LICENSED
    return Why.NOT_PERMITTED if error.status == 403 else None


def _owner(of: Literal["application", "principal"], entity: Mapping[str, Any]) -> Owner:
    kind = str(entity.get("@odata.type") or "").rpartition(".")[2] or "directoryObject"
    return Owner(of, str(entity["id"]).lower(), str(entity.get("displayName") or ""), kind)


def _scheduled(entity: Mapping[str, Any]) -> ScheduledRole:
    return ScheduledRole(
        id=str(entity["id"]),
        role_id=str(entity["roleDefinitionId"]).lower(),
        scope=str(entity.get("directoryScopeId") or ""),
        ends=entity.get("endDateTime"),
        assignment_id=entity.get("roleAssignmentOriginId"),
    )


def _resource(entity: Mapping[str, Any]) -> ResourcePrincipal:
    return ResourcePrincipal(
        object_id=str(entity["id"]).lower(),
        app_id=str(entity["appId"]).lower(),
        name=str(entity.get("displayName") or entity["appId"]),
        enabled=entity.get("accountEnabled") is not False,
        roles={
            str(role.get("id")).lower(): OfferedRole(
                str(role.get("value") or role.get("id")),
                bool(role.get("isEnabled"))
                and "Application" in (role.get("allowedMemberTypes") or ()),
            )
            for role in entity.get("appRoles") or ()
        },
    )
