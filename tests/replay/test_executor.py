"""The harness itself, on the orchestrators of the host's sample app and on bad ones of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest
from azure.durable_functions.models.history.HistoryEventType import HistoryEventType

from local.host.loading import load_app
from tests.replay.executor import START, NonDeterminismError, StuckError, replay

SAMPLE = Path(__file__).parent.parent / "local" / "host" / "apps" / "full" / "function_app.py"


@pytest.fixture(scope="module")
def sample() -> dict[str, Callable[[str], str]]:
    """Handles of the sample app's orchestrators, by name."""
    _, app = load_app(SAMPLE, {"GREETING": "hi"})
    return {
        str(function.get_function_name()): function.get_user_function()
        for function in app.get_functions()
        if hasattr(function.get_user_function(), "orchestrator_function")
    }


def handle_of(orchestrator: Callable[..., Any]) -> Callable[[str], str]:
    """Handle that the SDK makes of an orchestrator."""
    handle: Callable[[str], str] = df.Orchestrator.create(orchestrator)
    return handle


def kinds(history: list[dict[str, Any]]) -> list[str]:
    return [HistoryEventType(event["EventType"]).name for event in history]


def test_activities_run_one_after_another_and_progress_can_be_followed(sample: Any) -> None:
    result = replay(sample["greet_all"], ["a", "b"], {"greet": lambda name: f"hi {name}"})

    assert result.output == ["hi a", "hi b"]
    assert result.calls == [("greet", "a"), ("greet", "b")]
    assert result.custom_statuses == [{"done": 0, "of": 2}, {"done": 1, "of": 2}]
    assert kinds(result.history)[:5] == [
        "ORCHESTRATOR_STARTED",
        "EXECUTION_STARTED",
        "TASK_SCHEDULED",
        "ORCHESTRATOR_COMPLETED",
        "ORCHESTRATOR_STARTED",
    ]


def test_an_async_activity_is_awaited(sample: Any) -> None:
    async def greet(name: str) -> str:
        return name.upper()

    assert replay(sample["greet_all"], ["a"], {"greet": greet}).output == ["A"]


@pytest.mark.parametrize("order", ["first", "last"])
def test_a_fan_out_gives_its_results_in_order_of_the_calls(sample: Any, order: Any) -> None:
    result = replay(sample["squares"], {"count": 4}, {"square": lambda n: n * n}, order=order)

    assert result.output == 0 + 1 + 4 + 9
    assert [n for _, n in result.calls] == ([0, 1, 2, 3] if order == "first" else [3, 2, 1, 0])


def test_a_failed_activity_is_raised_as_a_plain_exception(sample: Any) -> None:
    def flaky(order: object) -> None:
        raise ValueError("broken")

    result = replay(sample["fails_at_once"], None, {"flaky": flaky})

    assert result.error is not None
    assert result.error.startswith("Activity function 'flaky' failed: ValueError: broken \n ")
    assert result.custom_statuses == ["about to fail"]


