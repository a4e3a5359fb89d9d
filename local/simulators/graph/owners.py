"""Owners of applications and service principals: users and service principals."""

from __future__ import annotations

from typing import Any

from local.simulators.graph.calls import GraphCall
from local.simulators.graph.errors import bad_request, not_found
from local.simulators.world import is_guid


def list_owners(call: GraphCall, owners: list[str]) -> list[dict[str, Any]]:
    """Owners as directory objects; those that are gone are left out."""
    shown: list[dict[str, Any]] = []
    for object_id in owners:
        named = call.tenant.principal_name(object_id)
        if named is None:
            continue
        kind, display_name = named
        entry: dict[str, Any] = {
            "@odata.type": f"#microsoft.graph.{kind[0].lower()}{kind[1:]}",
            "id": object_id,
            "displayName": display_name,
        }
        principal = call.tenant.service_principals.get(object_id)
        if principal is not None:
            entry["appId"] = principal.app_id
            entry["appOwnerOrganizationId"] = principal.owner_organization
        shown.append(entry)
    return shown


def add_owner(call: GraphCall, owners: list[str]) -> None:
    """`POST …/owners/$ref` with `{"@odata.id": ".../directoryObjects/{id}"}`."""
    reference = call.reference()
    object_id = reference.rstrip("/").rpartition("/")[2].lower()
    if not is_guid(object_id):
        raise bad_request("The reference to the owner is not valid.")
    if call.tenant.principal_name(object_id) is None:
        raise not_found(object_id)
    if object_id in owners:
        raise bad_request(
            "One or more added object references already exist for the following modified"
            " properties: 'owners'."
        )
    owners.append(object_id)


def remove_owner(owners: list[str], object_id: str) -> bool:
    """Take an owner away; false if it is none."""
    if object_id not in owners:
        return False
    owners.remove(object_id)
    return True
