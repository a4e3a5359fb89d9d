"""Subscriptions: each mode, a change of mode, and what is left to do."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from local.simulators.resource_manager import READER
from local.simulators.tenant import SimulatedTenant, new_id
from shared.errors import InvalidRequest
from shared.vault import lifecycle
from tests.driving import Watch, outcomes, step
from tests.shared.azure import Azure
from tests.shared.onboarding.rehearsal import Rehearsal
from tests.shared.onboarding.test_cases_grants import principal_of


async def test_without_subscriptions_nothing_of_azure_is_touched(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert "subscriptions" not in outcomes(operation)
    assert watch.count("resource-manager") == 0
    assert azure.integrations() == []


@pytest.mark.parametrize(
    ("owner_of", "mode", "readable"),
    [
        ("everything", "all", {"root"}),
        ("each subscription", "all", {"production", "test", "sandbox"}),
        ("everything", "allow", {"production", "test"}),
        ("everything", "deny", {"test", "sandbox"}),
    ],
)
async def test_each_mode_gives_mondoo_its_list_and_the_application_its_reader(
    rehearsal: Rehearsal, tenant: SimulatedTenant, owner_of: str, mode: str, readable: set[str]
) -> None:
    azure = Azure(rehearsal, tenant, owner_of=owner_of)
    first, second, _ = azure.ids
    choice: Any = {
        "all": "all",
        "allow": {"allow": [second.upper(), first]},
        "deny": {"deny": [first]},
    }[mode]
    operation = await rehearsal.onboard(tenant, subscriptions=choice)
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["subscriptions"] == "changed"
    assert azure.readable() == readable
    assert (
        azure.lists()
        == {
            "all": ([], []),
            "allow": (sorted([first, second]), []),
            "deny": ([], [first]),
        }[mode]
    )
    with Watch(rehearsal.simulators) as watch:
        again = await rehearsal.onboard(tenant, subscriptions=choice)
    assert set(outcomes(again).values()) == {"passed"}
    assert watch.writes("graph", "vault", "mondoo", "resource-manager") == []
    record = await rehearsal.context.records.get(tenant.id)
    assert record is not None
    assert record.azure_integration == azure.integrations()[0].mrn


async def test_a_change_of_mode_empties_the_other_list_and_takes_reader_back(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    first, second, third = azure.ids
    for choice, readable, lists in (
        ("all", {"root"}, ([], [])),
        ({"allow": [first]}, {"production"}, ([first], [])),
        ({"deny": [first, second]}, {"sandbox"}, ([], sorted([first, second]))),
        ({"allow": [third]}, {"sandbox"}, ([third], [])),
        ("all", {"root"}, ([], [])),
    ):
        planned = await rehearsal.plan(tenant, subscriptions=choice)
        operation = await rehearsal.onboard(tenant, subscriptions=choice)
        assert operation["status"] == "succeeded"
        assert azure.readable() == readable, choice
        assert azure.lists() == lists
        assert outcomes(planned)["subscriptions"] == "planned"
    assert len(azure.integrations()) == 1


async def test_what_we_may_not_assign_is_left_to_do_with_the_command_and_nothing_fails(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="the first")
    automation = rehearsal.automation(tenant)
    second = f"/subscriptions/{azure.ids[1]}"
    rehearsal.simulators.run(azure.estate.assign, automation, READER, second)
    operation = await rehearsal.onboard(tenant, subscriptions="all")
    told = step(operation, "subscriptions")
    assert operation["status"] == "succeeded"
    assert told["outcome"] == "warning"
    (left,) = told["findings"]
    assert (left["code"], left["subject"]) == ("subscription_reader_missing", second)
    principal = principal_of(tenant).id
    assert f"--assignee-object-id {principal}" in left["remediation"]
    assert left["remediation"].endswith(f"--scope {second}")
    assert azure.readable() == {"production"}
    assert azure.lists() == ([], [])


async def test_where_we_see_nothing_the_root_management_group_is_left_to_do(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="nothing")
    operation = await rehearsal.onboard(tenant, subscriptions="all")
    (left,) = step(operation, "subscriptions")["findings"]
    assert left["subject"] == azure.estate.root
    rehearsal.simulators.run(
        azure.estate.assign, principal_of(tenant).id, READER, azure.estate.root
    )


async def test_a_tenant_without_azure_is_onboarded_all_the_same(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    operation = await rehearsal.onboard(tenant, subscriptions="all")
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["subscriptions"] == "warning"


@pytest.mark.parametrize("mode", ["allow", "deny"])
async def test_an_unknown_subscription_is_named(
    rehearsal: Rehearsal, tenant: SimulatedTenant, mode: str
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    unknown = new_id()
    operation = await rehearsal.onboard(tenant, subscriptions={mode: [unknown, azure.ids[0]]})
    (named,) = step(operation, "subscriptions")["findings"]
    assert (named["code"], named["subject"]) == ("subscription_unknown", unknown)
    assert operation["status"] == "succeeded"


@pytest.mark.parametrize("choice", [{}, {"allow": [str(uuid4())], "deny": [str(uuid4())]}])
async def test_never_both_lists_and_never_none(
    rehearsal: Rehearsal, tenant: SimulatedTenant, choice: dict[str, list[str]]
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await rehearsal.order(tenant, subscriptions=choice)
    assert (caught.value.code, caught.value.field) == ("subscriptions_ambiguous", "subscriptions")


async def test_what_others_assigned_counts_and_stays(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    await rehearsal.onboard(tenant)
    by_hand = rehearsal.simulators.run(
        azure.estate.assign,
        principal_of(tenant).id,
        READER,
        f"/subscriptions/{azure.ids[0]}",
    )
    await rehearsal.onboard(tenant, subscriptions={"allow": [azure.ids[0]]})
    await rehearsal.onboard(tenant, subscriptions={"deny": [azure.ids[0]]})
    assert by_hand in azure.estate.roles
    assert azure.readable() == {"production", "test", "sandbox"}


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503},
        {"status": 429, "headers": {"Retry-After": "7"}},
        {"drop": "before"},
        {"drop": "after"},
        {"status": 400, "code": "PrincipalNotFound"},
    ],
    ids=["503", "429", "lost", "made-and-lost", "principal not replicated"],
)
async def test_an_assignment_that_azure_does_not_answer_is_asked_for_again(
    rehearsal: Rehearsal, tenant: SimulatedTenant, fault: dict[str, Any]
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    operation = "PUT /providers/Microsoft.Management/managementGroups/{group}/providers/"
    operation += "Microsoft.Authorization/roleAssignments/{name}"
    rehearsal.fault(operation, tenant, service="resource-manager", **fault)
    ended = await rehearsal.onboard(tenant, subscriptions="all")
    assert ended["status"] == "succeeded"
    assert step(ended, "subscriptions")["attempts"] == 2
    assert azure.readable() == {"root"}


async def test_more_subscriptions_than_a_page_are_all_seen(
    rehearsal: Rehearsal, tenant: SimulatedTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal.simulators.resource_manager, "page", 1)
    azure = Azure(rehearsal, tenant, owner_of="each subscription")
    await rehearsal.onboard(tenant, subscriptions="all")
    assert azure.readable() == {"production", "test", "sandbox"}


async def test_a_create_without_an_answer_leaves_one_azure_integration(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    await rehearsal.onboard(tenant)
    rehearsal.fault("createClientIntegration", tenant, service="mondoo", drop="after")
    operation = await rehearsal.onboard(tenant, subscriptions="all")
    assert operation["status"] == "succeeded"
    assert len(azure.integrations()) == 1


async def test_several_azure_integrations_are_reported_and_none_is_removed(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    await rehearsal.onboard(tenant, subscriptions="all")
    (one,) = azure.integrations()
    twin = rehearsal.simulators.run(
        lambda: rehearsal.simulators.mondoo.add_integration(
            one.scope_mrn, "a twin", kind="AZURE", tenant_id=tenant.id, client_id=one.client_id
        )
    )
    operation = await rehearsal.onboard(tenant, subscriptions="all")
    (found,) = step(operation, "subscriptions")["findings"]
    assert found["code"] == "integration_duplicate"
    assert one.mrn in found["subject"]
    assert azure.integrations() == [one, twin]
    assert twin.labels == {}


async def test_an_azure_integration_that_somebody_made_is_adopted(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    await rehearsal.onboard(tenant)
    theirs = rehearsal.simulators.run(
        lambda: rehearsal.simulators.mondoo.add_integration(
            rehearsal.simulators.mondoo.account.scope_mrn,
            "by hand",
            kind="AZURE",
            tenant_id=tenant.id,
            client_id=principal_of(tenant).app_id,
            labels={"team": "blue"},
        )
    )
    operation = await rehearsal.onboard(tenant, subscriptions={"allow": [azure.ids[0]]})
    assert operation["status"] == "succeeded"
    assert azure.integrations() == [theirs]
    assert theirs.name == "by hand"
    assert theirs.labels["team"] == "blue"
    assert theirs.labels["managed-by"] == "mondoo-onboarding"
    assert azure.scanned() == {"production"}


async def test_azure_is_not_lost_by_the_way_when_a_tenant_moves_to_keyless(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    await rehearsal.onboard(tenant, subscriptions="all")
    with pytest.raises(InvalidRequest) as caught:
        await rehearsal.order(tenant, authentication="federated")
    (one,) = azure.integrations()
    assert (caught.value.code, caught.value.field) == ("authentication_conflict", "authentication")
    assert one.mrn in caught.value.message
    del rehearsal.simulators.mondoo.integrations[one.mrn]
    order = await rehearsal.order(tenant, authentication="federated")
    assert order.keyless


async def test_leaving_the_field_out_leaves_azure_as_it_is_with_the_certificate_in_use(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    await rehearsal.onboard(tenant, subscriptions={"allow": [azure.ids[0]]})
    (one,) = azure.integrations()
    before = one.certificate
    # The certificate was switched off, so a new one is made.
    record = await rehearsal.context.records.get(tenant.id)
    assert record is not None
    assert record.certificate is not None
    await lifecycle.disable(rehearsal.context.vault, record.certificate)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["azure-scan"] == "changed"
    assert azure.integrations() == [one]
    assert one.certificate not in (None, before)
    assert azure.scanned() == {"production"}


async def test_an_azure_integration_that_was_deleted_is_not_made_again_unasked(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    azure = Azure(rehearsal, tenant, owner_of="everything")
    await rehearsal.onboard(tenant, subscriptions="all")
    (one,) = azure.integrations()
    del rehearsal.simulators.mondoo.integrations[one.mrn]
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert azure.integrations() == []
