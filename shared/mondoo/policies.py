"""Policies of a Mondoo space: which exist for it, which are active, and making them active.

A policy in preview (``IGNORE``) is assigned but counts nothing, so it is not active. Activating is
repeatable. Nothing is ever deactivated here.
"""

from __future__ import annotations

from collections.abc import Iterable

from shared.mondoo.client import MondooClient


async def known(client: MondooClient, space: str, mrns: Iterable[str]) -> set[str]:
    """Those of ``mrns`` that are policies which the space can use."""
    wanted = sorted(set(mrns))
    answer = await client.execute("find_content", {"scope": space, "mrns": wanted})
    return {edge["node"].get("mrn") for edge in answer["content"]["edges"]}.intersection(wanted)


async def active(client: MondooClient, space: str) -> set[str]:
    """MRNs of the policies that are active in the space, by itself or through its organization."""
    answer = await client.execute("list_active_policies", {"scope": space})
    nodes = (edge["node"] for edge in answer["activePolicies"]["edges"])
    return {node["mrn"] for node in nodes if node["action"] == "ACTIVE"}


async def activate(client: MondooClient, space: str, mrns: Iterable[str]) -> None:
    """Make policies active in the space. May be repeated."""
    await client.execute(
        "activate_policies", {"scope": space, "mrns": sorted(set(mrns))}, repeatable=True
    )
