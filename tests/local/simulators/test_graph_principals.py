"""Service principals and the grants on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from local.simulators import Simulators
from local.simulators.catalogue import EXCHANGE, GRAPH, GRAPH_ROLES, SHAREPOINT, AppRole
from local.simulators.objects import AppRoleAssignment, Lag
from local.simulators.tenant import SimulatedTenant, new_id, opaque_id
from tests.local.simulators.conftest import Graph

POLICY = GRAPH_ROLES["Policy.Read.All"]


def resource(graph: Graph, app_id: str = GRAPH) -> str:
    return str(graph.get(f"/servicePrincipals(appId='{app_id}')?$select=id")["id"])


def grant(graph: Graph, principal: str, role: str = POLICY, app_id: str = GRAPH) -> Any:
    provider = resource(graph, app_id)
    return graph.ask(
        "POST",
        f"/servicePrincipals/{provider}/appRoleAssignedTo",
        {"principalId": principal, "resourceId": provider, "appRoleId": role},
    )


def refusal(answer: Any) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


def test_upsert_of_a_principal(graph: Graph) -> None:
    app = graph.upsert("mondoo-ms365").json()
    path = f"/servicePrincipals(appId='{app['appId']}')"
    created = graph.ask("PATCH", path, {"tags": ["ours"]}, Prefer="create-if-missing")
    assert created.status_code == 201
    assert created.json()["accountEnabled"] is True
    assert created.json()["servicePrincipalType"] == "Application"
    again = graph.ask("PATCH", path, {"accountEnabled": False}, Prefer="create-if-missing")
    assert again.status_code == 204
    assert graph.get(path)["accountEnabled"] is False
    assert graph.get(path)["tags"] == ["ours"]


def test_a_second_principal_is_a_conflict(graph: Graph) -> None:
    app, _ = graph.application_with_principal()
    status, code, message = graph.refused("POST", "/servicePrincipals", {"appId": app["appId"]})
    assert (status, code) == (409, "Request_MultipleObjectsWithSameKeyValue")
    assert "is already in use" in message


def test_a_principal_for_an_application_that_has_not_replicated(
    graph: Graph, simulators: Simulators
) -> None:
    graph.tenant.lag = Lag(references=60)
    app = graph.upsert("mondoo-ms365").json()
    body = {"appId": app["appId"]}
    status, _, message = graph.refused("POST", "/servicePrincipals", body)
    assert status == 400
    assert "does not reference a valid application object" in message
    graph.tenant.switches.unreplicated_app_as_403 = True
    status, code, message = graph.refused("POST", "/servicePrincipals", body)
    assert (status, code) == (403, "Authorization_RequestDenied")
    assert "backing application of the service principal" in message
    simulators.run(simulators.clock.advance, 61)
    assert graph.post("/servicePrincipals", body)["appId"] == app["appId"]


def test_a_foreign_principal_needs_more_than_ownership(
    open_graph: Callable[..., Graph], new_tenant: Callable[..., SimulatedTenant]
) -> None:
    graph = open_graph(new_tenant(services=frozenset()))
    body = {"appId": EXCHANGE}
    status, _, message = graph.refused("POST", "/servicePrincipals", body)
    assert status == 403
    assert "local tenant" in message
    graph.sign_in(["Application.ReadWrite.All"])
    made = graph.post("/servicePrincipals", body)
    assert [role["value"] for role in made["appRoles"]] == ["Exchange.ManageAsApp"]
    assert graph.refused("POST", "/servicePrincipals", {"appId": new_id()})[0] == 400


def test_resources_without_a_licence_are_absent(
    open_graph: Callable[..., Graph], new_tenant: Callable[..., SimulatedTenant]
) -> None:
    graph = open_graph(new_tenant(services={"exchange"}))
    exchange = graph.get(f"/servicePrincipals(appId='{EXCHANGE}')?$select=id,appRoles")
    assert exchange["appRoles"][0]["id"] == "dc50a0fb-09a3-484d-be87-e023b12c6440"
    assert graph.refused("GET", f"/servicePrincipals(appId='{SHAREPOINT}')")[0] == 404


def test_a_grant_is_listed_from_both_ends(graph: Graph) -> None:
    _, principal = graph.application_with_principal()
    made = grant(graph, principal["id"])
    assert made.status_code == 201
    assert made.json()["principalType"] == "ServicePrincipal"
    held = graph.get(f"/servicePrincipals/{principal['id']}/appRoleAssignments")["value"]
    given = graph.get(f"/servicePrincipals/{resource(graph)}/appRoleAssignedTo?$top=999")["value"]
    assert [item["appRoleId"] for item in held] == [POLICY]
    assert held[0] in given
    one = f"/servicePrincipals/{resource(graph)}/appRoleAssignedTo/{held[0]['id']}"
    assert graph.ask("DELETE", one).status_code == 204
    assert graph.refused("DELETE", one)[0] == 404


def test_a_grant_that_exists_cannot_be_made_again(graph: Graph) -> None:
    _, principal = graph.application_with_principal()
    grant(graph, principal["id"])
    assert refusal(grant(graph, principal["id"])) == (
        400,
        "Request_BadRequest",
        "Permission being assigned already exists on the object",
    )


def test_grants_that_make_no_sense(graph: Graph) -> None:
    app, principal = graph.application_with_principal()
    assert refusal(grant(graph, principal["id"], new_id()))[0] == 400
    assert refusal(grant(graph, principal["id"], POLICY, EXCHANGE))[0] == 400
    assert refusal(grant(graph, app["id"]))[:2] == (404, "Request_ResourceNotFound")
    provider = resource(graph)
    body = {"principalId": principal["id"], "resourceId": app["id"], "appRoleId": POLICY}
    path = f"/servicePrincipals/{provider}/appRoleAssignedTo"
    assert graph.refused("POST", path, body)[0] == 400
    assert graph.refused("POST", path, {**body, "note": "x"})[2] == "Invalid property 'note'."


def test_a_grant_to_a_principal_that_has_not_replicated(
    graph: Graph, simulators: Simulators
) -> None:
    app = graph.upsert("mondoo-ms365").json()
    graph.tenant.lag = Lag(objects=30, references=60)
    principal = graph.post("/servicePrincipals", {"appId": app["appId"]})
    assert refusal(grant(graph, principal["id"]))[:2] == (404, "Request_ResourceNotFound")
    simulators.run(simulators.clock.advance, 31)
    assert refusal(grant(graph, principal["id"]))[2] == "Not a valid reference update."
    simulators.run(simulators.clock.advance, 31)
    assert grant(graph, principal["id"]).status_code == 201


def test_granting_roles_of_graph_needs_its_own_right(graph: Graph) -> None:
    _, principal = graph.application_with_principal()
    graph.sign_in(["Application.ReadWrite.All", "Directory.ReadWrite.All"])
    assert refusal(grant(graph, principal["id"]))[:2] == (403, "Authorization_RequestDenied")
    role = "dc50a0fb-09a3-484d-be87-e023b12c6440"
    assert grant(graph, principal["id"], role, EXCHANGE).status_code == 201
    graph.sign_in(["AppRoleAssignment.ReadWrite.All"])
    provider = graph.tenant.service_principal_by_app_id(GRAPH)
    assert provider is not None
    body = {"principalId": principal["id"], "resourceId": provider.id, "appRoleId": POLICY}
    path = f"/servicePrincipals/{provider.id}/appRoleAssignedTo"
    assert graph.refused("POST", path, body)[0] == 403


def test_the_same_role_id_can_belong_to_two_resources(graph: Graph) -> None:
    _, principal = graph.application_with_principal()
    own = new_id()
    graph.tenant.add_resource(own, "Look-alike", [AppRole(POLICY, "Something.Else")])
    assert grant(graph, principal["id"]).status_code == 201
    assert grant(graph, principal["id"], POLICY, own).status_code == 201
    held = graph.get(f"/servicePrincipals/{principal['id']}/appRoleAssignments")["value"]
    assert len({item["resourceId"] for item in held}) == 2


@pytest.fixture
def many(graph: Graph) -> tuple[str, int]:
    """A principal with 150 grants on resources of its own; (id, number)."""
    _, principal = graph.application_with_principal()
    for number in range(150):
        provider = graph.tenant.add_resource(new_id(), f"API {number}", [AppRole(new_id(), "Read")])
        graph.tenant.store_grant(
            AppRoleAssignment(
                opaque_id(),
                principal["id"],
                provider.id,
                provider.app_roles[0].id,
                graph.simulators.clock.now(),
            )
        )
    return principal["id"], 150


def test_lists_of_grants_are_paged(graph: Graph, many: tuple[str, int]) -> None:
    principal, number = many
    path = f"/servicePrincipals/{principal}/appRoleAssignments"
    first = graph.get(path)
    assert len(first["value"]) == 100
    second = graph.get(first["@odata.nextLink"])
    assert len(second["value"]) == number - 100
    assert "@odata.nextLink" not in second
    ids = {item["id"] for page in (first, second) for item in page["value"]}
    assert len(ids) == number
    assert "@odata.nextLink" not in graph.get(f"{path}?$top=999")
    assert graph.refused("GET", f"{path}?$top=1000")[0] == 400
    third = graph.get(f"{path}?$top=60")
    assert len(graph.get(third["@odata.nextLink"])["value"]) == 60
    stolen = first["@odata.nextLink"].partition("?")[2]
    assert graph.refused("GET", f"{path}?{stolen}&$top=5")[0] == 400


def test_expanding_grants_silently_stops_at_twenty(graph: Graph, many: tuple[str, int]) -> None:
    principal, _ = many
    shown = graph.get(f"/servicePrincipals/{principal}?$expand=appRoleAssignments")
    assert len(shown["appRoleAssignments"]) == 20
    assert not any("nextLink" in name for name in shown)


def test_delegated_grants_need_a_right_of_their_own(graph: Graph) -> None:
    _, principal = graph.application_with_principal()
    stored = graph.tenant.service_principals[principal["id"]]
    graph.tenant.grant_delegated(stored, "User.Read")
    path = f"/servicePrincipals/{principal['id']}/oauth2PermissionGrants"
    assert graph.refused("GET", path)[0] == 403
    graph.sign_in(["Directory.Read.All"])
    [item] = graph.get(path)["value"]
    assert (item["scope"], item["consentType"]) == ("User.Read", "AllPrincipals")


def test_a_disabled_principal_keeps_its_grants_and_a_deleted_one_gets_them_back(
    graph: Graph,
) -> None:
    _, principal = graph.application_with_principal()
    grant(graph, principal["id"])
    one = f"/servicePrincipals/{principal['id']}"
    assert graph.ask("DELETE", one).status_code == 204
    assert graph.refused("GET", f"{one}/appRoleAssignments")[0] == 404
    restored = graph.ask("POST", f"/directory/deletedItems/{principal['id']}/restore", {})
    assert restored.status_code == 200
    assert len(graph.get(f"{one}/appRoleAssignments")["value"]) == 1
