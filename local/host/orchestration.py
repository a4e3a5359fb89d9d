"""Orchestrators of azure-functions-durable 1.x on the engine of `durabletask`.

A 1.x orchestrator is a generator over a `context`. The adapter gives it one with the same surface
and translates each task it yields. Where the two differ, 1.x wins, because that is what runs in the
cloud:

- A task is scheduled when it is yielded, not when it is made. One that is never yielded never runs.
- A failed task raises plain `Exception`, with the text "<reason> \\n <details>".
- `task_all([])` and `task_any([])` complete at once with None.
- After a failure in `task_all` the rest still runs to its end before the orchestration goes on
  (the host extension awaits all of them before it schedules what follows).
- An orchestration with a timer that is neither fired nor cancelled does not complete before it.
- A custom status of more than 16 KB (UTF-16) fails the orchestration.

Left out: entities, `call_http`, and the `version` of sub-orchestrations. Using one raises
AttributeError or TypeError here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime, timedelta
from types import GeneratorType
from typing import Any
from uuid import NAMESPACE_OID, NAMESPACE_URL, UUID, uuid5

from azure.durable_functions import RetryOptions
from azure.durable_functions.constants import DATETIME_STRING_FORMAT
from azure.durable_functions.decorators.metadata import ActivityTrigger, OrchestrationTrigger
from azure.durable_functions.models.Task import TaskState
from azure.functions.decorators.function_app import FunctionBuilder
from durabletask import task as durable

from local.host.payloads import decode, encode, unwrap, wrap

_log = logging.getLogger("host.orchestration")

#: Namespace of `new_uuid` in the SDK.
_UUID_NAMESPACE = uuid5(NAMESPACE_OID, "9e952958-5e33-4daf-827f-2fa12937b875")

CUSTOM_STATUS_LIMIT = 16 * 1024

Orchestrator = Callable[[Any], Any]


class OrchestratorFailedError(Exception):
    """An orchestrator raised; the text is what the host extension puts into the output."""


class CustomStatusTooLongError(ValueError):
    """A custom status that the host extension refuses."""


class Task:
    """A task of the 1.x SDK: `result`, `state`, `is_completed`."""

    def __init__(self) -> None:
        self._engine_task: durable.Task[Any] | None = None
        self._outcome: tuple[TaskState, Any] | None = None

    def schedule(self) -> durable.Task[Any]:
        """Ask the engine for it, once."""
        if self._engine_task is None:
            self._engine_task = self._start()
        return self._engine_task

    @property
    def state(self) -> TaskState:
        """Running, succeeded or failed."""
        return self._settled()[0]

    @property
    def is_completed(self) -> bool:
        """Whether it ended, well or not."""
        return self.state is not TaskState.RUNNING

    @property
    def result(self) -> Any:
        """Value, or the exception if it failed; None while it runs."""
        return self._settled()[1]

    def _settled(self) -> tuple[TaskState, Any]:
        if self._outcome is None:
            task = self._engine_task
            if task is None or not task.is_complete:
                return TaskState.RUNNING, None
            if task.is_failed:
                self._outcome = TaskState.FAILED, self._failure(task.get_exception())
            else:
                self._outcome = TaskState.SUCCEEDED, self._value(task)
        return self._outcome

    def _start(self) -> durable.Task[Any]:
        raise NotImplementedError

    def _value(self, task: durable.Task[Any]) -> Any:
        return decode(task.get_result())

    def _failure(self, error: durable.TaskFailedError) -> Exception:
        details = error.details
        return Exception(f"{details.message} \n {details.stack_trace or ''}")


class AtomicTask(Task):
    """An activity, a sub-orchestration or an external event."""

    def __init__(self, start: Callable[[], durable.Task[Any]]) -> None:
        super().__init__()
        self._start_with = start

    def _start(self) -> durable.Task[Any]:
        return self._start_with()


class TimerTask(AtomicTask):
    """A durable timer."""

    def __init__(self, start: Callable[[], durable.Task[Any]]) -> None:
        super().__init__(start)
        self.is_cancelled = False

    def cancel(self) -> None:
        """Give up the timer.

        Raises:
            ValueError: if it has fired already.
        """
        if self.is_completed:
            raise ValueError("Cannot cancel a completed task.")
        self.is_cancelled = True

    @property
    def outstanding(self) -> bool:
        """Scheduled, and neither fired nor cancelled."""
        return self._engine_task is not None and not self.is_completed and not self.is_cancelled

    def _value(self, task: durable.Task[Any]) -> None:
        return None


class CompoundTask(Task):
    """`task_all` or `task_any`."""

    def __init__(self, children: Sequence[Task]) -> None:
        super().__init__()
        self.children = list(children)
        if not self.children:
            self._outcome = TaskState.SUCCEEDED, None

    def _started_children(self) -> list[durable.Task[Any]]:
        return [child.schedule() for child in self.children]


class WhenAllTask(CompoundTask):
    """Completes when every child has; its value is the list of their values."""

    def _start(self) -> durable.Task[Any]:
        return durable.when_all(self._started_children())

    def _value(self, task: durable.Task[Any]) -> Any:
        return [child.result for child in self.children]

    def _failure(self, error: durable.TaskFailedError) -> Exception:
        for child in self.children:
            started = child.schedule()
            if started.is_failed and started.get_exception() is error:
                failure: Exception = child.result
                return failure
        return super()._failure(error)


class WhenAnyTask(CompoundTask):
    """Completes with the first child that does; its value is that child."""

    def _start(self) -> durable.Task[Any]:
        return durable.when_any(self._started_children())

    def _value(self, task: durable.Task[Any]) -> Any:
        winner = task.get_result()
        return next(child for child in self.children if child.schedule() is winner)


class OrchestrationContext:
    """What an orchestrator sees: `azure.durable_functions.DurableOrchestrationContext` of 1.x."""

    def __init__(
        self,
        engine: durable.OrchestrationContext,
        encoded_input: str | None,
        parent_instance_id: str | None = None,
    ) -> None:
        self._engine = engine
        self._input = encoded_input
        self._uuids = 0
        self._custom_status: Any = None
        self._continue_with: str | None = None
        self.parent_instance_id = parent_instance_id
        self.timers: list[TimerTask] = []

    # -- facts -----------------------------------------------------------------------------------

    @property
    def instance_id(self) -> str:
        """Id of this orchestration."""
        return self._engine.instance_id

    @property
    def is_replaying(self) -> bool:
        """Whether the code runs over history."""
        return self._engine.is_replaying

    @property
    def current_utc_datetime(self) -> datetime:
        """Aware time of the present episode, the same at every replay."""
        return self._engine.current_utc_datetime.replace(tzinfo=UTC)

    @property
    def custom_status(self) -> Any:
        """What was set last."""
        return self._custom_status

    @property
    def will_continue_as_new(self) -> bool:
        """Whether `continue_as_new` was called."""
        return self._continue_with is not None

    def get_input(self, expected_type: type | None = None) -> Any:
        """Input of the orchestration."""
        return unwrap(self._input)

    def new_uuid(self) -> str:
        """A UUID that is the same at every replay (formula of the SDK)."""
        moment = self.current_utc_datetime.strftime(DATETIME_STRING_FORMAT)
        return str(uuid5(_UUID_NAMESPACE, f"{self.instance_id}_{moment}_{self._next_uuid()}"))

    def new_guid(self) -> UUID:
        """As `new_uuid`, by the SDK's other formula."""
        name = f"{self.instance_id}_{self.current_utc_datetime}_{self._next_uuid()}"
        return uuid5(NAMESPACE_URL, name)

    def _next_uuid(self) -> int:
        self._uuids += 1
        return self._uuids - 1

    # -- wishes ----------------------------------------------------------------------------------

    def set_custom_status(self, status: Any) -> None:
        """Publish progress; seen from the next yield on."""
        self._custom_status = status

    def publish_custom_status(self) -> None:
        """Hand the status to the engine, as the host does when the orchestrator has yielded.

        Raises:
            CustomStatusTooLongError: over 16 KB.
        """
        if not self._custom_status:
            self._engine.set_custom_status(None)
            return
        text = encode(self._custom_status)
        size = len(text.encode("utf-16-le"))
        if size > CUSTOM_STATUS_LIMIT:
            raise CustomStatusTooLongError(
                "The UTF-16 size of the JSON-serialized payload must not exceed 16 KB."
                f" The current size is {size // 1024} KB."
            )
        self._engine.set_custom_status(text)

    def continue_as_new(self, input_: Any) -> None:
        """Begin again with another input and an empty history; unread events are lost."""
        self._continue_with = wrap(input_)

    def begin_again(self) -> None:
        """Tell the engine what `continue_as_new` asked for."""
        self._engine.continue_as_new(self._continue_with, save_events=False)

    def call_activity(
        self,
        name: str | FunctionBuilder,
        input_: Any = None,
        expected_type: type | None = None,
    ) -> Task:
        """Run an activity, given by name or by its decorated function."""
        return self._activity(name, input_, None)

    def call_activity_with_retry(
        self,
        name: str | FunctionBuilder,
        retry_options: RetryOptions,
        input_: Any = None,
        expected_type: type | None = None,
    ) -> Task:
        """Run an activity, again after a failure as `retry_options` say."""
        return self._activity(name, input_, _policy(retry_options))

    def _activity(
        self, name: str | FunctionBuilder, input_: Any, policy: durable.RetryPolicy | None
    ) -> Task:
        function, text = _function_name(name, ActivityTrigger), encode(input_)
        return AtomicTask(
            lambda: self._engine.call_activity(function, input=text, retry_policy=policy)
        )

    def call_sub_orchestrator(
        self,
        name: str | FunctionBuilder,
        input_: Any = None,
        instance_id: str | None = None,
        expected_type: type | None = None,
    ) -> Task:
        """Run another orchestrator as a part of this one."""
        return self._sub_orchestrator(name, input_, instance_id, None)

    def call_sub_orchestrator_with_retry(
        self,
        name: str | FunctionBuilder,
        retry_options: RetryOptions,
        input_: Any = None,
        instance_id: str | None = None,
        expected_type: type | None = None,
    ) -> Task:
        """Run another orchestrator, again after a failure as `retry_options` say."""
        return self._sub_orchestrator(name, input_, instance_id, _policy(retry_options))

    def _sub_orchestrator(
        self,
        name: str | FunctionBuilder,
        input_: Any,
        instance_id: str | None,
        policy: durable.RetryPolicy | None,
    ) -> Task:
        function, text = _function_name(name, OrchestrationTrigger), wrap(input_)
        return AtomicTask(
            lambda: self._engine.call_sub_orchestrator(
                function, input=text, instance_id=instance_id, retry_policy=policy
            )
        )

    def create_timer(self, fire_at: datetime) -> TimerTask:
        """Wait until a time (UTC)."""
        if not isinstance(fire_at, datetime):
            raise ValueError(  # noqa: TRY004 - as the SDK does
                "fireAt: Expected valid datetime object but got ", fire_at
            )
        timer = TimerTask(lambda: self._engine.create_timer(fire_at))
        self.timers.append(timer)
        return timer

    def wait_for_external_event(self, name: str, expected_type: type | None = None) -> Task:
        """Wait for an event of this name; one that came before is taken."""
        if not name:
            raise ValueError("external_event_name cannot be empty")
        return AtomicTask(lambda: self._engine.wait_for_external_event(name))

    def task_all(self, activities: Sequence[Task]) -> Task:
        """All of them."""
        return WhenAllTask(activities)

    def task_any(self, activities: Sequence[Task]) -> Task:
        """The first of them."""
        return WhenAnyTask(activities)


