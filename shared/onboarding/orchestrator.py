"""The order of onboarding, and nothing else.

    1. every step of `steps.STEPS` in turn; a step that failed or whose outcome is unknown stops
       the rest, which are then ``skipped``
    2. a step that answers "not yet" is called again after a durable timer, with growing pauses,
       until its deadline; an exhausted wait leaves the operation ``waiting``, with nothing undone
    3. the ``record`` step, always

No I/O, no clock but the context's, no randomness and no environment: the settings it needs come
with its input. It keeps to the part of the context that ``azure-functions-durable`` 1.x and the
compatibility layer of 2.x share. The custom status is the operation itself, so that every step can
be followed while it runs.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from msgspec import Struct

from shared.custom_status import status_of
from shared.models import (
    Facts,
    OnboardingOrder,
    Operation,
    OperationKind,
    OperationStatus,
    Outcome,
    Step,
    StepCall,
    StepResult,
    WaitPolicy,
    from_json,
    to_json,
)
from shared.onboarding.steps import STEPS, StepDefinition

ONBOARD = "onboard"
"""The registered name of the orchestrator."""

RECORD = "record"
RECORD_ACTIVITY = "onboard_record"

LONGEST_MESSAGE = 700
"""Characters of a step's message in the custom status, which must stay under 16 KB."""


class OrchestrationContext(Protocol):
    """The part of the durable context that this orchestrator uses."""

    @property
    def current_utc_datetime(self) -> datetime: ...
    def get_input(self) -> Any: ...
    def set_custom_status(self, status: Any) -> None: ...
    def call_activity(self, name: str, input_: Any) -> Any: ...
    def create_timer(self, fire_at: datetime) -> Any: ...


class OnboardingStart(Struct, frozen=True, rename="camel"):
    """The input of the orchestrator."""

    order: OnboardingOrder
    waits: WaitPolicy


class RecordCall(Struct, frozen=True, rename="camel"):
    """The input of the record activity."""

    order: OnboardingOrder
    facts: Facts
    operation: Operation


def begun(order: OnboardingOrder, started_at: datetime) -> Operation:
    """The operation as it is before its first step."""
    return Operation(
        id=order.operation_id,
        kind=OperationKind.ONBOARD,
        tenant_id=order.tenant_id,
        status=OperationStatus.RUNNING,
        started_at=started_at,
        steps=[Step(name=step.name) for step in STEPS] + [Step(name=RECORD)],
    )


def onboard(context: OrchestrationContext) -> Generator[Any, Any, Any]:
    """Onboard one tenant; the output is the `Operation` as JSON."""
    start = from_json(context.get_input(), OnboardingStart)
    operation = begun(start.order, _now(context))
    facts = Facts()
    for definition in STEPS:
        step = operation.step(definition.name)
        if operation.status is not OperationStatus.RUNNING:
            step.outcome = Outcome.SKIPPED
            step.message = "not run, because an earlier step did not succeed"
            continue
        call = to_json(StepCall(order=start.order, facts=facts, changed=changed(operation)))
        result = yield from _run(
            context, operation, step, definition.activity, call, _pace(start.waits, definition)
        )
        facts = merged(facts, result)
        if result.outcome.stops:
            operation.status = _stopped(definition, result)
    if operation.status is OperationStatus.RUNNING:
        operation.status = OperationStatus.SUCCEEDED
    concluded = operation.status
    step = operation.step(RECORD)
    call = to_json(RecordCall(order=start.order, facts=facts, operation=operation))
    operation.status = OperationStatus.RUNNING
    result = yield from _run(
        context, operation, step, RECORD_ACTIVITY, call, _Pace.of(start.waits, scan=False)
    )
    operation.status = OperationStatus.FAILED if result.outcome.stops else concluded
    operation.finished_at = _now(context)
    context.set_custom_status(status_of(operation))
    return to_json(operation)


def changed(operation: Operation) -> bool:
    """Whether a step so far changed something, or would in a dry run."""
    return any(step.outcome in (Outcome.CHANGED, Outcome.PLANNED) for step in operation.steps)


def merged(facts: Facts, result: StepResult) -> Facts:
    """The facts with what a step learned."""
    return from_json(to_json(facts) | result.facts, Facts)


def fill(step: Step, result: StepResult, now: datetime) -> None:
    """Write the end of a step down."""
    step.outcome = result.outcome
    step.message = result.message[:LONGEST_MESSAGE]
    step.code = result.code
    step.remediation = result.remediation
    step.findings = result.findings
    step.coverage = result.coverage
    step.finished_at = now


def _stopped(definition: StepDefinition, result: StepResult) -> OperationStatus:
    if result.wait is not None:
        return OperationStatus.WAITING
    if definition is STEPS[0] and result.outcome is Outcome.FAILED:
        return OperationStatus.REFUSED
    return OperationStatus.FAILED


class _Pace(Struct, frozen=True):
    """Seconds: the first and the longest pause between attempts, and the deadline."""

    first: float
    longest: float
    deadline: float

    @classmethod
    def of(cls, waits: WaitPolicy, *, scan: bool) -> _Pace:
        deadline = waits.scan_deadline if scan else waits.propagation_deadline
        return cls(first=waits.first, longest=waits.longest, deadline=deadline)


def _pace(waits: WaitPolicy, definition: StepDefinition) -> _Pace:
    return _Pace.of(waits, scan=definition.scan)


def _run(
    context: OrchestrationContext,
    operation: Operation,
    step: Step,
    activity: str,
    call: dict[str, Any],
    pace: _Pace,
) -> Generator[Any, Any, StepResult]:
    """One step until it ends or its deadline passes."""
    step.started_at = _now(context)
    deadline = step.started_at + timedelta(seconds=pace.deadline)
    learned: dict[str, Any] = {}
    pause = pace.first
    while True:
        step.attempts += 1
        context.set_custom_status(status_of(operation))
        try:
            answer = yield context.call_activity(activity, call)
        except Exception as error:  # noqa: BLE001 - the SDK raises a bare one for any failure
            result = _unanswered(step.name, error)
        else:
            result = from_json(answer, StepResult)
        learned |= result.facts
        result = from_json(to_json(result) | {"facts": learned}, StepResult)
        left = (deadline - _now(context)).total_seconds()
        if result.wait is None or left <= 0:
            if result.wait is not None:
                result = _exhausted(result, pace)
            fill(step, result, _now(context))
            context.set_custom_status(status_of(operation))
            return result
        if "facts" in call:
            call = call | {"facts": call["facts"] | learned}
        step.message, step.code = result.message[:LONGEST_MESSAGE], result.code
        context.set_custom_status(status_of(operation))
        wait = min(max(result.wait, pause), left)
        yield context.create_timer(_now(context) + timedelta(seconds=wait))
        pause = min(pause * 2, pace.longest)


def _exhausted(result: StepResult, pace: _Pace) -> StepResult:
    told = to_json(result)
    told["message"] = f"{result.message}. Waited {pace.deadline:g} s; nothing was undone"
    return from_json(told, StepResult)


def _unanswered(name: str, error: Exception) -> StepResult:
    """A step that ended without an answer. The error's own text may hold anything, so it stays in
    the log of the activity; here is only its kind."""
    return StepResult(
        outcome=Outcome.UNKNOWN,
        code="step_without_answer",
        message=f"step {name} ended without an answer; its changes may or may not have been made",
        remediation="Send the request again: it goes on where this one stopped. The cause is in"
        f" the function app's log ({type(error).__name__}).",
    )


def _now(context: OrchestrationContext) -> datetime:
    moment = context.current_utc_datetime
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
