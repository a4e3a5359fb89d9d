"""Keys and certificates for tests; keys are made once, certificates as each test wants them."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


@cache
def rsa_key(number: int = 1) -> rsa.RSAPrivateKey:
    """One of a few RSA keys; the same number gives the same key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    *,
    starts: timedelta = timedelta(minutes=-15),
    lasts: timedelta = timedelta(days=90),
    key: int = 1,
    name: str = "mondoo-ms365",
    issuer: str | None = None,
) -> x509.Certificate:
    """A certificate on key `key`; self-signed unless an issuer's name is given."""
    start = datetime.now(UTC).replace(microsecond=0) + starts
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer or name)]))
        .public_key(rsa_key(key).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + lasts)
        .sign(rsa_key(key), SHA256())
    )


def ec_certificate() -> x509.Certificate:
    """A self-signed certificate on an elliptic curve key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "curve")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(ec_key().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=15))
        .not_valid_after(now + timedelta(days=1))
        .sign(ec_key(), SHA256())
    )


def der(cert: x509.Certificate) -> str:
    """Base64 of the DER, as `key` of a key credential."""
    return b64encode(cert.public_bytes(Encoding.DER)).decode()


def pem(cert: x509.Certificate, key: int = 1) -> bytes:
    """Key and certificate in one PEM, as `CertificateCredential` takes it."""
    return rsa_key(key).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    ) + cert.public_bytes(Encoding.PEM)


def entry(cert: x509.Certificate, **more: object) -> dict[str, object]:
    """A new entry of `keyCredentials`."""
    return {"type": "AsymmetricX509Cert", "usage": "Verify", "key": der(cert), **more}
