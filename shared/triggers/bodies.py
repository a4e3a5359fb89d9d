"""Request bodies: JSON into a model, or an error that names the field and the remedy."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from shared.arrivals.fields import refused_field
from shared.errors import InvalidRequest

LARGEST_BODY = 64 * 1024
"""Bytes. A request for one tenant is a few hundred; what is larger is not one."""

T = TypeVar("T")


def read_body(body: bytes, kind: type[T]) -> T:
    """The body as ``kind``.

    Raises:
        InvalidRequest: too large, empty, not JSON, an unknown or missing field, a wrong value.
    """
    if len(body) > LARGEST_BODY:
        raise InvalidRequest(
            "body_too_large",
            f"the body has {len(body)} bytes; {LARGEST_BODY} are allowed",
            remediation="Send one tenant in a request.",
            field="(body)",
        )
    if not body.strip():
        raise InvalidRequest(
            "body_empty",
            "the request has no body",
            remediation='Send a JSON object, such as {"tenant": "fabrikam.example"}.',
            field="(body)",
        )
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise refused_field(str(error), whole="(body)") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            "body_not_json",
            "the body is not JSON",
            remediation="Send a JSON object in UTF-8, with Content-Type application/json.",
            field="(body)",
        ) from error


def read_optional_body(body: bytes, kind: type[T]) -> T:
    """The body as ``kind``; no body stands for an empty object.

    Raises:
        InvalidRequest: as `read_body`.
    """
    return read_body(body if body.strip() else b"{}", kind)
