"""Drives an orchestrator through the JSON replay of azure-functions-durable 1.x.

In the cloud the host extension feeds the SDK the history of an instance, the SDK runs the
orchestrator over it from the start and answers with every action asked for so far, and the host
carries out the new ones. `replay` plays the host, with the SDK's own executor on the other side:

- one completion per episode, in a chosen order, with the extension's event codes and ids (ids count
  every action, also the hidden timers and repetitions of retried calls);
- at every episode the SDK runs twice over the same history, and both runs must ask for the same,
  and what was asked for before must be asked for again: an orchestrator that looks at a clock, at
  chance or at the environment is caught;
- a failed call is "failed, timer, scheduled again" until the attempts are used up, with one more
  timer after the last, as the SDK's replay expects.

Time is simulated and only moves when a timer fires. Left out: entities, `call_http`, suspension.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from azure.durable_functions.models.actions.ActionType import ActionType
from azure.durable_functions.models.history.HistoryEventType import HistoryEventType
from azure.functions._durable_functions import df_dumps, df_loads

with warnings.catch_warnings():
    # The SDK tells once in each process that types of payloads are not given. It is told here.
    warnings.simplefilter("ignore")
    df_loads("null")

START = datetime(2026, 1, 1, tzinfo=UTC)
MAX_EPISODES = 1000

_OUT_OF_PROCESS_DATA = "\n\n$OutOfProcData$:"

Handle = Callable[[str], str]


class NonDeterminismError(AssertionError):
    """A replay asked for something else than the one before."""


class StuckError(AssertionError):
    """The orchestrator waits for something that nobody will ever deliver."""


@dataclass
class ReplayResult:
    """What an orchestrator did."""

    output: Any = None
    #: text of the exception that ended it, or None
    error: str | None = None
    #: distinct custom statuses, in order
    custom_statuses: list[Any] = field(default_factory=list)
    #: actions of the last life, as the SDK sent them (compound ones nested)
    actions: list[dict[str, Any]] = field(default_factory=list)
    #: activity calls that were carried out: name and input
    calls: list[tuple[str, Any]] = field(default_factory=list)
    #: due times of the timers that fired, those of retries left out
    timers: list[datetime] = field(default_factory=list)
    #: events of the last life
    history: list[dict[str, Any]] = field(default_factory=list)
    #: how often the orchestrator ran from its start
    replays: int = 0
    #: inputs of every life, the first and those of `continue_as_new`
    inputs: list[Any] = field(default_factory=list)

    @property
    def called(self) -> list[str]:
        """Names of the activities, in the order in which they were carried out."""
        return [name for name, _ in self.calls]


@dataclass
class _Pending:
    """A scheduled action that has no completion yet."""

    id: int
    kind: ActionType
    action: dict[str, Any]
    fire_at: datetime | None = None
    attempt: int = 1
    #: the call that a hidden timer will repeat
    repeats: _Pending | None = None

    @property
    def retries(self) -> bool:
        return "retryOptions" in self.action


def replay(
    handle: Handle,
    input_: Any = None,
    activities: Mapping[str, Callable[[Any], Any]] | None = None,
    *,
    instance_id: str = "instance",
    timers: Literal["fire", "hold"] = "fire",
    events: Sequence[tuple[str, Any]] = (),
    once: Callable[[ReplayResult], bool] = lambda so_far: True,
    sub_orchestrators: Mapping[str, Callable[..., Any]] | None = None,
    order: Literal["first", "last"] = "first",
    start: datetime = START,
) -> ReplayResult:
    """Run an orchestrator to its end.

    Args:
        handle: the decorated orchestrator as the SDK registered it (`get_user_function()`).
        input_: its input.
        activities: by name, functions of one (decoded) argument; sync or async.
        instance_id: its id.
        timers: `fire`: when nothing else can complete, the next timer fires; `hold`: timers never
            fire, except those between attempts of a retried call.
        events: external events, raised one by one as soon as the orchestrator waits for the name.
        once: what must hold of the result so far before an event is raised.
        sub_orchestrators: by name, handles (replayed in turn) or functions of one argument.
        order: which of several finished calls is reported first.
        start: when it begins.

    Raises:
        NonDeterminismError: two replays differ.
        StuckError: nothing that the orchestrator waits for can happen.
    """
    host = _Host(
        handle, instance_id, dict(activities or {}), dict(sub_orchestrators or {}), list(events)
    )
    host.fire_timers, host.order, host.now = timers == "fire", order, start
    host.once = once
    with asyncio.Runner() as runner:
        host.runner = runner
        return host.run(input_)


class _Host:
    def __init__(
        self,
        handle: Handle,
        instance_id: str,
        activities: dict[str, Callable[[Any], Any]],
        sub_orchestrators: dict[str, Callable[..., Any]],
        events: list[tuple[str, Any]],
    ) -> None:
        self._handle = handle
        self._instance_id = instance_id
        self._activities = activities
        self._sub_orchestrators = sub_orchestrators
        self._events = events
        self.fire_timers = True
        self.order = "first"
        self.once: Callable[[ReplayResult], bool] = lambda so_far: True
        self.now = START
        self.runner: asyncio.Runner
        self._result = ReplayResult()
        self._history: list[dict[str, Any]] = []
        self._pending: list[_Pending] = []
        self._next_id = 0
        self._known = 0

    # -- lives and episodes ----------------------------------------------------------------------

    def run(self, input_: Any) -> ReplayResult:
        """One life after another."""
        again: str | None = df_dumps(input_)
        while again is not None:
            self._result.inputs.append(df_loads(again, object))
            again = self._live(again)
        return self._result

    def _live(self, encoded: str) -> str | None:
        """One life; returns the input of the next one, if there is one."""
        self._history, self._pending, self._next_id, self._known = [], [], 0, 0
        before: list[dict[str, Any]] = []
        self._begin_episode()
        started = HistoryEventType.EXECUTION_STARTED
        self._append(started, Name="orchestrator", Input=json.dumps(encoded))
        for _ in range(MAX_EPISODES):
            state = self._episode(encoded)
            actions = [action for row in state["actions"] for action in row]
            _check_same(before, actions)
            before = actions
            self._note(state, actions)
            if state.get("isDone") or "error" in state:
                self._append(HistoryEventType.ORCHESTRATOR_COMPLETED)
                return self._end(state, actions)
            self._schedule(actions)
            self._append(HistoryEventType.ORCHESTRATOR_COMPLETED)
            for event in self._history:
                event["IsPlayed"] = True
            self._deliver_one(actions)
        raise StuckError(f"no end after {MAX_EPISODES} episodes")

    def _episode(self, encoded: str) -> dict[str, Any]:
        first, second = self._ask(encoded), self._ask(encoded)
        if first != second:
            raise NonDeterminismError(
                f"two runs over one history differ:\n{json.dumps(first)}\n{json.dumps(second)}"
            )
        return first

    def _ask(self, encoded: str) -> dict[str, Any]:
        self._result.replays += 1
        context = {
            "history": self._history,
            "instanceId": self._instance_id,
            "isReplaying": len(self._history) > 2,
            "parentInstanceId": None,
            "input": encoded,
            "upperSchemaVersion": 1,
            "upperSchemaVersionNew": 2,
            "maximumShortTimerDuration": "6.00:00:00",
            "longRunningTimerIntervalDuration": "3.00:00:00",
        }
        try:
            answer = self._handle(json.dumps(context))
        except Exception as error:
            message, found, data = str(error).partition(_OUT_OF_PROCESS_DATA)
            if not found:
                raise
            failed: dict[str, Any] = {"error": message, **json.loads(data)}
            return failed
        state: dict[str, Any] = json.loads(answer)
        return state

    def _note(self, state: dict[str, Any], actions: list[dict[str, Any]]) -> None:
        status = state.get("customStatus")
        statuses = self._result.custom_statuses
        if status is not None and (not statuses or statuses[-1] != status):
            statuses.append(status)
        self._result.actions = actions
        self._result.history = self._history

    def _end(self, state: dict[str, Any], actions: list[dict[str, Any]]) -> str | None:
        if "error" in state:
            self._result.error = state["error"]
            return None
        for action in actions:
            if action["actionType"] == ActionType.CONTINUE_AS_NEW:
                return str(action["input"])
        self._result.output = state.get("output")
        return None

    # -- scheduling ------------------------------------------------------------------------------

    def _schedule(self, actions: list[dict[str, Any]]) -> None:
        flat = list(_flatten(actions))
        for action in flat[self._known :]:
            kind = ActionType(action["actionType"])
            if kind is not ActionType.WAIT_FOR_EXTERNAL_EVENT:
                self._schedule_one(kind, action)
        self._known = len(flat)
        cancelled = [a["fireAt"] for a in flat if a.get("isCanceled")]
        for pending in list(self._pending):
            if pending.repeats is None and pending.action.get("fireAt") in cancelled:
                self._pending.remove(pending)

    def _schedule_one(self, kind: ActionType, action: dict[str, Any]) -> None:
        pending = _Pending(self._take_id(), kind, action)
        if kind is ActionType.CREATE_TIMER:
            pending.fire_at = datetime.fromisoformat(action["fireAt"])
            self._created_timer(pending)
        else:
            self._scheduled_call(pending)
        self._pending.append(pending)

    def _scheduled_call(self, pending: _Pending) -> None:
        action = pending.action
        if _is_sub_orchestration(pending.kind):
            event = HistoryEventType.SUB_ORCHESTRATION_INSTANCE_CREATED
            child = action.get("instanceId") or f"{self._instance_id}:{pending.id}"
            self._append(
                event,
                pending.id,
                Name=action["functionName"],
                InstanceId=child,
                Input=json.dumps(action["input"]),
            )
        else:
            event = HistoryEventType.TASK_SCHEDULED
            self._append(event, pending.id, Name=action["functionName"], Input=action["input"])

    def _created_timer(self, pending: _Pending) -> None:
        assert pending.fire_at is not None
        created = HistoryEventType.TIMER_CREATED
        self._append(created, pending.id, FireAt=_text(pending.fire_at))

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    # -- completions -----------------------------------------------------------------------------

    def _deliver_one(self, actions: list[dict[str, Any]]) -> None:
        """Let one thing happen, the first of: an event, a call, a timer."""
        waited = {a["externalEventName"] for a in _flatten(actions) if "externalEventName" in a}
        for index, (name, payload) in enumerate(self._events):
            if name in waited and self.once(self._result):
                del self._events[index]
                self._begin_episode()
                raised = HistoryEventType.EVENT_RAISED
                self._append(raised, Name=name, Input=df_dumps(payload))
                return
        calls = [each for each in self._pending if each.fire_at is None]
        if calls:
            self._complete(calls[0 if self.order == "first" else -1])
            return
        due = [each for each in self._pending if self.fire_timers or each.repeats is not None]
        if not due:
            waits = ", ".join(sorted(waited)) or "a timer"
            raise StuckError(f"'{self._instance_id}' waits for {waits} for ever")
        self._fire(min(due, key=lambda each: (each.fire_at or self.now, each.id)))

    def _complete(self, call: _Pending) -> None:
        self._pending.remove(call)
        sub = _is_sub_orchestration(call.kind)
        try:
            value = self._sub_orchestrate(call) if sub else self._act(call)
            encoded = df_dumps(value)
        except Exception as error:  # noqa: BLE001 - whatever a call raises goes into the history
            self._fail(call, error)
            return
        self._begin_episode()
        event = (
            HistoryEventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED
            if sub
            else HistoryEventType.TASK_COMPLETED
        )
        self._append(event, TaskScheduledId=call.id, Result=encoded)

    def _act(self, call: _Pending) -> Any:
        name, value = call.action["functionName"], df_loads(call.action["input"], object)
        self._result.calls.append((name, value))
        outcome = self._activities[name](value)
        return self.runner.run(_awaited(outcome)) if inspect.isawaitable(outcome) else outcome

    def _sub_orchestrate(self, call: _Pending) -> Any:
        name, encoded = call.action["functionName"], call.action["input"]
        target = self._sub_orchestrators[name]
        if not hasattr(target, "orchestrator_function"):
            return target(df_loads(encoded, object))
        child_id = call.action.get("instanceId") or f"{self._instance_id}:{call.id}"
        child = _Host(target, child_id, self._activities, self._sub_orchestrators, self._events)
        child.fire_timers, child.order, child.now = self.fire_timers, self.order, self.now
        child.runner = self.runner
        result = child.run(df_loads(encoded, object))
        self._result.calls.extend(result.calls)
        self.now = child.now
        if result.error is not None:
            raise _SubOrchestrationFailedError(
                f"Orchestrator function '{name}' failed: {result.error}"
            )
        return result.output

    def _fail(self, call: _Pending, error: Exception) -> None:
        self._begin_episode()
        if isinstance(error, _SubOrchestrationFailedError):
            reason = str(error)
        else:
            name = call.action["functionName"]
            reason = f"Activity function '{name}' failed: {type(error).__name__}: {error}"
        event = (
            HistoryEventType.SUB_ORCHESTRATION_INSTANCE_FAILED
            if _is_sub_orchestration(call.kind)
            else HistoryEventType.TASK_FAILED
        )
        details = "".join(traceback.format_exception_only(error))
        self._append(event, TaskScheduledId=call.id, Reason=reason, Details=details)
        if call.retries:
            pause = call.action["retryOptions"]["firstRetryIntervalInMilliseconds"]
            fire_at = self.now + timedelta(milliseconds=pause)
            timer = _Pending(self._take_id(), ActionType.CREATE_TIMER, {}, fire_at, repeats=call)
            self._created_timer(timer)
            self._pending.append(timer)

    def _fire(self, timer: _Pending) -> None:
        assert timer.fire_at is not None
        self._pending.remove(timer)
        self.now = max(self.now, timer.fire_at)
        self._begin_episode()
        fired = HistoryEventType.TIMER_FIRED
        self._append(fired, TimerId=timer.id, FireAt=_text(timer.fire_at))
        call = timer.repeats
        if call is None:
            self._result.timers.append(timer.fire_at)
        elif call.attempt < call.action["retryOptions"]["maxNumberOfAttempts"]:
            again = _Pending(self._take_id(), call.kind, call.action, attempt=call.attempt + 1)
            self._scheduled_call(again)
            self._pending.append(again)

    # -- history ---------------------------------------------------------------------------------

    def _begin_episode(self) -> None:
        self._append(HistoryEventType.ORCHESTRATOR_STARTED)

    def _append(self, kind: HistoryEventType, event_id: int = -1, **fields: Any) -> None:
        self._history.append(
            {
                "EventType": int(kind),
                "EventId": event_id,
                "IsPlayed": False,
                "Timestamp": _text(self.now),
                "Version": "",
                **fields,
            }
        )


class _SubOrchestrationFailedError(Exception):
    """A sub-orchestration ended with an error; the text is the reason."""


async def _awaited(value: Any) -> Any:
    return await value


def _flatten(actions: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Actions in the order in which the host meets them, compound ones taken apart."""
    for action in actions:
        if "compoundActions" in action:
            yield from _flatten(action["compoundActions"])
        else:
            yield action


def _check_same(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> None:
    """What was asked for stays asked for. (Only the cancellation of a timer may come later.)"""
    old, new = list(_flatten(before)), list(_flatten(now))
    for index, action in enumerate(old):
        repeated = new[index] if index < len(new) else None
        if _lasting(action) != _lasting(repeated):
            raise NonDeterminismError(
                f"action {index} was {json.dumps(action)} and is now {json.dumps(repeated)}"
            )


def _lasting(action: dict[str, Any] | None) -> dict[str, Any] | None:
    return action and {key: value for key, value in action.items() if key != "isCanceled"}


def _is_sub_orchestration(kind: ActionType) -> bool:
    return kind in (ActionType.CALL_SUB_ORCHESTRATOR, ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
