"""The rights that our automation needs in a tenant, and the look at them before the first write.

What each kind of operation needs is a set of its own: a report only reads, a rotation grants
nothing. An operation that is to change something asks `missing_rights` first and, where there is
one, ends ``refused`` with all of them named: a change that stops half-way for want of a right would
leave the tenant neither as it was nor as it should be.

Least rights first; a broader role that includes a right counts as having it. Two of them are of
Graph's highest privilege level, so they sit on the automation identity only, never on the
application that Mondoo signs in with.

Sources: Microsoft Graph permissions reference, "least privileged" columns; Graph's own app roles
can be granted only with AppRoleAssignment.ReadWrite.All (terraform-provider-azuread issue 1661).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.config import IdentityKind, Settings
from shared.context import Context
from shared.models import Finding, Severity

RIGHT_MISSING = "automation_right_missing"


@dataclass(frozen=True)
class Right:
    """An application permission of Microsoft Graph, why we need it, and broader ones."""

    name: str
    reason: str
    included_in: frozenset[str] = frozenset()


WRITE_OWN_APPLICATION = Right(
    "Application.ReadWrite.OwnedBy",
    "create, keep and remove the application that Mondoo signs in with",
    frozenset({"Application.ReadWrite.All"}),
)
WRITE_GRANTS = Right(
    "AppRoleAssignment.ReadWrite.All",
    "grant the application its permissions (admin consent), and take them away",
)
WRITE_ROLES = Right(
    "RoleManagement.ReadWrite.Directory",
    "assign the Global Reader role to the application, and take roles away",
)
WRITE_DELEGATED_GRANTS = Right(
    "DelegatedPermissionGrant.ReadWrite.All",
    "take delegated permissions away from the application",
    frozenset({"Directory.ReadWrite.All"}),
)
READ_APPLICATIONS = Right(
    "Application.Read.All",
    "find the services' principals and read what was granted",
    frozenset({"Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}),
)
READ_ROLES = Right(
    "RoleManagement.Read.Directory",
    "read which directory roles are assigned",
    frozenset(
        {
            "RoleManagement.ReadWrite.Directory",
            "RoleManagement.Read.All",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        }
    ),
)
READ_ORGANIZATION = Right(
    "Organization.Read.All",
    "read the tenant's name and domains",
    frozenset({"Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}),
)
READ_POLICIES = Right("Policy.Read.All", "read how long a certificate may live in the tenant")

ONBOARDING_RIGHTS = (
    WRITE_OWN_APPLICATION,
    WRITE_GRANTS,
    READ_APPLICATIONS,
    WRITE_ROLES,
    READ_ORGANIZATION,
    READ_POLICIES,
)
ROTATION_RIGHTS = (
    WRITE_OWN_APPLICATION,
    READ_APPLICATIONS,
    READ_ROLES,
    READ_ORGANIZATION,
    READ_POLICIES,
)
REPORT_RIGHTS = (READ_APPLICATIONS, READ_ROLES, READ_ORGANIZATION)
"""What an audit reads."""

REPAIR_RIGHTS = (WRITE_OWN_APPLICATION, WRITE_GRANTS, WRITE_ROLES)
"""What an audit needs to put anything right. All of them, whatever is found: one correction brings
the next to light (a new service principal has neither grants nor roles)."""


async def missing_rights(
    context: Context, tenant_id: str, needed: Iterable[Right]
) -> list[Finding]:
    """A finding for each right that the token of our automation in this tenant does not include.

    Raises:
        Refused, NotYet: as the sign-in to the tenant.
    """
    roles = await context.graph(tenant_id).token_roles()
    if context.settings.identity is IdentityKind.AZURE_CLI:
        # A person's token says nothing of app roles; the calls themselves will tell.
        return []
    client = _automation(context.settings)
    return [
        Finding(
            code=RIGHT_MISSING,
            severity=Severity.HIGH,
            subject=right.name,
            message=f"our automation lacks {right.name}, which it needs to {right.reason}",
            remediation=(
                f"Grant the Microsoft Graph application permission {right.name} to {client} in"
                f" tenant {tenant_id} (admin consent), then send the request again."
            ),
        )
        for right in dict.fromkeys(needed)
        if right.name not in roles and not right.included_in & roles
    ]


def _automation(settings: Settings) -> str:
    if settings.identity is IdentityKind.MANAGED_IDENTITY:
        return "the managed identity of this function app"
    return f"our application {settings.onboarding_client_id}"
