"""The asset that a scan leaves behind: the Microsoft 365 tenant itself.

Mondoo's scanner names it after the tenant's id and labels it with the id. The label narrows the
list; the name decides, compared in full, since a filter may match more than was meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.mondoo.client import MondooClient

TENANT_LABEL = "azure.com/tenant"
UNSCORED = "U"


@dataclass(frozen=True)
class Asset:
    """A scanned tenant; ``grade`` (A to F) is None until it was scored."""

    mrn: str
    name: str
    grade: str | None


async def tenant_asset(client: MondooClient, space: str, tenant_id: str) -> Asset | None:
    """The newest asset of a tenant in a space; None before Mondoo has seen the tenant."""
    name = f"Microsoft 365 tenant {tenant_id}".lower()
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        answer = await client.execute(
            "find_assets",
            {
                "space": space,
                "labels": [{"key": TENANT_LABEL, "value": tenant_id}],
                "after": after,
            },
        )
        page = answer["assets"]
        found += [node for node in page["nodes"] if node["name"].lower() == name]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"] or after is None:
            break
    if not found:
        return None
    newest = max(found, key=lambda node: str(node["updatedAt"]))
    grade = (newest.get("score") or {}).get("grade")
    return Asset(
        mrn=newest["mrn"],
        name=newest["name"],
        grade=None if grade in (None, "", UNSCORED) else grade,
    )
