"""Removing our application from a tenant, and looking whether it is gone.

Deletions in Entra ID are soft: for thirty days the object can be restored, and an application keeps
its unique name for as long. Purging ends that. What is gone already counts as deleted. Deleting the
application does not purge its service principal (azure-docs pull request 110002), so the two are
purged one by one. Everything may be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.entra.graph import GraphClient, literal, segment
from shared.entra.reactions import Gone
from shared.models import MARK

KEPT_FOR = timedelta(days=30)
_SELECTED = ("id", "appId", "displayName", "uniqueName", "tags", "deletedDateTime")
_PRINCIPAL = ("id", "appId", "displayName", "tags", "deletedDateTime")


@dataclass(frozen=True)
class DeletedObject:
    """A soft-deleted application or service principal; it goes for good at ``purged_at``."""

    object_id: str
    app_id: str
    display_name: str
    ours: bool
    purged_at: datetime | None

    @classmethod
    def from_graph(cls, entity: Mapping[str, Any]) -> DeletedObject:
        """From Graph's JSON."""
        deleted = entity.get("deletedDateTime")
        return cls(
            object_id=str(entity["id"]),
            app_id=str(entity["appId"]).lower(),
            display_name=str(entity.get("displayName") or ""),
            ours=MARK in (entity.get("tags") or ()),
            purged_at=datetime.fromisoformat(deleted) + KEPT_FOR if deleted else None,
        )


async def deleted_applications(
    graph: GraphClient, *, app_id: str | None, unique_name: str
) -> list[DeletedObject]:
    """The soft-deleted application with this appId, or else those with this unique name."""
    items = await graph.get_all(
        "directory/deletedItems/microsoft.graph.application",
        select=_SELECTED,
        what="deleted applications",
    )
    return [
        DeletedObject.from_graph(item)
        for item in items
        if (
            str(item.get("appId")).lower() == app_id
            if app_id is not None
            else item.get("uniqueName") == unique_name
        )
    ]


async def deleted_principals(graph: GraphClient, app_id: str) -> list[DeletedObject]:
    """The soft-deleted service principals of an application: several after restores by hand."""
    items = await graph.get_all(
        "directory/deletedItems/microsoft.graph.servicePrincipal",
        select=_PRINCIPAL,
        params={"$filter": f"appId eq {literal(app_id)}"},
        what=f"deleted service principals of application {app_id}",
    )
    return [DeletedObject.from_graph(item) for item in items]


async def delete_application(graph: GraphClient, object_id: str) -> None:
    """Delete an application, softly."""
    with suppress(Gone):
        await graph.delete(f"applications/{segment(object_id)}", what=f"application {object_id}")


async def delete_principal(graph: GraphClient, object_id: str) -> None:
    """Delete a service principal, softly."""
    with suppress(Gone):
        await graph.delete(
            f"servicePrincipals/{segment(object_id)}", what=f"service principal {object_id}"
        )


async def purge(graph: GraphClient, object_id: str) -> None:
    """Delete a soft-deleted object for good."""
    with suppress(Gone):
        await graph.delete(
            f"directory/deletedItems/{segment(object_id)}", what=f"deleted object {object_id}"
        )


async def exists(graph: GraphClient, collection: str, object_id: str) -> bool:
    """Whether an object can be read. ``collection``: ``applications``, ``servicePrincipals``, or
    ``directory/deletedItems`` for a soft-deleted one."""
    try:
        await graph.get(
            f"{collection}/{segment(object_id)}", select=("id",), what=f"object {object_id}"
        )
    except Gone:
        return False
    return True
