"""Who calls the platform: tokens of service accounts, and the exchange of outside tokens.

A client signs its own token with its service account's key; the platform checks it strictly as its
authenticator does: ES384 and nothing else, key id and subject the account's MRN, at most 60 seconds
of life, no audience. Such tokens are made by real clients, which live on wall time, so their times
are compared with the wall and not with the simulated clock.

Keyless login: a token of a bound issuer and subject becomes a short-lived service account.

Sources: mondoohq/mondoo-go internal/signer; mondoohq/ranger-rpc plugins/authentication/cert;
Mondoo documentation, "workload identity federation".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from jwt.types import Options

from local.simulators.mondoo.estate import Binding, Estate, ServiceAccount
from local.simulators.mondoo.status import Code, StatusError
from local.simulators.tokens import TokenMint, TokenRejected

ALGORITHM = "ES384"
ISSUER = "mondoo/ams"
MAX_LIFETIME = 60
_SIGNATURE_ONLY: Options = {
    "verify_aud": False,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


def unauthenticated(reason: str) -> StatusError:
    """The refusal of a caller; the reason helps whoever reads a failing test."""
    return StatusError(Code.UNAUTHENTICATED, f"request permission unauthenticated: {reason}")


def authenticate(estate: Estate, authorization: str, body: bytes) -> ServiceAccount:
    """The service account behind an `Authorization` header.

    `body` is compared with the token's `chash`, where it has one.

    Raises:
        StatusError: `Unauthenticated`, with what is wrong with the token.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise unauthenticated("no bearer token")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise unauthenticated("the token is not a JWT") from error
    if header.get("alg") != ALGORITHM:
        raise unauthenticated(f"unexpected signing method, want {ALGORITHM}")
    if header.get("typ") != "JWT":
        raise unauthenticated("the header's typ must be JWT")
    account = estate.service_accounts.get(str(header.get("kid")))
    if account is None:
        raise unauthenticated("kid names no service account")
    if account.valid_until is not None and account.valid_until <= estate.clock.now():
        raise unauthenticated("the service account has expired")
    try:
        claims = jwt.decode(
            token,
            account.private_key.public_key(),
            algorithms=[ALGORITHM],
            options=_SIGNATURE_ONLY,
        )
    except jwt.InvalidTokenError as error:
        raise unauthenticated("the signature does not verify") from error
    _check_claims(claims, account.mrn, estate.clock.wall(), body)
    account.last_used = estate.clock.now()
    return account


def _check_claims(claims: Mapping[str, Any], account_mrn: str, now: datetime, body: bytes) -> None:
    if claims.get("iss") != ISSUER:
        raise unauthenticated(f"iss must be {ISSUER}")
    if claims.get("sub") != account_mrn:
        raise unauthenticated("sub and kid differ")
    if "aud" in claims:
        raise unauthenticated("an audience is not expected")
    times = [claims.get(name) for name in ("iat", "nbf", "exp")]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in times):
        raise unauthenticated("iat, nbf and exp are required")
    issued, not_before, expires = (datetime.fromtimestamp(value, UTC) for value in times if value)
    if expires - issued > timedelta(seconds=MAX_LIFETIME):
        raise unauthenticated(f"the token lives longer than {MAX_LIFETIME} seconds")
    if issued > now or not_before > now:
        raise unauthenticated("the token is not valid yet")
    if expires <= now:
        raise unauthenticated("the token is expired")
    content_hash = claims.get("chash")
    if content_hash is not None and not hmac.compare_digest(
        str(content_hash), hashlib.sha256(body).hexdigest()
    ):
        raise unauthenticated("chash does not match the body")


def exchange(
    estate: Estate, mint: TokenMint, audience: str, issuer: str, token: str
) -> ServiceAccount:
    """The short-lived service account for an outside token.

    `audience` is the MRN of the scope, `issuer` what the caller says about the token.

    Raises:
        StatusError: `Unauthenticated` for a token that is not good, `PermissionDenied` if nothing
            binds its issuer and subject to the scope, `NotFound` for an unknown scope.
    """
    estate.check_scope(audience)
    claims = mint.read(token)
    if claims is None:
        raise unauthenticated("the external token does not verify")
    if claims.expires <= estate.clock.now():
        raise unauthenticated("the external token is expired")
    if not _same(str(claims.raw.get("iss", "")), issuer):
        raise unauthenticated("issuer_uri is not the issuer of the token")
    try:
        binding = _binding(estate, audience, issuer, str(claims.raw.get("sub", "")))
        if binding.allowed_audiences:
            mint.verify(token, binding.allowed_audiences)
    except TokenRejected as error:
        raise unauthenticated("the audience of the token is not allowed") from error
    return estate.add_service_account(
        binding.scope_mrn,
        binding.roles,
        name=f"{binding.name} (keyless)",
        valid_until=estate.clock.now() + timedelta(seconds=binding.expiration),
    )


def _binding(estate: Estate, scope_mrn: str, issuer: str, subject: str) -> Binding:
    for binding in estate.bindings.values():
        if (
            binding.scope_mrn == scope_mrn
            and _same(binding.issuer, issuer)
            and binding.subject == subject
        ):
            return binding
    raise StatusError(
        Code.PERMISSION_DENIED, "no workload identity binding matches issuer and subject"
    )


def _same(one: str, other: str) -> bool:
    """Issuers are compared without the slash that Entra's v1 issuer ends with."""
    return one.rstrip("/") == other.rstrip("/")
