"""Azure scanned: asked for once, waited for, and judged by what the scanner met."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from local.simulators.mondoo.estate import Message
from local.simulators.resource_manager import OWNER
from local.simulators.tenant import SimulatedTenant, new_id
from tests.driving import Watch, outcomes, step
from tests.shared.azure import Azure
from tests.shared.onboarding.rehearsal import Rehearsal
from tests.shared.onboarding.test_cases_grants import principal_of
from tests.shared.onboarding.test_first_result import application_disabled, certificate_taken_off


def causes(told: dict[str, Any]) -> list[tuple[str, str]]:
    (azure,) = told["coverage"]
    assert azure["service"] == "azure"
    return [(each["kind"], each["code"]) for each in azure.get("causes", [])]


def state(told: dict[str, Any]) -> str:
    return str(told["coverage"][0]["state"])


@pytest.mark.parametrize(
    ("mode", "scanned"),
    [
        ("all", {"production", "test", "sandbox"}),
        ("allow", {"production", "test"}),
        ("deny", {"test", "sandbox"}),
    ],
)
async def test_each_mode_is_scanned_as_far_as_its_list_goes(
    rehearsal: Rehearsal, tenant: SimulatedTenant, mode: str, scanned: set[str]
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    first, second, _ = azure.ids
    choice: Any = {"all": "all", "allow": {"allow": [first, second]}, "deny": {"deny": [first]}}
    operation = await rehearsal.onboard(tenant, subscriptions=choice[mode])
    told = step(operation, "azure-scan")
    assert operation["status"] == "succeeded"
    assert (told["outcome"], state(told), causes(told)) == ("changed", "scanned", [])
    assert azure.scanned() == scanned
    record = await rehearsal.context.records.get(tenant.id)
    assert record is not None
    assert [each.service for each in record.coverage][-1] == "azure"
    assert len(record.coverage) == 6
    with Watch(rehearsal.simulators) as watch:
        again = await rehearsal.onboard(tenant, subscriptions=choice[mode])
    assert outcomes(again)["azure-scan"] == "passed"
    assert "mondoo triggerAction" not in watch.writes("mondoo")


async def test_without_subscriptions_there_is_no_such_step(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    assert "azure-scan" not in outcomes(await rehearsal.onboard(tenant))


async def test_a_plan_says_that_azure_would_be_scanned_and_asks_for_nothing(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    Azure(rehearsal, tenant, owner_of="everything")
    for _ in range(2):
        with Watch(rehearsal.simulators) as watch:
            planned = await rehearsal.plan(tenant, subscriptions="all")
        assert outcomes(planned)["azure-scan"] == "planned"
        assert watch.writes("mondoo") == []
        await rehearsal.onboard(tenant)


def certificate_unknown_to_mondoo(rehearsal: Rehearsal, azure: Azure) -> None:
    azure.integrations()[0].certificate = "abcd1234567890"


def taken_off(rehearsal: Rehearsal, azure: Azure) -> None:
    certificate_taken_off(rehearsal, azure.tenant)


def disabled(rehearsal: Rehearsal, azure: Azure) -> None:
    application_disabled(rehearsal, azure.tenant)


FAILURES: dict[str, tuple[Callable[[Rehearsal, Azure], None], str, str]] = {
    "certificate unusable": (
        certificate_unknown_to_mondoo,
        "integration_certificate_unusable",
        "from the vault anew",
    ),
    "certificate not registered": (
        taken_off,
        "certificate_not_registered",
        "added to the application",
    ),
    "application disabled": (disabled, "application_disabled", "enable it"),
}


@pytest.mark.parametrize("reason", FAILURES)
async def test_a_scan_that_fails_fails_the_operation_with_the_remedy_and_heals(
    rehearsal: Rehearsal, tenant: SimulatedTenant, reason: str
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    breaking, code, remedy = FAILURES[reason]
    trigger = rehearsal.simulators.mondoo.scanner.request

    def break_it(integration: Any) -> None:
        # When Mondoo is asked, all that we look at beforehand has been found right.
        if integration.type == "AZURE":
            breaking(rehearsal, azure)
        trigger(integration)

    rehearsal.simulators.mondoo.scanner.request = break_it  # type: ignore[method-assign]
    try:
        operation = await rehearsal.onboard(tenant, subscriptions="all")
    finally:
        rehearsal.simulators.mondoo.scanner.request = trigger  # type: ignore[method-assign]
    told = step(operation, "azure-scan")
    assert operation["status"] == "failed"
    assert (told["outcome"], told["code"]) == ("failed", "azure_scan_failed")
    assert (state(told), [each for _, each in causes(told)]) == ("not-scanned", [code])
    assert remedy in told["remediation"]
    assert [each["severity"] for each in told["findings"]] == ["high"]
    assert outcomes(operation)["first-scan"] in ("changed", "passed")
    healed = await rehearsal.onboard(tenant, subscriptions="all")
    assert healed["status"] == "succeeded", step(healed, "azure-scan")
    assert azure.scanned() == {"production", "test", "sandbox"}


async def test_without_reader_nothing_is_scanned_and_the_remedy_is_the_command(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="nothing")
    operation = await rehearsal.onboard(tenant, subscriptions="all")
    told = step(operation, "azure-scan")
    assert operation["status"] == "failed"
    assert told["code"] == "azure_scan_failed"
    assert causes(told) == [("role", "subscription_reader_missing")]
    assert "az role assignment create --role Reader" in told["remediation"]
    record = await rehearsal.context.records.get(tenant.id)
    assert record is not None
    assert record.onboarded_at is None
    # Somebody who may runs the command, and the request is sent again.
    root = azure.estate.root
    rehearsal.simulators.run(azure.estate.assign, principal_of(tenant).id, OWNER, root)
    again = await rehearsal.onboard(tenant, subscriptions="all")
    # We may look no more than before: it is the scan that proves it.
    assert outcomes(again)["azure-scan"] == "changed"
    assert state(step(again, "azure-scan")) == "scanned"
    assert again["status"] == "succeeded"
    assert azure.scanned() == {"production", "test", "sandbox"}


async def test_one_subscription_without_reader_is_a_warning_that_names_it(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="the first")
    second = f"/subscriptions/{azure.ids[1]}"
    reader = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
    rehearsal.simulators.run(azure.estate.assign, rehearsal.automation(tenant), reader, second)
    operation = await rehearsal.onboard(tenant, subscriptions="all")
    told = step(operation, "azure-scan")
    assert operation["status"] == "succeeded"
    assert (told["outcome"], state(told)) == ("warning", "partly")
    assert [each["subject"] for each in told["findings"]] == [second]
    assert azure.scanned() == {"production"}


async def test_a_subscription_that_nobody_knows_is_a_warning(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    unknown = new_id()
    operation = await rehearsal.onboard(tenant, subscriptions={"allow": [azure.ids[0], unknown]})
    told = step(operation, "azure-scan")
    assert (told["outcome"], state(told)) == ("warning", "partly")
    assert {each["code"] for each in told["findings"]} == {"subscription_unknown", "scan_message"}
    assert azure.scanned() == {"production"}


async def test_a_tenant_without_azure_has_nothing_wrong_with_it(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    operation = await rehearsal.onboard(tenant, subscriptions="all")
    told = step(operation, "azure-scan")
    assert operation["status"] == "succeeded"
    assert (told["outcome"], state(told)) == ("warning", "not-scanned")
    assert causes(told) == [("licence", "resource_absent")]


async def test_a_tenant_without_a_subscription_has_nothing_wrong_with_it(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    azure.estate.subscriptions.clear()
    operation = await rehearsal.onboard(tenant, subscriptions="all")
    assert operation["status"] == "succeeded"
    assert causes(step(operation, "azure-scan")) == [("licence", "subscriptions_absent")]


async def test_mondoo_is_not_asked_before_azure_honours_the_role(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    azure.estate.lag = timedelta(minutes=10)
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant, subscriptions="all")
    told = step(operation, "azure-scan")
    assert operation["status"] == "succeeded"
    assert (told["outcome"], state(told)) == ("changed", "scanned")
    assert told["attempts"] > 5
    assert watch.writes("mondoo").count("mondoo triggerAction") == 2  # one for each integration


async def test_a_role_that_is_never_honoured_leaves_the_operation_waiting(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    azure.estate.lag = timedelta(days=1)
    operation = await rehearsal.onboard(tenant, subscriptions="all")
    told = step(operation, "azure-scan")
    assert operation["status"] == "waiting"
    assert (told["outcome"], told["code"]) == ("unknown", "azure_reader_not_effective")
    assert "production" in told["message"]


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_a_scan_request_without_an_answer_is_not_repeated(
    rehearsal: Rehearsal, tenant: SimulatedTenant, drop: str
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")

    def lose() -> None:
        rehearsal.fault("triggerAction", tenant, service="mondoo", drop=drop)

    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(
            tenant, subscriptions="all", before={"azure-scan": lose}
        )
    assert watch.writes("mondoo").count("mondoo triggerAction") == 2  # one for each integration
    told = step(operation, "azure-scan")
    if drop == "after":
        assert operation["status"] == "succeeded"
        assert azure.scanned() == {"production", "test", "sandbox"}
    else:
        assert (operation["status"], told["code"]) == ("waiting", "scan_not_finished")


async def test_a_paused_integration_stays_paused_and_is_not_called_scanned(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    await rehearsal.onboard(tenant, subscriptions="all")
    (one,) = azure.integrations()
    one.paused = True
    operation = await rehearsal.onboard(tenant, subscriptions={"deny": [azure.ids[0]]})
    assert step(operation, "azure-scan")["code"] == "integration_paused"
    assert one.paused


@pytest.mark.parametrize(
    ("status", "outcome"), [("WARNING", "warning"), ("ERROR", "failed"), ("INFO", "passed")]
)
async def test_a_message_that_nobody_has_explained_is_passed_on_as_it_is(
    rehearsal: Rehearsal, tenant: SimulatedTenant, status: str, outcome: str
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    await rehearsal.onboard(tenant, subscriptions="all")
    text = "the flux capacitor is not aligned"
    record = rehearsal.simulators.mondoo.scanner._record

    def recorded(integration: Any, report: Any) -> None:
        if integration.type == "AZURE":
            now = rehearsal.simulators.clock.now()
            report.messages.append(Message(text, status, "flux", now))
        record(integration, report)

    rehearsal.simulators.mondoo.scanner._record = recorded  # type: ignore[method-assign]
    try:
        rehearsal.simulators.run(
            rehearsal.simulators.mondoo.scanner.request, azure.integrations()[0]
        )
        operation = await rehearsal.onboard(tenant, subscriptions={"deny": [azure.ids[0]]})
    finally:
        rehearsal.simulators.mondoo.scanner._record = record  # type: ignore[method-assign]
    told = step(operation, "azure-scan")
    assert told["outcome"] == {"passed": "changed"}.get(outcome, outcome)
    said = [each["message"] for each in told.get("findings", [])]
    assert said == ([] if status == "INFO" else [text])
