"""What an answer of Mondoo's API means, as one of our family.

The GraphQL endpoint answers 200 also when it refuses: the reason is in ``errors``, as gRPC text
(``rpc error: code = NotFound desc = …``), as ``extensions.code``, or both, in either spelling
(``NotFound``, ``NOT_FOUND``). Some fields answer with an error type of a union instead, and some
payloads list ``errors`` of their own. Data beside errors is partial and counts as failure. A code
that is not known to heal is a refusal.

Messages may repeat what was sent, and a certificate with its key is sent; whatever follows the
first sign of a PEM is cut off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from shared.errors import NotYet, OnboardingError, OutcomeUnknown, Refused

LONGEST_QUOTE = 300
ERROR_TYPES = {
    "RequestError": "InvalidArgument",
    "NotFoundError": "NotFound",
    "AuthenticationRequired": "Unauthenticated",
}
"""Error types of unions, with the code that stands for them."""

_GRPC = re.compile(r"code = (\w+)(?: desc = (.*))?", re.DOTALL)
_SEND_AGAIN = "Send the request again later."
_SERVICE_ACCOUNT = (
    "Check the service account that MONDOO_SERVICE_ACCOUNT names: it must exist, belong to the"
    " space or its organization, and not be expired."
)
_RIGHTS = (
    "Give the Mondoo service account the role Editor on the space (or integrations-manager,"
    " policy-manager and viewer)."
)
_REFUSALS = {
    "unauthenticated": ("mondoo_unauthenticated", _SERVICE_ACCOUNT),
    "permissiondenied": ("mondoo_forbidden", _RIGHTS),
    "notfound": ("mondoo_not_found", "Check the MRN: the space, policy or integration must exist."),
    "alreadyexists": ("mondoo_already_exists", "Look at what exists in the Mondoo Console."),
    "invalidargument": ("mondoo_invalid_argument", "See the message for what is not accepted."),
    "outofrange": ("mondoo_invalid_argument", "See the message for what is not accepted."),
    "failedprecondition": ("mondoo_precondition", "See the message for what must be done first."),
    "unimplemented": ("mondoo_unsupported", "Check that the endpoint is Mondoo's current API."),
}
_HEALS = frozenset({"resourceexhausted", "aborted", "unavailable"})
"""Nothing was done, and it may be asked for again."""
_UNCLEAR = frozenset({"deadlineexceeded", "internal", "cancelled"})
"""It may have been done."""
_RPC_CODES = {
    3: "InvalidArgument",
    4: "DeadlineExceeded",
    5: "NotFound",
    6: "AlreadyExists",
    7: "PermissionDenied",
    8: "ResourceExhausted",
    9: "FailedPrecondition",
    10: "Aborted",
    11: "OutOfRange",
    12: "Unimplemented",
    13: "Internal",
    14: "Unavailable",
    16: "Unauthenticated",
}
"""The numbers of google.rpc.Status."""
_STATUS_CODES = {401: "Unauthenticated", 403: "PermissionDenied", 404: "Unimplemented"}


@dataclass(frozen=True)
class Request:
    """What was asked: ``what`` completes "could not …"; ``repeatable`` as in the client."""

    what: str
    repeatable: bool
    request_id: str | None = None


class _RpcStatus(Struct):
    """google.rpc.Status, as far as we read it."""

    code: int = 0
    message: str = ""


def error_in(body: Mapping[str, Any], request: Request) -> OnboardingError | None:
    """The error that a GraphQL answer (status 200) carries; None when it carries none."""
    errors = body.get("errors")
    if isinstance(errors, list) and errors:
        first = errors[0] if isinstance(errors[0], dict) else {}
        extensions = first.get("extensions")
        listed = extensions.get("code") if isinstance(extensions, dict) else None
        return _error(_text(first), listed, request)
    payload = body.get("data")
    if not isinstance(payload, dict):
        return unreadable(request)
    for value in payload.values():
        if not isinstance(value, dict):
            continue
        if value.get("__typename") in ERROR_TYPES:
            return _error(_text(value), ERROR_TYPES[value["__typename"]], request)
        nested = value.get("errors")
        if isinstance(nested, list) and nested:
            first = nested[0] if isinstance(nested[0], dict) else {"message": str(nested[0])}
            return _error(_text(first), first.get("code"), request)
    return None


def status_error(status: int, retry_after: str | None, request: Request) -> OnboardingError:
    """What an HTTP status other than 200 means."""
    if status == 429 or status == 503 or (status >= 500 and request.repeatable):
        return NotYet(
            "mondoo_busy",
            f"could not {request.what}: Mondoo answered {status}",
            remediation=_SEND_AGAIN,
            retry_after=_seconds(retry_after),
            request_id=request.request_id,
        )
    if status >= 500:
        return no_answer(request, f"answered {status}")
    return _error(f"HTTP status {status}", _STATUS_CODES.get(status), request)


def rpc_error(
    status: int, content: bytes, retry_after: str | None, request: Request
) -> OnboardingError:
    """What an RPC answer other than 200 means; its content should be a google.rpc.Status."""
    try:
        told = msgspec.json.decode(content, type=_RpcStatus)
    except msgspec.DecodeError:  # a proxy's page, say
        told = _RpcStatus()
    known = _RPC_CODES.get(told.code)
    if known is None or status in (429, 503):
        return status_error(status, retry_after, request)
    return _error(told.message or "no message", known, request)


def unreadable(request: Request) -> OnboardingError:
    """The answer is not one of a GraphQL API: a proxy's page, say."""
    if not request.repeatable:
        return no_answer(request, "gave an answer that cannot be read")
    return Refused(
        "mondoo_unreadable",
        f"could not {request.what}: the answer is not that of Mondoo's API",
        remediation="Check api_endpoint in the service account, and proxies on the way.",
        request_id=request.request_id,
    )


