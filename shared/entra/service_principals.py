"""Service principals: what an application is in a tenant, and what grants and roles hang on.

Three kinds of id are easy to mix up: the application's object id, its appId, and the object id of
its service principal. `ServicePrincipal.object_id` is the last one; grants and roles take no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.entra.graph import GraphClient, quoted, segment
from shared.entra.reactions import AlreadyExists, Gone
from shared.errors import NotYet
from shared.models import MARK

SELECTED = ("id", "appId", "displayName", "accountEnabled", "tags")


@dataclass(frozen=True)
class ServicePrincipal:
    """A service principal as it was read."""

    object_id: str
    app_id: str
    display_name: str
    enabled: bool
    tags: tuple[str, ...] = ()

    @classmethod
    def from_graph(cls, entity: Mapping[str, Any]) -> ServicePrincipal:
        """From Graph's JSON. Disabled by whichever of the two switches Graph shows."""
        disabled = entity.get("isDisabled") is True
        return cls(
            object_id=str(entity["id"]),
            app_id=str(entity["appId"]).lower(),
            display_name=str(entity.get("displayName") or ""),
            enabled=entity.get("accountEnabled") is not False and not disabled,
            tags=tuple(entity.get("tags") or ()),
        )

    @property
    def ours(self) -> bool:
        """Whether it carries our mark."""
        return MARK in self.tags


async def read_principal(
    graph: GraphClient, app_id: str, *, young: bool = False
) -> ServicePrincipal | None:
    """The service principal of an application by its appId; None when the tenant has none.

    Raises:
        NotYet: ``young``, and it cannot be read yet.
    """
    try:
        entity = await graph.get(
            _path(app_id),
            select=SELECTED,
            what=f"the service principal of application {app_id}",
            young=young,
        )
    except Gone:
        return None
    return ServicePrincipal.from_graph(entity)


async def ensure_principal(
    graph: GraphClient, app_id: str, *, young: bool = True
) -> ServicePrincipal:
    """Make or correct the service principal of our application: enabled, marked; then read it.

    It is posted, not upserted: an upsert would overwrite the tags of one that exists, and the
    portal files applications by their tags. ``young``: the application was made moments ago by us,
    so that "its backing application is not in the tenant" means replication
    (terraform-provider-azuread#581).

    Raises:
        NotYet: the application or the service principal has not replicated.
    """
    what = f"the service principal of application {app_id}"
    try:
        await graph.post(
            "servicePrincipals",
            {"appId": app_id, **_wanted()},
            what=what,
            young=young,
            # A second one is refused as a duplicate.
            repeatable=True,
        )
    except AlreadyExists:
        found = await read_principal(graph, app_id, young=True)
        if found is None or (found.enabled and found.ours):
            return _checked(found, graph, what)
        await graph.patch(
            f"servicePrincipals/{segment(found.object_id)}",
            _wanted(found.tags),
            what=what,
            young=True,
        )
    return _checked(await read_principal(graph, app_id, young=True), graph, what)


def _wanted(tags: tuple[str, ...] = ()) -> dict[str, Any]:
    others = [tag for tag in tags if tag != MARK]
    return {"accountEnabled": True, "appRoleAssignmentRequired": False, "tags": [*others, MARK]}


def _checked(principal: ServicePrincipal | None, graph: GraphClient, what: str) -> ServicePrincipal:
    """The service principal that was read back, if it shows what was written."""
    if principal is None or not (principal.enabled and principal.ours):
        raise NotYet(
            "principal_not_replicated",
            f"{what} in tenant {graph.tenant_id} was changed, but reading it does not show the"
            " change yet",
            remediation="Repeat the operation; it goes on where it stopped.",
            tenant_id=graph.tenant_id,
        )
    return principal


def _path(app_id: str) -> str:
    return f"servicePrincipals(appId={quoted(app_id)})"
