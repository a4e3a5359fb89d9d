"""The formats of the request, and the request in one of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from shared.audit.rendering.html_page import headers as page_headers
from shared.media_types import negotiated
from shared.permissions.markdown import as_markdown
from shared.permissions.page import as_page
from shared.permissions.request import PermissionRequest


class Format(StrEnum):
    """How the request can be had."""

    JSON = "json"
    MARKDOWN = "md"
    HTML = "html"


MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.MARKDOWN: "text/markdown",
    Format.HTML: "text/html",
}
_ACCEPTED = {
    **{media_type: known for known, media_type in MEDIA_TYPES.items()},
    "application/*": Format.JSON,
    "text/*": Format.HTML,
    "*/*": Format.JSON,
}


@dataclass(frozen=True)
class Written:
    """The request as it is sent, with its headers."""

    body: bytes
    headers: dict[str, str]


def chosen(asked: str | None, accept: str | None) -> Format:
    """The format that is wanted.

    Raises:
        InvalidRequest: ``format_unknown``.
    """
    return negotiated(asked, accept, Format, _ACCEPTED, "a permission request")


def written(request: PermissionRequest, wanted: Format) -> Written:
    """The request in a format."""
    charset = "" if wanted is Format.JSON else "; charset=utf-8"
    headers = {
        "Content-Type": f"{MEDIA_TYPES[wanted]}{charset}",
        "Content-Disposition": f'inline; filename="permissions-{request.manifest}.{wanted}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    if wanted is Format.JSON:
        return Written(msgspec.json.encode(request), headers)
    if wanted is Format.MARKDOWN:
        return Written(as_markdown(request).encode(), headers)
    return Written(as_page(request), headers | page_headers())
