"""The application that Mondoo signs in with: found, made, corrected and brought back.

Identity is the ``uniqueName``, or our mark together with the exact display name for an application
that lost (or never had) a unique name; a display name alone identifies nothing (azure-cli#32299).
What carries no mark of ours is not changed unless the request adopts it by its appId.

Nothing is undone by deleting: a deleted application reserves its unique name for thirty days, which
turned one slow read into an outage elsewhere (omadia#916). Every change is one PATCH, read back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shared.entra.graph import (
    BatchRequest,
    BatchResponse,
    GraphClient,
    literal,
    quoted,
    relative,
    segment,
)
from shared.entra.key_credentials import (
    KeyCredential,
    expired_strangers,
    is_ours,
    kept,
    key_credentials_with,
    lost_entries,
    new_entry,
    thumbprint,
    thumbprint_of,
    thumbprints,
)
from shared.entra.reactions import AlreadyExists, Gone
from shared.errors import NotYet, Refused
from shared.manifest import Manifest
from shared.models import MARK

SELECTED = (
    "id",
    "appId",
    "displayName",
    "uniqueName",
    "tags",
    "createdDateTime",
    "requiredResourceAccess",
    "keyCredentials",
)
"""Read of a single application. Lists never give keys, so a listed one is read again."""

_LISTED = ("id", "appId", "displayName", "uniqueName", "tags", "createdDateTime")
_YOUNG = timedelta(hours=1)
_REPEAT = "Repeat the operation; it goes on where it stopped."


@dataclass(frozen=True)
class Application:
    """An application as it was read. ``complete``: from a single read, so keys are filled."""

    object_id: str
    app_id: str
    display_name: str
    unique_name: str | None = None
    tags: tuple[str, ...] = ()
    created_at: datetime | None = None
    required_resource_access: list[dict[str, Any]] = field(default_factory=list)
    key_credentials: list[KeyCredential] = field(default_factory=list)
    complete: bool = False

    @classmethod
    def from_graph(cls, entity: Mapping[str, Any]) -> Application:
        """From Graph's JSON of a single application or of one in a list."""
        created = entity.get("createdDateTime")
        return cls(
            object_id=str(entity["id"]),
            app_id=str(entity["appId"]).lower(),
            display_name=str(entity.get("displayName") or ""),
            unique_name=entity.get("uniqueName"),
            tags=tuple(entity.get("tags") or ()),
            created_at=datetime.fromisoformat(created) if created else None,
            required_resource_access=list(entity.get("requiredResourceAccess") or ()),
            key_credentials=list(entity.get("keyCredentials") or ()),
            complete="keyCredentials" in entity,
        )

    @property
    def ours(self) -> bool:
        """Whether it carries our mark."""
        return MARK in self.tags

    def thumbprints(self) -> list[str]:
        """SHA-1 thumbprints (upper-case hex) of its key credentials, from the keys themselves."""
        return thumbprints(self.key_credentials)

    def is_right(self, manifest: Manifest, present: Collection[str]) -> bool:
        """Marked, named, and declaring exactly what the manifest wants of what is ``present``."""
        return (
            self.ours
            and self.unique_name is not None
            and _access(self.required_resource_access)
            == _access(declared_access(manifest, present))
        )


@dataclass(frozen=True)
class Search:
    """What a search for our application found.

    ``application`` is ours, or the one to adopt. ``name_holder`` holds our unique name without our
    mark. ``candidates`` are several marked ones of our name: none of them is chosen. ``namesakes``
    are strangers with the same display name, letter case aside.
    """

    application: Application | None
    name_holder: Application | None = None
    candidates: list[Application] = field(default_factory=list)
    namesakes: list[Application] = field(default_factory=list)


def declared_access(manifest: Manifest, present: Collection[str]) -> list[dict[str, Any]]:
    """``requiredResourceAccess`` for the manifest, for those resources that the tenant has."""
    return [
        {
            "resourceAppId": resource.app_id,
            "resourceAccess": [
                {"id": permission.id, "type": "Role"}
                for permission in manifest.permissions
                if permission.resource == resource.service
            ],
        }
        for resource in manifest.resources
        if resource.app_id in present
    ]


# --- finding -------------------------------------------------------------------------------------


def search_requests(name: str, adopt: str | None) -> list[BatchRequest]:
    """The reads of a search; `choose` understands their answers."""
    requests = [
        BatchRequest(
            "app-unique", relative(f"applications(uniqueName={quoted(name)})", select=SELECTED)
        ),
        BatchRequest(
            "app-named",
            relative(
                "applications",
                select=_LISTED,
                params={"$filter": f"displayName eq {literal(name)}", "$top": "999"},
            ),
        ),
    ]
    if adopt is not None:
        requests.append(
            BatchRequest(
                "app-adopt", relative(f"applications(appId={quoted(adopt)})", select=SELECTED)
            )
        )
    return requests


