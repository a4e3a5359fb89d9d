"""What an audit corrects by itself: a plan, which is pure, and carrying it out.

The plan follows from the deviations, the tenant's policy and our mark: what does not carry it is
never changed, and neither is anything that hangs on it. ``repair`` adds and enables, ``enforce``
also removes; which kind of finding is which is in the catalogue.

Every change has an outcome of its own, though many travel in one batch or in one PATCH. Additions
go before removals. That a request was accepted proves nothing: a change counts as made only when
the tenant, read again, shows it (`settle`).

Some corrections come to light only after others (permissions of a service principal that first had
to be made), so `shared.audit.steps` plans again after each reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from shared.audit.catalogue import entry_of
from shared.audit.checks.permissions import declarations
from shared.audit.deviations import (
    BrokenPrincipal,
    Declaration,
    DeletedApplication,
    Deviation,
    ExcessGrant,
    ExcessKey,
    Target,
    UnregisteredCertificate,
    WantedPermission,
    WideAudience,
)
from shared.audit.report import Action, Change
from shared.certificates import public_part
from shared.context import Context
from shared.entra.applications import restore
from shared.entra.corrections import (
    SINGLE_TENANT,
    access_with,
    disown_request,
    distrust_request,
    forget_request,
    grant_request,
    keys_with,
    patch_application,
    revoke_request,
    send,
    unassign_request,
    undelegate_request,
    without_redirects,
)
from shared.entra.directory_roles import RoleAssignment, assign, holds
from shared.entra.graph import BatchRequest, GraphClient
from shared.entra.inventory import (
    Aspect,
    AuditedPrincipal,
    DelegatedGrant,
    FederatedCredential,
    Inventory,
    Owner,
    PasswordCredential,
    RedirectUri,
)
from shared.entra.service_principals import ensure_principal
from shared.errors import NotYet, OnboardingError, OutcomeUnknown, Refused
from shared.manifest import DirectoryRole
from shared.models import Finding, Outcome, RepairPolicy, TenantRecord

LONGEST_MESSAGE = 500

T = TypeVar("T")


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


# --- the plan ------------------------------------------------------------------------------------


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


# --- carrying it out -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Attempt:
    """A change that was asked for; ``error`` is None when the request was accepted."""

    change: PlannedChange
    error: OnboardingError | None


async def apply(
    context: Context,
    record: TenantRecord,
    inventory: Inventory,
    planned: Sequence[PlannedChange],
) -> list[Attempt]:
    """Ask for every change; one that is refused does not keep the others from being tried."""
    errors = await _Repair(context, record, inventory).run(planned)
    return [Attempt(change, error) for change, error in zip(planned, errors, strict=True)]


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


Errors = dict[int, OnboardingError | None]


class _Repair:
    """One round of changes; answers are kept by the position of the change in the plan."""

    def __init__(self, context: Context, record: TenantRecord, inventory: Inventory) -> None:
        self._context = context
        self._record = record
        self._inventory = inventory
        self._graph: GraphClient = context.graph(record.tenant_id)
        self._errors: Errors = {}

    async def run(self, planned: Sequence[PlannedChange]) -> list[OnboardingError | None]:
        numbered = list(enumerate(planned))
        await self._restore(numbered)
        await self._mend(numbered)
        await self._credentials(numbered)
        await self._access(numbered)
        await self._grant(numbered)
        await self._assign(numbered)
        await self._remove(numbered)
        await self._exposure(numbered)
        return [self._errors[number] for number, _ in numbered]

    # single requests

    async def _restore(self, planned: list[tuple[int, PlannedChange]]) -> None:
        for number, _, target in _of(planned, DeletedApplication):
            with self._noting(number):
                await restore(self._graph, target.application.object_id)

    async def _mend(self, planned: list[tuple[int, PlannedChange]]) -> None:
        for number, _, _ in _of(planned, BrokenPrincipal):
            with self._noting(number):
                await ensure_principal(self._graph, self._app_id, young=False)

    async def _assign(self, planned: list[tuple[int, PlannedChange]]) -> None:
        for number, _, target in _of(planned, DirectoryRole):
            with self._noting(number):
                await assign(self._graph, self._principal_id, target.template_id)

    @contextmanager
    def _noting(self, number: int) -> Iterator[None]:
        self._errors[number] = None
        try:
            yield
        except (NotYet, OutcomeUnknown, Refused) as error:
            self._errors[number] = error

    # the application

    async def _credentials(self, planned: list[tuple[int, PlannedChange]]) -> None:
        registered = _of(planned, UnregisteredCertificate)
        removed = _of(planned, ExcessKey)
        der: bytes | None = None
        for number, _, _ in registered:
            with self._noting(number):
                der = await self._certificate()
        if der is None and not removed:
            return
        numbers = [number for number, _, _ in removed]
        if der is not None:
            numbers += [number for number, _, _ in registered]
        assert self._inventory.application is not None  # else nothing was planned on it
        application = self._inventory.application.application
        body = {
            "keyCredentials": keys_with(
                application.key_credentials,
                removed={target.key_id for _, _, target in removed},
                added=der,
                name=self._record.application_name or application.display_name,
            )
        }
        self._note(await patch_application(self._graph, application.object_id, body), numbers)

    async def _certificate(self) -> bytes:
        """The recorded certificate, without its key."""
        assert self._record.certificate is not None  # else none was missed
        pem = await self._context.vault.pem(self._record.certificate)
        return public_part(pem, now=self._context.now())

    async def _access(self, planned: list[tuple[int, PlannedChange]]) -> None:
        declared = _acting(planned, Action.DECLARE_PERMISSION)
        removed = _acting(planned, Action.REMOVE_DECLARATION)
        if not declared and not removed:
            return
        assert self._inventory.application is not None
        application = self._inventory.application.application
        body = {
            "requiredResourceAccess": access_with(
                application.required_resource_access,
                added=[
                    change.target.key
                    for _, change in declared
                    if isinstance(change.target, WantedPermission)
                ],
                removed={
                    declaration.key
                    for _, change in removed
                    if (declaration := _declaration(change.target)) is not None
                },
            )
        }
        error = await patch_application(self._graph, application.object_id, body)
        self._note(error, [number for number, _ in (*declared, *removed)])

    async def _exposure(self, planned: list[tuple[int, PlannedChange]]) -> None:
        audience = _of(planned, WideAudience)
        redirects = _of(planned, RedirectUri)
        if not audience and not redirects:
            return
        assert self._inventory.application is not None
        body = without_redirects({target.platform for _, _, target in redirects})
        if audience:
            body["signInAudience"] = SINGLE_TENANT
        object_id = self._inventory.application.application.object_id
        error = await patch_application(self._graph, object_id, body)
        self._note(error, [number for number, _, _ in (*audience, *redirects)])

    # batches

    async def _grant(self, planned: list[tuple[int, PlannedChange]]) -> None:
        granted = [
            (number, grant_request(number, self._principal_id, target.resource_id, target.key[1]))
            for number, change in _acting(planned, Action.GRANT_PERMISSION)
            if isinstance(target := change.target, WantedPermission)
        ]
        await self._send(granted, "granting permissions")

    async def _remove(self, planned: list[tuple[int, PlannedChange]]) -> None:
        requests: list[tuple[int, BatchRequest]] = []
        for number, change in planned:
            request = self._removal(number, change)
            if request is not None:
                requests.append((number, request))
        await self._send(requests, "removing what is too much")

    def _removal(self, number: int, change: PlannedChange) -> BatchRequest | None:
        match change.target:
            case ExcessGrant(grant=grant) if change.action is Action.REVOKE_PERMISSION:
                return revoke_request(number, grant)
            case PasswordCredential() as secret:
                return forget_request(number, self._application_id, secret)
            case FederatedCredential() as trust:
                return distrust_request(number, self._application_id, trust)
            case DelegatedGrant() as grant:
                return undelegate_request(number, grant)
            case RoleAssignment() as assignment:
                return unassign_request(number, assignment)
            case Owner(of="application") as owner:
                return disown_request(number, self._application_id, owner)
            case Owner() as owner:
                return disown_request(number, self._principal_id, owner)
            case _:
                return None

    async def _send(self, requests: list[tuple[int, BatchRequest]], what: str) -> None:
        if requests:
            errors = await send(
                self._graph,
                [request for _, request in requests],
                what=f"{what} ({self._app_id})",
            )
            for (number, _), error in zip(requests, errors, strict=True):
                self._note(error, [number])

    def _note(self, error: OnboardingError | None, numbers: Iterable[int]) -> None:
        self._errors |= dict.fromkeys(numbers, error)

    # ids

    @property
    def _app_id(self) -> str:
        return self._record.app_id or ""

    @property
    def _application_id(self) -> str:
        assert self._inventory.application is not None
        return self._inventory.application.application.object_id

    @property
    def _principal_id(self) -> str:
        assert self._inventory.principal is not None
        return self._inventory.principal.principal.object_id


def _of(
    planned: Iterable[tuple[int, PlannedChange]], kind: type[T]
) -> list[tuple[int, PlannedChange, T]]:
    """The changes with this kind of target."""
    return [
        (number, change, change.target)
        for number, change in planned
        if isinstance(change.target, kind)
    ]


def _acting(
    planned: Iterable[tuple[int, PlannedChange]], action: Action
) -> list[tuple[int, PlannedChange]]:
    return [(number, change) for number, change in planned if change.action is action]


def _declaration(target: Target) -> Declaration | None:
    match target:
        case ExcessGrant(declaration=declaration):
            return declaration
        case Declaration():
            return target
        case _:
            return None
