"""Calls functions as the Python worker does.

Async functions share one event loop on a thread of its own, sync ones a pool of threads. The event
loop is not the one that serves HTTP: a function that blocks its loop must not stop the host (they
are two processes in reality). Hosts in one process share the loop, because the durable client keeps
its HTTP session in a module variable, bound to the loop that used it first.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import azure.functions as func
from azure.durable_functions.models.utils import http_utils

from local.host.index import IndexedFunction

_log = logging.getLogger("host.function")

T = TypeVar("T")

SYNC_THREADS = 16


class InvocationContext(func.Context):
    """The `context` parameter of a function."""

    def __init__(self, function_name: str, directory: Path) -> None:
        self._invocation_id = str(uuid.uuid4())
        self._function_name = function_name
        self._directory = directory
        self._local = threading.local()
        self._local.invocation_id = self._invocation_id

    @property
    def invocation_id(self) -> str:
        """Id of this call."""
        return self._invocation_id

    @property
    def thread_local_storage(self) -> Any:
        """Storage that carries the invocation id to other threads."""
        return self._local

    @property
    def function_name(self) -> str:
        """Name of the function."""
        return self._function_name

    @property
    def function_directory(self) -> str:
        """Folder of the app."""
        return str(self._directory)

    @property
    def trace_context(self) -> Any:
        """None: this host traces nothing."""
        return None

    @property
    def retry_context(self) -> Any:
        """None: functions with a retry policy are refused."""
        return None


class OutputParameter(func.Out[Any]):
    """The `func.Out` parameter of an output binding."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        """Give the value."""
        self._value = val

    def get(self) -> Any:
        """The value given last."""
        return self._value


class FunctionLoop:
    """The event loop of async functions; it runs while somebody uses it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._users = 0
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread

    def acquire(self) -> asyncio.AbstractEventLoop:
        """The running loop; `release` it in the end."""
        with self._guard:
            if self._users == 0:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._run, name="host-functions", daemon=True
                )
                self._thread.start()
            self._users += 1
            return self._loop

    def release(self) -> None:
        """Use the loop no more; the last user ends it."""
        with self._guard:
            self._users -= 1
            if self._users == 0:
                asyncio.run_coroutine_threadsafe(self._wind_up(), self._loop).result()
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
                self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _wind_up(self) -> None:
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await http_utils._close_session()
        http_utils._client_session = None
        http_utils._session_lock = asyncio.Lock()
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()


_FUNCTION_LOOP = FunctionLoop()


class Invoker:
    """Runs the functions of one host until it is stopped."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._loop: asyncio.AbstractEventLoop
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pool = ThreadPoolExecutor(SYNC_THREADS, thread_name_prefix="host-function")

    def start(self) -> None:
        """Get the event loop."""
        self._loop = _FUNCTION_LOOP.acquire()

    def cancel(self) -> None:
        """Cancel the async functions that run."""
        self.run(self._cancel_all())

    def stop(self) -> None:
        """Cancel the async functions that run, wait for the sync ones."""
        self.cancel()
        _FUNCTION_LOOP.release()
        self._pool.shutdown()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the event loop of async functions, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def invoke(
        self, function: IndexedFunction, arguments: Mapping[str, Any]
    ) -> Future[tuple[Any, dict[str, Any]]]:
        """Call a function; the future holds its return value and the values of its `Out`s.

        A failure is logged with its traceback and is the exception of the future.
        """
        context = InvocationContext(function.name, self._directory)
        outs = {
            str(each["name"]): OutputParameter()
            for each in function.outputs()
            if each["name"] != "$return"
        }
        call: dict[str, Any] = {**arguments, **outs}
        if function.wants_context:
            call["context"] = context
        _log.debug("Executing '%s' (%s)", function.name, context.invocation_id)
        if function.is_async:
            return asyncio.run_coroutine_threadsafe(
                self._run_async(function, context, call, outs), self._loop
            )
        return self._pool.submit(self._run_sync, function, context, call, outs)

    async def _run_async(
        self,
        function: IndexedFunction,
        context: InvocationContext,
        call: Mapping[str, Any],
        outs: Mapping[str, OutputParameter],
    ) -> tuple[Any, dict[str, Any]]:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            value = await function.code(**call)
        except Exception:
            _log.exception("Executed '%s' (Failed, %s)", function.name, context.invocation_id)
            raise
        finally:
            self._tasks.discard(task)
        return value, {name: out.get() for name, out in outs.items()}

    def _run_sync(
        self,
        function: IndexedFunction,
        context: InvocationContext,
        call: Mapping[str, Any],
        outs: Mapping[str, OutputParameter],
    ) -> tuple[Any, dict[str, Any]]:
        try:
            value = function.code(**call)
        except Exception:
            _log.exception("Executed '%s' (Failed, %s)", function.name, context.invocation_id)
            raise
        return value, {name: out.get() for name, out in outs.items()}

    async def _cancel_all(self) -> None:
        running = list(self._tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
