"""Carrying out the plan of a repair.

Every change has an outcome of its own, though many travel in one batch or in one PATCH, and all of
them are tried, whatever becomes of the others. Nothing is called done here: that is for the next
reading to say (`shared.audit.settlement`).

Some corrections come to light only after others (permissions of a service principal that first had
to be made), so `shared.audit.steps` plans again after each reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

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
from shared.audit.report import Action
from shared.audit.settlement import Attempt
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
from shared.entra.directory_roles import RoleAssignment, assign
from shared.entra.federated_credentials import FederatedCredential, trust
from shared.entra.graph import BatchRequest, GraphClient
from shared.entra.inventory import (
    DelegatedGrant,
    Inventory,
    Owner,
    PasswordCredential,
    RedirectUri,
)
from shared.entra.service_principals import ensure_principal
from shared.errors import NotYet, OnboardingError, OutcomeUnknown, Refused
from shared.manifest import DirectoryRole
from shared.models import TenantRecord

T = TypeVar("T")


async def apply(
    context: Context,
    record: TenantRecord,
    inventory: Inventory,
    planned: Sequence[PlannedChange],
) -> list[Attempt]:
    """Ask for every change; one that is refused does not keep the others from being tried."""
    errors = await _Repair(context, record, inventory).run(planned)
    return [Attempt(change, error) for change, error in zip(planned, errors, strict=True)]


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
        await self._trust(numbered)
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

    async def _trust(self, planned: list[tuple[int, PlannedChange]]) -> None:
        for number, _, target in _of(planned, MissingTrust):
            assert self._inventory.application is not None  # else nothing was planned on it
            with self._noting(number):
                await trust(
                    self._graph,
                    self._application_id,
                    target.federation,
                    self._inventory.application.federated,
                )

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
            case FederatedCredential() as trusted:
                return distrust_request(number, self._application_id, trusted)
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
