"""The Azure side in an audit: its integration, its last scan, and what that covers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.simulators.mondoo.estate import Integration, Message
from local.simulators.tenant import SimulatedTenant
from local.stack import LocalStack
from shared.audit.report import AuditReport
from shared.audit.steps import audit_tenant, followed
from shared.models import RepairPolicy
from tests.driving import Watch, eventually
from tests.shared.azure import Azure
from tests.shared.lives import Life

QUIET = {"not_checked"}
"""What every audit here finds."""


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with LocalStack(host=False) as running:
        running.simulators.mondoo.scanner.delay = 0.0
        yield running


@pytest.fixture
async def life(stack: LocalStack) -> AsyncIterator[Life]:
    one = Life(stack)
    yield one
    await one.aclose()


@pytest.fixture
def tenant(life: Life) -> SimulatedTenant:
    return life.add_tenant()


@pytest.fixture
async def azure(life: Life, tenant: SimulatedTenant) -> Azure:
    """A tenant whose subscriptions are scanned."""
    one = Azure(life, tenant, owner_of="everything")
    operation = await life.onboard(tenant, subscriptions="all", manifest="2026-09")
    assert operation["status"] == "succeeded"
    return one


async def audit(life: Life, tenant: SimulatedTenant) -> AuditReport:
    return await audit_tenant(
        life.context,
        await life.record(tenant),
        policy=RepairPolicy.ENFORCE,
        operation_id="an-operation",
    )


def codes(report: AuditReport) -> set[str]:
    return {finding.code for finding in report.findings} - QUIET


def of_azure(report: AuditReport) -> tuple[str, list[str]]:
    (one,) = [each for each in report.coverage if each.service == "azure"]
    return one.state.value, [cause.code for cause in one.causes]


async def test_a_tenant_without_drift_is_clean_and_its_coverage_has_azure_in_it(
    life: Life, tenant: SimulatedTenant, azure: Azure
) -> None:
    with Watch(life.simulators) as watch:
        report = await audit(life, tenant)
    assert codes(report) == set()
    assert len(report.coverage) == 6
    assert of_azure(report) == ("scanned", [])
    assert watch.count("mondoo") == 2
    assert watch.count("resource-manager") == 0
    record = await life.record(tenant)
    assert followed(record, report).coverage == record.coverage


async def test_without_subscriptions_nothing_is_said_of_azure(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant, manifest="2026-09")
    with Watch(life.simulators) as watch:
        report = await audit(life, tenant)
    assert codes(report) == set()
    assert "azure" not in {each.service for each in report.coverage}
    assert watch.count("mondoo") == 1


def gone(life: Life, one: Integration) -> None:
    del life.simulators.mondoo.integrations[one.mrn]


def paused(life: Life, one: Integration) -> None:
    one.paused = True


def overdue(life: Life, one: Integration) -> None:
    one.scan_finished = life.simulators.clock.now() - timedelta(days=3)


def another_certificate(life: Life, one: Integration) -> None:
    one.labels["certificate-thumbprint"] = "0" * 40


@pytest.mark.parametrize(
    ("drift", "code"),
    [
        (gone, "azure_integration_missing"),
        (paused, "azure_integration_paused"),
        (overdue, "azure_scan_overdue"),
        (another_certificate, "azure_integration_certificate_differs"),
    ],
)
async def test_a_drift_of_the_integration_is_found(
    life: Life, tenant: SimulatedTenant, azure: Azure, drift: Any, code: str
) -> None:
    (one,) = azure.integrations()
    life.simulators.run(drift, life, one)
    report = await audit(life, tenant)
    assert codes(report) == {code}
    assert not report.changes


async def test_a_scan_that_sees_nothing_any_more_is_found_with_what_it_covers(
    life: Life, tenant: SimulatedTenant, azure: Azure
) -> None:
    (one,) = azure.integrations()
    before = one.scan_finished

    def take_reader_away_and_scan() -> None:
        ours = life.automation(tenant)
        azure.estate.roles[:] = [r for r in azure.estate.roles if r.principal_id == ours]
        life.simulators.mondoo.scanner.request(one)

    life.simulators.run(take_reader_away_and_scan)
    eventually(lambda: (one.scan_finished != before) or None, "Azure was scanned again")
    report = await audit(life, tenant)
    assert codes(report) == {"subscriptions_not_seen"}
    assert of_azure(report) == ("not-scanned", ["subscriptions_not_seen"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("AADSTS700027: no key", "certificate_not_registered"),
        ("what is this?", "scan_message"),
    ],
)
async def test_what_the_scan_of_azure_said_is_told_beside_that_of_the_tenant(
    life: Life, tenant: SimulatedTenant, azure: Azure, text: str, code: str
) -> None:
    now = life.simulators.clock.now()
    for one in life.simulators.mondoo.integrations.values():
        if one.tenant_id == tenant.id:
            one.messages.append(Message(text, "ERROR", "connection", now))
    report = await audit(life, tenant)
    keys = [finding.key or "" for finding in report.findings if finding.code == code]
    assert len(keys) == 2
    assert any(":scan:" in key for key in keys)
    assert any(":azure-scan:" in key for key in keys)
