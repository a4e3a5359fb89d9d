"""The Functions host: runs a `function_app.py`, unchanged, with nothing but pip packages.

It puts the parts together (loading, index, invoker, engine, server) and owns the triggers that are
neither HTTP nor durable: timers, queues and what is run by hand. Everything listens on 127.0.0.1
only. Several hosts may run in one process.

Left out: scaling, function timeouts, retry policies on functions (refused), other bindings
(refused), telemetry.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, TypeVar

from azure.functions.timer import TimerRequest
from durabletask.testing.in_memory_backend import OrchestrationInstance

from local.host import ncrontab
from local.host.capture import LogCapture
from local.host.durable_api import DurableApi
from local.host.engine import Engine
from local.host.eventgrid import decode_event
from local.host.history import STATUS_NAMES, all_fields
from local.host.index import (
    ACTIVITY,
    EVENT_GRID,
    ORCHESTRATION,
    QUEUE,
    TIMER,
    IndexedFunction,
    index_app,
)
from local.host.invocation import Invoker
from local.host.keys import DURABLE, AccessKeys
from local.host.loading import IndexingError, load_app
from local.host.payloads import decode, revealed
from local.host.queues import POISON, Message, Queue
from local.host.server import DURABLE_PATH, RPC_PATH, HttpServer
from local.host.settings import HostSettings, read_host_settings

T = TypeVar("T")

_log = logging.getLogger("host")

#: Messages of one queue that are handled at the same time.
QUEUE_BATCH = 16


class FunctionsHost:
    """Hosts one app; a context manager.

    Args:
        app_file: the `function_app.py`; `host.json` is looked for beside it.
        environ: the whole environment the app sees while it is loaded.
        port: where to listen; 0 takes a free one.
        auth: ask for keys (see `keys`), as in the cloud; without, as `func start` does.
        timers: run timer functions on their schedule. They can always be run by hand.
        print_level: print log records of this level and above to stderr.
        log_level: keep log records of this level and above.
    """

    def __init__(
        self,
        app_file: Path,
        environ: Mapping[str, str],
        *,
        port: int = 0,
        auth: bool = False,
        timers: bool = False,
        print_level: int | None = None,
        log_level: int = logging.DEBUG,
        on_stop: Callable[[ModuleType], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._on_stop = on_stop
        self._app_file = Path(app_file).resolve()
        self._environ = dict(environ)
        self._port = port
        self._auth = auth
        self._timers = timers
        self._settings = HostSettings()
        self._functions: dict[str, IndexedFunction] = {}
        self._queues: dict[str, Queue] = {}
        self._access: AccessKeys
        self._invoker: Invoker
        self._engine: Engine
        self._server: HttpServer
        self._api: DurableApi
        self._queue_signals: dict[str, asyncio.Event] = {}
        self._running = contextlib.ExitStack()
        self.logs = LogCapture(print_level, log_level)
        #: the loaded script, once started
        self.module: ModuleType
        self.url = ""

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> FunctionsHost:
        """Load the app and serve it; returns when requests are answered.

        Raises:
            IndexingError: if the app cannot be hosted.
            Exception: whatever the app raises while it is loaded.
        """
        with contextlib.ExitStack() as undo:
            self.logs.install()
            undo.callback(self.logs.remove)
            public = undo.enter_context(_listener(self._port))
            rpc = undo.enter_context(_listener(0))
            self.url = _url(public)
            self._load()
            self._api = DurableApi(
                self._engine,
                self._settings.hub_name,
                self.url + DURABLE_PATH,
                _url(rpc) + RPC_PATH,
                self._access.by_name[DURABLE],
            )
            self._invoker.start()
            undo.callback(self._invoker.stop)
            undo.callback(self._close_app)
            undo.callback(self._engine.stop)
            self._engine.start()
            undo.callback(self._server.stop)
            self._server.start(public, rpc, self._api, self._call, self._run_by_hand)
            undo.callback(self._engine.backend.release_waiters)
            self._server.run(self._start_triggers())
            self._running = undo.pop_all()
        _log.info("Host started on %s with %d functions", self.url, len(self._functions))
        return self

    def stop(self) -> None:
        """Stop everything; histories, queues and logs can still be read."""
        self._running.close()

    def __enter__(self) -> FunctionsHost:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _close_app(self) -> None:
        """End the functions that still run, then let the app close what they shared."""
        self._invoker.cancel()
        if self._on_stop is not None:
            self._invoker.run(self._on_stop(self.module))

    def _load(self) -> None:
        folder = self._app_file.parent
        self._settings = read_host_settings(folder)
        environ = {
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
            "WEBSITE_HOSTNAME": self.url.removeprefix("http://"),
            **self._environ,
        }
        self.module, app = load_app(self._app_file, environ)
        functions = index_app(app, environ, self._settings.route_prefix)
        self._functions = {function.name: function for function in functions}
        for function in functions:
            if function.kind == TIMER:
                _schedule(function)
        self._access = AccessKeys(self._functions, asked=self._auth)
        self._invoker = Invoker(folder)
        self._engine = self._new_engine(functions)
        self._server = HttpServer(functions, self._access)

    def _new_engine(self, functions: list[IndexedFunction]) -> Engine:
        activities = {each.durable_name: each for each in functions if each.kind == ACTIVITY}
        orchestrators = {
            each.durable_name: each.code.orchestrator_function  # type: ignore[attr-defined]
            for each in functions
            if each.kind == ORCHESTRATION
        }

        def run_activity(name: str, value: Any, instance_id: str) -> Future[Any]:
            return self._outcome(activities[name], value)

        return Engine(
            orchestrators,
            frozenset(activities),
            run_activity,
            replace_running=self._settings.replace_running,
        )

    # -- looking inside --------------------------------------------------------------------------

    @property
    def keys(self) -> Mapping[str, str]:
        """Access keys: `default`, `_master`, one by function name, two of extensions."""
        return self._access.by_name

    @property
    def functions(self) -> list[IndexedFunction]:
        """The functions that were found."""
        return list(self._functions.values())

    def queue(self, name: str) -> Queue:
        """A queue by name; it is there as soon as it is asked for."""
        if name not in self._queues:
            self._queues[name] = Queue(name, lambda: self._wake(name))
        return self._queues[name]

    def instances(self) -> list[dict[str, Any]]:
        """Every orchestration instance, oldest first, with payloads decoded."""
        return [_summary(each) for each in self._engine.backend.all_instances()]

    def wait_for(
        self,
        instance_id: str,
        until: Callable[[dict[str, Any]], bool] | None = None,
        timeout: float = 30.0,
    ) -> dict[str, Any]:
        """Wait for an orchestration to end, or until its summary (as in `instances`) fits.

        Raises:
            TimeoutError: if that took longer than `timeout` seconds.
        """

        def fits(instance: OrchestrationInstance) -> bool:
            if until is None:
                return self._engine.backend.finished(instance)
            return until(_summary(instance))

        instance = self._engine.backend.wait_for(instance_id, fits, timeout)
        if instance is None:
            raise TimeoutError(f"'{instance_id}' is not there after {timeout} seconds")
        return _summary(instance)

    def history(self, instance_id: str) -> list[dict[str, Any]]:
        """Everything the engine wrote for an instance, inputs and outputs decoded.

        Includes what came before a `continue_as_new`; empty for an unknown instance.
        """
        return all_fields(self._engine.backend.history_of(instance_id, every_life=True))

    def invoke(self, name: str, given: str = "") -> None:
        """Run a function that has no HTTP trigger, and wait for it.

        `given` is the value of the trigger as text: a message, an event as JSON.

        Raises:
            KeyError: no such function.
            Exception: what the function raised.
        """
        self._server.run(self._by_hand(self._functions[name], given))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the event loop of the app's async functions, and wait for it.

        For what must happen where the functions run, such as closing a client they share.
        """
        return self._invoker.run(work)

    # -- calling functions -----------------------------------------------------------------------

    def _outcome(self, function: IndexedFunction, trigger_value: Any) -> Future[Any]:
        """Call a function; the future holds its return value, its outputs have been delivered."""
        arguments = {str(function.trigger["name"]): trigger_value}
        for binding in function.bindings:
            if binding["type"] == "durableClient":
                arguments[str(binding["name"])] = self._api.client_binding()
        finished: Future[Any] = Future()

        def finish(call: Future[tuple[Any, dict[str, Any]]]) -> None:
            if call.cancelled():
                finished.cancel()
                return
            error = call.exception()
            if error is not None:
                finished.set_exception(error)
                return
            value, outs = call.result()
            try:
                self._deliver(function, value, outs)
            except TypeError as unencodable:
                finished.set_exception(unencodable)
            else:
                finished.set_result(value)

        self._invoker.invoke(function, arguments).add_done_callback(finish)
        return finished

    def _deliver(self, function: IndexedFunction, value: Any, outs: Mapping[str, Any]) -> None:
        for binding in function.outputs():
            if binding["type"] != "queue":
                continue
            given = value if binding["name"] == "$return" else outs[binding["name"]]
            for text in _messages(given):
                self.queue(str(binding["queueName"])).put(text)

    async def _call(self, function: IndexedFunction, trigger_value: Any) -> Any:
        return await asyncio.wrap_future(self._outcome(function, trigger_value))

    async def _by_hand(self, function: IndexedFunction, given: str) -> None:
        value: Any
        if function.kind == TIMER:
            value = TimerRequest(past_due=False)
        elif function.kind == QUEUE:
            value = Message(given, dequeue_count=1).delivered()
        elif function.kind == EVENT_GRID:
            value = decode_event(given)
        elif function.kind == ACTIVITY:
            value = decode(given)
        else:
            raise TypeError(f"'{function.name}' cannot be run by hand")
        await self._call(function, value)

    async def _run_by_hand(self, function: IndexedFunction, given: str) -> None:
        try:
            await self._by_hand(function, given)
        except Exception as error:  # noqa: BLE001 - the caller has had its 202 already
            _log.error("'%s' run by hand failed: %s", function.name, type(error).__name__)

    # -- timers and queues -----------------------------------------------------------------------

    async def _start_triggers(self) -> None:
        for function in self._functions.values():
            if function.kind == TIMER:
                if function.trigger.get("runOnStartup"):
                    self._server.spawn(self._run_by_hand(function, ""))
                if self._timers:
                    self._server.spawn(self._keep_schedule(function))
            elif function.kind == QUEUE:
                name = str(function.trigger["queueName"])
                self._queue_signals[name] = asyncio.Event()
                self._server.spawn(self._serve_queue(function, self.queue(name)))

    async def _keep_schedule(self, function: IndexedFunction) -> None:
        schedule = _schedule(function)
        due = schedule.after(datetime.now(UTC))
        while True:
            await asyncio.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))
            await self._run_by_hand(function, "")
            due = schedule.after(max(due, datetime.now(UTC)))

    async def _serve_queue(self, function: IndexedFunction, queue: Queue) -> None:
        signal, slots = self._queue_signals[queue.name], asyncio.Semaphore(QUEUE_BATCH)
        while True:
            signal.clear()
            await slots.acquire()
            message = queue.take()
            if message is not None:
                task = self._server.spawn(self._handle(function, queue, message))
                task.add_done_callback(lambda _: slots.release())
                continue
            slots.release()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(signal.wait(), queue.next_visible_in())

    async def _handle(self, function: IndexedFunction, queue: Queue, message: Message) -> None:
        try:
            await self._call(function, message.delivered())
        except Exception as error:  # noqa: BLE001 - a queue trigger retries whatever went wrong
            if message.dequeue_count < self._settings.max_dequeue_count:
                queue.give_back(message, self._settings.visibility_timeout)
                return
            _log.error(
                "Message has reached MaxDequeueCount of %d. Moving message to queue '%s' (%s).",
                message.dequeue_count,
                queue.name + POISON,
                type(error).__name__,
            )
            self.queue(queue.name + POISON).put(message.text)
        queue.remove(message)

    def _wake(self, name: str) -> None:
        signal = self._queue_signals.get(name)
        if signal is not None and not self._server.loop.is_closed():
            self._server.loop.call_soon_threadsafe(signal.set)


def _summary(instance: OrchestrationInstance) -> dict[str, Any]:
    failure = instance.failure_details
    return {
        "instanceId": instance.instance_id,
        "name": instance.name,
        "runtimeStatus": STATUS_NAMES[instance.status],
        "input": revealed(instance.input),
        "customStatus": revealed(instance.custom_status),
        "output": revealed(instance.output) if failure is None else failure.errorMessage,
    }


def _schedule(function: IndexedFunction) -> ncrontab.Schedule:
    try:
        return ncrontab.parse(str(function.trigger["schedule"]))
    except ncrontab.ScheduleError as error:
        raise IndexingError(f"{function.name}: {error}") from error


def _messages(value: Any) -> list[str]:
    """Texts of an output binding's value: one text, one object, or a list of either."""
    if value is None:
        return []
    values = value if isinstance(value, list | tuple) else [value]
    return [_message(each) for each in values]


def _message(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, str):
        return value
    if hasattr(value, "get_body"):
        return str(value.get_body().decode("utf-8"))
    return json.dumps(value)


def _listener(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket) -> str:
    address, port = listener.getsockname()
    return f"http://{address}:{port}"
