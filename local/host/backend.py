"""The in-memory backend of `durabletask`, made fit to host a product.

Microsoft wrote it for unit tests. What is changed here, and why:

- It is driven inside the process (see `engine`) and listens nowhere. The original serves gRPC on a
  fixed port of every interface.
- Durable timers live in a `TimerQueue` instead of one sleeping thread each.
- A parent hears of its sub-orchestration however long that takes. The original gives up silently
  after 30 seconds.
- Results that belong to an earlier life of an instance (replaced, terminated, continued as new) are
  dropped. The original hands them to the new life, as the real store would not: it keys every
  message by execution id.
- A terminated orchestration starts nothing more.
- History keeps real timestamps and what came before a `continue_as_new`.

State is lost on exit; there is no persistence and no second worker.
"""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import durabletask.internal.helpers as helpers
import durabletask.internal.orchestrator_service_pb2 as pb
from durabletask.testing import InMemoryOrchestrationBackend
from durabletask.testing.in_memory_backend import OrchestrationInstance

from local.host.clockwork import TimerQueue

#: Events one instance may have. The real store has no such limit; this one stops a runaway loop.
MAX_HISTORY = 200_000

_log = logging.getLogger("host.durable")

_STARTS_WORK = ("scheduleTask", "createTimer", "createSubOrchestration")


