"""The order of onboarding, replayed by the real 1.x SDK.

The harness runs the SDK over the growing history and fails if any replay asks for other actions
than the one before, so every test here is also a test of determinism.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import azure.durable_functions as df
import msgspec
import pytest

from shared.models import (
    Facts,
    OnboardingOrder,
    Outcome,
    ScannerAuthentication,
    StepResult,
    SubscriptionScope,
    WaitPolicy,
    to_json,
)
from shared.onboarding.orchestrator import (
    RECORD_ACTIVITY,
    OnboardingStart,
    begun,
    onboard,
)
from shared.onboarding.steps import STEPS, StepDefinition, steps_of
from shared.outcomes import ended, failed, not_yet
from tests.driving import outcomes, step
from tests.replay.executor import START, ReplayResult, replay

TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
ORDER = OnboardingOrder(
    operation_id=f"{TENANT}.20260910T080000000000Z",
    tenant_id=TENANT,
    space="//captain.api.mondoo.app/spaces/acme",
    manifest="quick-setup",
    application_name="mondoo-ms365",
    policies=[],
    subscriptions=SubscriptionScope(),
    retires=True,  # so that every step is taken
)
KEYLESS = msgspec.structs.replace(
    ORDER, authentication=ScannerAuthentication.FEDERATED, subscriptions=None
)
WAITS = WaitPolicy(first=5, longest=60, propagation_deadline=900, scan_deadline=3600)
HANDLE = df.Orchestrator.create(onboard)
ACTIVITIES = [definition.activity for definition in steps_of(ORDER)] + [RECORD_ACTIVITY]

Activity = Callable[[Any], Any]


def run(order: OnboardingOrder = ORDER, **special: Activity) -> ReplayResult:
    """Replay with every step passing, but those given by activity name."""
    names = [*(definition.activity for definition in STEPS), RECORD_ACTIVITY]
    activities: dict[str, Activity] = {name: always(Outcome.PASSED) for name in names}
    activities |= special
    result = replay(
        HANDLE,
        to_json(OnboardingStart(operation=begun(order, START), order=order, waits=WAITS)),
        activities,
    )
    assert result.error is None
    return result


def always(outcome: Outcome) -> Activity:
    return lambda call: to_json(ended(outcome, "as told"))


def in_turn(*results: StepResult) -> Activity:
    """One result for each call; the last is repeated."""
    left = list(results)
    return lambda call: to_json(left.pop(0) if len(left) > 1 else left[0])


def waiting(retry_after: float | None = None) -> StepResult:
    return not_yet(
        "replication_pending", "not seen yet", remediation="Wait.", retry_after=retry_after
    )


def test_every_step_runs_once_in_the_order_of_the_design() -> None:
    result = run()
    assert result.called == ACTIVITIES
    assert result.output["status"] == "succeeded"
    assert set(outcomes(result.output).values()) == {"passed"}


def test_without_a_key_no_certificate_is_made_and_the_trust_follows_the_integration() -> None:
    result = run(KEYLESS)
    assert result.called == [
        "onboard_preflight",
        "onboard_application",
        "onboard_service_principal",
        "onboard_permissions",
        "onboard_directory_role",
        "onboard_integration",
        "onboard_federated_credential",
        "onboard_policies",
        "onboard_first_scan",
        "onboard_old_credential",
        RECORD_ACTIVITY,
    ]


def test_every_step_is_in_one_of_the_two_orders() -> None:
    assert {*steps_of(ORDER), *steps_of(KEYLESS)} == set(STEPS)


@pytest.mark.parametrize(
    ("order", "definition"),
    [
        pytest.param(order, definition, id=f"{order.authentication}-{definition.name}")
        for order in (ORDER, KEYLESS)
        for definition in steps_of(order)
    ],
)
@pytest.mark.parametrize("outcome", ["failed", "unknown"])
def test_a_step_without_success_stops_the_rest_and_is_still_recorded(
    order: OnboardingOrder, definition: StepDefinition, outcome: str
) -> None:
    bad = failed("code", "no", remediation="Mend it.")
    if outcome == "unknown":
        bad = StepResult(outcome=Outcome.UNKNOWN, message="no", code="code", remediation="Look.")
    result = run(order, **{definition.activity: lambda call: to_json(bad)})
    steps = steps_of(order)
    position = steps.index(definition)
    taken = [each.activity for each in steps[: position + 1]]
    assert result.called == [*taken, RECORD_ACTIVITY]
    skipped = {each.name for each in steps[position + 1 :]}
    assert {n for n, o in outcomes(result.output).items() if o == "skipped"} == skipped
    refused = position == 0 and outcome == "failed"
    assert result.output["status"] == ("refused" if refused else "failed")
    assert step(result.output, definition.name)["remediation"]


@pytest.mark.parametrize("outcome", [Outcome.CHANGED, Outcome.WARNING, Outcome.SKIPPED])
def test_a_warning_or_a_change_does_not_stop_anything(outcome: Outcome) -> None:
    result = run(onboard_permissions=always(outcome))
    assert result.output["status"] == "succeeded"
    assert outcomes(result.output)["permissions"] == outcome.value


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_an_activity_that_dies_is_a_step_without_an_answer_and_its_text_goes_nowhere(
    activity: str,
) -> None:
    def die(call: Any) -> Any:
        raise RuntimeError("secret in a traceback")

    result = run(**{activity: die})
    assert result.output["status"] == "failed"
    dead = [s for s in result.output["steps"] if s["outcome"] == "unknown"]
    assert [s["code"] for s in dead] == ["step_without_answer"]
    assert "secret" not in json.dumps([result.output, result.custom_statuses])


def test_case_b3_a_step_that_is_not_done_yet_is_called_again_after_growing_pauses() -> None:
    result = run(onboard_application=in_turn(*[waiting()] * 6, ended(Outcome.CHANGED, "made")))
    pauses = gaps(result)
    assert pauses == [5, 10, 20, 40, 60, 60]
    assert step(result.output, "application")["attempts"] == 7
    assert result.output["status"] == "succeeded"


def test_a_service_that_names_its_own_pause_is_obeyed() -> None:
    result = run(onboard_application=in_turn(waiting(42), ended(Outcome.CHANGED, "made")))
    assert gaps(result) == [42]


def gaps(result: ReplayResult) -> list[float]:
    moments = [START, *result.timers]
    return [(later - earlier) / timedelta(seconds=1) for earlier, later in pairwise(moments)]


@pytest.mark.parametrize(
    ("activity", "deadline"),
    [("onboard_sign_in", 900), ("onboard_first_scan", 3600), ("onboard_azure_scan", 3600)],
)
def test_case_b10_b13_an_exhausted_wait_is_an_outcome_of_its_own(
    activity: str, deadline: int
) -> None:
    result = run(**{activity: in_turn(waiting(100_000))})
    assert sum(gaps(result)) == deadline
    assert result.output["status"] == "waiting"
    stopped = next(s for s in result.output["steps"] if s["outcome"] == "unknown")
    assert stopped["code"] == "replication_pending"
    assert f"Waited {deadline} s; nothing was undone" in stopped["message"]
    assert result.called[-1] == RECORD_ACTIVITY


def test_what_a_step_learned_reaches_the_steps_after_it_and_its_own_next_attempt() -> None:
    given: list[Facts] = []

    def first_scan(call: Any) -> Any:
        given.append(call["facts"])
        if len(given) == 1:
            asked = {"scan_requested": True}
            return to_json(not_yet("scan", "running", remediation="Wait.", facts=asked))
        return to_json(ended(Outcome.CHANGED, "scanned"))

    run(
        onboard_application=lambda call: to_json(
            ended(Outcome.CHANGED, "made", facts={"app_id": "an-app"})
        ),
        onboard_first_scan=first_scan,
    )
    assert [facts["appId"] for facts in given] == ["an-app", "an-app"]
    assert [facts.get("scanRequested", False) for facts in given] == [False, True]


def test_a_step_is_told_whether_anything_was_changed_before_it() -> None:
    result = run(onboard_permissions=always(Outcome.CHANGED))
    told = {name: call.get("changed", False) for name, call in result.calls if "order" in call}
    assert told["onboard_permissions"] is False
    assert told["onboard_directory_role"] is True


def test_the_record_is_given_the_final_status_and_the_custom_status_only_at_the_end() -> None:
    result = run()
    name, call = result.calls[-1]
    assert (name, call["operation"]["status"]) == (RECORD_ACTIVITY, "succeeded")
    assert result.custom_statuses[-1]["status"] == "succeeded"
    assert {status["status"] for status in result.custom_statuses[:-1]} == {"running"}


def test_the_custom_status_stays_under_16_kilobytes_with_long_messages_everywhere() -> None:
    long = to_json(ended(Outcome.WARNING, "ä" * 5000))
    result = run(**{name: lambda call: long for name in ACTIVITIES})
    assert all(
        len(json.dumps(status, ensure_ascii=False).encode("utf-16-le")) < 32 * 1024
        and len(json.dumps(status, ensure_ascii=False)) < 16 * 1024
        for status in result.custom_statuses
    )


def test_the_replays_were_many_and_all_asked_for_the_same() -> None:
    result = run(onboard_application=in_turn(waiting(), waiting(), ended(Outcome.CHANGED, "made")))
    assert result.replays > len(ACTIVITIES)
