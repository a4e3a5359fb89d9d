"""Simulators of every service the bundle talks to, in one background thread.

One event loop, one origin (port) per service, all on 127.0.0.1. Services run on that one loop and
need no locks; tests look at the world and change it through `Simulators.run`, which runs a function
on the loop. Starting makes a throw-away CA; stopping leaves no thread, socket or file behind.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, Self, TypeVar, overload

from aiohttp import web

from local.simulators.authority import Authority
from local.simulators.clock import Clock
from local.simulators.control import ControlService
from local.simulators.entra import EntraService
from local.simulators.events import EventsService
from local.simulators.exchange import ExchangeService
from local.simulators.faults import Faults
from local.simulators.graph import GraphService
from local.simulators.journal import Journal
from local.simulators.managed_identity import ManagedIdentityService
from local.simulators.mondoo import MondooService
from local.simulators.partner_center import PartnerCenterService
from local.simulators.resource_manager import ResourceManagerService
from local.simulators.service import Service
from local.simulators.sharepoint import SharePointService
from local.simulators.tables import TablesService
from local.simulators.vault import OtherVaultService, VaultService
from local.simulators.weather import Weather
from local.simulators.world import World

P = ParamSpec("P")
T = TypeVar("T")

LOOPBACK = "127.0.0.1"
STOP_TIMEOUT = 10.0
"""Seconds until a stop that hangs is reported instead of waited for."""


class Simulators:
    """The assembly: `with Simulators() as simulators: ...`.

    `urls` (without trailing slash) and `ca_file` are known once `start` has returned.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.journal = Journal()
        self.faults = Faults()
        self.weather = Weather()
        self.urls: dict[str, str] = {}
        self.world = World(self.clock)
        self.entra = EntraService(self)
        self.graph = GraphService(self)
        self.managed_identity = ManagedIdentityService(self)
        self.vault = VaultService(self)
        self.other_vault = OtherVaultService(self)
        self.exchange = ExchangeService(self)
        self.sharepoint = SharePointService(self)
        self.resource_manager = ResourceManagerService(self)
        self.mondoo = MondooService(self)
        self.tables = TablesService(self)
        self.events = EventsService(self)
        self.partner_center = PartnerCenterService(self)
        self.control = ControlService(self)
        self.services: tuple[Service, ...] = (
            self.entra,
            self.graph,
            self.managed_identity,
            self.vault,
            self.other_vault,
            self.exchange,
            self.sharepoint,
            self.resource_manager,
            self.mondoo,
            self.tables,
            self.events,
            self.partner_center,
            self.control,
        )
        self._authority: Authority | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runners: list[web.AppRunner] = []

    @property
    def ca_file(self) -> Path:
        """PEM file with the CA that signed every https origin."""
        if self._authority is None:
            raise RuntimeError("the simulators are not running")
        return self._authority.ca_file

    def start(self) -> Self:
        """Start every service; returns when all of them listen."""
        if self._thread is not None:
            raise RuntimeError("the simulators are running already")
        self._authority = Authority()
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._serve, args=(started,), name="simulators", daemon=True
        )
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Close every connection and end the thread; harmless when not running."""
        thread, loop, authority = self._thread, self._loop, self._authority
        self._thread = self._loop = self._authority = None
        if thread is not None:
            if loop is not None:
                loop.call_soon_threadsafe(loop.stop)
            thread.join(STOP_TIMEOUT)
            if thread.is_alive():
                raise RuntimeError(f"the simulators did not stop within {STOP_TIMEOUT} seconds")
        if authority is not None:
            authority.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @overload
    def run(
        self, function: Callable[P, Coroutine[object, object, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T: ...

    @overload
    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...

    def run(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> object:
        """Run `function` on the simulators' thread and return what it returns.

        The way to read or change the world while services are being called; a coroutine function
        is awaited there. While nothing runs it is a plain call. Not for the simulators' own
        thread, which would wait for itself.
        """
        loop = self._loop
        if loop is None:
            return function(*args, **kwargs)
        if threading.current_thread() is self._thread:
            raise RuntimeError("already on the simulators' thread: call the function itself")

        async def call() -> object:
            result = function(*args, **kwargs)
            return await result if isinstance(result, Awaitable) else result

        return asyncio.run_coroutine_threadsafe(call(), loop).result()

    def _serve(self, started: Future[None]) -> None:
        """The thread: listen, say so, run until stopped, close everything."""
        loop = asyncio.new_event_loop()
        try:
            listening = loop.create_task(self._listen())
            loop.run_until_complete(asyncio.wait([listening]))
            failure = listening.exception()
            if failure is not None:
                loop.run_until_complete(self._close())
                started.set_exception(failure)
                return
            self._loop = loop
            started.set_result(None)
            loop.run_forever()
            loop.run_until_complete(self._close())
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    async def _listen(self) -> None:
        if self._authority is None:
            raise RuntimeError("no certificate authority: use start()")
        context = self._authority.server_context()
        for service in self.services:
            runner = web.AppRunner(
                service.application(), access_log=None, handle_signals=False, shutdown_timeout=1.0
            )
            self._runners.append(runner)
            await runner.setup()
            secure = service.scheme == "https"
            await web.TCPSite(runner, LOOPBACK, 0, ssl_context=context if secure else None).start()
            port = runner.addresses[0][1]
            self.urls[service.name] = f"{service.scheme}://{LOOPBACK}:{port}"

    async def _close(self) -> None:
        """Stop listening and end what still runs (long delays, half-read requests)."""
        for runner in self._runners:
            server = runner.server
            if server is not None:
                for connection in server.connections:
                    # Aborted, not closed: a TLS close would wait for a client that is gone.
                    if connection.transport is not None:
                        connection.transport.abort()
                # Turns of the loop, no event tells. A call that is still delayed though its client
                # is gone has no transport any more, and ends with the runner.
                while any(each.transport is not None for each in server.connections):  # noqa: ASYNC110
                    await asyncio.sleep(0)
            await runner.cleanup()
        self._runners.clear()
        self.urls.clear()
        for service in self.services:
            await service.close()
        pending = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
