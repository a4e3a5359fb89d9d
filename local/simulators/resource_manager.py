"""Azure Resource Manager: the subscriptions of each tenant and who has which role on them.

A caller sees the subscriptions on which it has a role, at the subscription or at the tenant's root
management group; it may read what is in them as Reader, Contributor or Owner, and assign roles
where it is Owner, User Access Administrator or Role Based Access Control Administrator. A second
assignment of the same role to the same principal on the same scope is refused as a conflict, unless
it has the same name and content.

Source: Azure REST API, subscriptions 2022-12-01, resources 2021-04-01, roleAssignments 2022-04-01.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from aiohttp import web

from local.simulators.catalogue import RESOURCE_MANAGER
from local.simulators.clock import Clock
from local.simulators.entra import TokenRejected, bearer
from local.simulators.service import CallDescription, Service, body_of
from local.simulators.tenant import SimulatedTenant, new_id

if TYPE_CHECKING:
    from local.simulators import Simulators

READER: Final = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
OWNER: Final = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
_ASSIGNS: Final = frozenset(
    {OWNER, "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", "f58310d9-a9f6-439a-9e8d-f62e7b41a168"}
)
_READS: Final = frozenset({OWNER, READER, "b24988ac-6180-42a0-ab88-20f7382dd24c"})
_ROLES: Final = "/providers/Microsoft.Authorization/roleAssignments"
_GROUP: Final = "/providers/Microsoft.Management/managementGroups/"


@dataclass(slots=True)
class AzureRole:
    """A role of a principal on a scope; `name` is the GUID in the assignment's address. It is
    listed at once, and honoured from `effective` on."""

    name: str
    scope: str
    role_id: str
    principal_id: str
    effective: datetime


@dataclass(slots=True)
class AzureEstate:
    """What a tenant has in Azure: subscriptions by id, with their names, and role assignments.

    `lag` is how long Azure takes to honour an assignment.
    """

    tenant: SimulatedTenant
    clock: Clock
    lag: timedelta = timedelta()
    subscriptions: dict[str, str] = field(default_factory=dict)
    roles: list[AzureRole] = field(default_factory=list)

    @property
    def root(self) -> str:
        """The scope of the tenant's root management group."""
        return _GROUP + self.tenant.id

    def add_subscription(self, name: str, subscription_id: str | None = None) -> str:
        """A subscription; its id."""
        if self.tenant.service_principal_by_app_id(RESOURCE_MANAGER) is None:
            self.tenant.add_resource(RESOURCE_MANAGER)
        made = subscription_id or new_id()
        self.subscriptions[made] = name
        return made

    def assign(self, principal_id: str, role_id: str, scope: str) -> AzureRole:
        """A role that somebody assigned."""
        made = AzureRole(new_id(), scope, role_id, principal_id, self.clock.now())
        self.roles.append(made)
        return made

    def held(self, principal_id: str, scope: str) -> set[str]:
        """Roles of a principal on a scope that are honoured, its own and those from above."""
        now = self.clock.now()
        return {
            role.role_id
            for role in self.roles
            if role.principal_id == principal_id
            and role.scope in (scope, self.root)
            and role.effective <= now
        }


