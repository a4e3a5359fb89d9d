"""Mondoo service account: the credential file, checked, and the short-lived token made from it.

The file is JSON, plain or base64 (the two forms that the Mondoo Console offers); the YAML form of
the command line is not read. A token is an ES384 JWT of at most a minute that the client signs
itself and the platform checks against the account's certificate; making one is cheap, so each
request has its own and nothing needs to be refreshed.

Source: Mondoo's Go client (signer) and its RPC server's authentication plug-in.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from shared.errors import Refused

ISSUER = "mondoo/ams"
LIFETIME = timedelta(seconds=60)
SLOW_SERVER = timedelta(seconds=5)
"""How far a token starts in the past, since the platform refuses one from the future."""


@dataclass(frozen=True)
class ServiceAccount:
    """``mrn`` names the account, ``scope`` the space or organization it belongs to; ``endpoint``
    is the API's base URL without ``/query`` and without a trailing slash."""

    mrn: str
    scope: str
    endpoint: str
    private_key: str = field(repr=False)

    def token(self, now: datetime) -> str:
        """A bearer token for the next 55 seconds."""
        # PyJWT brings cryptography along; a start that asks Mondoo nothing shall not pay for it.
        import jwt

        issued = now - SLOW_SERVER
        claims = {
            "iss": ISSUER,
            "sub": self.mrn,
            "iat": issued,
            "nbf": issued,
            "exp": issued + LIFETIME,
        }
        header = {"kid": self.mrn}
        token: str = jwt.encode(claims, self.private_key, algorithm="ES384", headers=header)
        return token


def read_account(text: str) -> ServiceAccount:
    """The service account in ``text``.

    Raises:
        Refused: ``mondoo_account_malformed``, ``mondoo_account_is_token``,
            ``mondoo_account_incomplete``, ``mondoo_account_endpoint``,
            ``mondoo_account_key_unusable``. None of them quotes the file.
    """
    fields = _fields(text)
    if "private_key" not in fields and isinstance(fields.get("token"), str):
        raise _refused(
            "mondoo_account_is_token",
            "the Mondoo credential is an API token, not a service account",
        )
    scope = next(
        (fields[name] for name in ("scope_mrn", "space_mrn", "parent_mrn") if fields.get(name)),
        None,
    )
    wanted = {
        "mrn": fields.get("mrn"),
        "private_key": fields.get("private_key"),
        "api_endpoint": fields.get("api_endpoint"),
        "scope_mrn": scope,
    }
    missing = [name for name, value in wanted.items() if not isinstance(value, str) or not value]
    if missing:
        raise _refused(
            "mondoo_account_incomplete",
            f"the Mondoo service account lacks {', '.join(missing)}",
        )
    values = {name: str(value) for name, value in wanted.items()}
    endpoint = values["api_endpoint"].rstrip("/").removesuffix("/query")
    if not re.fullmatch(r"https://[A-Za-z0-9.-]+(:\d{1,5})?(/[\w./-]*)?", endpoint):
        raise _refused(
            "mondoo_account_endpoint", "the api_endpoint of the service account is no https URL"
        )
    _check_key(values["private_key"])
    return ServiceAccount(values["mrn"], values["scope_mrn"], endpoint, values["private_key"])


def _fields(text: str) -> dict[str, Any]:
    content = text.strip().removeprefix("\ufeff").encode()
    if not content.startswith(b"{"):
        try:
            content = base64.b64decode(b"".join(content.split()), validate=True)
        except ValueError as error:
            raise _malformed() from error
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError:
        # Without the cause: it may quote what it could not read.
        raise _malformed() from None


def _check_key(pem: str) -> None:
    # Late for the sake of cold start, as above.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _refused(
            "mondoo_account_key_unusable",
            "the private key of the Mondoo service account cannot be read",
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise _refused(
            "mondoo_account_key_unusable",
            "the private key of the Mondoo service account is not an ECDSA P-384 key",
        )


def _malformed() -> Refused:
    return _refused(
        "mondoo_account_malformed",
        "the Mondoo service account is neither JSON nor JSON in base64",
    )


def _refused(code: str, message: str) -> Refused:
    return Refused(
        code,
        message,
        remediation=(
            "Create a service account in the Mondoo Console and put its JSON, plain or base64, as"
            " it is into the vault secret that MONDOO_SERVICE_ACCOUNT names."
        ),
    )
