"""Who calls the simulated services in these tests: credentials for the real clients."""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

import httpx
import jwt
from azure.core.credentials import AccessToken
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from local.simulators import Simulators
from local.simulators.objects import ServicePrincipal


class Caller:
    """An asynchronous credential: tokens for one service principal, straight from the mint."""

    def __init__(self, simulators: Simulators, principal: ServicePrincipal | None = None) -> None:
        self._simulators = simulators
        self._principal = principal or simulators.world.managed_identity
        self.asked: list[tuple[str, ...]] = []

    def token(self, audience: str) -> str:
        """A token for an audience."""
        home = self._simulators.world.home
        return self._simulators.run(self._simulators.entra.issue, home, self._principal, audience)

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """The protocol of the Azure clients."""
        self.asked.append(scopes)
        return AccessToken(self.token(scopes[0].removesuffix("/.default")), int(time.time()) + 3000)

    async def close(self) -> None:
        """Nothing to close."""

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Nothing to close."""


def stranger(simulators: Simulators) -> ServicePrincipal:
    """A service principal of the home tenant to which nobody has given anything."""

    def add() -> ServicePrincipal:
        home = simulators.world.home
        app = home.add_application("stranger")
        found = home.service_principal_by_app_id(app.app_id)
        assert found is not None
        return found

    return simulators.run(add)


def web(simulators: Simulators, **kwargs: Any) -> httpx.AsyncClient:
    """An HTTP client that trusts the simulators."""
    context = ssl.create_default_context(cafile=str(simulators.ca_file))
    return httpx.AsyncClient(verify=context, timeout=10, **kwargs)


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


def mondoo_token(account: dict[str, str], **changes: Any) -> str:
    """A token as Mondoo's clients sign it; a change to `None` leaves the claim out.

    `alg`, `kid`, `typ` change the header, everything else the claims.
    """
    now = datetime.now(UTC)
    claims: dict[str, Any] = {
        "iss": "mondoo/ams",
        "sub": account["mrn"],
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(seconds=60),
    }
    headers: dict[str, Any] = {"kid": account["mrn"]}
    algorithm, key = changes.pop("alg", "ES384"), changes.pop("key", account["private_key"])
    for name in ("kid", "typ"):
        if name in changes:
            headers[name] = changes.pop(name)
    claims.update(changes)
    claims = {name: value for name, value in claims.items() if value is not None}
    token: str = jwt.encode(claims, key, algorithm=algorithm, headers=headers)
    return token


_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate_for(
    key: Any = None, *, common_name: str = "mondoo-ms365", days: int = 90
) -> tuple[Any, x509.Certificate]:
    """A key and a self-signed certificate for it."""
    key = key or _KEY
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC).replace(microsecond=0)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def key_pem(
    key: Any,
    form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
    password: bytes | None = None,
) -> str:
    """A private key as PEM."""
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        protection = serialization.BestAvailableEncryption(password)
    return key.private_bytes(serialization.Encoding.PEM, form, protection).decode()  # type: ignore[no-any-return]


def certificate_pem(certificate: x509.Certificate) -> str:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
