"""Partner Center's side of a webhook: the certificate that it signs with, and signed events.

A chain of its own (root, intermediate, leaf of "Microsoft Corporation"), none of which the public
authorities know. `GET /cert/{name}` serves the leaf's certificate in DER; `signed` gives headers
and body of a delivery. Left out: registration of the webhook, redelivery.

Source: Partner Center webhooks, "how to authenticate the callback".
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar
from uuid import uuid4

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from local.simulators.service import Service

CERTIFICATE = "pcnotifications-dispatch.cer"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Chain:
    """A root, an intermediate and a leaf that signs; ``organization`` is in the leaf's subject."""

    def __init__(self, organization: str = "Microsoft Corporation") -> None:
        self._organization = organization
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._middle_key = ec.generate_private_key(ec.SECP256R1())
        self.root = _issue("Partner Root", self._root_key, None, self._root_key, authority=True)
        self.middle = _issue(
            "Partner Issuing", self._middle_key, self.root, self._root_key, authority=True
        )

    @property
    def authorities(self) -> bytes:
        """Root and intermediate in one PEM."""
        pem = serialization.Encoding.PEM
        return self.root.public_bytes(pem) + self.middle.public_bytes(pem)

    @cached_property
    def key(self) -> rsa.RSAPrivateKey:
        """The leaf's key."""
        return rsa.generate_private_key(65537, 2048)

    @cached_property
    def leaf(self) -> x509.Certificate:
        """The certificate that signatures are checked with."""
        return _issue(
            "pcnotifications-dispatch.microsoft.com",
            self.key,
            self.middle,
            self._middle_key,
            organization=self._organization,
        )

    def sign(self, body: bytes) -> str:
        """The signature of a body, base64."""
        return base64.b64encode(self.key.sign(body, padding.PKCS1v15(), hashes.SHA256())).decode()


class PartnerCenterService(Service):
    """The host of the certificate; ``chain`` is what events are signed with."""

    name: ClassVar[str] = "partner"

    @cached_property
    def chain(self) -> Chain:
        """The chain, made when it is first asked for."""
        return Chain()

    @property
    def host(self) -> str:
        """The host of the certificate, by name: an address of numbers is no host to trust."""
        return self.url.removeprefix("https://").replace("127.0.0.1", "localhost")

    def routes(self) -> list[web.RouteDef]:
        """The certificate."""
        return [web.get("/cert/{name}", self._certificate)]

    def signed(self, event: dict[str, Any]) -> tuple[dict[str, str], bytes]:
        """Headers and body of a delivery."""
        body = json.dumps(event).encode()
        headers = {
            "Authorization": f"Signature {self.chain.sign(body)}",
            "X-MS-Certificate-Url": f"https://{self.host}/cert/{CERTIFICATE}",
            "X-MS-Signature-Algorithm": "rsa-sha256",
            "Content-Type": "application/json; charset=utf-8",
        }
        return headers, body

    async def _certificate(self, request: web.Request) -> web.Response:
        if request.match_info["name"] != CERTIFICATE:
            return web.Response(status=404)
        der = self.chain.leaf.public_bytes(serialization.Encoding.DER)
        return web.Response(body=der, content_type="application/pkix-cert")


def relationship_event(relationship_id: str, name: str, **changes: Any) -> dict[str, Any]:
    """An event about a relationship, as the documentation shows it."""
    return {
        "EventName": name,
        "ResourceUri": f"https://partner.microsoft.com/granularAdminRelationships/{relationship_id}",
        "ResourceName": "GranularAdminRelationship",
        "AuditUri": None,
        "ResourceChangeUtcDate": datetime.now(UTC).isoformat(),
        **changes,
    }


def new_relationship_id() -> str:
    """Two GUIDs, as Graph makes them."""
    return f"{uuid4()}-{uuid4()}"


def _issue(
    name: str,
    key: Key,
    issuer: x509.Certificate | None,
    issuer_key: Key,
    *,
    authority: bool = False,
    organization: str = "Microsoft Corporation",
) -> x509.Certificate:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if authority:
        builder = builder.add_extension(
            x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    else:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())
