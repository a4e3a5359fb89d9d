"""An app inside Azure's own worker library, with orchestrations on the in-memory backend.

`Stage` plays the Functions host: it starts the worker on the app's folder, lists the functions the
worker found, routes HTTP requests to them, and hands orchestrator and activity work items of the
backend to the worker as invocations. The durable client of 2.x talks gRPC to the backend, on
127.0.0.1 and a free port.

The worker keeps its functions in a module, so there is one stage per process.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import azure_functions_runtime as runtime
import durabletask.internal.orchestrator_service_pb2 as pb
import durabletask.internal.orchestrator_service_pb2_grpc as stubs
import grpc
from durabletask.testing import InMemoryOrchestrationBackend

from tests.next.protocol import Message, Protocol, StatusResult
from tests.next.routes import matches

log = logging.getLogger("tests.next")

FINISHED = (
    pb.ORCHESTRATION_STATUS_COMPLETED,
    pb.ORCHESTRATION_STATUS_FAILED,
    pb.ORCHESTRATION_STATUS_TERMINATED,
)


class WorkerFailedError(Exception):
    """The worker reported a failure; the text is what it reported."""


@dataclass(frozen=True)
class Function:
    """A function as the worker describes it to the host."""

    id: str
    name: str
    bindings: tuple[dict[str, Any], ...]

    @property
    def trigger(self) -> dict[str, Any]:
        """Binding of the trigger."""
        return next(each for each in self.bindings if str(each["type"]).endswith("Trigger"))

    @property
    def kind(self) -> str:
        """Type of the trigger."""
        return str(self.trigger["type"])


@dataclass(frozen=True)
class HttpAnswer:
    """Response of an HTTP function."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class LoopbackBackend(InMemoryOrchestrationBackend):
    """The backend of `durabletask` on 127.0.0.1; finished instances may be replaced."""

    def start(self) -> str:
        """Serve gRPC on a free port; returns `127.0.0.1:port`."""
        self._shutdown_event.clear()
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
        stubs.add_TaskHubSidecarServiceServicer_to_server(self, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self._server = server
        return f"127.0.0.1:{port}"

    def StartInstance(self, request: Any, context: Any) -> Any:  # noqa: N802 - name of the service's
        """As the original, with the default of `overridableExistingInstanceStates`."""
        if not request.orchestrationIdReusePolicy.replaceableStatus:
            request.orchestrationIdReusePolicy.replaceableStatus.extend(FINISHED)
        return super().StartInstance(request, context)


class Listening:
    """Stands for the gRPC context of the stream of work items."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def is_active(self) -> bool:
        """Whether work is still wanted."""
        return not self.stopped.is_set()


class Stage:
    """Runs one app; a context manager."""

    def __init__(self, app_dir: Path, environ: Mapping[str, str]) -> None:
        self._app_dir = app_dir.resolve()
        self._environ = dict(environ)
        self._backend = LoopbackBackend()
        self._listening = Listening()
        self._loop = asyncio.new_event_loop()
        self._threads: list[threading.Thread] = []
        self._rpc = ""
        self.functions: dict[str, Function] = {}

    # -- life ------------------------------------------------------------------------------------

    def __enter__(self) -> Stage:
        os.environ.update(self._environ)
        sys.path.insert(0, str(self._app_dir))
        self._rpc = self._backend.start()
        self._spawn(self._run_loop)
        runtime.start_threadpool_executor()
        try:
            self._start_worker()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._spawn(self._dispatch)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listening.stopped.set()
        self._backend.stop()
        self.run(self._wind_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in self._threads:
            thread.join()
        runtime.stop_threadpool_executor()
        self._loop.close()

    def run(self, work: Any) -> Any:
        """Run a coroutine on the worker's event loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _spawn(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _wind_up(self) -> None:
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _start_worker(self) -> None:
        request = Message(
            request=Message(
                worker_init_request=Message(
                    capabilities={}, function_app_directory=str(self._app_dir)
                ),
                functions_metadata_request=Message(function_app_directory=str(self._app_dir)),
            ),
            properties={"host": "127.0.0.1", "protos": Protocol()},
        )
        started = self.run(runtime.worker_init_request(request))
        _raise_failure(started.result)
        described = self.run(runtime.functions_metadata_request(request))
        _raise_failure(described.result)
        for each in described.function_metadata_results or []:
            bindings = tuple(json.loads(raw) for raw in each.raw_bindings)
            self.functions[each.name] = Function(each.function_id, each.name, bindings)

    # -- invocations -----------------------------------------------------------------------------

    async def invoke(self, function: Function, trigger_value: Message) -> Message:
        """Have the worker call a function; returns the response, which is a success.

        Raises:
            WorkerFailedError: if the function raised, or could not be called.
        """
        given = [Message(name=function.trigger["name"], data=trigger_value)]
        given += [
            Message(name=each["name"], data=Message(string=self._client_binding()))
            for each in function.bindings
            if each["type"] == "durableClient"
        ]
        invocation = Message(
            invocation_id=str(uuid.uuid4()),
            function_id=function.id,
            input_data=given,
            trigger_metadata={},
            trace_context=Message(trace_parent="", trace_state="", attributes={}),
            retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
        )
        request = Message(request=Message(invocation_request=invocation), properties={})
        response: Message = await runtime.invocation_request(request)
        _raise_failure(response.result)
        return response

    def http(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        prefix: str = "api",
    ) -> HttpAnswer:
        """Send a request to the HTTP function whose route fits; 404 if there is none.

        Raises:
            WorkerFailedError: if the function raised.
        """
        bare, _, query = path.partition("?")
        for function in self.functions.values():
            trigger = function.trigger
            methods = [str(each).upper() for each in trigger.get("methods") or ()]
            if function.kind != "httpTrigger" or (methods and method.upper() not in methods):
                continue
            params = matches(f"{prefix}/{trigger['route']}", bare)
            if params is None:
                continue
            request = Message(
                method=method,
                url=f"http://127.0.0.1{path}",
                headers=dict(headers or {}),
                params=params,
                query=dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair),
                body=Message(bytes=body),
            )
            response = self.run(self.invoke(function, Message(http=request)))
            return _answer(response.return_value)
        return HttpAnswer(404)

    def _client_binding(self) -> str:
        base = "http://127.0.0.1/runtime/webhooks/durabletask"
        return json.dumps(
            {
                "taskHubName": "NextHub",
                "creationUrls": {},
                "managementUrls": {"id": "INSTANCEID"},
                "baseUrl": base,
                "httpBaseUrl": base,
                "requiredQueryStringParameters": "code=none",
                "rpcBaseUrl": f"http://{self._rpc}",
            }
        )

    # -- orchestrations --------------------------------------------------------------------------

    def orchestrate(
        self, name: str, instance_id: str, value: Any = None, timeout: float = 30.0
    ) -> pb.OrchestrationState:
        """Start an orchestration, wait for its end and return its state."""
        self.start(name, instance_id, value)
        return self.finished(instance_id, timeout)

    def start(self, name: str, instance_id: str, value: Any = None) -> None:
        """Start an orchestration."""
        request = pb.CreateInstanceRequest(instanceId=instance_id, name=name)
        request.input.value = json.dumps(value)
        with grpc.insecure_channel(self._rpc) as channel:
            stubs.TaskHubSidecarServiceStub(channel).StartInstance(request)

    def raise_event(self, instance_id: str, name: str, value: Any) -> None:
        """Send an event to an orchestration."""
        request = pb.RaiseEventRequest(instanceId=instance_id, name=name)
        request.input.value = json.dumps(value)
        with grpc.insecure_channel(self._rpc) as channel:
            stubs.TaskHubSidecarServiceStub(channel).RaiseEvent(request)

    def finished(self, instance_id: str, timeout: float = 30.0) -> pb.OrchestrationState:
        """State of an orchestration once it has ended.

        Raises:
            grpc.RpcError: if it has not within `timeout` seconds.
        """
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        with grpc.insecure_channel(self._rpc) as channel:
            stub = stubs.TaskHubSidecarServiceStub(channel)
            return stub.WaitForInstanceCompletion(request, timeout=timeout).orchestrationState

    def _dispatch(self) -> None:
        for item in self._backend.GetWorkItems(pb.GetWorkItemsRequest(), self._listening):
            if item.HasField("orchestratorRequest"):
                work = self._orchestrator(item.orchestratorRequest, item.completionToken)
            else:
                work = self._activity(item.activityRequest, item.completionToken)
            asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _orchestrator(self, request: pb.OrchestratorRequest, token: str) -> None:
        events = [*request.pastEvents, *request.newEvents]
        name = next(e.executionStarted.name for e in events if e.HasField("executionStarted"))
        encoded = base64.b64encode(request.SerializeToString()).decode()
        try:
            function = self._durable("orchestration", name)
            answer = await self.invoke(function, Message(string=encoded))
        except (LookupError, WorkerFailedError) as error:
            response = _failed_orchestration(request.instanceId, error)
        else:
            response = pb.OrchestratorResponse()
            response.ParseFromString(base64.b64decode(answer.return_value.string))
        response.completionToken = token
        self._backend.CompleteOrchestratorTask(response, None)

    async def _activity(self, request: pb.ActivityRequest, token: str) -> None:
        response = pb.ActivityResponse(
            instanceId=request.orchestrationInstance.instanceId,
            taskId=request.taskId,
            completionToken=token,
        )
        try:
            function = self._durable("activity", request.name)
            answer = await self.invoke(function, Message(json=request.input.value or "null"))
        except (LookupError, WorkerFailedError) as error:
            response.failureDetails.errorType = type(error).__name__
            response.failureDetails.errorMessage = str(error)
        else:
            response.result.value = answer.return_value.json
        self._backend.CompleteActivityTask(response, None)

    def _durable(self, role: str, name: str) -> Function:
        for function in self.functions.values():
            called = function.trigger.get(role) or function.name
            if function.kind == f"{role}Trigger" and called == name:
                return function
        raise LookupError(f"there is no {role} '{name}'")


def _answer(value: Message | None) -> HttpAnswer:
    if value is None:
        return HttpAnswer(204)
    if value.http is None:
        return HttpAnswer(200, {}, str(value.string).encode())
    body = value.http.body
    return HttpAnswer(int(value.http.status_code), value.http.headers, body.bytes if body else b"")


def _raise_failure(result: Message) -> None:
    if result.status != StatusResult.Success:
        log.warning("the worker reported: %s", result.exception.stack_trace)
        raise WorkerFailedError(result.exception.message)


def _failed_orchestration(instance_id: str, error: Exception) -> pb.OrchestratorResponse:
    response = pb.OrchestratorResponse(instanceId=instance_id)
    complete = response.actions.add(id=-1).completeOrchestration
    complete.orchestrationStatus = pb.ORCHESTRATION_STATUS_FAILED
    complete.failureDetails.errorType = type(error).__name__
    complete.failureDetails.errorMessage = str(error)
    return response
