"""One set of simulators for all tests here; each test makes the tenants it is about."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from local.simulators import Simulators
from local.simulators.faults import Fault
from local.simulators.tenant import SimulatedTenant

_NUMBER = count(1)


@pytest.fixture(scope="session")
def simulators() -> Iterator[Simulators]:
    """Running simulators with our own tenant in them."""
    with Simulators() as running:
        yield running


@pytest.fixture(autouse=True)
def no_faults_left(simulators: Simulators) -> Iterator[None]:
    """Faults of one test never strike another."""
    yield
    simulators.run(simulators.faults.clear)


@pytest.fixture
def new_tenant(simulators: Simulators) -> Callable[..., SimulatedTenant]:
    """Makes tenants with a fresh domain; takes what `World.add_tenant` takes."""

    def make(**wanted: Any) -> SimulatedTenant:
        domain = f"customer{next(_NUMBER)}.example"
        return simulators.run(simulators.world.add_tenant, domain, **wanted)

    return make


@pytest.fixture
def tenant(new_tenant: Callable[..., SimulatedTenant]) -> SimulatedTenant:
    """A customer's tenant that has consented to our onboarding application."""
    return new_tenant()


@pytest.fixture(scope="session")
def trust(simulators: Simulators) -> ssl.SSLContext:
    """Trust in the simulators' CA."""
    return ssl.create_default_context(cafile=str(simulators.ca_file))


class Graph:
    """Graph as one caller in one tenant sees it."""

    def __init__(self, simulators: Simulators, tenant: SimulatedTenant, trust: ssl.SSLContext):
        self.simulators = simulators
        self.tenant = tenant
        self.base = f"{simulators.urls['graph']}/v1.0"
        self.caller = simulators.run(
            tenant.service_principal_by_app_id, simulators.world.home_app.app_id
        )
        self.client = httpx.Client(verify=trust)
        self.sign_in()

    def sign_in(self, rights: Iterable[str] | None = None) -> None:
        """Take a new token; `rights` replaces what is granted."""
        if self.caller is None:
            raise ValueError("our application is not known in this tenant")
        caller = self.caller
        if rights is not None:
            for grant in self.tenant.grants_of(caller.id):
                self.tenant.revoke(grant)
            for right in rights:
                self.tenant.grant(caller, right)
        token = self.simulators.run(
            self.simulators.entra.issue, self.tenant, caller, self.simulators.urls["graph"]
        )
        self.client.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """One request below the version; header names with `_` for `-`."""
        return self.client.request(
            method,
            path if path.startswith("https://") else self.base + path,
            json=body,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )

    def get(self, path: str, **headers: str) -> Any:
        """The JSON of a successful GET."""
        answer = self.ask("GET", path, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: object) -> Any:
        """The JSON of a successful POST."""
        answer = self.ask("POST", path, body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def refused(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, str, str]:
        """(status, code, message) of a request that must fail."""
        answer = self.ask(method, path, body, **headers)
        assert answer.status_code >= 400, answer.text
        error = answer.json()["error"]
        assert error["innerError"]["request-id"] == answer.headers["request-id"]
        return answer.status_code, error["code"], error["message"]

    def upsert(self, unique_name: str, **properties: object) -> httpx.Response:
        """Upsert an application by unique name."""
        return self.ask(
            "PATCH",
            f"/applications(uniqueName='{unique_name}')",
            {"displayName": unique_name, **properties},
            Prefer="create-if-missing",
        )

    def application_with_principal(self, name: str = "mondoo-ms365") -> tuple[Any, Any]:
        """A new application and its service principal, owned by the caller."""
        app = self.upsert(name).json()
        principal = self.post("/servicePrincipals", {"appId": app["appId"]})
        return app, principal


@pytest.fixture
def open_graph(simulators: Simulators, trust: ssl.SSLContext) -> Iterator[Callable[..., Graph]]:
    """Opens Graph in a tenant as our onboarding application."""
    opened: list[Graph] = []

    def make(tenant: SimulatedTenant) -> Graph:
        graph = Graph(simulators, tenant, trust)
        opened.append(graph)
        return graph

    yield make
    for graph in opened:
        graph.client.close()


@pytest.fixture
def graph(open_graph: Callable[..., Graph], tenant: SimulatedTenant) -> Graph:
    """Graph in a fresh tenant, with all automation rights."""
    return open_graph(tenant)


@pytest.fixture
def fault(simulators: Simulators) -> Callable[..., None]:
    """Adds a fault."""

    def add(service: str, **wanted: Any) -> None:
        simulators.run(simulators.faults.add, Fault(service, **wanted))

    return add
