"""Delegated permission grants (`oauth2PermissionGrant`): list and delete.

Reading them takes Directory.Read.All or a DelegatedPermissionGrant permission; the rights to read
applications do not cover it.
"""

from __future__ import annotations

from collections.abc import Iterator

from local.simulators.graph.calls import Answer, GraphCall
from local.simulators.graph.errors import not_found
from local.simulators.graph.permissions import READ_DELEGATED, WRITE_DELEGATED
from local.simulators.graph.query import LIST, PAGED, conditions, page, picker
from local.simulators.graph.routing import Route


def routes() -> Iterator[Route]:
    """The collection, and the part of it below a service principal."""
    yield Route("GET", "/oauth2PermissionGrants", _list, READ_DELEGATED, LIST)
    yield Route("DELETE", "/oauth2PermissionGrants/{id}", _delete, WRITE_DELEGATED)
    for key in ("/{id}", "(appId='{appId}')"):
        yield Route(
            "GET",
            f"/servicePrincipals{key}/oauth2PermissionGrants",
            _of_principal,
            READ_DELEGATED,
            PAGED,
        )


def _list(call: GraphCall) -> Answer:
    # Those of a soft-deleted service principal come back with it, and are not shown meanwhile.
    there = call.tenant.service_principals
    found = [grant.as_json() for grant in call.tenant.delegated_grants if grant.client_id in there]
    for condition in conditions(call, {"clientId", "resourceId", "principalId", "consentType"}):
        found = [entity for entity in found if entity[condition.name] == condition.value]
    return page(call, found, picker(call), "oauth2PermissionGrants")


def _of_principal(call: GraphCall) -> Answer:
    principal = call.service_principal()
    found = [
        grant.as_json() for grant in call.tenant.delegated_grants if grant.client_id == principal.id
    ]
    return page(call, found, picker(call), "oauth2PermissionGrants")


def _delete(call: GraphCall) -> Answer:
    for grant in call.tenant.delegated_grants:
        if grant.id == call.params["id"]:
            call.tenant.delegated_grants.remove(grant)
            return Answer(204)
    raise not_found(call.params["id"])