async def choose(
    graph: GraphClient, answers: Mapping[str, BatchResponse], name: str, adopt: str | None
) -> Search:
    """Which application is ours, from the answers to `search_requests`.

    An application that was only listed is not ``complete``; read it again before using its keys.

    Raises:
        Refused: ``adopt_not_found``, or ``adopt_conflict`` when ours is another one.
        OnboardingError: a read failed; a failed read is never "none".
    """
    what = f"the search for application {name!r}"
    holder_entity = answers["app-unique"].result_or_none(what)
    holder = Application.from_graph(holder_entity) if holder_entity is not None else None
    page = answers["app-named"].result(what)
    named = [Application.from_graph(each) for each in await graph.rest_of(page, what=what)]
    # The server's comparison ignores case; ours does not, except for reporting.
    marked = [each for each in named if each.ours and each.display_name == name]
    if holder is not None and holder.ours:
        found: Application | None = holder
    else:
        found = marked[0] if len(marked) == 1 else None
    candidates = marked if found is None and len(marked) > 1 else []
    if adopt is not None:
        found = _adopted(answers["app-adopt"], found, adopt, graph.tenant_id)
        candidates = []
    taken = holder is not None and not holder.ours
    chosen = found.object_id if found is not None else None
    return Search(
        application=found,
        name_holder=holder if taken and holder and holder.object_id != chosen else None,
        candidates=candidates,
        namesakes=[
            each
            for each in named
            if each.object_id != chosen
            and each not in candidates
            and each.display_name.casefold() == name.casefold()
        ],
    )


def _adopted(
    answer: BatchResponse, found: Application | None, adopt: str, tenant_id: str
) -> Application:
    entity = answer.result_or_none(f"application {adopt}")
    if entity is None:
        raise Refused(
            "adopt_not_found",
            f"there is no application with the appId {adopt} in tenant {tenant_id}",
            remediation='Correct "adopt": it takes the application (client) id, not the object id.',
            tenant_id=tenant_id,
        )
    wanted = Application.from_graph(entity)
    if found is not None and found.object_id != wanted.object_id:
        raise Refused(
            "adopt_conflict",
            f"application {wanted.app_id} shall be adopted, but application {found.app_id} of this"
            f" name is ours already in tenant {tenant_id}",
            remediation='Leave "adopt" out, or use another "applicationName".',
            tenant_id=tenant_id,
        )
    return wanted


async def find_application(
    graph: GraphClient, name: str, *, adopt: str | None = None
) -> Application | None:
    """Our application, complete, or None; one request, two when it has no unique name.

    Raises:
        Refused: ``application_name_taken`` by one without our mark, ``application_ambiguous``.
    """
    requests = search_requests(name, adopt)
    answers = await graph.batch(requests, what=f"the search for application {name!r}")
    search = await choose(graph, {each.id: each for each in answers}, name, adopt)
    if search.application is not None:
        if search.application.complete:
            return search.application
        return await read_object(graph, search.application.object_id)
    if search.name_holder is not None:
        raise Refused(
            "application_name_taken",
            f"the unique name {name!r} belongs to application {search.name_holder.app_id} in tenant"
            f" {graph.tenant_id}, which does not carry our mark",
            remediation=f'Send "adopt": "{search.name_holder.app_id}" if it may be taken over, or'
            ' another "applicationName".',
            tenant_id=graph.tenant_id,
        )
    if search.candidates:
        listed = ", ".join(sorted(each.app_id for each in search.candidates))
        raise Refused(
            "application_ambiguous",
            f"several applications in tenant {graph.tenant_id} carry our mark and this name:"
            f" {listed}",
            remediation='Send "adopt" with the appId of the one to keep; delete the others.',
            tenant_id=graph.tenant_id,
        )
    return None


async def read_application(graph: GraphClient, unique_name: str) -> Application | None:
    """The application with this unique name, whoever's it is; None when there is none."""
    try:
        entity = await graph.get(
            f"applications(uniqueName={quoted(unique_name)})",
            select=SELECTED,
            what=f"application {unique_name!r}",
        )
    except Gone:
        return None
    return Application.from_graph(entity)


