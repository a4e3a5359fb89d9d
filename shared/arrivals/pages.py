"""The pages that a customer's administrator sees after consent: short, plain, all from here.

No script, no image, no request to any other host; the policy in `HEADERS` holds a browser to that.
All words are here. A page never repeats what the address said.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape

from shared.errors import OnboardingError

_STYLE = (
    "body{font:18px/1.5 system-ui,sans-serif;max-width:34em;margin:12vh auto;padding:0 1em;"
    "color:#1b1f24;background:#fff}h1{font-size:1.5em}small{color:#57606a}"
)
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the address holds the state
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

_TITLES = {
    "consent_declined": "Consent was not given",
    "consent_not_given": "Consent was not given",
    "consent_link": "This link cannot be used",
    "consent_other_tenant": "This link is for another organization",
    "consent_not_there_yet": "Almost done",
}


def thanks(display_name: str) -> str:
    """After a consent that was proven."""
    return _page(
        "Thank you",
        f"{display_name} is now being connected to Mondoo. You may close this page.",
    )


def sorry(error: OnboardingError) -> str:
    """After anything else; ends with what to do."""
    title = _TITLES.get(error.code, "This did not work")
    message = error.message[:1].upper() + error.message[1:]
    return _page(title, f"{message}. {error.remediation}", error.code)


def _page(title: str, text: str, code: str = "") -> str:
    small = f"<p><small>{escape(code)}</small></p>" if code else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1><p>{escape(text)}</p>{small}</main></body></html>"
    )
