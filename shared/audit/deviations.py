"""A deviation: a finding, and what a correction of it would change.

Findings travel and are kept; targets are the objects of one reading and live as long as it does. A
deviation without a target is never corrected by itself, whatever its kind allows.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.audit.catalogue import EVERYTHING, entry_of
from shared.entra.app_role_assignments import Grant
from shared.entra.applications import Application
from shared.entra.directory_roles import RoleAssignment
from shared.entra.federated_credentials import FederatedCredential
from shared.entra.inventory import (
    DelegatedGrant,
    Owner,
    PasswordCredential,
    RedirectUri,
)
from shared.entra.service_principals import ServicePrincipal
from shared.manifest import AppRoleKey, DirectoryRole
from shared.models import Federation, Finding


@dataclass(frozen=True)
class DeletedApplication:
    """Our application, to be restored."""

    application: Application


@dataclass(frozen=True)
class BrokenPrincipal:
    """The service principal to make (None) or to enable."""

    existing: ServicePrincipal | None


@dataclass(frozen=True)
class WantedPermission:
    """A permission to grant or to declare, and the service principal of its API here."""

    key: AppRoleKey
    resource_id: str


@dataclass(frozen=True)
class Declaration:
    """An entry of ``requiredResourceAccess`` to remove; ``type`` is Role or Scope."""

    resource_app_id: str
    id: str
    type: str

    @property
    def key(self) -> tuple[str, str, str]:
        """As `shared.entra.corrections.access_with` wants it."""
        return self.resource_app_id, self.id, self.type


@dataclass(frozen=True)
class ExcessGrant:
    """A grant to revoke, and its declaration where there is one."""

    grant: Grant
    declaration: Declaration | None


@dataclass(frozen=True)
class WideAudience:
    """The audience to narrow."""

    found: str


@dataclass(frozen=True)
class ExcessKey:
    """A key credential to remove, by its id."""

    key_id: str


@dataclass(frozen=True)
class UnregisteredCertificate:
    """The recorded certificate, to be registered with the application."""

    thumbprint: str


@dataclass(frozen=True)
class MissingTrust:
    """The tokens of Mondoo's scanner, which the application is to trust."""

    federation: Federation


Target = (
    BrokenPrincipal
    | Declaration
    | DelegatedGrant
    | DeletedApplication
    | DirectoryRole
    | ExcessGrant
    | ExcessKey
    | FederatedCredential
    | MissingTrust
    | Owner
    | PasswordCredential
    | RedirectUri
    | RoleAssignment
    | UnregisteredCertificate
    | WantedPermission
    | WideAudience
)


@dataclass(frozen=True)
class Deviation:
    """One difference between what is and what should be."""

    finding: Finding
    target: Target | None = None


def deviation(
    code: str,
    subject: str,
    message: str,
    *,
    identity: str = "",
    not_scanned: str | None = None,
    target: Target | None = None,
) -> Deviation:
    """A deviation of the kind ``code`` in the catalogue.

    ``identity`` tells it from others of its kind in the same tenant: ids, never display names,
    since the finding's key must not change while the deviation stands.
    """
    entry = entry_of(code)
    if entry.breaks_everything:
        not_scanned = EVERYTHING
    return Deviation(
        Finding(
            code=code,
            severity=entry.severity,
            subject=subject,
            message=message,
            remediation=entry.fix,
            not_scanned=not_scanned,
            reason=entry.reason,
            key=f"{code}:{identity}" if identity else code,
        ),
        target,
    )
