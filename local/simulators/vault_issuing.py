"""Certificates: made and signed by the vault, imported, merged, read, changed, deleted.

Making one takes a while (`issuance_delay`): until then there is a pending operation and no version,
and afterwards the operation says `completed`. Nothing runs in the background: what is due is done
when somebody looks (`settled`).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization

from local.simulators import vault_certificates
from local.simulators.vault_calls import (
    VERSIONED,
    Contents,
    VaultCall,
    enabled_in,
    json_in,
    name_in,
    tags_in,
    version_in,
)
from local.simulators.vault_errors import (
    Kind,
    bad_parameter,
    invalid_property,
    name_taken,
    not_found,
    pending_exists,
    pending_not_found,
)
from local.simulators.vault_objects import (
    Certificate,
    CertificateVersion,
    Deletion,
    PendingCertificate,
    new_version,
    seconds,
)
from local.simulators.vault_policies import PKCS12, Policy, changed_policy, new_policy

READ, WRITE = "certificates/read", "certificates/write"


class Issuing:
    """How certificates come to be."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    def check_name(self, name: str) -> None:
        """The name must be free or a certificate's, with nothing of that name in the making."""
        self._contents.certificates.check_free(name)
        self._contents.secrets.check_free(name)
        if self._contents.secrets.find(name) is not None:
            raise name_taken("secret", name)
        if self._contents.certificates.find(name) is not None:
            pending = self.settled(name).pending
            if pending is not None and not pending.completed and not pending.cancelled:
                raise pending_exists()

    def start(
        self,
        name: str,
        policy: Policy,
        key: vault_certificates.Key,
        *,
        enabled: bool,
        tags: dict[str, str],
    ) -> PendingCertificate:
        """Begin to make a version; one of issuer `Unknown` waits for a merge."""
        certificate = self._certificate(name, policy)
        ready = self._contents.clock.now() + timedelta(seconds=self._contents.issuance_delay)
        certificate.pending = PendingCertificate(
            policy=policy,
            key=key,
            request=vault_certificates.signing_request(key, policy),
            request_id=uuid4().hex,
            ready_at=None if policy.issuer == "Unknown" else ready,
            enabled=enabled,
            tags=tags,
        )
        return certificate.pending

    def import_version(
        self,
        name: str,
        material: vault_certificates.KeyAndChain,
        policy: Policy,
        *,
        enabled: bool,
        tags: dict[str, str],
    ) -> tuple[Certificate, CertificateVersion]:
        """A version that was made elsewhere."""
        certificate = self._certificate(name, policy)
        return certificate, self._add(certificate, material, policy, enabled=enabled, tags=tags)

    def finish(
        self, certificate: Certificate, material: vault_certificates.KeyAndChain
    ) -> CertificateVersion:
        """The version that comes out of the pending operation."""
        pending = certificate.pending
        assert pending is not None
        pending.completed = True
        return self._add(
            certificate, material, pending.policy, enabled=pending.enabled, tags=pending.tags
        )

    def settled(self, name: str) -> Certificate:
        """The certificate, or 404, after what was due in its making has been done."""
        certificate = self._contents.certificates.get(name)
        pending, now = certificate.pending, self._contents.clock.now()
        if (
            pending is not None
            and pending.ready_at is not None
            and pending.ready_at <= now
            and not pending.completed
            and not pending.cancelled
        ):
            authority = self._contents.issuers.get(pending.policy.issuer)
            material = vault_certificates.signed(pending.key, pending.policy, now, authority)
            self.finish(certificate, material)
        return certificate

    def completed(self, name: str) -> Certificate | None:
        """The certificate of that name if it has a version, hence a secret."""
        if self._contents.certificates.find(name) is None:
            return None
        certificate = self.settled(name)
        return certificate if certificate.versions else None

    def pending(self, name: str) -> tuple[Certificate, PendingCertificate]:
        """The certificate with its pending operation, or 404."""
        if self._contents.certificates.find(name) is None:
            raise pending_not_found(name)
        certificate = self.settled(name)
        if certificate.pending is None:
            raise pending_not_found(name)
        return certificate, certificate.pending

    def drop_pending(self, certificate: Certificate) -> None:
        """Forget the operation, and the certificate if it has come to nothing."""
        certificate.pending = None
        if not certificate.versions:
            self._contents.certificates.remove(certificate)

    def _certificate(self, name: str, policy: Policy) -> Certificate:
        """The certificate of that name, new or not, with this policy from now on."""
        now = self._contents.now()
        certificate = self._contents.certificates.find(name)
        if certificate is None:
            certificate = self._contents.certificates.add(Certificate(name, policy, now, now))
        certificate.policy, certificate.policy_updated = policy, now
        return certificate

    def _add(
        self,
        certificate: Certificate,
        material: vault_certificates.KeyAndChain,
        policy: Policy,
        *,
        enabled: bool,
        tags: dict[str, str],
    ) -> CertificateVersion:
        now = self._contents.now()
        version = CertificateVersion(new_version(), material, policy, now, now, enabled, tags)
        certificate.versions[version.id] = version
        return version


