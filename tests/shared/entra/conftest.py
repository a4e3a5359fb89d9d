"""Fresh tenants that have consented to our onboarding application, and clients for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from local.simulators import Simulators
from local.simulators.faults import Fault
from local.simulators.tenant import SimulatedTenant
from shared.clouds import Cloud
from shared.config import IdentityKind, Settings
from shared.entra.graph import GraphClient
from shared.entra.identity import Identity
from shared.manifest import Manifest, load_manifest
from shared.tls import client_context

NAME = "mondoo-ms365"


@pytest.fixture
def settings(running: Simulators, settings: Settings) -> Settings:
    """Federated, as in production; every address is a simulator's."""
    urls = running.urls
    cloud = Cloud(
        name="local",
        login=urls["entra"],
        graph=urls["graph"],
        portal=urls["entra"],
        exchange=urls["exchange"],
        sharepoint=urls["sharepoint"] + "/{name}",
        compliance="https://ps.compliance.protection.outlook.com",
        published=False,
    )
    return replace(
        settings,
        cloud=cloud,
        identity=IdentityKind.FEDERATED,
        onboarding_client_id=running.world.home_app.app_id,
    )


@pytest.fixture
def add_tenant(simulators: Simulators) -> Callable[..., SimulatedTenant]:
    """Makes a tenant that no other test uses."""

    def add(**kwargs: Any) -> SimulatedTenant:
        domain = f"t{uuid4().hex[:12]}.onmicrosoft.com"
        kwargs.setdefault("display_name", "Fabrikam")
        return simulators.run(simulators.world.add_tenant, domain, **kwargs)

    return add


@pytest.fixture
def tenant(add_tenant: Callable[..., SimulatedTenant]) -> SimulatedTenant:
    """A tenant with every service, in which nothing was done yet."""
    return add_tenant()


@pytest.fixture
async def graph_of(
    settings: Settings, identity: Identity
) -> AsyncIterator[Callable[[SimulatedTenant], GraphClient]]:
    """Graph in a tenant as ourselves; closed when the test ends."""
    clients: list[GraphClient] = []

    def open_client(tenant: SimulatedTenant) -> GraphClient:
        clients.append(GraphClient(settings, identity.credential_for(tenant.id), tenant.id))
        return clients[-1]

    yield open_client
    for client in clients:
        await client.aclose()


@pytest.fixture
def graph(
    graph_of: Callable[[SimulatedTenant], GraphClient], tenant: SimulatedTenant
) -> GraphClient:
    """Graph in the test's own tenant."""
    return graph_of(tenant)


@pytest.fixture
async def http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Plain https to the simulators."""
    async with httpx.AsyncClient(verify=client_context(settings), timeout=20) as client:
        yield client


@pytest.fixture
def manifest() -> Manifest:
    """The default list."""
    return load_manifest("quick-setup")


@pytest.fixture
def present(manifest: Manifest) -> set[str]:
    """Every resource of the manifest is in the tenant."""
    return {resource.app_id for resource in manifest.resources}


class Watch:
    """What Graph was asked in one tenant, since the watch began."""

    def __init__(self, simulators: Simulators, tenant_id: str) -> None:
        self._simulators = simulators
        self._tenant_id = tenant_id
        self._start = len(simulators.journal.calls)

    def _calls(self, *, batch: bool) -> list[Any]:
        calls = self._simulators.run(lambda: list(self._simulators.journal.calls))[self._start :]
        return [
            call
            for call in calls
            if call.service == "graph" and call.tenant == self._tenant_id and call.batch is batch
        ]

    @property
    def requests(self) -> list[str]:
        """Round trips, by operation."""
        return [call.operation for call in self._calls(batch=False)]

    @property
    def writes(self) -> list[str]:
        """Everything that could change something, in batches or not."""
        return [
            call.operation
            for each in (False, True)
            for call in self._calls(batch=each)
            if call.write
        ]

    @property
    def inner(self) -> list[str]:
        """Requests inside of batches."""
        return [call.operation for call in self._calls(batch=True)]


@pytest.fixture
def watch(simulators: Simulators, tenant: SimulatedTenant) -> Watch:
    """The test's own tenant, watched from now on."""
    return Watch(simulators, tenant.id)


@pytest.fixture
def fault(simulators: Simulators, tenant: SimulatedTenant) -> Callable[..., None]:
    """Adds a fault to the test's own tenant's Graph."""

    def add(operation: str, **kwargs: Any) -> None:
        kwargs.setdefault("service", "graph")
        kwargs.setdefault("tenant", tenant.id)
        simulators.run(simulators.faults.add, Fault(operation=operation, **kwargs))

    return add
