"""The signature of a Partner Center event, checked as documented and more narrowly.

    Authorization: Signature <base64>
    X-MS-Certificate-Url: https://…            where the certificate is
    X-MS-Signature-Algorithm: rsa-sha256

In this order, so that nothing of a stranger's is fetched: all three headers are there, the
algorithm is the one that is known, the certificate's host is on our list (https, by name, no user,
no redirect), then the certificate is fetched, chains to the authorities in
``PARTNER_CENTER_CA_FILE``, is Microsoft Corporation's, and its key signed the body byte for byte.
Whatever is wrong is answered with 401. The certificate is kept for an hour.

Intermediates are not looked up: they belong in the file, beside the root.

Source: Partner Center webhooks, "how to authenticate the callback".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from shared.context import Context
from shared.errors import NotYet, Unauthenticated

if TYPE_CHECKING:
    from cryptography import x509

ORGANIZATION = "Microsoft Corporation"
ALGORITHM = "rsa-sha256"
LARGEST_CERTIFICATE = 16 * 1024
"""Bytes."""
LONGEST_URL = 500
KEPT = timedelta(hours=1)


class SignatureCheck:
    """Checks signatures, and remembers the certificates that it fetched."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._certificates: dict[str, tuple[datetime, x509.Certificate]] = {}

    async def check(self, headers: Mapping[str, str], body: bytes) -> None:
        """Return if Partner Center signed ``body``. Names of headers are in lower case.

        Raises:
            Unauthenticated: anything is missing or wrong.
            NotYet: ``certificate_unreachable``: the certificate's host does not answer.
        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding, rsa

        signature = _signature(headers.get("authorization", ""))
        if headers.get("x-ms-signature-algorithm", "").strip().lower() != ALGORITHM:
            raise _no(f"X-MS-Signature-Algorithm is missing or not {ALGORITHM}")
        url = self._allowed(headers.get("x-ms-certificate-url", ""))
        certificate = await self._certificate(url)
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise _no("the certificate has no RSA key")
        try:
            key.verify(signature, body, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature as error:
            raise _no("the signature is not one of this body") from error

    def _allowed(self, url: str) -> str:
        """The URL of the certificate, if it is one that may be fetched."""
        if not url or len(url) > LONGEST_URL or not url.isascii() or not url.isprintable():
            raise _no("X-MS-Certificate-Url is missing or no URL")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise _no("X-MS-Certificate-Url is no URL") from error
        at = host if port in (None, 443) else f"{host}:{port}"
        if (
            parts.scheme != "https"
            or "@" in parts.netloc
            or "\\" in url
            or _is_address(host)
            or at not in self._context.settings.partner_center_certificate_hosts
        ):
            raise _no("the host of X-MS-Certificate-Url is not one of Partner Center's")
        return url

    async def _certificate(self, url: str) -> x509.Certificate:
        now = self._context.now()
        known = self._certificates.get(url)
        if known is not None and known[0] > now:
            return known[1]
        try:
            answer = await self._context.http.get(url, follow_redirects=False)
        except httpx.TransportError as error:
            raise _unreachable(type(error).__name__) from error
        if answer.status_code >= 500 or answer.status_code == 429:
            raise _unreachable(str(answer.status_code))
        if answer.status_code != 200 or len(answer.content) > LARGEST_CERTIFICATE:
            raise _no(f"there is no certificate at X-MS-Certificate-Url ({answer.status_code})")
        certificate = _read(answer.content)
        self._check_chain(certificate, now)
        self._certificates[url] = (now + KEPT, certificate)
        return certificate

    def _check_chain(self, certificate: x509.Certificate, now: datetime) -> None:
        from cryptography import x509
        from cryptography.x509.oid import NameOID
        from cryptography.x509.verification import (
            ExtensionPolicy,
            PolicyBuilder,
            Store,
            VerificationError,
        )

        file = self._context.settings.partner_center_ca_file
        assert file is not None  # without it there is no entry point
        authorities = x509.load_pem_x509_certificates(file.read_bytes())
        roots = [each for each in authorities if each.issuer == each.subject]
        policy = (
            PolicyBuilder()
            .store(Store(roots or authorities))
            .time(now)
            # What the leaf may be used for is not documented; whose it is, is checked below.
            .extension_policies(
                ca_policy=ExtensionPolicy.webpki_defaults_ca(),
                ee_policy=ExtensionPolicy.permit_all(),
            )
        )
        try:
            policy.build_client_verifier().verify(certificate, authorities)
        except VerificationError as error:
            raise _no("the certificate does not chain to Partner Center's authorities") from error
        names = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        if [name.value for name in names] != [ORGANIZATION]:
            raise _no(f"the certificate is not {ORGANIZATION}'s")


def _signature(authorization: str) -> bytes:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "signature" or not value.strip():
        raise _no("Authorization holds no Signature")
    try:
        return base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _no("the Signature in Authorization is not base64") from error


def _read(content: bytes) -> x509.Certificate:
    from cryptography import x509

    try:
        if content.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_certificate(content)
        return x509.load_der_x509_certificate(content)
    except ValueError as error:
        raise _no("what is at X-MS-Certificate-Url is no certificate") from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.replace(".", "").isdecimal()
    return True


def _no(message: str) -> Unauthenticated:
    return Unauthenticated(
        "signature_invalid",
        message,
        remediation="Only Partner Center calls this address; see the README if it is refused.",
    )


def _unreachable(why: str) -> NotYet:
    return NotYet(
        "certificate_unreachable",
        f"Partner Center's certificate cannot be fetched ({why})",
        remediation="Nothing needs to be done; Partner Center delivers again.",
    )
