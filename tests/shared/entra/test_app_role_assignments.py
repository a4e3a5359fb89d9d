"""Granting application permissions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from local.simulators import Simulators
from local.simulators.catalogue import EXCHANGE, GRAPH, GRAPH_ROLES, AppRole
from local.simulators.objects import ServicePrincipal
from local.simulators.tenant import SimulatedTenant, new_id
from shared.entra.app_role_assignments import grant, list_grants
from shared.entra.graph import GraphClient
from shared.errors import NotYet, Refused
from tests.shared.entra.conftest import Watch

POST = "POST /servicePrincipals/{id}/appRoleAssignedTo"


@pytest.fixture
def principal(simulators: Simulators, tenant: SimulatedTenant) -> ServicePrincipal:
    app = simulators.run(tenant.add_application, "mondoo-ms365")
    made = tenant.service_principal_by_app_id(app.app_id)
    assert made is not None
    return made


@pytest.fixture
def wanted(tenant: SimulatedTenant) -> list[tuple[str, str]]:
    graph = tenant.service_principal_by_app_id(GRAPH)
    exchange = tenant.service_principal_by_app_id(EXCHANGE)
    assert graph is not None
    assert exchange is not None
    names = ("Policy.Read.All", "SecurityEvents.Read.All", "IdentityProvider.Read.All")
    return [
        *((graph.id, GRAPH_ROLES[name]) for name in names),
        (exchange.id, exchange.app_roles[0].id),
    ]


def held(tenant: SimulatedTenant, principal: ServicePrincipal) -> set[tuple[str, str]]:
    return {(each.resource_id, each.app_role_id) for each in tenant.grants_of(principal.id)}


async def test_all_are_granted_in_one_round_trip_and_listed(
    graph: GraphClient,
    tenant: SimulatedTenant,
    principal: ServicePrincipal,
    wanted: list[tuple[str, str]],
    watch: Watch,
) -> None:
    outcomes = await grant(graph, principal.id, wanted)
    assert all(each.made for each in outcomes)
    assert watch.requests == ["POST /$batch"]
    assert held(tenant, principal) == set(wanted)
    listed = await list_grants(graph, principal.id)
    assert {(each.resource_id, each.app_role_id) for each in listed} == set(wanted)


async def test_more_than_twenty_take_a_second_round_trip(
    graph: GraphClient, tenant: SimulatedTenant, principal: ServicePrincipal, watch: Watch
) -> None:
    resource = tenant.service_principal_by_app_id(GRAPH)
    assert resource is not None
    many = [(resource.id, role) for role in list(GRAPH_ROLES.values())[:30]]
    await grant(graph, principal.id, many)
    assert watch.requests == ["POST /$batch"] * 2
    assert held(tenant, principal) == set(many)


@pytest.mark.parametrize(
    "message",
    [
        "Permission being assigned already exists on the object",
        "Permission entry already exists.",
        "EntitlementGrant entry already exists.",
    ],
)
async def test_what_is_granted_already_counts_as_done(
    message: str,
    graph: GraphClient,
    principal: ServicePrincipal,
    wanted: list[tuple[str, str]],
    fault: Callable[..., None],
) -> None:
    fault(POST, status=400, code="Request_BadRequest", message=message)
    outcomes = await grant(graph, principal.id, wanted)
    assert [each.made for each in outcomes] == [False, True, True, True]


async def test_a_lost_answer_is_asked_for_again_without_harm(
    graph: GraphClient,
    tenant: SimulatedTenant,
    principal: ServicePrincipal,
    wanted: list[tuple[str, str]],
    fault: Callable[..., None],
) -> None:
    fault("POST /$batch", drop="after")
    with pytest.raises(NotYet, match="service_unreachable"):
        await grant(graph, principal.id, wanted)
    outcomes = await grant(graph, principal.id, wanted)
    assert not any(each.made for each in outcomes)
    assert len(tenant.grants_of(principal.id)) == len(wanted)


async def test_case_b4_a_principal_that_is_not_visible_yet_is_waited_for(
    graph: GraphClient,
    principal: ServicePrincipal,
    wanted: list[tuple[str, str]],
    fault: Callable[..., None],
) -> None:
    fault(POST, status=404, code="Request_ResourceNotFound", times=3)
    with pytest.raises(NotYet, match="not_replicated") as wait:
        await grant(graph, principal.id, wanted)
    assert "3 of 4" in wait.value.message
    assert [each.made for each in await grant(graph, principal.id, wanted)] == [
        True,
        True,
        True,
        False,
    ]


async def test_case_b5_a_reference_that_is_not_valid_yet_is_waited_for_however_often(
    graph: GraphClient,
    simulators: Simulators,
    tenant: SimulatedTenant,
    principal: ServicePrincipal,
    wanted: list[tuple[str, str]],
) -> None:
    simulators.run(setattr, principal, "referable_at", tenant.due(900))
    for _ in range(2):
        with pytest.raises(NotYet, match="reference_not_replicated"):
            await grant(graph, principal.id, wanted)
    assert held(tenant, principal) == set()
    simulators.clock.advance(901)
    await grant(graph, principal.id, wanted)
    assert held(tenant, principal) == set(wanted)


async def test_case_d3_a_refusal_is_reported_after_all_others_were_tried(
    graph: GraphClient,
    tenant: SimulatedTenant,
    principal: ServicePrincipal,
    wanted: list[tuple[str, str]],
    fault: Callable[..., None],
) -> None:
    fault(POST, status=403, code="Authorization_RequestDenied", message="Insufficient privileges")
    with pytest.raises(Refused, match="graph_permission_missing") as refused:
        await grant(graph, principal.id, wanted)
    assert wanted[0][1] in refused.value.message
    assert held(tenant, principal) == set(wanted[1:])


async def test_a_refusal_outweighs_what_could_be_waited_for(
    graph: GraphClient,
    principal: ServicePrincipal,
    wanted: list[tuple[str, str]],
    fault: Callable[..., None],
) -> None:
    fault(POST, status=404, code="Request_ResourceNotFound")
    fault(POST, status=403, code="Authorization_RequestDenied")
    with pytest.raises(Refused):
        await grant(graph, principal.id, wanted)


@pytest.mark.parametrize("count", [101, 1000])
async def test_case_c2_grants_beyond_the_first_page_are_seen(
    count: int,
    graph: GraphClient,
    simulators: Simulators,
    tenant: SimulatedTenant,
    principal: ServicePrincipal,
) -> None:
    roles = [AppRole(new_id(), f"Role.{number}") for number in range(count)]

    def fill() -> None:
        app_id = new_id()
        tenant.add_resource(app_id, "Many", roles)
        for role in roles:
            tenant.grant(principal, role.id, app_id)

    simulators.run(fill)
    listed = await list_grants(graph, principal.id)
    assert roles[-1].id in {each.app_role_id for each in listed}
    assert len(listed) == count


async def test_case_c5_the_wrong_kind_of_id_is_not_an_empty_list(
    graph: GraphClient, tenant: SimulatedTenant, principal: ServicePrincipal
) -> None:
    application = tenant.application_by_app_id(principal.app_id)
    assert application is not None
    with pytest.raises(NotYet):
        await list_grants(graph, application.id)


async def test_case_c7_a_list_that_cannot_be_read_is_not_an_empty_list(
    graph: GraphClient, principal: ServicePrincipal, fault: Callable[..., None], watch: Watch
) -> None:
    fault("GET /servicePrincipals/{id}/appRoleAssignments", times=None, status=503)
    with pytest.raises(NotYet, match="graph_unavailable"):
        await list_grants(graph, principal.id)
    assert not watch.writes
