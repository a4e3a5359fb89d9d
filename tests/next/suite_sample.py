"""The sample app of the local host, in Azure's worker and on azure-functions-durable 2.x."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tests.next.stage import Stage, WorkerFailedError, pb
from tests.next.suite import Suite

APP = Path(__file__).parent.parent / "local" / "host" / "apps" / "full"


def completed(stage: Stage, name: str, instance_id: str, value: Any = None) -> Any:
    state = stage.orchestrate(name, instance_id, value)
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED, state.failureDetails
    return json.loads(state.output.value)


def every_function_and_route_is_found(stage: Stage) -> None:
    kinds = {name: function.kind for name, function in stage.functions.items()}
    expected = {
        "item": "httpTrigger",
        "greet": "activityTrigger",
        "greet_all": "orchestrationTrigger",
        "on_event": "eventGridTrigger",
        "on_order": "queueTrigger",
        "nightly": "timerTrigger",
    }
    assert expected.items() <= kinds.items(), kinds
    assert stage.functions["item"].trigger["route"] == "tenants/{tenant}/items/{number:int}"


def http_functions_answer(stage: Stage) -> None:
    answer = stage.http("GET", "/api/tenants/t/items/5?a=1", headers={"User-Agent": "next"})
    assert answer.status == 200
    body = answer.json()
    assert (body["tenant"], body["number"], body["query"]) == ("t", "5", {"a": "1"}), body
    assert stage.http("GET", "/api/nowhere").status == 404


def a_raising_function_is_a_failure_of_the_worker(stage: Stage) -> None:
    reported = ""
    try:
        stage.http("GET", "/api/fails")
    except WorkerFailedError as error:
        reported = str(error)
    assert "broken on purpose" in reported


def the_durable_client_starts_an_orchestration(stage: Stage) -> None:
    answer = stage.http("POST", "/api/start/greet_all/by-client", body=b'["a", "b"]')
    assert answer.status == 202, answer
    state = stage.finished("by-client")
    assert json.loads(state.output.value) == ["hi, a", "hi, b"]
    assert json.loads(state.customStatus.value) == {"done": 1, "of": 2}


def a_running_instance_is_not_started_twice(stage: Stage) -> None:
    assert stage.http("POST", "/api/start/waits/once").status == 202
    assert stage.http("POST", "/api/start/waits/once").status == 409
    stage.raise_event("once", "Approval", 1)
    assert stage.finished("once").orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED
    assert stage.http("POST", "/api/start/greet_all/once", body=b"[]").status == 202


def a_fan_out_completes(stage: Stage) -> None:
    assert completed(stage, "squares", "squares", {"count": 20}) == sum(n * n for n in range(20))


def a_retried_activity_succeeds_at_last(stage: Stage) -> None:
    order = {"name": "late", "good_from": 3, "attempts": 5}
    assert completed(stage, "retries", "retries", order) == {"attempts": 3}


def a_failed_activity_can_be_caught(stage: Stage) -> None:
    order = {"name": "never", "good_from": 9, "attempts": 2}
    assert "attempt 2 of never failed" in completed(stage, "retries", "caught", order)["text"]


def a_failed_orchestration_tells_why(stage: Stage) -> None:
    state = stage.orchestrate("fails_at_once", "fails")
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
    assert "attempt 1 of fails failed" in state.failureDetails.errorMessage


def a_timer_fires(stage: Stage) -> None:
    assert completed(stage, "sleeps", "sleeps", 50)["milliseconds"] >= 50


def an_event_ends_a_wait(stage: Stage) -> None:
    stage.start("waits", "waits")
    stage.raise_event("waits", "Approval", {"by": "me"})
    output = json.loads(stage.finished("waits").output.value)
    assert output["approval"] == {"by": "me"}, output


def a_sub_orchestration_gives_result_and_failure(stage: Stage) -> None:
    output = completed(stage, "parent", "parent")
    assert output["greetings"] == ["hi, a", "hi, b"]
    assert "attempt 1 of parent-child failed" in output["error"]


def continue_as_new_begins_again(stage: Stage) -> None:
    assert completed(stage, "pages", "pages", {"page": 1, "total": 0}) == 14


SUITE = Suite(
    APP,
    lambda: nullcontext({"GREETING": "hi", "ORDERS_QUEUE": "orders"}),
    [
        every_function_and_route_is_found,
        http_functions_answer,
        a_raising_function_is_a_failure_of_the_worker,
        the_durable_client_starts_an_orchestration,
        a_running_instance_is_not_started_twice,
        a_fan_out_completes,
        a_retried_activity_succeeds_at_last,
        a_failed_activity_can_be_caught,
        a_failed_orchestration_tells_why,
        a_timer_fires,
        an_event_ends_a_wait,
        a_sub_orchestration_gives_result_and_failure,
        continue_as_new_begins_again,
    ],
)
