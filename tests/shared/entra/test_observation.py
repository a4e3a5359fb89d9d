"""One look at a tenant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.simulators import Simulators
from local.simulators.catalogue import EXCHANGE, GLOBAL_READER, GRAPH, SHAREPOINT
from local.simulators.objects import Application as SimulatedApplication
from local.simulators.tenant import SimulatedTenant, new_id
from shared.entra.graph import GraphClient
from shared.entra.observation import observe
from shared.errors import NotYet, Refused
from shared.manifest import Manifest
from shared.models import MARK
from tests.shared.entra.certificates import pair
from tests.shared.entra.conftest import NAME, Watch


@pytest.fixture
def add(simulators: Simulators, tenant: SimulatedTenant) -> Callable[..., SimulatedApplication]:
    def call(*args: Any, **kwargs: Any) -> SimulatedApplication:
        return simulators.run(tenant.add_application, *args, **kwargs)

    return call


async def test_a_tenant_without_our_application_takes_one_request(
    graph: GraphClient, manifest: Manifest, tenant: SimulatedTenant, watch: Watch
) -> None:
    seen = await observe(graph, manifest, NAME)
    assert watch.requests == ["POST /$batch"]
    assert not watch.writes
    assert (seen.tenant_id, seen.display_name) == (tenant.id, "Fabrikam")
    assert seen.initial_domain == tenant.initial_domain
    assert {each.service for each in seen.resources} == {r.service for r in manifest.resources}
    assert not seen.missing_resources
    assert all(each.enabled and not each.roles_missing for each in seen.resources)
    assert (seen.application, seen.principal, seen.namesakes) == (None, None, [])
    assert (seen.longest_certificate_days, seen.ca_required) == (None, False)
    assert not seen.has_directory_role(GLOBAL_READER)


async def test_our_application_with_all_that_hangs_on_it_takes_three(
    graph: GraphClient,
    manifest: Manifest,
    tenant: SimulatedTenant,
    simulators: Simulators,
    add: Callable[..., SimulatedApplication],
    watch: Watch,
) -> None:
    ours = pair()
    app = add(NAME, NAME, tags=[MARK], key_credentials=[ours.certificate])
    simulators.run(tenant.grant, app, "Policy.Read.All")
    simulators.run(tenant.assign_role, app)
    seen = await observe(graph, manifest, NAME)
    assert len(watch.requests) == 3
    assert seen.application is not None
    assert seen.application.thumbprints() == [ours.thumbprint]
    assert seen.principal is not None
    assert (seen.principal.enabled, seen.principal.ours) == (True, True)
    assert len(seen.grants) == 1
    assert seen.has_directory_role(GLOBAL_READER)


async def test_case_c12_the_initial_domain_is_kept_beside_the_default_one(
    simulators: Simulators,
    graph_of: Callable[[SimulatedTenant], GraphClient],
    manifest: Manifest,
) -> None:
    name = f"v{new_id()[:8]}"
    tenant = simulators.run(simulators.world.add_tenant, f"{name}.example")
    seen = await observe(graph_of(tenant), manifest, NAME)
    assert (seen.initial_domain, seen.default_domain) == (
        f"{name}.onmicrosoft.com",
        f"{name}.example",
    )


async def test_case_d5_a_service_that_is_not_licensed_is_missing_and_nothing_fails(
    add_tenant: Callable[..., SimulatedTenant],
    graph_of: Callable[[SimulatedTenant], GraphClient],
    manifest: Manifest,
) -> None:
    seen = await observe(graph_of(add_tenant(services={"sharepoint"})), manifest, NAME)
    assert {each.app_id for each in seen.resources} == {GRAPH, SHAREPOINT}
    assert EXCHANGE in {each.app_id for each in seen.missing_resources}


async def test_case_c14_a_resource_is_known_by_its_app_id_not_by_its_name(
    graph: GraphClient,
    manifest: Manifest,
    tenant: SimulatedTenant,
    add: Callable[..., SimulatedApplication],
) -> None:
    add("Microsoft Graph")
    seen = await observe(graph, manifest, NAME)
    real = tenant.service_principal_by_app_id(GRAPH)
    assert real is not None
    assert [each.object_id for each in seen.resources if each.service == "graph"] == [real.id]


async def test_a_disabled_service_is_shown_as_disabled(
    graph: GraphClient, manifest: Manifest, tenant: SimulatedTenant, simulators: Simulators
) -> None:
    exchange = tenant.service_principal_by_app_id(EXCHANGE)
    assert exchange is not None
    simulators.run(setattr, exchange, "enabled", False)
    seen = await observe(graph, manifest, NAME)
    assert [each.enabled for each in seen.resources if each.app_id == EXCHANGE] == [False]


async def test_a_role_that_is_not_offered_to_applications_is_missing(
    graph: GraphClient, manifest: Manifest, tenant: SimulatedTenant, simulators: Simulators
) -> None:
    principal = tenant.service_principal_by_app_id(EXCHANGE)
    assert principal is not None
    simulators.run(setattr, principal, "app_roles", ())
    seen = await observe(graph, manifest, NAME)
    missing = [each.roles_missing for each in seen.resources if each.app_id == EXCHANGE]
    wanted = [p.id for p in manifest.permissions if p.resource == "exchange"]
    assert missing == [wanted]


async def test_case_a5_namesakes_are_reported_and_not_ours(
    graph: GraphClient, manifest: Manifest, add: Callable[..., SimulatedApplication]
) -> None:
    app = add(NAME)
    seen = await observe(graph, manifest, NAME)
    assert seen.application is None
    assert [each.app_id for each in seen.namesakes] == [app.app_id]


async def test_case_a6_namesakes_in_any_letter_case_are_listed(
    graph: GraphClient, manifest: Manifest, add: Callable[..., SimulatedApplication]
) -> None:
    apps = {add(name).app_id for name in (NAME, "Mondoo-MS365", "MONDOO-MS365")}
    seen = await observe(graph, manifest, NAME)
    assert seen.application is None
    assert {each.app_id for each in seen.namesakes} == apps


async def test_case_a6_several_of_ours_are_candidates(
    graph: GraphClient, manifest: Manifest, add: Callable[..., SimulatedApplication]
) -> None:
    apps = {add(NAME, tags=[MARK]).app_id for _ in range(2)}
    seen = await observe(graph, manifest, NAME)
    assert seen.application is None
    assert {each.app_id for each in seen.candidates} == apps
    assert seen.namesakes == []


async def test_case_a8_a_name_that_only_begins_alike_is_nobody(
    graph: GraphClient, manifest: Manifest, add: Callable[..., SimulatedApplication]
) -> None:
    add(f"{NAME}-test", tags=[MARK])
    seen = await observe(graph, manifest, NAME)
    assert (seen.application, seen.namesakes, seen.candidates) == (None, [], [])


async def test_case_a4_ours_without_a_unique_name_is_seen_with_its_keys(
    graph: GraphClient, manifest: Manifest, add: Callable[..., SimulatedApplication], watch: Watch
) -> None:
    ours = pair()
    add(NAME, tags=[MARK], key_credentials=[ours.certificate])
    seen = await observe(graph, manifest, NAME)
    assert seen.application is not None
    assert seen.application.thumbprints() == [ours.thumbprint]
    assert not seen.application.is_right(manifest, {r.app_id for r in manifest.resources})
    assert len(watch.requests) == 3


async def test_a_unique_name_without_our_mark_is_told_apart(
    graph: GraphClient, manifest: Manifest, add: Callable[..., SimulatedApplication]
) -> None:
    app = add("theirs", NAME)
    seen = await observe(graph, manifest, NAME)
    assert seen.application is None
    assert seen.name_holder is not None
    assert seen.name_holder.app_id == app.app_id
    adopted = await observe(graph, manifest, NAME, adopt=app.app_id)
    assert adopted.name_holder is None
    assert adopted.application is not None
    assert not adopted.application.ours


async def test_adopting_one_of_several_of_ours_settles_it(
    graph: GraphClient, manifest: Manifest, add: Callable[..., SimulatedApplication]
) -> None:
    chosen, other = add(NAME, tags=[MARK]), add(NAME, tags=[MARK])
    seen = await observe(graph, manifest, NAME, adopt=chosen.app_id)
    assert seen.application is not None
    assert seen.application.app_id == chosen.app_id
    assert seen.candidates == []
    assert [each.app_id for each in seen.namesakes] == [other.app_id]


async def test_adopting_nobody_is_refused(graph: GraphClient, manifest: Manifest) -> None:
    with pytest.raises(Refused, match="adopt_not_found"):
        await observe(graph, manifest, NAME, adopt=new_id())


async def test_case_c8_the_role_is_recognised_by_the_tenants_own_definition(
    graph: GraphClient,
    manifest: Manifest,
    tenant: SimulatedTenant,
    simulators: Simulators,
    add: Callable[..., SimulatedApplication],
) -> None:
    simulators.run(tenant.definition_ids.__setitem__, GLOBAL_READER, new_id())
    app = add(NAME, NAME, tags=[MARK])
    simulators.run(tenant.assign_role, app)
    seen = await observe(graph, manifest, NAME)
    assert seen.role_assignments[0].role_id != GLOBAL_READER
    assert seen.has_directory_role(GLOBAL_READER)


async def test_case_c2_grants_on_later_pages_are_seen(
    graph: GraphClient,
    manifest: Manifest,
    tenant: SimulatedTenant,
    simulators: Simulators,
    add: Callable[..., SimulatedApplication],
) -> None:
    from local.simulators.catalogue import AppRole

    app = add(NAME, NAME, tags=[MARK])
    roles = [AppRole(new_id(), f"Role.{number}") for number in range(999)]

    def fill() -> None:
        many = new_id()
        tenant.add_resource(many, "Many", roles)
        for role in roles:
            tenant.grant(app, role.id, many)
        tenant.grant(app, "Policy.Read.All")

    simulators.run(fill)
    assert len((await observe(graph, manifest, NAME)).grants) == 1000


@pytest.mark.parametrize(
    "operation",
    [
        "GET /organization",
        "GET /policies/defaultAppManagementPolicy",
        "GET /servicePrincipals(appId='{appId}')",
        "GET /applications(uniqueName='{uniqueName}')",
        "GET /applications",
        "GET /servicePrincipals/{id}/appRoleAssignments",
        "GET /roleManagement/directory/roleAssignments",
        "GET /roleManagement/directory/roleDefinitions",
        "GET /applications/{id}/appManagementPolicies",
    ],
)
async def test_case_c7_a_read_that_fails_is_never_taken_for_nothing(
    operation: str,
    graph: GraphClient,
    manifest: Manifest,
    add: Callable[..., SimulatedApplication],
    fault: Callable[..., None],
    watch: Watch,
) -> None:
    add(NAME, NAME, tags=[MARK])
    fault(operation, times=None, status=503, headers={"Retry-After": "60"})
    with pytest.raises(NotYet) as wait:
        await observe(graph, manifest, NAME)
    assert wait.value.retry_after == 60
    assert not watch.writes


async def test_a_right_that_is_missing_is_a_refusal(
    add_tenant: Callable[..., SimulatedTenant],
    graph_of: Callable[[SimulatedTenant], GraphClient],
    manifest: Manifest,
) -> None:
    tenant = add_tenant(rights={"Application.Read.All"})
    with pytest.raises(Refused, match="graph_permission_missing"):
        await observe(graph_of(tenant), manifest, NAME)


async def test_a_token_for_another_tenant_stops_everything(
    graph: GraphClient, manifest: Manifest, fault: Callable[..., None], tenant: SimulatedTenant
) -> None:
    graph.tenant_id = new_id()
    with pytest.raises(Refused, match="tenant_mismatch"):
        await observe(graph, manifest, NAME)


async def test_case_e14_the_tenants_policy_shortens_the_certificate(
    graph: GraphClient, manifest: Manifest, tenant: SimulatedTenant, simulators: Simulators
) -> None:
    simulators.run(tenant.restrict_keys, max_lifetime="P30D")
    seen = await observe(graph, manifest, NAME)
    assert seen.longest_certificate_days == 29


async def test_case_e14_a_policy_for_younger_applications_spares_an_older_one(
    graph: GraphClient,
    manifest: Manifest,
    tenant: SimulatedTenant,
    simulators: Simulators,
    add: Callable[..., SimulatedApplication],
) -> None:
    since = f"{datetime.now(UTC) - timedelta(days=10):%Y-%m-%dT%H:%M:%SZ}"
    simulators.run(tenant.restrict_keys, max_lifetime="P30D", created_after=since)
    assert (await observe(graph, manifest, NAME)).longest_certificate_days == 29
    add(NAME, NAME, tags=[MARK], created=datetime.now(UTC) - timedelta(days=20))
    assert (await observe(graph, manifest, NAME)).longest_certificate_days is None


async def test_a_policy_of_our_own_application_replaces_the_default(
    graph: GraphClient,
    manifest: Manifest,
    tenant: SimulatedTenant,
    simulators: Simulators,
    add: Callable[..., SimulatedApplication],
) -> None:
    app = add(NAME, NAME, tags=[MARK])
    simulators.run(tenant.restrict_keys, max_lifetime="P30D")
    simulators.run(tenant.restrict_keys, max_lifetime="P100D", app=app)
    assert (await observe(graph, manifest, NAME)).longest_certificate_days == 99


async def test_case_e15_a_demand_for_an_authority_is_told(
    graph: GraphClient, manifest: Manifest, tenant: SimulatedTenant, simulators: Simulators
) -> None:
    simulators.run(tenant.restrict_keys, trusted_authority=True)
    assert (await observe(graph, manifest, NAME)).ca_required
