"""Directory roles: held for the whole tenant, for good, and none besides.

A role is known by its template id and by the tenant's own definition id. An assignment for an
administrative unit and an eligibility in Privileged Identity Management are not the role, and are
told apart because they look like it. One that ends is the role, for now: it shows as a plain
assignment with a schedule behind it that has an end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from shared.audit.deviations import Deviation, deviation
from shared.entra.directory_roles import WHOLE_TENANT, RoleAssignment, holds
from shared.entra.inventory import AuditedPrincipal, Inventory, ScheduledRole
from shared.manifest import DirectoryRole, Manifest


def directory_roles(
    inventory: Inventory, manifest: Manifest, principal: AuditedPrincipal
) -> Iterator[Deviation]:
    """What is wrong with the roles of our service principal."""
    wanted: set[str] = set()
    held: set[str] = set()
    for role in manifest.directory_roles:
        ids = inventory.role_ids[role.template_id]
        wanted |= ids
        found = _wanted(role, ids, principal)
        if found is None or found.finding.code == "directory_role_temporary":
            held |= ids
        if found is not None:
            yield found
    for assignment in principal.roles:
        if assignment.role_id in wanted and (
            assignment.scope == WHOLE_TENANT or assignment.role_id not in held
        ):
            continue
        yield _not_wanted(inventory, assignment)
    assigned = {each.role_id for each in principal.roles}
    for kind, scheduled in (("eligible", principal.eligible), ("timed", principal.timed)):
        for each in scheduled:
            if each.role_id in wanted or (kind == "timed" and each.role_id in assigned):
                continue
            yield _scheduled(inventory, each, kind)


def _wanted(
    role: DirectoryRole, ids: Collection[str], principal: AuditedPrincipal
) -> Deviation | None:
    """The deviation of a wanted role; None when it is held for the whole tenant, for good."""
    timed = [each for each in principal.timed if _is(each, ids)]
    ending = {each.assignment_id for each in timed if each.ends is not None}
    lasting = [each for each in principal.roles if each.id not in ending]
    if holds(lasting, ids) or any(each.ends is None for each in timed):
        return None
    if holds(principal.roles, ids) or timed:
        ends = max((each.ends for each in timed if each.ends is not None), default="")
        return deviation(
            "directory_role_temporary",
            role.name,
            f"{role.name} is assigned until {ends}",
            identity=role.template_id,
        )
    if any(each.role_id in ids for each in principal.roles):
        code, how = "directory_role_scoped", "is assigned for a part of the tenant only"
    elif any(each.role_id in ids for each in principal.eligible):
        code, how = "directory_role_eligible", "is eligible, but not active"
    else:
        code, how = "directory_role_missing", "is not assigned"
    return deviation(
        code,
        role.name,
        f"{role.name} {how}",
        identity=role.template_id,
        not_scanned=role.without_it,
        target=role,
    )


def _is(scheduled: ScheduledRole, ids: Collection[str]) -> bool:
    return scheduled.role_id in ids and scheduled.scope == WHOLE_TENANT


def _not_wanted(inventory: Inventory, assignment: RoleAssignment) -> Deviation:
    name = inventory.role_names.get(assignment.role_id, assignment.role_id)
    where = "" if assignment.scope == WHOLE_TENANT else f" for {assignment.scope}"
    return deviation(
        "directory_role_not_wanted",
        name,
        f"{name} is assigned{where} and not wanted",
        identity=f"{assignment.role_id}:{assignment.scope}",
        target=assignment,
    )


def _scheduled(inventory: Inventory, scheduled: ScheduledRole, kind: str) -> Deviation:
    name = inventory.role_names.get(scheduled.role_id, scheduled.role_id)
    return deviation(
        "directory_role_scheduled_not_wanted",
        name,
        f"{name} is {'eligible' if kind == 'eligible' else 'assigned'} by Privileged Identity"
        " Management and not wanted",
        identity=f"{kind}:{scheduled.role_id}:{scheduled.scope}",
    )
