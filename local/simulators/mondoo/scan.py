"""The scan of a Microsoft 365 tenant: with the credentials it was given, over the wire.

The scanner signs in at Entra with the integration's certificate, or with an assertion of the
platform's own issuer (keyless), and then asks Graph, Exchange Online and the SharePoint admin site
as any client would. What it meets becomes messages and a status, so that a green integration means
that the whole chain works:

    ERROR     nothing can be read, or a licensed service refuses
    WARNING   a service is not licensed, or one of the nine basic permissions is missing
    ACTIVE    else; permissions that only the newer list has are mentioned as INFO

Texts are those that the real scanner is known for. The certificate goes into the credential and
nowhere else: no message, no log, no journal.

The real scanner makes the address of the SharePoint admin site from the tenant's default domain
(an inference from its source; wrong where that domain has another first label). `site_domain`
chooses; the initial domain is what always works.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import httpx
import jwt
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity.aio import ClientAssertionCredential
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from local.simulators.mondoo import views
from local.simulators.mondoo.estate import Integration, Message
from local.simulators.mondoo.scanner_key import CertificateRefused, ScannerKey, read_certificate

if TYPE_CHECKING:
    from local.simulators import Simulators

AGENT = "mondoo-scanner/1.0"
FEDERATION_AUDIENCE = "api://AzureADTokenExchange"
COMPLIANCE = "https://ps.compliance.protection.outlook.com"
RETRIES = 2
"""How often the sign-in is repeated when Entra does not answer."""

TIMEOUT = 30.0
"""Seconds until the scanner gives up on one request."""

SiteDomain = Literal["initial", "default"]
_PERMISSIONS: dict[str, Any] = json.loads(
    files(__package__).joinpath("scanner_permissions.json").read_text(encoding="utf-8")
)
_INSUFFICIENT = "authentication failed: Insufficient privileges to complete the operation."


class ConnectionFailed(Exception):
    """The tenant cannot be scanned at all; the message is for the integration."""


class Report:
    """What a scan has to say; `connected` tells whether the tenant could be read at all, and
    `subscriptions` which of Azure's were, by id with their names."""

    def __init__(self) -> None:
        self.connected = False
        self.messages: list[Message] = []
        self.subscriptions: dict[str, str] = {}

    def count(self, status: str) -> int:
        """Number of messages of a status."""
        return sum(entry.status == status for entry in self.messages)

    @property
    def status(self) -> str:
        """The integration's status that follows."""
        if self.count("ERROR"):
            return "ERROR"
        return "WARNING" if self.count("WARNING") else "ACTIVE"


