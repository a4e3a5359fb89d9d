"""App role assignments: application permissions that are granted, seen from either end.

`appRoleAssignments` lists what a principal holds, `appRoleAssignedTo` who holds roles of a
resource; both can be written. Lists are paged, an unfollowed link truncates silently.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local.simulators.graph.calls import Answer, GraphCall
from local.simulators.graph.errors import (
    bad_request,
    invalid_property,
    not_found,
    not_referable,
    schema_mismatch,
    size_exceeded,
)
from local.simulators.graph.permissions import READ_GRANTS, WRITE_GRANTS, may_write_grant
from local.simulators.graph.query import PAGED, page, picker
from local.simulators.graph.routing import Route
from local.simulators.objects import AppRoleAssignment, ServicePrincipal, instant
from local.simulators.tenant import SimulatedTenant, opaque_id
from local.simulators.world import is_guid

NO_ROLE = "00000000-0000-0000-0000-000000000000"
"""Role id of an assignment to a resource that has no roles."""

MAX_ASSIGNMENTS = 1500

_FIELDS = ("principalId", "resourceId", "appRoleId")


def routes() -> Iterator[Route]:
    """Both directions below a service principal."""
    for key in ("/{id}", "(appId='{appId}')"):
        held = f"/servicePrincipals{key}/appRoleAssignments"
        given = f"/servicePrincipals{key}/appRoleAssignedTo"
        yield Route("GET", held, _held, READ_GRANTS, PAGED)
        yield Route("POST", held, _create_held, WRITE_GRANTS)
        yield Route("DELETE", f"{held}/{{assignmentId}}", _delete, WRITE_GRANTS)
        yield Route("GET", given, _given, READ_GRANTS, PAGED)
        yield Route("POST", given, _create_given, WRITE_GRANTS)
        yield Route("DELETE", f"{given}/{{assignmentId}}", _delete, WRITE_GRANTS)


def assignment_json(tenant: SimulatedTenant, grant: AppRoleAssignment) -> dict[str, Any]:
    """The `appRoleAssignment` entity."""
    kind, name = tenant.principal_name(grant.principal_id) or ("ServicePrincipal", None)
    resource = tenant.service_principals.get(grant.resource_id)
    return {
        "id": grant.id,
        "deletedDateTime": None,
        "appRoleId": grant.app_role_id,
        "createdDateTime": instant(grant.created),
        "principalDisplayName": name,
        "principalId": grant.principal_id,
        "principalType": kind,
        "resourceDisplayName": None if resource is None else resource.display_name,
        "resourceId": grant.resource_id,
    }


def _page(call: GraphCall, grants: list[AppRoleAssignment]) -> Answer:
    pick = picker(call)
    readable = [grant for grant in grants if grant.visible_at <= call.now]
    return page(
        call,
        readable,
        lambda grant: pick(assignment_json(call.tenant, grant)),
        "appRoleAssignments",
    )


def _held(call: GraphCall) -> Answer:
    return _page(call, call.tenant.grants_of(call.service_principal().id))


def _given(call: GraphCall) -> Answer:
    return _page(call, call.tenant.grants_on(call.service_principal().id))


def _ids(call: GraphCall) -> tuple[str, str, str]:
    body = call.json_body()
    for name in body:
        if name not in _FIELDS:
            raise invalid_property(name)
    for name in _FIELDS:
        value = body.get(name)
        if value is None:
            raise bad_request(
                f"A value is required for property '{name}' of resource 'AppRoleAssignment'."
            )
        if not isinstance(value, str) or not is_guid(value):
            raise schema_mismatch(name)
    principal, resource, role = (str(body[name]).lower() for name in _FIELDS)
    return principal, resource, role


def _create_given(call: GraphCall) -> Answer:
    resource = call.service_principal()
    principal_id, resource_id, role_id = _ids(call)
    if resource_id != resource.id:
        raise bad_request("The resourceId of the assignment is not the resource it is made on.")
    return _created(call, principal_id, resource, role_id)


def _create_held(call: GraphCall) -> Answer:
    principal = call.service_principal()
    principal_id, resource_id, role_id = _ids(call)
    if principal_id != principal.id:
        raise bad_request("The principalId of the assignment is not the principal it is made on.")
    resource = call.tenant.service_principals.get(resource_id)
    if resource is None or resource.visible_at > call.now:
        raise not_found(resource_id)
    return _created(call, principal_id, resource, role_id)


def _created(
    call: GraphCall, principal_id: str, resource: ServicePrincipal, role_id: str
) -> Answer:
    tenant, lag = call.tenant, call.tenant.lag
    may_write_grant(call, resource, create=True)
    principal = tenant.service_principals.get(principal_id)
    if principal is None:
        if principal_id not in tenant.users:
            raise not_found(principal_id)
    elif principal.visible_at > call.now:
        raise not_found(principal_id)
    elif principal.referable_at > call.now:
        raise not_referable()
    if resource.referable_at > call.now:
        raise not_referable()
    _check_role(resource, role_id, "User" if principal is None else "Application")
    held = tenant.grants_of(principal_id)
    if any(grant.resource_id == resource.id and grant.app_role_id == role_id for grant in held):
        raise bad_request("Permission being assigned already exists on the object")
    if len(held) >= MAX_ASSIGNMENTS:
        raise size_exceeded()
    grant = tenant.store_grant(
        AppRoleAssignment(
            id=opaque_id(),
            principal_id=principal_id,
            resource_id=resource.id,
            app_role_id=role_id,
            created=call.now,
            visible_at=tenant.due(lag.objects),
            effective_at=tenant.due(lag.grants),
        )
    )
    context = call.context("appRoleAssignments/$entity")
    return Answer(201, {"@odata.context": context, **assignment_json(tenant, grant)})


def _check_role(resource: ServicePrincipal, role_id: str, member: str) -> None:
    if role_id == NO_ROLE and not resource.app_roles:
        return
    if not any(
        role.id == role_id and role.enabled and member in role.member_types
        for role in resource.app_roles
    ):
        raise bad_request(
            f"Permission being assigned was not found on application '{resource.app_id}'."
        )


def _delete(call: GraphCall) -> Answer:
    end = call.service_principal()
    grant = call.tenant.app_role_assignments.get(call.params["assignmentId"])
    if grant is None or end.id not in (grant.principal_id, grant.resource_id):
        raise not_found(call.params["assignmentId"])
    resource = call.tenant.service_principals.get(grant.resource_id)
    if resource is not None:
        may_write_grant(call, resource, create=False)
    call.tenant.revoke(grant)
    return Answer(204)
