"""Service principals: by id and by `appId`; upsert, owners, delete.

A principal needs an application that the directory already knows. Under
`Application.ReadWrite.OwnedBy` that application has to be in the tenant and owned by the caller;
with wider rights a first-party resource or another tenant's multi-tenant application can be
provisioned as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from local.simulators.catalogue import MICROSOFT_TENANT, RESOURCES
from local.simulators.graph.app_role_assignments import assignment_json
from local.simulators.graph.calls import Answer, GraphCall
from local.simulators.graph.errors import (
    GraphError,
    bad_request,
    invalid_value,
    malformed,
    not_found,
    not_local,
    schema_mismatch,
)
from local.simulators.graph.owners import add_owner, list_owners, remove_owner
from local.simulators.graph.permissions import (
    READ_APPLICATIONS,
    WRITE_PRINCIPALS,
    may_create_principal,
    may_write_principal,
)
from local.simulators.graph.query import LIST, PAGED, SELECT, conditions, page, picker, selected
from local.simulators.graph.routing import Route
from local.simulators.graph.schema import ON_SELECT, SERVICE_PRINCIPAL, check_body, check_tags
from local.simulators.objects import Application, ServicePrincipal, instant
from local.simulators.tenant import new_id
from local.simulators.world import is_guid

KIND = "microsoft.graph.servicePrincipal"
KEYS = ("/{id}", "(appId='{appId}')")
EXPANDED = 20
"""Entries that `$expand` returns at most, without a link to the rest."""

_SELECTABLE = frozenset(SERVICE_PRINCIPAL) | {ON_SELECT}
_FILTERS = frozenset({"id", "appId", "displayName"})


def routes() -> Iterator[Route]:
    """Service principals and their owners; grants are in `app_role_assignments`."""
    yield Route("GET", "/servicePrincipals", _list, READ_APPLICATIONS, LIST, beta=True)
    yield Route("POST", "/servicePrincipals", _create, WRITE_PRINCIPALS)
    for key in KEYS:
        one = f"/servicePrincipals{key}"
        yield Route("GET", one, _get, READ_APPLICATIONS, SELECT | {"$expand"}, beta=True)
        yield Route("PATCH", one, _patch, WRITE_PRINCIPALS)
        yield Route("DELETE", one, _delete, WRITE_PRINCIPALS)
        yield Route("GET", f"{one}/owners", _owners, READ_APPLICATIONS, PAGED)
        yield Route("POST", f"{one}/owners/$ref", _add_owner, WRITE_PRINCIPALS)
        yield Route("DELETE", f"{one}/owners/{{ownerId}}/$ref", _remove_owner, WRITE_PRINCIPALS)


def _scope(scope: tuple[str, str]) -> dict[str, Any]:
    return {
        "id": scope[0],
        "value": scope[1],
        "type": "User",
        "isEnabled": True,
        "adminConsentDisplayName": scope[1],
        "adminConsentDescription": scope[1],
        "userConsentDisplayName": scope[1],
        "userConsentDescription": scope[1],
    }


_READ: dict[str, Callable[[ServicePrincipal], Any]] = {
    "id": lambda it: it.id,
    "deletedDateTime": lambda it: None if it.deleted_at is None else instant(it.deleted_at),
    "accountEnabled": lambda it: it.enabled,
    "appDisplayName": lambda it: it.display_name,
    "appId": lambda it: it.app_id,
    "appOwnerOrganizationId": lambda it: it.owner_organization,
    "createdDateTime": lambda it: instant(it.created),
    "displayName": lambda it: it.display_name,
    "servicePrincipalNames": lambda it: list(it.names),
    "servicePrincipalType": lambda it: it.kind,
    "tags": lambda it: list(it.tags),
    "appRoles": lambda it: [role.as_json() for role in it.app_roles],
    "oauth2PermissionScopes": lambda it: [_scope(scope) for scope in it.scopes],
    ON_SELECT: lambda it: it.is_disabled,
}


def principal_json(
    principal: ServicePrincipal, names: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """A service principal with the selected properties (all but `isDisabled` by default)."""
    shown: dict[str, Any] = {}
    for name in SERVICE_PRINCIPAL if names is None else names:
        read = _READ.get(name)
        shown[name] = (
            read(principal)
            if read is not None
            else principal.values.get(name, SERVICE_PRINCIPAL[name].default)
        )
    return shown


def _list(call: GraphCall) -> Answer:
    names = selected(call, _SELECTABLE, KIND)
    found = [it for it in call.tenant.service_principals.values() if it.visible_at <= call.now]
    for condition in conditions(call, _FILTERS, {"tags", "servicePrincipalNames"}):
        wanted = condition.value.lower()
        if condition.any_item:
            read = _READ[condition.name]
            found = [it for it in found if condition.value in read(it)]
        elif condition.name == "displayName":
            found = [it for it in found if it.display_name.lower() == wanted]
        else:
            read = _READ[condition.name]
            found = [it for it in found if read(it) == wanted]
    return page(call, found, lambda it: principal_json(it, names), "servicePrincipals")


def _get(call: GraphCall) -> Answer:
    principal = call.service_principal()
    shown = principal_json(principal, selected(call, _SELECTABLE, KIND))
    expand = call.query.get("$expand")
    if expand == "owners":
        shown["owners"] = list_owners(call, principal.owners)[:EXPANDED]
    elif expand in ("appRoleAssignments", "appRoleAssignedTo"):
        grants = (
            call.tenant.grants_of(principal.id)
            if expand == "appRoleAssignments"
            else call.tenant.grants_on(principal.id)
        )
        readable = [grant for grant in grants if grant.visible_at <= call.now]
        shown[expand] = [assignment_json(call.tenant, grant) for grant in readable[:EXPANDED]]
    elif expand is not None:
        raise malformed(f"Could not find a property named '{expand}' on type '{KIND}'.")
    context = call.context("servicePrincipals/$entity")
    return Answer(200, {"@odata.context": context, **shown})


def _create(call: GraphCall) -> Answer:
    body = call.json_body()
    app_id = body.pop("appId", None)
    if app_id is None:
        raise bad_request(
            "A value is required for property 'appId' of resource 'ServicePrincipal'."
        )
    if not isinstance(app_id, str) or not is_guid(app_id):
        raise schema_mismatch("appId")
    return _created(call, app_id.lower(), body)


def _created(call: GraphCall, app_id: str, body: dict[str, Any]) -> Answer:
    _check(body)
    tenant = call.tenant
    local = tenant.application_by_app_id(app_id)
    if local is not None and local.referable_at > call.now:
        raise not_local() if tenant.switches.unreplicated_app_as_403 else _no_application(app_id)
    may_create_principal(call, local)
    if tenant.service_principal_by_app_id(app_id) is not None:
        raise GraphError(
            409,
            "Request_MultipleObjectsWithSameKeyValue",
            "The service principal cannot be created, updated, or restored because the service"
            f" principal name {app_id} is already in use.",
        )
    principal = _provisioned(call, app_id, local)
    _apply(principal, body)
    tenant.store_service_principal(principal)
    context = call.context("servicePrincipals/$entity")
    return Answer(201, {"@odata.context": context, **principal_json(principal)})


def _provisioned(call: GraphCall, app_id: str, local: Application | None) -> ServicePrincipal:
    """The principal of an application of this tenant, of another one, or of Microsoft's."""
    tenant, lag = call.tenant, call.tenant.lag
    app = local or call.world.home_of(app_id)
    resource = RESOURCES.get(app_id)
    if app is not None and (local is not None or app.multi_tenant):
        name, organization, names = app.display_name, app.home, (app_id, *app.identifier_uris)
    elif resource is not None:
        name, organization = resource.name, MICROSOFT_TENANT
        names = (app_id, *resource.audiences)
    else:
        raise _no_application(app_id)
    return ServicePrincipal(
        id=new_id(),
        app_id=app_id,
        display_name=name,
        created=call.now,
        owner_organization=organization,
        app_roles=() if resource is None else resource.roles,
        scopes=() if resource is None else resource.scopes,
        names=names,
        owners=[call.claims.object_id],
        visible_at=tenant.due(lag.objects),
        referable_at=tenant.due(max(lag.objects, lag.references)),
        token_at=tenant.due(lag.first_token),
    )


