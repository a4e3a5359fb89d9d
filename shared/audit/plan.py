"""The plan of a repair: what an audit may correct by itself. Pure.

It follows from the deviations, the tenant's policy and our mark: what does not carry it is never
changed, and neither is anything that hangs on it. ``repair`` adds and enables, ``enforce`` also
removes; which kind of finding is which is in the catalogue. Additions come before removals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.audit.catalogue import entry_of
from shared.audit.deviations import (
    BrokenPrincipal,
    Declaration,
    DeletedApplication,
    Deviation,
    ExcessGrant,
    ExcessKey,
    MissingTrust,
    Target,
    UnregisteredCertificate,
    WantedPermission,
    WideAudience,
)
from shared.audit.report import Action, Change
from shared.entra.directory_roles import RoleAssignment
from shared.entra.federated_credentials import FederatedCredential
from shared.entra.inventory import (
    DelegatedGrant,
    Inventory,
    Owner,
    PasswordCredential,
    RedirectUri,
)
from shared.manifest import DirectoryRole
from shared.models import Finding, Outcome, RepairPolicy

LONGEST_MESSAGE = 500


@dataclass(frozen=True)
class PlannedChange:
    """One change that is to be made."""

    action: Action
    finding: Finding
    target: Target

    @property
    def identity(self) -> tuple[Action, str]:
        """The same for a change that another finding about the same thing asks for."""
        return self.action, (self.finding.key or "").partition(":")[2]

    def ended(
        self,
        outcome: Outcome,
        message: str,
        *,
        code: str | None = None,
        remediation: str | None = None,
    ) -> Change:
        """The change with what became of it."""
        return Change(
            action=self.action,
            subject=self.finding.subject,
            finding=self.finding.key or self.finding.code,
            outcome=outcome,
            message=message[:LONGEST_MESSAGE],
            code=code,
            remediation=remediation,
        )


def plan(
    deviations: Iterable[Deviation], inventory: Inventory, policy: RepairPolicy
) -> list[PlannedChange]:
    """The changes that the policy allows, in the order in which they are made."""
    planned: list[PlannedChange] = []
    for each in deviations:
        if each.target is None or not entry_of(each.finding.code).repairable.under(policy):
            continue
        planned += [
            PlannedChange(action, each.finding, each.target)
            for action in _actions(each.finding.code, each.target)
            if _is_ours(action, each.target, inventory)
        ]
    order = {action: number for number, action in enumerate(_ORDER)}
    return sorted(planned, key=lambda change: order[change.action])


def rehearsed(planned: Iterable[PlannedChange]) -> list[Change]:
    """The changes of a plan that is not carried out."""
    return [
        each.ended(Outcome.PLANNED, f"{each.action.value}: {each.finding.message}")
        for each in planned
    ]


def refused(planned: Iterable[PlannedChange], missing: Sequence[Finding]) -> list[Change]:
    """The changes of a plan that was not begun, for want of these rights."""
    lacking = ", ".join(right.subject for right in missing)
    remediation = " ".join(right.remediation for right in missing)
    return [
        each.ended(
            Outcome.FAILED,
            f"{each.action.value} {each.finding.subject}: not tried, because our automation lacks"
            f" {lacking}",
            code=missing[0].code,
            remediation=remediation,
        )
        for each in planned
    ]


def _actions(code: str, target: Target) -> tuple[Action, ...]:
    """What corrects a deviation; usually one action."""
    match target:
        case WantedPermission():
            return _FOR_WANTED[code]
        case ExcessGrant(declaration=None):
            return (Action.REVOKE_PERMISSION,)
        case ExcessGrant():
            return Action.REVOKE_PERMISSION, Action.REMOVE_DECLARATION
        case _:
            return (_FOR[type(target)],)


_FOR_WANTED = {
    "permission_missing": (Action.DECLARE_PERMISSION, Action.GRANT_PERMISSION),
    "permission_not_granted": (Action.GRANT_PERMISSION,),
    "permission_not_declared": (Action.DECLARE_PERMISSION,),
}
_FOR: dict[type[Target], Action] = {
    BrokenPrincipal: Action.MEND_PRINCIPAL,
    Declaration: Action.REMOVE_DECLARATION,
    DelegatedGrant: Action.REVOKE_DELEGATED_GRANT,
    DeletedApplication: Action.RESTORE_APPLICATION,
    DirectoryRole: Action.ASSIGN_ROLE,
    ExcessKey: Action.REMOVE_CERTIFICATE,
    FederatedCredential: Action.REMOVE_FEDERATED_CREDENTIAL,
    MissingTrust: Action.ADD_FEDERATED_CREDENTIAL,
    Owner: Action.REMOVE_OWNER,
    PasswordCredential: Action.REMOVE_SECRET,
    RedirectUri: Action.REMOVE_REDIRECT_URI,
    RoleAssignment: Action.REMOVE_ROLE,
    UnregisteredCertificate: Action.REGISTER_CERTIFICATE,
    WideAudience: Action.NARROW_AUDIENCE,
}
_ORDER = (
    Action.RESTORE_APPLICATION,
    Action.MEND_PRINCIPAL,
    Action.REGISTER_CERTIFICATE,
    Action.ADD_FEDERATED_CREDENTIAL,
    Action.DECLARE_PERMISSION,
    Action.GRANT_PERMISSION,
    Action.ASSIGN_ROLE,
    Action.REMOVE_CERTIFICATE,
    Action.REMOVE_SECRET,
    Action.REMOVE_FEDERATED_CREDENTIAL,
    Action.REVOKE_PERMISSION,
    Action.REMOVE_DECLARATION,
    Action.REVOKE_DELEGATED_GRANT,
    Action.REMOVE_ROLE,
    Action.REMOVE_OWNER,
    Action.NARROW_AUDIENCE,
    Action.REMOVE_REDIRECT_URI,
)
_ON_PRINCIPAL = frozenset(
    {
        Action.GRANT_PERMISSION,
        Action.REVOKE_PERMISSION,
        Action.REVOKE_DELEGATED_GRANT,
        Action.ASSIGN_ROLE,
        Action.REMOVE_ROLE,
    }
)


def _is_ours(action: Action, target: Target, inventory: Inventory) -> bool:
    """Whether everything that this action changes carries our mark."""
    if action is Action.RESTORE_APPLICATION:
        return inventory.deleted is not None and inventory.deleted.ours
    if inventory.application is None or not inventory.application.application.ours:
        return False
    principal = inventory.principal
    if action is Action.MEND_PRINCIPAL:
        return principal is None or principal.principal.ours
    if action in _ON_PRINCIPAL or (isinstance(target, Owner) and target.of == "principal"):
        return principal is not None and principal.principal.ours
    return True
