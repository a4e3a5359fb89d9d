"""Throw-away certificates; two keys serve all tests, since making one takes a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from shared.entra.key_credentials import thumbprint_of


@dataclass(frozen=True)
class Pair:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def der(self) -> bytes:
        """What an application is given."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        """What signs in: key first, then the leaf."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return (key + self.certificate.public_bytes(Encoding.PEM)).decode()

    @property
    def thumbprint(self) -> str:
        """As the portal shows it."""
        return thumbprint_of(self.der)


def some_keys() -> list[rsa.RSAPrivateKey]:
    """Keys that a simulated vault may hand out in turn."""
    return [_key(number) for number in range(100, 107)]


@cache
def _key(number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pair(
    name: str = "mondoo-ms365",
    *,
    days: float = 90,
    age: timedelta = timedelta(minutes=5),
    key: int = 0,
    issuer: str | None = None,
) -> Pair:
    """A certificate that is ``age`` old and lives ``days`` from now; negative: it has expired."""
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer or name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority)
        .public_key(_key(key).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - (age if days > 0 else timedelta(days=400)))
        .not_valid_after(now + timedelta(days=days))
    )
    signer = _key(key) if issuer is None else _key(99)
    return Pair(builder.sign(signer, hashes.SHA256()), _key(key))
