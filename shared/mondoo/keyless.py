"""Logging in to Mondoo without a stored key: a token of ours against a short-lived account.

Mondoo trusts an issuer's subject with a space or an organization (a workload identity binding that
an owner made there). The managed identity's token is exchanged for a service account that lives
for a while; how long is a matter of the binding, and the answer does not say. So the account is
renewed after `RENEW_AFTER`, well before any sensible lifetime ends, and the client logs in again
when Mondoo does not accept it any more.

Source: Mondoo's documentation, "workload identity federation"; mql's upstream package.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cached_property
from typing import Any

import httpx
import msgspec

from shared.config import Settings
from shared.errors import OnboardingError, Refused
from shared.mondoo.answers import Request, rpc_error, unreachable, unreadable
from shared.tls import client_context

RENEW_AFTER = timedelta(minutes=5)
METHOD = "SecureTokenService/ExchangeExternalToken"
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""Seconds."""

_REQUEST = Request("log in to Mondoo without a key", repeatable=True)


class KeylessLogin:
    """Exchanges tokens for service accounts. ``token`` gives one of the managed identity."""

    def __init__(self, settings: Settings, token: Callable[[], Awaitable[str]]) -> None:
        self._endpoint = settings.mondoo_api_endpoint or ""
        self._scope = settings.mondoo_keyless_scope or ""
        self._settings = settings
        self._token = token

    async def account(self) -> str:
        """A service account as JSON in base64, made just now.

        Raises:
            NotYet: ``mondoo_busy``, ``mondoo_unreachable``.
            Refused: ``mondoo_keyless_unbound``, ``mondoo_keyless_token``,
                ``mondoo_keyless_scope``, ``mondoo_unreadable``, and as the identity raises.
        """
        token = await self._token()
        claims = _claims(token)
        issuer, subject = str(claims.get("iss", "")), str(claims.get("sub", ""))
        try:
            answer = await self._http.post(
                f"{self._endpoint}/{METHOD}",
                json={"audience": self._scope, "issuer_uri": issuer, "jwt_token": token},
            )
        except httpx.TransportError as error:
            raise unreachable(_REQUEST) from error
        if answer.status_code != 200:
            refusal = rpc_error(
                answer.status_code, answer.content, answer.headers.get("retry-after"), _REQUEST
            )
            raise self._explained(refusal, issuer, subject)
        try:
            body = msgspec.json.decode(answer.content, type=dict[str, Any])
        except msgspec.DecodeError:
            raise unreadable(_REQUEST) from None  # the cause may quote the credential
        credential = body.get("base64_credential")
        if not isinstance(credential, str):
            raise unreadable(_REQUEST)
        return credential

    async def aclose(self) -> None:
        """Close the connections."""
        if "_http" in self.__dict__:
            await self.__dict__.pop("_http").aclose()

    def _explained(self, error: OnboardingError, issuer: str, subject: str) -> OnboardingError:
        """What a refusal means for whoever set the binding up."""
        who = f"issuer {issuer}, subject {subject}"
        if error.code == "mondoo_forbidden":
            return Refused(
                "mondoo_keyless_unbound",
                f"Mondoo trusts no such identity with {self._scope} ({who})",
                remediation="Have an owner make a workload identity binding with exactly this"
                f" issuer and subject on {self._scope}, with the role Editor.",
            )
        if error.code == "mondoo_unauthenticated":
            return Refused(
                "mondoo_keyless_token",
                f"Mondoo does not accept the managed identity's token ({who}): {error.message}",
                remediation="Compare the binding's allowed audiences with"
                f" {self._settings.cloud.federation_audience}.",
            )
        if error.code == "mondoo_not_found":
            return Refused(
                "mondoo_keyless_scope",
                f"there is no {self._scope} at {self._endpoint}",
                remediation="Correct MONDOO_KEYLESS_SCOPE, or MONDOO_API_ENDPOINT: regions hold"
                " separate data.",
            )
        return error

    @cached_property
    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=client_context(self._settings), timeout=TIMEOUT)


def _claims(token: str) -> dict[str, Any]:
    """What the token says; it is ours, so there is nothing to verify."""
    try:
        payload = token.split(".")[1]
        content = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return msgspec.json.decode(content, type=dict[str, Any])
    except (IndexError, ValueError, msgspec.DecodeError):
        raise Refused(
            "mondoo_keyless_token",
            "the identity's token is not one that Mondoo can check",
            remediation="Keyless login needs a managed identity, or another identity of Entra ID.",
        ) from None
