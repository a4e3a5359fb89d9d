"""Certificates in Key Vault: found, made, and read with their key.

The vault makes the key, keeps it, and hands it out only through the secret behind the certificate;
what travels between steps is a reference (name, version, thumbprint). Key Vault counts validity in
whole calendar months; where a tenant's policy allows less than one month, the key is made here, in
memory, and imported at once.

What carries our mark (tags) is ours; a certificate of the same name without it is never touched. A
soft-deleted one of ours is recovered, never purged: its name would else be blocked for as long as
the vault keeps it. Old versions stay: Entra ID may know them still.

Renewal by the vault itself is switched off: a version that Entra ID does not know cannot sign in,
so a new one is made only together with the rest of the chain.

A certificate that is the administrator's own may be in another vault of the same cloud
(`Vault.at`), where it is read and nothing else. A reference says which vault it means.

Deleting, disabling and taking in certificates is in `shared.vault.lifecycle`.
"""

from __future__ import annotations

import asyncio
import base64
import calendar
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from shared.azure_failures import AzureService, asking, request_id_of
from shared.azure_transport import client_options
from shared.certificates import Bundle, make_bundle, pem_of_pfx
from shared.config import LONGEST_CERTIFICATE_DAYS, Settings
from shared.errors import NotYet, Refused
from shared.models import MARK_LABEL, CertificateReference

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.exceptions import HttpResponseError
    from azure.keyvault.certificates import CertificatePolicy, KeyVaultCertificate
    from azure.keyvault.certificates.aio import CertificateClient
    from azure.keyvault.secrets.aio import SecretClient

TENANT_TAG = "tenant"
PKCS12 = "application/x-pkcs12"
CLIENT_AUTHENTICATION = "1.3.6.1.5.5.7.3.2"
LONGEST_NAME = 127
PATIENCE_SECONDS = 30.0
"""How long one call waits for the vault to finish making or recovering a certificate."""

_DISABLED = re.compile(r"SecretDisabled|disabled secret", re.IGNORECASE)


@dataclass(frozen=True)
class StoredCertificate:
    """The current version of a certificate; ``marked`` says whether it is ours."""

    reference: CertificateReference
    marked: bool
    enabled: bool


def certificate_name(application_name: str, tenant_id: str) -> str:
    """The name of a tenant's certificate: legal in Key Vault, one for each pair.

    Key Vault takes 1 to 127 of ``0-9 a-z A-Z -`` and ignores case. An application name that is not
    such a word, in lower case, becomes ``app-…-<hash>``, so that two names never share a
    certificate.
    """
    word = re.sub(r"[^0-9a-z]+", "-", application_name.lower()).strip("-")
    room = LONGEST_NAME - len(tenant_id) - 1
    plain = word == application_name and word[0].isalpha() and not word.startswith("app-")
    if not plain or len(word) > room:
        digest = hashlib.sha256(application_name.encode()).hexdigest()[:8]
        word = "-".join(filter(None, ("app", word[: room - 13].strip("-"), digest)))
    return f"{word}-{tenant_id}"


def is_own(
    reference: CertificateReference, vault_url: str, application_name: str, tenant_id: str
) -> bool:
    """Whether it is the administrator's own: in another vault than ours (``vault_url``), or with a
    name that we do not give."""
    ours = reference.vault.lower() == vault_url.lower()
    return not ours or reference.name.lower() != certificate_name(application_name, tenant_id)


def whole_months(days: int, start: datetime) -> int:
    """How many calendar months, counted from ``start``, fit into ``days``."""
    end = start + timedelta(days=days)
    months = (end.year - start.year) * 12 + end.month - start.month
    return months if _months_later(start, months) <= end else months - 1


