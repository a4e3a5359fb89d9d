"""Inventory: what of ours is there, in the Mondoo space, in the tenant, in Azure and in the vault.

Nothing is changed. Objects are found by the ids of our record and, where it has none (a tenant that
was onboarded halfway), by our mark; what carries no mark is told and kept. Each place may be closed
to us (consent revoked, a role taken away): what the record knows of it is then listed with an
unknown fate, and the other places are cleared all the same. A tenant that can be looked at but not
cleared is something else: the rights are named, and nothing is removed anywhere.

Azure is looked at only for a tenant that had its subscriptions scanned. There each scope may be
closed for itself, so it is no place of its own. An assignment is known as ours by its name, which
is all the mark that Azure lets it carry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.context import Context
from shared.entra import removal
from shared.entra.app_role_assignments import list_grants
from shared.entra.applications import Application, find_application, read_object
from shared.entra.delegated_grants import list_delegated
from shared.entra.directory_roles import list_assignments
from shared.entra.graph import GraphClient
from shared.entra.reactions import Gone
from shared.entra.service_principals import ServicePrincipal, read_principal
from shared.errors import NotYet, Refused
from shared.manifest import load_manifest, manifest_names
from shared.models import (
    MARK_LABEL,
    Fate,
    Finding,
    ObjectKind,
    Outcome,
    ReceiptEntry,
    StepResult,
    to_json,
)
from shared.mondoo import azure_integrations, integrations
from shared.offboarding.calls import OffboardingCall, OffboardingOrder
from shared.offboarding.entries import counted
from shared.offboarding.steps.azure_roles import by_hand
from shared.outcomes import finding_of, refused
from shared.resource_manager.reader import assignment_of, held, root_scope, subscriptions
from shared.rights import WRITE_GRANTS, WRITE_OWN_APPLICATION, WRITE_ROLES, Right, missing_rights
from shared.vault import lifecycle

TENANT, MONDOO, VAULT = "tenant", "mondoo", "vault"
"""The places; also the keys of ``OffboardingFacts.blocked``."""

_ORDER = list(ObjectKind)
_RIGHTS = {
    ObjectKind.APPLICATION: WRITE_OWN_APPLICATION,
    ObjectKind.SERVICE_PRINCIPAL: WRITE_OWN_APPLICATION,
    ObjectKind.PERMISSION: WRITE_GRANTS,
    ObjectKind.DIRECTORY_ROLE: WRITE_ROLES,
}

NOT_OURS = "it does not carry our mark"
THEIRS = "it is the administrator's own"


@dataclass
class _Seen:
    entries: list[ReceiptEntry] = field(default_factory=list)
    app_id: str | None = None
    principal_id: str | None = None


async def run(context: Context, call: OffboardingCall) -> StepResult:
    """Look everywhere.

    Raises:
        NotYet: a place does not answer for now; nothing was changed anywhere.
    """
    order, now = call.order, context.now()
    looks: dict[str, Coroutine[Any, Any, _Seen]] = {
        MONDOO: _mondoo(context, order, now),
        TENANT: _tenant(context, order, now),
        VAULT: _vault(context, order, now),
    }
    answers = await asyncio.gather(*looks.values(), return_exceptions=True)
    seen, blocked = _Seen(app_id=order.app_id, principal_id=order.service_principal_id), {}
    for place, answer in zip(looks, answers, strict=True):
        if isinstance(answer, NotYet):
            raise answer
        if isinstance(answer, Refused):
            blocked[place] = finding_of(answer, place)
            seen.entries += list(_recorded(place, order, answer, now))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            seen.entries += answer.entries
            seen.app_id = answer.app_id or seen.app_id
            seen.principal_id = answer.principal_id or seen.principal_id
    if TENANT not in blocked:
        missing = await missing_rights(context, order.tenant_id, _rights_to_remove(seen))
        if missing:
            return refused(missing)
    if order.azure or any(entry.kind is ObjectKind.AZURE_INTEGRATION for entry in seen.entries):
        seen.entries += await _azure(context, order, seen.principal_id, now)
    seen.entries.sort(key=lambda entry: _ORDER.index(entry.kind))
    return _told(seen, blocked)


def _rights_to_remove(seen: _Seen) -> list[Right]:
    """What it takes to remove everything that is there."""
    there = {entry.kind for entry in seen.entries if entry.fate is Fate.PRESENT}
    return [right for kind, right in _RIGHTS.items() if kind in there]


def _told(seen: _Seen, blocked: dict[str, Finding]) -> StepResult:
    there = sum(1 for entry in seen.entries if entry.fate is Fate.PRESENT)
    kept = [entry for entry in seen.entries if entry.fate is Fate.KEPT]
    message = f"{counted(there, 'objects')} of ours found"
    if kept:
        message += f"; not ours and kept: {', '.join(entry.name for entry in kept)}"
    if blocked:
        message += "; out of reach: " + "; ".join(each.message for each in blocked.values())
    return StepResult(
        outcome=Outcome.WARNING if blocked else Outcome.PASSED,
        message=message,
        findings=list(blocked.values()),
        facts={
            "entries": [to_json(entry) for entry in seen.entries],
            "blocked": {place: to_json(finding) for place, finding in blocked.items()},
            "appId": seen.app_id,
            "principalId": seen.principal_id,
        },
    )


# --- Mondoo --------------------------------------------------------------------------------------


async def _mondoo(context: Context, order: OffboardingOrder, now: datetime) -> _Seen:
    seen = _Seen()
    if order.space is None:
        return seen
    client, space, tenant = context.mondoo, order.space, order.tenant_id
    for kind, recorded, name, found in (
        (
            ObjectKind.INTEGRATION,
            order.integration,
            "integration",
            await integrations.of_tenant(client, space, tenant),
        ),
        (
            ObjectKind.AZURE_INTEGRATION,
            order.azure_integration,
            "Azure integration",
            await azure_integrations.of_tenant(client, space, tenant),
        ),
    ):
        for one in found:
            if one.mrn != recorded and order.app_id is not None and one.client_id != order.app_id:
                continue  # of another application: some other set-up of the same tenant
            marked = one.labels.get(MARK_LABEL[0]) == MARK_LABEL[1]
            fate = Fate.PRESENT if marked else Fate.KEPT
            why = None if marked else NOT_OURS
            seen.entries.append(ReceiptEntry(kind, one.mrn, one.name, fate, now, message=why))
        if recorded is not None and recorded not in {one.mrn for one in found}:
            seen.entries.append(_absent(kind, recorded, name, now))
    return seen


# --- Azure ---------------------------------------------------------------------------------------


async def _azure(
    context: Context, order: OffboardingOrder, principal_id: str | None, now: datetime
) -> list[ReceiptEntry]:
    """Reader where we assigned it; with an unknown fate where we may not look and did, or may have.

    Raises:
        NotYet: Azure does not answer for now.
    """
    if principal_id is None:
        return []  # there never was anybody to assign it to
    azure, kind = context.azure(order.tenant_id), ObjectKind.AZURE_ROLE
    closed: Refused | None = None
    try:
        visible = await subscriptions(azure)
    except Refused as error:
        visible, closed = [], error
    recorded = order.reader_scopes or []
    root = root_scope(order.tenant_id)
    names = {scope: scope for scope in recorded}
    names |= {root: "the root management group"} | {each.scope: each.name for each in visible}
    entries = []
    for scope, shown in names.items():
        assignment, name = assignment_of(scope, principal_id), f"Reader on {shown}"
        try:
            ours = (await held(azure, scope, principal_id)).ours
        except Refused as error:
            closed = closed or error
            if scope in recorded and error.code == "azure_not_found":
                entries.append(_absent(kind, assignment, name, now))
            elif scope in recorded:
                why = f"{error.message}; {by_hand(assignment)}"
                entries.append(ReceiptEntry(kind, assignment, name, Fate.UNKNOWN, now, message=why))
            continue
        if ours:
            entries.append(ReceiptEntry(kind, assignment, name, Fate.PRESENT, now))
        elif scope in recorded:
            entries.append(_absent(kind, assignment, name, now))
    if order.reader_scopes is None and closed is not None:
        why = (
            f"{closed.message}; an Owner or User Access Administrator has to look for role"
            f" assignments of {principal_id}, on the root management group and on each subscription"
        )
        entries.append(
            ReceiptEntry(kind, principal_id, "Reader in Azure", Fate.UNKNOWN, now, message=why)
        )
    return entries


# --- the tenant ----------------------------------------------------------------------------------


async def _tenant(context: Context, order: OffboardingOrder, now: datetime) -> _Seen:
    # A token keeps the rights it was made with; a consent that was revoked must count now.
    await context.identity.forget(order.tenant_id)
    graph = context.graph(order.tenant_id)
    application = await _application(graph, order)
    app_id = application.app_id if application is not None else order.app_id
    seen = _Seen(app_id=app_id)
    deleted = (
        []
        if application is not None
        else await removal.deleted_applications(
            graph, app_id=app_id, unique_name=order.application_name
        )
    )
    ours = [each for each in deleted if each.ours]
    if application is None and ours:
        app_id = seen.app_id = ours[0].app_id
    principal = await read_principal(graph, app_id) if app_id is not None else None
    marked = (application is not None and application.ours) or (
        application is None and principal is not None and principal.ours
    )
    if principal is not None:
        seen.principal_id = principal.object_id
        seen.entries += await _principal(graph, principal, now, marked=marked)
    if application is not None:
        seen.entries.append(
            ReceiptEntry(
                ObjectKind.APPLICATION,
                application.object_id,
                f"{application.display_name} ({application.app_id})",
                Fate.PRESENT if application.ours else Fate.KEPT,
                now,
                message=None if application.ours else NOT_OURS,
            )
        )
    seen.entries += _deleted(ObjectKind.APPLICATION, ours, order, now)
    if app_id is not None and (application is None or application.ours):
        gone = await removal.deleted_principals(graph, app_id)
        seen.entries += _deleted(ObjectKind.SERVICE_PRINCIPAL, gone, order, now)
    known = {entry.id for entry in seen.entries}
    for kind, identifier in (
        (ObjectKind.SERVICE_PRINCIPAL, order.service_principal_id),
        (ObjectKind.APPLICATION, order.application_object_id),
    ):
        if identifier is not None and identifier not in known:
            seen.entries.append(_absent(kind, identifier, order.application_name, now))
    return seen


async def _application(graph: GraphClient, order: OffboardingOrder) -> Application | None:
    if order.application_object_id is not None:
        try:
            return await read_object(graph, order.application_object_id)
        except Gone:
            return None
    try:
        return await find_application(graph, order.application_name)
    except Refused as error:
        if error.code == "application_name_taken":
            return None  # by a stranger, so there is none of ours
        raise


async def _principal(
    graph: GraphClient, principal: ServicePrincipal, now: datetime, *, marked: bool
) -> list[ReceiptEntry]:
    kind, name = ObjectKind.SERVICE_PRINCIPAL, f"{principal.display_name} ({principal.app_id})"
    if not marked:
        return [
            ReceiptEntry(kind, principal.object_id, name, Fate.KEPT, now, message=NOT_OURS),
        ]
    roles, permissions = _role_names(), _permission_names()
    return [
        *(
            ReceiptEntry(
                ObjectKind.DIRECTORY_ROLE,
                each.id,
                roles.get(each.role_id, f"directory role {each.role_id}"),
                Fate.PRESENT,
                now,
            )
            for each in await list_assignments(graph, principal.object_id)
        ),
        *(
            ReceiptEntry(
                ObjectKind.PERMISSION,
                each.id,
                permissions.get(each.app_role_id, f"app role {each.app_role_id}"),
                Fate.PRESENT,
                now,
            )
            for each in await list_grants(graph, principal.object_id)
        ),
        *await _delegated(graph, principal, now),
        ReceiptEntry(kind, principal.object_id, name, Fate.PRESENT, now),
    ]


async def _delegated(
    graph: GraphClient, principal: ServicePrincipal, now: datetime
) -> list[ReceiptEntry]:
    kind = ObjectKind.DELEGATED_GRANT
    try:
        found = await list_delegated(graph, principal.object_id)
    except Refused as error:
        if error.code != "graph_permission_missing":
            raise
        name = f"delegated grants of {principal.display_name}"
        why = f"they would go with the service principal, unseen by us: {error.message}"
        return [ReceiptEntry(kind, principal.object_id, name, Fate.UNKNOWN, now, message=why)]
    return [
        ReceiptEntry(
            kind,
            each.id,
            f"{each.scope} ({'all users' if each.user_id is None else f'user {each.user_id}'})",
            Fate.PRESENT,
            now,
        )
        for each in found
    ]


def _deleted(
    kind: ObjectKind,
    found: Iterable[removal.DeletedObject],
    order: OffboardingOrder,
    now: datetime,
) -> list[ReceiptEntry]:
    """Soft-deleted already: to be purged if that is asked for, else gone before."""
    return [
        ReceiptEntry(
            kind,
            each.object_id,
            f"{each.display_name} ({each.app_id})",
            Fate.PRESENT if order.purge else Fate.ABSENT,
            now,
            message=None if order.purge else "it was deleted before this offboarding",
            recoverable_until=None if order.purge else each.purged_at,
        )
        for each in found
    ]


def _permission_names() -> dict[str, str]:
    manifests = [load_manifest(name) for name in manifest_names()]
    return {
        permission.id: f"{manifest.resource(permission.resource).name}: {permission.name}"
        for manifest in manifests
        for permission in manifest.permissions
    }


def _role_names() -> dict[str, str]:
    manifests = [load_manifest(name) for name in manifest_names()]
    return {role.template_id: role.name for each in manifests for role in each.directory_roles}


# --- the vault -----------------------------------------------------------------------------------


async def _vault(context: Context, order: OffboardingOrder, now: datetime) -> _Seen:
    ours = await _our_certificate(context, order, now)
    own = order.own_certificate
    if own is None:
        return ours
    kept = ReceiptEntry(ObjectKind.CERTIFICATE, own, own, Fate.KEPT, now, message=THEIRS)
    # One of ours may be there from before; that there never was any needs no line.
    return _Seen([kept, *(each for each in ours.entries if each.fate is not Fate.ABSENT)])


async def _our_certificate(context: Context, order: OffboardingOrder, now: datetime) -> _Seen:
    kind, name = ObjectKind.CERTIFICATE, order.certificate
    stored = await context.vault.read(name)
    if stored is not None:
        fate = Fate.PRESENT if stored.marked else Fate.KEPT
        why = None if stored.marked else NOT_OURS
        return _Seen([ReceiptEntry(kind, name, name, fate, now, message=why)])
    deleted = await lifecycle.read_deleted(context.vault, name)
    if deleted is not None and deleted.marked and order.purge and deleted.purgeable:
        return _Seen([ReceiptEntry(kind, name, name, Fate.PRESENT, now)])
    entry = _absent(kind, name, name, now)
    if deleted is not None:
        entry = ReceiptEntry(
            kind,
            name,
            name,
            Fate.ABSENT,
            now,
            message="it was deleted before this offboarding",
            recoverable_until=deleted.purged_at,
        )
    return _Seen([entry])


# --- what was not seen ---------------------------------------------------------------------------


def _absent(kind: ObjectKind, identifier: str, name: str, now: datetime) -> ReceiptEntry:
    return ReceiptEntry(
        kind, identifier, name, Fate.ABSENT, now, message="it was gone before this offboarding"
    )


def _recorded(
    place: str, order: OffboardingOrder, error: Refused, now: datetime
) -> Iterable[ReceiptEntry]:
    """What our record knows of a place that could not be looked at."""
    known: dict[str, tuple[tuple[ObjectKind, str | None, str], ...]] = {
        MONDOO: (
            (ObjectKind.INTEGRATION, order.integration, "integration"),
            (ObjectKind.AZURE_INTEGRATION, order.azure_integration, "Azure integration"),
        ),
        TENANT: (
            (ObjectKind.SERVICE_PRINCIPAL, order.service_principal_id, order.application_name),
            (ObjectKind.APPLICATION, order.application_object_id, order.application_name),
        ),
        VAULT: ((ObjectKind.CERTIFICATE, order.certificate, order.certificate),),
    }
    for kind, identifier, name in known[place]:
        if identifier is not None:
            yield ReceiptEntry(kind, identifier, name, Fate.UNKNOWN, now, message=error.message)
