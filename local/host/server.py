"""The HTTP face of the host: function routes, `/admin`, webhooks, and the client's RPC endpoint.

Runs on an event loop and thread of its own. Requests that fit no route, or a route but not its
methods, get 404 with an empty body, as from the real host. A function that raises gets its caller a
500 with an empty body; the cause is in the log. Bodies over 100 MB get 413.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from http.cookies import SimpleCookie
from typing import Any

import azure.functions as func
from aiohttp import web
from azure.functions.http import HttpRequest, HttpResponseConverter

from local.host import eventgrid
from local.host.durable_api import ApiRequest, DurableApi
from local.host.index import EVENT_GRID, HTTP, IndexedFunction
from local.host.keys import DURABLE, AccessKeys
from local.host.keys import EVENT_GRID as EVENT_GRID_KEY
from local.host.routing import find

MAX_BODY = 104_857_600
SHUTDOWN_SECONDS = 10.0
"""How long a call that is being answered may take to its end; on a busy machine more than one."""

DURABLE_PATH = "/runtime/webhooks/durabletask"
EVENT_GRID_PATH = "/runtime/webhooks/EventGrid"
RPC_PATH = "/durabletask"

_log = logging.getLogger("host.http")

#: Calls a function with the value of its trigger; returns what it returned.
Call = Callable[[IndexedFunction, Any], Awaitable[Any]]

#: Runs a function that has no HTTP trigger, with text as the value of its trigger.
RunByHand = Callable[[IndexedFunction, str], Awaitable[None]]


class HttpServer:
    """Serves an app on loopback."""

    def __init__(self, functions: list[IndexedFunction], keys: AccessKeys) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        self._by_route = {f.route: f for f in functions if f.kind == HTTP and f.route is not None}
        self._keys = keys
        self._background: set[asyncio.Task[None]] = set()
        self._runners: list[web.AppRunner] = []
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="host-http", daemon=True)
        self._api: DurableApi
        self._call: Call
        self._run_by_hand: RunByHand

    def start(
        self,
        public: socket.socket,
        rpc: socket.socket,
        api: DurableApi,
        call: Call,
        run_by_hand: RunByHand,
    ) -> None:
        """Answer on two bound sockets; returns when both listen."""
        self._api, self._call, self._run_by_hand = api, call, run_by_hand
        self._thread.start()
        self.run(self._serve(public, rpc))

    def stop(self) -> None:
        """Answer no more and close every connection."""
        if self._thread.is_alive():
            self.run(self._wind_up())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
        self.loop.close()

    def run(self, work: Any) -> Any:
        """Run a coroutine on the loop from another thread and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def spawn(self, work: Any) -> asyncio.Task[None]:
        """Run a coroutine in the background until it ends or the server stops (loop thread)."""
        task: asyncio.Task[None] = self.loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def _serve(self, public: socket.socket, rpc: socket.socket) -> None:
        for handler, listener in ((self._public, public), (self._rpc, rpc)):
            app = web.Application(client_max_size=MAX_BODY)
            app.router.add_route("*", "/{path:.*}", handler)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
            await runner.setup()
            await web.SockSite(runner, listener).start()
            self._runners.append(runner)

    async def _wind_up(self) -> None:
        running = list(self._background)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for runner in self._runners:
            await runner.cleanup()
        await self.loop.shutdown_asyncgens()
        await self.loop.shutdown_default_executor()

    # -- routes ----------------------------------------------------------------------------------

    async def _public(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path.lower().startswith(f"{DURABLE_PATH}/"):
            if not self._keys.opens_webhook(_key(request), DURABLE):
                return web.Response(status=401)
            return await self._durable(request, DURABLE_PATH)
        if path.lower().rstrip("/") == EVENT_GRID_PATH.lower():
            return await self._event_grid(request)
        if path.lower().startswith("/admin/"):
            return await self._admin(request)
        return await self._function(request)

    async def _rpc(self, request: web.Request) -> web.StreamResponse:
        if not request.path.startswith(f"{RPC_PATH}/"):
            return web.Response(status=404)
        return await self._durable(request, RPC_PATH)

    async def _durable(self, request: web.Request, base: str) -> web.Response:
        answer = await self._api.answer(
            ApiRequest(
                method=request.method,
                parts=tuple(part for part in request.path[len(base) :].split("/") if part),
                url=str(request.url),
                query=request.query,
                headers=request.headers,
                body=await request.read(),
            )
        )
        kind = "application/json" if answer.body is not None else None
        return web.Response(
            status=answer.status, text=answer.text, headers=answer.headers, content_type=kind
        )

    async def _event_grid(self, request: web.Request) -> web.Response:
        name = request.query.get("functionName", "")
        function = self._functions.get(name.lower())
        if not self._keys.opens_webhook(_key(request), EVENT_GRID_KEY):
            return web.Response(status=401)
        if function is None or function.kind != EVENT_GRID:
            return web.Response(status=404, text=f"cannot find function: '{name}'")

        async def deliver(event: Any) -> None:
            await self._call(function, event)

        if request.method == "OPTIONS":
            answer = eventgrid.handshake(request.headers)
        elif request.method == "POST":
            answer = await eventgrid.receive(request.headers, await request.read(), deliver)
        else:
            answer = (405, {}, "")
        status, headers, text = answer
        return web.Response(status=status, headers=headers, text=text)

    async def _admin(self, request: web.Request) -> web.Response:
        if not self._keys.opens_admin(_key(request)):
            return web.Response(status=401)
        parts = [part for part in request.path.lower().split("/") if part]
        if parts == ["admin", "host", "status"] and request.method == "GET":
            return web.json_response({"state": "Running", "errors": []})
        if parts == ["admin", "host", "ping"]:
            return web.Response(status=200)
        if parts == ["admin", "functions"] and request.method == "GET":
            listed = [
                {"name": each.name, "config": {"bindings": list(each.bindings)}}
                for each in self._functions.values()
            ]
            return web.json_response(listed)
        if len(parts) == 3 and parts[1] == "functions" and request.method == "POST":
            return await self._by_hand(request, parts[2])
        return web.Response(status=404)

    async def _by_hand(self, request: web.Request, name: str) -> web.Response:
        function = self._functions.get(name)
        if function is None:
            return web.Response(status=404)
        try:
            body = json.loads(await request.read() or b"{}")
        except ValueError:
            return web.Response(status=400)
        if not isinstance(body, dict) or function.kind == HTTP:
            return web.Response(status=400)
        given = body.get("input")
        text = given if isinstance(given, str) else "" if given is None else json.dumps(given)
        self.spawn(self._run_by_hand(function, text))
        return web.Response(status=202)

    async def _function(self, request: web.Request) -> web.Response:
        found = find(list(self._by_route), request.method, request.raw_path.split("?")[0])
        if found is None:
            return web.Response(status=404)
        route, values = found
        function = self._by_route[route]
        if not self._keys.opens_function(_key(request), function.name, function.auth_level):
            return web.Response(status=401)
        incoming = HttpRequest(
            method=request.method,
            url=str(request.url),
            headers=_joined(request.headers),
            params=_joined(request.query),
            route_params=values,
            body_type="bytes",
            body=await request.read(),
        )
        try:
            return _rendered(await self._call(function, incoming))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a function raises is a 500
            _log.error("'%s' gave no answer: %s", function.name, type(error).__name__)
            return web.Response(status=500)


def _key(request: web.Request) -> str | None:
    return request.headers.get("x-functions-key") or request.query.get("code")


def _joined(pairs: Any) -> dict[str, str]:
    """Several values of one name in one text, as the host hands them over."""
    names = dict.fromkeys(pairs.keys())
    return {name: ",".join(pairs.getall(name)) for name in names}


def _rendered(value: Any) -> web.Response:
    """Answer of a function: an `HttpResponse`, or text.

    Raises:
        TypeError: for anything else, as the worker does.
    """
    if isinstance(value, str):
        return web.Response(text=value)
    if not isinstance(value, func.HttpResponse):
        raise TypeError(f"unable to encode {type(value).__name__} as an HTTP response")
    parts = HttpResponseConverter.encode(value, expected_type=None).value
    headers = {name: datum.value for name, datum in parts["headers"].items()}
    headers.pop("content-length", None)
    response = web.Response(
        status=int(parts["status_code"].value), body=parts["body"].value, headers=headers
    )
    for cookie in parts["cookies"] or []:
        assert isinstance(cookie, SimpleCookie)
        for morsel in cookie.values():
            response.headers.add("Set-Cookie", morsel.OutputString())
    return response
