"""Key Vault, the data plane for secrets and certificates, as its own clients call it.

Challenge authentication (a first call without token gets 401 and is told where to ask), Azure RBAC,
names, versions, soft delete, paging, pending certificates and the secret behind each certificate.
Answers and refusals are those of the service; see `vault_errors`.

Switches for tests: `issuance_delay` and `deletion_delay` (seconds on the simulators' clock),
`purge_protection`, and `roles_of`, which maps a principal's object id to its Key Vault roles (or
the client id of the Azure CLI, for whichever developer uses it). The secret
`mondoo-service-account` is there from the start, with the account of the Mondoo simulator.

A vault may have certificate authorities as issuers (`add_issuer`). What administrators do in the
portal has short ways: `put_certificate`, `generate_certificate`. Their own vault is a second one
(`OtherVaultService`), into which nobody was let yet.

Left out: keys as objects of their own, backup and restore, calls that manage issuers and contacts,
renewal by lifetime action. A certificate in the making cannot be read before its first version is
there.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, ClassVar, Final

from aiohttp import web

from local.simulators import vault_certificates
from local.simulators.entra import AZURE_CLI, TokenRejected, bearer
from local.simulators.faults import Fault
from local.simulators.service import CallDescription, Service, request_id_of
from local.simulators.vault_calls import Contents, VaultCall
from local.simulators.vault_errors import (
    VaultError,
    bad_parameter,
    envelope,
    forbidden_by_rbac,
    unauthorized,
)
from local.simulators.vault_issuing import CertificateCalls, Issuing
from local.simulators.vault_objects import (
    Certificate,
    CertificateVersion,
    Secret,
    SecretVersion,
    Shelf,
)
from local.simulators.vault_policies import PEM, Policy
from local.simulators.vault_secrets import SecretCalls

if TYPE_CHECKING:
    from local.simulators import Simulators

AUDIENCE: Final = "https://vault.azure.net"
API_VERSIONS: Final = frozenset(
    {"7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01", "2026-04-01"}
)
SERVICE_ACCOUNT_SECRET: Final = "mondoo-service-account"
ORGANIZATION_ACCOUNT_SECRET = "mondoo-organization-account"
"""The account that may make spaces in the organization."""

SECRETS_OFFICER: Final = "Key Vault Secrets Officer"
SECRETS_USER: Final = "Key Vault Secrets User"
CERTIFICATES_OFFICER: Final = "Key Vault Certificates Officer"
CERTIFICATE_USER: Final = "Key Vault Certificate User"
READER: Final = "Key Vault Reader"

_ACTIONS: Final = {
    SECRETS_OFFICER: frozenset({"secrets/read", "secrets/value", "secrets/write"}),
    SECRETS_USER: frozenset({"secrets/read", "secrets/value"}),
    CERTIFICATES_OFFICER: frozenset({"certificates/read", "certificates/write"}),
    CERTIFICATE_USER: frozenset({"certificates/read", "secrets/read", "secrets/value"}),
    READER: frozenset({"secrets/read", "certificates/read"}),
}
_AZURE_ACTIONS: Final = {
    "secrets/read": "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
    "secrets/value": "Microsoft.KeyVault/vaults/secrets/getSecret/action",
    "secrets/write": "Microsoft.KeyVault/vaults/secrets/setSecret/action",
    "certificates/read": "Microsoft.KeyVault/vaults/certificates/read",
    "certificates/write": "Microsoft.KeyVault/vaults/certificates/create/action",
}


class VaultService(Service):
    """The vault of our own deployment."""

    name: ClassVar[str] = "vault"

    def __init__(self, simulators: Simulators) -> None:
        super().__init__(simulators)
        self._contents = Contents(simulators.clock, lambda: self.url)
        self._issuing = issuing = Issuing(self._contents)
        self._certificate_calls = CertificateCalls(self._contents, issuing)
        self._secret_calls = SecretCalls(self._contents, issuing)
        self.roles_of: dict[str, set[str]] = {
            principal: {SECRETS_OFFICER, CERTIFICATES_OFFICER}
            for principal in (simulators.world.managed_identity.id, AZURE_CLI)
        }
        self._seeded = False

    @property
    def secrets(self) -> Shelf[Secret]:
        """The secrets that are not behind a certificate."""
        return self._contents.secrets

    @property
    def certificates(self) -> Shelf[Certificate]:
        """The certificates."""
        return self._contents.certificates

    @property
    def issuance_delay(self) -> float:
        """Seconds, on the simulators' clock, until a new certificate is signed."""
        return self._contents.issuance_delay

    @issuance_delay.setter
    def issuance_delay(self, value: float) -> None:
        self._contents.issuance_delay = value

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
        return self._secret_calls.put(name, value, content_type)

    def draw_keys_from(self, keys: Sequence[vault_certificates.Key]) -> None:
        """Hand out these RSA 2048 keys in turn instead of making one for each certificate, which
        takes longer than all the rest. For tests that look at many certificates, never at keys."""
        turn = cycle(keys)

        def draw(policy: Policy) -> vault_certificates.Key:
            plain = policy.key_type == "RSA" and policy.size == 2048
            return next(turn) if plain else vault_certificates.new_key(policy)

        self._contents.make_key = draw

    def put_certificate(self, name: str, pem: str) -> CertificateVersion:
        """A new version of a certificate that an administrator imports."""
        material = vault_certificates.read_upload(pem, PEM, None)
        policy = vault_certificates.policy_of_upload(material, PEM)
        _, version = self._issuing.import_version(name, material, policy, enabled=True, tags={})
        return version

    def add_issuer(self, name: str) -> vault_certificates.IssuingAuthority:
        """A certificate authority that may be asked for certificates from now on."""
        authority = vault_certificates.new_authority(name, self.simulators.clock.now())
        self._contents.issuers[name] = authority
        return authority

    def generate_certificate(self, name: str, issuer: str) -> CertificateVersion:
        """A new version of a certificate that an administrator has an issuer make, at once."""
        policy = Policy(issuer=issuer, subject=f"CN={name}", content_type=PEM)
        key = self._contents.make_key(policy)
        pending = self._issuing.start(name, policy, key, enabled=True, tags={})
        pending.ready_at = self.simulators.clock.now()
        version = self._issuing.settled(name).newest
        assert version is not None  # it is ready
        return version

    def secret_values(self) -> list[str]:
        """Every value that the vault would hand out: what must be found nowhere else."""
        return self._secret_calls.values()

    def routes(self) -> list[web.RouteDef]:
        """Secrets, certificates, and what was deleted of both."""
        calls = [*self._secret_calls.calls(), *self._certificate_calls.calls()]
        return [web.route(call.method, call.path, self._handler(call)) for call in calls]

    def describe(self, request: web.Request) -> CallDescription:
        """The route's template without the slash of an empty version, and who calls."""
        call = super().describe(request)
        try:
            claims = self.simulators.entra.mint.read(bearer(request))
        except TokenRejected:
            claims = None
        return CallDescription(
            call.operation.rstrip("/"), caller=claims.app_id if claims else None, write=call.write
        )

    def fault_body(self, fault: Fault, request: web.Request) -> object:
        """Key Vault's envelope."""
        return envelope(fault.code, fault.message)

    def _handler(self, call: VaultCall) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Authentication, authorisation and the error envelope around a call."""

        async def handle(request: web.Request) -> web.Response:
            headers = {
                "x-ms-request-id": request_id_of(request),
                "x-ms-keyvault-region": "local",
                "Cache-Control": "no-cache",
            }
            try:
                self._authorise(request, call.action)
                _check_version(request)
                self._seed()
                answer = await call.handle(request)
            except VaultError as error:
                if error.status == 401:
                    headers["WWW-Authenticate"] = self._challenge()
                return web.json_response(error.body(), status=error.status, headers=headers)
            if answer is None:
                return web.Response(status=204, headers=headers)
            status, body = answer if isinstance(answer, tuple) else (200, answer)
            return web.json_response(body, status=status, headers=headers)

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
            raise unauthorized(f"AKV10022: Invalid token. {error.reason}") from error
        home = self.simulators.world.home.id
        if claims.tenant_id != home:
            raise unauthorized(
                f"AKV10032: Invalid issuer. Expected one of https://sts.windows.net/{home}/, found "
                f"https://sts.windows.net/{claims.tenant_id}/."
            )
        roles = {
            role
            for principal in (claims.object_id, claims.app_id)
            for role in self.roles_of.get(principal, ())
        }
        if not any(action in _ACTIONS[role] for role in roles):
            raise forbidden_by_rbac(
                f"appid={claims.app_id};oid={claims.object_id}",
                _AZURE_ACTIONS[action],
                request.path,
            )

    def _seed(self) -> None:
        """Put the Mondoo credentials there; they name an origin, so they wait for the start."""
        if self._seeded:
            return
        self._seeded = True
        mondoo = self.simulators.mondoo
        for name, account in (
            (SERVICE_ACCOUNT_SECRET, None),
            (ORGANIZATION_ACCOUNT_SECRET, mondoo.organization_account.mrn),
        ):
            if self.secrets.find(name) is None:
                credential = json.dumps(mondoo.service_account_json(account))
                self.put_secret(name, credential, "application/json")


class OtherVaultService(VaultService):
    """The administrators' own vault: nothing of ours is there, and our identity has no role."""

    name: ClassVar[str] = "other-vault"

    def __init__(self, simulators: Simulators) -> None:
        super().__init__(simulators)
        self.roles_of.clear()
        self._seeded = True


def _check_version(request: web.Request) -> None:
    version = request.query.get("api-version")
    if version is None:
        raise bad_parameter("api-version must be specified")
    if version not in API_VERSIONS:
        raise bad_parameter(f"The specified version ({version}) is not recognized.")
