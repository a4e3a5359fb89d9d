"""What activities and triggers are given: the settings and one client for each service.

Clients are built when they are first used (a cold start pays only for what it needs) and are kept
for the life of the process, since tokens and connections are worth keeping; all of them belong to
one event loop. A test builds its own context from its own settings. There is no process-wide
instance: ``function_app.py`` makes one and hands it to the triggers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import httpx

from shared.config import MondooLogin, Settings
from shared.entra.identity import Identity
from shared.ledger.entries import Ledger
from shared.ledger.stores import open_ledger
from shared.mondoo.client import MondooClient
from shared.mondoo.keyless import RENEW_AFTER, KeylessLogin
from shared.mondoo.upload import FindingsUpload
from shared.notifications import Notifications, open_notifications
from shared.resource_manager.client import ResourceManager
from shared.tenants.records import TenantRecords
from shared.tenants.stores import open_records
from shared.tls import client_context
from shared.vault.certificates import Vault
from shared.webhook import Webhook

if TYPE_CHECKING:
    from shared.entra.graph import GraphClient, GraphConnections

HTTP_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""Seconds. Every answer that we wait for in one request comes well within; longer waits are
durable timers."""


class Context:
    """Settings and clients. Close it with `aclose` when the process ends."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._azures: dict[str, ResourceManager] = {}
        self._graphs: dict[str, GraphClient] = {}
        self._graph_connections: GraphConnections | None = None

    def now(self) -> datetime:
        """The time, UTC. Activities use it; orchestrators have their own clock."""
        return datetime.now(UTC)

    @cached_property
    def http(self) -> httpx.AsyncClient:
        """Plain HTTPS, for the sign-in page's metadata and for probes of services."""
        return httpx.AsyncClient(verify=client_context(self.settings), timeout=HTTP_TIMEOUT)

    @cached_property
    def identity(self) -> Identity:
        """Who we are in our own tenant and in others."""
        return Identity(self.settings, certificate=self._onboarding_certificate)

    @cached_property
    def vault(self) -> Vault:
        """The Key Vault of the tenants' certificates."""
        return Vault(self.settings, self.identity.own_credential())

    @cached_property
    def mondoo(self) -> MondooClient:
        """Mondoo's API, as the service account in the vault or as one that lives for a while."""
        if self.settings.mondoo_login is MondooLogin.KEYLESS:
            return MondooClient(self.settings, self.mondoo_keyless.account, lifetime=RENEW_AFTER)
        return MondooClient(self.settings, self._mondoo_account)

    @cached_property
    def mondoo_keyless(self) -> KeylessLogin:
        """The exchange of the managed identity's token for a service account of Mondoo."""
        return KeylessLogin(self.settings, self._federation_token)

    @cached_property
    def records(self) -> TenantRecords:
        """Tenant records and finished operations."""
        return open_records(self.settings, self.identity.own_credential)

    @cached_property
    def ledger(self) -> Ledger:
        """What arrived and must be remembered: events, consents, batches."""
        return open_ledger(self.settings, self.identity.own_credential)

    @cached_property
    def notifications(self) -> Notifications:
        """Where results are announced."""
        return open_notifications(self.settings, self.identity.own_credential)

    @cached_property
    def audit_listeners(self) -> list[Notifications]:
        """Who is told of audits: the topic, and a webhook where one is set."""
        listeners = [self.notifications]
        url = self.settings.audit_webhook_url
        if url is not None:
            listeners.append(Webhook(self.settings, url, self._webhook_secret))
        return listeners

    @cached_property
    def findings_upload(self) -> FindingsUpload:
        """Mondoo's interface for findings of others."""
        return FindingsUpload(self.settings, self.mondoo)

    def graph(self, tenant_id: str) -> GraphClient:
        """Microsoft Graph in one tenant, as ourselves."""
        if tenant_id not in self._graphs:
            # The Graph SDK takes half a second to import; a start that needs none shall not pay.
            from shared.entra.graph import GraphClient, GraphConnections

            if self._graph_connections is None:
                self._graph_connections = GraphConnections(self.settings)
            credential = self.identity.credential_for(tenant_id)
            self._graphs[tenant_id] = GraphClient(
                self.settings, credential, tenant_id, self._graph_connections
            )
        return self._graphs[tenant_id]

    def azure(self, tenant_id: str) -> ResourceManager:
        """Azure Resource Manager in one tenant, as ourselves."""
        if tenant_id not in self._azures:
            credential = self.identity.credential_for(tenant_id)
            self._azures[tenant_id] = ResourceManager(self.settings, credential, tenant_id)
        return self._azures[tenant_id]

    async def aclose(self) -> None:
        """Close every client that was built."""
        for azure in self._azures.values():
            await azure.aclose()
        self._azures.clear()
        self._graphs.clear()
        connections, self._graph_connections = self._graph_connections, None
        if connections is not None:
            await connections.aclose()
        built = self.__dict__
        for listener in built.pop("audit_listeners", [])[1:]:
            await listener.aclose()
        for name in (
            "findings_upload",
            "notifications",
            "ledger",
            "records",
            "mondoo",
            "mondoo_keyless",
            "vault",
            "identity",
            "http",
        ):
            if name in built:
                await built.pop(name).aclose()

    async def _onboarding_certificate(self) -> str:
        return await self.vault.secret(self.settings.onboarding_certificate or "")

    async def _federation_token(self) -> str:
        scope = f"{self.settings.cloud.federation_audience}/.default"
        return (await self.identity.own_credential().get_token(scope)).token

    async def _webhook_secret(self) -> str:
        return await self.vault.secret(self.settings.audit_webhook_secret or "")

    async def _mondoo_account(self) -> str:
        return await self.vault.secret(self.settings.mondoo_service_account)
