"""How an error looks to an HTTP caller: RFC 9457 problem details, with our code and remediation.

The one place where the family of `shared.errors` meets HTTP. Anything outside the family is a
defect of ours: it is logged with its traceback and answered with 500 and no detail, since its text
may hold anything.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

import azure.functions as func
import msgspec

from shared.errors import NotYet, OnboardingError, OperationEnded, RequestError, TenantBusy

PROBLEM_JSON = "application/problem+json"

_log = logging.getLogger(__name__)


class Problem(msgspec.Struct, omit_defaults=True, rename="camel"):
    """Problem details. ``field`` is the member of the request that is meant, ``operation`` a link
    to the operation that stands in the way, or has ended."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    remediation: str
    field: str | None = None
    tenant_id: str | None = None
    operation: str | None = None
    request_id: str | None = None


def problem_response(error: OnboardingError) -> func.HttpResponse:
    """The answer for an error of the family."""
    headers: dict[str, str] = {}
    if isinstance(error, NotYet):
        headers["Retry-After"] = f"{error.retry_after or 30:.0f}"
    problem = Problem(
        type=f"urn:mondoo:onboarding:{error.code}",
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.message,
        code=error.code,
        remediation=error.remediation,
        field=error.field if isinstance(error, RequestError) else None,
        tenant_id=error.tenant_id,
        request_id=error.request_id,
    )
    if isinstance(error, TenantBusy | OperationEnded):
        problem.operation = f"/api/operations/{error.operation_id}"
        headers["Location"] = problem.operation
    return json_response(problem, error.status, headers=headers, mimetype=PROBLEM_JSON)


def json_response(
    body: Any,
    status: int = 200,
    *,
    headers: dict[str, str] | None = None,
    mimetype: str = "application/json",
) -> func.HttpResponse:
    """A JSON answer that no cache keeps."""
    return func.HttpResponse(
        msgspec.json.encode(body),
        status_code=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        mimetype=mimetype,
    )


Handler = Callable[..., Awaitable[func.HttpResponse]]


def answering(handler: Handler) -> Handler:
    """Let a handler raise errors of the family and answer them as problem details."""

    @wraps(handler)
    async def answered(*args: Any, **kwargs: Any) -> func.HttpResponse:
        try:
            return await handler(*args, **kwargs)
        except OnboardingError as error:
            if error.status >= 500:
                _log.warning("%s answered %s: %s", handler.__name__, error.status, error.code)
            return problem_response(error)

    return answered
