"""Mondoo resource names (MRNs): how the platform builds them, and what is read out of them.

Formats are those of the Terraform provider and the Go client; nothing in here knows whether the
thing that is named exists.
"""

from __future__ import annotations

import re
import secrets
import string

PLATFORM = "//platform.api.mondoo.app"
_CAPTAIN = "//captain.api.mondoo.app"
_INTEGRATION = re.compile(
    r"//integration\.api\.mondoo\.app/(?P<kind>spaces|organizations)/(?P<id>[\w-]+)"
    r"/integrations/[\w-]+"
)
_ALPHABET = string.ascii_letters + string.digits


def new_id() -> str:
    """A new identifier of the platform's kind: 27 letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(27))


def space(space_id: str) -> str:
    """MRN of a space."""
    return f"{_CAPTAIN}/spaces/{space_id}"


def organization(organization_id: str) -> str:
    """MRN of an organization."""
    return f"{_CAPTAIN}/organizations/{organization_id}"


def role(name: str) -> str:
    """MRN of a role such as `editor`."""
    return f"//iam.api.mondoo.app/roles/{name}"


def role_name(role_mrn: str) -> str | None:
    """The name in a role's MRN, or `None`."""
    prefix = role("")
    return role_mrn[len(prefix) :] if role_mrn.startswith(prefix) else None


def policy(uid: str) -> str:
    """MRN of a published policy or query pack."""
    return f"//policy.api.mondoo.app/policies/{uid}"


def asset(space_mrn: str) -> str:
    """A new MRN of an asset in a space."""
    return f"//assets.api.mondoo.app/{_scope_path(space_mrn)}/assets/{new_id()}"


def integration(scope_mrn: str) -> str:
    """A new MRN of an integration in a space or organization."""
    return f"//integration.api.mondoo.app/{_scope_path(scope_mrn)}/integrations/{new_id()}"


def service_account(scope_mrn: str) -> str:
    """A new MRN of a service account of a space or organization."""
    return f"//agents.api.mondoo.app/{_scope_path(scope_mrn)}/serviceaccounts/{new_id()}"


def binding(scope_mrn: str) -> str:
    """A new MRN of a workload identity binding."""
    return f"//iam.api.mondoo.app/{_scope_path(scope_mrn)}/wifauthbindings/{new_id()}"


def scope_of_integration(integration_mrn: str) -> str | None:
    """The space or organization that an integration's MRN names, or `None`."""
    found = _INTEGRATION.fullmatch(integration_mrn)
    return f"{_CAPTAIN}/{found['kind']}/{found['id']}" if found else None


def last_part(resource_mrn: str) -> str:
    """What follows the last slash: the id."""
    return resource_mrn.rpartition("/")[2]


def _scope_path(scope_mrn: str) -> str:
    """`spaces/<id>` or `organizations/<id>`."""
    return scope_mrn.removeprefix(f"{_CAPTAIN}/")
