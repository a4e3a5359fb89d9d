"""The rights that our automation needs in a tenant, and what stands in for each.

Least rights first; a broader role that includes a right counts as having it. Two of them are of
Graph's highest privilege level, so they sit on the automation identity only, never on the
application that Mondoo signs in with.

Sources: Microsoft Graph permissions reference, "least privileged" columns; Graph's own app roles
can be granted only with AppRoleAssignment.ReadWrite.All (terraform-provider-azuread issue 1661).
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.models import Finding, Severity


@dataclass(frozen=True)
class Right:
    """An application permission of Microsoft Graph, why we need it, and broader ones."""

    name: str
    reason: str
    included_in: frozenset[str] = frozenset()


ONBOARDING_RIGHTS: tuple[Right, ...] = (
    Right(
        "Application.ReadWrite.OwnedBy",
        "create and keep the application that Mondoo signs in with",
        frozenset({"Application.ReadWrite.All", "Directory.ReadWrite.All"}),
    ),
    Right(
        "AppRoleAssignment.ReadWrite.All",
        "grant the application its permissions (admin consent)",
    ),
    Right(
        "Application.Read.All",
        "find the services' principals and read what was granted",
        frozenset({"Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}),
    ),
    Right(
        "RoleManagement.ReadWrite.Directory",
        "assign the Global Reader role to the application",
    ),
    Right(
        "Organization.Read.All",
        "read the tenant's name and domains",
        frozenset({"Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}),
    ),
    Right(
        "Policy.Read.All",
        "read how long a certificate may live in the tenant",
    ),
)


def missing_rights(roles: frozenset[str], client: str, tenant_id: str) -> list[Finding]:
    """A finding for each right that the roles of our token do not include."""
    return [
        Finding(
            code="automation_right_missing",
            severity=Severity.HIGH,
            subject=right.name,
            message=f"our automation lacks {right.name}, which it needs to {right.reason}",
            remediation=(
                f"Grant the Microsoft Graph application permission {right.name} to {client} in"
                f" tenant {tenant_id} (admin consent), then send the request again."
            ),
        )
        for right in ONBOARDING_RIGHTS
        if right.name not in roles and not right.included_in & roles
    ]