class Scan:
    """One scan: how it signs in. What it then reads is a matter of its kind."""

    def __init__(
        self,
        simulators: Simulators,
        integration: Integration,
        issuer_key: rsa.RSAPrivateKey,
        site_domain: SiteDomain,
    ) -> None:
        self._site_domain = site_domain
        self._clock = simulators.clock
        self._urls = dict(simulators.urls)
        self._ca_file = str(simulators.ca_file)
        self._integration = integration
        self._issuer_key = issuer_key
        self._report = Report()

    async def run(self) -> Report:
        """Scan, and report whatever happens."""
        try:
            context = ssl.create_default_context(cafile=self._ca_file)
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
                self._credential(session) as credential,
                httpx.AsyncClient(
                    verify=context, headers={"User-Agent": AGENT}, timeout=TIMEOUT
                ) as client,
            ):
                await self._scan(credential, client)
        except ConnectionFailed as error:
            self._say("ERROR", "connection", str(error))
        return self._report

    def _credential(self, session: aiohttp.ClientSession) -> ClientAssertionCredential:
        integration = self._integration
        common: dict[str, Any] = {
            "authority": self._urls["entra"],
            "disable_instance_discovery": True,
            "transport": AioHttpTransport(session=session, session_owner=False),
            "user_agent": AGENT,
            "retry_total": RETRIES,
        }
        try:
            sign = self._assertion
            if not integration.use_wif:
                sign = partial(self._own_assertion, read_certificate(integration.certificate or ""))
            return ClientAssertionCredential(
                integration.tenant_id, integration.client_id, sign, **common
            )
        except CertificateRefused as error:
            raise ConnectionFailed(str(error)) from error
        except ValueError as error:
            # azure-identity refuses a malformed tenant id with a sentence that holds no secret.
            raise ConnectionFailed("authentication failed: invalid tenant id") from error

    def _own_assertion(self, own: ScannerKey) -> str:
        """Signed with the integration's key, as the Go client signs; by wall time, as real clients
        live (see `local.simulators.clock`)."""
        integration, now = self._integration, self._clock.wall()
        digest = own.certificate.fingerprint(hashes.SHA256())
        token: str = jwt.encode(
            {
                "iss": integration.client_id,
                "sub": integration.client_id,
                "aud": f"{self._urls['entra']}/{integration.tenant_id}/oauth2/v2.0/token",
                "nbf": now,
                "exp": now + timedelta(minutes=10),
                "jti": uuid4().hex,
            },
            own.key,
            algorithm="PS256",
            headers={"x5t#S256": base64.urlsafe_b64encode(digest).rstrip(b"=").decode()},
        )
        return token

    def _assertion(self) -> str:
        """A token of the platform's issuer for this integration, by the simulated clock, as all
        tokens are."""
        now = self._clock.now()
        token: str = jwt.encode(
            {
                "iss": f"{self._urls['mondoo']}/wif",
                "sub": views.wif_subject(self._integration),
                "aud": FEDERATION_AUDIENCE,
                "iat": now,
                "nbf": now,
                "exp": now + timedelta(minutes=10),
                "jti": uuid4().hex,
            },
            self._issuer_key,
            algorithm="RS256",
            headers={"kid": "wif"},
        )
        return token

    async def _scan(self, credential: ClientAssertionCredential, client: httpx.AsyncClient) -> None:
        raise NotImplementedError

    async def _sign_in(self, credential: ClientAssertionCredential, audience: str) -> str:
        """The first token, without which there is nothing to scan."""
        try:
            return await self._token(credential, audience)
        except ClientAuthenticationError as error:
            raise ConnectionFailed(f"authentication failed: {_sign_in_text(error)}") from error
        except AzureError as error:
            raise ConnectionFailed("authentication failed: Entra ID did not answer") from error

    async def _token(self, credential: ClientAssertionCredential, audience: str) -> str:
        return (await credential.get_token(f"{audience}/.default")).token

    def _say(self, status: str, identifier: str, text: str) -> None:
        self._report.messages.append(Message(text, status, identifier, self._clock.now()))


