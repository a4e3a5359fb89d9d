"""Keys and certificates of the simulated Key Vault: made, signed, read from an upload, handed out.

Pure functions over `cryptography`; no state. Made as Key Vault makes them: notBefore ten minutes
in the past, validity in calendar months, the usages of the policy; handed out as Key Vault does:
PEM is the key in PKCS#8, then the certificates, in the order of the upload; a key that is not
exportable stays inside. Uploads are read as strictly as the service reads them: line feeds only
(azure-rest-api-specs#11361), one unencrypted PKCS#8 key, the certificate that belongs to it.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from local.simulators.vault_errors import VaultError, bad_parameter
from local.simulators.vault_policies import KEY_SIZES, PEM, PKCS12, Policy

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

BACKDATED = timedelta(minutes=10)
_CURVES: dict[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
_CURVE_NAMES = {curve.name: name for name, curve in _CURVES.items()}
_BLOCK = re.compile(
    r"-----BEGIN (?P<label>[A-Z0-9 ]+)-----\n(?:.*\n)*?-----END (?P=label)-----(?:\n|$)"
)
_USAGES = {
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
    "encipherOnly": "encipher_only",
    "decipherOnly": "decipher_only",
}


@dataclass(frozen=True, slots=True, repr=False)
class KeyAndChain:
    """A private key with its certificate and, where uploaded, the rest of the chain.

    `chain` holds every certificate in the order in which they are handed out; `leaf` is the one
    that belongs to the key.
    """

    key: Key
    leaf: x509.Certificate
    chain: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True, repr=False)
class IssuingAuthority:
    """A certificate authority that a vault has as an issuer."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def new_authority(common_name: str, now: datetime) -> IssuingAuthority:
    """A root that signs leaves itself; valid for ten years."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return IssuingAuthority(key, certificate)


def new_key(policy: Policy) -> Key:
    """A key as the policy wants it. Takes up to seconds for RSA 4096: run it off the loop."""
    if policy.curve is not None:
        return ec.generate_private_key(_CURVES[policy.curve])
    return rsa.generate_private_key(public_exponent=65537, key_size=policy.size)


def signed(
    key: Key, policy: Policy, now: datetime, authority: IssuingAuthority | None = None
) -> KeyAndChain:
    """The certificate that Key Vault signs with the key itself (issuer `Self`), or that an issuer's
    authority signs; then the authority's own comes with it."""
    name = x509.Name.from_rfc4514_string(policy.subject)
    public = key.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    signer = identifier
    if authority is not None:
        signer = x509.SubjectKeyIdentifier.from_public_key(authority.key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if authority is None else authority.certificate.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(_months_later(now, policy.months))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer),
            critical=False,
        )
    )
    if policy.key_usages:
        wanted = {_USAGES[usage] for usage in policy.key_usages}
        if not wanted & {"key_agreement"}:
            wanted -= {"encipher_only", "decipher_only"}
        flags = {flag: flag in wanted for flag in _USAGES.values()}
        builder = builder.add_extension(x509.KeyUsage(**flags), critical=True)
    if policy.extended_usages:
        usages = [x509.ObjectIdentifier(usage) for usage in policy.extended_usages]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if policy.dns_names:
        names = [x509.DNSName(entry) for entry in policy.dns_names]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(key if authority is None else authority.key, hashes.SHA256())
    chain = (certificate,) if authority is None else (certificate, authority.certificate)
    return KeyAndChain(key, certificate, chain)


