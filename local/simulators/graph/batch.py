"""`$batch`: up to twenty requests in one, each with an answer of its own.

The outer call succeeds whatever happens inside. Answers come back in another order than they were
asked in, as they may in reality, so that nobody relies on it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.simulators.graph.calls import Answer
from local.simulators.graph.errors import Correlation, malformed

MAX_REQUESTS = 20

_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})
_FIELDS = frozenset({"id", "method", "url", "headers", "body", "dependsOn"})


@dataclass(frozen=True, slots=True)
class InnerRequest:
    """One request of a batch; `url` is relative to the API version."""

    id: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    depends_on: tuple[str, ...]


def parse(payload: bytes) -> list[InnerRequest]:
    """The requests of a batch; 400 for anything that makes the batch itself invalid."""
    try:
        batch = json.loads(payload)
    except ValueError as error:
        raise malformed("Unable to read JSON request payload.") from error
    entries = batch.get("requests") if isinstance(batch, dict) else None
    if not isinstance(entries, list) or not entries:
        raise malformed("Invalid batch payload format.")
    if len(entries) > MAX_REQUESTS:
        raise malformed(
            f"Number of batch request steps exceeds the maximum value of {MAX_REQUESTS}."
        )
    requests: list[InnerRequest] = []
    seen: set[str] = set()
    for entry in entries:
        request = _request(entry)
        if request.id in seen:
            raise malformed(f"Request Id {request.id} is duplicated in the batch.")
        unknown = [name for name in request.depends_on if name not in seen]
        if unknown:
            raise malformed(f"Request {request.id} depends on unknown request {unknown[0]}.")
        seen.add(request.id)
        requests.append(request)
    return requests


def _request(entry: object) -> InnerRequest:
    if not isinstance(entry, dict) or set(entry) - _FIELDS:
        raise malformed("Invalid batch payload format.")
    name, method, url = entry.get("id"), entry.get("method"), entry.get("url")
    if not isinstance(name, str) or not name:
        raise malformed("Invalid batch request: the id is missing or is not a string.")
    if not isinstance(method, str) or method.upper() not in _METHODS:
        raise malformed(f"Invalid batch request {name}: the method is not supported.")
    if not isinstance(url, str) or not url or "://" in url.partition("?")[0]:
        raise malformed(f"Invalid batch request {name}: the url must be relative.")
    headers = entry.get("headers") or {}
    depends = entry.get("dependsOn") or []
    if not isinstance(headers, dict) or not isinstance(depends, list):
        raise malformed("Invalid batch payload format.")
    lowered = {str(key).lower(): str(value) for key, value in headers.items()}
    body = entry.get("body")
    if body is not None and "content-type" not in lowered:
        raise malformed(f"Write request id : {name} does not contain Content-Type header or body.")
    return InnerRequest(
        id=name,
        method=method.upper(),
        url=url,
        headers=lowered,
        body=b"" if body is None else json.dumps(body).encode(),
        depends_on=tuple(str(item) for item in depends),
    )


async def run(
    requests: list[InnerRequest],
    call: Callable[[InnerRequest], Awaitable[Answer]],
    correlation: Correlation,
) -> dict[str, Any]:
    """Run the requests in order and collect the answers, last one first."""
    statuses: dict[str, int] = {}
    responses: list[dict[str, Any]] = []
    for request in requests:
        if any(statuses[name] >= 400 for name in request.depends_on):
            answer = Answer(
                424,
                correlation.envelope(
                    "FailedDependency", "A request that this one depends on has failed."
                ),
            )
        else:
            answer = await call(request)
        statuses[request.id] = answer.status
        response: dict[str, Any] = {
            "id": request.id,
            "status": answer.status,
            "headers": {**_content_type(answer), **answer.headers},
        }
        if answer.body is not None:
            response["body"] = answer.body
        responses.append(response)
    return {"responses": responses[::-1]}


def _content_type(answer: Answer) -> dict[str, str]:
    return {} if answer.body is None else {"Content-Type": "application/json"}
