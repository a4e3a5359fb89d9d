"""Directory roles, deleted items, federated credentials, policies, organization."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from local.simulators import Simulators
from local.simulators.catalogue import GLOBAL_READER
from local.simulators.clock import Clock
from local.simulators.objects import Lag
from local.simulators.tenant import SimulatedTenant, new_id
from local.simulators.world import World
from tests.local.simulators.conftest import Graph

ROLES = "/roleManagement/directory/roleAssignments"
DELETED = "/directory/deletedItems"


def assign(graph: Graph, principal: str, role: str = GLOBAL_READER, **scope: Any) -> Any:
    body = {"roleDefinitionId": role, "principalId": principal}
    return graph.ask("POST", ROLES, body | (scope or {"directoryScopeId": "/"}))


def held(graph: Graph, principal: str) -> list[dict[str, Any]]:
    found = graph.get(f"{ROLES}?$filter=principalId eq '{principal}'")["value"]
    assert isinstance(found, list)
    return found


def test_global_reader_is_assigned_found_and_removed(graph: Graph) -> None:
    _, principal = graph.application_with_principal()
    made = assign(graph, principal["id"])
    assert made.status_code == 201
    assert held(graph, principal["id"]) == [
        {key: value for key, value in made.json().items() if not key.startswith("@")}
    ]
    assert graph.tenant.has_directory_role(principal["id"])
    one = f"{ROLES}/{made.json()['id']}"
    assert graph.get(one)["roleDefinitionId"] == GLOBAL_READER
    assert graph.ask("DELETE", one).status_code == 204
    assert graph.refused("GET", one)[0] == 404
    assert not graph.tenant.has_directory_role(principal["id"])


def test_answers_carry_the_tenants_definition_id(graph: Graph) -> None:
    _, principal = graph.application_with_principal()
    definition = new_id()
    graph.tenant.definition_ids[GLOBAL_READER] = definition
    assert assign(graph, principal["id"]).json()["roleDefinitionId"] == definition
    conflict = assign(graph, principal["id"], definition)
    assert conflict.status_code == 400
    assert "A conflicting object with one or more" in conflict.text
    shown = graph.get(f"/roleManagement/directory/roleDefinitions/{definition}")
    assert (shown["templateId"], shown["displayName"]) == (GLOBAL_READER, "Global Reader")


def test_role_assignments_that_make_no_sense(graph: Graph) -> None:
    app, principal = graph.application_with_principal()
    assert assign(graph, principal["id"], new_id()).status_code == 400
    assert assign(graph, app["id"]).status_code == 404
    both = assign(graph, principal["id"], directoryScopeId="/", appScopeId="/")
    assert both.status_code == 400
    assert assign(graph, principal["id"], colour="blue").status_code == 400


def test_a_role_takes_effect_after_its_lag(graph: Graph, simulators: Simulators) -> None:
    _, principal = graph.application_with_principal()
    graph.tenant.lag = Lag(roles=60)
    assign(graph, principal["id"])
    assert len(held(graph, principal["id"])) == 1
    assert not graph.tenant.has_directory_role(principal["id"])
    simulators.run(simulators.clock.advance, 61)
    assert graph.tenant.has_directory_role(principal["id"])


def test_an_eligibility_is_not_an_assignment(graph: Graph) -> None:
    _, made = graph.application_with_principal()
    principal = graph.tenant.service_principals[made["id"]]
    graph.tenant.schedule_role(principal, eligible=True)
    query = f"?$filter=principalId eq '{principal.id}'"
    base = "/roleManagement/directory"
    assert len(graph.get(f"{base}/roleEligibilityScheduleInstances{query}")["value"]) == 1
    assert graph.get(f"{base}/roleAssignmentScheduleInstances{query}")["value"] == []
    assert not graph.tenant.has_directory_role(principal.id)
    graph.tenant.switches.pim_licensed = False
    answer = graph.refused("GET", f"{base}/roleEligibilityScheduleInstances{query}")
    assert answer[:2] == (400, "AadPremiumLicenseRequired")


def test_reading_roles_is_not_enough_to_assign_them(graph: Graph) -> None:
    _, principal = graph.application_with_principal()
    graph.sign_in(["RoleManagement.Read.Directory"])
    assert held(graph, principal["id"]) == []
    assert assign(graph, principal["id"]).status_code == 403


def test_a_deleted_application_is_listed_and_comes_back_as_it_was(graph: Graph) -> None:
    app, principal = graph.application_with_principal()
    before = graph.tenant.snapshot(app["id"])
    assert graph.ask("DELETE", f"/applications/{app['id']}").status_code == 204
    assert graph.refused("GET", f"/servicePrincipals/{principal['id']}")[0] == 404
    query = "?$select=id,appId,uniqueName,deletedDateTime"
    [item] = graph.get(f"{DELETED}/microsoft.graph.application{query}")["value"]
    assert (item["id"], item["uniqueName"]) == (app["id"], "mondoo-ms365")
    assert item["deletedDateTime"]
    restored = graph.ask("POST", f"{DELETED}/{app['id']}/restore", {})
    assert restored.status_code == 200
    assert restored.json()["appId"] == app["appId"]
    assert graph.tenant.snapshot(app["id"]) == before
    assert graph.get(f"/servicePrincipals/{principal['id']}")["appId"] == app["appId"]


def test_a_portal_like_restore_makes_a_new_principal_without_grants(graph: Graph) -> None:
    app, principal = graph.application_with_principal()
    stored = graph.tenant.service_principals[principal["id"]]
    graph.tenant.grant(stored, "Policy.Read.All")
    graph.ask("DELETE", f"/applications/{app['id']}")
    graph.tenant.switches.restore_makes_new_principal = True
    graph.ask("POST", f"{DELETED}/{app['id']}/restore", {})
    new = graph.get(f"/servicePrincipals(appId='{app['appId']}')")
    assert new["id"] != principal["id"]
    assert graph.get(f"/servicePrincipals/{new['id']}/appRoleAssignments")["value"] == []
    left = graph.get(f"{DELETED}/microsoft.graph.servicePrincipal")["value"]
    assert [item["id"] for item in left] == [principal["id"]]


def test_purging_frees_the_name_and_leaves_the_principal(graph: Graph) -> None:
    app, principal = graph.application_with_principal()
    graph.ask("DELETE", f"/applications/{app['id']}")
    assert graph.ask("DELETE", f"{DELETED}/{app['id']}").status_code == 204
    assert graph.refused("DELETE", f"{DELETED}/{app['id']}")[0] == 404
    assert graph.get(f"{DELETED}/{principal['id']}")["appId"] == app["appId"]
    assert graph.upsert("mondoo-ms365").status_code == 201


def test_deleted_items_disappear_after_thirty_days() -> None:
    clock = Clock()
    tenant = World(clock).add_tenant("customer.example")
    app = tenant.add_application("ours", "mondoo-ms365")
    tenant.delete_application(app)
    clock.advance(timedelta(days=29).total_seconds())
    assert app in tenant.deleted_items()
    assert tenant.unique_name_taken("mondoo-ms365")
    clock.advance(timedelta(days=2).total_seconds())
    assert tenant.deleted_items() == []
    assert not tenant.unique_name_taken("mondoo-ms365")


def test_a_strangers_deleted_application_is_neither_restored_nor_purged(graph: Graph) -> None:
    stranger = graph.tenant.add_application("theirs", "mondoo-ms365")
    graph.tenant.delete_application(stranger)
    for method, path in (("DELETE", ""), ("POST", "/restore")):
        assert graph.refused(method, f"{DELETED}/{stranger.id}{path}")[0] == 403


@pytest.fixture
def trusts(graph: Graph) -> str:
    """The path of the federated credentials of an application of ours."""
    app = graph.upsert("mondoo-ms365").json()
    return f"/applications/{app['id']}/federatedIdentityCredentials"


def trust(**changes: Any) -> dict[str, Any]:
    return {
        "name": "mondoo",
        "issuer": "https://issuer.example",
        "subject": "integration-1",
        "audiences": ["api://AzureADTokenExchange"],
        **changes,
    }


def test_federated_credentials_are_made_changed_and_removed(graph: Graph, trusts: str) -> None:
    made = graph.post(trusts, trust())
    one = f"{trusts}/{made['id']}"
    assert graph.ask("PATCH", one, {"subject": "integration-2"}).status_code == 204
    assert graph.get(one)["subject"] == "integration-2"
    assert graph.refused("PATCH", one, {"name": "other"})[0] == 400
    assert graph.refused("POST", trusts, trust())[0] == 409
    assert [item["name"] for item in graph.get(trusts)["value"]] == ["mondoo"]
    assert graph.ask("DELETE", one).status_code == 204
    assert graph.refused("GET", one)[0] == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"audiences": ["a", "b"]},
        {"audiences": []},
        {"audiences": "api://AzureADTokenExchange"},
        {"name": "no"},
        {"name": "with space"},
        {"issuer": ""},
        {"colour": "blue"},
    ],
)
def test_a_malformed_federated_credential_is_refused(
    graph: Graph, trusts: str, wrong: dict[str, Any]
) -> None:
    assert graph.refused("POST", trusts, trust(**wrong))[0] == 400


def test_twenty_federated_credentials_are_the_limit(graph: Graph, trusts: str) -> None:
    for number in range(20):
        graph.post(trusts, trust(name=f"name-{number}", subject=str(number)))
    assert graph.refused("POST", trusts, trust(name="more", subject="more"))[0] == 400


def test_the_default_policy_is_readable_and_off(graph: Graph) -> None:
    policy = graph.get("/policies/defaultAppManagementPolicy")
    assert policy["isEnabled"] is False
    graph.tenant.restrict_keys(max_lifetime="P90D")
    policy = graph.get("/policies/defaultAppManagementPolicy")
    [restriction] = policy["applicationRestrictions"]["keyCredentials"]
    assert (restriction["restrictionType"], restriction["maxLifetime"]) == (
        "asymmetricKeyLifetime",
        "P90D",
    )


def test_policies_of_single_applications_and_their_targets(graph: Graph) -> None:
    app = graph.tenant.add_application("special")
    policy = graph.tenant.restrict_keys(max_lifetime="P7D", app=app)
    [listed] = graph.get("/policies/appManagementPolicies")["value"]
    assert listed["restrictions"]["keyCredentials"][0]["maxLifetime"] == "P7D"
    targets = graph.get(f"/policies/appManagementPolicies/{policy['id']}/appliesTo")["value"]
    assert [target["id"] for target in targets] == [app.id]
    assert len(graph.get(f"/applications/{app.id}/appManagementPolicies")["value"]) == 1


def test_the_organization_with_its_domains(graph: Graph) -> None:
    [organization] = graph.get("/organization?$select=id,displayName,verifiedDomains")["value"]
    assert set(organization) == {"id", "displayName", "verifiedDomains"}
    assert organization["id"] == graph.tenant.id
    initial = [item["name"] for item in organization["verifiedDomains"] if item["isInitial"]]
    assert initial == [graph.tenant.initial_domain]


def test_other_tenants_are_found_by_id_and_by_domain(
    graph: Graph, new_tenant: Callable[..., SimulatedTenant]
) -> None:
    other = new_tenant(display_name="Fabrikam")
    base = "/tenantRelationships/findTenantInformationBy"
    path = f"{base}DomainName(domainName='{other.default_domain}')"
    assert graph.refused("GET", path)[0] == 403
    graph.sign_in(["CrossTenantInformation.ReadBasic.All"])
    assert graph.get(path)["tenantId"] == other.id
    assert graph.get(f"{base}TenantId(tenantId='{other.id}')")["displayName"] == "Fabrikam"
    assert graph.refused("GET", f"{base}TenantId(tenantId='{new_id()}')")[0] == 404


def test_partner_customers_are_listed_in_our_own_tenant(
    simulators: Simulators, open_graph: Callable[..., Graph], tenant: SimulatedTenant
) -> None:
    simulators.run(simulators.world.partner_customers.append, tenant)
    graph = open_graph(simulators.world.home)
    graph.tenant.grant(simulators.world.home_app, "DelegatedAdminRelationship.Read.All")
    graph.sign_in()
    found = graph.get("/tenantRelationships/delegatedAdminCustomers?$top=300")["value"]
    assert {"id": tenant.id, "tenantId": tenant.id, "displayName": tenant.display_name} in found
