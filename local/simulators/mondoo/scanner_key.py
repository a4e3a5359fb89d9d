"""The scanner's reading of an integration's certificate, as its Go code reads it.

The text must be PEM with exactly one RSA private key (PKCS#1 or PKCS#8, unencrypted) and its
certificate, in any order. What is not PEM at all is taken for PKCS#12, which fails in its own way;
a key block of any other label is not seen, so an encrypted key is "no private key".

A text is read once: loading an RSA key tests its numbers, which takes longer than the rest of a
scan, and the same text is scanned with again and again.

Sources: azidentity.ParseCertificates of the Azure SDK for Go; mondoohq/mql issues 1113, 1162, 2572.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_BLOCK = re.compile(
    r"-----BEGIN (?P<label>[^-\n]+)-----\r?\n.*?\r?\n-----END (?P=label)-----", re.DOTALL
)


class CertificateRefused(Exception):
    """The scanner cannot use the text; the message never holds any of it."""


@dataclass(frozen=True, repr=False)
class ScannerKey:
    """What the scanner signs in with."""

    key: RSAPrivateKey
    certificate: x509.Certificate


@lru_cache(maxsize=256)
def read_certificate(text: str) -> ScannerKey:
    """Key and certificate for signing in.

    Raises:
        CertificateRefused: with the scanner's own words.
    """
    keys: list[object] = []
    certificates: list[x509.Certificate] = []
    blocks = list(_BLOCK.finditer(text))
    if not blocks:
        raise CertificateRefused(
            "could not parse provided certificate: pkcs12: error reading P12 data: asn1: syntax"
            " error"
        )
    for block in blocks:
        try:
            if block["label"] == "CERTIFICATE":
                certificates.append(x509.load_pem_x509_certificate(block[0].encode()))
            elif block["label"] in ("PRIVATE KEY", "RSA PRIVATE KEY"):
                keys.append(serialization.load_pem_private_key(block[0].encode(), None))
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise CertificateRefused(
                "could not parse provided certificate: x509: malformed block"
            ) from error
    if not keys:
        raise CertificateRefused("could not parse provided certificate: found no private key")
    if not certificates:
        raise CertificateRefused("could not parse provided certificate: found no certificate")
    if len(keys) > 1:
        raise CertificateRefused(
            "could not parse provided certificate: found multiple private keys"
        )
    key = keys[0]
    if not isinstance(key, RSAPrivateKey):
        raise CertificateRefused(
            "could not parse provided certificate: private key is not an RSA key"
        )
    for certificate in certificates:
        # Go knows RSA by one identifier of its two, and no public key in what has the other.
        pss = certificate.public_key_algorithm_oid == x509.PublicKeyAlgorithmOID.RSASSA_PSS
        if not pss and certificate.public_key() == key.public_key():
            return ScannerKey(key, certificate)
    raise CertificateRefused(
        "could not parse provided certificate: found no certificate matching the private key"
    )
