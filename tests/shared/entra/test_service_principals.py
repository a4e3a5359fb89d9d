"""The service principal of our application."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from local.simulators import Simulators
from local.simulators.catalogue import GRAPH
from local.simulators.objects import Lag
from local.simulators.tenant import SimulatedTenant, new_id
from shared.entra.graph import GraphClient
from shared.entra.service_principals import ServicePrincipal, ensure_principal, read_principal
from shared.errors import NotYet, Refused
from shared.models import MARK
from tests.shared.entra.conftest import Watch

POST = "POST /servicePrincipals"


def our_application(simulators: Simulators, tenant: SimulatedTenant) -> str:
    home = tenant.service_principal_by_app_id(simulators.world.home_app.app_id)
    assert home is not None
    return simulators.run(
        tenant.add_application, "mondoo-ms365", owners=[home.id], service_principal=False
    ).app_id


@pytest.fixture
def app_id(simulators: Simulators, tenant: SimulatedTenant) -> str:
    return our_application(simulators, tenant)


async def test_it_is_made_enabled_and_marked_in_two_requests(
    graph: GraphClient, app_id: str, tenant: SimulatedTenant, watch: Watch
) -> None:
    made = await ensure_principal(graph, app_id)
    known = tenant.service_principal_by_app_id(app_id)
    assert known is not None
    assert made.object_id == known.id
    assert (made.enabled, made.ours) == (True, True)
    assert len(watch.requests) == 2


async def test_a_disabled_one_is_enabled_and_keeps_its_other_tags(
    graph: GraphClient, app_id: str, tenant: SimulatedTenant, simulators: Simulators
) -> None:
    await ensure_principal(graph, app_id)
    known = tenant.service_principal_by_app_id(app_id)
    assert known is not None
    simulators.run(setattr, known, "enabled", False)
    simulators.run(setattr, known, "tags", ["HideApp"])
    existing = await read_principal(graph, app_id)
    assert existing is not None
    assert not existing.enabled
    again = await ensure_principal(graph, app_id)
    assert again.object_id == known.id
    assert again.enabled
    assert again.tags == ("HideApp", MARK)


async def test_case_b1_an_application_that_has_not_replicated_is_waited_for(
    graph: GraphClient, app_id: str, fault: Callable[..., None]
) -> None:
    fault(
        POST,
        status=400,
        code="Request_BadRequest",
        message=f"The appId '{app_id}' of the service principal does not reference a valid"
        " application object.",
        times=2,
    )
    for _ in range(2):
        with pytest.raises(NotYet, match="application_not_replicated"):
            await ensure_principal(graph, app_id)
    assert (await ensure_principal(graph, app_id)).enabled


async def test_case_b2_the_misleading_403_is_waited_for_when_the_application_is_ours(
    graph: GraphClient, simulators: Simulators, tenant: SimulatedTenant
) -> None:
    simulators.run(setattr, tenant.switches, "unreplicated_app_as_403", True)
    app_id = our_application(simulators, tenant)
    application = tenant.application_by_app_id(app_id)
    assert application is not None
    simulators.run(setattr, application, "referable_at", tenant.due(60))
    with pytest.raises(NotYet, match="application_not_replicated"):
        await ensure_principal(graph, app_id)
    simulators.clock.advance(61)
    assert (await ensure_principal(graph, app_id)).ours


async def test_case_b2_the_same_403_is_final_for_an_application_that_is_not_ours(
    graph: GraphClient, tenant: SimulatedTenant, fault: Callable[..., None], watch: Watch
) -> None:
    text = "the backing application of the service principal being created must in the local tenant"
    fault(POST, status=403, code="Authorization_RequestDenied", message=text)
    with pytest.raises(Refused, match="application_not_in_tenant"):
        await ensure_principal(graph, new_id(), young=False)
    assert len(watch.requests) == 1


async def test_case_b8_one_that_someone_else_made_meanwhile_is_read_and_used(
    graph: GraphClient,
    app_id: str,
    fault: Callable[..., None],
    simulators: Simulators,
    tenant: SimulatedTenant,
) -> None:
    application = tenant.application_by_app_id(app_id)
    assert application is not None
    other = simulators.run(tenant.add_service_principal, application)
    home = tenant.service_principal_by_app_id(simulators.world.home_app.app_id)
    assert home is not None
    simulators.run(other.owners.append, home.id)
    fault(POST, status=409, code="Request_MultipleObjectsWithSameKeyValue")
    assert (await ensure_principal(graph, app_id)).object_id == other.id
    assert MARK in other.tags


async def test_a_lost_answer_makes_no_second_one(
    graph: GraphClient, app_id: str, fault: Callable[..., None], tenant: SimulatedTenant
) -> None:
    fault(POST, drop="after")
    with pytest.raises(NotYet, match="service_unreachable"):
        await ensure_principal(graph, app_id)
    known = tenant.service_principal_by_app_id(app_id)
    assert known is not None
    assert (await ensure_principal(graph, app_id)).object_id == known.id


async def test_a_change_that_cannot_be_seen_yet_is_no_success(
    graph: GraphClient,
    app_id: str,
    fault: Callable[..., None],
    simulators: Simulators,
    tenant: SimulatedTenant,
) -> None:
    made = await ensure_principal(graph, app_id)
    simulators.run(setattr, tenant.service_principals[made.object_id], "enabled", False)
    fault("PATCH /servicePrincipals/{id}", status=204, body=b"")
    with pytest.raises(NotYet, match="principal_not_replicated"):
        await ensure_principal(graph, app_id)


async def test_one_that_cannot_be_read_yet_is_waited_for(
    graph: GraphClient, app_id: str, simulators: Simulators, tenant: SimulatedTenant
) -> None:
    simulators.run(setattr, tenant, "lag", Lag(objects=30))
    with pytest.raises(NotYet):
        await ensure_principal(graph, app_id)


async def test_case_c14_a_resource_is_found_by_its_app_id_whatever_others_are_called(
    graph: GraphClient, simulators: Simulators, tenant: SimulatedTenant
) -> None:
    simulators.run(tenant.add_application, "Microsoft Graph")
    found = await read_principal(graph, GRAPH)
    real = tenant.service_principal_by_app_id(GRAPH)
    assert found is not None
    assert real is not None
    assert found.object_id == real.id


async def test_what_the_tenant_does_not_have_is_none(graph: GraphClient) -> None:
    assert await read_principal(graph, new_id()) is None


def test_either_switch_disables() -> None:
    entity = {"id": "1", "appId": "2", "accountEnabled": True}
    assert ServicePrincipal.from_graph(entity).enabled
    assert ServicePrincipal.from_graph({**entity, "isDisabled": False}).enabled
    assert not ServicePrincipal.from_graph({**entity, "isDisabled": True}).enabled
    assert not ServicePrincipal.from_graph({**entity, "accountEnabled": False}).enabled
