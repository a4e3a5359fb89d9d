"""Applications: by id, by `appId`, by `uniqueName`; upsert, owners, delete.

What an app-only caller creates it owns. `uniqueName` is set once and stays reserved while the
application can still be restored. Keys of `keyCredentials` are returned only where a single object
is read with that property selected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from local.simulators.graph import key_credentials
from local.simulators.graph.calls import Answer, GraphCall
from local.simulators.graph.errors import (
    bad_request,
    invalid_property,
    invalid_value,
    malformed,
    not_found,
    schema_mismatch,
    size_exceeded,
    taken,
)
from local.simulators.graph.owners import add_owner, list_owners, remove_owner
from local.simulators.graph.permissions import (
    READ_APPLICATIONS,
    WRITE_APPLICATIONS,
    may_write_application,
)
from local.simulators.graph.query import LIST, PAGED, SELECT, conditions, page, picker, selected
from local.simulators.graph.routing import Route
from local.simulators.graph.schema import (
    APPLICATION,
    AUDIENCES,
    MAX_ITEMS,
    ON_SELECT,
    check_body,
    check_display_name,
    check_required_access,
    check_tags,
)
from local.simulators.objects import Application, PasswordCredential, instant
from local.simulators.tenant import new_id

KIND = "microsoft.graph.application"
KEYS = ("/{id}", "(appId='{appId}')", "(uniqueName='{uniqueName}')")
_SELECTABLE = frozenset(APPLICATION) | {ON_SELECT}
_FILTERS = frozenset({"id", "appId", "displayName", "uniqueName"})
_PERSONAL_NAME = 90


def routes() -> Iterator[Route]:
    """Applications and what hangs on them directly."""
    yield Route("GET", "/applications", _list, READ_APPLICATIONS, LIST, beta=True)
    yield Route("POST", "/applications", _create, WRITE_APPLICATIONS)
    for key in KEYS:
        one = f"/applications{key}"
        yield Route("GET", one, _get, READ_APPLICATIONS, SELECT | {"$expand"}, beta=True)
        yield Route("PATCH", one, _patch, WRITE_APPLICATIONS)
        yield Route("DELETE", one, _delete, WRITE_APPLICATIONS)
        yield Route("POST", f"{one}/removePassword", _remove_password, WRITE_APPLICATIONS)
        yield Route("GET", f"{one}/owners", _owners, READ_APPLICATIONS, PAGED)
        yield Route("POST", f"{one}/owners/$ref", _add_owner, WRITE_APPLICATIONS)
        yield Route("DELETE", f"{one}/owners/{{ownerId}}/$ref", _remove_owner, WRITE_APPLICATIONS)


_READ: dict[str, Callable[[Application], Any]] = {
    "id": lambda app: app.id,
    "deletedDateTime": lambda app: None if app.deleted_at is None else instant(app.deleted_at),
    "appId": lambda app: app.app_id,
    "createdDateTime": lambda app: instant(app.created),
    "displayName": lambda app: app.display_name,
    "identifierUris": lambda app: list(app.identifier_uris),
    "signInAudience": lambda app: app.audience,
    "tags": lambda app: list(app.tags),
    "uniqueName": lambda app: app.unique_name,
    "keyCredentials": lambda app: [key.as_json(with_key=False) for key in app.key_credentials],
    "passwordCredentials": lambda app: [item.as_json() for item in app.password_credentials],
    "requiredResourceAccess": lambda app: app.required_resource_access,
    ON_SELECT: lambda app: app.is_disabled,
}


def application_json(
    app: Application, names: tuple[str, ...] | None = None, *, with_keys: bool = False
) -> dict[str, Any]:
    """An application with the selected properties (all but `isDisabled` by default)."""
    shown: dict[str, Any] = {}
    for name in APPLICATION if names is None else names:
        read = _READ.get(name)
        if name == "keyCredentials" and with_keys:
            shown[name] = [key.as_json(with_key=True) for key in app.key_credentials]
        elif read is not None:
            shown[name] = read(app)
        else:
            shown[name] = app.values.get(name, APPLICATION[name].default)
    return shown


def _list(call: GraphCall) -> Answer:
    names = selected(call, _SELECTABLE, KIND)
    found = [app for app in call.tenant.applications.values() if app.visible_at <= call.now]
    for condition in conditions(call, _FILTERS, {"tags"}):
        wanted = condition.value.lower()
        if condition.any_item:
            found = [app for app in found if condition.value in app.tags]
        elif condition.name == "displayName":
            found = [app for app in found if app.display_name.lower() == wanted]
        elif condition.name == "uniqueName":
            found = [app for app in found if app.unique_name == condition.value]
        else:
            read = _READ[condition.name]
            found = [app for app in found if read(app) == wanted]
    context = f"applications{_projection(call)}"
    return page(call, found, lambda app: application_json(app, names), context)


def _projection(call: GraphCall) -> str:
    option = call.query.get("$select")
    return "" if option is None else f"({option})"


def _get(call: GraphCall) -> Answer:
    app = call.application()
    names = selected(call, _SELECTABLE, KIND)
    shown = application_json(app, names, with_keys=names is not None and "keyCredentials" in names)
    expand = call.query.get("$expand")
    if expand is not None:
        if expand != "owners":
            raise malformed(f"Could not find a property named '{expand}' on type '{KIND}'.")
        shown["owners"] = list_owners(call, app.owners)[:20]
    context = call.context(f"applications{_projection(call)}/$entity")
    return Answer(200, {"@odata.context": context, **shown})


def _create(call: GraphCall) -> Answer:
    body = call.json_body()
    if body.get("displayName") is None:
        raise bad_request(
            "A value is required for property 'displayName' of resource 'Application'."
        )
    return _created(call, body)


def _created(call: GraphCall, body: dict[str, Any]) -> Answer:
    tenant, lag = call.tenant, call.tenant.lag
    app = Application(
        id=new_id(),
        app_id=new_id(),
        display_name="",
        created=call.now,
        home=tenant.id,
        audience="AzureADMyOrg",
        owners=[call.claims.object_id],
        visible_at=tenant.due(lag.objects),
        referable_at=tenant.due(max(lag.objects, lag.references)),
    )
    change = _checked(call, app, body)
    tenant.store_application(app)
    change()
    context = call.context("applications/$entity")
    return Answer(201, {"@odata.context": context, **application_json(app)})


def _patch(call: GraphCall) -> Answer:
    upsert = "uniqueName" in call.params and call.prefers("create-if-missing")
    body = call.json_body()
    if upsert:
        if body.get("displayName") is None:
            raise bad_request(
                "A value is required for property 'displayName' of resource 'Application'."
            )
        unique_name = call.params["uniqueName"]
        found = call.tenant.application_by_unique_name(unique_name)
        if found is None or found.visible_at > call.now:
            if body.get("uniqueName") not in (None, unique_name):
                raise invalid_value("uniqueName", "Application")
            return _created(call, {**body, "uniqueName": unique_name})
    app = call.application()
    may_write_application(call, app)
    _checked(call, app, body)()
    return Answer(204)


def _checked(call: GraphCall, app: Application, body: dict[str, Any]) -> Callable[[], None]:
    """Check a whole body; return what applies it, so that a refusal changes nothing."""
    check_body(body, APPLICATION, "Application")
    changes: list[Callable[[], None]] = []
    if body.get("displayName") is not None:
        check_display_name(body["displayName"], "Application")
    audience = body.get("signInAudience", app.audience)
    if audience not in AUDIENCES:
        raise invalid_value("signInAudience", "Application")
    if "Personal" in audience and len(body.get("displayName", app.display_name)) > _PERSONAL_NAME:
        raise invalid_value("displayName", "Application")
    if "tags" in body:
        check_tags(body["tags"], "Application")
    if "requiredResourceAccess" in body:
        check_required_access(body["requiredResourceAccess"])
    if "identifierUris" in body:
        _check_uris(call, app, body["identifierUris"])
    keys = app.key_credentials
    if "keyCredentials" in body:
        keys = key_credentials.replaced(call, app, body["keyCredentials"])
    passwords = app.password_credentials
    if "passwordCredentials" in body:
        passwords = _remaining(app, body["passwordCredentials"])
    unique_name = body.get("uniqueName")
    if unique_name is not None and unique_name != app.unique_name:
        if app.unique_name is not None:
            raise bad_request("Property 'uniqueName' is immutable and cannot be changed.")
        if not unique_name or len(unique_name) > 128:
            raise invalid_value("uniqueName", "Application")
        if call.tenant.unique_name_taken(unique_name):
            raise taken("uniqueName")
        changes.append(lambda: call.tenant.set_unique_name(app, unique_name))
    elif "uniqueName" in body and unique_name is None and app.unique_name is not None:
        raise bad_request("Property 'uniqueName' is immutable and cannot be changed.")
    required = body.get("requiredResourceAccess", app.required_resource_access)
    tags = body.get("tags", app.tags)
    uris = body.get("identifierUris", app.identifier_uris)
    items = len(keys) + len(passwords) + len(tags) + len(uris)
    if items + sum(len(entry["resourceAccess"]) for entry in required) > MAX_ITEMS:
        raise size_exceeded()

    def apply() -> None:
        app.display_name = body.get("displayName", app.display_name)
        app.audience = audience
        app.tags = list(tags)
        app.required_resource_access = list(required)
        app.identifier_uris = list(uris)
        app.key_credentials = keys
        app.password_credentials = passwords
        app.values.update({name: value for name, value in body.items() if name not in _READ})
        for change in changes:
            change()

    return apply


def _check_uris(call: GraphCall, app: Application, uris: list[str]) -> None:
    if len(set(uris)) != len(uris):
        raise invalid_value("identifierUris", "Application")
    others = {
        uri
        for other in call.tenant.applications.values()
        if other is not app
        for uri in other.identifier_uris
    }
    if others & set(uris):
        raise taken("identifierUris")


def _remaining(app: Application, entries: list[dict[str, Any]]) -> list[PasswordCredential]:
    """Secrets can be removed by leaving them out, never added."""
    stored = {item.key_id: item for item in app.password_credentials}
    kept: list[PasswordCredential] = []
    for entry in entries:
        key_id = entry.get("keyId")
        if not isinstance(key_id, str) or key_id.lower() not in stored or entry.get("secretText"):
            raise bad_request("New password credentials must be generated with service actions.")
        kept.append(stored[key_id.lower()])
    return kept


def _remove_password(call: GraphCall) -> Answer:
    app = call.application()
    may_write_application(call, app)
    body = call.json_body()
    for name in body:
        if name != "keyId":
            raise invalid_property(name)
    key_id = body.get("keyId")
    if not isinstance(key_id, str):
        raise schema_mismatch("keyId")
    kept = [item for item in app.password_credentials if item.key_id != key_id.lower()]
    if len(kept) == len(app.password_credentials):
        raise bad_request(f"No password credential found with keyId '{key_id}'.")
    app.password_credentials = kept
    return Answer(204)


def _delete(call: GraphCall) -> Answer:
    app = call.application()
    may_write_application(call, app)
    call.tenant.delete_application(app)
    return Answer(204)


def _owners(call: GraphCall) -> Answer:
    app = call.application()
    return page(call, list_owners(call, app.owners), picker(call), "directoryObjects")


def _add_owner(call: GraphCall) -> Answer:
    app = call.application()
    may_write_application(call, app)
    add_owner(call, app.owners)
    return Answer(204)


def _remove_owner(call: GraphCall) -> Answer:
    app = call.application()
    may_write_application(call, app)
    if not remove_owner(app.owners, call.object_id("ownerId")):
        raise not_found(call.params["ownerId"])
    return Answer(204)
