"""Secrets: set, read, changed, listed, deleted, recovered, purged.

Behind every certificate is a secret of the same name and versions, which holds key and certificate.
It is read and listed here like any other, and changed and deleted only with its certificate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from local.simulators import vault_certificates
from local.simulators.vault_calls import (
    VERSIONED,
    Contents,
    VaultCall,
    attributes_in,
    enabled_in,
    json_in,
    name_in,
    tags_in,
    version_in,
)
from local.simulators.vault_errors import (
    bad_parameter,
    disabled,
    invalid_property,
    managed_secret,
    not_found,
)
from local.simulators.vault_issuing import Issuing, attributes_of, chosen
from local.simulators.vault_objects import (
    CertificateVersion,
    Deletion,
    Secret,
    SecretVersion,
    new_version,
)

MAX_SECRET: Final = 25 * 1024
READ, VALUE, WRITE = "secrets/read", "secrets/value", "secrets/write"


class SecretCalls:
    """The operations on secrets."""

    def __init__(self, contents: Contents, issuing: Issuing) -> None:
        self._contents = contents
        self._issuing = issuing

    def calls(self) -> list[VaultCall]:
        """All of them, the more special addresses first."""
        one, deleted = "/secrets/{name}", "/deletedsecrets/{name}"
        return [
            VaultCall("GET", "/secrets", READ, self._list),
            VaultCall("PUT", one, WRITE, self._set),
            VaultCall("DELETE", one, WRITE, self._delete),
            VaultCall("GET", f"{one}/versions", READ, self._list_versions),
            *(VaultCall("GET", one + end, VALUE, self._get) for end in VERSIONED),
            *(VaultCall("PATCH", one + end, WRITE, self._update) for end in VERSIONED),
            VaultCall("GET", "/deletedsecrets", READ, self._list_deleted),
            VaultCall("GET", deleted, READ, self._get_deleted),
            VaultCall("DELETE", deleted, WRITE, self._purge),
            VaultCall("POST", f"{deleted}/recover", WRITE, self._recover),
        ]

    def put(self, name: str, value: str, content_type: str | None = None) -> SecretVersion:
        """A new version of a secret."""
        secrets, now = self._contents.secrets, self._contents.now()
        secret = secrets.find(name) or secrets.add(Secret(name))
        version = SecretVersion(new_version(), value, now, now, content_type)
        secret.versions[version.id] = version
        return version

    def values(self) -> list[str]:
        """Every value of every version that the vault would hand out."""
        plain = [
            version.value
            for secret in self._contents.secrets
            for version in secret.versions.values()
        ]
        return plain + [
            vault_certificates.secret_value(version.material, version.policy)
            for certificate in self._contents.certificates
            for version in certificate.versions.values()
        ]

    async def _set(self, request: web.Request) -> object:
        name, body = name_in(request), json_in(request)
        value, content_type = body.get("value"), _content_type(body)
        if not isinstance(value, str):
            raise bad_parameter("The request body is missing the property value.")
        if len(value.encode()) > MAX_SECRET:
            raise bad_parameter("Secret value exceeds maximum size 25k")
        tags, attributes = tags_in(body), attributes_in(body)
        self._contents.secrets.check_free(name)
        if self._contents.certificates.find(name) is not None:
            raise managed_secret("set")
        version = self.put(name, value, content_type)
        version.tags = tags
        _apply(version, attributes)
        return self._shown(self._contents.secrets.get(name), version) | {"value": value}

    async def _get(self, request: web.Request) -> object:
        name, wanted = name_in(request), version_in(request)
        certificate = self._issuing.completed(name)
        if certificate is not None:
            managed = chosen(certificate, wanted, "secret")
            if not managed.enabled:
                raise disabled("secret")
            value = vault_certificates.secret_value(managed.material, managed.policy)
            kid = f"{self._contents.url}/keys/{certificate.name}/{managed.id}"
            return self._managed(certificate.name, managed) | {"kid": kid, "value": value}
        secret, version = self._version(name, wanted)
        if not version.enabled:
            raise disabled("secret")
        return self._shown(secret, version) | {"value": version.value}

    async def _update(self, request: web.Request) -> object:
        name, body = name_in(request), json_in(request)
        if self._contents.certificates.find(name) is not None:
            raise managed_secret("update")
        secret, version = self._version(name, version_in(request))
        content_type, attributes = _content_type(body), attributes_in(body)
        if body.get("tags") is not None:
            version.tags = tags_in(body)
        _apply(version, attributes)
        if content_type is not None:
            version.content_type = content_type
        version.updated = self._contents.now()
        return self._shown(secret, version)

    async def _list(self, request: web.Request) -> object:
        shown = [
            self._shown(secret, secret.newest, listed=True) for secret in self._contents.secrets
        ]
        for certificate in self._contents.certificates:
            completed = self._issuing.completed(certificate.name)
            if completed is not None and completed.newest is not None:
                shown.append(self._managed(certificate.name, completed.newest, listed=True))
        return self._contents.page(request, sorted(shown, key=lambda entry: str(entry["id"])))

    async def _list_versions(self, request: web.Request) -> object:
        name = name_in(request)
        certificate = self._issuing.completed(name)
        if certificate is not None:
            versions = certificate.versions.values()
            shown = [self._managed(certificate.name, version) for version in versions]
            return self._contents.page(request, shown)
        secret = self._contents.secrets.find(name)
        if secret is None:
            return self._contents.page(request, [])
        plain = [self._shown(secret, version) for version in secret.versions.values()]
        return self._contents.page(request, plain)

    async def _delete(self, request: web.Request) -> object:
        name = name_in(request)
        if self._contents.certificates.find(name) is not None:
            raise managed_secret("delete")
        return self._deleted(self._contents.secrets.delete(name))

    async def _list_deleted(self, request: web.Request) -> object:
        finished = self._contents.secrets.finished_deletions()
        return self._contents.page(request, [self._deleted(entry) for entry in finished])

    async def _get_deleted(self, request: web.Request) -> object:
        return self._deleted(self._contents.secrets.get_deleted(name_in(request)))

    async def _recover(self, request: web.Request) -> object:
        secret = self._contents.secrets.recover(name_in(request))
        return self._shown(secret, secret.newest)

    async def _purge(self, request: web.Request) -> None:
        self._contents.secrets.purge(name_in(request))

    def _version(self, name: str, wanted: str) -> tuple[Secret, SecretVersion]:
        secret = self._contents.secrets.get(name)
        if not wanted:
            return secret, secret.newest
        try:
            return secret, secret.versions[wanted]
        except KeyError as error:
            raise not_found("secret", f"{name}/{wanted}") from error

    def _shown(
        self, secret: Secret, version: SecretVersion, *, listed: bool = False
    ) -> dict[str, Any]:
        """A secret without its value."""
        attributes: dict[str, Any] = {
            "enabled": version.enabled,
            "created": version.created,
            "updated": version.updated,
            **self._contents.recovery(),
        }
        if version.not_before is not None:
            attributes["nbf"] = version.not_before
        if version.expires is not None:
            attributes["exp"] = version.expires
        shown: dict[str, Any] = {
            "id": self._id(secret.name, None if listed else version.id),
            "attributes": attributes,
            "tags": dict(version.tags),
        }
        if version.content_type is not None:
            shown["contentType"] = version.content_type
        return shown

    def _managed(
        self, name: str, version: CertificateVersion, *, listed: bool = False
    ) -> dict[str, Any]:
        """The secret behind a certificate, without its value."""
        return {
            "id": self._id(name, None if listed else version.id),
            "contentType": version.policy.content_type,
            "managed": True,
            "attributes": attributes_of(version) | self._contents.recovery(),
            "tags": dict(version.tags),
        }

    def _deleted(self, deletion: Deletion[Secret]) -> dict[str, Any]:
        secret = deletion.subject
        return self._shown(secret, secret.newest) | deletion.as_json(
            f"{self._contents.url}/deletedsecrets/{secret.name}"
        )

    def _id(self, name: str, version: str | None) -> str:
        base = f"{self._contents.url}/secrets/{name}"
        return base if version is None else f"{base}/{version}"


def _content_type(body: Mapping[str, Any]) -> str | None:
    value = body.get("contentType")
    if value is not None and not (isinstance(value, str) and len(value) <= 255):
        raise invalid_property("contentType")
    return value


def _apply(version: SecretVersion, attributes: Mapping[str, Any]) -> None:
    """Put what is given of `enabled`, `nbf` and `exp` on a version."""
    not_before = attributes.get("nbf", version.not_before)
    expires = attributes.get("exp", version.expires)
    if not_before is not None and expires is not None and expires <= not_before:
        raise invalid_property("attributes.exp")
    version.enabled = enabled_in({"attributes": attributes}, version.enabled)
    version.not_before, version.expires = not_before, expires
