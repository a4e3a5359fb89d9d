"""Who we are in a tenant.

Four kinds, chosen by the setting ``IDENTITY``:

* ``managed-identity``: the function app's own identity. It exists in our own tenant only.
* ``federated``: a multi-tenant application of ours. Its proof is a token of the managed identity,
  so there is no secret anywhere.
* ``certificate``: the same application, with a certificate from our vault.
* ``azure-cli``: the developer who ran ``az login``.

Credentials are made at first use, kept for the life of the process, and turn every failure of
azure-identity into the family of `shared.errors`; clients that are given one never see an SDK's
exception for a sign-in. All of them share one session (left to itself, azure-identity reads the
authorities anew for every token, and opens connections for each tenant) and, where the managed
identity vouches for us, its one token: the identity endpoint serves few requests a second.

The other side of the coin, the application that we make in a tenant, signs in through
`shared.entra.sign_in`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from shared.azure_transport import open_session
from shared.config import IdentityKind, Settings
from shared.entra.sign_in_errors import RELOADS_CERTIFICATE, classify, codes_of
from shared.errors import Refused, Unusable

if TYPE_CHECKING:
    import aiohttp
    from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions
    from azure.core.credentials_async import AsyncTokenCredential

CertificateSource = Callable[[], Awaitable[str]]
"""Reads the PEM (key and certificate) of the onboarding application."""

_RETRIES = {"retry_total": 2, "retry_backoff_factor": 0.2}
"""For azure-identity's own pipeline; longer waits are durable timers."""


class Identity:
    """Our credentials, one for each tenant. ``certificate`` is needed by that kind only."""

    def __init__(self, settings: Settings, *, certificate: CertificateSource | None = None) -> None:
        self._settings = settings
        self._certificate = certificate
        self._credentials: dict[str | None, OurCredential] = {}
        self._session: aiohttp.ClientSession | None = None

    def credential_for(self, tenant_id: str) -> OurCredential:
        """Who we are in ``tenant_id``; the same object each time.

        Raises:
            Refused: ``identity_own_tenant_only`` for a managed identity in another tenant.
        """
        if tenant_id not in self._credentials:
            self._credentials[tenant_id] = self._made_for(tenant_id)
        return self._credentials[tenant_id]

    def own_credential(self) -> OurCredential:
        """Who we are towards our own resources: vault, tables, events."""
        if None not in self._credentials:
            home = self._settings.home_tenant_id
            cli = self._settings.identity is IdentityKind.AZURE_CLI
            self._credentials[None] = OurCredential(
                self._azure_cli(home) if cli else self._managed_identity,
                tenant_id=home,
                what="the developer's Azure CLI sign-in" if cli else "the managed identity",
            )
        return self._credentials[None]

    async def forget(self, tenant_id: str) -> None:
        """Drop the tokens for a tenant, so that the next one shows permissions given meanwhile."""
        credential = self._credentials.get(tenant_id)
        if credential is not None:
            await credential.renew()

    async def aclose(self) -> None:
        """Close all credentials."""
        credentials = list(self._credentials.values())
        self._credentials.clear()
        for credential in credentials:
            await credential.close()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _made_for(self, tenant_id: str) -> OurCredential:
        kind = self._settings.identity
        if kind is IdentityKind.AZURE_CLI:
            return OurCredential(
                self._azure_cli(tenant_id),
                tenant_id=tenant_id,
                what="the developer's Azure CLI sign-in",
            )
        if kind is IdentityKind.MANAGED_IDENTITY:
            if tenant_id != self._settings.home_tenant_id:
                raise Refused(
                    "identity_own_tenant_only",
                    f"a managed identity cannot act in tenant {tenant_id}, only in its own"
                    f" ({self._settings.home_tenant_id})",
                    remediation="For tenants of customers, set IDENTITY to `federated` and"
                    " ONBOARDING_CLIENT_ID to a multi-tenant application.",
                    tenant_id=tenant_id,
                )
            return OurCredential(
                self._managed_identity, tenant_id=tenant_id, what="the managed identity"
            )
        what = f"the onboarding application {self._settings.onboarding_client_id}"
        if kind is IdentityKind.FEDERATED:
            return OurCredential(self._federated(tenant_id), tenant_id=tenant_id, what=what)
        return OurCredential(self._with_certificate(tenant_id), tenant_id=tenant_id, what=what)

    # --- how each kind is made; azure-identity and cryptography are loaded here, for cold starts --

    async def _managed_identity(self) -> AsyncTokenCredential:
        from azure.identity.aio import ManagedIdentityCredential

        return ManagedIdentityCredential(client_id=self._settings.managed_identity_client_id)

    def _azure_cli(self, tenant_id: str | None) -> Build:
        async def build() -> AsyncTokenCredential:
            from azure.identity.aio import AzureCliCredential

            return AzureCliCredential(tenant_id=tenant_id or "")

        return build

    def _federated(self, tenant_id: str) -> Build:
        async def build() -> AsyncTokenCredential:
            return _FederatedCredential(
                tenant_id,
                self._settings.onboarding_client_id or "",
                self.own_credential(),
                audience=self._settings.cloud.federation_audience,
                **self._authority_options(),
            )

        return build

    def _with_certificate(self, tenant_id: str) -> Build:
        async def build() -> AsyncTokenCredential:
            if self._certificate is None:
                raise Refused(
                    "identity_certificate_unreadable",
                    "IDENTITY is `certificate`, and there is nothing to read the certificate with",
                    remediation="Set ONBOARDING_CERTIFICATE to a certificate in the vault.",
                    tenant_id=tenant_id,
                )
            return certificate_credential(
                tenant_id,
                self._settings.onboarding_client_id or "",
                await self._certificate(),
                self._authority_options(),
            )

        return build

    def _authority_options(self) -> dict[str, Any]:
        """As `authority_options`, over the shared session."""
        if self._session is None:
            self._session = open_session(self._settings)
        return authority_options(self._settings, self._session)