class CertificateCalls:
    """The operations on certificates."""

    def __init__(self, contents: Contents, issuing: Issuing) -> None:
        self._contents = contents
        self._issuing = issuing

    def calls(self) -> list[VaultCall]:
        """All of them, the more special addresses first."""
        one, deleted = "/certificates/{name}", "/deletedcertificates/{name}"
        return [
            VaultCall("GET", "/certificates", READ, self._list),
            VaultCall("POST", f"{one}/create", WRITE, self._create),
            VaultCall("POST", f"{one}/import", WRITE, self._import),
            VaultCall("DELETE", one, WRITE, self._delete),
            VaultCall("GET", f"{one}/versions", READ, self._list_versions),
            VaultCall("GET", f"{one}/policy", READ, self._get_policy),
            VaultCall("PATCH", f"{one}/policy", WRITE, self._update_policy),
            VaultCall("GET", f"{one}/pending", READ, self._get_pending),
            VaultCall("PATCH", f"{one}/pending", WRITE, self._cancel_pending),
            VaultCall("DELETE", f"{one}/pending", WRITE, self._delete_pending),
            VaultCall("POST", f"{one}/pending/merge", WRITE, self._merge),
            *(VaultCall("GET", one + end, READ, self._get) for end in VERSIONED),
            *(VaultCall("PATCH", one + end, WRITE, self._update) for end in VERSIONED),
            VaultCall("GET", "/deletedcertificates", READ, self._list_deleted),
            VaultCall("GET", deleted, READ, self._get_deleted),
            VaultCall("DELETE", deleted, WRITE, self._purge),
            VaultCall("POST", f"{deleted}/recover", WRITE, self._recover),
        ]

    async def _create(self, request: web.Request) -> object:
        name, body = name_in(request), json_in(request)
        self._issuing.check_name(name)
        existing = self._contents.certificates.find(name)
        if existing is None:
            policy = new_policy(body.get("policy"), self._contents.issuers)
        elif body.get("policy") is None:
            policy = existing.policy
        else:
            policy = changed_policy(existing.policy, body["policy"], self._contents.issuers)
        enabled, tags = enabled_in(body), tags_in(body)
        kept = existing.newest if existing is not None and policy.reuse_key else None
        key = (
            kept.material.key
            if kept is not None
            else await asyncio.to_thread(self._contents.make_key, policy)
        )
        self._issuing.check_name(name)  # making the key took a while
        pending = self._issuing.start(name, policy, key, enabled=enabled, tags=tags)
        return 202, self._pending(name, pending)

    async def _import(self, request: web.Request) -> object:
        name, body = name_in(request), json_in(request)
        self._issuing.check_name(name)
        value, password, given = body.get("value"), body.get("pwd"), body.get("policy") or {}
        if not isinstance(value, str) or not value:
            raise bad_parameter("The request body is missing the property value.")
        if not isinstance(password, str | None):
            raise invalid_property("pwd")
        if not isinstance(given, dict):
            raise invalid_property("policy")
        content_type = (given.get("secret_props") or {}).get("contentType") or PKCS12
        material = vault_certificates.read_upload(value, content_type, password)
        policy = changed_policy(
            vault_certificates.policy_of_upload(material, content_type), _kept_of_import(given)
        )
        certificate, version = self._issuing.import_version(
            name, material, policy, enabled=enabled_in(body), tags=tags_in(body)
        )
        return self._shown(certificate, version)

    async def _get(self, request: web.Request) -> object:
        certificate = self._issuing.settled(name_in(request))
        return self._shown(certificate, chosen(certificate, version_in(request), "certificate"))

    async def _update(self, request: web.Request) -> object:
        certificate, body = self._issuing.settled(name_in(request)), json_in(request)
        version = chosen(certificate, version_in(request), "certificate")
        enabled, tags = enabled_in(body, version.enabled), tags_in(body)
        if body.get("policy") is not None:
            certificate.policy = changed_policy(
                certificate.policy, body["policy"], self._contents.issuers
            )
            certificate.policy_updated = self._contents.now()
        if body.get("tags") is not None:
            version.tags = tags
        version.enabled, version.updated = enabled, self._contents.now()
        return self._shown(certificate, version)

    async def _list(self, request: web.Request) -> object:
        with_pending = request.query.get("includePending", "").lower() == "true"
        shown = []
        for entry in self._contents.certificates:
            certificate = self._issuing.settled(entry.name)
            if certificate.newest is not None:
                shown.append(self._item(certificate, certificate.newest, listed=True))
            elif with_pending:
                shown.append({"id": self._id(certificate.name)})
        return self._contents.page(request, shown)

    async def _list_versions(self, request: web.Request) -> object:
        certificate = self._issuing.completed(name_in(request))
        if certificate is None:
            return self._contents.page(request, [])
        versions = certificate.versions.values()
        return self._contents.page(
            request, [self._item(certificate, version) for version in versions]
        )

    async def _get_policy(self, request: web.Request) -> object:
        return self._policy(self._contents.certificates.get(name_in(request)))

    async def _update_policy(self, request: web.Request) -> object:
        certificate = self._contents.certificates.get(name_in(request))
        certificate.policy = changed_policy(
            certificate.policy, json_in(request), self._contents.issuers
        )
        certificate.policy_updated = self._contents.now()
        return self._policy(certificate)

    async def _get_pending(self, request: web.Request) -> object:
        certificate, pending = self._issuing.pending(name_in(request))
        return self._pending(certificate.name, pending)

    async def _cancel_pending(self, request: web.Request) -> object:
        certificate, pending = self._issuing.pending(name_in(request))
        if json_in(request).get("cancellation_requested") is not True:
            raise invalid_property("cancellation_requested")
        if not pending.completed:
            pending.cancelled = True
        return self._pending(certificate.name, pending)

    async def _delete_pending(self, request: web.Request) -> object:
        certificate, pending = self._issuing.pending(name_in(request))
        self._issuing.drop_pending(certificate)
        return self._pending(certificate.name, pending)

    async def _merge(self, request: web.Request) -> object:
        name, body = name_in(request), json_in(request)
        certificate, pending = self._issuing.pending(name)
        if pending.completed or pending.cancelled:
            raise pending_not_found(name)
        try:
            chain = [base64.b64decode(entry, validate=True) for entry in body["x5c"]]
        except (KeyError, TypeError, ValueError) as error:
            raise invalid_property("x5c") from error
        material = vault_certificates.merged(pending.key, chain)
        return 201, self._shown(certificate, self._issuing.finish(certificate, material))

    async def _delete(self, request: web.Request) -> object:
        name = name_in(request)
        self._issuing.settled(name)
        return self._deleted(self._contents.certificates.delete(name))

    async def _list_deleted(self, request: web.Request) -> object:
        finished = self._contents.certificates.finished_deletions()
        return self._contents.page(request, [self._deleted(entry) for entry in finished])

    async def _get_deleted(self, request: web.Request) -> object:
        return self._deleted(self._contents.certificates.get_deleted(name_in(request)))

    async def _recover(self, request: web.Request) -> object:
        certificate = self._contents.certificates.recover(name_in(request))
        return self._newest(certificate)

    async def _purge(self, request: web.Request) -> None:
        self._contents.certificates.purge(name_in(request))

    def _item(
        self, certificate: Certificate, version: CertificateVersion, *, listed: bool = False
    ) -> dict[str, Any]:
        """A certificate as lists show it."""
        thumbprint = version.material.leaf.fingerprint(hashes.SHA1())
        return {
            "id": self._id(certificate.name, None if listed else version.id),
            "x5t": base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode(),
            "attributes": attributes_of(version) | self._contents.recovery(),
            "tags": dict(version.tags),
        }

    def _shown(self, certificate: Certificate, version: CertificateVersion) -> dict[str, Any]:
        """A certificate with everything."""
        name, url = certificate.name, self._contents.url
        der = version.material.leaf.public_bytes(serialization.Encoding.DER)
        shown = self._item(certificate, version) | {
            "kid": f"{url}/keys/{name}/{version.id}",
            "sid": f"{url}/secrets/{name}/{version.id}",
            "cer": base64.b64encode(der).decode(),
            "contentType": version.policy.content_type,
            "policy": self._policy(certificate),
        }
        if certificate.pending is not None:
            shown["pending"] = {"id": f"{self._id(name)}/pending"}
        return shown

    def _newest(self, certificate: Certificate) -> dict[str, Any]:
        if certificate.newest is None:
            return {"id": self._id(certificate.name)}
        return self._shown(certificate, certificate.newest)

    def _deleted(self, deletion: Deletion[Certificate]) -> dict[str, Any]:
        certificate = deletion.subject
        return self._newest(certificate) | deletion.as_json(
            f"{self._contents.url}/deletedcertificates/{certificate.name}"
        )

    def _policy(self, certificate: Certificate) -> dict[str, Any]:
        return certificate.policy.as_json(
            f"{self._id(certificate.name)}/policy",
            certificate.policy_created,
            certificate.policy_updated,
        )

    def _pending(self, name: str, pending: PendingCertificate) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "id": f"{self._id(name)}/pending",
            "issuer": {"name": pending.policy.issuer},
            "csr": base64.b64encode(pending.request).decode(),
            "cancellation_requested": pending.cancelled,
            "request_id": pending.request_id,
        }
        if pending.completed:
            return shown | {"status": "completed", "target": self._id(name)}
        if pending.cancelled:
            return shown | {
                "status": "cancelled",
                "status_details": "The pending certificate operation was cancelled.",
            }
        details = (
            "Pending certificate created. Please Perform Merge to complete the request."
            if pending.policy.issuer == "Unknown"
            else "Pending certificate created. Certificate request is in progress. This may take "
            "some time based on the issuer provider. Please check again later."
        )
        return shown | {"status": "inProgress", "status_details": details}

    def _id(self, name: str, version: str | None = None) -> str:
        base = f"{self._contents.url}/certificates/{name}"
        return base if version is None else f"{base}/{version}"


