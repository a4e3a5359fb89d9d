"""Federated identity credentials of an application.

Wrong issuers and subjects are stored without complaint and surface at sign-in, as in reality; what
is checked is the shape: a name that never changes, exactly one audience, at most twenty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from local.simulators.graph.applications import KEYS
from local.simulators.graph.calls import Answer, GraphCall
from local.simulators.graph.errors import (
    GraphError,
    bad_request,
    invalid_property,
    invalid_value,
    not_found,
    schema_mismatch,
)
from local.simulators.graph.permissions import (
    READ_APPLICATIONS,
    WRITE_APPLICATIONS,
    may_write_application,
)
from local.simulators.graph.query import PAGED, SELECT, page, picker
from local.simulators.graph.routing import Route
from local.simulators.objects import Application, FederatedCredential
from local.simulators.tenant import new_id

MAX_CREDENTIALS = 20

_NAME = re.compile(r"^[A-Za-z0-9_-]{3,120}$")
_KIND = "FederatedIdentityCredential"
_REQUIRED = ("name", "issuer", "subject", "audiences")


def routes() -> Iterator[Route]:
    """The collection below an application, by id or by name."""
    for key in KEYS:
        many = f"/applications{key}/federatedIdentityCredentials"
        yield Route("GET", many, _list, READ_APPLICATIONS, PAGED)
        yield Route("POST", many, _create, WRITE_APPLICATIONS)
        for one in ("/{credentialId}", "(name='{name}')"):
            yield Route("GET", many + one, _get, READ_APPLICATIONS, SELECT)
            yield Route("PATCH", many + one, _patch, WRITE_APPLICATIONS)
            yield Route("DELETE", many + one, _delete, WRITE_APPLICATIONS)


def _context(call: GraphCall, app: Application) -> str:
    return f"applications('{app.id}')/federatedIdentityCredentials"


def _list(call: GraphCall) -> Answer:
    app = call.application()
    found = [credential.as_json() for credential in app.federated_credentials.values()]
    return page(call, found, picker(call), _context(call, app))


def _find(call: GraphCall, app: Application) -> FederatedCredential:
    wanted = call.params.get("name") or call.params["credentialId"]
    for credential in app.federated_credentials.values():
        if wanted == credential.name or (
            "name" not in call.params and wanted.lower() == credential.id
        ):
            return credential
    raise not_found(wanted)


def _get(call: GraphCall) -> Answer:
    app = call.application()
    shown = picker(call)(_find(call, app).as_json())
    return Answer(200, {"@odata.context": call.context(f"{_context(call, app)}/$entity"), **shown})


def _check(body: dict[str, Any]) -> None:
    for name, value in body.items():
        if name not in (*_REQUIRED, "description"):
            raise invalid_property(name)
        if name == "audiences":
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise schema_mismatch(name)
            if len(value) != 1 or not value[0]:
                raise invalid_value(name, _KIND)
        elif value is None and name == "description":
            continue
        elif not isinstance(value, str):
            raise schema_mismatch(name)
        elif name != "description" and not 1 <= len(value) <= 600:
            raise invalid_value(name, _KIND)
    if "name" in body and not _NAME.match(body["name"]):
        raise invalid_value("name", _KIND)


def _check_unique(
    app: Application, issuer: str, subject: str, but: FederatedCredential | None
) -> None:
    for other in app.federated_credentials.values():
        if other is not but and (other.issuer, other.subject) == (issuer, subject):
            raise GraphError(
                409,
                "Request_MultipleObjectsWithSameKeyValue",
                "FederatedIdentityCredential with the same issuer and subject already exists.",
            )


def _create(call: GraphCall) -> Answer:
    app = call.application()
    may_write_application(call, app)
    return _created(call, app, call.json_body())


def _created(call: GraphCall, app: Application, body: dict[str, Any]) -> Answer:
    _check(body)
    for name in _REQUIRED:
        if name not in body:
            raise bad_request(f"A value is required for property '{name}' of resource '{_KIND}'.")
    if any(other.name == body["name"] for other in app.federated_credentials.values()):
        raise GraphError(
            409,
            "Request_MultipleObjectsWithSameKeyValue",
            f"FederatedIdentityCredential with name {body['name']} already exists.",
        )
    _check_unique(app, body["issuer"], body["subject"], None)
    if len(app.federated_credentials) >= MAX_CREDENTIALS:
        raise bad_request(
            f"The number of federated identity credentials exceeds the limit of {MAX_CREDENTIALS}."
        )
    credential = FederatedCredential(
        id=new_id(),
        name=body["name"],
        issuer=body["issuer"],
        subject=body["subject"],
        audiences=list(body["audiences"]),
        description=body.get("description"),
        accepted_at=call.tenant.due(call.tenant.lag.credentials),
    )
    app.federated_credentials[credential.id] = credential
    context = call.context(f"{_context(call, app)}/$entity")
    return Answer(201, {"@odata.context": context, **credential.as_json()})


def _patch(call: GraphCall) -> Answer:
    app = call.application()
    may_write_application(call, app)
    body = call.json_body()
    try:
        credential = _find(call, app)
    except GraphError:
        if "name" in call.params and call.prefers("create-if-missing"):
            return _created(call, app, {**body, "name": call.params["name"]})
        raise
    _check(body)
    if body.get("name", credential.name) != credential.name:
        raise bad_request("Property 'name' is immutable and cannot be changed.")
    issuer = body.get("issuer", credential.issuer)
    subject = body.get("subject", credential.subject)
    _check_unique(app, issuer, subject, credential)
    credential.issuer = issuer
    credential.subject = subject
    credential.audiences = list(body.get("audiences", credential.audiences))
    credential.description = body.get("description", credential.description)
    credential.accepted_at = call.tenant.due(call.tenant.lag.credentials)
    return Answer(204)


def _delete(call: GraphCall) -> Answer:
    app = call.application()
    may_write_application(call, app)
    del app.federated_credentials[_find(call, app).id]
    return Answer(204)
