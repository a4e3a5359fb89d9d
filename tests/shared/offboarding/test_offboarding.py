"""Leaving: everything of ours is gone, and a receipt that is true each time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from local.simulators.catalogue import ALL_AUTOMATION_RIGHTS
from local.simulators.objects import Application, ServicePrincipal
from local.simulators.picture import picture
from local.simulators.tenant import SimulatedTenant
from shared.models import Fate, ObjectKind, OperationStatus, Outcome, Receipt, ReceiptEntry
from shared.offboarding.calls import OffboardingFacts
from shared.offboarding.orchestrator import begun
from shared.offboarding.start import order_for
from shared.offboarding.steps import receipt
from shared.operations import skip
from shared.rotation.due import reason_to_rotate
from shared.tenants.sqlite import SqliteRecords
from shared.transitions import TenantState
from tests.driving import outcomes, step
from tests.shared.entra.certificates import pair
from tests.shared.lives import SHORT, Life, die

REMOVALS = (
    "integration",
    "directory-role",
    "permissions",
    "service-principal",
    "application",
    "certificate",
)


async def receipt_of(life: Life, tenant: SimulatedTenant) -> Receipt:
    record = await life.record(tenant)
    assert record.receipt is not None
    return record.receipt


def fates(receipt: Receipt) -> dict[str, set[str]]:
    """The fates in a receipt by kind."""
    found: dict[str, set[str]] = {}
    for entry in receipt.entries:
        found.setdefault(entry.kind.value, set()).add(entry.fate.value)
    return found


def of_kind(receipt: Receipt, kind: ObjectKind) -> list[ReceiptEntry]:
    return [entry for entry in receipt.entries if entry.kind is kind]


def left(life: Life, tenant: SimulatedTenant) -> dict[str, int]:
    """What of ours is really there, counted in the simulators."""

    def count() -> dict[str, int]:
        ours = [a for a in tenant.applications.values() if a.display_name == "mondoo-ms365"]
        principals = [
            p for p in tenant.service_principals.values() if p.display_name == "mondoo-ms365"
        ]
        deleted = [i for i in tenant.deleted_items() if i.display_name == "mondoo-ms365"]
        ids = {
            p.id for p in [*principals, *(i for i in deleted if isinstance(i, ServicePrincipal))]
        }
        vault = life.simulators.vault
        return {
            "applications": len(ours),
            "principals": len(principals),
            "grants": sum(len(tenant.grants_of(each)) for each in ids),
            "roles": sum(1 for r in tenant.role_assignments.values() if r.principal_id in ids),
            "integrations": sum(
                1 for i in life.simulators.mondoo.integrations.values() if i.tenant_id == tenant.id
            ),
            "certificates": sum(1 for c in vault.certificates if tenant.id in c.name),
            "deleted": len(deleted),
            "deleted certificates": sum(
                1 for name in vault.certificates.deleted() if tenant.id in name
            ),
        }

    return life.simulators.run(count)


SOFTLY_GONE = {
    "applications": 0,
    "principals": 0,
    "grants": 0,
    "roles": 0,
    "integrations": 0,
    "certificates": 0,
    "deleted": 2,
    "deleted certificates": 1,
}
PURGED = {**SOFTLY_GONE, "deleted": 0, "deleted certificates": 0}
ALL_REMOVED = {
    "integration": {"removed"},
    "directory-role": {"removed"},
    "permission": {"removed"},
    # Our rights do not show them; the tests below have rights that do.
    "delegated-grant": {"unknown"},
    "service-principal": {"removed"},
    "application": {"removed"},
    "certificate": {"removed"},
}


async def test_everything_is_removed_and_each_object_is_on_the_receipt(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    begun = msgspec.structs.replace(await life.record(tenant), manifest_target="2026-09")
    await life.context.records.put(begun)
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert {outcomes(operation)[name] for name in REMOVALS} == {"changed"}
    told = {name: step(operation, name)["message"].split(" removed")[0] for name in REMOVALS}
    assert (told["integration"], told["permissions"]) == ("1 integration", "9 permissions")
    assert left(life, tenant) == SOFTLY_GONE
    record, receipt = await life.record(tenant), await receipt_of(life, tenant)
    assert record.state is TenantState.OFFBOARDED
    assert record.certificate is None
    assert record.integration is None
    assert record.manifest_target is None
    assert receipt.complete
    assert fates(receipt) == ALL_REMOVED
    assert len(of_kind(receipt, ObjectKind.PERMISSION)) == 9
    assert "Microsoft Graph: Policy.Read.All" in {entry.name for entry in receipt.entries}
    assert all(
        entry.recoverable_until is not None
        for kind in (ObjectKind.SERVICE_PRINCIPAL, ObjectKind.APPLICATION, ObjectKind.CERTIFICATE)
        for entry in of_kind(receipt, kind)
    )


async def test_what_was_there_before_us_is_there_after_us(
    life: Life, tenant: SimulatedTenant
) -> None:
    before = life.simulators.run(picture, tenant)
    await life.onboard(tenant)
    await life.offboard(tenant, purge=True)
    assert life.simulators.run(picture, tenant) == before


async def test_with_purge_nothing_can_be_restored(life: Life, tenant: SimulatedTenant) -> None:
    await life.onboard(tenant)
    operation = await life.offboard(tenant, purge=True)
    assert operation["status"] == "succeeded"
    assert left(life, tenant) == PURGED
    receipt = await receipt_of(life, tenant)
    assert receipt.purged
    assert fates(receipt) == ALL_REMOVED
    assert [entry for entry in receipt.entries if entry.recoverable_until is not None] == []


async def test_a_vault_with_purge_protection_is_told_with_the_date(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    life.simulators.vault.purge_protection = True
    try:
        operation = await life.offboard(tenant, purge=True)
    finally:
        life.simulators.vault.purge_protection = False
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["certificate"] == "warning"
    (entry,) = of_kind(await receipt_of(life, tenant), ObjectKind.CERTIFICATE)
    assert entry.fate is Fate.REMOVED
    assert entry.recoverable_until is not None
    assert "purge protection" in (entry.message or "")


async def test_offboarding_twice_says_the_second_time_that_all_was_gone_before(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    await life.offboard(tenant)
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert {outcomes(operation)[name] for name in REMOVALS} == {"passed"}
    receipt = await receipt_of(life, tenant)
    assert receipt.complete
    assert {entry.fate for entry in receipt.entries} == {Fate.ABSENT}
    assert of_kind(receipt, ObjectKind.APPLICATION)[0].recoverable_until is not None


async def test_a_later_purge_takes_what_the_first_offboarding_left_restorable(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    await life.offboard(tenant)
    operation = await life.offboard(tenant, purge=True)
    assert operation["status"] == "succeeded"
    assert left(life, tenant) == PURGED


@pytest.mark.parametrize("stage", ["application", "service-principal", "permissions", "sign-in"])
async def test_a_half_onboarded_tenant_is_cleared_with_what_there_is(
    life: Life, tenant: SimulatedTenant, stage: str
) -> None:
    def revoke() -> None:
        life.fault("*", tenant, status=403, code="Authorization_RequestDenied", times=None)
        life.fault("*", tenant, service="entra", status=400, times=None)

    await life.onboard(tenant, before={stage: revoke}, waits=SHORT)
    life.simulators.run(life.simulators.faults.clear)
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert left(life, tenant) | {"deleted": 0} == SOFTLY_GONE | {"deleted": 0}
    assert (await receipt_of(life, tenant)).complete


async def test_one_object_is_counted_as_one(life: Life, tenant: SimulatedTenant) -> None:
    def revoke() -> None:
        life.fault("*", tenant, status=403, code="Authorization_RequestDenied", times=None)

    await life.onboard(tenant, before={"application": revoke}, waits=SHORT)
    life.simulators.run(life.simulators.faults.clear)
    operation = await life.offboard(tenant)
    assert step(operation, "inventory")["message"] == "1 object of ours found"
    assert step(operation, "receipt")["message"].endswith("the receipt lists 1 object")


async def test_what_someone_deleted_by_hand_is_told_as_gone_before(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    application = our_application(tenant)
    mondoo = life.simulators.mondoo

    def by_hand() -> None:
        tenant.delete_application(application)
        for mrn in [i.mrn for i in mondoo.integrations.values() if i.tenant_id == tenant.id]:
            del mondoo.integrations[mrn]

    life.simulators.run(by_hand)
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    receipt = await receipt_of(life, tenant)
    assert receipt.complete
    assert fates(receipt) == {
        "integration": {"absent"},
        "service-principal": {"absent"},
        "application": {"absent"},
        "certificate": {"removed"},
    }


async def test_a_tenant_that_revoked_our_consent_is_told_what_stays_in_it(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    principal = tenant.service_principal_by_app_id(life.simulators.world.home_app.app_id)
    assert principal is not None
    life.simulators.run(tenant.delete_service_principal, principal)
    operation = await life.offboard(tenant)
    assert operation["status"] == "failed"
    assert outcomes(operation)["integration"] == "changed"
    assert outcomes(operation)["certificate"] == "changed"
    application = our_application(tenant)
    assert application.app_id in step(operation, "permissions")["remediation"]
    receipt = await receipt_of(life, tenant)
    assert not receipt.complete
    assert fates(receipt) == {
        "integration": {"removed"},
        "service-principal": {"unknown"},
        "application": {"unknown"},
        "certificate": {"removed"},
    }
    assert (await life.record(tenant)).state is TenantState.OFFBOARDING_INCOMPLETE
    # The tenant consents again: the rest is removed, and the receipt is complete.
    life.simulators.run(life.simulators.world.consent, tenant)
    for each in (application, tenant.service_principal_by_app_id(application.app_id)):
        assert each is not None
        each.owners.append(life.automation(tenant))
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert (await receipt_of(life, tenant)).complete


async def test_an_object_that_lost_our_mark_is_kept_and_told(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    application = our_application(tenant)
    application.tags.clear()
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["application"] == "warning"
    receipt = await receipt_of(life, tenant)
    assert fates(receipt)["application"] == {"kept"}
    assert fates(receipt)["service-principal"] == {"kept"}
    assert tenant.application_by_app_id(application.app_id) is application


@pytest.fixture
def seen_through(life: Life) -> SimulatedTenant:
    """A tenant in which our automation may read delegated grants."""
    return life.add_tenant(rights=ALL_AUTOMATION_RIGHTS | {"Directory.Read.All"})


@pytest.mark.parametrize("purge", [False, True])
async def test_delegated_grants_are_listed_and_read_back_as_gone_with_the_service_principal(
    life: Life, seen_through: SimulatedTenant, purge: bool
) -> None:
    tenant = seen_through
    await life.onboard(tenant)
    ours = our_application(tenant)
    stranger = tenant.add_application("somebody else's")
    tenant.add_service_principal(stranger)
    life.simulators.run(tenant.grant_delegated, ours, "User.Read Mail.Read")
    life.simulators.run(tenant.grant_delegated, ours, "Files.Read", user="alice")
    theirs = life.simulators.run(tenant.grant_delegated, stranger, "Calendars.Read")
    operation = await life.offboard(tenant, purge=purge)
    assert operation["status"] == "succeeded"
    receipt = await receipt_of(life, tenant)
    assert receipt.complete
    listed = of_kind(receipt, ObjectKind.DELEGATED_GRANT)
    assert [entry.fate for entry in listed] == [Fate.REMOVED] * 2
    assert {entry.name for entry in listed} == {
        "User.Read Mail.Read (all users)",
        "Files.Read (user alice)",
    }
    assert all((entry.recoverable_until is None) is purge for entry in listed)
    assert theirs in tenant.delegated_grants
    again = await life.offboard(tenant)
    assert again["status"] == "succeeded"
    assert of_kind(await receipt_of(life, tenant), ObjectKind.DELEGATED_GRANT) == []


async def test_delegated_grants_that_we_may_not_read_are_unknown_and_hold_up_nothing(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    life.simulators.run(tenant.grant_delegated, our_application(tenant), "User.Read")
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    receipt = await receipt_of(life, tenant)
    assert receipt.complete
    (entry,) = of_kind(receipt, ObjectKind.DELEGATED_GRANT)
    assert entry.fate is Fate.UNKNOWN
    assert "403" in (entry.message or "")
    assert (await life.record(tenant)).state is TenantState.OFFBOARDED


async def test_delegated_grants_stay_on_the_receipt_while_the_service_principal_stays(
    life: Life, seen_through: SimulatedTenant
) -> None:
    tenant = seen_through
    await life.onboard(tenant)
    life.simulators.run(tenant.grant_delegated, our_application(tenant), "User.Read")
    refusal = {"status": 403, "code": "Authorization_RequestDenied", "message": "no"}
    life.fault("DELETE /servicePrincipals/{id}", tenant, times=None, **refusal)
    operation = await life.offboard(tenant)
    assert operation["status"] == "failed"
    (entry,) = of_kind(await receipt_of(life, tenant), ObjectKind.DELEGATED_GRANT)
    assert entry.fate is Fate.PRESENT
    assert "403" in (entry.message or "")


async def test_a_certificate_of_ours_from_before_an_own_one_is_removed_and_theirs_is_kept(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    name = f"theirs-{tenant.id}"
    life.simulators.run(life.simulators.vault.put_certificate, name, pair().pem)
    await life.onboard(tenant, certificate={"name": name})
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert left(life, tenant)["certificates"] == 1  # theirs, which has the tenant's id in its name
    certificates = of_kind(await receipt_of(life, tenant), ObjectKind.CERTIFICATE)
    assert {entry.name: entry.fate for entry in certificates} == {
        name: Fate.KEPT,
        f"mondoo-ms365-{tenant.id}": Fate.REMOVED,
    }


@pytest.mark.parametrize("name", ["inventory", *REMOVALS])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_crash_around_any_step_is_told_truly_and_heals_by_sending_it_again(
    life: Life, tenant: SimulatedTenant, name: str, moment: str
) -> None:
    await life.onboard(tenant)
    hooks: dict[str, Any] = {moment: {name: die}}
    operation = await life.offboard(tenant, **hooks)
    assert operation["status"] == "failed"
    assert not (await receipt_of(life, tenant)).complete
    if name != "inventory":
        kind = ObjectKind("permission" if name == "permissions" else name)
        told = of_kind(await receipt_of(life, tenant), kind)
        assert {entry.fate for entry in told} == {Fate.UNKNOWN}
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert left(life, tenant) == SOFTLY_GONE
    assert (await receipt_of(life, tenant)).complete


async def test_a_refused_removal_is_told_and_what_hangs_on_it_stays_visible(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    refusal = {"status": 403, "code": "Authorization_RequestDenied", "message": "no"}
    life.fault("DELETE /roleManagement/*", tenant, times=None, **refusal)
    operation = await life.offboard(tenant)
    assert operation["status"] == "failed"
    assert outcomes(operation)["directory-role"] == "failed"
    assert outcomes(operation)["service-principal"] == "skipped"
    (role,) = of_kind(await receipt_of(life, tenant), ObjectKind.DIRECTORY_ROLE)
    assert role.fate is Fate.PRESENT
    assert "403" in (role.message or "")
    life.simulators.run(life.simulators.faults.clear)
    assert (await life.offboard(tenant))["status"] == "succeeded"
    assert left(life, tenant) == SOFTLY_GONE


async def test_throttling_and_outages_are_waited_out(life: Life, tenant: SimulatedTenant) -> None:
    await life.onboard(tenant)
    life.fault("DELETE /applications/*", tenant, status=429, headers={"Retry-After": "200"})
    life.fault("DELETE /servicePrincipals/*", tenant, status=500, times=1)
    life.fault("*elete*ntegration*", None, service="mondoo", status=503, times=1)
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert (await receipt_of(life, tenant)).complete
    assert step(operation, "application")["attempts"] == 2


async def test_a_place_that_does_not_answer_leaves_everything_as_it_was(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    life.fault("*", None, service="mondoo", status=503, times=None)
    operation = await life.offboard(tenant, waits=SHORT)
    life.simulators.run(life.simulators.faults.clear)
    assert operation["status"] == "waiting"
    assert left(life, tenant)["applications"] == 1
    assert not (await receipt_of(life, tenant)).complete


async def test_onboarding_again_restores_our_own_application_and_works(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    before = our_application(tenant)
    await life.offboard(tenant)
    operation = await life.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert our_application(tenant).app_id == before.app_id
    assert "restored" in step(operation, "application")["message"]
    assert (await life.record(tenant)).state is TenantState.ONBOARDED


async def test_onboarding_again_after_a_purge_makes_a_new_application(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    before = our_application(tenant)
    await life.offboard(tenant, purge=True)
    operation = await life.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert our_application(tenant).app_id != before.app_id


def our_application(tenant: SimulatedTenant) -> Application:
    found = tenant.application_by_unique_name("mondoo-ms365")
    assert found is not None
    return found


async def test_an_offboarding_that_was_cancelled_before_anything_was_removed_leaves_all_as_it_was(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    before = await life.record(tenant)
    order = order_for(life.context, tenant.id, before, purge=False)
    operation = begun(order, life.context.now())
    operation.steps[0].outcome, operation.steps[0].attempts = Outcome.PASSED, 1
    for later in operation.steps[1:-1]:
        skip(later, OperationStatus.CANCELLED)
    operation.status = OperationStatus.CANCELLED
    await receipt.run(life.context, order, OffboardingFacts(), operation)
    after = await life.record(tenant)
    assert (after.state, after.receipt) == (before.state, None)
    # Else its certificate would run out: a tenant that is leaving is not rotated.
    assert after.certificate is not None
    end = after.certificate.not_after - timedelta(days=1)
    assert reason_to_rotate(after, end, timedelta(days=30)) is not None


# --- records that were lost ----------------------------------------------------------------------


async def lose_records(life: Life, folder: Path) -> None:
    await life.context.records.aclose()
    life.context.records = SqliteRecords(str(folder / "empty.sqlite"))


async def test_without_a_record_what_carries_our_mark_is_found_and_removed(
    life: Life, tenant: SimulatedTenant, tmp_path: Path
) -> None:
    await life.onboard(tenant)
    await lose_records(life, tmp_path)
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert left(life, tenant) == SOFTLY_GONE
    assert fates(await receipt_of(life, tenant)) == ALL_REMOVED


async def test_without_a_record_onboarding_finds_what_is_there_and_makes_nothing_twice(
    life: Life, tenant: SimulatedTenant, tmp_path: Path
) -> None:
    await life.onboard(tenant)
    before, record = left(life, tenant), await life.record(tenant)
    await lose_records(life, tmp_path)
    operation = await life.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert left(life, tenant) == before
    anew = await life.record(tenant)
    assert (anew.app_id, anew.integration) == (record.app_id, record.integration)
    assert anew.certificate == record.certificate