def test_a_failed_activity_can_be_caught() -> None:
    def orchestrator(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        try:
            yield context.call_activity("break", None)
        except Exception as error:  # noqa: BLE001 - what the SDK raises
            return f"{type(error).__name__}: {error}"

    def broken(_: object) -> None:
        raise KeyError("key")

    result = replay(handle_of(orchestrator), None, {"break": broken})

    assert result.output.startswith("Exception: Activity function 'break' failed: KeyError")


@pytest.mark.parametrize(("good_from", "attempts"), [(3, 5), (1, 1)])
def test_a_retried_activity_succeeds_at_last(sample: Any, good_from: int, attempts: int) -> None:
    tries: list[object] = []

    def flaky(order: object) -> dict[str, int]:
        tries.append(order)
        if len(tries) < good_from:
            raise ValueError("not yet")
        return {"attempts": len(tries)}

    result = replay(
        sample["retries"], {"name": "x", "attempts": attempts}, {"flaky": flaky}, timers="hold"
    )

    assert result.output == {"attempts": good_from}
    assert kinds(result.history).count("TIMER_FIRED") == good_from - 1
    assert result.timers == []


def test_a_retried_activity_fails_after_the_last_attempt(sample: Any) -> None:
    def flaky(order: object) -> None:
        raise ValueError("never")

    result = replay(sample["retries"], {"name": "x", "attempts": 3}, {"flaky": flaky})

    assert len(result.calls) == 3
    assert result.output["error"] == "Exception"
    assert "ValueError: never" in result.output["text"]


def test_a_timer_moves_the_clock_of_the_orchestration(sample: Any) -> None:
    result = replay(sample["sleeps"], 90_000)

    assert result.output["milliseconds"] == 90_000
    assert result.timers == [START + timedelta(seconds=90)]


def test_an_event_comes_before_its_deadline(sample: Any) -> None:
    result = replay(sample["waits"], events=[("Approval", {"by": "me"})])

    assert result.output == {"approval": {"by": "me"}}
    assert result.timers == []


def test_a_deadline_passes_when_no_event_comes(sample: Any) -> None:
    assert replay(sample["waits"]).output == "nobody came"


def test_waiting_for_ever_is_an_error_of_the_test(sample: Any) -> None:
    with pytest.raises(StuckError, match="waits for Approval"):
        replay(sample["waits"], timers="hold")


def test_a_sub_orchestration_is_replayed_too_and_its_failure_reaches_the_parent(
    sample: Any,
) -> None:
    def flaky(order: object) -> None:
        raise ValueError("broken")

    result = replay(
        sample["parent"],
        None,
        {"greet": str.upper, "flaky": flaky},
        sub_orchestrators=sample,
        instance_id="p",
    )

    assert result.output["greetings"] == ["A", "B"]
    assert "Orchestrator function 'fails_at_once' failed: Activity" in result.output["error"]
    assert result.called == ["greet", "greet", "flaky"]


def test_continue_as_new_begins_a_new_life_with_a_new_input(sample: Any) -> None:
    result = replay(sample["pages"], {"page": 1, "total": 0}, {"square": lambda n: n * n})

    assert result.output == 1 + 4 + 9
    assert [each["page"] for each in result.inputs] == [1, 2, 3]
    assert len([name for name in kinds(result.history) if name == "TASK_SCHEDULED"]) == 1


def test_calls_after_a_retry_keep_their_results_apart() -> None:
    def orchestrator(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        retry = df.RetryOptions(1000, 4)
        first = yield context.task_all(
            [
                context.call_activity_with_retry("flaky", retry, "a"),
                context.call_activity("steady", "b"),
                context.call_activity_with_retry("flaky", retry, "c"),
            ]
        )
        second = yield context.call_activity("steady", "d")
        return [*first, second]

    tries = {"a": 0, "c": 0}

    def flaky(name: str) -> str:
        tries[name] += 1
        if tries[name] < 3:
            raise ValueError(name)
        return f"{name}{tries[name]}"

    result = replay(handle_of(orchestrator), None, {"flaky": flaky, "steady": str.upper})

    assert result.output == ["a3", "B", "c3", "D"]


def test_an_orchestrator_that_rolls_dice_is_caught() -> None:
    def orchestrator(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        yield context.call_activity("echo", random.random())

    with pytest.raises(NonDeterminismError, match="two runs over one history differ"):
        replay(handle_of(orchestrator), None, {"echo": lambda value: value})


def test_an_orchestrator_whose_mind_changes_between_episodes_is_caught() -> None:
    world = {"step": "one"}

    def orchestrator(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        yield context.call_activity(world["step"], None)
        yield context.call_activity("other", None)

    def one(_: object) -> None:
        world["step"] = "two"

    with pytest.raises(NonDeterminismError, match="action 0 was"):
        replay(handle_of(orchestrator), None, {"one": one, "two": one, "other": one})


def test_uuids_are_the_same_in_every_run(sample: Any) -> None:
    first = replay(sample["empty"], None, {"square": lambda n: n}, instance_id="same")
    second = replay(sample["empty"], None, {"square": lambda n: n}, instance_id="same")

    assert first.output == second.output
    assert first.output["none"] is None
