"""Reader for a service principal, on a subscription or on the tenant's root management group.

The name of an assignment of ours follows from its scope and principal, so that making it twice is
making it once, and removing touches nothing that somebody else assigned. A broader role, or Reader
on a scope above, counts as having it.

Source: Azure REST API, roleAssignments 2022-04-01; "Azure built-in roles".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID, uuid5

from shared.errors import Refused
from shared.resource_manager.client import ResourceManager

READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
INCLUDES_READER = frozenset(
    {
        READER,
        "b24988ac-6180-42a0-ab88-20f7382dd24c",  # Contributor
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",  # Owner
    }
)
_OURS = UUID("5f1ac2ad-6c0d-4c8c-9d1c-2b7d2f9a7b60")
_ROLES = "providers/Microsoft.Authorization/roleAssignments"
_VERSION = "2022-04-01"


@dataclass(frozen=True)
class Subscription:
    """A subscription that we can see. ``id`` is a lower-case GUID."""

    id: str
    name: str

    @property
    def scope(self) -> str:
        """Its address."""
        return scope_of(self.id)


def scope_of(subscription_id: str) -> str:
    """The scope of a subscription."""
    return f"/subscriptions/{subscription_id}"


def root_scope(tenant_id: str) -> str:
    """The scope of the root management group, which has the tenant's id."""
    return f"/providers/Microsoft.Management/managementGroups/{tenant_id}"


async def subscriptions(azure: ResourceManager) -> list[Subscription]:
    """The subscriptions of the tenant on which we have any role, by id."""
    listed = await azure.get_all(
        "/subscriptions", {"api-version": "2022-12-01"}, what="list the subscriptions"
    )
    found = [
        Subscription(str(each["subscriptionId"]).lower(), str(each.get("displayName", "")))
        for each in listed
        # A subscription of another tenant may be seen through Azure Lighthouse.
        if str(each.get("tenantId", azure.tenant_id)).lower() == azure.tenant_id
    ]
    return sorted(found, key=lambda each: each.id)


@dataclass(frozen=True)
class Held:
    """What a principal holds on a scope. ``reader``: it may read everything there; ``ours``: an
    assignment that `assign_reader` made on this very scope is there."""

    reader: bool
    ours: bool


async def held(
    azure: ResourceManager, scope: str, principal_id: str, *, but_for: Iterable[str] = ()
) -> Held:
    """What the principal holds on a scope, ``reader`` as it were without our assignments on the
    scopes ``but_for``. Raises as `ResourceManager.send`."""
    ignored = {_name(each, principal_id) for each in but_for}
    ours, reader = _name(scope, principal_id), False
    listed = await azure.get_all(
        f"{scope}/{_ROLES}",
        {"api-version": _VERSION, "$filter": f"principalId eq '{principal_id}'"},
        what=f"read the role assignments of {scope}",
    )
    names = {str(each["name"]).lower() for each in listed}
    for each in listed:
        known = each["properties"]
        if str(each["name"]).lower() in ignored:
            continue
        role = str(known["roleDefinitionId"]).rsplit("/", 1)[-1].lower()
        # The filter also finds assignments below the scope, on resource groups and resources.
        within = str(known.get("scope", "")).lower().startswith(f"{scope}/".lower())
        reader = reader or (role in INCLUDES_READER and not within)
    return Held(reader=reader, ours=ours in names)


async def assign_reader(azure: ResourceManager, scope: str, principal_id: str) -> None:
    """Assign Reader. May be repeated. Raises as `ResourceManager.send`."""
    definition = f"/providers/Microsoft.Authorization/roleDefinitions/{READER}"
    try:
        await azure.put(
            assignment_of(scope, principal_id),
            _VERSION,
            {
                "properties": {
                    "roleDefinitionId": definition,
                    "principalId": principal_id,
                    "principalType": "ServicePrincipal",
                }
            },
            what=f"assign Reader on {scope}",
        )
    except Refused as error:
        if error.code != "azure_exists":
            raise


async def remove_reader(azure: ResourceManager, scope: str, principal_id: str) -> None:
    """Remove the assignment that `assign_reader` made, if it is there."""
    await azure.delete(
        assignment_of(scope, principal_id), _VERSION, what=f"remove Reader on {scope}"
    )


def assignment_of(scope: str, principal_id: str) -> str:
    """The address of the assignment that `assign_reader` makes."""
    return f"{scope}/{_ROLES}/{_name(scope, principal_id)}"


def scope_of_assignment(assignment: str) -> str:
    """The scope in the address of an assignment."""
    return assignment.partition(f"/{_ROLES}/")[0]


def by_hand(scope: str, principal_id: str) -> str:
    """The command that assigns Reader, for whoever may."""
    return (
        f"az role assignment create --role Reader --assignee-object-id {principal_id}"
        f" --assignee-principal-type ServicePrincipal --scope {scope}"
    )


def _name(scope: str, principal_id: str) -> str:
    return str(uuid5(_OURS, f"{scope.lower()}|{principal_id.lower()}"))
