"""Leaving Azure: the integration and the Reader assignments that were made here, and no others."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from local.simulators.faults import Fault
from local.simulators.resource_manager import OWNER, READER
from local.simulators.tenant import SimulatedTenant
from shared.models import Fate, ObjectKind, Receipt, ReceiptEntry
from shared.transitions import TenantState
from tests.driving import Watch, outcomes, step
from tests.shared.azure import Azure
from tests.shared.lives import SHORT, Life, die
from tests.shared.offboarding.test_offboarding import fates, of_kind, receipt_of
from tests.shared.onboarding.test_cases_grants import principal_of

AZURE = ("azure-integration", "azure-role")
GROUP = "/providers/Microsoft.Management/managementGroups/{group}"
ROLES = "/providers/Microsoft.Authorization/roleAssignments"


def no_longer_let_in(life: Life, azure: Azure) -> None:
    """Our automation loses every role that it has in Azure."""
    ours = life.automation(azure.tenant)
    azure.estate.roles[:] = [role for role in azure.estate.roles if role.principal_id != ours]


def roles_of(receipt: Receipt) -> dict[str, ReceiptEntry]:
    return {entry.name: entry for entry in of_kind(receipt, ObjectKind.AZURE_ROLE)}


@pytest.mark.parametrize(
    ("owner_of", "names"),
    [
        ("everything", {"Reader on the root management group"}),
        (
            "each subscription",
            {"Reader on production", "Reader on test", "Reader on sandbox"},
        ),
    ],
)
async def test_what_was_made_in_mondoo_and_azure_is_removed_and_on_the_receipt(
    life: Life, tenant: SimulatedTenant, owner_of: str, names: set[str]
) -> None:
    azure = Azure(life, tenant, owner_of=owner_of)
    await life.onboard(tenant, subscriptions="all")
    (made,) = azure.integrations()
    held = azure.granted()
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert {outcomes(operation)[name] for name in AZURE} == {"changed"}
    assert azure.integrations() == []
    assert held
    assert not [role for role in azure.estate.roles if role in held]
    receipt = await receipt_of(life, tenant)
    assert receipt.complete
    assert fates(receipt)["azure-integration"] == fates(receipt)["azure-role"] == {"removed"}
    assert [each.id for each in of_kind(receipt, ObjectKind.AZURE_INTEGRATION)] == [made.mrn]
    assert set(roles_of(receipt)) == names
    record = await life.record(tenant)
    assert (record.azure_integration, record.subscriptions, record.reader_scopes) == (None,) * 3


async def test_azure_is_cleared_while_the_service_principal_is_still_there(
    life: Life, tenant: SimulatedTenant
) -> None:
    azure = Azure(life, tenant, owner_of="everything")
    await life.onboard(tenant, subscriptions="all")

    def look() -> None:
        assert azure.integrations() == []
        assert azure.readable() == set()

    await life.offboard(tenant, before={"service-principal": look})


async def test_a_tenant_that_never_had_azure_scanned_is_not_looked_for_there(
    life: Life, tenant: SimulatedTenant
) -> None:
    Azure(life, tenant, owner_of="everything")
    await life.onboard(tenant)
    with Watch(life.simulators) as watch:
        operation = await life.offboard(tenant)
    assert {outcomes(operation)[name] for name in AZURE} == {"passed"}
    assert watch.count("resource-manager") == 0
    assert not set(AZURE) & set(fates(await receipt_of(life, tenant)))


async def test_what_others_made_is_kept_and_told(life: Life, tenant: SimulatedTenant) -> None:
    azure = Azure(life, tenant, owner_of="everything")
    await life.onboard(tenant, subscriptions={"deny": [azure.ids[0]]})
    ours, (made,) = principal_of(tenant), azure.integrations()
    first = f"/subscriptions/{azure.ids[0]}"
    by_hand = life.simulators.run(azure.estate.assign, ours.id, READER, first)
    theirs = life.simulators.run(
        lambda: life.simulators.mondoo.add_integration(
            made.scope_mrn, "theirs", kind="AZURE", tenant_id=tenant.id, client_id=ours.app_id
        )
    )
    other = life.simulators.run(
        lambda: life.simulators.mondoo.add_integration(
            made.scope_mrn, "of another app", kind="AZURE", tenant_id=tenant.id, client_id="other"
        )
    )
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert azure.integrations() == [theirs, other]
    assert by_hand in azure.estate.roles
    receipt = await receipt_of(life, tenant)
    told = {each.id: each.fate for each in of_kind(receipt, ObjectKind.AZURE_INTEGRATION)}
    assert told == {made.mrn: Fate.REMOVED, theirs.mrn: Fate.KEPT}
    assert set(roles_of(receipt)) == {"Reader on test", "Reader on sandbox"}
    assert outcomes(operation)["azure-integration"] == "warning"


async def test_offboarding_twice_finds_nothing_the_second_time(
    life: Life, tenant: SimulatedTenant
) -> None:
    Azure(life, tenant, owner_of="everything")
    await life.onboard(tenant, subscriptions="all")
    await life.offboard(tenant)
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert {outcomes(operation)[name] for name in AZURE} == {"passed"}
    assert (await receipt_of(life, tenant)).complete


async def test_what_someone_removed_by_hand_is_told_as_gone_before(
    life: Life, tenant: SimulatedTenant
) -> None:
    azure = Azure(life, tenant, owner_of="each subscription")
    await life.onboard(tenant, subscriptions="all")
    (made,) = azure.integrations()
    gone, ours = f"/subscriptions/{azure.ids[0]}", principal_of(tenant).id

    def by_hand() -> None:
        del life.simulators.mondoo.integrations[made.mrn]
        azure.estate.roles[:] = [
            role for role in azure.estate.roles if (role.principal_id, role.scope) != (ours, gone)
        ]
        del azure.estate.subscriptions[azure.ids[1]]

    life.simulators.run(by_hand)
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    receipt = await receipt_of(life, tenant)
    assert receipt.complete
    assert fates(receipt)["azure-integration"] == {"absent"}
    assert {name: entry.fate for name, entry in roles_of(receipt).items()} == {
        "Reader on production": Fate.ABSENT,
        f"Reader on /subscriptions/{azure.ids[1]}": Fate.ABSENT,
        "Reader on sandbox": Fate.REMOVED,
    }


async def test_reader_goes_though_the_application_was_deleted_by_hand(
    life: Life, tenant: SimulatedTenant
) -> None:
    azure = Azure(life, tenant, owner_of="everything")
    await life.onboard(tenant, subscriptions="all")
    ours = principal_of(tenant)
    application = tenant.application_by_app_id(ours.app_id)
    life.simulators.run(tenant.delete_application, application)
    assert (await life.offboard(tenant))["status"] == "succeeded"
    assert not [role for role in azure.estate.roles if role.principal_id == ours.id]
    assert fates(await receipt_of(life, tenant))["azure-role"] == {"removed"}


async def test_where_we_may_not_look_any_more_it_is_unknown_with_what_is_left_to_do(
    life: Life, tenant: SimulatedTenant
) -> None:
    azure = Azure(life, tenant, owner_of="everything")
    await life.onboard(tenant, subscriptions="all")
    (granted,) = azure.granted()
    life.simulators.run(no_longer_let_in, life, azure)
    operation = await life.offboard(tenant)
    assert operation["status"] == "failed"
    told, command = (
        step(operation, "azure-role"),
        f"az role assignment delete --ids {granted.scope}",
    )
    assert (told["outcome"], told["code"]) == ("failed", "azure_roles_left")
    assert command in told["remediation"]
    # Everything else goes all the same.
    assert outcomes(operation)["azure-integration"] == "changed"
    assert outcomes(operation)["service-principal"] == "changed"
    receipt = await receipt_of(life, tenant)
    (entry,) = of_kind(receipt, ObjectKind.AZURE_ROLE)
    assert not receipt.complete
    assert entry.fate is Fate.UNKNOWN
    assert f"{command}{ROLES}/{granted.name}" in (entry.message or "")
    assert (await life.record(tenant)).state is TenantState.OFFBOARDING_INCOMPLETE
    # Somebody lets us in again: the principal is gone by now, and its role is still found.
    life.simulators.run(azure.estate.assign, life.automation(tenant), OWNER, azure.estate.root)
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert (await receipt_of(life, tenant)).complete
    assert granted not in azure.estate.roles


async def test_where_we_may_look_and_not_remove_it_is_present_with_what_is_left_to_do(
    life: Life, tenant: SimulatedTenant
) -> None:
    azure = Azure(life, tenant, owner_of="each subscription")
    await life.onboard(tenant, subscriptions="all")
    ours, second = life.automation(tenant), f"/subscriptions/{azure.ids[1]}"

    def demote() -> None:
        for role in azure.estate.roles:
            if (role.principal_id, role.scope) == (ours, second):
                role.role_id = READER

    life.simulators.run(demote)
    operation = await life.offboard(tenant)
    assert operation["status"] == "failed"
    receipt = await receipt_of(life, tenant)
    assert {name: entry.fate for name, entry in roles_of(receipt).items()} == {
        "Reader on production": Fate.REMOVED,
        "Reader on test": Fate.PRESENT,
        "Reader on sandbox": Fate.REMOVED,
    }
    left = roles_of(receipt)["Reader on test"]
    assert f"az role assignment delete --ids {left.id}" in (left.message or "")
    assert left.id in step(operation, "azure-role")["remediation"]


async def test_where_we_were_never_let_in_there_is_nothing_of_ours_to_remove(
    life: Life, tenant: SimulatedTenant
) -> None:
    """What somebody assigned by hand, at our request, is theirs."""
    azure = Azure(life, tenant, owner_of="nothing")
    theirs: list[Any] = []

    def by_hand() -> None:
        ours = principal_of(tenant).id
        theirs.append(azure.estate.assign(ours, READER, azure.estate.root))

    await life.onboard(
        tenant, subscriptions="all", before={"subscriptions": lambda: life.simulators.run(by_hand)}
    )
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["azure-role"] == "passed"
    assert theirs[0] in azure.estate.roles
    assert (await receipt_of(life, tenant)).complete


async def test_an_attempt_that_ended_without_telling_leaves_it_unknown_where_we_may_not_look(
    life: Life, tenant: SimulatedTenant
) -> None:
    azure = Azure(life, tenant, owner_of="everything")
    onboarded = await life.onboard(
        tenant,
        subscriptions="all",
        waits=SHORT,
        before={
            "subscriptions": lambda: life.fault("*", None, service="mondoo", status=503, times=None)
        },
    )
    assert onboarded["status"] == "waiting"
    life.simulators.run(life.simulators.faults.clear)
    assert azure.readable() == {"root"}
    life.simulators.run(no_longer_let_in, life, azure)
    operation = await life.offboard(tenant)
    assert operation["status"] == "failed"
    (entry,) = of_kind(await receipt_of(life, tenant), ObjectKind.AZURE_ROLE)
    assert entry.fate is Fate.UNKNOWN
    assert entry.id in (entry.message or "")
    life.simulators.run(azure.estate.assign, life.automation(tenant), OWNER, azure.estate.root)
    assert (await life.offboard(tenant))["status"] == "succeeded"
    assert fates(await receipt_of(life, tenant))["azure-role"] == {"removed"}


@pytest.mark.parametrize("stage", ["service-principal", "subscriptions", "policies"])
async def test_a_half_onboarded_tenant_is_cleared_with_what_there_is(
    life: Life, tenant: SimulatedTenant, stage: str
) -> None:
    azure = Azure(life, tenant, owner_of="everything")
    services = ("graph", "mondoo")

    def stop() -> None:
        for service in services:
            life.simulators.faults.add(
                Fault(service, operation="*", tenant=None, status=403, times=None)
            )

    hook = {stage: lambda: life.simulators.run(stop)}
    await life.onboard(tenant, subscriptions="all", before=hook, waits=SHORT)
    life.simulators.run(life.simulators.faults.clear)
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert azure.integrations() == []
    ours = life.automation(tenant)
    assert {role.principal_id for role in azure.estate.roles} == {ours}
    assert (await receipt_of(life, tenant)).complete


@pytest.mark.parametrize("name", AZURE)
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_crash_is_told_truly_and_heals_by_sending_it_again(
    life: Life, tenant: SimulatedTenant, name: str, moment: str
) -> None:
    azure = Azure(life, tenant, owner_of="everything")
    await life.onboard(tenant, subscriptions="all")
    hooks: dict[str, Any] = {moment: {name: die}}
    operation = await life.offboard(tenant, **hooks)
    assert operation["status"] == "failed"
    assert fates(await receipt_of(life, tenant))[name] == {"unknown"}
    assert (await life.offboard(tenant))["status"] == "succeeded"
    assert azure.integrations() == []
    assert (await receipt_of(life, tenant)).complete


@pytest.mark.parametrize(
    "fault",
    [{"status": 503}, {"status": 429, "headers": {"Retry-After": "7"}}, {"drop": "after"}],
    ids=["503", "429", "removed-and-lost"],
)
async def test_a_removal_that_azure_does_not_answer_is_asked_for_again(
    life: Life, tenant: SimulatedTenant, fault: dict[str, Any]
) -> None:
    azure = Azure(life, tenant, owner_of="everything")
    await life.onboard(tenant, subscriptions="all")
    operation = f"DELETE {GROUP}{ROLES}/{{name}}"
    life.fault(operation, tenant, service="resource-manager", **fault)
    ended = await life.offboard(tenant)
    assert ended["status"] == "succeeded"
    assert step(ended, "azure-role")["attempts"] == 2
    assert azure.granted() == []
    assert fates(await receipt_of(life, tenant))["azure-role"] == {"removed"}


async def test_an_older_record_that_does_not_say_where_reader_is_ours_is_enough(
    life: Life, tenant: SimulatedTenant
) -> None:
    azure = Azure(life, tenant, owner_of="everything")
    await life.onboard(tenant, subscriptions="all")
    record = msgspec.structs.replace(
        await life.record(tenant), subscriptions=None, reader_scopes=None
    )
    await life.context.records.put(record)
    await life.offboard(tenant)
    assert azure.granted() == []
    assert (await receipt_of(life, tenant)).complete