Build = Callable[[], "Awaitable[AsyncTokenCredential]"]


class OurCredential:
    """A credential that is made at first use and whose failures belong to our family.

    It has the interface of azure-core's asynchronous token credentials.
    """

    def __init__(self, build: Build, *, tenant_id: str | None, what: str) -> None:
        self._build = build
        self._tenant_id = tenant_id
        self._what = what
        self._credential: AsyncTokenCredential | None = None
        self._building = asyncio.Lock()

    async def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **kwargs: Any,
    ) -> AccessToken:
        """A token; see azure-core's ``AsyncTokenCredential``. ``tenant_id`` is not followed."""
        from azure.core.credentials import AccessToken

        token = await self._token(scopes, claims)
        return AccessToken(token.token, token.expires_on)

    async def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        """A token; see azure-core's ``AsyncSupportsTokenInfo``."""
        return await self._token(scopes, (options or {}).get("claims"))

    async def renew(self) -> None:
        """Forget all tokens."""
        credential, self._credential = self._credential, None
        if credential is not None:
            await credential.close()

    async def close(self) -> None:
        """Close the connections; the credential may still be used and then opens new ones."""
        await self.renew()

    async def __aenter__(self) -> OurCredential:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        # Shared between clients, whichever of them ends first; `Identity.aclose` closes it.
        return None

    async def _token(self, scopes: tuple[str, ...], claims: str | None) -> AccessTokenInfo:
        from azure.core.exceptions import AzureError

        async with self._building:
            if self._credential is None:
                self._credential = await self._build()
        credential: Any = self._credential
        try:
            token: AccessTokenInfo = await credential.get_token_info(
                *scopes, options={"claims": claims} if claims else {}
            )
        except AzureError as error:
            if RELOADS_CERTIFICATE.intersection(codes_of(error)):
                await self.renew()
            raise classify(
                error, tenant_id=self._tenant_id, what=f"{self._what}, for {' '.join(scopes)}"
            ) from error
        return token


class _FederatedCredential:
    """A client assertion credential whose assertion is a token of the managed identity.

    azure-identity asks for the assertion synchronously, so it is fetched just before; the managed
    identity, which vouches for us in every tenant and is not ours to close, caches it.
    """

    def __init__(
        self,
        tenant_id: str,
        client_id: str,
        managed_identity: OurCredential,
        *,
        audience: str,
        **options: Any,
    ) -> None:
        from azure.identity.aio import ClientAssertionCredential

        self._managed_identity = managed_identity
        self._scope = f"{audience}/.default"
        self._assertion = ""
        self._inner = ClientAssertionCredential(
            tenant_id, client_id, lambda: self._assertion, **options
        )

    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """A token of the application."""
        await self._prove()
        return await self._inner.get_token(*scopes, **kwargs)

    async def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        """A token of the application."""
        await self._prove()
        return await self._inner.get_token_info(*scopes, options=options)

    async def close(self) -> None:
        """Forget the tokens."""
        await self._inner.close()

    async def __aenter__(self) -> _FederatedCredential:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self.close()

    async def _prove(self) -> None:
        self._assertion = (await self._managed_identity.get_token_info(self._scope)).token


def authority_options(settings: Settings, session: aiohttp.ClientSession) -> dict[str, Any]:
    """What every azure-identity credential that signs in at the cloud's login host is given.

    It goes over ``session``, whose trust counts, and leaves it open.
    """
    # Comes with azure-identity; a start that signs in nowhere shall not pay for it.
    from azure.core.pipeline.transport import AioHttpTransport

    return {
        "authority": settings.cloud.login,
        # A cloud that Microsoft does not list cannot be looked up at Microsoft.
        "disable_instance_discovery": not settings.cloud.published,
        "transport": AioHttpTransport(session=session, session_owner=False),
        **_RETRIES,
    }


def certificate_credential(
    tenant_id: str,
    client_id: str,
    pem: str,
    options: Mapping[str, Any],
) -> AsyncTokenCredential:
    """A fresh credential (no cached token) of an application with a certificate.

    The assertion carries the leaf's thumbprint only, no chain (msal-dotnet#3909). ``options`` are
    those of `authority_options`.

    Raises:
        Unusable: ``certificate_unusable``; without the cause, which might show key material.
    """
    from azure.identity.aio import CertificateCredential

    try:
        return CertificateCredential(
            tenant_id,
            client_id,
            certificate_data=pem.encode(),
            send_certificate_chain=False,
            **options,
        )
    except (ValueError, TypeError):
        raise Unusable(
            "certificate_unusable",
            f"the certificate and key of application {client_id} cannot be used to sign in",
            remediation="Store an RSA key and its certificate in one PEM, without a password.",
            tenant_id=tenant_id,
        ) from None