def adapt(
    name: str, orchestrator: Orchestrator, parent_of: Callable[[str], str | None]
) -> Callable[[durable.OrchestrationContext, Any], Generator[durable.Task[Any], Any, Any]]:
    """An orchestrator of `durabletask` that runs the 1.x orchestrator `name`."""

    def run(engine: durable.OrchestrationContext, encoded_input: Any) -> Any:
        context = OrchestrationContext(engine, encoded_input, parent_of(engine.instance_id))
        try:
            output = yield from _drive(orchestrator(context), context)
            context.publish_custom_status()
            if context.will_continue_as_new:
                context.begin_again()
                return None
            for timer in context.timers:
                if timer.outstanding:
                    yield timer.schedule()
            return None if output is None else encode(output)
        except Exception as error:
            # Whatever an orchestrator raises ends it, under the text the host extension gives it.
            reason = str(error) or str(type(error))
            if not isinstance(error, CustomStatusTooLongError):
                context.publish_custom_status()
            if not engine.is_replaying:
                _log.error("orchestrator '%s' failed: %s", name, reason, exc_info=error)
            raise OrchestratorFailedError(
                f"Orchestrator function '{name}' failed: {reason}"
            ) from error

    run.__name__ = name
    return run


def _drive(
    orchestrator: Any, context: OrchestrationContext
) -> Generator[durable.Task[Any], Any, Any]:
    """Run the user's generator to its end, yielding the engine's tasks."""
    if not isinstance(orchestrator, GeneratorType):
        return orchestrator
    value: Any = None
    error: Exception | None = None
    while True:
        try:
            wanted = orchestrator.send(value) if error is None else orchestrator.throw(error)
        except StopIteration as stop:
            return stop.value
        if context.will_continue_as_new:
            # The SDK records nothing after `continue_as_new` and ends the episode.
            orchestrator.close()
            return None
        if not isinstance(wanted, Task):
            raise TypeError(f"an orchestrator yielded {type(wanted).__name__}, which is no task")
        context.publish_custom_status()
        value, error = None, None
        while not wanted.is_completed:
            started = wanted.schedule()
            if not started.is_complete:
                try:
                    yield started
                except durable.TaskFailedError:
                    # The task tells below, in the words of 1.x.
                    break
        if wanted.state is TaskState.FAILED:
            error = wanted.result
        else:
            value = wanted.result


def _policy(options: RetryOptions) -> durable.RetryPolicy:
    return durable.RetryPolicy(
        first_retry_interval=timedelta(milliseconds=options.first_retry_interval_in_milliseconds),
        max_number_of_attempts=options.max_number_of_attempts,
    )


def _function_name(name: str | FunctionBuilder, trigger: type) -> str:
    if isinstance(name, FunctionBuilder):
        function = name._function
        actual = function.get_trigger()
        if not isinstance(actual, trigger):
            raise ValueError(  # noqa: TRY004 - as the SDK does
                f"Received function with Trigger-type `{getattr(actual, 'type', None)}`"
                f" but expected `{trigger.get_binding_name()}`."  # type: ignore[attr-defined]
            )
        # The SDK takes the Python name, whatever `function_name` says.
        return str(function._name)
    if callable(name):
        raise ValueError(  # noqa: TRY004 - as the SDK does
            "a plain function is no activity or orchestrator; decorate it or name it"
        )
    if not name:
        raise ValueError("function_name cannot be empty")
    return name