def unreachable(request: Request) -> NotYet:
    """The request did not arrive, or may be repeated without harm."""
    return NotYet(
        "mondoo_unreachable",
        f"could not {request.what}: Mondoo does not answer",
        remediation="Check the network and api_endpoint in the service account; send it again.",
    )


def no_answer(request: Request, how: str = "did not answer") -> OutcomeUnknown:
    """The request left and must not be repeated blindly."""
    return OutcomeUnknown(
        "mondoo_no_answer",
        f"Mondoo was asked to {request.what} and {how}",
        remediation="Send the request again: it looks first at what was done.",
        request_id=request.request_id,
    )


def _error(text: str, listed: object, request: Request) -> OnboardingError:
    match = _GRPC.search(text)
    code = str(listed) if isinstance(listed, str) else (match[1] if match else "")
    known = re.sub(r"[^a-z]", "", code.lower())
    if match and known not in _REFUSALS and known not in _HEALS | _UNCLEAR:
        # Gateways put codes of their own into the extensions; the gRPC text then knows more.
        known = re.sub(r"[^a-z]", "", match[1].lower())
    reason = _quote((match[2] if match else None) or text)
    message = f"could not {request.what}: {reason}"
    if known in _HEALS or (known in _UNCLEAR and request.repeatable):
        return NotYet(
            "mondoo_busy", message, remediation=_SEND_AGAIN, request_id=request.request_id
        )
    if known in _UNCLEAR:
        return no_answer(request, f"answered: {reason}")
    ours, remediation = _REFUSALS.get(
        known, ("mondoo_refused", "See the message; Mondoo's support can look it up.")
    )
    return Refused(ours, message, remediation=remediation, request_id=request.request_id)


def _text(error: Mapping[str, Any]) -> str:
    message = error.get("message")
    return message if isinstance(message, str) and message else "no message"


def _quote(text: str) -> str:
    return " ".join(text.partition("-----")[0].split())[:LONGEST_QUOTE]


def _seconds(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\d+(\.\d+)?", text) else None