async def read_object(graph: GraphClient, object_id: str, *, young: bool = False) -> Application:
    """An application by its object id, complete.

    Raises:
        NotYet: it is ``young`` and cannot be read yet.
    """
    return Application.from_graph(
        await graph.get(
            f"applications/{segment(object_id)}",
            select=SELECTED,
            what=f"application {object_id}",
            young=young,
        )
    )


# --- changing ------------------------------------------------------------------------------------


async def create_application(
    graph: GraphClient,
    *,
    name: str,
    manifest: Manifest,
    present: Collection[str],
    certificate_der: bytes | None,
    key_display_name: str,
) -> Application:
    """Make the application with its permissions and its certificate, if it gets one, and read it
    back.

    An upsert by unique name, so that a repeat after a lost answer makes no second one. Call it only
    after `find_application` found none.

    Raises:
        AlreadyExists: ``unique_name_taken`` by a soft-deleted application (`find_deleted`).
        NotYet: it was made, now or by an earlier call, and cannot be read yet.
    """
    what = f"application {name!r}"
    body: dict[str, Any] = {
        "displayName": name,
        "signInAudience": "AzureADMyOrg",
        "tags": [MARK],
        "requiredResourceAccess": declared_access(manifest, present),
    }
    if certificate_der is not None:
        body["keyCredentials"] = [new_entry(certificate_der, key_display_name)]
    path = f"applications(uniqueName={quoted(name)})"
    try:
        made = await graph.patch(path, body, headers={"Prefer": "create-if-missing"}, what=what)
    except AlreadyExists as error:
        if await find_deleted(graph, name) is not None:
            raise
        # Not deleted and not found: an application that has not replicated, so most likely ours
        # from a call whose answer was lost (omadia#916). It shows up, and is then looked at.
        raise NotYet(
            "application_not_replicated",
            f"{what} in tenant {graph.tenant_id} exists, but cannot be read yet",
            remediation=_REPEAT,
            tenant_id=graph.tenant_id,
            request_id=error.request_id,
        ) from error
    # 204 without a body when it existed after all: another run of ours made it moments ago.
    read_path = f"applications/{segment(made['id'])}" if "id" in made else path
    entity = await graph.get(read_path, select=SELECTED, what=what, young=True)
    application = Application.from_graph(entity)
    return _checked(application, graph, [], certificate_der, None)


async def update_application(
    graph: GraphClient,
    application: Application,
    *,
    manifest: Manifest,
    present: Collection[str],
    unique_name: str,
    certificate_der: bytes | None,
    key_display_name: str,
    now: datetime,
) -> Application:
    """Make an application right with one PATCH, and read it back; nothing is sent when it is.

    Declared permissions become the manifest's, our mark is added, a missing unique name is filled
    in. With a certificate, it is added beside all others, and expired ones of ours are dropped.
    ``application`` must be freshly read.

    Raises:
        NotYet: the change is made and cannot be read yet, or dates are not accepted yet.
        Refused: ``foreign_certificate_expired``, when Graph refuses for an entry that is not ours.
        AlreadyExists: ``unique_name_taken``.
    """
    if not application.complete:
        raise ValueError("an application from a list has no keys to send back")
    body: dict[str, Any] = {}
    wanted = declared_access(manifest, present)
    if application.display_name != unique_name:
        body["displayName"] = unique_name
    if _access(application.required_resource_access) != _access(wanted):
        body["requiredResourceAccess"] = wanted
    if not application.ours:
        body["tags"] = [*application.tags, MARK]
    if application.unique_name is None:
        body["uniqueName"] = unique_name
    if certificate_der is not None:
        keys = key_credentials_with(
            application.key_credentials,
            certificate_der=certificate_der,
            name=key_display_name,
            now=now,
        )
        if keys is not None:
            body["keyCredentials"] = keys
    if not body:
        return application
    await _patched(graph, application, body, now)
    read_back = await read_object(graph, application.object_id, young=True)
    return _checked(
        read_back, graph, application.key_credentials, certificate_der, now, manifest, present
    )


async def add_certificate(
    graph: GraphClient,
    application: Application,
    *,
    certificate_der: bytes,
    key_display_name: str,
    now: datetime,
) -> Application:
    """Add a certificate beside all others, drop expired ones of ours, and read back.

    ``application`` must be freshly read. Nothing else of it is changed. Raises as
    `update_application`.
    """
    keys = key_credentials_with(
        application.key_credentials, certificate_der=certificate_der, name=key_display_name, now=now
    )
    if keys is None:
        return application
    await _patched(graph, application, {"keyCredentials": keys}, now)
    read_back = await read_object(graph, application.object_id, young=True)
    return _checked(read_back, graph, application.key_credentials, certificate_der, now)


