"""Running the steps of an operation inside an orchestrator: what all workflows share.

`run_activity` runs one step to its end: it calls the activity, and while the answer is "not yet" it
calls again after a durable timer, with pauses that double from the first to the longest, until the
deadline. What an attempt learned is handed to the next one. An exhausted wait ends the step as
``unknown`` with the code of what was waited for; an activity that dies ends it as a step without an
answer. The custom status is the operation itself, so that it can be followed while it runs.

Everything here is replayed by the engine: no I/O, no clock but the context's, no randomness, no
environment. It keeps to the part of the context that ``azure-functions-durable`` 1.x and the
compatibility layer of 2.x share.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from msgspec import Struct

from shared.custom_status import status_of
from shared.models import (
    Operation,
    OperationStatus,
    Outcome,
    Step,
    StepResult,
    WaitPolicy,
    from_json,
    to_json,
)

LONGEST_MESSAGE = 700
"""Characters of a step's message in the custom status, which must stay under 16 KB."""


class OrchestrationContext(Protocol):
    """The part of the durable context that our orchestrators use."""

    @property
    def current_utc_datetime(self) -> datetime: ...
    def get_input(self) -> Any: ...
    def set_custom_status(self, status: Any) -> None: ...
    def call_activity(self, name: str, input_: Any) -> Any: ...
    def create_timer(self, fire_at: datetime) -> Any: ...


class Pace(Struct, frozen=True):
    """Seconds: the first and the longest pause between attempts, and the deadline of the step."""

    first: float
    longest: float
    deadline: float

    @classmethod
    def of(cls, waits: WaitPolicy, *, scan: bool = False) -> Pace:
        """The pace for replication, or for a scan."""
        deadline = waits.scan_deadline if scan else waits.propagation_deadline
        return cls(first=waits.first, longest=waits.longest, deadline=deadline)


def utc_now(context: OrchestrationContext) -> datetime:
    """The context's time with its zone, which not every version of the SDK gives."""
    moment = context.current_utc_datetime
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def run_activity(
    context: OrchestrationContext,
    operation: Operation,
    step: Step,
    activity: str,
    call: dict[str, Any],
    pace: Pace,
) -> Generator[Any, Any, StepResult]:
    """One step until it ends or its deadline passes; ``step`` is filled in.

    ``call`` is the input of the activity. If it has ``facts``, each attempt is given what the ones
    before it learned.
    """
    step.started_at = utc_now(context)
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
        left = (deadline - utc_now(context)).total_seconds()
        if result.wait is None or left <= 0:
            if result.wait is not None:
                result = _exhausted(result, pace)
            fill(step, result, utc_now(context))
            context.set_custom_status(status_of(operation))
            return result
        if "facts" in call:
            call = call | {"facts": call["facts"] | learned}
        step.message, step.code = result.message[:LONGEST_MESSAGE], result.code
        context.set_custom_status(status_of(operation))
        wait = min(max(result.wait, pause), left)
        yield context.create_timer(utc_now(context) + timedelta(seconds=wait))
        pause = min(pause * 2, pace.longest)


def conclude(
    context: OrchestrationContext, operation: Operation, activity: str, call: Struct, pace: Pace
) -> Generator[Any, Any, Any]:
    """The last step, which writes the operation down, and the end; the output of an orchestrator.

    ``operation`` has the status that it comes to, and is part of ``call``, the activity's input. It
    fails after all if it cannot be written down.
    """
    concluded, given = operation.status, to_json(call)
    # Until it is written down, the operation is not over for those who follow it.
    operation.status = OperationStatus.RUNNING
    last = operation.steps[-1]
    result = yield from run_activity(context, operation, last, activity, given, pace)
    operation.status = OperationStatus.FAILED if result.outcome.stops else concluded
    operation.finished_at = utc_now(context)
    context.set_custom_status(status_of(operation))
    return to_json(operation)


def status_after_stop(result: StepResult, *, first: bool) -> OperationStatus:
    """What an operation comes to whose step ended without success; ``first``: it was the one that
    only looks, so that nothing was changed."""
    if result.wait is not None:
        return OperationStatus.WAITING
    if first and result.outcome is Outcome.FAILED:
        return OperationStatus.REFUSED
    return OperationStatus.FAILED


def status_after_all(results: Iterable[StepResult]) -> OperationStatus:
    """What an operation comes to whose steps do not stop each other."""
    stopped = [result for result in results if result.outcome.stops]
    if not stopped:
        return OperationStatus.SUCCEEDED
    waited = all(result.wait is not None for result in stopped)
    return OperationStatus.WAITING if waited else OperationStatus.FAILED


def fill(step: Step, result: StepResult, now: datetime) -> None:
    """Write the end of a step down."""
    step.outcome = result.outcome
    step.message = result.message[:LONGEST_MESSAGE]
    step.code = result.code
    step.remediation = result.remediation
    step.findings = result.findings
    step.coverage = result.coverage
    step.finished_at = now


def skip(step: Step) -> None:
    """Write down that a step was not run."""
    step.outcome = Outcome.SKIPPED
    step.message = "not run, because an earlier step did not succeed"


def changed(operation: Operation) -> bool:
    """Whether a step so far changed something, or would in a dry run."""
    return any(step.outcome in (Outcome.CHANGED, Outcome.PLANNED) for step in operation.steps)


def _exhausted(result: StepResult, pace: Pace) -> StepResult:
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