class TenantScan(Scan):
    """The scan of a Microsoft 365 tenant."""

    async def _scan(self, credential: ClientAssertionCredential, client: httpx.AsyncClient) -> None:
        token = await self._sign_in(credential, self._urls["graph"])
        domains = await self._connect(client, token)
        self._report.connected = True
        await self._graph(client, token)
        await self._part("exchange", lambda: self._exchange(credential, client))
        await self._part("exchange-protection", lambda: self._compliance(credential))
        await self._part("sharepoint", lambda: self._sharepoint(credential, client, domains))

    async def _part(self, identifier: str, read: Callable[[], Awaitable[None]]) -> None:
        """One part of the scan, whose failure is reported and does not end the others."""
        try:
            await read()
        except (httpx.HTTPError, AzureError) as error:
            self._say(
                "ERROR", identifier, f"could not load {identifier} report: {type(error).__name__}"
            )

    async def _connect(self, client: httpx.AsyncClient, token: str) -> dict[str, str]:
        """The first call of the scanner; gives the initial and the default domain."""
        try:
            answer = await client.get(
                f"{self._urls['graph']}/v1.0/organization", headers=bearer(token)
            )
        except httpx.HTTPError as error:
            raise ConnectionFailed(
                f"could not connect to Microsoft Graph: {type(error).__name__}"
            ) from error
        if answer.status_code == 403:
            raise ConnectionFailed(_INSUFFICIENT)
        if answer.status_code != 200:
            raise ConnectionFailed(
                f"could not connect to Microsoft Graph: status {answer.status_code}"
            )
        domains: dict[str, str] = {}
        for organization in answer.json()["value"]:
            for domain in organization.get("verifiedDomains", ()):
                if domain.get("isInitial"):
                    domains["initial"] = domain["name"]
                if domain.get("isDefault"):
                    domains["default"] = domain["name"]
        return domains

    async def _graph(self, client: httpx.AsyncClient, token: str) -> None:
        """Permissions in the token, and one read that needs one of the basic ones."""
        held = set(_claims(token).get("roles", ()))
        for status, names in (
            ("WARNING", _PERMISSIONS["graph"]["basic"]),
            ("INFO", _PERMISSIONS["graph"]["further"]),
        ):
            for name in names:
                if name not in held:
                    self._say(
                        status,
                        f"graph/{name}",
                        "Authorization failed due to missing permission scope "
                        f"{name} (PermissionScopeNotGranted)",
                    )
        if "Policy.Read.All" not in held:
            return
        try:
            answer = await client.get(
                f"{self._urls['graph']}/v1.0/policies/defaultAppManagementPolicy",
                headers=bearer(token),
            )
        except httpx.HTTPError as error:
            self._say("ERROR", "graph", f"could not read policies: {type(error).__name__}")
            return
        if answer.status_code != 200:
            self._say("ERROR", "graph", f"could not read policies: status {answer.status_code}")

    async def _exchange(
        self, credential: ClientAssertionCredential, client: httpx.AsyncClient
    ) -> None:
        url = self._urls["exchange"]
        try:
            token = await self._token(credential, url)
        except ClientAuthenticationError as error:
            self._refused(
                "exchange",
                "no organization provided, unable to fetch exchange online report",
                error,
            )
            return
        answer = await client.post(
            f"{url}/adminapi/beta/{self._integration.tenant_id}/InvokeCommand",
            headers=bearer(token),
            json={"CmdletInput": {"CmdletName": "Get-OrganizationConfig", "Parameters": {}}},
        )
        if answer.status_code != 200:
            self._say(
                "ERROR",
                "exchange",
                f"could not load powershell data report from: exchange online: {text_of(answer)}",
            )

    async def _compliance(self, credential: ClientAssertionCredential) -> None:
        """The compliance session: newer than the basic list, so it costs no status."""
        missing = (
            "Authorization failed due to missing permission scope Exchange.ManageAsApp of "
            "Exchange Online Protection (PermissionScopeNotGranted)"
        )
        try:
            token = await self._token(credential, COMPLIANCE)
        except ClientAuthenticationError as error:
            self._say("INFO", "exchange-protection", f"{missing}: {_sign_in_text(error)}")
            return
        if _PERMISSIONS["exchangeProtection"] not in _claims(token).get("roles", ()):
            self._say("INFO", "exchange-protection", missing)

    async def _sharepoint(
        self,
        credential: ClientAssertionCredential,
        client: httpx.AsyncClient,
        domains: dict[str, str],
    ) -> None:
        if self._integration.use_wif:
            self._say(
                "WARNING",
                "sharepoint",
                "only certificate authentication is supported for fetching sharepoint online"
                " report",
            )
            return
        domain = domains.get(self._site_domain, "")
        site = f"{self._urls['sharepoint']}/{domain.partition('.')[0]}"
        try:
            token = await self._token(credential, site)
        except ClientAuthenticationError as error:
            self._refused("sharepoint", "unable to fetch sharepoint online report", error)
            return
        answer = await client.get(
            f"{site}/_api/web",
            params={"$select": "Title"},
            headers=bearer(token) | {"Accept": "application/json;odata=nometadata"},
        )
        if answer.status_code != 200:
            self._say(
                "ERROR",
                "sharepoint",
                f"could not load powershell data report from: sharepoint online: access denied: "
                f"{text_of(answer)}",
            )

    def _refused(self, identifier: str, text: str, error: ClientAuthenticationError) -> None:
        """No token for a service: a warning where the tenant does not have it, else an error."""
        reason = _sign_in_text(error)
        status = "WARNING" if reason.startswith("AADSTS500011") else "ERROR"
        self._say(status, identifier, f"{text}: {reason}")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _claims(token: str) -> dict[str, Any]:
    """What a token says, without a look at its signature: it is not ours to verify."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return claims


def _sign_in_text(error: ClientAuthenticationError) -> str:
    """The first sentence of Entra's refusal, from its AADSTS code on."""
    text = str(error.message)
    start = text.find("AADSTS")
    if start < 0:
        return "sign-in was refused"
    return text[start:].splitlines()[0].partition(" Trace ID:")[0]


def text_of(answer: httpx.Response) -> str:
    """Status and message of a refusal; nothing but the service's own words."""
    try:
        body = answer.json()
    except ValueError:
        return f"status {answer.status_code}"
    error = body.get("error", body) if isinstance(body, dict) else {}
    message = error.get("message") if isinstance(error, dict) else None
    if isinstance(message, dict):
        message = message.get("value")
    return f"status {answer.status_code}: {message or urlsplit(str(answer.url)).path}"