class Vault:
    """A vault, as ``credential``: the one that the settings name, or at ``url`` another one, of
    which only the administrators' own certificates are read."""

    def __init__(
        self, settings: Settings, credential: AsyncTokenCredential, *, url: str | None = None
    ) -> None:
        self._settings = settings
        self._credential = credential
        self._url = settings.key_vault_url if url is None else url
        self._others: dict[str, Vault] = {}
        reads = "Key Vault Certificate User"  # reads certificates with their keys
        officer, secrets = "Key Vault Certificates Officer", "Key Vault Secrets User"
        self._certificates_service = self._service(officer if url is None else reads)
        self._secrets_service = self._service(secrets if url is None else reads)

    def at(self, url: str | None) -> Vault:
        """The vault at this address; None means this one. Close this one, and it is closed too.

        Raises:
            Refused: ``vault_unknown``: not a vault of this cloud; no token is sent there.
        """
        if url is None or url.lower().rstrip("/") == self._url.lower():
            return self
        known = self._settings.cloud.vault_url(url)
        if known is None:
            raise Refused(
                "vault_unknown",
                f"{url} is not the address of a Key Vault in the cloud {self._settings.cloud.name}",
                remediation='Correct "certificate" or CLOUD, and onboard the tenant again.',
            )
        if known not in self._others:
            self._others[known] = Vault(self._settings, self._credential, url=known)
        return self._others[known]

    async def read(self, name: str) -> StoredCertificate | None:
        """The current version of a certificate; None when the vault has none of that name.

        Raises:
            NotYet: ``vault_unreachable``, ``vault_busy``.
            Refused: ``vault_forbidden`` and others; never "none" instead.
        """
        from azure.core.exceptions import ResourceNotFoundError

        with asking(self._certificates_service, f"read certificate {name}"):
            try:
                certificate = await self._certificates.get_certificate(name)
            except ResourceNotFoundError:
                return None
        return self._stored(certificate)

    async def issue(self, name: str, *, days: int, tenant_id: str) -> CertificateReference:
        """A new version of certificate ``name`` that lives ``days`` days at most.

        RSA 2048, self-signed, exportable, PEM, tagged as ours and with the tenant's id. However
        many days are asked for, it is never more than `LONGEST_CERTIFICATE_DAYS`.

        Raises:
            NotYet: ``vault_certificate_pending`` while the vault is still at work, and as `read`.
            OutcomeUnknown: ``vault_no_answer``; `read` tells whether a version was made.
            Refused: ``vault_name_taken`` when the name is held by something without our mark,
                ``certificate_life_too_short``, ``vault_issuance_failed``, and as `read`.
        """
        if days < 1:
            raise Refused(
                "certificate_life_too_short",
                "no certificate can be made that lives less than a day",
                remediation="Ask the tenant's administrator for a policy that allows some days.",
                tenant_id=tenant_id,
            )
        days = min(days, LONGEST_CERTIFICATE_DAYS)
        stored = await self.read(name)
        if stored is None:
            await self._recover(name, tenant_id)
        elif not stored.marked:
            raise _taken(f"certificate {name}", tenant_id)
        now = datetime.now(UTC)
        months = whole_months(days, now)
        tags = {MARK_LABEL[0]: MARK_LABEL[1], TENANT_TAG: tenant_id}
        if months >= 1:
            certificate = await self._create(name, months, tags, tenant_id)
        else:
            bundle = await asyncio.to_thread(make_bundle, name, days, now)
            certificate = await self._import(name, bundle, tags, tenant_id)
        return self._stored(certificate).reference

    async def take_in(self, name: str, bundle: Bundle, *, tenant_id: str) -> CertificateReference:
        """A new version of certificate ``name`` from a key pair that was checked already.

        It is tagged as ours and with the tenant's id. Raises as `issue`.
        """
        stored = await self.read(name)
        if stored is None:
            await self._recover(name, tenant_id)
        elif not stored.marked:
            raise _taken(f"certificate {name}", tenant_id)
        tags = {MARK_LABEL[0]: MARK_LABEL[1], TENANT_TAG: tenant_id}
        return self._stored(await self._import(name, bundle, tags, tenant_id)).reference

    async def pem(self, reference: CertificateReference) -> str:
        """Key and certificates of one version, PEM, from the vault that the reference names. Check
        it with `shared.certificates`.

        Raises:
            Refused: ``vault_certificate_missing``, ``vault_disabled``, and as `read` and `at`.
            Unusable: the vault holds a PKCS#12 file without key or certificate.
        """
        holder = self.at(reference.vault)
        secret = await holder._secret(
            reference.name, reference.version, "vault_certificate_missing", "key of certificate"
        )
        value, content_type = secret
        if content_type == PKCS12:
            return pem_of_pfx(base64.b64decode(value))
        return value

    async def secret(self, name: str) -> str:
        """The value of a secret, or key and certificates behind a certificate.

        Raises:
            Refused: ``vault_secret_missing``, ``vault_disabled``, and as `read`.
        """
        value, content_type = await self._secret(name, None, "vault_secret_missing", "secret")
        return pem_of_pfx(base64.b64decode(value)) if content_type == PKCS12 else value

    async def reachable(self) -> None:
        """Ask for something small; returns when the vault answers us, raises as `read`."""
        with asking(self._certificates_service, "list certificates"):
            pages = self._certificates.list_properties_of_certificates(max_page_size=1).by_page()
            await anext(pages, None)

    @property
    def url(self) -> str:
        """The vault's address, without a slash at the end."""
        return self._url

    @property
    def certificates(self) -> CertificateClient:
        """The client of certificates, for `shared.vault.lifecycle`; wrap its calls in `asking`."""
        return self._certificates

    @property
    def certificates_service(self) -> AzureService:
        """How failures of `certificates` are told."""
        return self._certificates_service

    async def aclose(self) -> None:
        """Close the connections."""
        for other in self._others.values():
            await other.aclose()
        self._others.clear()
        for name in ("_certificates", "_secrets"):
            if name in self.__dict__:
                await self.__dict__.pop(name).close()

    # --- the vault's own conversations -----------------------------------------------------------

    async def _recover(self, name: str, tenant_id: str) -> None:
        """Bring back a soft-deleted certificate of ours; the name cannot be used otherwise."""
        from azure.core.exceptions import ResourceNotFoundError

        with asking(self._certificates_service, f"look for a deleted certificate {name}"):
            try:
                deleted = await self._certificates.get_deleted_certificate(name)
            except ResourceNotFoundError:
                return
        if not _marked(deleted):
            raise _taken(f"deleted certificate {name}", tenant_id)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                with asking(self._certificates_service, f"recover certificate {name}"):
                    await self._certificates.recover_deleted_certificate(name)
        except TimeoutError as error:
            raise _pending(name, "recovered", tenant_id) from error

    async def _create(
        self, name: str, months: int, tags: dict[str, str], tenant_id: str
    ) -> KeyVaultCertificate:
        from azure.core.exceptions import HttpResponseError
        from azure.keyvault.certificates import KeyVaultCertificate

        what = f"make certificate {name}"
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                with asking(self._certificates_service, what, repeatable=False):
                    try:
                        made = await self._certificates.create_certificate(
                            name, policy=_policy(name, months), tags=tags
                        )
                    except HttpResponseError as error:
                        _raise_conflict(error, name, tenant_id)
                        raise
        except TimeoutError as error:
            raise _pending(name, "made", tenant_id) from error
        if not isinstance(made, KeyVaultCertificate):
            reason = made.error.code if made.error else made.status
            raise Refused(
                "vault_issuance_failed",
                f"Key Vault did not make certificate {name}: {reason}",
                remediation="See the pending operation of the certificate in the Azure portal.",
                tenant_id=tenant_id,
                request_id=made.request_id,
            )
        return made

    async def _import(
        self, name: str, bundle: Bundle, tags: dict[str, str], tenant_id: str
    ) -> KeyVaultCertificate:
        from azure.core.exceptions import HttpResponseError

        with asking(self._certificates_service, f"import certificate {name}", repeatable=False):
            try:
                return await self._certificates.import_certificate(
                    name, bundle.pem().encode("ascii"), policy=_policy(name, None), tags=tags
                )
            except HttpResponseError as error:
                _raise_conflict(error, name, tenant_id)
                raise

    async def _secret(
        self, name: str, version: str | None, missing: str, kind: str
    ) -> tuple[str, str | None]:
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        with asking(self._secrets_service, f"read the {kind} {name}"):
            try:
                secret = await self._secrets.get_secret(name, version)
            except ResourceNotFoundError as error:
                raise Refused(
                    missing,
                    f"the vault has no {kind} {name}" + (f", version {version}" if version else ""),
                    remediation=f"Put it into {self._url}, or recover it if it was deleted.",
                    request_id=request_id_of(error),
                ) from error
            except HttpResponseError as error:
                # Not any "disabled": a firewall's refusal says that public access is.
                if error.status_code == 403 and _DISABLED.search(error.message or ""):
                    raise Refused(
                        "vault_disabled",
                        f"the {kind} {name} is disabled in the vault",
                        remediation="Enable it, if it shall be used.",
                        request_id=request_id_of(error),
                    ) from error
                raise
        return secret.value or "", secret.properties.content_type

    def _stored(self, certificate: KeyVaultCertificate) -> StoredCertificate:
        properties = certificate.properties
        if not properties or not (
            properties.x509_thumbprint and properties.not_before and properties.expires_on
        ):
            raise _pending(certificate.name or "", "made", None)
        return StoredCertificate(
            reference=CertificateReference(
                vault=self._url,
                name=properties.name or "",
                version=properties.version or "",
                thumbprint=bytes(properties.x509_thumbprint).hex().upper(),
                not_before=properties.not_before,
                not_after=properties.expires_on,
            ),
            marked=_marked(certificate),
            enabled=bool(properties.enabled),
        )

    def _service(self, role: str) -> AzureService:
        return AzureService("vault", f"the vault {self._url}", role)

    @cached_property
    def _certificates(self) -> CertificateClient:
        # The SDK is imported when the first certificate is asked for: a matter of cold start.
        from azure.keyvault.certificates.aio import CertificateClient

        return CertificateClient(
            self._url,
            self._credential,
            # A vault of a cloud that is not published is not under the audience's domain.
            verify_challenge_resource=self._settings.cloud.published,
            **client_options(self._settings),
        )

    @cached_property
    def _secrets(self) -> SecretClient:
        # As above.
        from azure.keyvault.secrets.aio import SecretClient

        return SecretClient(
            self._url,
            self._credential,
            verify_challenge_resource=self._settings.cloud.published,
            **client_options(self._settings),
        )


