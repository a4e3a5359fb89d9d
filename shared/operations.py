"""Running the steps of an operation inside an orchestrator: what all workflows share.

`run_activity` runs one step to its end: it calls the activity, and while the answer is "not yet" it
calls again after a durable timer, with pauses that double from the first to the longest, until the
deadline. What an attempt learned is handed to the next one. An exhausted wait ends the step as
``unknown`` with the code of what was waited for; an activity that dies ends it as a step without an
answer. The custom status is the operation itself, so that it can be followed while it runs.

An operation stops on request (`cancel_event`). The safe points are between calls of activities: an
activity reads back what it wrote before it ends, so none is left in the middle. A pause ends at
once, and the step that paused is ``unknown`` with the code `CANCELLED`; steps after it are not run;
the last one, which writes the operation down, always is. Nothing is undone.

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
    cancel_event,
    from_json,
    to_json,
)

CANCELLED = "operation_cancelled"
"""The code of a step that waited for something when its operation was cancelled."""

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
    def wait_for_external_event(self, name: str) -> Any: ...
    def task_any(self, activities: list[Any]) -> Any: ...


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


class Cancellation:
    """The request to stop an operation; it may come at any time, and is seen while `or_end_of`
    waits. What the versions of the SDK call a task that has ended differs, so the one that ended
    first is known by itself."""

    def __init__(self, context: OrchestrationContext, operation: Operation) -> None:
        self._context, self._operation = context, operation
        self._event = context.wait_for_external_event(cancel_event(operation.id))
        self.requested = False

    def or_end_of(self, task: Any) -> Generator[Any, Any, None]:
        """Until ``task`` has ended, or the request has come, which is written down."""
        first = yield self._context.task_any([task, self._event])
        if first is self._event:
            self.requested = True
            self._operation.cancel_requested_at = utc_now(self._context)
            self._context.set_custom_status(status_of(self._operation))


def run_activity(
    context: OrchestrationContext,
    operation: Operation,
    step: Step,
    activity: str,
    call: dict[str, Any],
    pace: Pace,
    cancellation: Cancellation | None = None,
) -> Generator[Any, Any, StepResult]:
    """One step until it ends, its deadline passes or it is stopped while it pauses; ``step`` is
    filled in.

    ``call`` is the input of the activity. If it has ``facts``, each attempt is given what the ones
    before it learned. Without a ``cancellation`` the step cannot be stopped.
    """
    step.started_at = utc_now(context)
    deadline = step.started_at + timedelta(seconds=pace.deadline)
    learned: dict[str, Any] = {}
    pause = pace.first
    while True:
        step.attempts += 1
        context.set_custom_status(status_of(operation))
        work = context.call_activity(activity, call)
        if cancellation is not None:
            yield from cancellation.or_end_of(work)
        try:
            answer = yield work
        except Exception as error:  # noqa: BLE001 - the SDK raises a bare one for any failure
            result = _unanswered(step.name, error)
        else:
            result = from_json(answer, StepResult)
        learned |= result.facts
        result = from_json(to_json(result) | {"facts": learned}, StepResult)
        left = (deadline - utc_now(context)).total_seconds()
        asked = result.wait
        if asked is None:
            break
        if left <= 0:
            result = _exhausted(result, pace)
            break
        if "facts" in call:
            call = call | {"facts": call["facts"] | learned}
        step.message, step.code = result.message[:LONGEST_MESSAGE], result.code
        context.set_custom_status(status_of(operation))
        wait = min(max(asked, pause), left)
        if cancellation is None:
            yield context.create_timer(utc_now(context) + timedelta(seconds=wait))
        elif not cancellation.requested:
            timer = context.create_timer(utc_now(context) + timedelta(seconds=wait))
            yield from cancellation.or_end_of(timer)
            if cancellation.requested:
                timer.cancel()
        if cancellation is not None and cancellation.requested:
            result = _stopped(result)
            break
        pause = min(pause * 2, pace.longest)
    fill(step, result, utc_now(context))
    context.set_custom_status(status_of(operation))
    return result


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
    if result.code == CANCELLED:
        return OperationStatus.CANCELLED
    if result.wait is not None:
        return OperationStatus.WAITING
    if first and result.outcome is Outcome.FAILED:
        return OperationStatus.REFUSED
    return OperationStatus.FAILED


def status_after_all(results: Iterable[StepResult], *, cancelled: bool) -> OperationStatus:
    """What an operation comes to whose steps do not stop each other; ``cancelled``: some were not
    run on request."""
    stopped = [result for result in results if result.outcome.stops]
    if cancelled or any(result.code == CANCELLED for result in stopped):
        return OperationStatus.CANCELLED
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


def skip(step: Step, status: OperationStatus = OperationStatus.RUNNING) -> None:
    """Write down that a step was not run; ``status`` is what the operation has come to."""
    cancelled = status is OperationStatus.CANCELLED
    reason = "the operation was cancelled" if cancelled else "an earlier step did not succeed"
    step.outcome, step.message = Outcome.SKIPPED, f"not run, because {reason}"


def changed(operation: Operation) -> bool:
    """Whether a step so far changed something, or would in a dry run."""
    return any(step.outcome in (Outcome.CHANGED, Outcome.PLANNED) for step in operation.steps)


def _exhausted(result: StepResult, pace: Pace) -> StepResult:
    told = to_json(result)
    told["message"] = f"{result.message}. Waited {pace.deadline:g} s; nothing was undone"
    return from_json(told, StepResult)


def _stopped(result: StepResult) -> StepResult:
    """A step that was told to wait, and whose operation was cancelled: no wait is left of it."""
    return StepResult(
        outcome=Outcome.UNKNOWN,
        code=CANCELLED,
        message=f"{result.message}. Cancelled while it waited; nothing was undone",
        remediation="Send the request again: it goes on where this one stopped.",
        findings=result.findings,
        coverage=result.coverage,
        facts=result.facts,
    )


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
