"""Directory roles of a service principal, for the whole tenant.

A role has a template id, the same in every tenant, and a definition id in the tenant, which is
usually but not always the same. Answers may carry either, so assignments are compared through both
(Microsoft365DSC#5532 compared one and assigned again at every run). Only the scope ``/`` counts; an
assignment for an administrative unit is not the one we want. Left out: privileged identity
management's own endpoints, which need a licence; an active assignment shows up here all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.entra.graph import GraphClient, literal, relative
from shared.entra.reactions import AlreadyExists
from shared.errors import NotYet

WHOLE_TENANT = "/"
_ASSIGNMENTS = "roleManagement/directory/roleAssignments"
_DEFINITIONS = "roleManagement/directory/roleDefinitions"


@dataclass(frozen=True)
class RoleAssignment:
    """A role of a principal; ``role_id`` is a template id or a definition id."""

    id: str
    role_id: str
    scope: str


def assignments_path(principal_id: str) -> str:
    """The list of a principal's role assignments."""
    return relative(_ASSIGNMENTS, params={"$filter": f"principalId eq {literal(principal_id)}"})


def definitions_path(template_id: str) -> str:
    """The tenant's own definition of a built-in role."""
    return relative(
        _DEFINITIONS,
        select=("id", "templateId"),
        params={"$filter": f"templateId eq {literal(template_id)}"},
    )


def assignment_from_graph(entity: Mapping[str, Any]) -> RoleAssignment:
    """From Graph's JSON."""
    return RoleAssignment(
        id=str(entity["id"]),
        role_id=str(entity["roleDefinitionId"]).lower(),
        scope=str(entity.get("directoryScopeId") or ""),
    )


def role_ids(template_id: str, definitions: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Every id that means this role in the tenant."""
    return frozenset({template_id.lower(), *(str(each["id"]).lower() for each in definitions)})


def holds(assignments: Iterable[RoleAssignment], ids: Collection[str]) -> bool:
    """Whether one of the assignments is this role, for the whole tenant."""
    return any(each.role_id in ids and each.scope == WHOLE_TENANT for each in assignments)


async def list_assignments(graph: GraphClient, principal_id: str) -> list[RoleAssignment]:
    """The role assignments of a principal, in every scope."""
    items = await graph.get_all(
        assignments_path(principal_id), what=f"the directory roles of principal {principal_id}"
    )
    return [assignment_from_graph(item) for item in items]


async def is_assigned(graph: GraphClient, principal_id: str, template_id: str) -> bool:
    """Whether the principal holds a role for the whole tenant."""
    return await _holds(graph, await list_assignments(graph, principal_id), template_id)


async def assign(graph: GraphClient, principal_id: str, template_id: str) -> bool:
    """Assign a role for the whole tenant unless it is, and read it back; whether it was made.

    Raises:
        NotYet: the principal has not replicated, or the assignment is not listed yet.
    """
    if await is_assigned(graph, principal_id, template_id):
        return False
    made = True
    try:
        await graph.post(
            _ASSIGNMENTS,
            {
                "@odata.type": "#microsoft.graph.unifiedRoleAssignment",
                "roleDefinitionId": template_id,
                "principalId": principal_id,
                "directoryScopeId": WHOLE_TENANT,
            },
            what=f"directory role {template_id} for principal {principal_id}",
            young=True,
            # A second one is refused as a conflict.
            repeatable=True,
        )
    except AlreadyExists:
        made = False
    if not await is_assigned(graph, principal_id, template_id):
        raise NotYet(
            "role_not_listed",
            f"directory role {template_id} was assigned to principal {principal_id} in tenant"
            f" {graph.tenant_id}, but is not listed yet",
            remediation="Repeat the operation; it goes on where it stopped.",
            tenant_id=graph.tenant_id,
        )
    return made


async def _holds(graph: GraphClient, assignments: list[RoleAssignment], template_id: str) -> bool:
    if holds(assignments, role_ids(template_id, ())):
        return True
    if not any(each.scope == WHOLE_TENANT for each in assignments):
        return False
    # Some other id: it may be this tenant's own for the same role.
    definitions = await graph.get_all(
        definitions_path(template_id), what=f"the definition of directory role {template_id}"
    )
    return holds(assignments, role_ids(template_id, definitions))
