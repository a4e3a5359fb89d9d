"""A space of its own for each tenant: found by our labels, or made.

Spaces are the boundary between customers in Mondoo. One that we make carries our mark and the
tenant's id as annotations, and its id is made of the tenant's id, so that two who look for it at
once cannot make two: ``t-`` and the 32 digits, 34 characters, which both of Mondoo's published
rules allow. A space with our labels may also have another id (it was moved, or made by an earlier
version), so the organization's spaces are looked through before one is made. A space of that id
without our labels is somebody's and is left alone.

Sources: Mondoo's documentation of spaces (id 7 to 34, name 4 to 29 characters) and its Terraform
provider's validators (id 4 to 64, name 2 to 64).
"""

from __future__ import annotations

import re
from typing import Any

from shared.errors import Refused
from shared.models import MARK_LABEL, NewSpace
from shared.mondoo.client import MondooClient

TENANT_LABEL = "microsoft365-tenant"
LONGEST_NAME = 29
SHORTEST_NAME = 4
_PREFIX = "//captain.api.mondoo.app/spaces/"


def space_to_be(tenant_id: str) -> str:
    """The MRN of the space that would be made for a tenant."""
    return _PREFIX + _space_id(tenant_id)


async def find_tenant_space(client: MondooClient, organization: str, tenant_id: str) -> str | None:
    """The MRN of the tenant's space in the organization; None when there is none.

    Raises:
        Refused: ``mondoo_space_not_ours``, ``mondoo_organization_missing``; and as
            `MondooClient.execute`.
    """
    wanted = space_to_be(tenant_id)
    found = await _read(client, wanted)
    if found is not None:
        if not _is_of(found, tenant_id) or found["organization"]["mrn"] != organization:
            raise _not_ours(wanted, organization)
        return wanted
    after: str | None = None
    while True:
        try:
            answer = await client.execute(
                "list_spaces", {"organization": organization, "after": after}
            )
        except Refused as error:
            if error.code not in ("mondoo_not_found", "mondoo_forbidden"):
                raise
            raise _no_organization(organization, error.request_id) from error
        if answer["organization"] is None:
            raise _no_organization(organization, None)
        page = answer["organization"]["spacesList"]
        for edge in page["edges"]:
            if _is_of(edge["node"], tenant_id):
                return str(edge["node"]["mrn"])
        if not page["pageInfo"]["hasNextPage"]:
            return None
        after = page["pageInfo"]["endCursor"]


async def make_tenant_space(
    client: MondooClient, wanted: NewSpace, tenant_id: str, display_name: str | None
) -> str:
    """Make the tenant's space and return its MRN.

    Raises:
        OutcomeUnknown: it may exist now; `find_tenant_space` tells.
        Refused: ``mondoo_space_not_ours`` when the id is taken.
    """
    labels = {MARK_LABEL[0]: MARK_LABEL[1], TENANT_LABEL: tenant_id}
    try:
        answer = await client.execute(
            "create_space",
            {
                "organization": wanted.organization,
                "id": _space_id(tenant_id),
                "name": wanted.name or space_name(display_name, tenant_id),
                "description": f"Microsoft 365 tenant {tenant_id}",
                "annotations": [{"key": key, "value": value} for key, value in labels.items()],
            },
        )
    except Refused as error:
        if error.code != "mondoo_already_exists":
            raise
        raise _not_ours(space_to_be(tenant_id), wanted.organization) from error
    return str(answer["createSpace"]["mrn"])


def space_name(display_name: str | None, tenant_id: str) -> str:
    """A name that Mondoo allows: the tenant's, without what is not allowed, or one from its id."""
    allowed = re.sub(r"[^A-Za-z0-9 '_-]+", " ", display_name or "")
    name = " ".join(allowed.split())[:LONGEST_NAME].strip()
    return name if len(name) >= SHORTEST_NAME else f"Microsoft 365 {tenant_id[:8]}"


async def _read(client: MondooClient, mrn: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] | None = (await client.execute("find_tenant_space", {"mrn": mrn}))[
            "space"
        ]
    except Refused as error:
        if error.code != "mondoo_not_found":
            raise
        return None
    return found


def _is_of(space: dict[str, Any], tenant_id: str) -> bool:
    labels = {pair["key"]: pair["value"] for pair in space["annotations"]}
    return labels.get(MARK_LABEL[0]) == MARK_LABEL[1] and labels.get(TENANT_LABEL) == tenant_id


def _space_id(tenant_id: str) -> str:
    return "t-" + tenant_id.replace("-", "")


def _not_ours(mrn: str, organization: str) -> Refused:
    return Refused(
        "mondoo_space_not_ours",
        f"there is a space {mrn} that is not this tenant's space in {organization}, by its labels",
        remediation="Rename or remove that space, or send the MRN of the space to use instead.",
    )


def _no_organization(organization: str, request_id: str | None) -> Refused:
    return Refused(
        "mondoo_organization_missing",
        f"there is no Mondoo organization {organization}, or our service account may not see it",
        remediation="Check the MRN, and use a service account of the organization.",
        request_id=request_id,
    )