def chosen(certificate: Certificate, wanted: str, kind: Kind) -> CertificateVersion:
    """The version that is wanted, the newest for an empty wish; 404 in the words of `kind`."""
    version = certificate.versions.get(wanted) if wanted else certificate.newest
    if version is None:
        name = certificate.name
        raise not_found(kind, f"{name}/{wanted}" if wanted else name)
    return version


def attributes_of(version: CertificateVersion) -> dict[str, Any]:
    """What a certificate and the secret behind it have in common."""
    leaf = version.material.leaf
    return {
        "enabled": version.enabled,
        "nbf": seconds(leaf.not_valid_before_utc),
        "exp": seconds(leaf.not_valid_after_utc),
        "created": version.created,
        "updated": version.updated,
    }


def _kept_of_import(given: Mapping[str, Any]) -> dict[str, Any]:
    """The members of an import's policy that count; the rest comes from the certificate."""
    kept = {
        member: given[member]
        for member in ("secret_props", "lifetime_actions")
        if given.get(member) is not None
    }
    if (given.get("issuer") or {}).get("name") is not None:
        kept["issuer"] = given["issuer"]
    exportable = (given.get("key_props") or {}).get("exportable")
    if exportable is not None:
        kept["key_props"] = {"exportable": exportable}
    return kept
