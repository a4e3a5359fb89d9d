"""Policies of a Mondoo space: which exist for it, which are assigned, and assigning them.

A policy in preview (``IGNORE`` on the wire) is assigned but counts nothing, so it is not active.
Assigning is repeatable. Nothing is ever taken away here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from shared.models import PolicyAction
from shared.mondoo.client import MondooClient

_WIRE = {PolicyAction.ACTIVE: "ACTIVE", PolicyAction.PREVIEW: "IGNORE"}
_READ = {wire: action for action, wire in _WIRE.items()}


class Policy(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A policy that a space can use; ``action`` is None while it is not assigned."""

    mrn: str
    name: str
    version: str
    action: PolicyAction | None = None


async def known(client: MondooClient, space: str, mrns: Iterable[str]) -> set[str]:
    """Those of ``mrns`` that are policies which the space can use."""
    wanted = sorted(set(mrns))
    answer = await client.execute("find_content", {"scope": space, "mrns": wanted})
    return {edge["node"].get("mrn") for edge in answer["content"]["edges"]}.intersection(wanted)


async def search(client: MondooClient, space: str, query: str) -> list[Policy]:
    """The policies whose name or uid has every word of ``query``, in Mondoo's order."""
    found: list[Policy] = []
    seen = 0
    after: str | None = None
    while True:
        variables = {"scope": space, "query": query, "after": after}
        page = (await client.execute("search_policies", variables))["content"]
        edges: list[dict[str, Any]] = page["edges"]
        found += [_policy(edge["node"]) for edge in edges if edge["node"].get("mrn")]
        seen += len(edges)
        if not edges or seen >= page["totalCount"]:
            return found
        after = edges[-1]["cursor"]


async def assigned(client: MondooClient, space: str) -> dict[str, PolicyAction]:
    """The policies assigned to the space, by itself or through its organization, by MRN.

    An action that is not known here counts as preview: it is not ``ACTIVE``.
    """
    answer = await client.execute("list_active_policies", {"scope": space})
    nodes = (edge["node"] for edge in answer["activePolicies"]["edges"])
    return {node["mrn"]: _READ.get(node["action"], PolicyAction.PREVIEW) for node in nodes}


async def active(client: MondooClient, space: str) -> set[str]:
    """MRNs of the policies that are active in the space."""
    found = await assigned(client, space)
    return {mrn for mrn, action in found.items() if action is PolicyAction.ACTIVE}


async def activate(
    client: MondooClient,
    space: str,
    mrns: Iterable[str],
    action: PolicyAction = PolicyAction.ACTIVE,
) -> None:
    """Assign policies to the space. May be repeated."""
    await client.execute(
        "activate_policies",
        {"scope": space, "mrns": sorted(set(mrns)), "action": _WIRE[action]},
        repeatable=True,
    )


def _policy(node: dict[str, Any]) -> Policy:
    return Policy(
        mrn=node["mrn"],
        name=node["name"],
        version=node["version"],
        action=None if node["action"] is None else _READ.get(node["action"], PolicyAction.PREVIEW),
    )
