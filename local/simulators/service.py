"""One simulated service: its routes, and what all of them share.

Every call passes through the same middleware, which reads the body once, asks the weather and the
faults, calls the handler and writes the journal. What a call *is* (operation name, tenant, caller,
write or not) only the service knows: `describe`. How an error looks on its wire likewise:
`fault_body`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

from aiohttp import web

from local.simulators.faults import Fault
from local.simulators.journal import Call, printable_path

if TYPE_CHECKING:
    from local.simulators import Simulators

MAX_BODY = 64 * 1024 * 1024
"""Largest request body in bytes; scan reports are the largest."""

BODY = web.RequestKey("body", bytes)
REQUEST_ID = web.RequestKey("request_id", str)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE", "MERGE"})


@dataclass(frozen=True, slots=True)
class CallDescription:
    """What a request is: `operation` is a name such as `GET /applications/{id}`."""

    operation: str
    tenant: str | None = None
    caller: str | None = None
    write: bool = False


def body_of(request: web.Request) -> bytes:
    """The request's body, read by the middleware before `describe` is called."""
    return request[BODY]


def request_id_of(request: web.Request) -> str:
    """The id under which the journal knows the request; services send it back."""
    return request[REQUEST_ID]


class Service:
    """Base of all simulated services; a subclass sets `name` and gives `routes`."""

    name: ClassVar[str]
    scheme: ClassVar[str] = "https"

    def __init__(self, simulators: Simulators) -> None:
        self.simulators = simulators

    @property
    def url(self) -> str:
        """The service's origin, known once the simulators have started."""
        return self.simulators.urls[self.name]

    def routes(self) -> list[web.RouteDef]:
        """The routes of this origin."""
        raise NotImplementedError

    def describe(self, request: web.Request) -> CallDescription:
        """What the request is. The default is the route's template and the method's nature.

        Must not raise: it is called for bad requests too. The body is there (`body_of`).
        """
        resource = request.match_info.route.resource
        template = resource.canonical if resource is not None else request.path
        return CallDescription(f"{request.method} {template}", write=request.method in _WRITES)

    def fault_body(self, fault: Fault, request: web.Request) -> object:
        """The JSON body of an injected error, in this service's envelope."""
        return {"error": {"code": fault.code, "message": fault.message}}

    def fault_headers(self, request: web.Request) -> Mapping[str, str]:
        """Headers that every error of this service carries."""
        return {}

    async def close(self) -> None:
        """End what the service itself has started (tasks, client sessions), on the loop."""

    def application(self) -> web.Application:
        """The aiohttp application with the shared middleware."""
        app = web.Application(middlewares=[self._observe], client_max_size=MAX_BODY)
        app.add_routes(self.routes())
        return app

    @web.middleware
    async def _observe(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        at = self.simulators.clock.now()
        request[BODY] = await request.read()
        request[REQUEST_ID] = str(uuid4())
        call = self.describe(request)
        status = 500
        try:
            response = await self._with_faults(request, handler, call)
        except web.HTTPException as answer:
            status = answer.status
            raise
        else:
            status = response.status
            return response
        finally:
            self.simulators.journal.record(
                Call(
                    at=at,
                    service=self.name,
                    tenant=call.tenant,
                    operation=call.operation,
                    method=request.method,
                    path=printable_path(request.path, request.query),
                    status=status,
                    caller=call.caller,
                    agent=request.headers.get("User-Agent", ""),
                    write=call.write,
                    request_id=request[REQUEST_ID],
                )
            )

    async def _with_faults(
        self, request: web.Request, handler: Handler, call: CallDescription
    ) -> web.StreamResponse:
        agent = request.headers.get("User-Agent", "")
        crowded = await self.simulators.weather.meet(self.name, agent)
        if crowded is not None:
            return self._injected(crowded, request)
        fault = self.simulators.faults.take(self.name, call.operation, call.tenant)
        if fault is None:
            return await handler(request)
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.drop == "before":
            return _hang_up(request)
        if fault.drop == "after":
            await handler(request)
            return _hang_up(request)
        if fault.status is None and fault.body is None:
            return await handler(request)
        return self._injected(fault, request)

    def _injected(self, fault: Fault, request: web.Request) -> web.Response:
        if fault.body is not None:
            body = fault.body
        else:
            body = json.dumps(self.fault_body(fault, request)).encode()
        response = web.Response(
            status=fault.status or 200, body=body, content_type="application/json"
        )
        response.headers.update(self.fault_headers(request))
        response.headers.update(fault.headers)
        return response


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection; what is returned never reaches the client, the journal shows 499."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)