class BackendError(Exception):
    """The backend answered a call with a gRPC status instead of a result."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        #: name of the status, such as `ALREADY_EXISTS`
        self.code = code


class CallContext:
    """Stands for the gRPC context of a call made inside the process."""

    def __init__(self, active: Callable[[], bool] = lambda: True) -> None:
        self._active = active

    def is_active(self) -> bool:
        """Whether the caller still listens."""
        return self._active()

    def time_remaining(self) -> float | None:
        """No deadline."""
        return None

    def abort(self, code: Any, details: str) -> None:
        """End the call with an error."""
        raise BackendError(code.name, details)


class Backend(InMemoryOrchestrationBackend):
    """Orchestration instances, their histories and the work they ask for."""

    def __init__(self, max_history: int = MAX_HISTORY) -> None:
        super().__init__(max_history_size=sys.maxsize, port=0)
        self._limit = max_history
        self._timers = TimerQueue()
        self._letting_go = False
        self._numbers = itertools.count(1)
        #: instance id -> number of its present life
        self._lives: dict[str, int] = {}
        #: sub-orchestration -> who waits for it: parent, the parent's life, task id
        self._waiting: dict[str, list[tuple[str, int, int]]] = {}
        self._parents: dict[str, str] = {}
        self._earlier: dict[str, list[pb.HistoryEvent]] = {}

    # -- life of the backend ---------------------------------------------------------------------

    def start(self) -> str:
        """Get ready for calls inside the process; returns no address, because nothing listens."""
        self._shutdown_event.clear()
        self._letting_go = False
        self._timers.start()
        return ""

    def stop(self, grace: float | None = None) -> None:
        """Stop timers and streams of work; instances can still be read."""
        self._timers.stop()
        super().stop(grace)

    # -- reading ---------------------------------------------------------------------------------

    def instance(self, instance_id: str) -> OrchestrationInstance | None:
        """One instance, or None."""
        with self._lock:
            return self._instances.get(instance_id)

    def all_instances(self) -> list[OrchestrationInstance]:
        """Every instance, oldest first."""
        with self._lock:
            return sorted(self._instances.values(), key=lambda each: each.created_at)

    def parent_of(self, instance_id: str) -> str | None:
        """Instance that started this one as a sub-orchestration."""
        with self._lock:
            return self._parents.get(instance_id)

    def history_of(self, instance_id: str, *, every_life: bool = False) -> list[pb.HistoryEvent]:
        """Events of an instance; `every_life`: from before each `continue_as_new` too."""
        with self._lock:
            instance = self._instances.get(instance_id)
            if instance is None:
                return []
            earlier = self._earlier.get(instance_id, []) if every_life else []
            return [self._clone_history_event(event) for event in [*earlier, *instance.history]]

    def wait_for(
        self,
        instance_id: str,
        predicate: Callable[[OrchestrationInstance], bool],
        timeout: float,
    ) -> OrchestrationInstance | None:
        """Wait until an instance fits; None if it took longer than `timeout` seconds, or if nobody
        is to wait any more.

        It is looked at after every episode of its orchestrator.
        """

        def fits_or_let_go(instance: OrchestrationInstance) -> bool:
            # Asked under the lock: who comes just after `release_waiters` must not wait either.
            return self._letting_go or predicate(instance)

        found = self._wait_for_state(instance_id, fits_or_let_go, timeout)
        return found if found is not None and predicate(found) else None

    def release_waiters(self) -> None:
        """Let everybody go who waits for an instance, now or later; they get None."""
        with self._lock:
            self._letting_go = True
            for waiters in self._state_waiters.values():
                for waiter in waiters:
                    waiter.event.set()
            self._state_waiters.clear()

    def finished(self, instance: OrchestrationInstance) -> bool:
        """Whether it completed, failed or was terminated."""
        return self._is_terminal_status(instance.status)

    def is_present_life(self, instance_id: str, life: str) -> bool:
        """Whether a work item with this completion token still concerns the instance."""
        with self._lock:
            instance = self._instances.get(instance_id)
            return (
                instance is not None
                and not self.finished(instance)
                and life == str(self._lives.get(instance_id))
            )

    # -- changes of life -------------------------------------------------------------------------

    def StartInstance(  # noqa: N802 - name of the service's method
        self, request: pb.CreateInstanceRequest, context: Any
    ) -> pb.CreateInstanceResponse:
        """As the original; the instance begins a new life."""
        with self._lock:
            response = super().StartInstance(request, context)
            self._begin_life(response.instanceId)
            self._parents.pop(response.instanceId, None)
            return response

    def _create_instance_internal(
        self,
        instance_id: str,
        name: str,
        encoded_input: str | None = None,
        version: str | None = None,
    ) -> None:
        super()._create_instance_internal(instance_id, name, encoded_input, version)
        self._begin_life(instance_id)

    def _begin_life(self, instance_id: str) -> None:
        self._lives[instance_id] = next(self._numbers)
        self._earlier.pop(instance_id, None)
        self._waiting.pop(instance_id, None)

    def _process_complete_orchestration_action(
        self, instance: OrchestrationInstance, complete_action: pb.CompleteOrchestrationAction
    ) -> None:
        again = complete_action.orchestrationStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW
        if again:
            _stamp(instance.history)
            self._earlier.setdefault(instance.instance_id, []).extend(instance.history)
            self._lives[instance.instance_id] = next(self._numbers)
        super()._process_complete_orchestration_action(instance, complete_action)

    # -- work ------------------------------------------------------------------------------------

    def _enqueue_orchestration(self, instance_id: str) -> None:
        super()._enqueue_orchestration(instance_id)
        # The original signals only if the id was not queued; a queued id that waited for its
        # turn in flight would then be seen at the next poll only.
        self._work_available.set()

    def CompleteOrchestratorTask(  # noqa: N802 - name of the service's method
        self, request: pb.OrchestratorResponse, context: Any
    ) -> pb.CompleteTaskResponse:
        """As the original; a terminated orchestration's further wishes are not fulfilled.

        An orchestration that outgrows the history limit fails with that reason. (The original
        refuses the call, which leaves the orchestration running for ever.)
        """
        with self._lock:
            self._check(request)
            response = super().CompleteOrchestratorTask(request, context)
            instance = self._instances.get(request.instanceId)
            if instance is not None:
                _stamp(instance.history)
        self._work_available.set()
        return response

    def _check(self, request: pb.OrchestratorResponse) -> None:
        instance = self._instances.get(request.instanceId)
        if instance and len(instance.history) + len(instance.dispatched_events) > self._limit:
            reason = f"history is longer than {self._limit} events; continue as new earlier"
            details = pb.TaskFailureDetails(errorType="HistoryTooLong", errorMessage=reason)
            status = pb.ORCHESTRATION_STATUS_FAILED
            action = helpers.new_complete_orchestration_action(-1, status, None, details)
            del request.actions[:]
            request.actions.append(action)
        elif any(
            action.completeOrchestration.orchestrationStatus == pb.ORCHESTRATION_STATUS_TERMINATED
            for action in request.actions
            if action.HasField("completeOrchestration")
        ):
            kept = [
                action
                for action in request.actions
                if action.WhichOneof("orchestratorActionType") not in _STARTS_WORK
            ]
            del request.actions[:]
            request.actions.extend(kept)

    def _process_schedule_task_action(
        self, instance: OrchestrationInstance, action: pb.OrchestratorAction
    ) -> None:
        super()._process_schedule_task_action(instance, action)
        # The token comes back with the result and tells which life asked for it.
        self._activity_queue[-1].completion_token = self._lives[instance.instance_id]

    def CompleteActivityTask(  # noqa: N802 - name of the service's method
        self, request: pb.ActivityResponse, context: Any
    ) -> pb.CompleteTaskResponse:
        """As the original, unless the orchestration that asked has ended."""
        with self._lock:
            if not self.is_present_life(request.instanceId, request.completionToken):
                _log.info("result of an activity of '%s' came too late", request.instanceId)
                return pb.CompleteTaskResponse()
            response = super().CompleteActivityTask(request, context)
            self._instances[request.instanceId].pending_events[-1].timestamp.GetCurrentTime()
            return response

    def _process_create_timer_action(
        self, instance: OrchestrationInstance, action: pb.OrchestratorAction
    ) -> None:
        fire_at = action.createTimer.fireAt.ToDatetime(tzinfo=UTC)
        instance_id, life = instance.instance_id, self._lives[instance.instance_id]
        instance.history.append(helpers.new_timer_created_event(action.id, fire_at))
        if instance.status == pb.ORCHESTRATION_STATUS_PENDING:
            instance.status = pb.ORCHESTRATION_STATUS_RUNNING

        def fire() -> None:
            with self._lock:
                if self.is_present_life(instance_id, str(life)):
                    self._deliver(instance_id, helpers.new_timer_fired_event(action.id, fire_at))

        self._timers.after((fire_at - datetime.now(UTC)).total_seconds(), fire)

    # -- sub-orchestrations ----------------------------------------------------------------------

    def _watch_sub_orchestration(
        self, parent_instance_id: str, sub_instance_id: str, task_id: int
    ) -> None:
        life = self._lives[parent_instance_id]
        self._parents[sub_instance_id] = parent_instance_id
        self._waiting.setdefault(sub_instance_id, []).append((parent_instance_id, life, task_id))
        self._tell_parents(sub_instance_id)

    def _notify_waiters(self, instance_id: str) -> None:
        super()._notify_waiters(instance_id)
        self._tell_parents(instance_id)

    def _tell_parents(self, instance_id: str) -> None:
        instance = self._instances.get(instance_id)
        if instance is None or not self.finished(instance):
            return
        for parent_id, life, task_id in self._waiting.pop(instance_id, []):
            if not self.is_present_life(parent_id, str(life)):
                continue
            if instance.status == pb.ORCHESTRATION_STATUS_COMPLETED:
                event = helpers.new_sub_orchestration_completed_event(task_id, instance.output)
            else:
                details = instance.failure_details
                reason = details.errorMessage if details else f"'{instance_id}' was terminated"
                event = helpers.new_sub_orchestration_failed_event(task_id, Exception(reason))
            self._deliver(parent_id, event)

    def _deliver(self, instance_id: str, event: pb.HistoryEvent) -> None:
        instance = self._instances[instance_id]
        event.timestamp.GetCurrentTime()
        instance.pending_events.append(event)
        instance.last_updated_at = datetime.now(UTC)
        self._enqueue_orchestration(instance_id)


def _stamp(history: Sequence[pb.HistoryEvent]) -> None:
    """Give the events of the newest episode the time that the original leaves out."""
    for event in reversed(history):
        if event.HasField("orchestratorStarted"):
            return
        if not event.timestamp.seconds:
            event.timestamp.GetCurrentTime()
