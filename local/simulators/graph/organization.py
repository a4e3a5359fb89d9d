"""The tenant about itself and about others: organization, tenant lookup, partner customers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local.simulators.graph.calls import Answer, GraphCall
from local.simulators.graph.errors import not_found, schema_mismatch
from local.simulators.graph.permissions import (
    READ_CUSTOMERS,
    READ_ORGANIZATION,
    READ_OTHER_TENANTS,
)
from local.simulators.graph.query import PAGED, SELECT, conditions, page, picker
from local.simulators.graph.routing import Route
from local.simulators.tenant import SimulatedTenant
from local.simulators.world import is_guid

_CUSTOMERS_PAGE = 300


def routes() -> Iterator[Route]:
    """`/organization` and `/tenantRelationships`."""
    yield Route("GET", "/organization", _list, READ_ORGANIZATION, SELECT)
    yield Route("GET", "/organization/{id}", _get, READ_ORGANIZATION, SELECT)
    for name, key, handler in (
        ("findTenantInformationByTenantId", "tenantId", _by_id),
        ("findTenantInformationByDomainName", "domainName", _by_domain),
    ):
        yield Route(
            "GET",
            f"/tenantRelationships/{name}({key}='{{{key}}}')",
            handler,
            READ_OTHER_TENANTS,
        )
    yield Route(
        "GET", "/tenantRelationships/delegatedAdminCustomers", _customers, READ_CUSTOMERS, PAGED
    )
    relationships = "/tenantRelationships/delegatedAdminRelationships"
    yield Route("GET", relationships, _relationships, READ_CUSTOMERS, PAGED | {"$filter"})
    yield Route("GET", f"{relationships}/{{id}}", _relationship, READ_CUSTOMERS, SELECT)


def organization_json(tenant: SimulatedTenant) -> dict[str, Any]:
    """The `organization` entity."""
    return {
        "id": tenant.id,
        "deletedDateTime": None,
        "displayName": tenant.display_name,
        "tenantType": "AAD",
        "countryLetterCode": "US",
        "technicalNotificationMails": [],
        "assignedPlans": [],
        "verifiedDomains": [
            {
                "capabilities": "Email, OfficeCommunicationsOnline",
                "isDefault": domain == tenant.default_domain,
                "isInitial": domain == tenant.initial_domain,
                "name": domain,
                "type": "Managed",
            }
            for domain in tenant.domains
        ],
    }


def _list(call: GraphCall) -> Answer:
    entity = picker(call)(organization_json(call.tenant))
    return Answer(200, {"@odata.context": call.context("organization"), "value": [entity]})


def _get(call: GraphCall) -> Answer:
    if call.object_id() != call.tenant.id:
        raise not_found(call.params["id"])
    entity = picker(call)(organization_json(call.tenant))
    return Answer(200, {"@odata.context": call.context("organization/$entity"), **entity})


def _by_id(call: GraphCall) -> Answer:
    wanted = call.params["tenantId"]
    if not is_guid(wanted):
        raise schema_mismatch("tenantId")
    return _found(call, wanted)


def _by_domain(call: GraphCall) -> Answer:
    wanted = call.params["domainName"]
    if "." not in wanted:
        raise schema_mismatch("domainName")
    return _found(call, wanted)


def _found(call: GraphCall, wanted: str) -> Answer:
    tenant = call.world.find(wanted)
    if tenant is None:
        raise not_found(wanted)
    return Answer(
        200,
        {
            "@odata.context": call.context("microsoft.graph.tenantInformation"),
            "tenantId": tenant.id,
            "federationBrandName": None,
            "displayName": tenant.display_name,
            "defaultDomainName": tenant.default_domain,
        },
    )


def _customers(call: GraphCall) -> Answer:
    found = [
        {"id": tenant.id, "tenantId": tenant.id, "displayName": tenant.display_name}
        for tenant in call.world.partner_customers
        if call.tenant is call.world.home
    ]
    return page(
        call,
        found,
        picker(call),
        "tenantRelationships/delegatedAdminCustomers",
        max_page=_CUSTOMERS_PAGE,
    )


def _relationships(call: GraphCall) -> Answer:
    wanted = {part.name: part.value for part in conditions(call, {"status"})}
    found = [
        each
        for each in call.world.partner_relationships
        if call.tenant is call.world.home and wanted.items() <= each.items()
    ]
    return page(
        call,
        found,
        picker(call),
        "tenantRelationships/delegatedAdminRelationships",
        max_page=_CUSTOMERS_PAGE,
    )


def _relationship(call: GraphCall) -> Answer:
    wanted = call.params["id"]
    for each in call.world.partner_relationships:
        if each["id"] == wanted and call.tenant is call.world.home:
            context = call.context("tenantRelationships/delegatedAdminRelationships/$entity")
            return Answer(200, {"@odata.context": context, **picker(call)(each)})
    raise not_found(wanted)