async def remove_certificates(
    graph: GraphClient, application: Application, *, unwanted: str | None = None, now: datetime
) -> Application:
    """Remove the entries of ours, or only those with the thumbprint ``unwanted``, and read back.

    ``application`` must be freshly read. Entries that others added stay, whatever they hold.

    Raises:
        NotYet: reading does not show it yet.
    """
    going = [
        each
        for each in application.key_credentials
        if is_ours(each) and unwanted in (None, thumbprint(each))
    ]
    if not going:
        return application
    staying = [kept(each) for each in application.key_credentials if each not in going]
    await _patched(graph, application, {"keyCredentials": staying}, now)
    read_back = await read_object(graph, application.object_id, young=True)
    left = {str(each.get("keyId")) for each in read_back.key_credentials}
    if left != {str(each.get("keyId")) for each in staying}:
        raise NotYet(
            "application_not_replicated",
            f"a certificate was removed from application {application.app_id} in tenant"
            f" {graph.tenant_id}, but reading does not show it yet",
            remediation=_REPEAT,
            tenant_id=graph.tenant_id,
        )
    return read_back


async def _patched(
    graph: GraphClient, application: Application, body: Mapping[str, Any], now: datetime
) -> None:
    what = f"application {application.app_id}"
    try:
        await graph.patch(
            f"applications/{segment(application.object_id)}",
            body,
            what=what,
            young=_is_young(application, now),
        )
    except NotYet as error:
        strangers = expired_strangers(application.key_credentials, now)
        if error.code != "key_dates_refused" or not strangers:
            raise
        # Ours that had expired were not sent; an expired one that is not ours is not ours to drop.
        raise Refused(
            "foreign_certificate_expired",
            f"{what} in tenant {graph.tenant_id} holds expired certificates that are not ours, and"
            f" Microsoft Graph accepts no change beside them: {', '.join(strangers)}",
            remediation="Have the owner remove these certificates from the application, then send"
            " the request again.",
            tenant_id=graph.tenant_id,
            request_id=error.request_id,
        ) from error


def _checked(
    application: Application,
    graph: GraphClient,
    before: list[KeyCredential],
    certificate_der: bytes | None,
    now: datetime | None,
    manifest: Manifest | None = None,
    present: Collection[str] = (),
) -> Application:
    """The application that was read back, if it shows what was written."""
    arrived = certificate_der is None or thumbprint_of(certificate_der) in application.thumbprints()
    right = application.ours if manifest is None else application.is_right(manifest, present)
    if not arrived or not right:
        raise NotYet(
            "application_not_replicated",
            f"application {application.app_id} in tenant {graph.tenant_id} was changed, but reading"
            " it does not show the change yet",
            remediation=_REPEAT,
            tenant_id=graph.tenant_id,
        )
    lost = lost_entries(before, application.key_credentials, now) if now is not None else []
    if lost:
        raise Refused(
            "foreign_certificate_lost",
            f"application {application.app_id} in tenant {graph.tenant_id} lost key credentials"
            f" while ours was added: {', '.join(lost)}",
            remediation="Someone may have removed them at the same moment. Check with the owner;"
            " a certificate that is still needed must be uploaded again.",
            tenant_id=graph.tenant_id,
        )
    return application


def _is_young(application: Application, now: datetime) -> bool:
    return application.created_at is not None and now - application.created_at < _YOUNG


def _access(required: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {
        (str(entry.get("resourceAppId")).lower(), str(each.get("id")).lower(), str(each["type"]))
        for entry in required
        for each in entry.get("resourceAccess") or ()
    }


# --- soft-deleted ones ---------------------------------------------------------------------------


async def find_deleted(graph: GraphClient, unique_name: str) -> Application | None:
    """The soft-deleted application that still holds this unique name, if there is one."""
    items = await graph.get_all(
        "directory/deletedItems/microsoft.graph.application",
        select=(*_LISTED, "deletedDateTime"),
        what="deleted applications",
    )
    for item in items:
        if item.get("uniqueName") == unique_name:
            return Application.from_graph(item)
    return None


async def restore(graph: GraphClient, object_id: str) -> Application:
    """Bring a soft-deleted application back, and read it; its appId stays.

    Its service principal may be a new one afterwards, so grants and roles must be read again
    (azure-docs#99117).
    """
    # A repeat after a lost answer finds nothing to restore: the application is read then.
    with suppress(Gone, AlreadyExists):
        await graph.post(
            f"directory/deletedItems/{segment(object_id)}/restore",
            {},
            what=f"deleted application {object_id}",
            repeatable=True,
        )
    return await read_object(graph, object_id, young=True)
