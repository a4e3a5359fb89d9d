"""The order of offboarding, replayed by the real 1.x SDK."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import azure.durable_functions as df
import pytest

from shared.models import Outcome, StepResult, WaitPolicy, to_json
from shared.offboarding.calls import OffboardingOrder, OffboardingStart
from shared.offboarding.orchestrator import RECEIPT_ACTIVITY, begun, offboard
from shared.offboarding.steps import STEPS
from shared.outcomes import ended, failed, not_yet
from tests.driving import outcomes
from tests.replay.executor import ReplayResult, replay

TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
ORDER = OffboardingOrder(
    operation_id=f"{TENANT}.20260910T080000000000Z",
    tenant_id=TENANT,
    application_name="mondoo-ms365",
    certificate=f"mondoo-ms365-{TENANT}",
)
WAITS = WaitPolicy(first=5, longest=60, propagation_deadline=900, scan_deadline=3600)
HANDLE = df.Orchestrator.create(offboard)
ACTIVITIES = [step.activity for step in STEPS] + [RECEIPT_ACTIVITY]


def run(**special: StepResult) -> ReplayResult:
    """Replay with every step passing, but those given by activity name."""
    told = dict.fromkeys(ACTIVITIES, ended(Outcome.CHANGED, "as told")) | special
    operation = begun(ORDER, datetime(2026, 9, 10, 8, tzinfo=UTC))
    start = OffboardingStart(operation=operation, order=ORDER, waits=WAITS)

    def answering(result: StepResult) -> Any:
        return lambda call: to_json(result)

    result = replay(HANDLE, to_json(start), {n: answering(r) for n, r in told.items()})
    assert result.error is None
    return result


def test_every_step_runs_once_in_its_order_and_the_receipt_comes_last() -> None:
    result = run()
    assert result.called == ACTIVITIES
    assert result.output["status"] == "succeeded"


REFUSED = failed("code", "no", remediation="Mend it.")


@pytest.mark.parametrize(
    ("step", "skipped"),
    [
        ("inventory", {step.name for step in STEPS[1:]}),
        ("integration", set()),
        ("azure-integration", set()),
        ("azure-role", set()),
        ("directory-role", {"service-principal", "application"}),
        ("permissions", {"service-principal", "application"}),
        ("service-principal", {"application"}),
        ("application", set()),
        ("certificate", set()),
    ],
)
def test_a_step_that_failed_stops_only_what_needs_it(step: str, skipped: set[str]) -> None:
    result = run(**{"offboard_" + step.replace("-", "_"): REFUSED})
    assert {name for name, o in outcomes(result.output).items() if o == "skipped"} == skipped
    assert result.output["status"] == ("refused" if step == "inventory" else "failed")
    assert result.called[-1] == RECEIPT_ACTIVITY


def test_an_exhausted_wait_leaves_the_operation_waiting() -> None:
    result = run(offboard_application=not_yet("still_listed", "there", remediation="Wait."))
    assert result.output["status"] == "waiting"
    assert "Waited 900 s" in str(result.output)


def test_a_receipt_that_cannot_be_written_is_no_success() -> None:
    assert run(offboard_receipt=REFUSED).output["status"] == "failed"
