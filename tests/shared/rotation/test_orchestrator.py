"""The order of a rotation, replayed by the real 1.x SDK."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import azure.durable_functions as df
import pytest

from shared.models import OnboardingOrder, Outcome, StepResult, WaitPolicy, to_json
from shared.outcomes import ended, failed, not_yet
from shared.rotation.orchestrator import RECORD_ACTIVITY, RotationStart, begun, rotate
from shared.rotation.steps import STEPS, WITHDRAW
from tests.driving import outcomes
from tests.replay.executor import ReplayResult, replay

TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
ORDER = OnboardingOrder(
    operation_id=f"{TENANT}.20260910T080000000000Z",
    tenant_id=TENANT,
    space="//captain.api.mondoo.app/spaces/acme",
    manifest="quick-setup",
    application_name="mondoo-ms365",
    policies=[],
)
WAITS = WaitPolicy(first=5, longest=60, propagation_deadline=900, scan_deadline=3600)
HANDLE = df.Orchestrator.create(rotate)
NAMES = [step.activity for step in STEPS]
REFUSED = failed("code", "no", remediation="Mend it.")


def run(**special: StepResult) -> ReplayResult:
    """Replay with every step changing something, but those given by activity name."""
    activities = [*NAMES, WITHDRAW.activity, RECORD_ACTIVITY]
    told = dict.fromkeys(activities, ended(Outcome.CHANGED, "as told")) | special
    operation = begun(ORDER, datetime(2026, 9, 10, 8, tzinfo=UTC))
    start = RotationStart(operation=operation, order=ORDER, waits=WAITS)

    def answering(result: StepResult) -> Any:
        return lambda call: to_json(result)

    result = replay(HANDLE, to_json(start), {n: answering(r) for n, r in told.items()})
    assert result.error is None
    return result


def test_every_step_runs_once_in_its_order_and_nothing_is_taken_back() -> None:
    result = run()
    assert result.called == [*NAMES, RECORD_ACTIVITY]
    assert result.output["status"] == "succeeded"
    assert outcomes(result.output)["withdraw"] == "skipped"


@pytest.mark.parametrize("step", STEPS, ids=lambda each: each.name)
def test_a_step_that_failed_stops_the_rest_and_only_a_refused_sign_in_takes_back(
    step: Any,
) -> None:
    result = run(**{step.activity: REFUSED})
    position = STEPS.index(step)
    back = [WITHDRAW.activity] if step.name == "sign-in" else []
    assert result.called == [*NAMES[: position + 1], *back, RECORD_ACTIVITY]
    assert result.output["status"] == ("refused" if position == 0 else "failed")


@pytest.mark.parametrize(
    ("code", "back"), [("certificate_not_registered", True), ("exchange_unavailable", False)]
)
def test_an_exhausted_wait_takes_back_only_a_certificate_that_nobody_came_to_know(
    code: str, back: bool
) -> None:
    result = run(rotate_sign_in=not_yet(code, "not yet", remediation="Wait."))
    assert (WITHDRAW.activity in result.called) is back
    assert result.output["status"] == ("failed" if back else "waiting")


def test_an_overlap_that_is_too_long_to_wait_for_ends_the_operation_well() -> None:
    result = run(rotate_overlap=ended(Outcome.PLANNED, "tomorrow"))
    assert result.output["status"] == "succeeded"
    assert outcomes(result.output)["retire"] == "skipped"
    assert outcomes(result.output)["disable"] == "skipped"
