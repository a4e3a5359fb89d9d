"""Directory roles: definitions, assignments, and PIM's schedule instances, to read.

A role is named by template id or by the tenant's own definition id; answers carry the latter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local.simulators.catalogue import DIRECTORY_ROLES
from local.simulators.graph.calls import Answer, GraphCall
from local.simulators.graph.errors import (
    GraphError,
    bad_request,
    invalid_property,
    invalid_value,
    not_found,
    not_referable,
    schema_mismatch,
)
from local.simulators.graph.permissions import (
    READ_ELIGIBILITIES,
    READ_ROLES,
    READ_TIMED_ROLES,
    WRITE_ROLES,
)
from local.simulators.graph.query import LIST, SELECT, conditions, page, picker
from local.simulators.graph.routing import Route
from local.simulators.objects import RoleAssignment
from local.simulators.tenant import SimulatedTenant, opaque_id
from local.simulators.world import is_guid

BASE = "/roleManagement/directory"

_FIELDS = frozenset({"roleDefinitionId", "principalId", "directoryScopeId", "appScopeId"})
_FILTERS = frozenset({"principalId", "roleDefinitionId", "directoryScopeId"})


def routes() -> Iterator[Route]:
    """Everything below `/roleManagement/directory`."""
    many = f"{BASE}/roleAssignments"
    yield Route("GET", many, _list, READ_ROLES, LIST)
    yield Route("POST", many, _create, WRITE_ROLES)
    yield Route("GET", f"{many}/{{id}}", _get, READ_ROLES, SELECT)
    yield Route("DELETE", f"{many}/{{id}}", _delete, WRITE_ROLES)
    yield Route("GET", f"{BASE}/roleDefinitions", _definitions, READ_ROLES, LIST)
    yield Route("GET", f"{BASE}/roleDefinitions/{{id}}", _definition, READ_ROLES, SELECT)
    yield Route(
        "GET",
        f"{BASE}/roleEligibilityScheduleInstances",
        _eligibilities,
        READ_ELIGIBILITIES,
        LIST,
    )
    yield Route("GET", f"{BASE}/roleAssignmentScheduleInstances", _timed, READ_TIMED_ROLES, LIST)


def _matching(call: GraphCall, entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for condition in conditions(call, _FILTERS):
        wanted = condition.value
        if condition.name != "directoryScopeId":
            wanted = wanted.lower()
        entities = [entity for entity in entities if entity.get(condition.name) == wanted]
    return entities


def _list(call: GraphCall) -> Answer:
    readable = [
        assignment.as_json()
        for assignment in call.tenant.role_assignments.values()
        if assignment.visible_at <= call.now
    ]
    return page(
        call,
        _matching(call, readable),
        picker(call),
        "roleManagement/directory/roleAssignments",
    )


def _get(call: GraphCall) -> Answer:
    assignment = call.tenant.role_assignments.get(call.params["id"])
    if assignment is None or assignment.visible_at > call.now:
        raise not_found(call.params["id"])
    return _entity(call, assignment.as_json(), "roleAssignments")


def _entity(call: GraphCall, entity: dict[str, Any], collection: str) -> Answer:
    context = call.context(f"roleManagement/directory/{collection}/$entity")
    return Answer(200, {"@odata.context": context, **picker(call)(entity)})


def _create(call: GraphCall) -> Answer:
    body = call.json_body()
    for name, value in body.items():
        if name not in _FIELDS:
            raise invalid_property(name)
        if value is not None and not isinstance(value, str):
            raise schema_mismatch(name)
    role_id, principal_id = body.get("roleDefinitionId"), body.get("principalId")
    if not role_id or not principal_id:
        raise bad_request("The roleDefinitionId and principalId of a role assignment are required.")
    scope, app_scope = body.get("directoryScopeId"), body.get("appScopeId")
    if (scope is None) == (app_scope is None):
        raise bad_request(
            "Exactly one of directoryScopeId and appScopeId must be specified for a role"
            " assignment."
        )
    if not (scope or app_scope or "").startswith("/"):
        raise invalid_value("directoryScopeId", "RoleAssignment")
    template = call.tenant.template_id(role_id.lower())
    if template is None:
        raise bad_request(f"The role definition '{role_id}' does not exist in the directory.")
    holder = _principal(call, principal_id)
    definition = call.tenant.definition_id(template)
    if any(
        held.principal_id == holder
        and held.definition_id == definition
        and (held.directory_scope, held.app_scope) == (scope, app_scope)
        for held in call.tenant.role_assignments.values()
    ):
        raise bad_request(
            "A conflicting object with one or more of the specified property values is present in"
            " the directory."
        )
    lag = call.tenant.lag
    assignment = RoleAssignment(
        id=f"{opaque_id()}-1",
        principal_id=holder,
        definition_id=definition,
        directory_scope=scope,
        app_scope=app_scope,
        visible_at=call.tenant.due(lag.objects),
        effective_at=call.tenant.due(lag.roles),
    )
    call.tenant.role_assignments[assignment.id] = assignment
    context = call.context("roleManagement/directory/roleAssignments/$entity")
    return Answer(201, {"@odata.context": context, **assignment.as_json()})


def _principal(call: GraphCall, principal_id: str) -> str:
    if not is_guid(principal_id):
        raise schema_mismatch("principalId")
    wanted = principal_id.lower()
    principal = call.tenant.service_principals.get(wanted)
    if principal is None:
        if wanted not in call.tenant.users:
            raise not_found(wanted)
    elif principal.visible_at > call.now:
        raise not_found(wanted)
    elif principal.referable_at > call.now:
        raise not_referable()
    return wanted


def _delete(call: GraphCall) -> Answer:
    if call.tenant.role_assignments.pop(call.params["id"], None) is None:
        raise not_found(call.params["id"])
    return Answer(204)


def _definition_json(tenant: SimulatedTenant, template: str) -> dict[str, Any]:
    return {
        "id": tenant.definition_id(template),
        "description": DIRECTORY_ROLES[template],
        "displayName": DIRECTORY_ROLES[template],
        "isBuiltIn": True,
        "isEnabled": True,
        "resourceScopes": ["/"],
        "templateId": template,
        "version": "1",
        "rolePermissions": [],
    }


def _definitions(call: GraphCall) -> Answer:
    found = [_definition_json(call.tenant, template) for template in DIRECTORY_ROLES]
    for condition in conditions(call, {"displayName", "templateId", "id"}):
        found = [
            entity
            for entity in found
            if str(entity[condition.name]).lower() == condition.value.lower()
        ]
    return page(call, found, picker(call), "roleManagement/directory/roleDefinitions")


def _definition(call: GraphCall) -> Answer:
    template = call.tenant.template_id(call.object_id())
    if template is None:
        raise not_found(call.params["id"])
    return _entity(call, _definition_json(call.tenant, template), "roleDefinitions")


def _eligibilities(call: GraphCall) -> Answer:
    return _instances(call, eligible=True)


def _timed(call: GraphCall) -> Answer:
    return _instances(call, eligible=False)


def _instances(call: GraphCall, *, eligible: bool) -> Answer:
    if not call.tenant.switches.pim_licensed:
        raise GraphError(
            400,
            "AadPremiumLicenseRequired",
            "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance"
            " license.",
        )
    found = [
        instance.as_json()
        for instance in call.tenant.schedule_instances
        if instance.eligible is eligible
    ]
    kind = "roleEligibilityScheduleInstances" if eligible else "roleAssignmentScheduleInstances"
    return page(call, _matching(call, found), picker(call), f"roleManagement/directory/{kind}")
