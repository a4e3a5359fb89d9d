"""The proof: signing in as the application and reading from each service."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from local.simulators import Simulators
from local.simulators.faults import Fault
from local.simulators.objects import KeyCredential, Lag, ServicePrincipal
from local.simulators.tenant import SimulatedTenant, new_id
from shared.config import Settings
from shared.entra.app_role_assignments import grant
from shared.entra.applications import create_application
from shared.entra.directory_roles import assign
from shared.entra.graph import GraphClient
from shared.entra.service_principals import ensure_principal
from shared.entra.sign_in import Probe, ProbeResult, prove
from shared.errors import NotYet, Refused, Unusable
from shared.manifest import Manifest
from tests.shared.entra.certificates import pair

OURS = pair()
GLOBAL_READER = "f2ef992c-3afb-46b9-b7cf-a126ee74c451"

GRAPH = Probe("graph", "Microsoft Graph", frozenset({"DeviceManagementConfiguration.Read.All"}))
EXCHANGE = Probe("exchange", "Office 365 Exchange Online", frozenset({"Exchange.ManageAsApp"}))
SHAREPOINT = Probe(
    "sharepoint", "Office 365 SharePoint Online", frozenset({"Sites.FullControl.All"})
)
PROTECTION = Probe(
    "exchange-protection",
    "Microsoft Exchange Online Protection",
    frozenset({"Exchange.ManageAsApp"}),
)
ALL = [GRAPH, EXCHANGE, SHAREPOINT, PROTECTION]
APP_IDS = {
    "graph": "00000003-0000-0000-c000-000000000000",
    "exchange": "00000002-0000-0ff1-ce00-000000000000",
    "sharepoint": "00000003-0000-0ff1-ce00-000000000000",
    "exchange-protection": "00000007-0000-0ff1-ce00-000000000000",
}


class Subject:
    """The application in a tenant, seeded, and a way to prove it."""

    def __init__(
        self,
        simulators: Simulators,
        settings: Settings,
        http: httpx.AsyncClient,
        tenant: SimulatedTenant,
    ) -> None:
        self.simulators, self._settings, self._http = simulators, settings, http
        self.tenant = tenant
        app = simulators.run(
            tenant.add_application, "mondoo-ms365", key_credentials=[OURS.certificate]
        )
        self.app_id = app.app_id
        self.app = app
        principal = tenant.service_principal_by_app_id(app.app_id)
        assert principal is not None
        self.principal: ServicePrincipal = principal

    def grant(self, *probes: Probe) -> None:
        for probe in probes:
            for role in probe.roles:
                self.simulators.run(self.tenant.grant, self.principal, role, APP_IDS[probe.service])

    def assign_role(self) -> None:
        self.simulators.run(self.tenant.assign_role, self.principal)

    async def prove(self, *probes: Probe, pem: str = OURS.pem) -> list[ProbeResult]:
        return await prove(
            self._settings,
            self._http,
            tenant_id=self.tenant.id,
            initial_domain=self.tenant.initial_domain,
            app_id=self.app_id,
            pem=pem,
            probes=probes,
        )


@pytest.fixture
def subject(
    simulators: Simulators, settings: Settings, http: httpx.AsyncClient, tenant: SimulatedTenant
) -> Subject:
    return Subject(simulators, settings, http, tenant)


async def test_every_service_answers_once(subject: Subject, simulators: Simulators) -> None:
    subject.grant(*ALL)
    subject.assign_role()
    results = await subject.prove(*ALL)
    assert [each.service for each in results] == [each.service for each in ALL]
    asked = {
        call.service: call.operation
        for call in simulators.journal.select(tenant=subject.tenant.id)
        if call.caller == subject.app_id and call.service != "entra"
    }
    assert asked == {
        "graph": "GET /organization",
        "exchange": "InvokeCommand Get-OrganizationConfig",
        "sharepoint": "GET /{name}/_api/web",
    }


async def test_what_our_own_clients_made_passes_the_proof(
    graph: GraphClient,
    simulators: Simulators,
    settings: Settings,
    http: httpx.AsyncClient,
    tenant: SimulatedTenant,
    manifest: Manifest,
    present: set[str],
) -> None:
    made = await create_application(
        graph,
        name="mondoo-ms365",
        manifest=manifest,
        present=present,
        certificate_der=OURS.der,
        key_display_name="today",
    )
    principal = await ensure_principal(graph, made.app_id)
    ids = {
        app_id: found.id
        for app_id in present
        if (found := tenant.service_principal_by_app_id(app_id)) is not None
    }
    wanted = [(ids[key.resource_app_id], key.app_role_id) for key in manifest.by_key()]
    await grant(graph, principal.object_id, wanted)
    await assign(graph, principal.object_id, GLOBAL_READER)
    probes = [
        Probe(
            each.service,
            each.name,
            frozenset(p.name for p in manifest.permissions if p.resource == each.service),
        )
        for each in manifest.resources
    ]
    results = await prove(
        settings,
        http,
        tenant_id=tenant.id,
        initial_domain=tenant.initial_domain,
        app_id=made.app_id,
        pem=OURS.pem,
        probes=probes,
    )
    assert len(results) == len(manifest.resources)


async def test_nothing_to_prove_proves_nothing(subject: Subject) -> None:
    with pytest.raises(Refused, match="nothing_to_prove"):
        await subject.prove()


async def test_case_d1_an_application_that_only_declares_has_no_roles(subject: Subject) -> None:
    with pytest.raises(NotYet, match="graph_roles_missing") as wait:
        await subject.prove(GRAPH)
    assert "DeviceManagementConfiguration.Read.All" in wait.value.message


async def test_case_d7_a_grant_shows_in_a_new_token(
    subject: Subject, simulators: Simulators
) -> None:
    with pytest.raises(NotYet):
        await subject.prove(GRAPH)
    subject.grant(GRAPH)
    assert await subject.prove(GRAPH)
    issued = [
        call
        for call in simulators.journal.select(service="entra", tenant=subject.tenant.id)
        if call.caller == subject.app_id
    ]
    assert len(issued) == 2


async def test_case_d9_exchange_wants_the_directory_role_too(subject: Subject) -> None:
    subject.grant(EXCHANGE)
    with pytest.raises(NotYet, match="exchange_access_not_effective") as wait:
        await subject.prove(EXCHANGE)
    assert "isn't supported in this scenario" in wait.value.message
    assert "Global Reader" in wait.value.remediation
    subject.assign_role()
    assert await subject.prove(EXCHANGE)


async def test_case_d9_exchange_wants_the_permission_besides_the_role(subject: Subject) -> None:
    subject.assign_role()
    with pytest.raises(NotYet, match="exchange_roles_missing"):
        await subject.prove(EXCHANGE)


async def test_a_role_that_exchange_has_not_heard_of_is_waited_for(
    subject: Subject, simulators: Simulators, graph: GraphClient
) -> None:
    subject.grant(EXCHANGE)
    simulators.run(setattr, subject.tenant, "lag", Lag(roles=120))
    await assign(graph, subject.principal.id, GLOBAL_READER)
    with pytest.raises(NotYet, match="exchange_access_not_effective"):
        await subject.prove(EXCHANGE)
    simulators.clock.advance(121)
    assert await subject.prove(EXCHANGE)


async def test_case_d12_a_service_that_is_not_in_the_tenant_is_named(
    add_tenant: Callable[..., SimulatedTenant],
    simulators: Simulators,
    settings: Settings,
    http: httpx.AsyncClient,
) -> None:
    subject = Subject(simulators, settings, http, add_tenant(services=frozenset()))
    subject.grant(GRAPH)
    with pytest.raises(Refused, match="resource_not_in_tenant") as refused:
        await subject.prove(GRAPH, SHAREPOINT)
    assert "SharePoint" in refused.value.message


async def test_case_d13_a_disabled_application_is_said_to_be_disabled(
    subject: Subject, simulators: Simulators
) -> None:
    subject.grant(GRAPH)
    simulators.run(setattr, subject.principal, "enabled", False)
    with pytest.raises(Refused, match="application_disabled"):
        await subject.prove(GRAPH)


async def test_a_certificate_that_is_not_known_yet_is_waited_for(subject: Subject) -> None:
    subject.grant(GRAPH)
    with pytest.raises(NotYet, match="certificate_not_registered"):
        await subject.prove(GRAPH, pem=pair("unknown", key=1).pem)


async def test_an_expired_certificate_is_refused(subject: Subject, simulators: Simulators) -> None:

    old = pair("old", days=-1, key=1)
    entry = KeyCredential.of(old.certificate, new_id())
    simulators.run(subject.app.key_credentials.append, entry)
    subject.grant(GRAPH)
    with pytest.raises(Refused, match="certificate_outside_validity"):
        await subject.prove(GRAPH, pem=old.pem)


async def test_an_application_that_has_not_replicated_is_waited_for(
    subject: Subject, simulators: Simulators
) -> None:
    simulators.run(setattr, subject.principal, "token_at", subject.tenant.due(60))
    with pytest.raises(NotYet, match="application_not_in_tenant"):
        await subject.prove(GRAPH)


async def test_everything_that_is_not_ready_is_told_at_once(subject: Subject) -> None:
    subject.grant(EXCHANGE)
    with pytest.raises(NotYet) as wait:
        await subject.prove(GRAPH, EXCHANGE, SHAREPOINT)
    for name in ("Microsoft Graph", "Exchange Online", "SharePoint Online"):
        assert name in wait.value.message


async def test_what_cannot_heal_is_told_before_what_can(
    subject: Subject, simulators: Simulators
) -> None:
    sharepoint = subject.tenant.service_principal_by_app_id(APP_IDS["sharepoint"])
    assert sharepoint is not None
    simulators.run(setattr, sharepoint, "enabled", False)
    with pytest.raises(Refused, match="resource_disabled"):
        await subject.prove(GRAPH, SHAREPOINT)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("probe", [GRAPH, SHAREPOINT], ids=lambda probe: probe.service)
async def test_a_service_that_has_not_heard_of_the_grant_is_waited_for(
    status: int, probe: Probe, subject: Subject, simulators: Simulators
) -> None:
    subject.grant(probe)
    fault = Fault(probe.service, "GET *", tenant=subject.tenant.id, status=status, code="Denied")
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(NotYet, match=f"{probe.service}_access_not_effective"):
        await subject.prove(probe)
    assert await subject.prove(probe)


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ({"status": 429, "headers": {"Retry-After": "30"}}, NotYet, "graph_unavailable"),
        ({"status": 503}, NotYet, "graph_unavailable"),
        ({"drop": "before", "times": 5}, NotYet, "service_unreachable"),
        ({"status": 400, "code": "Odd", "message": "Odd text"}, Refused, "graph_refused"),
        ({"status": 404, "body": b"404 FILE NOT FOUND"}, Refused, "graph_refused"),
    ],
)
async def test_every_other_answer_has_a_meaning(
    fault: dict[str, Any],
    error: type[Exception],
    code: str,
    subject: Subject,
    simulators: Simulators,
) -> None:
    subject.grant(GRAPH)
    simulators.run(
        simulators.faults.add,
        Fault("graph", "GET /organization", tenant=subject.tenant.id, **fault),
    )
    with pytest.raises(error, match=code):
        await subject.prove(GRAPH)


async def test_case_f8_the_assertion_carries_no_chain(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.core.pipeline.transport import AioHttpTransport

    seen: list[str] = []
    send = AioHttpTransport.send

    async def watched(self: Any, request: Any, **kwargs: Any) -> Any:
        body = request.data if isinstance(request.data, dict) else parse_qs(str(request.content))
        assertion = body.get("client_assertion")
        if assertion:
            seen.append(assertion if isinstance(assertion, str) else assertion[0])
        return await send(self, request, **kwargs)

    monkeypatch.setattr(AioHttpTransport, "send", watched)
    subject.grant(GRAPH)
    await subject.prove(GRAPH)
    assert seen
    for assertion in seen:
        part = assertion.split(".")[0]
        header = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        assert "x5c" not in header
        assert {"x5t", "x5t#S256"} & set(header)


async def test_no_failure_shows_the_pem(subject: Subject) -> None:
    body = OURS.pem.splitlines()[3]
    broken = OURS.pem.replace(body, body[::-1])
    with pytest.raises((Unusable, NotYet)) as refused:
        await subject.prove(GRAPH, pem=broken)
    shown: list[BaseException | None] = [refused.value]
    while shown[-1] is not None:
        text = f"{shown[-1]} {shown[-1]!r}"
        assert not any(line in text for line in OURS.pem.splitlines() if len(line) > 40)
        assert "PRIVATE KEY" not in text
        shown.append(shown[-1].__cause__)
