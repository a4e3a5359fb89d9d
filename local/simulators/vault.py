"""Key Vault, the data plane for secrets and certificates, as its own clients call it.

Challenge authentication (a first call without token gets 401 and is told where to ask), Azure RBAC
(`roles_of`), names, versions, soft delete, paging, pending certificates and the secret behind each
certificate. Answers and refusals are those of the service; see `vault_errors`.

Switches for tests: `issuance_delay` and `deletion_delay` (seconds on the simulators' clock),
`purge_protection`, and `roles_of`, which maps a principal's object id to its Key Vault roles (or
the client id of the Azure CLI, for whichever developer uses it). The secret
`mondoo-service-account` is there from the start, with the account of the Mondoo simulator.

Left out: keys as objects of their own, backup and restore, issuers and contacts, rotation by
lifetime action. A certificate in the making cannot be read before its first version is there.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final
from uuid import uuid4

from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization

from local.simulators import vault_certificates
from local.simulators.entra import AZURE_CLI, TokenRejected, bearer
from local.simulators.faults import Fault
from local.simulators.service import CallDescription, Service, body_of, request_id_of
from local.simulators.vault_errors import (
    VaultError,
    bad_parameter,
    disabled,
    envelope,
    forbidden_by_rbac,
    invalid_property,
    managed_secret,
    name_taken,
    not_found,
    pending_exists,
    pending_not_found,
    unauthorized,
)
from local.simulators.vault_objects import (
    RETENTION_DAYS,
    Certificate,
    CertificateVersion,
    Deletion,
    PendingCertificate,
    Secret,
    SecretVersion,
    Shelf,
    checked_name,
    new_version,
    seconds,
)
from local.simulators.vault_policies import PKCS12, changed_policy, new_policy

if TYPE_CHECKING:
    from local.simulators import Simulators

AUDIENCE: Final = "https://vault.azure.net"
API_VERSIONS: Final = frozenset(
    {"7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01", "2026-04-01"}
)
SERVICE_ACCOUNT_SECRET: Final = "mondoo-service-account"
MAX_PAGE: Final = 25
MAX_SECRET: Final = 25 * 1024
MAX_TAGS: Final = 15

SECRETS_OFFICER: Final = "Key Vault Secrets Officer"
SECRETS_USER: Final = "Key Vault Secrets User"
CERTIFICATES_OFFICER: Final = "Key Vault Certificates Officer"
READER: Final = "Key Vault Reader"
ADMINISTRATOR: Final = "Key Vault Administrator"

_ACTIONS: dict[str, frozenset[str]] = {
    SECRETS_OFFICER: frozenset({"secrets/read", "secrets/value", "secrets/write"}),
    SECRETS_USER: frozenset({"secrets/read", "secrets/value"}),
    CERTIFICATES_OFFICER: frozenset({"certificates/read", "certificates/write"}),
    READER: frozenset({"secrets/read", "certificates/read"}),
    ADMINISTRATOR: frozenset(
        {
            "secrets/read",
            "secrets/value",
            "secrets/write",
            "certificates/read",
            "certificates/write",
        }
    ),
}
_AZURE_ACTIONS = {
    "secrets/read": "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
    "secrets/value": "Microsoft.KeyVault/vaults/secrets/getSecret/action",
    "secrets/write": "Microsoft.KeyVault/vaults/secrets/setSecret/action",
    "certificates/read": "Microsoft.KeyVault/vaults/certificates/read",
    "certificates/write": "Microsoft.KeyVault/vaults/certificates/create/action",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class VaultService(Service):
    """The one vault of the simulated subscription."""

    name: ClassVar[str] = "vault"

    def __init__(self, simulators: Simulators) -> None:
        super().__init__(simulators)
        self.secrets: Shelf[Secret] = Shelf("secret", simulators.clock)
        self.certificates: Shelf[Certificate] = Shelf("certificate", simulators.clock)
        self.issuance_delay = 0.0
        self._seeded = False
        self.roles_of: dict[str, set[str]] = {
            principal: {SECRETS_OFFICER, CERTIFICATES_OFFICER}
            for principal in (simulators.world.managed_identity.id, AZURE_CLI)
        }

    @property
    def purge_protection(self) -> bool:
        """Whether deleted objects can only wait for the end of their retention."""
        return self.secrets.purge_protection

    @purge_protection.setter
    def purge_protection(self, value: bool) -> None:
        self.secrets.purge_protection = self.certificates.purge_protection = value

    @property
    def deletion_delay(self) -> float:
        """Seconds, on the simulators' clock, that a deletion takes."""
        return self.secrets.deletion_delay

    @deletion_delay.setter
    def deletion_delay(self, value: float) -> None:
        self.secrets.deletion_delay = self.certificates.deletion_delay = value

    def put_secret(self, name: str, value: str, content_type: str | None = None) -> SecretVersion:
        """A new version of a secret, without a call: for seeding."""
        now = self._now()
        version = SecretVersion(new_version(), value, now, now, content_type)
        self.secrets.active.setdefault(name, Secret(name)).versions[version.id] = version
        return version

    def _seed(self) -> None:
        """Put the Mondoo credential there; it names an origin, so it has to wait for the start."""
        if self._seeded:
            return
        self._seeded = True
        if SERVICE_ACCOUNT_SECRET not in self.secrets.active:
            credential = json.dumps(self.simulators.mondoo.service_account_json())
            self.put_secret(SERVICE_ACCOUNT_SECRET, credential, "application/json")

    # ------------------------------------------------------------------ routes

    def routes(self) -> list[web.RouteDef]:
        """Secrets, certificates, and what was deleted of both."""
        certificate = "/certificates/{name}"
        return [
            web.get("/secrets", self._call("secrets/read", self._list_secrets)),
            web.put("/secrets/{name}", self._call("secrets/write", self._set_secret)),
            web.delete("/secrets/{name}", self._call("secrets/write", self._delete_secret)),
            web.get(
                "/secrets/{name}/versions", self._call("secrets/read", self._list_secret_versions)
            ),
            *self._versioned(
                web.get, "/secrets/{name}", self._call("secrets/value", self._get_secret)
            ),
            *self._versioned(
                web.patch, "/secrets/{name}", self._call("secrets/write", self._update_secret)
            ),
            web.get("/deletedsecrets", self._call("secrets/read", self._list_deleted_secrets)),
            web.get("/deletedsecrets/{name}", self._call("secrets/read", self._get_deleted_secret)),
            web.delete("/deletedsecrets/{name}", self._call("secrets/write", self._purge_secret)),
            web.post(
                "/deletedsecrets/{name}/recover",
                self._call("secrets/write", self._recover_secret),
            ),
            web.get("/certificates", self._call("certificates/read", self._list_certificates)),
            web.post(
                f"{certificate}/create", self._call("certificates/write", self._create_certificate)
            ),
            web.post(
                f"{certificate}/import", self._call("certificates/write", self._import_certificate)
            ),
            web.delete(certificate, self._call("certificates/write", self._delete_certificate)),
            web.get(
                f"{certificate}/versions",
                self._call("certificates/read", self._list_certificate_versions),
            ),
            web.get(f"{certificate}/policy", self._call("certificates/read", self._get_policy)),
            web.patch(
                f"{certificate}/policy", self._call("certificates/write", self._update_policy)
            ),
            web.get(f"{certificate}/pending", self._call("certificates/read", self._get_pending)),
            web.patch(
                f"{certificate}/pending", self._call("certificates/write", self._cancel_pending)
            ),
            web.delete(
                f"{certificate}/pending", self._call("certificates/write", self._delete_pending)
            ),
            web.post(
                f"{certificate}/pending/merge", self._call("certificates/write", self._merge)
            ),
            *self._versioned(
                web.get, certificate, self._call("certificates/read", self._get_certificate)
            ),
            *self._versioned(
                web.patch, certificate, self._call("certificates/write", self._update_certificate)
            ),
            web.get(
                "/deletedcertificates",
                self._call("certificates/read", self._list_deleted_certificates),
            ),
            web.get(
                "/deletedcertificates/{name}",
                self._call("certificates/read", self._get_deleted_certificate),
            ),
            web.delete(
                "/deletedcertificates/{name}",
                self._call("certificates/write", self._purge_certificate),
            ),
            web.post(
                "/deletedcertificates/{name}/recover",
                self._call("certificates/write", self._recover_certificate),
            ),
        ]

    @staticmethod
    def _versioned(
        verb: Callable[..., web.RouteDef], path: str, handler: Handler
    ) -> Iterable[web.RouteDef]:
        """A path with a version, with an empty one (as the clients send it), and without."""
        return [verb(f"{path}/{{version}}", handler), verb(f"{path}/", handler), verb(path, handler)]

    def describe(self, request: web.Request) -> CallDescription:
        """The route's template without the slash of an empty version, and who calls."""
        call = super().describe(request)
        try:
            caller = self.simulators.entra.verify(bearer(request), AUDIENCE).app_id
        except TokenRejected:
            caller = None
        return CallDescription(call.operation.rstrip("/"), call.tenant, caller, call.write)

    def fault_body(self, fault: Fault, request: web.Request) -> object:
        """Key Vault's envelope."""
        return envelope(fault.code, fault.message)

    def _call(
        self, action: str, handler: Callable[[web.Request], Awaitable[Any]]
    ) -> Handler:
        """Authentication, authorisation and the error envelope around a handler."""

        async def handle(request: web.Request) -> web.StreamResponse:
            headers = {
                "x-ms-request-id": request_id_of(request),
                "x-ms-keyvault-region": "local",
                "Cache-Control": "no-cache",
            }
            try:
                self._authorise(request, action)
                self._check_version(request)
                self._seed()
                if "name" in request.match_info:
                    checked_name(request.match_info["name"])
                answer = await handler(request)
            except VaultError as error:
                if error.status == 401:
                    headers["WWW-Authenticate"] = self._challenge()
                return web.json_response(error.body(), status=error.status, headers=headers)
            if answer is None:
                return web.Response(status=204, headers=headers)
            status = 200
            if isinstance(answer, tuple):
                status, answer = answer
            return web.json_response(answer, status=status, headers=headers)

        return handle

    def _challenge(self) -> str:
        authority = f"{self.simulators.urls['entra']}/{self.simulators.world.home.id}"
        return f'Bearer authorization="{authority}", resource="{AUDIENCE}"'

    def _authorise(self, request: web.Request, action: str) -> None:
        try:
            token = bearer(request)
        except TokenRejected as error:
            raise unauthorized("AKV10000: Request is missing a Bearer or PoP token.") from error
        try:
            claims = self.simulators.entra.verify(token, AUDIENCE)
        except TokenRejected as error:
            raise unauthorized(f"AKV10022: Invalid token: {error}") from error
        if claims.tenant_id != self.simulators.world.home.id:
            raise unauthorized(
                "AKV10032: Invalid issuer. Expected one of "
                f"https://sts.windows.net/{self.simulators.world.home.id}/, found "
                f"https://sts.windows.net/{claims.tenant_id}/."
            )
        allowed = {
            granted
            for principal in (claims.object_id, claims.app_id)
            for role in self.roles_of.get(principal, ())
            for granted in _ACTIONS.get(role, ())
        }
        if action not in allowed:
            raise forbidden_by_rbac(
                f"appid={claims.app_id};oid={claims.object_id}",
                _AZURE_ACTIONS[action],
                request.path,
            )

    @staticmethod
    def _check_version(request: web.Request) -> None:
        version = request.query.get("api-version")
        if version is None:
            raise bad_parameter("api-version must be specified")
        if version not in API_VERSIONS:
            raise bad_parameter(f"The specified version ({version}) is not recognized.")

    # ----------------------------------------------------------------- secrets

    async def _set_secret(self, request: web.Request) -> object:
        name, body = request.match_info["name"], _json(request)
        value, content_type = body.get("value"), body.get("contentType")
        if not isinstance(value, str):
            raise bad_parameter("The request body is missing the property value.")
        if len(value.encode()) > MAX_SECRET:
            raise bad_parameter("Secret value exceeds maximum size 25k")
        if content_type is not None and not (
            isinstance(content_type, str) and len(content_type) <= 255
        ):
            raise invalid_property("contentType")
        self.secrets.check_free(name)
        if name in self.certificates.active:
            raise managed_secret("set")
        now = self._now()
        version = SecretVersion(new_version(), value, now, now, content_type)
        version.tags = _tags(body)
        _apply_attributes(version, body)
        self.secrets.active.setdefault(name, Secret(name)).versions[version.id] = version
        return self._secret_json(name, version)

    async def _get_secret(self, request: web.Request) -> object:
        name, wanted = request.match_info["name"], request.match_info.get("version", "")
        certificate = self._completed(name)
        if certificate is not None:
            managed = self._certificate_version(certificate, wanted, "secret")
            if not managed.enabled:
                raise disabled("secret")
            value = vault_certificates.secret_value(managed.material, managed.policy)
            return self._managed_secret_json(name, managed, full=True) | {"value": value}
        version = self._secret_version(name, wanted)
        if not version.enabled:
            raise disabled("secret")
        return self._secret_json(name, version)

    async def _update_secret(self, request: web.Request) -> object:
        name, body = request.match_info["name"], _json(request)
        if name in self.certificates.active:
            raise managed_secret("update")
        version = self._secret_version(name, request.match_info.get("version", ""))
        if body.get("contentType") is not None:
            version.content_type = str(body["contentType"])
        if body.get("tags") is not None:
            version.tags = _tags(body)
        _apply_attributes(version, body)
        version.updated = self._now()
        shown = self._secret_json(name, version)
        del shown["value"]
        return shown

    async def _list_secrets(self, request: web.Request) -> object:
        shown = [
            self._secret_json(name, secret.newest, listed=True)
            for name, secret in self.secrets.active.items()
        ]
        for name in list(self.certificates.active):
            certificate = self._completed(name)
            if certificate is not None and certificate.newest is not None:
                shown.append(self._managed_secret_json(name, certificate.newest, full=False))
        return self._page(request, sorted(shown, key=lambda entry: str(entry["id"])))

    async def _list_secret_versions(self, request: web.Request) -> object:
        name = request.match_info["name"]
        certificate = self._completed(name)
        if certificate is not None:
            return self._page(
                request,
                [
                    self._managed_secret_json(name, version, full=True)
                    for version in certificate.versions.values()
                ],
            )
        secret = self.secrets.active.get(name)
        versions = secret.versions.values() if secret is not None else ()
        shown = [self._secret_json(name, version) for version in versions]
        for entry in shown:
            del entry["value"]
        return self._page(request, shown)

    async def _delete_secret(self, request: web.Request) -> object:
        name = request.match_info["name"]
        if name in self.certificates.active:
            raise managed_secret("delete")
        return self._deleted_secret_json(self.secrets.delete(name))

    async def _list_deleted_secrets(self, request: web.Request) -> object:
        shown = [self._deleted_secret_json(entry) for entry in self.secrets.finished_deletions()]
        return self._page(request, shown)

    async def _get_deleted_secret(self, request: web.Request) -> object:
        return self._deleted_secret_json(self.secrets.get_deleted(request.match_info["name"]))

    async def _recover_secret(self, request: web.Request) -> object:
        name = request.match_info["name"]
        shown = self._secret_json(name, self.secrets.recover(name).newest)
        del shown["value"]
        return shown

    async def _purge_secret(self, request: web.Request) -> None:
        self.secrets.purge(request.match_info["name"])

    def _secret_version(self, name: str, wanted: str) -> SecretVersion:
        secret = self.secrets.get(name)
        if not wanted:
            return secret.newest
        try:
            return secret.versions[wanted]
        except KeyError as error:
            raise not_found("secret", f"{name}/{wanted}") from error

    def _secret_json(
        self, name: str, version: SecretVersion, *, listed: bool = False
    ) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            "enabled": version.enabled,
            "created": version.created,
            "updated": version.updated,
            **self._recovery(),
        }
        if version.not_before is not None:
            attributes["nbf"] = version.not_before
        if version.expires is not None:
            attributes["exp"] = version.expires
        shown: dict[str, Any] = {
            "id": f"{self.url}/secrets/{name}" + ("" if listed else f"/{version.id}"),
            "attributes": attributes,
            "tags": dict(version.tags),
        }
        if version.content_type is not None:
            shown["contentType"] = version.content_type
        if not listed:
            shown["value"] = version.value
        return shown

    def _managed_secret_json(
        self, name: str, version: CertificateVersion, *, full: bool
    ) -> dict[str, Any]:
        """The secret behind a certificate, without its value."""
        suffix = f"/{version.id}" if full else ""
        return {
            "id": f"{self.url}/secrets/{name}{suffix}",
            "contentType": version.policy.content_type,
            "kid": f"{self.url}/keys/{name}/{version.id}",
            "managed": True,
            "attributes": self._certificate_attributes(version),
            "tags": dict(version.tags),
        }

    def _deleted_secret_json(self, deletion: Deletion[Secret]) -> dict[str, Any]:
        name = deletion.subject.name
        shown = self._secret_json(name, deletion.subject.newest)
        del shown["value"]
        return shown | deletion.as_json(f"{self.url}/deletedsecrets/{name}")

    # ------------------------------------------------------------ certificates

    async def _create_certificate(self, request: web.Request) -> object:
        name, body = request.match_info["name"], _json(request)
        self._check_certificate_name(name)
        existing = self.certificates.active.get(name)
        if body.get("policy") is None and existing is not None:
            policy = existing.policy
        elif existing is not None:
            policy = changed_policy(existing.policy, body.get("policy"))
        else:
            policy = new_policy(body.get("policy"))
        enabled, tags = _enabled(body), _tags(body)
        reused = existing.newest if existing is not None and policy.reuse_key else None
        key = (
            reused.material.key
            if reused is not None
            else await asyncio.to_thread(vault_certificates.new_key, policy)
        )
        self._check_certificate_name(name)  # the key took a while
        now = self.simulators.clock.now()
        certificate = self.certificates.active.get(name)
        if certificate is None:
            certificate = Certificate(name, policy, self._now(), self._now())
            self.certificates.active[name] = certificate
        certificate.policy, certificate.policy_updated = policy, self._now()
        ready = now + timedelta(seconds=self.issuance_delay)
        certificate.pending = PendingCertificate(
            policy=policy,
            key=key,
            request=vault_certificates.signing_request(key, policy),
            request_id=uuid4().hex,
            ready_at=ready if policy.issuer == "Self" else None,
            enabled=enabled,
            tags=tags,
        )
        return 202, self._pending_json(name, certificate.pending)

    async def _import_certificate(self, request: web.Request) -> object:
        name, body = request.match_info["name"], _json(request)
        self._check_certificate_name(name)
        value, password = body.get("value"), body.get("pwd")
        if not isinstance(value, str) or not value:
            raise bad_parameter("The request body is missing the property value.")
        if password is not None and not isinstance(password, str):
            raise invalid_property("pwd")
        given = body.get("policy")
        content_type = PKCS12
        if given is not None:
            if not isinstance(given, dict):
                raise invalid_property("policy")
            content_type = (given.get("secret_props") or {}).get("contentType") or PKCS12
        material = vault_certificates.read_upload(value, content_type, password)
        policy = vault_certificates.policy_of_upload(material, content_type)
        if given is not None:
            kept = {
                member: given[member]
                for member in ("secret_props", "lifetime_actions", "issuer")
                if given.get(member) is not None
            }
            if (given.get("key_props") or {}).get("exportable") is not None:
                kept["key_props"] = {"exportable": given["key_props"]["exportable"]}
            if (kept.get("issuer") or {}).get("name") is None:
                kept.pop("issuer", None)
            policy = changed_policy(policy, kept)
        now = self._now()
        certificate = self.certificates.active.get(name)
        if certificate is None:
            certificate = Certificate(name, policy, now, now)
            self.certificates.active[name] = certificate
        certificate.policy, certificate.policy_updated = policy, now
        version = CertificateVersion(
            new_version(), material, policy, now, now, _enabled(body), _tags(body)
        )
        certificate.versions[version.id] = version
        return self._certificate_json(certificate, version)

    async def _get_certificate(self, request: web.Request) -> object:
        certificate = self._settled(request.match_info["name"])
        wanted = request.match_info.get("version", "")
        return self._certificate_json(
            certificate, self._certificate_version(certificate, wanted, "certificate")
        )

    async def _update_certificate(self, request: web.Request) -> object:
        certificate, body = self._settled(request.match_info["name"]), _json(request)
        wanted = request.match_info.get("version", "")
        version = self._certificate_version(certificate, wanted, "certificate")
        if body.get("policy") is not None:
            certificate.policy = changed_policy(certificate.policy, body["policy"])
            certificate.policy_updated = self._now()
        if body.get("attributes") is not None:
            version.enabled = _enabled(body, version.enabled)
        if body.get("tags") is not None:
            version.tags = _tags(body)
        version.updated = self._now()
        return self._certificate_json(certificate, version)

    async def _list_certificates(self, request: web.Request) -> object:
        shown = []
        for name in sorted(self.certificates.active):
            certificate = self._settled(name)
            if certificate.newest is not None:
                shown.append(self._certificate_item(certificate, certificate.newest, full=False))
            elif request.query.get("includePending", "").lower() == "true":
                shown.append({"id": f"{self.url}/certificates/{name}"})
        return self._page(request, shown)

    async def _list_certificate_versions(self, request: web.Request) -> object:
        name = request.match_info["name"]
        if name not in self.certificates.active:
            return self._page(request, [])
        certificate = self._settled(name)
        return self._page(
            request,
            [
                self._certificate_item(certificate, version, full=True)
                for version in certificate.versions.values()
            ],
        )

    async def _get_policy(self, request: web.Request) -> object:
        return self._policy_json(self.certificates.get(request.match_info["name"]))

    async def _update_policy(self, request: web.Request) -> object:
        certificate = self.certificates.get(request.match_info["name"])
        certificate.policy = changed_policy(certificate.policy, _json(request))
        certificate.policy_updated = self._now()
        return self._policy_json(certificate)

    async def _get_pending(self, request: web.Request) -> object:
        name = request.match_info["name"]
        return self._pending_json(name, self._pending(name))

    async def _cancel_pending(self, request: web.Request) -> object:
        name, body = request.match_info["name"], _json(request)
        pending = self._pending(name)
        if body.get("cancellation_requested") is not True:
            raise invalid_property("cancellation_requested")
        if not pending.completed:
            pending.cancelled = True
        return self._pending_json(name, pending)

    async def _delete_pending(self, request: web.Request) -> object:
        name = request.match_info["name"]
        pending = self._pending(name)
        certificate = self.certificates.get(name)
        certificate.pending = None
        if not certificate.versions:
            del self.certificates.active[name]
        return self._pending_json(name, pending)

    async def _merge(self, request: web.Request) -> object:
        name, body = request.match_info["name"], _json(request)
        pending = self._pending(name)
        if pending.completed or pending.cancelled:
            raise pending_not_found(name)
        try:
            chain = [base64.b64decode(entry, validate=True) for entry in body["x5c"]]
        except (KeyError, TypeError, ValueError) as error:
            raise invalid_property("x5c") from error
        material = vault_certificates.merged(pending.key, chain)
        certificate = self.certificates.get(name)
        version = self._issue(certificate, pending, material)
        return 201, self._certificate_json(certificate, version)

    async def _delete_certificate(self, request: web.Request) -> object:
        name = request.match_info["name"]
        self._settled(name)
        return self._deleted_certificate_json(self.certificates.delete(name))

    async def _list_deleted_certificates(self, request: web.Request) -> object:
        finished = self.certificates.finished_deletions()
        return self._page(request, [self._deleted_certificate_json(entry) for entry in finished])

    async def _get_deleted_certificate(self, request: web.Request) -> object:
        deletion = self.certificates.get_deleted(request.match_info["name"])
        return self._deleted_certificate_json(deletion)

    async def _recover_certificate(self, request: web.Request) -> object:
        certificate = self.certificates.recover(request.match_info["name"])
        if certificate.newest is None:
            return {"id": f"{self.url}/certificates/{certificate.name}"}
        return self._certificate_json(certificate, certificate.newest)

    async def _purge_certificate(self, request: web.Request) -> None:
        self.certificates.purge(request.match_info["name"])

    def _check_certificate_name(self, name: str) -> None:
        """The name must be free, and nothing of that name in the making."""
        self.certificates.check_free(name)
        self.secrets.check_free(name)
        if name in self.secrets.active:
            raise name_taken("secret", name)
        if name in self.certificates.active:
            pending = self._settled(name).pending
            if pending is not None and not pending.completed and not pending.cancelled:
                raise pending_exists()

    def _settled(self, name: str) -> Certificate:
        """The certificate, after what was due in its making has been done."""
        certificate = self.certificates.get(name)
        pending = certificate.pending
        if (
            pending is not None
            and pending.ready_at is not None
            and pending.ready_at <= self.simulators.clock.now()
            and not pending.completed
            and not pending.cancelled
        ):
            now = self.simulators.clock.now()
            material = vault_certificates.self_signed(pending.key, pending.policy, now)
            self._issue(certificate, pending, material)
        return certificate

    def _completed(self, name: str) -> Certificate | None:
        """The certificate of that name if it has a version, hence a secret."""
        if name not in self.certificates.active:
            return None
        certificate = self._settled(name)
        return certificate if certificate.versions else None

    def _issue(
        self,
        certificate: Certificate,
        pending: PendingCertificate,
        material: vault_certificates.KeyAndChain,
    ) -> CertificateVersion:
        now = self._now()
        version = CertificateVersion(
            new_version(), material, pending.policy, now, now, pending.enabled, pending.tags
        )
        certificate.versions[version.id] = version
        pending.completed = True
        return version

    def _pending(self, name: str) -> PendingCertificate:
        if name not in self.certificates.active:
            raise pending_not_found(name)
        pending = self._settled(name).pending
        if pending is None:
            raise pending_not_found(name)
        return pending

    def _certificate_version(
        self, certificate: Certificate, wanted: str, kind: Any
    ) -> CertificateVersion:
        version = certificate.versions.get(wanted) if wanted else certificate.newest
        if version is None:
            name = certificate.name
            raise not_found(kind, f"{name}/{wanted}" if wanted else name)
        return version

    def _certificate_attributes(self, version: CertificateVersion) -> dict[str, Any]:
        leaf = version.material.leaf
        return {
            "enabled": version.enabled,
            "nbf": seconds(leaf.not_valid_before_utc),
            "exp": seconds(leaf.not_valid_after_utc),
            "created": version.created,
            "updated": version.updated,
            **self._recovery(),
        }

    def _certificate_item(
        self, certificate: Certificate, version: CertificateVersion, *, full: bool
    ) -> dict[str, Any]:
        thumbprint = version.material.leaf.fingerprint(hashes.SHA1())  # noqa: S303 - x5t is SHA-1
        suffix = f"/{version.id}" if full else ""
        return {
            "id": f"{self.url}/certificates/{certificate.name}{suffix}",
            "x5t": base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode(),
            "attributes": self._certificate_attributes(version),
            "tags": dict(version.tags),
        }

    def _certificate_json(
        self, certificate: Certificate, version: CertificateVersion
    ) -> dict[str, Any]:
        name = certificate.name
        der = version.material.leaf.public_bytes(serialization.Encoding.DER)
        shown = self._certificate_item(certificate, version, full=True) | {
            "kid": f"{self.url}/keys/{name}/{version.id}",
            "sid": f"{self.url}/secrets/{name}/{version.id}",
            "cer": base64.b64encode(der).decode(),
            "contentType": version.policy.content_type,
            "policy": self._policy_json(certificate),
        }
        if certificate.pending is not None:
            shown["pending"] = {"id": f"{self.url}/certificates/{name}/pending"}
        return shown

    def _policy_json(self, certificate: Certificate) -> dict[str, Any]:
        return certificate.policy.as_json(
            f"{self.url}/certificates/{certificate.name}/policy",
            certificate.policy_created,
            certificate.policy_updated,
        )

    def _pending_json(self, name: str, pending: PendingCertificate) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "id": f"{self.url}/certificates/{name}/pending",
            "issuer": {"name": pending.policy.issuer},
            "csr": base64.b64encode(pending.request).decode(),
            "cancellation_requested": pending.cancelled,
            "request_id": pending.request_id,
        }
        if pending.completed:
            return shown | {"status": "completed", "target": f"{self.url}/certificates/{name}"}
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

    def _deleted_certificate_json(self, deletion: Deletion[Certificate]) -> dict[str, Any]:
        certificate = deletion.subject
        shown = (
            self._certificate_json(certificate, certificate.newest)
            if certificate.newest is not None
            else {"id": f"{self.url}/certificates/{certificate.name}"}
        )
        return shown | deletion.as_json(f"{self.url}/deletedcertificates/{certificate.name}")

    # ------------------------------------------------------------------ shared

    def _now(self) -> int:
        return seconds(self.simulators.clock.now())

    def _recovery(self) -> dict[str, Any]:
        level = "Recoverable" if self.purge_protection else "Recoverable+Purgeable"
        return {"recoveryLevel": level, "recoverableDays": RETENTION_DAYS}

    def _page(self, request: web.Request, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """One page of a list, with the link to the next."""
        try:
            size = int(request.query.get("maxresults", MAX_PAGE))
            start = int(request.query.get("$skiptoken", 0))
        except ValueError as error:
            raise bad_parameter("maxresults is not a number") from error
        if not 1 <= size <= MAX_PAGE:
            raise bad_parameter(f"Argument maxResults is not within the range of 1-{MAX_PAGE}")
        following = start + size
        link = None
        if following < len(entries):
            link = (
                f"{self.url}{request.path}?api-version={request.query['api-version']}"
                f"&$skiptoken={following}&maxresults={size}"
            )
        return {"value": entries[start:following], "nextLink": link}


def _json(request: web.Request) -> Mapping[str, Any]:
    """The request's body, which must be a JSON object."""
    try:
        body = json.loads(body_of(request))
    except ValueError as error:
        raise bad_parameter("The request body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise bad_parameter("The request body is not a JSON object.")
    return body


def _tags(body: Mapping[str, Any]) -> dict[str, str]:
    tags = body.get("tags") or {}
    if (
        not isinstance(tags, dict)
        or len(tags) > MAX_TAGS
        or not all(
            isinstance(value, str) and len(value) <= 256 and len(name) <= 256
            for name, value in tags.items()
        )
    ):
        raise invalid_property("tags")
    return dict(tags)


def _enabled(body: Mapping[str, Any], default: bool = True) -> bool:
    attributes = body.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise invalid_property("attributes")
    value = attributes.get("enabled")
    if value is None:
        return default
    if not isinstance(value, bool):
        raise invalid_property("attributes.enabled")
    return value


def _apply_attributes(version: SecretVersion, body: Mapping[str, Any]) -> None:
    """Put `enabled`, `nbf` and `exp` of the body on a secret's version, where given."""
    version.enabled = _enabled(body, version.enabled)
    attributes = body.get("attributes") or {}
    for name in ("nbf", "exp"):
        value = attributes.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise invalid_property(f"attributes.{name}")
    version.not_before = attributes.get("nbf", version.not_before)
    version.expires = attributes.get("exp", version.expires)
    if (
        version.not_before is not None
        and version.expires is not None
        and version.expires <= version.not_before
    ):
        raise invalid_property("attributes.exp")
