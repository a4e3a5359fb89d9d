"""What became of the changes of a repair, told by reading the tenant again. Pure.

That a request was accepted proves nothing, and that its answer was lost or was a refusal proves
nothing either: a change counts as made when the tenant shows it, and only then. An object that is
not seen any more shows nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.audit.checks.permissions import declarations
from shared.audit.deviations import (
    BrokenPrincipal,
    Declaration,
    DeletedApplication,
    ExcessGrant,
    ExcessKey,
    MissingTrust,
    Target,
    UnregisteredCertificate,
    WantedPermission,
    WideAudience,
)
from shared.audit.plan import PlannedChange
from shared.audit.report import Action, Change
from shared.entra.corrections import SINGLE_TENANT
from shared.entra.directory_roles import RoleAssignment, holds
from shared.entra.federated_credentials import FederatedCredential, trusting
from shared.entra.inventory import (
    Aspect,
    AuditedPrincipal,
    DelegatedGrant,
    Inventory,
    Owner,
    PasswordCredential,
    RedirectUri,
)
from shared.errors import OnboardingError, Refused
from shared.manifest import DirectoryRole
from shared.models import Outcome


@dataclass(frozen=True)
class Attempt:
    """A change that was asked for; ``error`` is None when the request was accepted."""

    change: PlannedChange
    error: OnboardingError | None


def settle(attempts: Iterable[Attempt], seen: Inventory | None) -> list[Change]:
    """What became of the changes, by what was ``seen`` afterwards; None when nothing could be.

    Reading decides, also where an answer was lost or a request was refused.
    """
    return [_settled(each.change, each.error, seen) for each in attempts]


def _settled(
    change: PlannedChange, error: OnboardingError | None, seen: Inventory | None
) -> Change:
    deed = f"{change.action.value} {change.finding.subject}"
    if seen is not None and is_done(change, seen):
        if isinstance(error, Refused):
            how = "it is right now, though the request was refused"
            return change.ended(Outcome.PASSED, f"{deed}: {how}")
        return change.ended(Outcome.CHANGED, f"{deed}: done")
    if error is None:
        return change.ended(
            Outcome.UNKNOWN,
            f"{deed}: accepted, but reading does not show it yet",
            code="change_not_visible",
            remediation="Entra ID may still be replicating it. The next audit looks again.",
        )
    return change.ended(
        Outcome.FAILED if isinstance(error, Refused) else Outcome.UNKNOWN,
        f"{deed}: {error.message}",
        code=error.code,
        remediation=error.remediation,
    )


def is_done(change: PlannedChange, seen: Inventory) -> bool:
    """Whether the tenant is as this change was to make it. What is not seen is not done."""
    app, principal = seen.application, seen.principal
    if app is None:
        return False
    undeclares = change.action is Action.REMOVE_DECLARATION
    match change.target:
        case DeletedApplication():
            return True
        case BrokenPrincipal():
            return principal is not None and not principal.sign_in_disabled
        case WideAudience():
            return app.audience == SINGLE_TENANT
        case RedirectUri() as redirect:
            return redirect not in app.redirect_uris
        case UnregisteredCertificate(thumbprint):
            return thumbprint in app.application.thumbprints()
        case ExcessKey(key_id):
            return all(
                str(entry.get("keyId")) != key_id for entry in app.application.key_credentials
            )
        case PasswordCredential(key_id=key_id):
            return all(secret.key_id != key_id for secret in app.passwords)
        case MissingTrust(federation):
            return trusting(app.federated, federation) is not None
        case FederatedCredential() as trust:
            return trust.id not in {each.id for each in app.federated}
        case Owner(of="application") as owner:
            return owner.id not in {each.id for each in app.owners}
        case WantedPermission(key) if change.action is Action.DECLARE_PERMISSION:
            return Declaration(*key, "Role") in declarations(app.application)
        case Declaration() as declaration:
            return declaration not in declarations(app.application)
        case ExcessGrant(declaration=Declaration() as declaration) if undeclares:
            return declaration not in declarations(app.application)
        case _:
            return principal is not None and _is_done_on(principal, change.target, seen)


def _is_done_on(principal: AuditedPrincipal, target: Target, seen: Inventory) -> bool:
    granted = {(grant.resource_id, grant.app_role_id) for grant in principal.grants}
    match target:
        case WantedPermission(key, resource_id):
            return (resource_id, key.app_role_id) in granted
        case ExcessGrant(grant):
            return (grant.resource_id, grant.app_role_id) not in granted
        case DelegatedGrant() as delegated:
            known = Aspect.DELEGATED_GRANTS not in seen.unread
            return known and delegated.id not in {each.id for each in principal.delegated}
        case DirectoryRole(template_id=template_id):
            return holds(principal.roles, seen.role_ids.get(template_id, {template_id}))
        case RoleAssignment() as assignment:
            return assignment.id not in {each.id for each in principal.roles}
        case Owner() as owner:
            return owner.id not in {each.id for each in principal.owners}
        case _:
            return False
