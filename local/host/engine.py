"""Runs the app's orchestrators and activities on the in-memory backend, inside the process.

Work items are taken straight from the backend, so nothing listens on a port. Orchestrators run in a
small pool of threads, as they do in the Python worker (they are plain functions there); activities
are handed to the invoker and finish by callback, so that waiting for one holds no thread.
"""

from __future__ import annotations

import json
import logging
import threading
import traceback
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb
from durabletask.testing.in_memory_backend import OrchestrationInstance
from durabletask.worker import TaskHubGrpcWorker

from local.host.backend import Backend, BackendError, CallContext
from local.host.history import STATUS_NAMES
from local.host.orchestration import Orchestrator, adapt
from local.host.payloads import JsonText, decode, encode

_log = logging.getLogger("host.durable")

#: Runs an activity: function name, input, and the instance that asked.
RunActivity = Callable[[str, Any, str], "Future[Any]"]

_FINISHED = (
    pb.ORCHESTRATION_STATUS_COMPLETED,
    pb.ORCHESTRATION_STATUS_FAILED,
    pb.ORCHESTRATION_STATUS_TERMINATED,
    pb.ORCHESTRATION_STATUS_CANCELED,
)
_ANY = (
    *_FINISHED,
    pb.ORCHESTRATION_STATUS_RUNNING,
    pb.ORCHESTRATION_STATUS_PENDING,
    pb.ORCHESTRATION_STATUS_SUSPENDED,
)

MAX_INSTANCE_ID = 256


class UnknownFunctionError(Exception):
    """No orchestrator of this name."""


class InstanceIdError(Exception):
    """An instance id that the host extension refuses."""


class InstanceExistsError(Exception):
    """The instance is there and may not be replaced."""


