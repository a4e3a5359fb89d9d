"""Operations that are cancelled, replayed by the real 1.x SDK: where they stop, and what they say.

The same for each kind of operation. A request that comes while an activity runs lets it come to its
end; one that comes in a pause ends the pause; the step that writes the operation down runs always.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import azure.durable_functions as df
import pytest

from shared.audit import orchestrator as auditing
from shared.audit.operation import AuditOrder
from shared.models import (
    OnboardingOrder,
    Outcome,
    RepairPolicy,
    StepResult,
    WaitPolicy,
    cancel_event,
    to_json,
)
from shared.offboarding import orchestrator as offboarding
from shared.offboarding.calls import OffboardingOrder, OffboardingStart
from shared.offboarding.steps import STEPS as OFFBOARDING_STEPS
from shared.onboarding import orchestrator as onboarding
from shared.onboarding.steps import steps_of
from shared.operations import CANCELLED
from shared.outcomes import ended, failed, not_yet
from shared.rotation import orchestrator as rotation
from shared.rotation.steps import STEPS as ROTATION_STEPS
from tests.driving import step
from tests.replay.executor import ReplayResult, replay

TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
ID = f"{TENANT}.20260910T080000000000Z"
BEGUN = datetime(2026, 9, 10, 8, tzinfo=UTC)
WAITS = WaitPolicy(first=5, longest=60, propagation_deadline=900, scan_deadline=3600)
ORDER = OnboardingOrder(
    operation_id=ID,
    tenant_id=TENANT,
    space="//captain.api.mondoo.app/spaces/acme",
    manifest="quick-setup",
    application_name="mondoo-ms365",
    policies=[],
)
AUDIT_ORDER = AuditOrder(ID, TENANT, RepairPolicy.REPORT)
OFFBOARDING_ORDER = OffboardingOrder(
    operation_id=ID,
    tenant_id=TENANT,
    application_name="mondoo-ms365",
    certificate=f"mondoo-ms365-{TENANT}",
)
WAITING = not_yet("replication_pending", "not seen yet", remediation="Wait.", retry_after=20)
DONE = ended(Outcome.CHANGED, "as told")


@dataclass(frozen=True)
class Kind:
    """A kind of operation: its orchestrator, its input, its activities in order, its last one.

    ``told``: how many of the last activities run though it was cancelled, once those before ended.
    """

    orchestrator: Callable[..., Any]
    start: Any
    steps: list[tuple[str, str]]
    record: str
    told: int = 0

    def stopped_after(self, at: int) -> list[tuple[str, str]]:
        """The steps that a request keeps from running which comes while step ``at`` runs."""
        return self.steps[at + 1 : len(self.steps) - self.told]

    def ends(self, at: int) -> str:
        """What the operation then comes to."""
        return "cancelled" if self.stopped_after(at) else "succeeded"


KINDS = {
    "onboard": Kind(
        onboarding.onboard,
        onboarding.OnboardingStart(onboarding.begun(ORDER, BEGUN), ORDER, WAITS),
        [(each.name, each.activity) for each in steps_of(ORDER)],
        onboarding.RECORD_ACTIVITY,
    ),
    "audit": Kind(
        auditing.audit,
        auditing.AuditStart(auditing.begun(AUDIT_ORDER, BEGUN), AUDIT_ORDER, WAITS),
        [("audit", auditing.AUDIT_ACTIVITY), ("publish", auditing.PUBLISH_ACTIVITY)],
        auditing.RECORD_ACTIVITY,
        told=1,
    ),
    "rotate": Kind(
        rotation.rotate,
        rotation.RotationStart(rotation.begun(ORDER, BEGUN), ORDER, WAITS),
        [(each.name, each.activity) for each in ROTATION_STEPS],
        rotation.RECORD_ACTIVITY,
    ),
    "offboard": Kind(
        offboarding.offboard,
        OffboardingStart(
            offboarding.begun(OFFBOARDING_ORDER, BEGUN), order=OFFBOARDING_ORDER, waits=WAITS
        ),
        [(each.name, each.activity) for each in OFFBOARDING_STEPS],
        offboarding.RECEIPT_ACTIVITY,
    ),
}

PLACES = [(name, at) for name, kind in KINDS.items() for at in range(len(kind.steps))]


def run(
    kind: Kind,
    once: Callable[[ReplayResult], bool],
    name: str = cancel_event(ID),
    **special: StepResult,
) -> ReplayResult:
    """Replay with every step changing something but the ``special`` ones, by activity; the request
    to cancel comes ``once`` something has happened."""
    activities = [activity for _, activity in kind.steps]
    told = dict.fromkeys([*activities, "rotate_withdraw", kind.record], DONE) | special

    def answering(result: StepResult) -> Any:
        return lambda call: to_json(result)

    result = replay(
        df.Orchestrator.create(kind.orchestrator),
        to_json(kind.start),
        {activity: answering(result) for activity, result in told.items()},
        events=[(name, None)],
        once=once,
    )
    assert result.error is None
    return result


@pytest.mark.parametrize(("name", "at"), PLACES)
def test_a_request_while_an_activity_runs_stops_behind_it(name: str, at: int) -> None:
    kind = KINDS[name]
    result = run(kind, lambda so_far: len(so_far.called) == at)

    stopped = kind.stopped_after(at)
    called = [activity for each, activity in kind.steps if (each, activity) not in stopped]
    assert result.called == [*called, kind.record]
    assert result.output["status"] == kind.ends(at)
    assert result.output["cancelRequestedAt"]
    assert step(result.output, kind.steps[at][0])["outcome"] == "changed"
    for later, _ in stopped:
        skipped = step(result.output, later)
        assert skipped["outcome"] == "skipped"
        assert skipped["message"] == "not run, because the operation was cancelled"


@pytest.mark.parametrize(("name", "at"), PLACES)
def test_a_request_in_a_pause_ends_it_at_once_and_calls_nothing_done(name: str, at: int) -> None:
    kind = KINDS[name]
    waiting, activity = kind.steps[at]
    result = run(kind, lambda so_far: so_far.called.count(activity) == 2, **{activity: WAITING})

    assert result.called == [
        *(each for _, each in kind.steps[:at]),
        *[activity] * 2,
        kind.record,
    ]
    assert len(result.timers) == 1, "the second pause was not waited for"
    assert result.output["status"] == "cancelled"
    stopped = step(result.output, waiting)
    assert (stopped["outcome"], stopped["code"]) == ("unknown", CANCELLED)
    assert stopped["message"].startswith("not seen yet. Cancelled while it waited")
    assert stopped["remediation"]


@pytest.mark.parametrize("name", KINDS)
def test_while_it_stops_it_is_running_and_says_that_it_was_asked_to_stop(name: str) -> None:
    kind = KINDS[name]
    result = run(kind, lambda so_far: len(so_far.called) == 0)

    asked = [status for status in result.custom_statuses if "cancelRequestedAt" in status]
    assert [status["status"] for status in asked[:-1]] == ["running"] * len(asked[:-1])
    assert asked[-1]["status"] == kind.ends(0)
    assert asked[0]["steps"][0].get("outcome") is None, "it is told before the activity has ended"
    _, written = result.calls[-1]
    assert written["operation"]["status"] == kind.ends(0)


@pytest.mark.parametrize("name", KINDS)
def test_the_step_that_writes_it_down_waits_for_the_records_though_it_was_cancelled(
    name: str,
) -> None:
    kind = KINDS[name]
    result = run(kind, lambda so_far: len(so_far.called) == 0, **{kind.record: WAITING})

    assert result.called.count(kind.record) > 1
    assert result.output["status"] == "failed", "what is not written down is not over"


def test_a_step_that_fails_while_the_request_comes_has_failed() -> None:
    kind = KINDS["onboard"]
    broken = failed("code", "no", remediation="Mend it.")
    result = run(kind, lambda so_far: len(so_far.called) == 2, onboard_application=broken)

    assert result.output["status"] == "failed"


def test_a_refused_sign_in_is_taken_back_though_the_rotation_was_cancelled() -> None:
    kind = KINDS["rotate"]
    broken = failed("code", "no", remediation="Mend it.")
    result = run(
        kind, lambda so_far: so_far.called[-1:] == ["rotate_register"], rotate_sign_in=broken
    )

    assert result.called[-2:] == ["rotate_withdraw", kind.record]
    assert result.output["status"] == "failed"