def _policy(name: str, months: int | None) -> CertificatePolicy:
    """How a certificate is made; without ``months``, how an imported one is kept."""
    from azure.keyvault.certificates import (
        CertificateContentType,
        CertificatePolicy,
        CertificatePolicyAction,
        KeyType,
        LifetimeAction,
        WellKnownIssuerNames,
    )

    if months is None:
        return CertificatePolicy(
            issuer_name=WellKnownIssuerNames.unknown,
            exportable=True,
            key_type=KeyType.rsa,
            key_size=2048,
            reuse_key=False,
            content_type=CertificateContentType.pem,
        )
    return CertificatePolicy(
        issuer_name=WellKnownIssuerNames.self,
        subject=f"CN={name[:64]}",
        exportable=True,
        key_type=KeyType.rsa,
        key_size=2048,
        reuse_key=False,
        content_type=CertificateContentType.pem,
        key_usage=["digitalSignature"],
        enhanced_key_usage=[CLIENT_AUTHENTICATION],
        validity_in_months=months,
        # Anything but the default, which would renew the certificate behind our back.
        lifetime_actions=[
            LifetimeAction(CertificatePolicyAction.email_contacts, lifetime_percentage=80)
        ],
    )


def _marked(certificate: KeyVaultCertificate) -> bool:
    tags = certificate.properties.tags if certificate.properties else None
    return (tags or {}).get(MARK_LABEL[0]) == MARK_LABEL[1]


