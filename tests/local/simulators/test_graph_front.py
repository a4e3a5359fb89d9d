"""The front of Graph: tokens, queries, envelopes, throttling, batches, faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from local.simulators import Simulators
from local.simulators.tenant import SimulatedTenant
from tests.local.simulators.conftest import Graph


def test_tokens_that_are_missing_wrong_or_old_are_refused(
    graph: Graph, simulators: Simulators
) -> None:
    right = graph.client.headers["Authorization"]
    vault = simulators.run(
        simulators.entra.issue,
        simulators.world.home,
        simulators.world.managed_identity,
        "https://vault.azure.net",
    )
    for header in ("", "Bearer", "Bearer nonsense", f"Bearer {vault}", right[:-6] + "AAAAAA"):
        graph.client.headers["Authorization"] = header
        assert graph.refused("GET", "/organization")[:2] == (401, "InvalidAuthenticationToken")
    graph.client.headers["Authorization"] = right
    assert graph.get("/organization")
    simulators.run(simulators.clock.advance, 3700)
    assert graph.refused("GET", "/organization")[0] == 401


def test_a_right_that_was_taken_away_stays_in_the_old_token(graph: Graph) -> None:
    old = graph.client.headers["Authorization"]
    graph.sign_in(["Application.Read.All"])
    assert graph.refused("GET", "/organization")[0] == 403
    graph.client.headers["Authorization"] = old
    assert graph.get("/organization")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/aplications", 400),
        ("/applications/x/y/z", 400),
        ("/applications(name='x')", 400),
        ("/applications?$orderby=displayName", 400),
        ("/applications?$search=x", 400),
        ("/applications?colour=blue", 400),
        ("/applications?$select=id,colour", 400),
        ("/applications?$filter=startswith(displayName,'x')", 400),
        ("/applications?$filter=displayName eq 'O'Brien'", 400),
        ("/applications?$filter=displayName ne 'x'", 400),
        ("/applications?$filter=description eq 'x'", 400),
        ("/applications?$top=0", 400),
        ("/applications?$skiptoken=nonsense", 400),
        ("/applications?$count=true", 400),
    ],
)
def test_paths_and_queries_that_graph_does_not_know_are_refused(
    graph: Graph, path: str, status: int
) -> None:
    assert graph.refused("GET", path)[0] == status


def test_unknown_versions_and_methods(graph: Graph) -> None:
    assert graph.refused("GET", f"{graph.base[:-4]}v2.0/organization")[0] == 400
    assert graph.refused("DELETE", "/organization")[0] == 405
    assert graph.refused("GET", f"{graph.base[:-4]}beta/organization")[0] == 400


def test_bodies_must_be_json(graph: Graph) -> None:
    url = f"{graph.base}/applications"
    answer = graph.client.post(url, content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    answer = graph.client.post(url, content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_every_answer_carries_request_ids(graph: Graph) -> None:
    answer = graph.ask("GET", "/organization", client_request_id="mine")
    assert answer.headers["client-request-id"] == "mine"
    assert answer.headers["request-id"]
    refused = graph.ask("GET", "/nothing", client_request_id="mine")
    assert refused.json()["error"]["innerError"]["client-request-id"] == "mine"


def test_names_are_compared_without_letter_case_and_quotes_are_doubled(graph: Graph) -> None:
    for name in ("Mondoo-MS365", "mondoo-ms365", "mondoo-ms365-test", "O'Brien & Söhne #1"):
        graph.tenant.add_application(name)
    query = "/applications?$filter=" + quote("displayName eq 'MONDOO-ms365'")
    assert len(graph.get(query)["value"]) == 2
    query = "/applications?$filter=" + quote("displayName eq 'O''Brien & Söhne #1'")
    assert len(graph.get(query)["value"]) == 1


def test_a_search_in_tags_is_an_advanced_query(graph: Graph) -> None:
    graph.tenant.add_application("ours", tags=["managed-by:mondoo-onboarding"])
    graph.tenant.add_application("theirs")
    wanted = quote("tags/any(t:t eq 'managed-by:mondoo-onboarding')")
    query = f"/applications?$filter={wanted}&$count=true"
    found = graph.get(query, ConsistencyLevel="eventual")
    assert found["@odata.count"] == 1
    assert [app["displayName"] for app in found["value"]] == ["ours"]
    assert graph.refused("GET", query)[1] == "Request_UnsupportedQuery"
    without = f"/applications?$filter={wanted}"
    assert graph.refused("GET", without, ConsistencyLevel="eventual")[0] == 400


def test_a_busy_tenant_throttles_its_caller(graph: Graph, simulators: Simulators) -> None:
    graph.tenant.switches.requests_per_10s = 2
    assert graph.get("/organization")
    assert graph.get("/organization")
    answer = graph.ask("GET", "/organization")
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    simulators.run(simulators.clock.advance, 10)
    assert graph.get("/organization")


def batch(graph: Graph, *requests: dict[str, Any]) -> dict[str, dict[str, Any]]:
    answer = graph.ask("POST", "/$batch", {"requests": list(requests)})
    assert answer.status_code == 200, answer.text
    return {item["id"]: item for item in answer.json()["responses"]}


def get(number: int, url: str, **more: Any) -> dict[str, Any]:
    return {"id": str(number), "method": "GET", "url": url, **more}


def test_a_batch_answers_each_request_by_itself(graph: Graph) -> None:
    answers = batch(
        graph,
        get(1, "/organization?$select=id"),
        get(2, "/applications(uniqueName='nobody')"),
        {
            "id": "3",
            "method": "POST",
            "url": "/applications",
            "headers": {"Content-Type": "application/json"},
            "body": {"displayName": "made in a batch"},
        },
    )
    assert answers["1"]["status"] == 200
    assert answers["1"]["body"]["value"][0]["id"] == graph.tenant.id
    assert answers["2"]["status"] == 404
    assert answers["2"]["body"]["error"]["code"] == "Request_ResourceNotFound"
    assert answers["3"]["status"] == 201


def test_answers_of_a_batch_come_in_another_order(graph: Graph) -> None:
    requests = [get(number, "/organization") for number in range(3)]
    answer = graph.ask("POST", "/$batch", {"requests": requests}).json()
    assert [item["id"] for item in answer["responses"]] == ["2", "1", "0"]


def test_a_request_that_depends_on_a_failed_one_is_not_made(graph: Graph) -> None:
    answers = batch(
        graph,
        get(1, "/applications(uniqueName='nobody')"),
        get(2, "/organization", dependsOn=["1"]),
        get(3, "/organization"),
    )
    assert [answers[str(number)]["status"] for number in (1, 2, 3)] == [404, 424, 200]


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [get(number, "/organization") for number in range(21)],
        [get(1, "/organization"), get(1, "/organization")],
        [get(1, "https://graph.microsoft.com/v1.0/organization")],
        [get(1, "/organization", dependsOn=["7"])],
        [{"id": 1, "method": "GET", "url": "/organization"}],
        [{"id": "1", "method": "FETCH", "url": "/organization"}],
        [{"id": "1", "method": "POST", "url": "/applications", "body": {"displayName": "x"}}],
        [get(1, "/organization", colour="blue")],
    ],
)
def test_an_invalid_batch_is_refused_as_a_whole(
    graph: Graph, requests: list[dict[str, Any]]
) -> None:
    assert graph.refused("POST", "/$batch", {"requests": requests})[:2] == (400, "BadRequest")


def test_one_request_of_a_batch_can_be_throttled(graph: Graph, fault: Callable[..., None]) -> None:
    fault(
        "graph",
        operation="GET /organization",
        tenant=graph.tenant.id,
        status=429,
        code="TooManyRequests",
        headers={"Retry-After": "7"},
    )
    answers = batch(graph, get(1, "/organization"), get(2, "/organization"))
    assert sorted(item["status"] for item in answers.values()) == [200, 429]
    assert answers["1"]["headers"]["Retry-After"] == "7"


def test_the_journal_counts_round_trips_and_operations(
    graph: Graph, simulators: Simulators
) -> None:
    batch(graph, get(1, "/organization"), get(2, "/applications?$top=5"))
    calls = simulators.journal.select(service="graph", tenant=graph.tenant.id)
    assert [(call.operation, call.batch) for call in calls] == [
        ("GET /organization", True),
        ("GET /applications", True),
        ("POST /$batch", False),
    ]
    assert len({call.request_id for call in calls}) == 1
    assert calls[0].caller == simulators.world.home_app.app_id
    assert not any(call.write for call in calls)


def test_faults_are_matched_by_operation_and_tenant_and_used_up_in_order(
    graph: Graph,
    open_graph: Callable[..., Graph],
    new_tenant: Callable[..., SimulatedTenant],
    fault: Callable[..., None],
) -> None:
    other = open_graph(new_tenant())
    for status in (503, 500):
        fault(
            "graph",
            operation="GET /applications*",
            tenant=graph.tenant.id,
            status=status,
            code="ServiceUnavailable",
            message="Try later.",
        )
    assert other.get("/applications") is not None
    assert graph.get("/organization")
    answer = graph.refused("GET", "/applications(uniqueName='x')")
    assert answer == (503, "ServiceUnavailable", "Try later.")
    assert graph.refused("GET", "/applications")[0] == 500
    assert graph.get("/applications") is not None


@pytest.mark.parametrize(("drop", "made"), [("before", False), ("after", True)])
def test_a_connection_lost_before_or_after_the_write(
    graph: Graph, fault: Callable[..., None], drop: str, made: bool
) -> None:
    fault("graph", operation="POST /applications", tenant=graph.tenant.id, drop=drop)
    with pytest.raises(httpx.TransportError):
        graph.ask("POST", "/applications", {"displayName": "x", "uniqueName": "x"})
    assert (graph.tenant.application_by_unique_name("x") is not None) is made
