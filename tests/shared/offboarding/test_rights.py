"""Leaving asks for the rights that it takes to remove what is there, and for no other."""

from __future__ import annotations

import pytest

from local.simulators.catalogue import ALL_AUTOMATION_RIGHTS
from local.simulators.picture import picture
from local.simulators.tenant import SimulatedTenant
from shared.rights import READ_POLICIES, REPORT_RIGHTS
from shared.transitions import TenantState
from tests.driving import outcomes, step
from tests.shared.lives import Life

READ_ONLY = {right.name for right in (*REPORT_RIGHTS, READ_POLICIES)}
OWN, GRANTS, ROLES = (
    "Application.ReadWrite.OwnedBy",
    "AppRoleAssignment.ReadWrite.All",
    "RoleManagement.ReadWrite.Directory",
)


def leave_only(life: Life, tenant: SimulatedTenant, rights: set[str]) -> None:
    """Take our automation's rights in the tenant away, all but these."""

    def limit() -> None:
        for grant in tenant.grants_of(life.automation(tenant)):
            tenant.revoke(grant)
        life.simulators.world.consent(tenant, rights)

    life.simulators.run(limit)


def remove_by_hand(tenant: SimulatedTenant, *, roles: bool, grants: bool) -> None:
    application = tenant.application_by_unique_name("mondoo-ms365")
    assert application is not None
    principal = tenant.service_principal_by_app_id(application.app_id)
    assert principal is not None
    if roles:
        held = [r.id for r in tenant.role_assignments.values() if r.principal_id == principal.id]
        for each in held:
            del tenant.role_assignments[each]
    if grants:
        for grant in tenant.grants_of(principal.id):
            tenant.revoke(grant)


@pytest.mark.parametrize(
    ("rights", "gone", "lacking"),
    [
        (READ_ONLY, {"roles": False, "grants": False}, {OWN, GRANTS, ROLES}),
        (READ_ONLY | {OWN, ROLES}, {"roles": False, "grants": False}, {GRANTS}),
        (READ_ONLY, {"roles": True, "grants": False}, {OWN, GRANTS}),
        (READ_ONLY, {"roles": True, "grants": True}, {OWN}),
    ],
)
async def test_what_is_there_decides_which_rights_are_missing(
    life: Life,
    tenant: SimulatedTenant,
    rights: set[str],
    gone: dict[str, bool],
    lacking: set[str],
) -> None:
    await life.onboard(tenant)
    life.simulators.run(lambda: remove_by_hand(tenant, **gone))
    leave_only(life, tenant, rights)
    before = life.simulators.run(lambda: picture(tenant))
    operation = await life.offboard(tenant)
    assert operation["status"] == "refused"
    assert {each["subject"] for each in step(operation, "inventory")["findings"]} == lacking
    told = outcomes(operation)
    assert {told.pop("inventory"), told.pop("receipt")} == {"failed", "passed"}
    assert set(told.values()) == {"skipped"}
    assert life.simulators.run(lambda: picture(tenant)) == before
    record = await life.record(tenant)
    assert (record.state, record.receipt) == (TenantState.ONBOARDED, None)
    assert record.integration is not None
    leave_only(life, tenant, set(ALL_AUTOMATION_RIGHTS))
    assert (await life.offboard(tenant))["status"] == "succeeded"


async def test_a_tenant_in_which_nothing_of_ours_is_left_takes_no_right_to_change_it(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)

    def by_hand() -> None:
        application = tenant.application_by_unique_name("mondoo-ms365")
        assert application is not None
        tenant.delete_application(application)

    life.simulators.run(by_hand)
    leave_only(life, tenant, READ_ONLY)
    operation = await life.offboard(tenant)
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["integration"] == "changed"
    assert (await life.record(tenant)).state is TenantState.OFFBOARDED