def _raise_conflict(error: HttpResponseError, name: str, tenant_id: str) -> None:
    """Say what a 409 means; returns for other answers."""
    if error.status_code != 409:
        return
    message = (error.message or "").lower()
    if "pending" in message or "being deleted" in message or "being recovered" in message:
        raise _pending(name, "made, deleted or recovered", tenant_id) from error
    raise _taken(f"something called {name}", tenant_id) from error


def _pending(name: str, deed: str, tenant_id: str | None) -> NotYet:
    return NotYet(
        "vault_certificate_pending",
        f"certificate {name} is still being {deed}",
        remediation="Send the request again; see the certificate in the Azure portal.",
        tenant_id=tenant_id,
    )


def _taken(what: str, tenant_id: str) -> Refused:
    return Refused(
        "vault_name_taken",
        f"the vault holds a {what} that does not carry our mark",
        remediation=(
            f"Rename or remove it (purge it, if it is deleted), or tag it"
            f" {MARK_LABEL[0]}={MARK_LABEL[1]} if it shall be taken over."
        ),
        tenant_id=tenant_id,
    )


def _months_later(start: datetime, months: int) -> datetime:
    """The same day ``months`` calendar months later, or the last day of that month."""
    years, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + years, month + 1
    return start.replace(
        year=year, month=month, day=min(start.day, calendar.monthrange(year, month)[1])
    )
