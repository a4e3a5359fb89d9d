"""Soft-deleted applications and service principals: list, read, restore, purge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local.simulators.graph.applications import application_json
from local.simulators.graph.calls import Answer, GraphCall
from local.simulators.graph.errors import GraphError, not_found
from local.simulators.graph.permissions import READ_DELETED, WRITE_DELETED, may_write_deleted
from local.simulators.graph.query import LIST, SELECT, conditions, page, picker
from local.simulators.graph.routing import Route
from local.simulators.graph.service_principals import principal_json
from local.simulators.objects import Application, ServicePrincipal

_FILTERS = frozenset({"id", "appId", "displayName", "uniqueName"})


def routes() -> Iterator[Route]:
    """Everything below `/directory/deletedItems`."""
    base = "/directory/deletedItems"
    for prefix in ("microsoft.graph", "graph"):
        yield Route("GET", f"{base}/{prefix}.application", _applications, READ_DELETED, LIST)
        yield Route("GET", f"{base}/{prefix}.servicePrincipal", _principals, READ_DELETED, LIST)
    yield Route("GET", f"{base}/{{id}}", _get, READ_DELETED, SELECT)
    yield Route("DELETE", f"{base}/{{id}}", _purge, WRITE_DELETED)
    yield Route("POST", f"{base}/{{id}}/restore", _restore, WRITE_DELETED)


def _json(item: Application | ServicePrincipal) -> dict[str, Any]:
    if isinstance(item, Application):
        return application_json(item)
    return principal_json(item)


def _applications(call: GraphCall) -> Answer:
    return _list(call, Application)


def _principals(call: GraphCall) -> Answer:
    return _list(call, ServicePrincipal)


def _list(call: GraphCall, kind: type[Application] | type[ServicePrincipal]) -> Answer:
    found = [_json(item) for item in call.tenant.deleted_items() if isinstance(item, kind)]
    for condition in conditions(call, _FILTERS):
        name, wanted = condition.name, condition.value
        if name == "uniqueName":
            found = [entity for entity in found if entity.get(name) == wanted]
        else:
            found = [entity for entity in found if str(entity.get(name)).lower() == wanted.lower()]
    return page(call, found, picker(call), "directoryObjects")


def _find(call: GraphCall) -> Application | ServicePrincipal:
    wanted = call.object_id()
    for item in call.tenant.deleted_items():
        if item.id == wanted:
            return item
    raise not_found(wanted)


def _get(call: GraphCall) -> Answer:
    item = _find(call)
    kind = "application" if isinstance(item, Application) else "servicePrincipal"
    return Answer(
        200,
        {
            "@odata.context": call.context("directoryObjects/$entity"),
            "@odata.type": f"#microsoft.graph.{kind}",
            **picker(call)(_json(item)),
        },
    )


def _purge(call: GraphCall) -> Answer:
    item = _find(call)
    may_write_deleted(call, item)
    call.tenant.purge(item)
    return Answer(204)


def _restore(call: GraphCall) -> Answer:
    item = _find(call)
    may_write_deleted(call, item)
    if (
        isinstance(item, ServicePrincipal)
        and call.tenant.service_principal_by_app_id(item.app_id) is not None
    ):
        raise GraphError(
            409,
            "Request_MultipleObjectsWithSameKeyValue",
            "The service principal cannot be created, updated, or restored because the service"
            f" principal name {item.app_id} is already in use.",
        )
    call.tenant.restore(item)
    kind = "application" if isinstance(item, Application) else "servicePrincipal"
    return Answer(
        200,
        {
            "@odata.context": call.context("directoryObjects/$entity"),
            "@odata.type": f"#microsoft.graph.{kind}",
            **_json(item),
        },
    )
