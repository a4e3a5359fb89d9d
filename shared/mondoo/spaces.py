"""Mondoo spaces: whether one can be read, and what we may do in it.

Rights are read as roles, since the names that ``testIamActions`` takes are not published. The role
sets come from Mondoo's documentation: Editor and Owner may do all that onboarding needs; without
them it takes three narrower roles.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.errors import Refused
from shared.mondoo.client import MondooClient

SUFFICIENT = frozenset({"editor", "owner"})
"""Roles of which one is enough."""
NARROW = frozenset({"integrations-manager", "policy-manager", "viewer"})
"""Roles that are enough together."""


@dataclass(frozen=True)
class Space:
    """A space."""

    mrn: str
    id: str
    name: str


async def read_space(client: MondooClient, mrn: str) -> Space:
    """The space.

    Raises:
        Refused: ``mondoo_space_missing`` when there is none, or none that we may see.
    """
    try:
        shown = (await client.execute("read_space", {"mrn": mrn}))["space"]
    except Refused as error:
        if error.code != "mondoo_not_found":
            raise
        raise _missing(mrn, error.request_id) from error
    if shown is None:
        raise _missing(mrn, None)
    return Space(mrn=shown["mrn"], id=shown["id"], name=shown["name"])


async def rights(client: MondooClient, space: str) -> frozenset[str]:
    """The names of our roles in the space, such as ``editor``."""
    account = await client.account()
    answer = await client.execute("list_roles", {"identity": account.mrn, "scope": space})
    return frozenset(role.rsplit("/", 1)[-1] for role in answer["getRoles"]["roles"])


def missing_rights(roles: Iterable[str]) -> list[str]:
    """The roles that onboarding needs besides ``roles``; empty when they are enough."""
    held = frozenset(roles)
    return [] if held & SUFFICIENT else sorted(NARROW - held)


def rights_missing_to_make_one(roles: Iterable[str]) -> list[str]:
    """The roles on an organization that making a space in it needs besides ``roles``."""
    return sorted({"owner"} - frozenset(roles))


def _missing(mrn: str, request_id: str | None) -> Refused:
    return Refused(
        "mondoo_space_missing",
        f"there is no Mondoo space {mrn}, or our service account may not see it",
        remediation=(
            "Check the MRN of the space (Settings in the Mondoo Console), its region, and that the"
            " service account belongs to it or to its organization."
        ),
        request_id=request_id,
    )
