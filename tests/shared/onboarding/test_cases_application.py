"""Field cases, group A and the names of group C: whose application it is, from start to end."""

from __future__ import annotations

import pytest

from local.simulators.catalogue import GLOBAL_READER
from local.simulators.objects import Application, Lag
from local.simulators.picture import picture
from local.simulators.tenant import SimulatedTenant, new_id
from shared.models import MARK
from tests.driving import Watch, outcomes, step
from tests.end_to_end.test_onboarding import ONCE, end_state
from tests.shared.entra.certificates import pair
from tests.shared.onboarding.rehearsal import NAME, Rehearsal

CREATE = "PATCH /applications(uniqueName='{uniqueName}')"
LOOKUP = "GET /applications(uniqueName='{uniqueName}')"


def named(tenant: SimulatedTenant, name: str = NAME) -> list[Application]:
    """The applications of a name, letter case included."""
    return [app for app in tenant.applications.values() if app.display_name == name]


def writes_on(watch: Watch, *ids: str) -> list[str]:
    """Writes whose path names one of the ids."""
    return [c.path for c in watch.calls if c.write and any(each in c.path for each in ids)]


# --- A1, A2, A11: a name that is taken ---------------------------------------------------------


async def test_case_a1_a_lost_answer_and_slow_replication_leave_one_application(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    tenant.lag = Lag(objects=90.0)
    rehearsal.fault(CREATE, tenant, drop="after")
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert step(operation, "application")["attempts"] > 2
    assert end_state(rehearsal, tenant) == ONCE
    assert not [call for call in watch.calls if call.method == "DELETE"]


async def test_case_a2_a_deleted_application_of_ours_is_restored_with_all_that_hangs_on_it(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    (ours,) = named(tenant)
    rehearsal.simulators.run(tenant.delete_application, ours)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert "restored" in step(operation, "application")["message"]
    assert named(tenant) == [ours]
    assert end_state(rehearsal, tenant) == ONCE


async def test_case_a2_a_strangers_deleted_application_is_reported_and_left_alone(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    stranger = tenant.add_application(NAME, unique_name=NAME)
    tenant.delete_application(stranger)
    before = picture(tenant)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "failed"
    told = step(operation, "application")
    assert told["code"] == "application_name_taken"
    assert stranger.app_id in told["message"]
    assert told["remediation"]
    assert picture(tenant) == before


async def test_case_a11_after_a_restore_with_a_new_principal_everything_is_granted_again(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    (ours,) = named(tenant)
    old = tenant.service_principal_by_app_id(ours.app_id)
    tenant.switches.restore_makes_new_principal = True
    rehearsal.simulators.run(tenant.delete_application, ours)
    rehearsal.simulators.run(tenant.restore, ours)  # by hand, in the portal
    new = tenant.service_principal_by_app_id(ours.app_id)
    assert old is not None
    assert new is not None
    assert new.id != old.id
    new.owners.append(rehearsal.automation(tenant))
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["permissions"] == outcomes(operation)["directory-role"] == "changed"
    assert end_state(rehearsal, tenant) == ONCE
    assert tenant.has_directory_role(new.id, GLOBAL_READER)


# --- A4 to A8: names that prove nothing --------------------------------------------------------


async def test_case_a4_ours_without_a_unique_name_is_kept_and_given_one(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    owner = rehearsal.automation(tenant)
    ours = tenant.add_application(NAME, tags=[MARK], owners=[owner])
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert named(tenant) == [ours]
    assert ours.unique_name == NAME
    assert end_state(rehearsal, tenant) == ONCE


async def test_case_a4_an_unmarked_namesake_without_a_unique_name_is_only_reported(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    stranger = tenant.add_application(NAME)
    before = tenant.snapshot(stranger.id)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    (finding,) = step(operation, "preflight")["findings"]
    assert (finding["code"], finding["subject"]) == ("application_namesake", stranger.app_id)
    assert len(named(tenant)) == 2
    assert tenant.snapshot(stranger.id) == before


async def test_case_a4_an_unmarked_application_is_adopted_when_the_request_says_so(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    theirs = pair("theirs")
    known = tenant.add_application(
        "Mondoo, by hand",
        unique_name="by-hand",
        tags=["theirs"],
        key_credentials=[theirs.certificate],
        owners=[rehearsal.automation(tenant)],
    )
    operation = await rehearsal.onboard(tenant, adopt=known.app_id.upper())
    assert operation["status"] == "succeeded"
    assert known.tags == ["theirs", MARK]
    assert known.key_credentials[0].der == theirs.der
    assert len(known.key_credentials) == 2
    again = await rehearsal.onboard(tenant)
    assert set(outcomes(again).values()) == {"passed"}, "from now on it is ours"


async def test_case_a4_our_mark_on_an_application_that_is_not_ours_to_change_proves_nothing(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    other = tenant.add_application(NAME, tags=[MARK])
    before = tenant.snapshot(other.id)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "failed"
    told = step(operation, "application")
    assert told["code"] == "graph_permission_missing"
    assert "owner" in told["remediation"]
    assert tenant.snapshot(other.id) == before


async def test_case_a4_a_strangers_unique_name_is_told_before_anything_is_changed(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    stranger = tenant.add_application("Something else", unique_name=NAME)
    before = picture(tenant)
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "refused"
    told = step(operation, "preflight")
    assert told["code"] == "application_name_taken"
    assert stranger.app_id in told["remediation"]
    assert watch.writes("graph", "vault", "mondoo") == []
    assert picture(tenant) == before


async def test_case_a5_nothing_is_ever_written_to_a_strangers_application_of_our_name(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    stranger = tenant.add_application(
        NAME, key_credentials=[pair("first").certificate, pair("second", key=1).certificate]
    )
    principal = tenant.service_principal_by_app_id(stranger.app_id)
    assert principal is not None
    before = tenant.snapshot(stranger.id)
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert writes_on(watch, stranger.id, stranger.app_id, principal.id) == []
    assert tenant.snapshot(stranger.id) == before
    assert tenant.grants_of(principal.id) == []


async def test_case_a6_namesakes_in_any_letter_case_are_listed_and_left_alone(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    strangers = [tenant.add_application(name) for name in (NAME, "Mondoo-MS365", NAME.upper())]
    before = [tenant.snapshot(each.id) for each in strangers]
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    listed = {finding["subject"] for finding in step(operation, "preflight")["findings"]}
    assert listed == {each.app_id for each in strangers}
    assert [tenant.snapshot(each.id) for each in strangers] == before


async def test_case_a6_of_several_that_carry_our_mark_none_is_picked(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    owner = rehearsal.automation(tenant)
    first, second = (tenant.add_application(NAME, tags=[MARK], owners=[owner]) for _ in range(2))
    before = picture(tenant)
    with Watch(rehearsal.simulators) as watch:
        refused = await rehearsal.onboard(tenant)
    assert refused["status"] == "refused"
    told = step(refused, "preflight")
    assert told["code"] == "application_ambiguous"
    assert first.app_id in told["message"]
    assert second.app_id in told["message"]
    assert watch.writes("graph", "vault", "mondoo") == []
    assert picture(tenant) == before
    chosen = await rehearsal.onboard(tenant, adopt=second.app_id)
    assert chosen["status"] == "succeeded"
    assert second.unique_name == NAME
    assert first.unique_name is None


async def test_case_a8_an_application_whose_name_only_begins_like_ours_is_nobody(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    owner = rehearsal.automation(tenant)
    other = tenant.add_application(f"{NAME}-test", tags=[MARK], owners=[owner])
    before = tenant.snapshot(other.id)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert step(operation, "preflight").get("findings", []) == []
    assert tenant.snapshot(other.id) == before
    assert end_state(rehearsal, tenant) == ONCE


async def test_case_a10_the_odd_conflict_of_a_fresh_application_is_waited_for(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.fault(CREATE, tenant, status=409, code="Error_MsaAppDoesNotExist")
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert step(operation, "application")["attempts"] == 2
    (ours,) = named(tenant)
    assert ours.audience == "AzureADMyOrg"
    assert end_state(rehearsal, tenant) == ONCE


# --- C1, C5, C12, C14: looking up --------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ['O\'Brien & Söhne "Ltd" #1 +50% a/b?c=d', "''", "%27", "backslash\\"]
)
async def test_case_c1_an_application_may_have_any_name(
    rehearsal: Rehearsal, tenant: SimulatedTenant, name: str
) -> None:
    operation = await rehearsal.onboard(tenant, applicationName=name)
    assert operation["status"] == "succeeded"
    (ours,) = named(tenant, name)
    assert ours.unique_name == name
    planned = await rehearsal.plan(tenant, applicationName=name)
    assert {step["outcome"] for step in planned["steps"][:-1]} == {"passed"}


async def test_case_c5_every_path_carries_the_kind_of_id_that_belongs_there(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    with Watch(rehearsal.simulators) as watch:
        await rehearsal.onboard(tenant)
        await rehearsal.onboard(tenant)
    graph = [call for call in watch.calls if call.service == "graph"]
    for collection, objects in (
        ("/applications/", tenant.applications),
        ("/servicePrincipals/", tenant.service_principals),
    ):
        used = {c.path.split(collection)[1][:36] for c in graph if collection in c.path}
        assert used
        assert used <= set(objects)
    missed = {call.operation for call in graph if call.status == 404}
    assert missed == {LOOKUP}, "only the application itself was not there, before it was made"


@pytest.mark.parametrize(
    ("domain", "asked"),
    [
        ("rehearsal-vanity.example", "rehearsal-vanity.example"),
        ("rehearsal-government.onmicrosoft.us", "rehearsal-government.onmicrosoft.us"),
        ("rehearsal-upper.onmicrosoft.com", "REHEARSAL-UPPER.onmicrosoft.COM"),
    ],
)
async def test_case_c12_any_domain_leads_to_the_tenant_and_its_initial_one_is_used(
    rehearsal: Rehearsal, domain: str, asked: str
) -> None:
    tenant = rehearsal.add_tenant(domain)
    operation = await rehearsal.onboard(asked)
    assert operation["status"] == "succeeded"
    assert operation["tenantId"] == tenant.id
    record = await rehearsal.context.records.get(tenant.id)
    assert record is not None
    assert record.initial_domain == tenant.initial_domain


async def test_case_c14_a_stranger_called_microsoft_graph_is_granted_nothing(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    genuine = tenant.service_principal_by_app_id("00000003-0000-0000-c000-000000000000")
    assert genuine is not None
    impostor = tenant.add_resource(new_id(), "Microsoft Graph", genuine.app_roles)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert tenant.grants_on(impostor.id) == []
    assert end_state(rehearsal, tenant) == ONCE
