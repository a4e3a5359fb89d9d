"""Client assertions: who signed, with what, and does this application trust it.

Two kinds. A client that signs for itself names itself as issuer and is checked against the key
credentials of its application, found by thumbprint. Everything else is a federated token and is
checked against the federated credentials, by exact issuer, subject and audience, and then against
the key of the registered issuer. Source: "certificate credentials" and "workload identity
federation" pages; AADSTS codes in `refusals`.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.types import Options

from local.simulators.clock import Clock
from local.simulators.objects import Application, KeyCredential
from local.simulators.refusals import SignInRefused

ALGORITHMS = ("RS256", "PS256")

_SIGNATURE_ONLY: Options = {
    "verify_aud": False,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


class AssertionCheck:
    """Checks client assertions. `issuers` maps issuer URL to the key that signs its tokens."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.issuers: dict[str, Any] = {}

    def check(self, assertion: str, app: Application, audiences: frozenset[str]) -> None:
        """Return if the application may sign in with this assertion, else `SignInRefused`."""
        header, claims = _unverified(assertion)
        if claims.get("iss") == app.app_id:
            self._own(assertion, header, claims, app, audiences)
        else:
            self._federated(assertion, claims, app)

    def _own(
        self,
        assertion: str,
        header: Mapping[str, Any],
        claims: Mapping[str, Any],
        app: Application,
        audiences: frozenset[str],
    ) -> None:
        if claims.get("sub") != app.app_id:
            raise SignInRefused(
                700021,
                "Client assertion application identifier doesn't match 'client_id' parameter.",
            )
        if header.get("alg") not in ALGORITHMS:
            raise SignInRefused(50027, "JWT token is invalid or malformed: algorithm.")
        if "x5c" in header:
            # The certificates registered here are self-signed: no chain can be built from x5c.
            raise SignInRefused(
                7000213, "Invalid certificate chain. The chain in the assertion is not trusted."
            )
        key = self._registered_key(header, app)
        public_key = key.certificate.public_key()
        if not isinstance(public_key, RSAPublicKey):
            raise _bad_signature(key)
        try:
            jwt.decode(assertion, public_key, algorithms=list(ALGORITHMS), options=_SIGNATURE_ONLY)
        except jwt.InvalidTokenError as error:
            raise _bad_signature(key) from error
        self._within_lifetime(key)
        if claims.get("aud") not in audiences:
            raise SignInRefused(
                700023, "Client assertion audience claim does not match Realm issuer."
            )
        if not claims.get("jti"):
            raise SignInRefused(50027, "JWT token is invalid or malformed: 'jti' is missing.")
        # Made by a real client, which lives on wall time (see `clock`).
        _within(claims, self._clock.wall())

    def _registered_key(self, header: Mapping[str, Any], app: Application) -> KeyCredential:
        now = self._clock.now()
        sha1 = _thumbprint(header.get("x5t"))
        sha256 = _thumbprint(header.get("x5t#S256"))
        for key in app.key_credentials:
            if key.accepted_at <= now and (
                (sha256 is not None and key.sha256 == sha256)
                or (sha256 is None and sha1 is not None and key.sha1 == sha1)
            ):
                return key
        shown = (sha1 or sha256 or b"").hex().upper()
        raise SignInRefused(
            700027,
            "The certificate with identifier used to sign the client assertion is not registered"
            " on application. [Reason - The key was not found., Thumbprint of key used by client:"
            f" '{shown}']",
        )

    def _within_lifetime(self, key: KeyCredential) -> None:
        now = self._clock.now()
        certificate = key.certificate
        start = max(certificate.not_valid_before_utc, parse_instant(key.start))
        end = min(certificate.not_valid_after_utc, parse_instant(key.end))
        if not start <= now < end:
            raise SignInRefused(
                1000502,
                "The provided certificate is not within its specified lifetime. Thumbprint:"
                f" '{key.sha1.hex().upper()}', start '{key.start}', end '{key.end}'.",
            )

    def _federated(self, assertion: str, claims: Mapping[str, Any], app: Application) -> None:
        issuer, subject, audience = (claims.get(name) for name in ("iss", "sub", "aud"))
        now = self._clock.now()
        if not any(
            trust.issuer == issuer
            and trust.subject == subject
            and audience in trust.audiences
            and trust.accepted_at <= now
            for trust in app.federated_credentials.values()
        ):
            raise SignInRefused(
                70021,
                "No matching federated identity record found for presented assertion. Assertion"
                f" Issuer: '{issuer}'. Assertion Subject: '{subject}'. Assertion Audience:"
                f" '{audience}'.",
            )
        key = self.issuers.get(str(issuer))
        if key is None:
            raise SignInRefused(
                50027, "JWT token is invalid or malformed: no keys of the issuer could be read."
            )
        try:
            jwt.decode(
                assertion,
                key,
                algorithms=["RS256", "PS256", "ES256", "ES384"],
                options=_SIGNATURE_ONLY,
            )
        except jwt.InvalidTokenError as error:
            raise SignInRefused(
                700027,
                "Client assertion failed signature validation. [Reason - The key of the issuer"
                " does not verify it.]",
            ) from error
        _within(claims, now)


def parse_instant(text: str) -> datetime:
    """A Graph time (any number of fractional digits, `Z` or an offset) as aware UTC datetime.

    Raises `ValueError` for anything else, a time without offset included.
    """
    head, dot, rest = text.partition(".")
    if dot:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        text = f"{head}.{rest[:digits][:6]}{rest[digits:]}" if digits else head + rest
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return moment.astimezone(UTC)


def _unverified(assertion: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    try:
        decoded = jwt.decode_complete(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise SignInRefused(50027, "JWT token is invalid or malformed.") from error
    return decoded["header"], decoded["payload"]


def _thumbprint(value: object) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        return urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except Base64Error:
        return None


def _bad_signature(key: KeyCredential) -> SignInRefused:
    return SignInRefused(
        700027,
        "Client assertion failed signature validation. [Reason - The key was found, but use of the"
        f" key to verify the signature failed., Thumbprint of key used by client:"
        f" '{key.sha1.hex().upper()}']",
    )


def _within(claims: Mapping[str, Any], now: datetime) -> None:
    """`exp` and, where it is there, `nbf`, with five minutes of grace for clocks that differ."""
    start, end = claims.get("nbf", 0), claims.get("exp")
    moment = now.timestamp()
    if (
        not isinstance(start, (int, float))
        or not isinstance(end, (int, float))
        or not start - 300 <= moment < end + 300
    ):
        raise SignInRefused(
            700024,
            "Client assertion is not within its valid time range. Current time:"
            f" {now.strftime('%Y-%m-%dT%H:%M:%SZ')}, assertion valid from {start}, expiry time of"
            f" assertion {end}.",
        )