def _no_application(app_id: str) -> GraphError:
    return bad_request(
        f"The appId '{app_id}' of the service principal does not reference a valid application"
        " object."
    )


def _patch(call: GraphCall) -> Answer:
    body = call.json_body()
    if "appId" in call.params and call.prefers("create-if-missing"):
        app_id = call.object_id("appId")
        found = call.tenant.service_principal_by_app_id(app_id)
        if found is None or found.visible_at > call.now:
            return _created(call, app_id, body)
    principal = call.service_principal()
    may_write_principal(call, principal)
    _check(body)
    _apply(principal, body)
    return Answer(204)


def _check(body: dict[str, Any]) -> None:
    check_body(body, SERVICE_PRINCIPAL, "ServicePrincipal")
    if "tags" in body:
        check_tags(body["tags"], "ServicePrincipal")
    if body.get("accountEnabled", True) is None:
        raise invalid_value("accountEnabled", "ServicePrincipal")


def _apply(principal: ServicePrincipal, body: dict[str, Any]) -> None:
    principal.enabled = body.get("accountEnabled", principal.enabled)
    principal.tags = list(body.get("tags", principal.tags))
    principal.display_name = body.get("displayName") or principal.display_name
    principal.values.update({name: value for name, value in body.items() if name not in _READ})


def _delete(call: GraphCall) -> Answer:
    principal = call.service_principal()
    may_write_principal(call, principal)
    call.tenant.delete_service_principal(principal)
    return Answer(204)


def _owners(call: GraphCall) -> Answer:
    principal = call.service_principal()
    return page(call, list_owners(call, principal.owners), picker(call), "directoryObjects")


def _add_owner(call: GraphCall) -> Answer:
    principal = call.service_principal()
    may_write_principal(call, principal)
    add_owner(call, principal.owners)
    return Answer(204)


def _remove_owner(call: GraphCall) -> Answer:
    principal = call.service_principal()
    may_write_principal(call, principal)
    if not remove_owner(principal.owners, call.object_id("ownerId")):
        raise not_found(call.params["ownerId"])
    return Answer(204)
