"""Errors of Graph: code, message and status of what the real service answers.

Codes and texts are those that clients have met (reference, sections 2, 3 and 4). Several share the
code `Request_BadRequest`, so the texts matter as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

BAD_REQUEST = "Request_BadRequest"


class GraphError(Exception):
    """A refusal: HTTP status, error code, message, extra headers."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Correlation:
    """The ids that every answer and every error carries."""

    request_id: str
    client_request_id: str
    date: datetime

    def headers(self) -> dict[str, str]:
        """The response headers."""
        return {"request-id": self.request_id, "client-request-id": self.client_request_id}

    def envelope(self, code: str, message: str) -> dict[str, Any]:
        """The error body."""
        return {
            "error": {
                "code": code,
                "message": message,
                "innerError": {
                    "date": self.date.strftime("%Y-%m-%dT%H:%M:%S"),
                    "request-id": self.request_id,
                    "client-request-id": self.client_request_id,
                },
            }
        }


def bad_request(message: str) -> GraphError:
    """400 with the code that most refusals of the directory share."""
    return GraphError(400, BAD_REQUEST, message)


def malformed(message: str) -> GraphError:
    """400 from the gateway, before the directory is asked."""
    return GraphError(400, "BadRequest", message)


def unsupported_query(message: str) -> GraphError:
    """400 for a query that the directory does not answer."""
    return GraphError(400, "Request_UnsupportedQuery", message)


def not_found(what: str) -> GraphError:
    """404: gone, never there, or not replicated yet; the service does not tell which."""
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{what}' does not exist or one of its queried reference-property objects are"
        " not present.",
    )


def denied() -> GraphError:
    """403 for a missing permission or lost ownership."""
    return GraphError(
        403,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation.",
    )


def not_local() -> GraphError:
    """403 for a service principal whose application is elsewhere (or not replicated yet)."""
    return GraphError(
        403,
        "Authorization_RequestDenied",
        "When using this permission, the backing application of the service principal being"
        " created must in the local tenant",
    )


def invalid_value(name: str, kind: str) -> GraphError:
    """400 for a value that breaks a rule of its property."""
    return bad_request(f"Invalid value specified for property '{name}' of resource '{kind}'.")


def schema_mismatch(name: str) -> GraphError:
    """400 for a value of the wrong JSON type."""
    return bad_request(f"Property {name} in payload has a value that does not match schema.")


def invalid_property(name: str) -> GraphError:
    """400 for a property that the type does not have."""
    return bad_request(f"Invalid property '{name}'.")


def taken(name: str) -> GraphError:
    """400, not 409, for a value that another object holds (also a soft-deleted one)."""
    return bad_request(f"Another object with the same value for property {name} already exists.")


def not_referable() -> GraphError:
    """400 for a principal that others cannot refer to yet."""
    return bad_request("Not a valid reference update.")


def unknown_segment(segment: str) -> GraphError:
    """400 for a path that does not exist."""
    return malformed(f"Resource not found for the segment '{segment}'.")


def size_exceeded() -> GraphError:
    """400 for too many items on one object."""
    return GraphError(
        400,
        "Directory_ResourceSizeExceeded",
        "The size of the object has exceeded its limit. Please reduce the number of values and"
        " retry your request.",
    )


def unauthenticated(reason: str) -> GraphError:
    """401 for a token that is missing, malformed, expired or for another audience."""
    return GraphError(
        401, "InvalidAuthenticationToken", reason, {"WWW-Authenticate": 'Bearer realm=""'}
    )


def throttled(seconds: int) -> GraphError:
    """429."""
    return GraphError(429, "TooManyRequests", "Too many requests.", {"Retry-After": str(seconds)})
