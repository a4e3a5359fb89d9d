"""The dashboard: one page that asks our own interface, as whoever looks at it.

The page itself holds nothing of any tenant, so it may be served to anybody; what it shows it asks
for with the caller's own function key or access token, which the interface checks as always. It is
typed into the page, goes into a header and never into an address; it is kept in the tab's session
storage at most, which ends with the tab. The page is one file: style and script are in it, and its
content security policy allows exactly these two, requests to its own origin, and nothing else.
Every name comes into the page as text, by way of the DOM; the policy asks the browser to refuse
any other way (`require-trusted-types-for`).
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from importlib.resources import files

from shared.config import Authentication


@cache
def page(authentication: Authentication) -> str:
    """The page, for the way in which callers prove who they are."""
    return (
        _file("dashboard.html")
        .replace("{authentication}", escape(authentication))
        .replace("{style}", _file("dashboard.css"))
        .replace("{script}", _file("dashboard.js"))
    )


@cache
def headers() -> dict[str, str]:
    """The headers that hold a browser to what is said above."""
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; script-src {_digest('dashboard.js')};"
            f" style-src {_digest('dashboard.css')}; img-src data:; connect-src 'self';"
            " base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
            " require-trusted-types-for 'script'; trusted-types 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def _digest(name: str) -> str:
    # Between the tags stands exactly the file.
    digest = hashlib.sha256(_file(name).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _file(name: str) -> str:
    return (files(__name__) / name).read_text("utf-8")
