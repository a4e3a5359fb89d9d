"""Certificates: PEM in; leaf, key, thumbprints and validity out; every check that matters.

The libraries on the way accept what will not work later: azure-identity signs in with the wrong
certificate of a chain, with a key that does not belong to it, with an expired one; Mondoo stores
any text. So each of these is checked here, by itself and with its own code, before a certificate is
stored, uploaded or handed over.

What comes in may be as untidy as files are (order, line ends, indentation, text between blocks,
byte order marks, UTF-16); what goes out is always the same: the key as PKCS#8, then the leaf, line
feeds, nothing else. That is what Mondoo documents and what its scanner, a Go program, can read.

The leaf is the certificate that belongs to the key; other certificates of a chain are left out,
since Entra ID wants none of them. Left out too: passwords (an encrypted key is refused), PFX files
(named as such), chain building and revocation, which nobody on the way looks at.

No error and no ``repr`` shows a key or any part of the text that was given.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.errors import Unusable

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SHORTEST_KEY = 2048
"""Bits; Entra ID, Key Vault and the scanner all take RSA of this size."""

BACKDATED = timedelta(minutes=5)
"""How far a certificate made here starts in the past, so that slower clocks accept it."""

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_CERTIFICATE_LABELS = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})
_PATH = re.compile(
    r"(?:~?[/\\]|\.{1,2}[/\\]|[a-z]:[/\\]).+|[^\r\n]+\.(?:pem|key|crt|cer|der|pfx|p12|p8|txt)",
    re.IGNORECASE,
)
_LONGEST_PATH = 1024


@dataclass(frozen=True)
class Bundle:
    """A private key and its certificate, checked.

    ``thumbprint`` is SHA-1 and ``thumbprint_sha256`` SHA-256 of the certificate, upper-case hex;
    times are UTC.
    """

    certificate_der: bytes = field(repr=False)
    key_pem: str = field(repr=False)
    thumbprint: str
    thumbprint_sha256: str
    not_before: datetime
    not_after: datetime

    def pem(self) -> str:
        """The key (PKCS#8), then the certificate: exactly two blocks, line feeds."""
        text = base64.b64encode(self.certificate_der).decode("ascii")
        lines = [text[start : start + 64] for start in range(0, len(text), 64)]
        body = "\n".join(lines)
        return f"{self.key_pem}-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


def read_bundle(pem: str | bytes, *, now: datetime, proven: str | None = None) -> Bundle:
    """The key and certificate in ``pem``, if they may be used at ``now`` (aware).

    ``proven``: the thumbprint of a certificate that an earlier step has tested, or that has signed
    in already. If it is this one, the numbers of its key are not tested once more, which takes a
    twentieth of a second.

    Raises:
        Unusable: ``is_path``, ``is_pfx``, ``is_der``, ``not_pem``, ``key_missing``,
            ``key_encrypted``, ``key_unreadable``, ``several_keys``, ``key_not_rsa``,
            ``key_too_short``, ``certificate_missing``, ``certificate_unreadable``,
            ``key_mismatch``, ``certificate_not_yet_valid``, ``certificate_expired``.
    """
    blocks = _blocks(_text(pem))
    certificates = [body for label, body in blocks if label in _CERTIFICATE_LABELS]
    keys = [(label, body) for label, body in blocks if label.endswith("PRIVATE KEY")]
    if not keys:
        raise _unusable(
            "key_missing",
            "the PEM holds no private key",
            "Give the private key and the certificate together in one PEM.",
        )
    if len(keys) > 1:
        raise _unusable(
            "several_keys",
            f"the PEM holds {len(keys)} private keys",
            "Leave only the private key that belongs to the certificate.",
        )
    key = _key(*keys[0], test=proven is None)
    if not certificates:
        raise _unusable(
            "certificate_missing",
            "the PEM holds a private key but no certificate",
            "Give the private key and the certificate together in one PEM.",
        )
    leaf = _leaf(key, certificates, now)
    if proven is not None and _thumbprint(leaf) != proven:
        return read_bundle(pem, now=now)
    if now < leaf.not_valid_before_utc:
        raise _unusable(
            "certificate_not_yet_valid",
            f"the certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
            "Wait until then, or use a certificate that is valid now.",
        )
    if now >= leaf.not_valid_after_utc:
        raise _unusable(
            "certificate_expired",
            f"the certificate expired at {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
            "Use a certificate that is valid now.",
        )
    return _bundle(key, leaf)


def public_part(pem: str | bytes, *, now: datetime, proven: str | None = None) -> bytes:
    """The leaf certificate alone, DER: what Entra ID is given. Otherwise as `read_bundle`."""
    return read_bundle(pem, now=now, proven=proven).certificate_der


def make_bundle(subject: str, days: int, now: datetime) -> Bundle:
    """A new RSA key with a self-signed certificate that lives ``days`` days in all.

    For lifetimes that Key Vault, which counts whole months, cannot make. ``subject`` becomes the
    common name (64 characters at most). The life, counted from `BACKDATED` before ``now``, is never
    longer than ``days``, so a tenant's policy on lifetimes holds. Takes a noticeable part of a
    second: call it off the event loop.
    """
    # cryptography takes long to import, and most starts need no key: a matter of cold start.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=SHORTEST_KEY)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])])
    start = now.replace(microsecond=0) - BACKDATED
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _bundle(key, certificate)


def pem_of_pfx(content: bytes) -> str:
    """Key and certificates of a PKCS#12 file without a password, as PEM.

    For what Key Vault hands out for certificates that were made as PKCS#12; a PFX from a person is
    refused by `read_bundle`.

    Raises:
        Unusable: ``key_missing``, ``certificate_missing``, ``certificate_unreadable``.
    """
    # Late for the sake of cold start, as above.
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import pkcs12

    try:
        archive = pkcs12.load_pkcs12(content, None)
    except ValueError as error:
        raise _unusable(
            "certificate_unreadable",
            "the PKCS#12 file is damaged or has a password",
            "Use a PKCS#12 file without a password, or PEM.",
        ) from error
    if archive.key is None:
        raise _unusable(
            "key_missing",
            "the PKCS#12 file holds no private key",
            "Use a certificate whose private key can be exported.",
        )
    entries = [] if archive.cert is None else [archive.cert, *archive.additional_certs]
    if not entries:
        raise _unusable(
            "certificate_missing",
            "the PKCS#12 file holds no certificate that belongs to its key",
            "Use a PKCS#12 file with the key and its certificate.",
        )
    key = archive.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificates = [entry.certificate.public_bytes(serialization.Encoding.PEM) for entry in entries]
    return b"".join((key, *certificates)).decode("ascii")


def _text(pem: str | bytes) -> str:
    """The input as text; says what it is instead, when it is no text with PEM blocks."""
    text = _decoded(pem) if isinstance(pem, bytes) else pem
    text = text.lstrip("\ufeff")
    if "-----BEGIN " in text:
        return text
    stripped = text.strip()
    if not stripped:
        raise _unusable("not_pem", "the PEM is empty", "Give the content of the PEM file.")
    try:
        content = base64.b64decode("".join(stripped.split()), validate=True)
    except ValueError:  # binascii.Error is one, too
        content = b""
    _refuse_binary(content)
    if len(stripped) <= _LONGEST_PATH and _PATH.fullmatch(stripped):
        raise _unusable(
            "is_path",
            "this is the path of a file, not its content",
            "Give the content of the file.",
        )
    raise _unusable(
        "not_pem",
        "this is not PEM: there is no line like -----BEGIN CERTIFICATE-----",
        "Give the certificate and its private key as PEM.",
    )


def _decoded(content: bytes) -> str:
    _refuse_binary(content)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"-\x00-\x00" in content:
        encoding = "utf-16-le"
    elif b"\x00-\x00-" in content:
        encoding = "utf-16-be"
    else:
        encoding = "utf-8-sig"
    # Text around the blocks may be in any encoding; the blocks themselves are ASCII.
    return content.decode(encoding, errors="replace")


def _refuse_binary(content: bytes) -> None:
    """Name a PFX or DER file. Both are one ASN.1 sequence; only a PFX starts with version 3."""
    if not content.startswith(b"\x30"):
        return
    length_octets = content[1] & 0x7F if len(content) > 1 and content[1] & 0x80 else 0
    inside = content[2 + length_octets :]
    if inside.startswith(b"\x02\x01\x03\x30"):
        raise _unusable(
            "is_pfx",
            "this is a PFX (PKCS#12) file, not PEM",
            "Convert it: openssl pkcs12 -in file.pfx -nodes -out file.pem",
        )
    if inside[:1] in (b"\x30", b"\x02"):
        raise _unusable(
            "is_der",
            "this is a DER file (.cer, .der), not PEM",
            "Convert it to PEM, and add the private key: a .cer file holds none.",
        )


def _blocks(text: str) -> list[tuple[str, str]]:
    blocks = [(match[1], match[2]) for match in _BLOCK.finditer(text)]
    if len(blocks) != text.count("-----BEGIN "):
        raise _unusable(
            "not_pem",
            "the PEM is damaged: a block has no matching end, or a marker is misspelt",
            "Give the whole content of the PEM file; markers are upper-case.",
        )
    return blocks


def _der(body: str, code: str, what: str) -> bytes:
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except ValueError as error:  # binascii.Error is one, too
        raise _unreadable(code, what) from error


def _key(label: str, body: str, *, test: bool) -> RSAPrivateKey:
    """The key; with ``test``, its numbers are such as they must be."""
    # Late for the sake of cold start, as above.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    if label.startswith("ENCRYPTED ") or "ENCRYPTED" in body.partition("DEK-Info")[0]:
        raise _unusable(
            "key_encrypted",
            "the private key is encrypted",
            "Remove the password: openssl pkey -in file.pem -out file-without-password.pem",
        )
    if label not in ("PRIVATE KEY", "RSA PRIVATE KEY"):
        raise _not_rsa(label.removesuffix(" PRIVATE KEY"))
    try:
        key = load_der_private_key(
            _der(body, "key_unreadable", "private key"),
            password=None,
            unsafe_skip_rsa_key_validation=not test,
        )
    except UnsupportedAlgorithm as error:
        raise _not_rsa("unknown") from error
    except ValueError as error:
        raise _unreadable("key_unreadable", "private key") from error
    if not isinstance(key, RSAPrivateKey):
        kind = type(key).__name__.removeprefix("_").removesuffix("PrivateKey")
        raise _not_rsa({"EllipticCurve": "EC"}.get(kind, kind))
    if key.key_size < SHORTEST_KEY:
        raise _unusable(
            "key_too_short",
            f"the RSA key has {key.key_size} bits, fewer than {SHORTEST_KEY}",
            f"Use an RSA key of at least {SHORTEST_KEY} bits.",
        )
    return key


def _leaf(key: RSAPrivateKey, certificates: list[str], now: datetime) -> x509.Certificate:
    """The certificate of the key; of several (renewals of one key) the one that lasts longest."""
    # Late for the sake of cold start, as above.
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    public = key.public_key()
    matching: list[x509.Certificate] = []
    for body in certificates:
        der = _der(body, "certificate_unreadable", "certificate")
        try:
            certificate = x509.load_der_x509_certificate(der)
            if certificate.public_key() == public:
                matching.append(certificate)
        except UnsupportedAlgorithm:
            continue  # some other certificate of the chain
        except ValueError as error:
            raise _unreadable("certificate_unreadable", "certificate") from error
    if not matching:
        raise _unusable(
            "key_mismatch",
            "the private key does not belong to the certificate",
            "Give the certificate together with the private key that it was made from.",
        )
    leaf = max(matching, key=lambda one: (one.not_valid_before_utc <= now, one.not_valid_after_utc))
    if leaf.public_key_algorithm_oid == x509.PublicKeyAlgorithmOID.RSASSA_PSS:
        raise _not_rsa("RSA-PSS")  # another kind of key to Go, which the scanner is written in
    return leaf


def _bundle(key: RSAPrivateKey, leaf: x509.Certificate) -> Bundle:
    # Late for the sake of cold start, as above.
    from cryptography.hazmat.primitives import serialization

    der = leaf.public_bytes(serialization.Encoding.DER)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Bundle(
        certificate_der=der,
        key_pem=key_pem.decode("ascii"),
        thumbprint=_thumbprint(leaf),
        thumbprint_sha256=hashlib.sha256(der).hexdigest().upper(),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
    )


def _thumbprint(certificate: x509.Certificate) -> str:
    # Late for the sake of cold start, as above.
    from cryptography.hazmat.primitives.serialization import Encoding

    # SHA-1 names certificates in Entra ID and Key Vault; it protects nothing.
    der = certificate.public_bytes(Encoding.DER)
    return hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()


def _unusable(code: str, message: str, remediation: str) -> Unusable:
    return Unusable(code, message, remediation=remediation)


def _unreadable(code: str, what: str) -> Unusable:
    return _unusable(
        code,
        f"the {what} in the PEM is damaged",
        "Give the whole content of the PEM file, unchanged.",
    )


def _not_rsa(kind: str) -> Unusable:
    return _unusable(
        "key_not_rsa",
        f"the private key is not a plain RSA key ({kind}); Entra ID takes such a certificate, but"
        " signing in with it never works",
        f"Use an RSA key of at least {SHORTEST_KEY} bits.",
    )
