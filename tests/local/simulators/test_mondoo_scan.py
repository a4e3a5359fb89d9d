"""The simulated scanner: it signs in with what it was given, and says what it met."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from local.simulators import Simulators
from local.simulators.faults import Fault
from tests.local.simulators.callers import certificate_for, certificate_pem, key_pem
from tests.local.simulators.mondoo_client import SPACE, TRIGGER, Mondoo
from tests.local.simulators.scanned_tenant import BASIC, FURTHER, Scannable, add_scannable


@pytest.fixture(scope="module")
def simulators() -> Iterator[Simulators]:
    with Simulators() as running:
        running.mondoo.scanner.delay = 0.0
        yield running


@pytest.fixture
async def mondoo(simulators: Simulators) -> AsyncIterator[Mondoo]:
    async with Mondoo(simulators) as client:
        yield client


async def scanned(mondoo: Mondoo, target: Scannable, **options: Any) -> Any:
    """The integration of a tenant after a first scan."""
    given = {
        "tenantId": target.tenant.id,
        "clientId": target.app.app_id,
        **({} if "useWif" in options else {"certificate": target.pem}),
        **options,
    }
    made = await mondoo.create(**given)
    return await mondoo.scan(made["mrn"])


def messages(integration: Any, *statuses: str) -> dict[str, str]:
    """Messages by identifier, of some statuses or all."""
    return {
        entry["identifier"]: entry["message"]
        for entry in integration["messages"]
        if not statuses or entry["status"] in statuses
    }


async def test_a_tenant_with_everything_in_place_is_active_without_a_message(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    integration = await scanned(mondoo, add_scannable(simulators))
    assert (integration["status"], integration["messages"]) == ("ACTIVE", [])
    times = [
        integration[name]
        for name in ("created", "scanJobAttempted", "scanJobStarted", "scanJobFinished")
    ]
    assert times == sorted(times)
    assert integration["lastCheckin"] == integration["lastStateInfo"] == times[-1]


async def test_the_nine_basic_permissions_are_enough_and_the_rest_is_information(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    target = add_scannable(simulators, graph=BASIC, granted={"exchange", "sharepoint"})
    integration = await scanned(mondoo, target)
    assert integration["status"] == "ACTIVE"
    assert messages(integration, "WARNING", "ERROR") == {}
    told = messages(integration, "INFO")
    assert set(told) == {f"graph/{name}" for name in FURTHER} | {"exchange-protection"}
    assert "PermissionScopeNotGranted" in told["graph/AccessReview.Read.All"]


async def test_a_missing_basic_permission_is_a_warning_that_names_it(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    rest = [name for name in BASIC + FURTHER if name != "SecurityEvents.Read.All"]
    integration = await scanned(mondoo, add_scannable(simulators, graph=rest))
    assert integration["status"] == "WARNING"
    assert list(messages(integration)) == ["graph/SecurityEvents.Read.All"]


async def test_services_without_a_licence_are_warnings(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    integration = await scanned(mondoo, add_scannable(simulators, services=()))
    assert integration["status"] == "WARNING"
    told = messages(integration, "WARNING")
    assert set(told) == {"exchange", "sharepoint"}
    assert told["exchange"].startswith(
        "no organization provided, unable to fetch exchange online report: AADSTS500011"
    )


async def test_no_permission_at_all_is_insufficient_privileges(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    integration = await scanned(mondoo, add_scannable(simulators, graph=()))
    assert integration["status"] == "ERROR"
    assert messages(integration) == {
        "connection": "authentication failed: Insufficient privileges to complete the operation."
    }


async def test_exchange_refuses_without_global_reader(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    integration = await scanned(mondoo, add_scannable(simulators, global_reader=False))
    assert integration["status"] == "ERROR"
    told = messages(integration)
    assert list(told) == ["exchange"]
    assert "isn't supported in this scenario" in told["exchange"]


async def test_sharepoint_refuses_without_its_permission(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    target = add_scannable(simulators, granted={"exchange", "exchange-protection"})
    integration = await scanned(mondoo, target)
    assert integration["status"] == "ERROR"
    assert "access denied" in messages(integration)["sharepoint"]


def unusable(target: Scannable) -> dict[str, tuple[str, str]]:
    key, certificate = certificate_for()
    other, _ = certificate_for(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    curve, curve_certificate = certificate_for(ec.generate_private_key(ec.SECP256R1()))
    own = certificate_pem(certificate)
    return {
        "no PEM": ("abcd1234567890", "pkcs12: error reading P12 data: asn1: syntax error"),
        "no key": (own, "found no private key"),
        "no certificate": (key_pem(key), "found no certificate"),
        "an encrypted key": (key_pem(key, password=b"word") + own, "found no private key"),
        "two keys": (key_pem(key) + key_pem(other) + own, "found multiple private keys"),
        "a curve": (key_pem(curve) + certificate_pem(curve_certificate), "not an RSA key"),
        "another key": (key_pem(other) + own, "found no certificate matching the private key"),
    }


@pytest.mark.parametrize(
    "what",
    [
        "no PEM",
        "no key",
        "no certificate",
        "an encrypted key",
        "two keys",
        "a curve",
        "another key",
    ],
)
async def test_a_certificate_that_the_scanner_cannot_use_shows_only_in_the_scan(
    simulators: Simulators, mondoo: Mondoo, what: str
) -> None:
    target = add_scannable(simulators)
    text, said = unusable(target)[what]
    integration = await scanned(mondoo, target, certificate=text)
    assert integration["status"] == "ERROR"
    assert said in messages(integration)["connection"]
    assert text not in messages(integration)["connection"]


async def test_pkcs1_and_certificate_first_are_read(simulators: Simulators, mondoo: Mondoo) -> None:
    target = add_scannable(simulators)
    key = serialization.load_pem_private_key(target.pem.encode(), None)
    certificate = target.pem[target.pem.index("-----BEGIN CERTIFICATE") :]
    text = certificate + key_pem(key, serialization.PrivateFormat.TraditionalOpenSSL)
    assert (await scanned(mondoo, target, certificate=text))["status"] == "ACTIVE"


async def test_a_certificate_that_entra_does_not_know_cannot_sign_in(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    target = add_scannable(simulators)
    key, certificate = certificate_for(
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    integration = await scanned(
        mondoo, target, certificate=key_pem(key) + certificate_pem(certificate)
    )
    assert integration["status"] == "ERROR"
    assert messages(integration)["connection"].startswith("authentication failed: AADSTS700027")


async def test_dummy_ids_fail_at_sign_in(simulators: Simulators, mondoo: Mondoo) -> None:
    target = add_scannable(simulators)
    nobody = "ffffffff-ffff-ffff-ffff-ffffffffffff"
    integration = await scanned(mondoo, target, tenantId=nobody, clientId=nobody)
    assert messages(integration)["connection"].startswith("authentication failed: AADSTS90002")
    integration = await scanned(mondoo, target, tenantId="not a tenant!")
    assert messages(integration)["connection"].startswith("authentication failed")


async def test_keyless_scanning_works_once_the_application_trusts_the_issuer(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    target = add_scannable(simulators)
    integration = await scanned(mondoo, target, useWif=True)
    assert integration["status"] == "ERROR"
    assert "AADSTS70" in messages(integration)["connection"]
    options = integration["configurationOptions"]
    simulators.run(
        target.tenant.add_federated_credential,
        target.app,
        "mondoo",
        options["wifIssuerURL"],
        options["wifSubject"],
        "api://AzureADTokenExchange",
    )
    integration = await mondoo.scan(integration["mrn"])
    assert integration["status"] == "WARNING"
    assert messages(integration) == {
        "sharepoint": "only certificate authentication is supported for fetching sharepoint online"
        " report"
    }


async def test_a_service_that_does_not_answer_is_reported_and_the_rest_is_scanned(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    target = add_scannable(simulators)
    simulators.faults.add(
        Fault("exchange", "InvokeCommand*", tenant=target.tenant.id, drop="before")
    )
    integration = await scanned(mondoo, target)
    assert integration["status"] == "ERROR"
    assert list(messages(integration)) == ["exchange"]
    assert (await mondoo.scan(integration["mrn"]))["status"] == "ACTIVE"


async def test_a_scan_reads_and_writes_nothing_and_is_known_by_its_agent(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    target = add_scannable(simulators)
    await scanned(mondoo, target)
    calls = [
        call
        for call in simulators.journal.select(tenant=target.tenant.id)
        if call.service != "mondoo"
    ]
    assert {call.service for call in calls} == {"entra", "graph", "exchange", "sharepoint"}
    assert all(call.agent.startswith("mondoo-scanner") for call in calls)
    assert not any(call.write for call in calls)
    assert (
        simulators.journal.select(
            tenant=target.tenant.id, agent_not="mondoo-scanner", service="graph"
        )
        == []
    )


async def test_the_certificate_is_in_no_record(simulators: Simulators, mondoo: Mondoo) -> None:
    target = add_scannable(simulators)
    integration = await scanned(mondoo, target)
    stored = simulators.mondoo.integrations[integration["mrn"]]
    body = target.pem.splitlines()[3]
    for written in (repr(stored), repr(simulators.journal.calls), str(integration)):
        assert body not in written


async def test_a_paused_integration_is_not_scanned(simulators: Simulators, mondoo: Mondoo) -> None:
    target = add_scannable(simulators)
    made = await mondoo.create(
        tenantId=target.tenant.id, clientId=target.app.app_id, certificate=target.pem
    )
    await mondoo.ask(TRIGGER, mrn=made["mrn"], type="PAUSE")
    await mondoo.ask(TRIGGER, mrn=made["mrn"], type="RUN_SCAN")
    paused = await mondoo.read(made["mrn"])
    assert (paused["status"], paused["scanJobAttempted"]) == ("PAUSED", None)
    await mondoo.ask(TRIGGER, mrn=made["mrn"], type="UNPAUSE")
    assert (await mondoo.scan(made["mrn"]))["status"] == "ACTIVE"


async def test_the_tenant_becomes_one_asset_with_a_score_once_a_policy_is_active(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    target = add_scannable(simulators)
    query = (
        "query ($s: String!, $labels: [KeyValueInput!]) {"
        ' assets(spaceMrn: $s, first: 100, labels: $labels, platformName: ["microsoft365"])'
        " { nodes { mrn name platformIds lastScoredAt score { grade value } } } }"
    )
    labels = [{"key": "azure.com/tenant", "value": target.tenant.id}]
    integration = await scanned(mondoo, target)
    nodes = (await mondoo.ask(query, s=SPACE, labels=labels))["assets"]["nodes"]
    assert len(nodes) == 1
    assert nodes[0]["name"] == f"Microsoft 365 tenant {target.tenant.id}"
    assert nodes[0]["platformIds"] == [
        f"//platformid.api.mondoo.app/runtime/ms365/tenant/{target.tenant.id}"
    ]
    assert (nodes[0]["lastScoredAt"], nodes[0]["score"]["grade"]) == (None, "U")
    await mondoo.ask(
        "mutation ($input: PolicyAssignmentInput!) { assignPolicy(input: $input) }",
        input={
            "assetMrn": SPACE,
            "policyMrn": "//policy.api.mondoo.app/policies/mondoo-m365-security",
        },
    )
    await mondoo.scan(integration["mrn"])
    again = (await mondoo.ask(query, s=SPACE, labels=labels))["assets"]["nodes"]
    assert [node["mrn"] for node in again] == [nodes[0]["mrn"]]
    assert again[0]["score"] == {"grade": "A", "value": 100}
    assert (await mondoo.read(integration["mrn"]))["assetCounts"] == [
        {"assetType": "ms365", "total": 1}
    ]
    annotated = await mondoo.ask(
        "mutation ($input: SetAssetAnnotationsInput!)"
        " { setAssetAnnotations(input: $input) { asset { annotations { key value } } } }",
        input={
            "spaceMrn": SPACE,
            "mrn": nodes[0]["mrn"],
            "annotations": [{"key": "operation", "value": "7"}],
        },
    )
    assert annotated["setAssetAnnotations"]["asset"]["annotations"] == [
        {"key": "operation", "value": "7"}
    ]


async def test_assets_come_in_pages_and_in_order(simulators: Simulators, mondoo: Mondoo) -> None:
    for _ in range(2):
        await scanned(mondoo, add_scannable(simulators))
    query = (
        "query ($after: String, $direction: OrderDirection!) {"
        f' assets(scopeMrn: "{SPACE}", first: 1, after: $after,'
        " orderBy: {field: NAME, direction: $direction})"
        " { totalCount nodes { name } pageInfo { endCursor hasNextPage } } }"
    )
    names: dict[str, list[str]] = {"ASC": [], "DESC": []}
    for direction, seen in names.items():
        after, more = None, True
        while more:
            page = (await mondoo.ask(query, after=after, direction=direction))["assets"]
            seen += [node["name"] for node in page["nodes"]]
            after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert names["ASC"] == sorted(names["ASC"])
    assert names["DESC"] == names["ASC"][::-1]
    assert len(names["ASC"]) == page["totalCount"] >= 2
    too_many = f'query {{ assets(scopeMrn: "{SPACE}", first: 101) {{ totalCount }} }}'
    assert "code = InvalidArgument" in await mondoo.refused(too_many)


async def test_a_failed_sign_in_discovers_no_asset(simulators: Simulators, mondoo: Mondoo) -> None:
    target = add_scannable(simulators)
    await scanned(mondoo, target, certificate="abcd1234567890")
    assert not [
        asset
        for asset in simulators.mondoo.estate.assets.values()
        if target.tenant.id in asset.name
    ]


def test_stopping_ends_a_scan_that_waits() -> None:
    with Simulators() as simulators:
        simulators.mondoo.scanner.delay = 3600.0
        integration = simulators.run(simulators.mondoo.add_integration, SPACE, "waits")

        async def trigger() -> None:
            simulators.mondoo.scanner.request(integration)

        simulators.run(trigger)
        assert integration.scan_attempted is not None
    assert integration.scan_started is None
