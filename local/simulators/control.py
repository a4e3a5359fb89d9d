"""The control origin: the journal, the faults and the world, for a person with curl.

    GET    /journal            calls, filtered by ?service= ?tenant= ?write=true
    DELETE /journal            forget them
    GET    /faults             faults that can still strike
    POST   /faults             {"service": "graph", "operation": "POST *", "status": 503, ...}
    DELETE /faults             take all of them away
    GET    /world              tenants and what is in them, without secrets
    POST   /clock              {"advance": seconds}
    POST   /user-token         {"tenant", "audience", "scopes", "roles"}: what `az` prints

Plain http on loopback. Its own calls are in the journal too, under `control`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any, ClassVar

from aiohttp import web

from local.simulators.faults import Fault
from local.simulators.refusals import SignInRefused
from local.simulators.service import Service, body_of

_FAULT_FIELDS = frozenset(item.name for item in fields(Fault))


class ControlService(Service):
    """See the module."""

    name: ClassVar[str] = "control"
    scheme: ClassVar[str] = "http"

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/journal", self._journal),
            web.delete("/journal", self._clear_journal),
            web.get("/faults", self._faults),
            web.post("/faults", self._add_fault),
            web.delete("/faults", self._clear_faults),
            web.get("/world", self._world),
            web.post("/clock", self._clock),
            web.post("/user-token", self._user_token),
        ]

    async def _journal(self, request: web.Request) -> web.Response:
        write = request.query.get("write")
        calls = self.simulators.journal.select(
            service=request.query.get("service"),
            tenant=request.query.get("tenant"),
            write=None if write is None else write == "true",
        )
        return web.json_response({"calls": [call.as_json() for call in calls]})

    async def _clear_journal(self, request: web.Request) -> web.Response:
        self.simulators.journal.clear()
        return web.Response(status=204)

    async def _faults(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "faults": [
                    asdict(fault) | {"body": None if fault.body is None else "(raw)"}
                    for fault in self.simulators.faults.pending
                ]
            }
        )

    async def _add_fault(self, request: web.Request) -> web.Response:
        wanted = _json_object(request)
        unknown = set(wanted) - _FAULT_FIELDS
        if unknown:
            return _refuse(f"unknown fields: {', '.join(sorted(unknown))}")
        if isinstance(wanted.get("body"), str):
            wanted["body"] = wanted["body"].encode()
        try:
            fault = Fault(**wanted)
        except (TypeError, ValueError) as error:
            return _refuse(str(error))
        self.simulators.faults.add(fault)
        return web.json_response({"pending": len(self.simulators.faults.pending)}, status=201)

    async def _clear_faults(self, request: web.Request) -> web.Response:
        self.simulators.faults.clear()
        return web.Response(status=204)

    async def _world(self, request: web.Request) -> web.Response:
        return web.json_response(self.simulators.world.summary() | {"urls": self.simulators.urls})

    async def _clock(self, request: web.Request) -> web.Response:
        seconds = _json_object(request).get("advance")
        if not isinstance(seconds, (int, float)) or seconds < 0:
            return _refuse("advance is a number of seconds, not negative")
        return web.json_response({"now": self.simulators.clock.advance(seconds).isoformat()})

    async def _user_token(self, request: web.Request) -> web.Response:
        wanted = _json_object(request)
        try:
            token = self.simulators.entra.issue_user_token(
                str(wanted.get("tenant", "")),
                str(wanted.get("audience", "")),
                wanted.get("scopes", ()),
                wanted.get("roles", ()),
            )
        except SignInRefused as refusal:
            return _refuse(str(refusal))
        return web.json_response({"accessToken": token})


def _json_object(request: web.Request) -> dict[str, Any]:
    try:
        wanted = json.loads(body_of(request) or b"{}")
    except ValueError as error:
        raise web.HTTPBadRequest(text="the body is not JSON") from error
    if not isinstance(wanted, dict):
        raise web.HTTPBadRequest(text="the body is not a JSON object")
    return wanted


def _refuse(message: str) -> web.Response:
    return web.json_response({"error": message}, status=400)
