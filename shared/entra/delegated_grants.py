"""Delegated grants (``oauth2PermissionGrant``) of one service principal, to read.

The application needs none: it signs in as itself. What is there was given by hand, and goes and
comes back with the service principal. The rights to read applications do not cover them.
"""

from __future__ import annotations

from shared.entra.graph import GraphClient, literal
from shared.entra.inventory import DelegatedGrant


async def list_delegated(graph: GraphClient, principal_id: str) -> list[DelegatedGrant]:
    """All of a service principal, which may be gone by now.

    Raises:
        Refused: ``graph_permission_missing`` where our rights do not cover them, and others.
        NotYet: Graph cannot answer for now.
    """
    items = await graph.get_all(
        "oauth2PermissionGrants",
        params={"$filter": f"clientId eq {literal(principal_id)}"},
        what=f"the delegated grants of service principal {principal_id}",
    )
    return [DelegatedGrant.from_graph(item) for item in items]
