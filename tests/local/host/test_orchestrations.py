"""Orchestrations, started and followed with the SDK's own client over the management API."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from azure.durable_functions.models.DurableOrchestrationContext import DurableOrchestrationContext

from local.host import FunctionsHost
from local.host.orchestration import OrchestrationContext

API = "/runtime/webhooks/durabletask"


def run(host: FunctionsHost, client: httpx.Client, name: str, instance: str, given: Any) -> Any:
    """Start through the app, wait, and return the status that the API shows."""
    started = client.post(f"/api/start/{name}/{instance}", json=given)
    assert started.status_code == 202, started.text
    host.wait_for(instance)
    return client.get(started.headers["location"]).json()


# -- what orchestrators can do --


def test_activities_follow_each_other_and_their_results_come_back(
    host: FunctionsHost, client: httpx.Client
) -> None:
    status = run(host, client, "greet_all", "greet-1", ["a", "b"])

    assert status["runtimeStatus"] == "Completed"
    assert status["output"] == ["hi, a", "hi, b"]
    assert status["customStatus"] == {"done": 1, "of": 2}
    assert json.loads(status["input"]) == ["a", "b"]  # the client encodes twice
    assert status["name"] == "greet_all"
    assert status["createdTime"] <= status["lastUpdatedTime"]


def test_fifty_activities_run_side_by_side(host: FunctionsHost, client: httpx.Client) -> None:
    status = run(host, client, "squares", "squares-1", {"count": 50})

    assert status["output"] == sum(n * n for n in range(50))


def test_functions_may_be_given_instead_of_names_and_tasks_tell_their_state(
    host: FunctionsHost, client: httpx.Client
) -> None:
    output = run(host, client, "calls_by_function", "by-function", None)["output"]

    assert output == {"states": [True, False, True], "results": [1, 4], "total": 5}


def test_a_retried_activity_succeeds_at_last(host: FunctionsHost, client: httpx.Client) -> None:
    order = {"name": "late", "good_from": 3, "attempts": 5}

    assert run(host, client, "retries", "retry-1", order)["output"] == {"attempts": 3}


def test_a_retried_activity_fails_as_a_plain_exception_in_the_end(
    host: FunctionsHost, client: httpx.Client
) -> None:
    order = {"name": "never", "good_from": 9, "attempts": 2}
    output = run(host, client, "retries", "retry-2", order)["output"]

    assert output["error"] == "Exception"
    reason, details = output["text"].split(" \n ", 1)
    assert reason == "Activity function 'flaky' failed: ValueError: attempt 2 of never failed"
    assert "ValueError: attempt 2 of never failed" in json.loads(details)["StackTraceString"]


def test_an_orchestrator_that_does_not_catch_fails_and_keeps_its_custom_status(
    host: FunctionsHost, client: httpx.Client
) -> None:
    status = run(host, client, "fails_at_once", "fails-1", None)

    assert status["runtimeStatus"] == "Failed"
    assert status["customStatus"] == "about to fail"
    assert status["output"].startswith(
        "Orchestrator function 'fails_at_once' failed: Activity function 'flaky' failed: ValueError"
    )
    assert any("ValueError: attempt 1 of fails-1 failed" in line for line in host.logs.lines())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("returns_a_set", "does not expose a `to_json` function"),
        ("calls_the_unknown", "is not an activity function"),
        ("talks_too_much", "must not exceed 16 KB"),
    ],
)
def test_what_the_cloud_would_refuse_fails(
    host: FunctionsHost, client: httpx.Client, name: str, reason: str
) -> None:
    status = run(host, client, name, name, None)

    assert status["runtimeStatus"] == "Failed"
    assert reason in status["output"]


def test_a_timer_moves_the_orchestrations_clock(host: FunctionsHost, client: httpx.Client) -> None:
    output = run(host, client, "sleeps", "sleeps-1", 30)["output"]

    assert output["milliseconds"] >= 30
    assert output["zone"] == "UTC"


def test_an_event_ends_the_wait_before_its_deadline(
    host: FunctionsHost, client: httpx.Client
) -> None:
    client.post("/api/start/waits/waits-1")
    host.wait_for("waits-1", lambda each: each["customStatus"] == "waiting")
    url = f"{API}/instances/waits-1/raiseEvent/Approval"

    assert client.post(url, json={"by": "me"}).status_code == 202
    assert host.wait_for("waits-1")["output"] == {"approval": {"by": "me"}}


def test_the_python_client_sends_the_payload_of_an_event_as_text(
    host: FunctionsHost, client: httpx.Client
) -> None:
    client.post("/api/start/waits/waits-2")

    assert client.post("/api/raise/waits-2/Approval", json={"by": "me"}).status_code == 202
    assert host.wait_for("waits-2")["output"]["approval"] == '{"by": "me"}'


def test_an_event_that_comes_early_is_kept(host: FunctionsHost, client: httpx.Client) -> None:
    client.post("/api/start/waits/waits-3")
    client.post(f"{API}/instances/waits-3/raiseEvent/Approval", json=1)

    assert host.wait_for("waits-3")["output"]["approval"] == 1


def test_a_sub_orchestration_gives_its_result_or_its_failure_to_its_parent(
    host: FunctionsHost, client: httpx.Client
) -> None:
    output = run(host, client, "parent", "parent-1", None)["output"]

    assert output["greetings"] == ["hi, a", "hi, b"]
    assert "Orchestrator function 'fails_at_once' failed" in output["error"]
    child = next(each for each in host.instances() if each["instanceId"] == "parent-1-child")
    assert child["runtimeStatus"] == "Failed"


def test_continue_as_new_begins_again_and_the_host_remembers_all_lives(
    host: FunctionsHost, client: httpx.Client
) -> None:
    status = run(host, client, "pages", "pages-1", {"page": 1, "total": 0})

    assert status["output"] == 1 + 4 + 9
    inputs = [
        event["Input"]
        for event in host.history("pages-1")
        if "FunctionName" not in event and event["EventType"] == "ExecutionStarted"
    ]
    assert [each["page"] for each in inputs] == [1, 2, 3]


def test_an_empty_fan_out_gives_none_as_in_the_sdk(
    host: FunctionsHost, client: httpx.Client
) -> None:
    assert run(host, client, "empty", "empty-1", None)["output"]["none"] is None


def test_an_activity_that_is_never_yielded_never_runs(
    host: FunctionsHost, client: httpx.Client
) -> None:
    run(host, client, "never_yields_one", "lazy-1", None)

    names = [event.get("Name") for event in host.history("lazy-1")]
    assert "square" in names
    assert "flaky" not in names


def test_uuids_are_those_of_the_sdk() -> None:
    class Engine:
        instance_id = "id"
        current_utc_datetime = datetime(2026, 5, 4, 3, 2, 1)

    started = {
        "EventType": 12,
        "EventId": -1,
        "IsPlayed": False,
        "Timestamp": "2026-05-04T03:02:01Z",
        "Version": "",
    }
    ours = OrchestrationContext(Engine(), None)  # type: ignore[arg-type]
    theirs = DurableOrchestrationContext(
        [{**started}, {**started, "EventType": 0}], "id", False, ""
    )

    assert [ours.new_uuid(), ours.new_uuid()] == [theirs.new_uuid(), theirs.new_uuid()]


# -- what callers can do --


def test_a_second_start_of_a_running_instance_is_refused_until_it_has_ended(
    host: FunctionsHost, client: httpx.Client
) -> None:
    client.post("/api/start/hangs/busy")
    host.wait_for("busy", lambda each: each["runtimeStatus"] == "Running")

    again = client.post(f"{API}/orchestrators/hangs/busy")
    assert again.status_code == 409
    assert again.json()["ExceptionMessage"] == (
        "An Orchestration instance with the status Running already exists."
    )
    assert client.post("/api/start/hangs/busy").status_code == 409

    assert client.post(f"{API}/instances/busy/terminate?reason=enough").status_code == 202
    ended = host.wait_for("busy")
    assert (ended["runtimeStatus"], ended["output"]) == ("Terminated", "enough")

    assert run(host, client, "greet_all", "busy", ["again"])["output"] == ["hi, again"]


def test_what_has_ended_cannot_be_changed(host: FunctionsHost, client: httpx.Client) -> None:
    run(host, client, "greet_all", "ended", [])

    for operation in ("terminate", "suspend", "resume", "raiseEvent/x", "rewind"):
        answer = client.post(f"{API}/instances/ended/{operation}", json={})
        assert answer.status_code == 410, operation


def test_what_does_not_exist_is_not_found(client: httpx.Client) -> None:
    for operation in ("terminate", "suspend", "resume", "raiseEvent/x", "rewind", "restart"):
        answer = client.post(f"{API}/instances/none/{operation}", json={})
        assert answer.status_code == 404, operation
    assert client.get(f"{API}/instances/none").status_code == 404
    assert client.delete(f"{API}/instances/none").status_code == 404
    assert client.get(f"{API}/elsewhere").status_code == 404


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("orchestrators/nope", "The function 'nope' doesn't exist"),
        ("orchestrators/hangs/@x", "must not start with @"),
        ("orchestrators/hangs/a%3Fb", "must not contain"),
        ("orchestrators/hangs/" + "x" * 257, "must not exceed 256"),
    ],
)
def test_a_start_that_cannot_be_is_a_bad_request(
    client: httpx.Client, path: str, reason: str
) -> None:
    answer = client.post(f"{API}/{path}")

    assert answer.status_code == 400
    assert reason in answer.json()["ExceptionMessage"]


def test_a_running_instance_answers_202_and_where_to_look(
    host: FunctionsHost, client: httpx.Client
) -> None:
    client.post("/api/start/waits/running")
    host.wait_for("running", lambda each: each["runtimeStatus"] == "Running")
    answer = client.get(f"{API}/instances/running?showInput=false")

    assert answer.status_code == 202
    assert answer.headers["location"].endswith("/instances/running?showInput=false")
    assert answer.json()["runtimeStatus"] == "Running"
    assert answer.json()["input"] is None


def test_a_suspended_instance_waits_until_it_is_resumed(
    host: FunctionsHost, client: httpx.Client
) -> None:
    client.post("/api/start/waits/paused")
    client.post(f"{API}/instances/paused/suspend?reason=r")
    host.wait_for("paused", lambda each: each["runtimeStatus"] == "Suspended")
    client.post(f"{API}/instances/paused/raiseEvent/Approval", json=1)
    assert client.get(f"{API}/instances/paused").json()["runtimeStatus"] == "Suspended"

    client.post(f"{API}/instances/paused/resume?reason=r")

    assert host.wait_for("paused")["output"]["approval"] == 1


def test_a_restart_runs_the_same_input_again(host: FunctionsHost, client: httpx.Client) -> None:
    run(host, client, "greet_all", "first", ["x"])

    new_id = client.post(f"{API}/instances/first/restart").json()["id"]
    assert new_id != "first"
    assert host.wait_for(new_id)["output"] == ["hi, x"]

    same = client.post(f"{API}/instances/first/restart?restartWithNewInstanceId=false")
    assert same.json()["id"] == "first"
    assert host.wait_for("first")["output"] == ["hi, x"]


def test_a_rewind_repeats_only_what_failed(host: FunctionsHost, client: httpx.Client) -> None:
    host.module.attempts["rewound"] = 97
    run(host, client, "fails_at_once", "rewound", None)

    assert client.post(f"{API}/instances/rewound/rewind?reason=r").status_code == 202
    assert host.wait_for("rewound")["runtimeStatus"] == "Completed"


def test_history_is_shown_when_asked_for(host: FunctionsHost, client: httpx.Client) -> None:
    run(host, client, "greet_all", "shown", ["x"])
    url = f"{API}/instances/shown"

    assert "historyEvents" not in client.get(url).json()
    brief = client.get(f"{url}?showHistory=true&showInput=false").json()["historyEvents"]
    assert [event["EventType"] for event in brief] == [
        "ExecutionStarted",
        "TaskCompleted",
        "ExecutionCompleted",
    ]
    assert brief[1]["FunctionName"] == "greet"
    assert not any("Result" in event or "Input" in event for event in brief)
    full = client.get(f"{url}?showHistory=True&showHistoryOutput=True").json()["historyEvents"]
    assert (full[1]["Input"], full[1]["Result"]) == ("x", "hi, x")


def test_instances_are_listed_by_prefix_status_and_time_in_pages(
    host: FunctionsHost, client: httpx.Client
) -> None:
    for number in range(3):
        run(host, client, "greet_all", f"listed-{number}", [])
    query = {"instanceIdPrefix": "listed-", "runtimeStatus": "Completed,Failed", "top": "2"}

    page = client.get(f"{API}/instances/", params=query)
    token = page.headers["x-ms-continuation-token"]
    rest = client.get(f"{API}/instances", params=query, headers={"x-ms-continuation-token": token})

    assert [each["instanceId"] for each in page.json()] == ["listed-0", "listed-1"]
    assert [each["instanceId"] for each in rest.json()] == ["listed-2"]
    assert rest.headers["x-ms-continuation-token"] == ""
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert client.get(f"{API}/instances", params={"createdTimeFrom": later}).json() == []


def test_history_is_purged_one_by_one_or_by_time(host: FunctionsHost, client: httpx.Client) -> None:
    run(host, client, "greet_all", "purged", [])

    assert client.delete(f"{API}/instances/purged").json() == {"instancesDeleted": 1}
    assert client.get(f"{API}/instances/purged").status_code == 404
    assert host.history("purged") == []
    assert client.delete(f"{API}/instances").status_code == 400
    future = {"createdTimeFrom": "2999-01-01T00:00:00.000000Z"}
    assert client.delete(f"{API}/instances", params=future).status_code == 404


def test_everything_written_can_be_read_with_payloads_decoded(
    host: FunctionsHost, client: httpx.Client
) -> None:
    run(host, client, "parent", "scanned", None)
    history = host.history("scanned")

    assert json.loads(json.dumps(history)) == history
    created = next(e for e in history if e["EventType"] == "SubOrchestrationInstanceCreated")
    assert (created["Name"], created["Input"]) == ("greet_all", ["a", "b"])
    assert all(event["Timestamp"] > "2020" for event in history)


def test_a_start_can_wait_for_the_end(client: httpx.Client) -> None:
    answer = client.post(
        f"{API}/orchestrators/greet_all?timeout=10&pollingInterval=1", json=json.dumps(["x"])
    )

    assert (answer.status_code, answer.json()) == (200, ["hi, x"])
