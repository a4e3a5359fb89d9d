"""One simulated tenant: its directory and the switches that make it behave in special ways.

The directory knows identity and existence only; which caller may do what, and how answers look, is
Graph's business, and who is given a token is Entra's. Methods that start with `add_`, `assign_`,
`grant` seed the world: what they make is readable and effective at once. What is made through Graph
is subject to `lag`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from cryptography import x509

from local.simulators.catalogue import (
    DIRECTORY_ROLES,
    GLOBAL_READER,
    GRAPH,
    MICROSOFT_TENANT,
    RESOURCES,
    AppRole,
)
from local.simulators.clock import Clock
from local.simulators.objects import (
    ALWAYS,
    Application,
    AppRoleAssignment,
    DelegatedGrant,
    FederatedCredential,
    KeyCredential,
    Lag,
    PasswordCredential,
    RoleAssignment,
    ScheduleInstance,
    ServicePrincipal,
    instant,
)

SOFT_DELETE = timedelta(days=30)
"""How long a deleted application or service principal can be restored."""


def new_id() -> str:
    """A new GUID in lower case."""
    return str(uuid4())


def opaque_id() -> str:
    """A new identifier of the kind that grants and role assignments have."""
    return secrets.token_urlsafe(32)


@dataclass(slots=True)
class Switches:
    """Behaviour seen in some tenants only.

    reject_expired_keys: a PATCH is refused when any re-sent key credential has expired.
    restore_makes_new_principal: restoring an application makes a new service principal and leaves
        the old one in the deleted items (the portal's behaviour).
    unreplicated_app_as_403: a service principal for a new application is refused with 403 "backing
        application must be in the local tenant" instead of 400.
    pim_licensed: whether schedule instances can be read.
    requests_per_10s: a throttle on Graph per calling application (`None`: none).
    """

    reject_expired_keys: bool = False
    restore_makes_new_principal: bool = False
    unreplicated_app_as_403: bool = False
    pim_licensed: bool = True
    requests_per_10s: int | None = None


@dataclass(slots=True)
class AppManagementPolicy:
    """A per-application policy: the JSON of the entity and the object ids it is applied to."""

    entity: dict[str, Any]
    applies_to: set[str] = field(default_factory=set)


class SimulatedTenant:
    """A tenant. All identifiers are lower-case GUIDs."""

    def __init__(
        self, clock: Clock, tenant_id: str, initial_domain: str, domains: list[str], name: str
    ) -> None:
        self.clock = clock
        self.id = tenant_id
        self.initial_domain = initial_domain
        self.domains = domains
        self.display_name = name
        self.lag = Lag()
        self.switches = Switches()
        self.applications: dict[str, Application] = {}
        self.service_principals: dict[str, ServicePrincipal] = {}
        self.deleted: dict[str, Application | ServicePrincipal] = {}
        self.users: dict[str, str] = {}
        self.app_role_assignments: dict[str, AppRoleAssignment] = {}
        self.role_assignments: dict[str, RoleAssignment] = {}
        self.schedule_instances: list[ScheduleInstance] = []
        self.delegated_grants: list[DelegatedGrant] = []
        self.trusted_authorities: dict[str, list[x509.Certificate]] = {}
        self.definition_ids: dict[str, str] = {}
        self.default_policy: dict[str, Any] = {}
        self.app_policies: dict[str, AppManagementPolicy] = {}
        self._app_by_app_id: dict[str, Application] = {}
        self._app_by_unique_name: dict[str, Application] = {}
        self._sp_by_app_id: dict[str, ServicePrincipal] = {}
        self._granted: dict[str, list[AppRoleAssignment]] = {}
        self._granted_on: dict[str, list[AppRoleAssignment]] = {}

    @property
    def name(self) -> str:
        """First label of the initial domain; SharePoint addresses are made from it."""
        return self.initial_domain.partition(".")[0]

    @property
    def default_domain(self) -> str:
        """The domain that new accounts get: the last vanity domain, else the initial one."""
        return self.domains[-1]

    def due(self, seconds: float) -> datetime:
        """The moment from which something made now is effective, after a lag."""
        return self.clock.now() + timedelta(seconds=seconds) if seconds else ALWAYS

    # Looking up: existence, whatever the lag.

    def application_by_app_id(self, app_id: str) -> Application | None:
        """A live application by its client id."""
        return self._app_by_app_id.get(app_id)

    def application_by_unique_name(self, unique_name: str) -> Application | None:
        """A live application by `uniqueName`."""
        return self._app_by_unique_name.get(unique_name)

    def unique_name_taken(self, unique_name: str) -> bool:
        """Whether a live or soft-deleted application holds the name."""
        self._purge_overdue()
        return unique_name in self._app_by_unique_name or any(
            isinstance(item, Application) and item.unique_name == unique_name
            for item in self.deleted.values()
        )

    def service_principal_by_app_id(self, app_id: str) -> ServicePrincipal | None:
        """A live service principal by the client id of its application."""
        return self._sp_by_app_id.get(app_id)

    def principal_name(self, object_id: str) -> tuple[str, str] | None:
        """(`ServicePrincipal` or `User`, display name) of a principal that can hold rights."""
        principal = self.service_principals.get(object_id)
        if principal is not None:
            return "ServicePrincipal", principal.display_name
        user = self.users.get(object_id)
        return None if user is None else ("User", user)

    # Living objects.

    def store_application(self, app: Application) -> Application:
        """Add an application made elsewhere (Graph, a seeding method)."""
        self.applications[app.id] = app
        self._app_by_app_id[app.app_id] = app
        if app.unique_name is not None:
            self._app_by_unique_name[app.unique_name] = app
        return app

    def set_unique_name(self, app: Application, unique_name: str) -> None:
        """Give an application the unique name it does not have yet."""
        app.unique_name = unique_name
        self._app_by_unique_name[unique_name] = app

    def store_service_principal(self, principal: ServicePrincipal) -> ServicePrincipal:
        """Add a service principal."""
        self.service_principals[principal.id] = principal
        self._sp_by_app_id[principal.app_id] = principal
        return principal

    def delete_application(self, app: Application) -> None:
        """Soft-delete an application and, with it, its service principal in this tenant."""
        del self.applications[app.id]
        del self._app_by_app_id[app.app_id]
        if app.unique_name is not None:
            del self._app_by_unique_name[app.unique_name]
        app.deleted_at = self.clock.now()
        self.deleted[app.id] = app
        principal = self._sp_by_app_id.get(app.app_id)
        if principal is not None:
            self.delete_service_principal(principal)

    def delete_service_principal(self, principal: ServicePrincipal) -> None:
        """Soft-delete a service principal; its grants hang on it and come back with it."""
        del self.service_principals[principal.id]
        del self._sp_by_app_id[principal.app_id]
        principal.deleted_at = self.clock.now()
        self.deleted[principal.id] = principal

    def restore(self, item: Application | ServicePrincipal) -> None:
        """Bring a soft-deleted object back (see `Switches.restore_makes_new_principal`)."""
        del self.deleted[item.id]
        item.deleted_at = None
        if isinstance(item, ServicePrincipal):
            self.store_service_principal(item)
            return
        self.store_application(item)
        if self._sp_by_app_id.get(item.app_id) is not None:
            return
        if self.switches.restore_makes_new_principal:
            self.add_service_principal(item, owners=())
            return
        for other in tuple(self.deleted.values()):
            if isinstance(other, ServicePrincipal) and other.app_id == item.app_id:
                self.restore(other)
                return

    def purge(self, item: Application | ServicePrincipal) -> None:
        """Delete for good; grants and roles of a purged principal go with it."""
        del self.deleted[item.id]
        if isinstance(item, ServicePrincipal):
            for grant in (*self.grants_of(item.id), *self.grants_on(item.id)):
                self.revoke(grant)
            for assignment in tuple(self.role_assignments.values()):
                if assignment.principal_id == item.id:
                    del self.role_assignments[assignment.id]
            self.delegated_grants = [
                grant
                for grant in self.delegated_grants
                if item.id not in (grant.client_id, grant.resource_id)
            ]

    def deleted_items(self) -> list[Application | ServicePrincipal]:
        """What can still be restored."""
        self._purge_overdue()
        return list(self.deleted.values())

    def _purge_overdue(self) -> None:
        if not self.deleted:
            return
        limit = self.clock.now() - SOFT_DELETE
        for item in tuple(self.deleted.values()):
            if item.deleted_at is not None and item.deleted_at < limit:
                self.purge(item)

    # Grants and roles.

    def grants_of(self, principal_id: str) -> list[AppRoleAssignment]:
        """App role assignments of a principal, oldest first."""
        return list(self._granted.get(principal_id, ()))

    def grants_on(self, resource_id: str) -> list[AppRoleAssignment]:
        """App role assignments on a resource, oldest first."""
        return list(self._granted_on.get(resource_id, ()))

    def store_grant(self, grant: AppRoleAssignment) -> AppRoleAssignment:
        """Add an app role assignment."""
        self.app_role_assignments[grant.id] = grant
        self._granted.setdefault(grant.principal_id, []).append(grant)
        self._granted_on.setdefault(grant.resource_id, []).append(grant)
        return grant

    def revoke(self, grant: AppRoleAssignment) -> None:
        """Remove an app role assignment."""
        if self.app_role_assignments.pop(grant.id, None) is not None:
            self._granted[grant.principal_id].remove(grant)
            self._granted_on[grant.resource_id].remove(grant)

    def token_roles(self, principal_id: str, resource: ServicePrincipal) -> list[str]:
        """Values of the roles that a token for this principal and resource carries now."""
        now = self.clock.now()
        held = {
            grant.app_role_id
            for grant in self._granted.get(principal_id, ())
            if grant.resource_id == resource.id and grant.effective_at <= now
        }
        return [role.value for role in resource.app_roles if role.id in held]

    def definition_id(self, template_id: str) -> str:
        """The tenant's own id of a directory role; the template id unless set otherwise."""
        return self.definition_ids.get(template_id, template_id)

    def template_id(self, role_id: str) -> str | None:
        """The template of a role given by template or definition id; `None` if unknown."""
        for template, definition in self.definition_ids.items():
            if role_id == definition:
                return template
        return role_id if role_id in DIRECTORY_ROLES else None

    def has_directory_role(self, principal_id: str, template_id: str = GLOBAL_READER) -> bool:
        """Whether a principal holds a role in the whole tenant, and it has taken effect."""
        now = self.clock.now()
        definition = self.definition_id(template_id)
        return any(
            assignment.principal_id == principal_id
            and assignment.definition_id in (definition, template_id)
            and assignment.directory_scope == "/"
            and assignment.effective_at <= now
            for assignment in self.role_assignments.values()
        ) or any(
            instance.principal_id == principal_id
            and instance.definition_id in (definition, template_id)
            and not instance.eligible
            for instance in self.schedule_instances
        )

    # Seeding.

    def add_resource(
        self, app_id: str, name: str | None = None, roles: Sequence[AppRole] | None = None
    ) -> ServicePrincipal:
        """A service principal of a first-party resource, or of any API with roles of its own."""
        known = RESOURCES.get(app_id)
        if known is None and (name is None or roles is None):
            raise ValueError(f"resource {app_id} is not in the catalogue: give name and roles")
        return self.store_service_principal(
            ServicePrincipal(
                id=new_id(),
                app_id=app_id,
                display_name=name or (known.name if known else app_id),
                created=ALWAYS,
                owner_organization=MICROSOFT_TENANT,
                app_roles=tuple(roles) if roles is not None else (known.roles if known else ()),
                scopes=known.scopes if known else (),
                names=(app_id, *(known.audiences if known else ())),
            )
        )

    def add_application(
        self,
        display_name: str,
        unique_name: str | None = None,
        tags: Iterable[str] = (),
        key_credentials: Iterable[KeyCredential | x509.Certificate] = (),
        *,
        owners: Iterable[str] = (),
        audience: str = "AzureADMyOrg",
        required_resource_access: Iterable[dict[str, Any]] = (),
        created: datetime | None = None,
        service_principal: bool = True,
        enabled: bool = True,
    ) -> Application:
        """An application, with a service principal unless told otherwise."""
        app = self.store_application(
            Application(
                id=new_id(),
                app_id=new_id(),
                display_name=display_name,
                created=created or self.clock.now(),
                home=self.id,
                unique_name=unique_name,
                audience=audience,
                tags=list(tags),
                required_resource_access=list(required_resource_access),
                key_credentials=[
                    item
                    if isinstance(item, KeyCredential)
                    else KeyCredential.of(item, new_id(), display_name=display_name)
                    for item in key_credentials
                ],
                owners=list(owners),
            )
        )
        if service_principal:
            principal = self.add_service_principal(app, owners=owners, tags=tags)
            principal.enabled = enabled
        return app

    def add_service_principal(
        self, app: Application, *, owners: Iterable[str] = (), tags: Iterable[str] = ()
    ) -> ServicePrincipal:
        """The service principal of an application of this or another tenant."""
        return self.store_service_principal(
            ServicePrincipal(
                id=new_id(),
                app_id=app.app_id,
                display_name=app.display_name,
                created=self.clock.now(),
                owner_organization=app.home,
                owners=list(owners),
                tags=list(tags),
                names=(app.app_id, *app.identifier_uris),
            )
        )

    def add_managed_identity(self, display_name: str) -> ServicePrincipal:
        """The service principal of a user-assigned managed identity."""
        client_id = new_id()
        return self.store_service_principal(
            ServicePrincipal(
                id=new_id(),
                app_id=client_id,
                display_name=display_name,
                created=self.clock.now(),
                owner_organization=self.id,
                kind="ManagedIdentity",
                names=(client_id,),
            )
        )

    def add_user(self, display_name: str) -> str:
        """A user, good for owning things; returns the object id."""
        object_id = new_id()
        self.users[object_id] = display_name
        return object_id

    def grant(
        self, principal: ServicePrincipal | Application, role: str, resource: str = GRAPH
    ) -> AppRoleAssignment:
        """Grant an app role by name or id on a resource given by app id."""
        holder = self._principal(principal)
        provider = self._sp_by_app_id[resource]
        found = next((r for r in provider.app_roles if role in (r.value, r.id)), None)
        if found is None:
            raise ValueError(f"{provider.display_name} has no app role {role}")
        return self.store_grant(
            AppRoleAssignment(opaque_id(), holder.id, provider.id, found.id, self.clock.now())
        )

    def grant_delegated(
        self,
        principal: ServicePrincipal | Application,
        scope: str,
        resource: str = GRAPH,
        user: str | None = None,
    ) -> DelegatedGrant:
        """Grant delegated scopes (space separated), for everyone or for one user."""
        grant = DelegatedGrant(
            opaque_id(),
            self._principal(principal).id,
            self._sp_by_app_id[resource].id,
            scope,
            user,
        )
        self.delegated_grants.append(grant)
        return grant

    def assign_role(
        self,
        principal: ServicePrincipal | Application,
        template_id: str = GLOBAL_READER,
        directory_scope: str = "/",
    ) -> RoleAssignment:
        """Assign a directory role."""
        assignment = RoleAssignment(
            f"{opaque_id()}-1",
            self._principal(principal).id,
            self.definition_id(template_id),
            directory_scope,
        )
        self.role_assignments[assignment.id] = assignment
        return assignment

    def schedule_role(
        self,
        principal: ServicePrincipal | Application,
        template_id: str = GLOBAL_READER,
        *,
        eligible: bool,
        end: datetime | None = None,
    ) -> ScheduleInstance:
        """A PIM eligibility, or an assignment made through PIM."""
        instance = ScheduleInstance(
            new_id(),
            self._principal(principal).id,
            self.definition_id(template_id),
            instant(self.clock.now()),
            None if end is None else instant(end),
            eligible,
        )
        self.schedule_instances.append(instance)
        return instance

    def add_federated_credential(
        self, app: Application, name: str, issuer: str, subject: str, audience: str
    ) -> FederatedCredential:
        """A federated identity credential on an application."""
        credential = FederatedCredential(new_id(), name, issuer, subject, [audience])
        app.federated_credentials[credential.id] = credential
        return credential

    def add_secret(
        self, app: Application, secret: str, *, valid_for: timedelta = timedelta(days=180)
    ) -> PasswordCredential:
        """A client secret; a negative validity makes one that has expired."""
        now = self.clock.now()
        credential = PasswordCredential(
            new_id(),
            secret,
            "seeded",
            instant(now - timedelta(days=1)),
            instant(now + valid_for),
            now + valid_for,
        )
        app.password_credentials.append(credential)
        return credential

    def restrict_keys(
        self,
        *,
        max_lifetime: str | None = None,
        trusted_authority: bool = False,
        authorities: Sequence[x509.Certificate] = (),
        created_after: str = "2015-01-01T00:00:00Z",
        app: Application | None = None,
    ) -> dict[str, Any]:
        """An app management policy on key credentials: the tenant's default, or one app's own.

        `max_lifetime` is an ISO 8601 duration such as `P90D`; with `trusted_authority` only
        certificates that one of `authorities` issued are allowed. Returns the policy entity.
        """
        restrictions: list[dict[str, Any]] = []
        if max_lifetime is not None:
            restrictions.append(
                {
                    "restrictionType": "asymmetricKeyLifetime",
                    "state": "enabled",
                    "maxLifetime": max_lifetime,
                    "restrictForAppsCreatedAfterDateTime": created_after,
                    "certificateBasedApplicationConfigurationIds": [],
                }
            )
        if trusted_authority:
            configuration = new_id()
            self.trusted_authorities[configuration] = list(authorities)
            restrictions.append(
                {
                    "restrictionType": "trustedCertificateAuthority",
                    "state": "enabled",
                    "maxLifetime": None,
                    "restrictForAppsCreatedAfterDateTime": created_after,
                    "certificateBasedApplicationConfigurationIds": [configuration],
                }
            )
        rules = {"passwordCredentials": [], "keyCredentials": restrictions}
        if app is None:
            self.default_policy = {"isEnabled": True, "applicationRestrictions": rules}
            return self.default_policy
        entity = {
            "id": new_id(),
            "displayName": f"Policy of {app.display_name}",
            "description": None,
            "isEnabled": True,
            "restrictions": rules,
        }
        self.app_policies[str(entity["id"])] = AppManagementPolicy(entity, {app.id})
        return entity

    def _principal(self, principal: ServicePrincipal | Application) -> ServicePrincipal:
        return (
            self._sp_by_app_id[principal.app_id]
            if isinstance(principal, Application)
            else principal
        )

    def snapshot(self, object_id: str) -> bytes:
        """Canonical JSON of an application, credentials and owners included.

        Equal bytes before and after mean that nobody has changed it.
        """
        app = self.applications[object_id]
        return json.dumps(
            {
                "id": app.id,
                "appId": app.app_id,
                "displayName": app.display_name,
                "uniqueName": app.unique_name,
                "signInAudience": app.audience,
                "tags": app.tags,
                "requiredResourceAccess": app.required_resource_access,
                "identifierUris": app.identifier_uris,
                "keyCredentials": [key.as_json(with_key=True) for key in app.key_credentials],
                "passwordCredentials": [item.as_json() for item in app.password_credentials],
                "federatedIdentityCredentials": [
                    item.as_json() for item in app.federated_credentials.values()
                ],
                "owners": app.owners,
                "isDisabled": app.is_disabled,
                "values": app.values,
            },
            sort_keys=True,
            separators=(",", ":"),
        ).encode()
