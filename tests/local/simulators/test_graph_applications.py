"""Applications: upsert by unique name, replacing PATCH, ownership, strict bodies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from local.simulators import Simulators
from local.simulators.catalogue import GRAPH, GRAPH_ROLES
from local.simulators.objects import Lag
from local.simulators.tenant import SimulatedTenant
from tests.local.simulators.conftest import Graph

ACCESS = [
    {
        "resourceAppId": GRAPH,
        "resourceAccess": [{"id": GRAPH_ROLES["Policy.Read.All"], "type": "Role"}],
    }
]


def test_upsert_creates_with_a_body_and_updates_without(graph: Graph) -> None:
    first = graph.upsert("mondoo-ms365", tags=["ours"], requiredResourceAccess=ACCESS)
    assert first.status_code == 201
    created = first.json()
    assert created["uniqueName"] == "mondoo-ms365"
    assert created["requiredResourceAccess"] == ACCESS
    assert created["signInAudience"] == "AzureADMyOrg"
    second = graph.upsert("mondoo-ms365", tags=["other"])
    assert second.status_code == 204
    assert not second.content
    read = graph.get("/applications(uniqueName='mondoo-ms365')")
    assert (read["id"], read["tags"]) == (created["id"], ["other"])
    assert graph.get(f"/applications(appId='{created['appId']}')")["id"] == created["id"]
    assert graph.get(f"/applications/{created['id'].upper()}")["id"] == created["id"]


def test_a_missing_application_is_only_created_when_the_header_asks_for_it(graph: Graph) -> None:
    path = "/applications(uniqueName='nobody')"
    assert graph.refused("PATCH", path, {"displayName": "x"})[0] == 404
    assert graph.refused("PATCH", path, {"tags": []}, Prefer="create-if-missing")[0] == 400


def test_a_taken_unique_name_is_400_also_while_its_holder_is_soft_deleted(graph: Graph) -> None:
    body = {"displayName": "mondoo-ms365", "uniqueName": "mondoo-ms365"}
    app = graph.post("/applications", body)
    for _ in range(2):
        status, code, message = graph.refused("POST", "/applications", body)
        assert (status, code) == (400, "Request_BadRequest")
        assert (
            "Another object with the same value for property uniqueName already exists" in message
        )
        graph.ask("DELETE", f"/applications/{app['id']}")
    assert graph.refused("GET", "/applications(uniqueName='mondoo-ms365')")[0] == 404


def test_a_unique_name_is_filled_in_once_and_never_changed(graph: Graph) -> None:
    app = graph.post("/applications", {"displayName": "portal-made"})
    assert app["uniqueName"] is None
    one = f"/applications/{app['id']}"
    assert graph.ask("PATCH", one, {"uniqueName": "mondoo-ms365"}).status_code == 204
    assert graph.get("/applications(uniqueName='mondoo-ms365')")["id"] == app["id"]
    assert graph.refused("PATCH", one, {"uniqueName": "other"})[0] == 400


def test_names_with_quotes_percent_signs_and_slashes_are_found(graph: Graph) -> None:
    for number, raw in enumerate(("O''Brien%20%26%20S%C3%B6hne", "a%2Fb", "50%25%20%231")):
        answer = graph.ask(
            "PATCH",
            f"/applications(uniqueName='{raw}')",
            {"displayName": f"name {number}"},
            Prefer="create-if-missing",
        )
        assert answer.status_code == 201
        read = graph.get(f"/applications(uniqueName='{raw}')?$select=displayName,uniqueName")
        assert read["displayName"] == f"name {number}"
    assert graph.get("/applications(uniqueName='O''Brien%20%26%20S%C3%B6hne')")["uniqueName"] == (
        "O'Brien & Söhne"
    )
    assert graph.refused("GET", "/applications(uniqueName='O'Brien')")[0] == 400


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"colour": "blue"}, "Invalid property 'colour'."),
        ({"appId": "x"}, "read-only"),
        ({"tags": "ours"}, "does not match schema"),
        ({"keyCredentials": {"key": "x"}}, "does not match schema"),
        ({"displayName": 5}, "does not match schema"),
        ({"displayName": None}, "Invalid value specified for property 'displayName'"),
        ({"displayName": "x" * 257}, "Invalid value specified for property 'displayName'"),
        ({"tags": ["a b"]}, "Invalid value specified for property 'tags'"),
        ({"tags": ["a", "a"]}, "Invalid value specified for property 'tags'"),
        ({"signInAudience": "Everybody"}, "Invalid value specified for property 'signInAudience'"),
        ({"requiredResourceAccess": [{"resourceAppId": GRAPH}]}, "does not match schema"),
        ({"requiredResourceAccess": [*ACCESS, *ACCESS]}, "Invalid value specified"),
        ({"passwordCredentials": [{"displayName": "x"}]}, "service actions"),
    ],
)
def test_a_wrong_body_is_refused_whole(graph: Graph, body: dict[str, Any], text: str) -> None:
    app = graph.upsert("mondoo-ms365", tags=["before"]).json()
    before = graph.tenant.snapshot(app["id"])
    change = {"description": "after", **body}
    status, code, message = graph.refused("PATCH", f"/applications/{app['id']}", change)
    assert (status, code) == (400, "Request_BadRequest")
    assert text in message
    assert graph.tenant.snapshot(app["id"]) == before


def test_required_resource_access_is_replaced_as_a_whole(graph: Graph) -> None:
    app = graph.upsert("mondoo-ms365", requiredResourceAccess=ACCESS).json()
    one = f"/applications/{app['id']}"
    assert graph.ask("PATCH", one, {"requiredResourceAccess": []}).status_code == 204
    assert graph.get(one)["requiredResourceAccess"] == []


def test_more_than_a_thousand_items_are_too_many(graph: Graph) -> None:
    app = graph.upsert("mondoo-ms365").json()
    tags = [f"t{number}" for number in range(1001)]
    answer = graph.refused("PATCH", f"/applications/{app['id']}", {"tags": tags})
    assert answer[:2] == (400, "Directory_ResourceSizeExceeded")


def test_the_creator_owns_what_it_creates_and_writes_nothing_else(graph: Graph) -> None:
    app, principal = graph.application_with_principal()
    assert graph.caller is not None
    for path in (f"/applications/{app['id']}", f"/servicePrincipals/{principal['id']}"):
        owners = graph.get(f"{path}/owners")["value"]
        assert [owner["id"] for owner in owners] == [graph.caller.id]
    stranger = graph.tenant.add_application("mondoo-ms365")
    before = graph.tenant.snapshot(stranger.id)
    for method in ("PATCH", "DELETE"):
        body = {"tags": ["stolen"]} if method == "PATCH" else None
        answer = graph.refused(method, f"/applications/{stranger.id}", body)
        assert answer[:2] == (403, "Authorization_RequestDenied")
    assert graph.tenant.snapshot(stranger.id) == before


def test_ownership_of_both_application_and_principal_is_needed(graph: Graph) -> None:
    app, principal = graph.application_with_principal()
    graph.tenant.service_principals[principal["id"]].owners.clear()
    answer = graph.refused("PATCH", f"/applications/{app['id']}", {"tags": ["x"]})
    assert answer == (
        403,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation.",
    )


def test_wider_rights_reach_strangers_applications(graph: Graph) -> None:
    stranger = graph.tenant.add_application("legacy")
    graph.sign_in(["Application.ReadWrite.All"])
    path = f"/applications/{stranger.id}"
    assert graph.ask("PATCH", path, {"tags": ["adopted"]}).status_code == 204


def test_an_application_is_not_readable_before_it_has_replicated(
    graph: Graph, simulators: Simulators
) -> None:
    graph.tenant.lag = Lag(objects=120)
    app = graph.upsert("mondoo-ms365").json()
    one = f"/applications/{app['id']}"
    status, code, message = graph.refused("GET", one)
    assert (status, code) == (404, "Request_ResourceNotFound")
    assert "queried reference-property objects are not present" in message
    assert graph.refused("PATCH", one, {"tags": []})[0] == 404
    again = graph.upsert("mondoo-ms365")
    assert again.status_code == 400
    assert "uniqueName already exists" in again.text
    simulators.run(simulators.clock.advance, 121)
    assert graph.get(one)["id"] == app["id"]


def test_ids_of_another_kind_are_not_found(graph: Graph) -> None:
    app, principal = graph.application_with_principal()
    assert graph.refused("GET", f"/servicePrincipals/{app['id']}")[0] == 404
    assert graph.refused("GET", f"/applications/{principal['id']}")[0] == 404
    assert graph.refused("GET", f"/applications/{app['appId']}")[0] == 404
    assert graph.refused("GET", "/applications/not-a-guid")[0] == 400


def test_secrets_can_be_removed_but_not_added(graph: Graph) -> None:
    app = graph.upsert("mondoo-ms365").json()
    stored = graph.tenant.applications[app["id"]]
    secret = graph.tenant.add_secret(stored, "visible-only-once")
    one = f"/applications/{app['id']}"
    assert "visible-only-once" not in graph.ask("GET", one).text
    gone = graph.ask("POST", f"{one}/removePassword", {"keyId": secret.key_id})
    assert gone.status_code == 204
    assert graph.get(one)["passwordCredentials"] == []


def test_the_disabled_switch_is_shown_only_when_selected(graph: Graph) -> None:
    app = graph.upsert("mondoo-ms365").json()
    graph.tenant.applications[app["id"]].is_disabled = True
    one = f"/applications/{app['id']}"
    assert "isDisabled" not in graph.get(one)
    assert graph.get(f"{one}?$select=id,isDisabled")["isDisabled"] is True
    beta = graph.ask("GET", f"{graph.base[:-4]}beta{one}?$select=isDisabled")
    assert beta.json()["isDisabled"] is True


def test_tenants_are_apart(
    graph: Graph, open_graph: Callable[..., Graph], new_tenant: Callable[..., SimulatedTenant]
) -> None:
    other = open_graph(new_tenant())
    app = graph.upsert("mondoo-ms365").json()
    assert other.upsert("mondoo-ms365").status_code == 201
    assert other.refused("GET", f"/applications/{app['id']}")[0] == 404
