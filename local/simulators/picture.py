"""A picture of a tenant: everything in it that a caller could have changed, as canonical JSON.

Two pictures with equal bytes mean that nothing was changed in between.
"""

from __future__ import annotations

import json

from local.simulators.tenant import SimulatedTenant


def picture(tenant: SimulatedTenant) -> bytes:
    """Applications, service principals, grants, roles and deleted items."""
    seen = {
        "applications": [tenant.snapshot(key).decode() for key in sorted(tenant.applications)],
        "servicePrincipals": [
            [one.id, one.app_id, one.enabled, sorted(one.tags), sorted(one.owners)]
            for one in sorted(tenant.service_principals.values(), key=lambda one: one.id)
        ],
        "appRoleAssignments": sorted(
            [one.id, one.principal_id, one.resource_id, one.app_role_id]
            for one in tenant.app_role_assignments.values()
        ),
        "roleAssignments": sorted(
            [one.id, one.principal_id, one.definition_id]
            for one in tenant.role_assignments.values()
        ),
        "deleted": sorted(item.id for item in tenant.deleted_items()),
    }
    return json.dumps(seen, sort_keys=True).encode()