def signing_request(key: Key, policy: Policy) -> bytes:
    """The PKCS#10 request (DER) of a pending certificate."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name.from_rfc4514_string(policy.subject)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def read_upload(value: str, content_type: str, password: str | None) -> KeyAndChain:
    """Key and certificates of an import.

    `value` is the text of the request: PEM itself, or base64 of PEM or PKCS#12 bytes.

    Raises:
        VaultError: 400 BadParameter with Key Vault's sentence for what is wrong.
    """
    if content_type == PKCS12:
        return _from_pkcs12(value, password)
    text = value
    if not value.startswith("-----BEGIN"):
        try:
            text = base64.b64decode(value, validate=True).decode("ascii")
        except (binascii.Error, ValueError) as error:
            raise _unreadable_pem() from error
    return _from_pem(text)


def _from_pem(text: str) -> KeyAndChain:
    if "\r" in text:
        raise bad_parameter(
            "The specified PEM X.509 certificate content is in an unexpected format. Please check "
            "if certificate is in valid PEM format."
        )
    keys: list[str] = []
    chain: list[x509.Certificate] = []
    for block in _BLOCK.finditer(text):
        label = block["label"]
        if label == "CERTIFICATE":
            try:
                chain.append(x509.load_pem_x509_certificate(block[0].encode()))
            except ValueError as error:
                raise _unreadable_pem() from error
        elif label == "PRIVATE KEY":
            keys.append(block[0])
        elif label.endswith("PRIVATE KEY"):
            raise _unreadable_pem()  # encrypted, or not PKCS#8
    if not keys:
        raise bad_parameter(
            "Private key is not specified in the specified X.509 PEM certificate content. Please "
            "specify private key in the X.509 PEM certificate content."
        )
    if len(keys) != 1 or not chain:
        raise _unreadable_pem()
    try:
        key = serialization.load_pem_private_key(keys[0].encode(), password=None)
    except (ValueError, TypeError) as error:
        raise _unreadable_pem() from error
    return _matched(key, chain)


def _from_pkcs12(value: str, password: str | None) -> KeyAndChain:
    try:
        key, leaf, others = pkcs12.load_key_and_certificates(
            base64.b64decode(value, validate=True), password.encode() if password else None
        )
    except (binascii.Error, ValueError) as error:
        raise _unreadable_pkcs12() from error
    if key is None or leaf is None:
        raise _unreadable_pkcs12()
    return _matched(key, [leaf, *others])


def _matched(key: object, chain: list[x509.Certificate]) -> KeyAndChain:
    """The key with its own certificate found in the chain, after checks on the key."""
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise bad_parameter("The specified private key has a key type that is not supported.")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size not in KEY_SIZES:
        raise bad_parameter(
            f"The specified RSA key has a size of {key.key_size} bits, which is not supported."
        )
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in _CURVE_NAMES:
        raise bad_parameter(f"The specified curve {key.curve.name} is not supported.")
    public = key.public_key()
    for certificate in chain:
        if certificate.public_key() == public:
            return KeyAndChain(key, certificate, tuple(chain))
    raise bad_parameter(
        "The public key of the end-entity certificate in the specified X.509 certificate content "
        "does not match the public part of the specified private key. Please check if certificate "
        "is valid."
    )


def merged(key: Key, chain: list[bytes]) -> KeyAndChain:
    """A pending key with the certificates (DER) that an outside authority made for it.

    Raises:
        VaultError: 400 BadParameter: unreadable, or made for another key.
    """
    try:
        certificates = [x509.load_der_x509_certificate(entry) for entry in chain]
    except ValueError as error:
        raise bad_parameter("Property x5c has invalid value\r\n") from error
    return _matched(key, certificates)


def secret_value(material: KeyAndChain, policy: Policy) -> str:
    """What the secret behind a certificate holds: PEM text, or base64 of a PKCS#12 file."""
    if policy.content_type == PEM:
        parts = [entry.public_bytes(serialization.Encoding.PEM) for entry in material.chain]
        if policy.exportable:
            parts.insert(
                0,
                material.key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                ),
            )
        return b"".join(parts).decode("ascii")
    others = [entry for entry in material.chain if entry is not material.leaf]
    archive = pkcs12.serialize_key_and_certificates(
        None,
        material.key if policy.exportable else None,
        material.leaf,
        others or None,
        serialization.NoEncryption(),
    )
    return base64.b64encode(archive).decode("ascii")


def policy_of_upload(material: KeyAndChain, content_type: str) -> Policy:
    """The policy that Key Vault derives from an uploaded certificate."""
    key, leaf = material.key, material.leaf
    lifetime = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    is_rsa = isinstance(key, rsa.RSAPrivateKey)
    return Policy(
        issuer="Unknown",
        subject=leaf.subject.rfc4514_string(),
        key_type="RSA" if is_rsa else "EC",
        size=key.key_size if is_rsa else 0,
        curve=_CURVE_NAMES[key.curve.name] if isinstance(key, ec.EllipticCurvePrivateKey) else None,
        content_type=content_type,
        months=max(1, round(lifetime / timedelta(days=30.44))),
    )


def _months_later(moment: datetime, months: int) -> datetime:
    """The same day `months` calendar months later, or the last day of that month."""
    years, month = divmod(moment.month - 1 + months, 12)
    year, month = moment.year + years, month + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    return moment.replace(year=year, month=month, day=day)


def _unreadable_pem() -> VaultError:
    return bad_parameter(
        "The specified PEM X.509 certificate content can not be read. Please check if certificate "
        "is in valid PEM format."
    )


def _unreadable_pkcs12() -> VaultError:
    return bad_parameter(
        "The specified PKCS#12 X.509 certificate content can not be read. Please check if "
        "certificate is in valid PKCS#12 format."
    )
