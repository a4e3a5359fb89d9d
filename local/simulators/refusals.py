"""Refusals of the token endpoint: AADSTS codes with their OAuth error and HTTP status.

Source: the reference of sign-in error codes, and texts that clients have met. A refusal is raised
with the facts of the moment; the endpoint adds trace and correlation ids.
"""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[int, tuple[str, int]] = {
    50027: ("invalid_client", 401),
    70003: ("unsupported_grant_type", 400),
    70011: ("invalid_scope", 400),
    70021: ("invalid_request", 400),
    90002: ("invalid_request", 400),
    500011: ("invalid_resource", 400),
    500014: ("invalid_resource", 400),
    700016: ("unauthorized_client", 400),
    700021: ("invalid_client", 401),
    700023: ("invalid_client", 401),
    700024: ("invalid_client", 401),
    700027: ("invalid_client", 401),
    900023: ("invalid_request", 400),
    900144: ("invalid_request", 400),
    1000502: ("invalid_client", 401),
    1002012: ("invalid_scope", 400),
    7000112: ("unauthorized_client", 400),
    7000213: ("invalid_client", 401),
    7000215: ("invalid_client", 401),
    7000216: ("invalid_client", 401),
    7000222: ("invalid_client", 401),
    7000229: ("unauthorized_client", 400),
}


class SignInRefused(Exception):
    """The token endpoint gives no token. `code` is the AADSTS number."""

    def __init__(self, code: int, message: str, *, error: str | None = None) -> None:
        super().__init__(f"AADSTS{code}: {message}")
        self.code = code
        self.message = message
        known, self.status = CODES[code]
        self.error = error or known