class _Stub:
    """What the worker calls to give back a finished orchestrator episode."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def CompleteOrchestratorTask(  # noqa: N802 - name of the service's method
        self, response: pb.OrchestratorResponse
    ) -> None:
        self._backend.CompleteOrchestratorTask(response, CallContext())

    def AbandonTaskOrchestratorWorkItem(  # noqa: N802 - name of the service's method
        self, request: pb.AbandonOrchestrationTaskRequest
    ) -> None:
        self._backend.AbandonTaskOrchestratorWorkItem(request, CallContext())


class Engine:
    """Orchestrations of one app."""

    def __init__(
        self,
        orchestrators: Mapping[str, Orchestrator],
        activities: frozenset[str],
        run_activity: RunActivity,
        *,
        replace_running: bool = False,
    ) -> None:
        self.backend = Backend()
        self.orchestrators = dict(orchestrators)
        self._activities = activities
        self._run_activity = run_activity
        self._replaceable = _ANY if replace_running else _FINISHED
        # Only its orchestrator executor is used; it is never started and opens no connection.
        self._worker = TaskHubGrpcWorker(
            host_address="127.0.0.1:0",
            logger=logging.getLogger("host.durable.worker"),
            data_converter=JsonText(),
            emit_trace_spans=False,
        )
        for name, orchestrator in self.orchestrators.items():
            self._worker.add_orchestrator(adapt(name, orchestrator, self.backend.parent_of))
        self._stopping = threading.Event()
        self._pool: ThreadPoolExecutor | None = None
        self._dispatcher: threading.Thread | None = None

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to work."""
        self.backend.start()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="host-orchestrator")
        self._dispatcher = threading.Thread(target=self._dispatch, name="host-durable", daemon=True)
        self._dispatcher.start()

    def stop(self) -> None:
        """Take no more work; wait for the orchestrator episodes that run."""
        self._stopping.set()
        self.backend.stop()
        if self._dispatcher is not None:
            self._dispatcher.join()
        if self._pool is not None:
            self._pool.shutdown()

    def _dispatch(self) -> None:
        assert self._pool is not None
        listening = CallContext(lambda: not self._stopping.is_set())
        stub = _Stub(self.backend)
        for item in self.backend.GetWorkItems(pb.GetWorkItemsRequest(), listening):
            if self._stopping.is_set():
                return
            if item.HasField("orchestratorRequest"):
                self._pool.submit(
                    self._worker._execute_orchestrator,
                    item.orchestratorRequest,
                    stub,
                    item.completionToken,
                )
            elif item.HasField("activityRequest"):
                self._begin_activity(item.activityRequest, item.completionToken)

    # -- activities ------------------------------------------------------------------------------

    def _begin_activity(self, request: pb.ActivityRequest, life: str) -> None:
        instance_id, name = request.orchestrationInstance.instanceId, request.name
        if not self.backend.is_present_life(instance_id, life):
            return

        def finish(future: Future[Any]) -> None:
            response = pb.ActivityResponse(
                instanceId=instance_id, taskId=request.taskId, completionToken=life
            )
            if future.cancelled():
                return  # the host is stopping
            error = future.exception()
            if error is None:
                try:
                    response.result.value = encode(future.result())
                except (TypeError, ValueError) as unencodable:
                    error = unencodable
            if error is not None:
                response.failureDetails.CopyFrom(_failure(name, error))
            self.backend.CompleteActivityTask(response, CallContext())

        if name not in self._activities:
            missing: Future[Any] = Future()
            missing.set_exception(
                LookupError(
                    f"The function '{name}' doesn't exist, is disabled,"
                    " or is not an activity function."
                )
            )
            finish(missing)
            return
        self._run_activity(name, decode(request.input.value), instance_id).add_done_callback(finish)

    # -- instances -------------------------------------------------------------------------------

    def new(self, name: str, instance_id: str | None, encoded_input: str | None) -> str:
        """Start an orchestration and return its id.

        Raises:
            UnknownFunctionError: no orchestrator of this name.
            InstanceIdError: the id may not be used.
            InstanceExistsError: it runs already (or exists and may not be replaced).
        """
        if name not in self.orchestrators:
            known = ", ".join(f"'{each}'" for each in sorted(self.orchestrators))
            raise UnknownFunctionError(
                f"The function '{name}' doesn't exist, is disabled, or is not an orchestrator"
                f" function. Additional info: The following are the known orchestrator"
                f" functions: {known}."
            )
        instance_id = instance_id or uuid.uuid4().hex
        _check_instance_id(instance_id)
        request = pb.CreateInstanceRequest(instanceId=instance_id, name=name)
        if encoded_input is not None:
            request.input.value = encoded_input
        request.orchestrationIdReusePolicy.replaceableStatus.extend(self._replaceable)
        try:
            self.backend.StartInstance(request, CallContext())
        except BackendError as refused:
            if refused.code != "ALREADY_EXISTS":
                raise
            existing = self.backend.instance(instance_id)
            status = STATUS_NAMES[existing.status] if existing is not None else "Running"
            raise InstanceExistsError(
                f"An Orchestration instance with the status {status} already exists."
            ) from refused
        return instance_id

    def restart(self, instance: OrchestrationInstance, *, new_id: bool) -> str:
        """Start the same orchestration with the same input once more (errors as `new`)."""
        return self.new(instance.name, None if new_id else instance.instance_id, instance.input)

    def raise_event(self, instance_id: str, name: str, encoded: str) -> None:
        """Send an event; its payload is JSON text."""
        request = pb.RaiseEventRequest(instanceId=instance_id, name=name)
        request.input.value = encoded
        self.backend.RaiseEvent(request, CallContext())

    def terminate(self, instance_id: str, reason: str | None) -> None:
        """End an orchestration; activities that run are not stopped."""
        request = pb.TerminateRequest(instanceId=instance_id)
        if reason is not None:
            request.output.value = reason
        self.backend.TerminateInstance(request, CallContext())

    def suspend(self, instance_id: str, reason: str | None) -> None:
        """Let an orchestration do nothing until it is resumed."""
        request = pb.SuspendRequest(instanceId=instance_id)
        if reason is not None:
            request.reason.value = reason
        self.backend.SuspendInstance(request, CallContext())

    def resume(self, instance_id: str, reason: str | None) -> None:
        """End a suspension."""
        request = pb.ResumeRequest(instanceId=instance_id)
        if reason is not None:
            request.reason.value = reason
        self.backend.ResumeInstance(request, CallContext())

    def rewind(self, instance_id: str, reason: str | None) -> None:
        """Run the failed parts of a failed orchestration again.

        Raises:
            BackendError: it has not failed.
        """
        request = pb.RewindInstanceRequest(instanceId=instance_id)
        if reason is not None:
            request.reason.value = reason
        self.backend.RewindInstance(request, CallContext())

    def purge(self, instance_id: str) -> int:
        """Forget a finished instance; returns how many were forgotten."""
        request = pb.PurgeInstancesRequest(instanceId=instance_id)
        return int(self.backend.PurgeInstances(request, CallContext()).deletedInstanceCount)

    def purge_where(
        self, created_from: datetime, created_to: datetime | None, statuses: frozenset[str]
    ) -> int:
        """Forget finished instances by time of creation and status; returns how many."""
        found = self.select(created_from, created_to, statuses, None)
        return sum(self.purge(instance.instance_id) for instance in found)

    def select(
        self,
        created_from: datetime | None,
        created_to: datetime | None,
        statuses: frozenset[str],
        prefix: str | None,
    ) -> list[OrchestrationInstance]:
        """Instances by time of creation, status name and prefix of the id; oldest first."""
        return [
            instance
            for instance in self.backend.all_instances()
            if (created_from is None or instance.created_at >= created_from)
            and (created_to is None or instance.created_at <= created_to)
            and (not statuses or STATUS_NAMES[instance.status] in statuses)
            and (not prefix or instance.instance_id.startswith(prefix))
        ]


def _check_instance_id(instance_id: str) -> None:
    if instance_id.startswith("@"):
        raise InstanceIdError("Orchestration instance ids must not start with @.")
    if any(char in "/\\?#" or ord(char) < 32 or 127 <= ord(char) < 160 for char in instance_id):
        raise InstanceIdError(
            "Orchestration instance ids must not contain /, \\, #, ?, or control characters."
        )
    if len(instance_id) > MAX_INSTANCE_ID:
        raise InstanceIdError(f"Instance ID lengths must not exceed {MAX_INSTANCE_ID} characters.")


def _failure(name: str, error: BaseException) -> pb.TaskFailureDetails:
    """What history keeps of a failed activity: reason and details as the extension writes them."""
    kind = type(error)
    text = f"{kind.__name__}: {error}"
    stack = "".join(traceback.format_exception(kind, error, error.__traceback__))
    details = {"ClassName": "System.Exception", "Message": text, "StackTraceString": stack}
    failure = pb.TaskFailureDetails(
        errorType=f"{kind.__module__}.{kind.__qualname__}",
        errorMessage=f"Activity function '{name}' failed: {text}",
    )
    failure.stackTrace.value = json.dumps(details)
    return failure
