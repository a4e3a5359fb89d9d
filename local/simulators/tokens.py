"""Tokens of the simulated Entra ID: made here, verified here, for every simulated resource.

RS256 JWTs of the v1 kind (`https://sts.windows.net/{tenant}/`), as the real resources get for
application permissions. Tokens for token exchange are of the v2 kind, because federated credentials
name a v2 issuer. Lifetimes follow the simulators' clock.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from local.simulators.clock import Clock

LIFETIME = 3599
"""Seconds a token is valid."""

_REMEMBERED = 20_000

# Times are compared with the simulators' clock, which is not the library's.
_SIGNATURE_ONLY = {
    "verify_aud": False,
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


class TokenRejected(Exception):
    """A bearer token that must not be accepted; `reason` says why, without the token."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says.

    `object_id` is the caller's service principal (or user) in `tenant_id`; `roles` are application
    permissions, `scopes` delegated ones (users only); `token_id` differs for each token.
    """

    tenant_id: str
    app_id: str
    object_id: str
    roles: frozenset[str]
    audience: str
    expires: datetime
    scopes: frozenset[str] = frozenset()
    token_id: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def bearer(request: web.Request) -> str:
    """The bearer token of a request; `TokenRejected` if there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenRejected("Access token is empty.")
    return token.strip()


class TokenMint:
    """Signs tokens and verifies them; one key for all tenants."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.public_key = self._key.public_key()
        self.key_id = secrets.token_urlsafe(16)
        self._verified: dict[str, Claims] = {}

    def mint(self, claims: Mapping[str, Any], lifetime: int = LIFETIME) -> str:
        """A signed token with these claims, valid from now."""
        now = int(self._clock.now().timestamp())
        token: str = jwt.encode(
            {
                "iat": now,
                "nbf": now,
                "exp": now + lifetime,
                "uti": secrets.token_urlsafe(16),
                **claims,
            },
            self._key,
            algorithm="RS256",
            headers={"kid": self.key_id, "x5t": self.key_id},
        )
        return token

    def verify(self, token: str, audience: str | Iterable[str]) -> Claims:
        """Check signature, audience and lifetime; `TokenRejected` with Graph's own words."""
        claims = self._genuine(token)
        accepted = {audience} if isinstance(audience, str) else set(audience)
        if claims.audience.rstrip("/") not in {item.rstrip("/") for item in accepted}:
            raise TokenRejected("Access token validation failure. Invalid audience.")
        if claims.expires <= self._clock.now():
            raise TokenRejected("Lifetime validation failed, the token is expired.")
        return claims

    def read(self, token: str) -> Claims | None:
        """The claims of a genuine token whatever its audience and age; for the journal."""
        try:
            return self._genuine(token)
        except TokenRejected:
            return None

    def _genuine(self, token: str) -> Claims:
        """The claims of a token that we signed; verified once, then remembered."""
        claims = self._verified.get(token)
        if claims is None:
            claims = self._decode(token)
            if len(self._verified) >= _REMEMBERED:
                self._verified.clear()
            self._verified[token] = claims
        return claims

    def _decode(self, token: str) -> Claims:
        try:
            raw = jwt.decode(
                token,
                self.public_key,
                algorithms=["RS256"],
                options=_SIGNATURE_ONLY,
            )
        except jwt.InvalidSignatureError as error:
            raise TokenRejected("Access token validation failure. Invalid signature.") from error
        except jwt.InvalidTokenError as error:
            raise TokenRejected("IDX14100: JWT is not well formed.") from error
        return Claims(
            tenant_id=raw["tid"],
            app_id=raw.get("appid", ""),
            object_id=raw.get("oid", ""),
            roles=frozenset(raw.get("roles", ())),
            audience=raw["aud"],
            expires=datetime.fromtimestamp(raw["exp"], UTC),
            scopes=frozenset(raw.get("scp", "").split()),
            token_id=raw["uti"],
            raw=raw,
        )

    def key_set(self) -> dict[str, Any]:
        """The JSON web key set that verifies these tokens."""
        numbers = self.public_key.public_numbers()
        return {
            "keys": [
                {
                    "kty": "RSA",
                    "use": "sig",
                    "alg": "RS256",
                    "kid": self.key_id,
                    "x5t": self.key_id,
                    "n": _base64url(numbers.n),
                    "e": _base64url(numbers.e),
                }
            ]
        }


def _base64url(number: int) -> str:
    size = (number.bit_length() + 7) // 8
    return urlsafe_b64encode(number.to_bytes(size, "big")).rstrip(b"=").decode()
