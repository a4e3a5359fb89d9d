"""Microsoft Graph, as one tenant's client: raw JSON in and out, and one family of errors.

The SDK authenticates, keeps connections and repeats the briefest of throttling
(`shared.entra.graph_transport`); everything longer is a `NotYet` for a durable timer. Bodies are
plain dicts, because key credentials must be sent back exactly as they were read. Lists are always
read to the end, and a link to the next page is followed as it is, but only to the configured host:
the token must not leave it.

A write whose answer is lost is repeated by the caller only where that is harmless: PATCH and
DELETE always are, POST says so with ``repeatable``; otherwise the failure is `OutcomeUnknown`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from shared.config import Settings
from shared.entra.reactions import GraphError, react
from shared.errors import NotYet, OnboardingError, OutcomeUnknown, Refused
from shared.tls import client_context

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

    from shared.entra.graph_transport import Connections, GraphTransport

__all__ = [
    "BatchRequest",
    "BatchResponse",
    "GraphClient",
    "GraphConnections",
    "GraphError",
    "literal",
    "quoted",
    "relative",
    "segment",
]

API_VERSION = "v1.0"
BATCH_SIZE = 20
"""The most requests that Graph takes in one ``$batch``."""

INNER_ATTEMPTS = 3
FIRST_INNER_PAUSE = 0.25
LONGEST_INNER_PAUSE = 10.0


def literal(text: str) -> str:
    """An OData string literal: in quotes, quotes inside doubled (azure-powershell#11317)."""
    return "'" + text.replace("'", "''") + "'"


def quoted(text: str) -> str:
    """`literal`, percent-encoded for a path: ``applications(uniqueName={quoted(name)})``."""
    return "'" + quote(text.replace("'", "''"), safe="") + "'"


def segment(identifier: str) -> str:
    """An object id as a segment of a path; whatever it is, it stays one segment."""
    return quote(identifier, safe="")


@dataclass(frozen=True)
class BatchRequest:
    """One inner request. ``path`` is relative to the API version and percent-encoded."""

    id: str
    path: str
    method: str = "GET"
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice is harmless by its method alone."""
        return self.method != "POST"


@dataclass(frozen=True)
class BatchResponse:
    """One inner answer; ``error`` is set unless it is a success."""

    id: str
    status: int
    body: dict[str, Any]
    tenant_id: str
    error: GraphError | None = None

    def result(self, what: str, *, young: bool = False) -> dict[str, Any]:
        """The body of a success.

        Raises:
            OnboardingError: as `react` says.
        """
        if self.error is not None:
            raise react(
                self.error, what=what, tenant_id=self.tenant_id, young=young
            ) from self.error
        return self.body

    def result_or_none(self, what: str) -> dict[str, Any] | None:
        """The body, or None for 404; every other failure is raised."""
        return None if self.status == 404 else self.result(what)


class GraphConnections:
    """The connections that the clients of all tenants share; opened with the first request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: Connections | None = None

    def opened(self) -> Connections:
        """The connections."""
        if self._opened is None:
            # The SDK costs a noticeable part of a cold start; not every invocation needs Graph.
            from shared.entra.graph_transport import Connections

            self._opened = Connections(
                f"{self._settings.cloud.graph}/{API_VERSION}", client_context(self._settings)
            )
        return self._opened

    async def aclose(self) -> None:
        """Close them; the next request opens new ones."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.aclose()


class GraphClient:
    """Graph in one tenant, as one credential.

    Without ``connections`` it opens some of its own, and is to be closed.
    """

    def __init__(
        self,
        settings: Settings,
        credential: AsyncTokenCredential,
        tenant_id: str,
        connections: GraphConnections | None = None,
    ) -> None:
        self.tenant_id = tenant_id
        self._settings = settings
        self._credential = credential
        self._owns = connections is None
        self._connections = connections or GraphConnections(settings)
        self._root = f"{settings.cloud.graph}/{API_VERSION}"
        self._transport: GraphTransport | None = None

    @property
    def scope(self) -> str:
        """What tokens are asked for."""
        return f"{self._settings.cloud.graph}/.default"

    async def aclose(self) -> None:
        """Close connections of its own; the credential belongs to `shared.entra.identity`."""
        self._transport = None
        if self._owns:
            await self._connections.aclose()

    async def token_roles(self) -> frozenset[str]:
        """The application permissions in our own token: its ``roles`` claim."""
        token = await self._credential.get_token(self.scope)
        return roles_of(token.token)

    # --- requests --------------------------------------------------------------------------------

    async def get(
        self,
        path: str,
        *,
        select: Sequence[str] = (),
        params: Mapping[str, str] | None = None,
        what: str | None = None,
        young: bool = False,
    ) -> dict[str, Any]:
        """Read one object. ``path`` is percent-encoded, values of ``params`` are plain text."""
        return await self._call("GET", self._url(path, select, params), what=what, young=young)

    async def get_all(
        self,
        path: str,
        *,
        select: Sequence[str] = (),
        params: Mapping[str, str] | None = None,
        what: str | None = None,
        young: bool = False,
    ) -> list[dict[str, Any]]:
        """Read a collection to its end.

        Raises:
            Refused: ``graph_foreign_link`` when the next page is on another host.
        """
        page = await self.get(path, select=select, params=params, what=what, young=young)
        return await self.rest_of(page, what=what, young=young)

    async def rest_of(
        self, page: Mapping[str, Any], *, what: str | None = None, young: bool = False
    ) -> list[dict[str, Any]]:
        """The items of a first page and of all pages after it."""
        items: list[dict[str, Any]] = list(page.get("value", []))
        link = page.get("@odata.nextLink")
        while link is not None:
            self._check_link(str(link))
            following = await self._call("GET", str(link), what=what, young=young)
            items.extend(following.get("value", []))
            link = following.get("@odata.nextLink")
        return items

    async def patch(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        what: str | None = None,
        young: bool = False,
    ) -> dict[str, Any]:
        """Change an object; an empty dict when Graph sends no body (204)."""
        return await self._call(
            "PATCH", self._url(path), body=body, headers=headers, what=what, young=young
        )

    async def post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        what: str | None = None,
        young: bool = False,
        repeatable: bool = False,
    ) -> dict[str, Any]:
        """Make an object. ``repeatable``: a second one would be refused, or would change nothing.

        Raises:
            OutcomeUnknown: not repeatable, and no answer came.
        """
        return await self._call(
            "POST", self._url(path), body=body, what=what, young=young, repeatable=repeatable
        )

    async def delete(self, path: str, *, what: str | None = None) -> None:
        """Remove an object."""
        await self._call("DELETE", self._url(path), what=what)

    async def batch(
        self,
        requests: Sequence[BatchRequest],
        *,
        what: str | None = None,
        repeatable: bool | None = None,
    ) -> list[BatchResponse]:
        """Send up to 20 requests in one, more in several; answers are in the order of requests.

        Only inner 429 and 5xx are repeated, a few times and after short pauses; whatever fails
        then, or for another reason, is in its answer. ``repeatable`` as for `post`; by default
        that of the methods.
        """
        answers: dict[str, BatchResponse] = {}
        for start in range(0, len(requests), BATCH_SIZE):
            chunk = list(requests[start : start + BATCH_SIZE])
            harmless = all(r.repeatable for r in chunk) if repeatable is None else repeatable
            for attempt in range(1, INNER_ATTEMPTS + 1):
                answers.update(await self._send_batch(chunk, what=what, repeatable=harmless))
                chunk = [r for r in chunk if _passing(answers[r.id].error)]
                pause = max(
                    [FIRST_INNER_PAUSE * 2 ** (attempt - 1)]
                    + [e.retry_after or 0.0 for r in chunk if (e := answers[r.id].error)]
                )
                if not chunk or attempt == INNER_ATTEMPTS or pause > LONGEST_INNER_PAUSE:
                    break
                await asyncio.sleep(pause)
        return [answers[request.id] for request in requests]

    # --- one round trip --------------------------------------------------------------------------

    async def _send_batch(
        self, requests: Sequence[BatchRequest], *, what: str | None, repeatable: bool
    ) -> dict[str, BatchResponse]:
        inner = []
        for request in requests:
            item: dict[str, Any] = {
                "id": request.id,
                "method": request.method,
                "url": "/" + request.path.lstrip("/"),
            }
            headers = dict(request.headers)
            if request.body is not None:
                item["body"] = request.body
                headers["Content-Type"] = "application/json"
            if headers:
                item["headers"] = headers
            inner.append(item)
        answer = await self._call(
            "POST",
            self._url("$batch"),
            body={"requests": inner},
            what=what or "a batch of requests",
            repeatable=repeatable,
        )
        found = {str(item["id"]): item for item in answer.get("responses", [])}
        lost = [request.id for request in requests if request.id not in found]
        if lost:
            raise OutcomeUnknown(
                "graph_batch_incomplete",
                f"{what or 'a batch'} in tenant {self.tenant_id}: Microsoft Graph left"
                f" {len(lost)} of {len(requests)} answers out",
                remediation="Repeat the operation; it first looks at what was done.",
                tenant_id=self.tenant_id,
            )
        return {request.id: self._batch_response(found[request.id]) for request in requests}

    def _batch_response(self, item: Mapping[str, Any]) -> BatchResponse:
        status = int(item.get("status", 0))
        body = item.get("body")
        known = body if isinstance(body, dict) else {}
        error = None
        if not 200 <= status < 300:
            headers = httpx.Headers(
                {str(k): str(v) for k, v in (item.get("headers") or {}).items()}
            )
            error = _error(status, known, headers)
        return BatchResponse(str(item["id"]), status, known, self.tenant_id, error)

    async def _call(
        self,
        method: str,
        url: str,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        what: str | None = None,
        young: bool = False,
        repeatable: bool = True,
    ) -> dict[str, Any]:
        subject = what or f"{method} {urlsplit(url).path}"
        sent = {"Accept": "application/json", **(headers or {})}
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            sent["Content-Type"] = "application/json"
        try:
            answer = await self._opened().send(method, url, sent, content)
        except httpx.TransportError as error:
            raise no_answer(
                error, "Microsoft Graph", what=subject, tenant_id=self.tenant_id, safe=repeatable
            ) from error
        if not answer.is_success:
            failure = _error(answer.status_code, _body(answer), answer.headers)
            raise react(failure, what=subject, tenant_id=self.tenant_id, young=young) from failure
        if not answer.content:
            return {}
        known = _body(answer)
        if known is None:
            raise Refused(
                "graph_answer_unreadable",
                f"{subject} in tenant {self.tenant_id}: the answer is not a JSON object",
                remediation="Check whether a proxy answers in the place of Microsoft Graph.",
                tenant_id=self.tenant_id,
                request_id=answer.headers.get("request-id"),
            )
        return known

    def _opened(self) -> GraphTransport:
        if self._transport is None:
            # As above.
            from shared.entra.graph_transport import GraphTransport

            self._transport = GraphTransport(
                self._connections.opened(), self._root, self.scope, self._credential
            )
        return self._transport

    def _url(
        self, path: str, select: Sequence[str] = (), params: Mapping[str, str] | None = None
    ) -> str:
        return f"{self._root}/{relative(path, select=select, params=params)}"

    def _check_link(self, link: str) -> None:
        ours, theirs = urlsplit(self._root), urlsplit(link)
        if (ours.scheme, ours.netloc.lower()) != (theirs.scheme, theirs.netloc.lower()):
            raise Refused(
                "graph_foreign_link",
                f"Microsoft Graph pointed to another host ({theirs.netloc[:80]}) for the next page"
                f" in tenant {self.tenant_id}; it was not followed",
                remediation="Check CLOUD and whether a proxy rewrites answers.",
                tenant_id=self.tenant_id,
            )


def relative(
    path: str, *, select: Sequence[str] = (), params: Mapping[str, str] | None = None
) -> str:
    """A path with its query, relative to the API version, as batches want it."""
    query = dict(params or {})
    if select:
        query["$select"] = ",".join(select)
    shown = "&".join(f"{name}={quote(value, safe=',:/()')}" for name, value in query.items())
    return f"{path.lstrip('/')}?{shown}" if shown else path.lstrip("/")


def roles_of(token: str) -> frozenset[str]:
    """The ``roles`` claim of an access token of ours. Nothing is verified: the API does that."""
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(
            base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=dict[str, Any]
        )
    except (IndexError, binascii.Error, msgspec.DecodeError):
        # An opaque token names no roles; that it has none is what the caller then reports.
        return frozenset()
    roles = claims.get("roles")
    return frozenset(str(role) for role in roles) if isinstance(roles, list) else frozenset()


def no_answer(
    error: httpx.TransportError, service: str, *, what: str, tenant_id: str | None, safe: bool
) -> OnboardingError:
    """The family's member for a request that got no answer.

    ``safe``: it may be sent again without harm.
    """
    text = f"{what} in tenant {tenant_id}: no answer from {service} ({type(error).__name__})"
    if isinstance(error, httpx.ConnectError) and _untrusted(error):
        return Refused(
            "tls_untrusted",
            f"{what} in tenant {tenant_id}: the certificate of {service} is not trusted",
            remediation="If this network inspects TLS, name its authority in TRUSTED_CA_FILE.",
            tenant_id=tenant_id,
        )
    unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    if safe or unsent:
        return NotYet(
            "service_unreachable",
            text,
            remediation=f"Check that {service} can be reached from here; it is tried again.",
            tenant_id=tenant_id,
        )
    return OutcomeUnknown(
        "no_answer",
        text,
        remediation="Repeat the operation; it first looks at what was done.",
        tenant_id=tenant_id,
    )


def _untrusted(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _passing(error: GraphError | None) -> bool:
    return error is not None and (error.status == 429 or error.status >= 500)


def _body(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        return None


def _error(status: int, body: Mapping[str, Any] | None, headers: httpx.Headers) -> GraphError:
    described = (body or {}).get("error")
    described = described if isinstance(described, dict) else {}
    inner = described.get("innerError")
    inner = inner if isinstance(inner, dict) else {}
    return GraphError(
        status,
        str(described.get("code") or ""),
        str(described.get("message") or ""),
        request_id=inner.get("request-id") or headers.get("request-id"),
        retry_after=seconds(headers.get("retry-after")),
    )


def seconds(header: str | None) -> float | None:
    """``Retry-After`` in seconds; None when it is absent or a date (Graph sends numbers)."""
    try:
        return max(0.0, float(header)) if header is not None else None
    except ValueError:
        return None
