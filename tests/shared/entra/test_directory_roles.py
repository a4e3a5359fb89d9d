"""Directory roles, compared through template id and definition id."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from local.simulators import Simulators
from local.simulators.catalogue import GLOBAL_READER
from local.simulators.objects import Lag, ServicePrincipal
from local.simulators.tenant import SimulatedTenant, new_id
from shared.entra.directory_roles import assign, list_assignments
from shared.entra.graph import GraphClient
from shared.errors import NotYet
from tests.shared.entra.conftest import Watch

POST = "POST /roleManagement/directory/roleAssignments"


@pytest.fixture
def principal(simulators: Simulators, tenant: SimulatedTenant) -> ServicePrincipal:
    app = simulators.run(tenant.add_application, "mondoo-ms365")
    made = tenant.service_principal_by_app_id(app.app_id)
    assert made is not None
    return made


async def test_the_role_is_assigned_for_the_whole_tenant_in_three_requests(
    graph: GraphClient, tenant: SimulatedTenant, principal: ServicePrincipal, watch: Watch
) -> None:
    assert await assign(graph, principal.id, GLOBAL_READER)
    assert tenant.has_directory_role(principal.id)
    assert len(watch.requests) == 3


async def test_an_assignment_that_is_there_is_not_made_again(
    graph: GraphClient,
    simulators: Simulators,
    tenant: SimulatedTenant,
    principal: ServicePrincipal,
    watch: Watch,
) -> None:
    simulators.run(tenant.assign_role, principal)
    assert not await assign(graph, principal.id, GLOBAL_READER)
    assert not watch.writes


async def test_case_c8_an_answer_with_the_tenants_own_definition_id_is_understood(
    graph: GraphClient,
    simulators: Simulators,
    tenant: SimulatedTenant,
    principal: ServicePrincipal,
    watch: Watch,
) -> None:
    simulators.run(tenant.definition_ids.__setitem__, GLOBAL_READER, new_id())
    assert await assign(graph, principal.id, GLOBAL_READER)
    assert not await assign(graph, principal.id, GLOBAL_READER)
    assert watch.writes == [POST]


async def test_an_assignment_for_an_administrative_unit_is_not_enough(
    graph: GraphClient,
    simulators: Simulators,
    tenant: SimulatedTenant,
    principal: ServicePrincipal,
) -> None:
    scope = f"/administrativeUnits/{new_id()}"
    simulators.run(tenant.assign_role, principal, GLOBAL_READER, scope)
    assert await assign(graph, principal.id, GLOBAL_READER)
    scopes = {each.scope for each in await list_assignments(graph, principal.id)}
    assert scopes == {scope, "/"}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("RoleAssignmentExists", "The Role assignment already exists."),
        (
            "Request_BadRequest",
            "A conflicting object with one or more of the specified property values is present in"
            " the directory.",
        ),
    ],
)
async def test_case_c9_a_conflict_means_that_it_is_there(
    code: str,
    message: str,
    graph: GraphClient,
    simulators: Simulators,
    tenant: SimulatedTenant,
    principal: ServicePrincipal,
    fault: Callable[..., None],
) -> None:
    stale = b'{"value": []}'
    simulators.run(tenant.assign_role, principal)
    fault("GET /roleManagement/directory/roleAssignments", status=200, body=stale)
    fault(POST, status=400, code=code, message=message)
    assert not await assign(graph, principal.id, GLOBAL_READER)


async def test_an_assignment_that_is_not_listed_yet_is_no_success(
    graph: GraphClient, simulators: Simulators, tenant: SimulatedTenant, principal: ServicePrincipal
) -> None:
    simulators.run(setattr, tenant, "lag", Lag(objects=60))
    with pytest.raises(NotYet, match="role_not_listed"):
        await assign(graph, principal.id, GLOBAL_READER)
    simulators.clock.advance(61)
    assert not await assign(graph, principal.id, GLOBAL_READER)


async def test_a_principal_that_has_not_replicated_is_waited_for(
    graph: GraphClient, simulators: Simulators, tenant: SimulatedTenant, principal: ServicePrincipal
) -> None:
    simulators.run(setattr, principal, "referable_at", tenant.due(60))
    with pytest.raises(NotYet, match="reference_not_replicated"):
        await assign(graph, principal.id, GLOBAL_READER)