class ResourceManagerService(Service):
    """`https://management.azure.com`."""

    name: ClassVar[str] = "resource-manager"

    def __init__(self, simulators: Simulators) -> None:
        super().__init__(simulators)
        self.page = 100
        self._estates: dict[str, AzureEstate] = {}

    def of(self, tenant: SimulatedTenant) -> AzureEstate:
        """The estate of a tenant; empty at first."""
        return self._estates.setdefault(tenant.id, AzureEstate(tenant, self.simulators.clock))

    def routes(self) -> list[web.RouteDef]:
        routes: list[web.RouteDef] = [
            web.get("/subscriptions", self._list),
            web.get("/subscriptions/{subscription}/resources", self._list_resources),
        ]
        for scope in ("/subscriptions/{subscription}", _GROUP + "{group}"):
            routes += [
                web.get(scope + _ROLES, self._list_roles),
                web.put(scope + _ROLES + "/{name}", self._assign),
                web.delete(scope + _ROLES + "/{name}", self._remove),
            ]
        return routes

    def describe(self, request: web.Request) -> CallDescription:
        try:
            claims = self.simulators.entra.mint.read(bearer(request))
        except TokenRejected:
            claims = None
        known = super().describe(request)
        return CallDescription(
            known.operation,
            tenant=claims.tenant_id if claims else None,
            caller=claims.app_id if claims else None,
            write=known.write,
        )

    async def _list(self, request: web.Request) -> web.Response:
        caller, estate = self._caller(request, "2022-12-01")
        seen = [
            identifier
            for identifier in estate.subscriptions
            if estate.held(caller, f"/subscriptions/{identifier}")
        ]
        start = int(request.query.get("$skiptoken", "0"))
        shown = [
            {
                "id": f"/subscriptions/{identifier}",
                "subscriptionId": identifier,
                "tenantId": estate.tenant.id,
                "displayName": estate.subscriptions[identifier],
                "state": "Enabled",
            }
            for identifier in seen[start : start + self.page]
        ]
        answer: dict[str, Any] = {"value": shown}
        if start + self.page < len(seen):
            answer["nextLink"] = (
                f"{self.url}/subscriptions?api-version=2022-12-01&$skiptoken={start + self.page}"
            )
        return web.json_response(answer)

    async def _list_resources(self, request: web.Request) -> web.Response:
        """None, for those who may read."""
        caller, estate = self._caller(request, "2021-04-01")
        scope = self._scope(request, estate)
        if not estate.held(caller, scope) & _READS:
            raise _refusal(403, "AuthorizationFailed", f"no authorization over scope '{scope}'")
        return web.json_response({"value": []})

    async def _list_roles(self, request: web.Request) -> web.Response:
        caller, estate = self._caller(request, "2022-04-01")
        scope = self._scope(request, estate)
        if not estate.held(caller, scope):
            raise _refusal(403, "AuthorizationFailed", f"no authorization over scope '{scope}'")
        principal = request.query.get("$filter", "").partition("'")[2].rstrip("'")
        return web.json_response(
            {
                "value": [
                    _view(role, estate)
                    for role in estate.roles
                    if role.principal_id == principal and role.scope in (scope, estate.root)
                ]
            }
        )

    async def _assign(self, request: web.Request) -> web.Response:
        caller, estate = self._caller(request, "2022-04-01")
        scope = self._scope(request, estate)
        self._may_assign(caller, estate, scope)
        try:
            given = json.loads(body_of(request))["properties"]
            role_id = str(given["roleDefinitionId"]).rsplit("/", 1)[-1]
            principal_id = str(given["principalId"])
        except (ValueError, KeyError, TypeError) as error:
            raise _refusal(400, "InvalidRequestContent", "the body is not valid") from error
        if principal_id not in estate.tenant.service_principals:
            raise _refusal(
                400,
                "PrincipalNotFound",
                f"Principal {principal_id} does not exist in the directory {estate.tenant.id}.",
            )
        name = request.match_info["name"]
        for role in estate.roles:
            if (role.scope, role.role_id, role.principal_id) == (scope, role_id, principal_id):
                if role.name == name:
                    return web.json_response(_view(role, estate))
                raise _refusal(409, "RoleAssignmentExists", "The role assignment already exists.")
        effective = estate.clock.now() + estate.lag
        made = AzureRole(name, scope, role_id, principal_id, effective)
        estate.roles.append(made)
        return web.json_response(_view(made, estate), status=201)

    async def _remove(self, request: web.Request) -> web.Response:
        caller, estate = self._caller(request, "2022-04-01")
        scope = self._scope(request, estate)
        self._may_assign(caller, estate, scope)
        for role in estate.roles:
            if (role.scope, role.name) == (scope, request.match_info["name"]):
                estate.roles.remove(role)
                return web.json_response(_view(role, estate))
        return web.Response(status=204)

    def _caller(self, request: web.Request, version: str) -> tuple[str, AzureEstate]:
        try:
            claims = self.simulators.entra.verify(bearer(request), self.url)
        except TokenRejected as error:
            raise _refusal(401, "InvalidAuthenticationToken", error.reason) from error
        if request.query.get("api-version") != version:
            raise _refusal(400, "InvalidApiVersionParameter", "The api-version is invalid.")
        tenant = self.simulators.world.find(claims.tenant_id)
        if tenant is None:
            raise _refusal(401, "InvalidAuthenticationTokenTenant", "unknown tenant")
        return claims.object_id, self.of(tenant)

    def _scope(self, request: web.Request, estate: AzureEstate) -> str:
        subscription = request.match_info.get("subscription")
        if subscription is None:
            if request.match_info["group"] != estate.tenant.id:
                raise _refusal(404, "NotFound", "The management group is not found.")
            return estate.root
        if subscription not in estate.subscriptions:
            raise _refusal(
                404,
                "SubscriptionNotFound",
                f"The subscription '{subscription}' could not be found.",
            )
        return f"/subscriptions/{subscription}"

    def _may_assign(self, caller: str, estate: AzureEstate, scope: str) -> None:
        if not estate.held(caller, scope) & _ASSIGNS:
            raise _refusal(
                403,
                "AuthorizationFailed",
                f"The client does not have authorization to perform action"
                f" 'Microsoft.Authorization/roleAssignments/write' over scope '{scope}'.",
            )


def _view(role: AzureRole, estate: AzureEstate) -> dict[str, Any]:
    definitions = "/providers/Microsoft.Authorization/roleDefinitions/"
    return {
        "id": f"{role.scope}{_ROLES}/{role.name}",
        "name": role.name,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {
            "roleDefinitionId": definitions + role.role_id,
            "principalId": role.principal_id,
            "principalType": "ServicePrincipal",
            "scope": role.scope,
        },
    }


_CLASSES = {
    400: web.HTTPBadRequest,
    401: web.HTTPUnauthorized,
    403: web.HTTPForbidden,
    404: web.HTTPNotFound,
    409: web.HTTPConflict,
}


def _refusal(status: int, code: str, message: str) -> web.HTTPException:
    body = json.dumps({"error": {"code": code, "message": message}})
    return _CLASSES[status](text=body, content_type="application/json")
