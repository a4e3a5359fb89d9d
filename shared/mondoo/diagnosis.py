"""Why Mondoo does not let us in: a refusal, seen beside the service account and the space.

Mondoo says "unauthenticated" and "unauthorized" and no more. Which of the usual mistakes it was can
be told from what we have: regions hold separate data, and an account belongs to one space or
organization.
"""

from __future__ import annotations

import re

from shared.errors import Refused
from shared.mondoo.account import ServiceAccount

_REGION = re.compile(r"https://(us|eu)\.")
_CLOSED = frozenset({"mondoo_unauthenticated", "mondoo_space_missing", "mondoo_forbidden"})
_REPLACE = (
    "Create a service account with the role Editor in the Mondoo Console (on the organization,"
    " where tenants of several spaces are onboarded), and put its JSON into the vault secret that"
    " MONDOO_SERVICE_ACCOUNT names."
)
_MOVE = (
    'Correct "space", if it is not meant. A deployment has one service account, and with it one'
    " region: tenants of the other region need a deployment of their own."
)
_WIDEN = (
    'Correct "space", if it is not meant. Else use a service account of the organization that may'
    " edit both spaces; one for this space only would shut out all others."
)


def explained(error: Refused, account: ServiceAccount, space: str) -> Refused:
    """The refusal with its likely cause; as it was where nothing more can be said."""
    if error.code not in _CLOSED:
        return error
    here, there = region_of_endpoint(account.endpoint), region_of_space(space)
    if here is not None and here != there:
        return _named(
            error,
            "mondoo_wrong_region",
            f"space {space} is, by its id, in the region {there.upper()}, and the service"
            f" account belongs to {account.endpoint}",
            _MOVE,
        )
    if error.code == "mondoo_unauthenticated":
        return _named(
            error,
            "mondoo_account_revoked",
            f"{account.endpoint} does not accept the service account {account.mrn}: it was deleted"
            " or has expired, its key is another account's, or it belongs to another region",
            _REPLACE,
        )
    if "/spaces/" in account.scope and account.scope != space:
        return _named(
            error,
            "mondoo_account_other_space",
            f"the service account belongs to {account.scope}, not to {space}",
            _WIDEN,
        )
    return error


def region_of_endpoint(endpoint: str) -> str | None:
    """``us`` or ``eu``; None for an endpoint of another kind."""
    found = _REGION.match(endpoint)
    return found[1] if found else None


def region_of_space(space: str) -> str:
    """Ids of spaces in the EU start with ``eu-``."""
    return "eu" if space.rsplit("/", 1)[-1].startswith("eu-") else "us"


def _named(error: Refused, code: str, message: str, remediation: str) -> Refused:
    return Refused(code, message, remediation=remediation, request_id=error.request_id)
