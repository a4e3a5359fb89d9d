"""Microsoft Graph, v1.0 (and beta for reading applications and service principals).

This module is the front: version, token, throttle, routing, `$batch`, envelopes, headers. Each
resource has a module of its own with its routes. Handlers are plain functions from call to answer,
which is what lets a batch run them the same way.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl, unquote

from aiohttp import web
from yarl import URL

from local.simulators.faults import Fault
from local.simulators.graph import (
    app_management,
    app_role_assignments,
    applications,
    batch,
    delegated_grants,
    deleted_items,
    federated_credentials,
    organization,
    role_management,
    service_principals,
)
from local.simulators.graph.calls import Answer, GraphCall
from local.simulators.graph.errors import (
    Correlation,
    GraphError,
    denied,
    malformed,
    throttled,
    unauthenticated,
)
from local.simulators.graph.query import check_options
from local.simulators.graph.routing import Match, Route, Router
from local.simulators.journal import Call, printable_path
from local.simulators.service import CallDescription, Service, body_of, request_id_of
from local.simulators.tokens import Claims, TokenRejected, bearer

if TYPE_CHECKING:
    from local.simulators import Simulators

BATCH = "POST /$batch"
VERSIONS = ("v1.0", "beta")
THROTTLE_WINDOW = 10.0

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def all_routes() -> Iterator[Route]:
    """The routes of every resource."""
    for resource in (
        organization,
        applications,
        federated_credentials,
        service_principals,
        app_role_assignments,
        delegated_grants,
        role_management,
        deleted_items,
        app_management,
    ):
        yield from resource.routes()


class GraphService(Service):
    """`graph.microsoft.com`."""

    name: ClassVar[str] = "graph"

    def __init__(self, simulators: Simulators) -> None:
        super().__init__(simulators)
        self._router = Router(all_routes())
        self._recent: dict[tuple[str, str], deque[float]] = {}

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/{path:.*}", self._handle)]

    def describe(self, request: web.Request) -> CallDescription:
        claims = None
        with suppress(TokenRejected):  # The handler refuses it; this is for the journal only.
            claims = self.simulators.entra.mint.read(bearer(request))
        tenant = claims.tenant_id if claims else None
        caller = claims.app_id if claims else None
        _, path = _split(request.rel_url.raw_path)
        if path == "/$batch":
            return CallDescription(BATCH, tenant, caller, write=False)
        return CallDescription(
            self._operation(request.method, path),
            tenant,
            caller,
            write=request.method not in _READS,
        )

    def fault_body(self, fault: Fault, request: web.Request) -> object:
        return self._correlation(request).envelope(fault.code, fault.message)

    def fault_headers(self, request: web.Request) -> Mapping[str, str]:
        return self._correlation(request).headers()

    def _operation(self, method: str, path: str) -> str:
        try:
            return f"{method} {self._router.find(path).template}"
        except GraphError:
            return f"{method} {unquote(path)}"

    def _correlation(self, request: web.Request) -> Correlation:
        request_id = request_id_of(request)
        return Correlation(
            request_id,
            request.headers.get("client-request-id", request_id),
            self.simulators.clock.now(),
        )

    async def _handle(self, request: web.Request) -> web.Response:
        correlation = self._correlation(request)
        version, path = _split(request.rel_url.raw_path)
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            claims = self._authenticate(request)
            if version not in VERSIONS:
                raise malformed(f"Invalid version: {version}.")
            if path == "/$batch":
                answer = await self._batch(request, claims, correlation)
            else:
                answer = self._call(
                    request.method,
                    version,
                    path,
                    request.rel_url.raw_query_string,
                    headers,
                    body_of(request),
                    claims,
                )
        except GraphError as error:
            answer = _refusal(error, correlation)
        response = web.Response(
            status=answer.status,
            body=None if answer.body is None else json.dumps(answer.body).encode(),
            content_type=None if answer.body is None else "application/json",
        )
        response.headers.update(correlation.headers())
        response.headers.update(answer.headers)
        return response

    def _authenticate(self, request: web.Request) -> Claims:
        try:
            claims = self.simulators.entra.verify(bearer(request), self.url)
        except TokenRejected as rejected:
            raise unauthenticated(rejected.reason) from rejected
        if claims.tenant_id not in self.simulators.world.tenants:
            raise unauthenticated("The tenant of the token does not exist.")
        return claims

    def _call(
        self,
        method: str,
        version: str,
        raw_path: str,
        raw_query: str,
        headers: Mapping[str, str],
        body: bytes,
        claims: Claims,
    ) -> Answer:
        self._throttle(claims)
        match = self._router.find(raw_path)
        route = match.route(method)
        if version == "beta" and not route.beta:
            raise malformed("Only applications and service principals can be read in beta.")
        rights = claims.roles | claims.scopes
        if not rights & route.rights:
            raise denied()
        query = _options(raw_query)
        check_options(query, route.options)
        return route.handler(
            self._graph_call(method, version, raw_path, match, query, headers, body, claims)
        )

    def _graph_call(
        self,
        method: str,
        version: str,
        raw_path: str,
        match: Match,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        claims: Claims,
    ) -> GraphCall:
        return GraphCall(
            method=method,
            url=f"{self.url}/{version}",
            path=raw_path,
            params=match.params,
            query=query,
            headers=headers,
            body=body,
            claims=claims,
            tenant=self.simulators.world.tenants[claims.tenant_id],
            world=self.simulators.world,
            now=self.simulators.clock.now(),
            rights=claims.roles | claims.scopes,
        )

    def _throttle(self, claims: Claims) -> None:
        limit = self.simulators.world.tenants[claims.tenant_id].switches.requests_per_10s
        if limit is None:
            return
        now = self.simulators.clock.now().timestamp()
        recent = self._recent.setdefault((claims.tenant_id, claims.app_id), deque())
        while recent and recent[0] <= now - THROTTLE_WINDOW:
            recent.popleft()
        if len(recent) >= limit:
            raise throttled(max(1, round(recent[0] + THROTTLE_WINDOW - now + 0.5)))
        recent.append(now)

    # $batch

    async def _batch(
        self, request: web.Request, claims: Claims, correlation: Correlation
    ) -> Answer:
        if request.method != "POST":
            raise GraphError(405, "Request_BadRequest", "A batch is sent with POST.")
        version, _ = _split(request.rel_url.raw_path)
        agent = request.headers.get("User-Agent", "")

        async def call(inner: batch.InnerRequest) -> Answer:
            at = self.simulators.clock.now()
            url = URL("/" + inner.url.lstrip("/"), encoded=True)
            operation = self._operation(inner.method, url.raw_path)
            try:
                answer = await self._inner(inner, url, operation, version, claims, correlation)
            except GraphError as error:
                answer = _refusal(error, correlation)
            self.simulators.journal.record(
                Call(
                    at=at,
                    service=self.name,
                    tenant=claims.tenant_id,
                    operation=operation,
                    method=inner.method,
                    path=printable_path(f"/{version}{url.path}", url.query),
                    status=answer.status,
                    caller=claims.app_id,
                    agent=agent,
                    write=inner.method not in _READS,
                    request_id=correlation.request_id,
                    batch=True,
                )
            )
            return answer

        answered = await batch.run(batch.parse(body_of(request)), call, correlation)
        return Answer(200, answered)

    async def _inner(
        self,
        inner: batch.InnerRequest,
        url: URL,
        operation: str,
        version: str,
        claims: Claims,
        correlation: Correlation,
    ) -> Answer:
        """One request of a batch, with the faults that strike it."""
        fault = self.simulators.faults.take(self.name, operation, claims.tenant_id)
        if fault is not None and fault.delay:
            await asyncio.sleep(fault.delay)
        if fault is not None and fault.drop != "after":
            if fault.drop == "before":
                # A lost connection behind the gateway shows as its timeout.
                raise GraphError(504, "GatewayTimeout", "The request timed out.")
            if fault.status is not None:
                raise GraphError(fault.status, fault.code, fault.message, fault.headers)
        if url.raw_path == "/$batch":
            raise malformed("A batch inside a batch is not supported.")
        answer = self._call(
            inner.method,
            version,
            url.raw_path,
            url.raw_query_string,
            inner.headers,
            inner.body,
            claims,
        )
        if fault is not None and fault.drop == "after":
            raise GraphError(504, "GatewayTimeout", "The request timed out.")
        return answer


def _split(raw_path: str) -> tuple[str, str]:
    """(version, path below it) of a percent-encoded path."""
    version, _, path = raw_path.lstrip("/").partition("/")
    return version, unquote(f"/{path}") if path == "%24batch" else f"/{path}"


def _options(raw_query: str) -> dict[str, str]:
    return dict(parse_qsl(raw_query, keep_blank_values=True))


def _refusal(error: GraphError, correlation: Correlation) -> Answer:
    return Answer(error.status, correlation.envelope(error.code, error.message), error.headers)
