"""Onboarding a tenant whose move to another permission list has begun and is not proven."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from local.simulators.tenant import SimulatedTenant
from shared.audit.steps import audit_tenant
from shared.models import RepairPolicy, TenantRecord
from tests.shared.onboarding.rehearsal import Rehearsal

GRANT = "POST /servicePrincipals/{id}/appRoleAssignedTo"


async def begun(rehearsal: Rehearsal, tenant: SimulatedTenant) -> None:
    """The tenant is onboarded with the short list, and a roll-out of the long one did not end."""
    assert (await rehearsal.onboard(tenant))["status"] == "succeeded"
    record = await known(rehearsal, tenant)
    assert (record.manifest, record.manifest_target) == ("quick-setup", None)
    await rehearsal.context.records.put(msgspec.structs.replace(record, manifest_target="2026-09"))


async def known(rehearsal: Rehearsal, tenant: SimulatedTenant) -> TenantRecord:
    record = await rehearsal.context.records.get(tenant.id)
    assert record is not None
    return record


@pytest.mark.parametrize(
    ("choices", "settled"),
    [
        ({"manifest": "2026-09"}, "2026-09"),
        ({"manifest": "quick-setup"}, "quick-setup"),
        ({}, "2026-09"),
    ],
    ids=["the new list", "back to the old list", "no list is named"],
)
async def test_a_proven_onboarding_settles_the_move(
    rehearsal: Rehearsal, tenant: SimulatedTenant, choices: dict[str, Any], settled: str
) -> None:
    await begun(rehearsal, tenant)
    assert (await rehearsal.onboard(tenant, **choices))["status"] == "succeeded"
    record = await known(rehearsal, tenant)
    assert (record.manifest, record.manifest_target) == (settled, None)


async def test_an_onboarding_that_is_not_proven_leaves_it_open(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await begun(rehearsal, tenant)
    rehearsal.fault(
        GRANT,
        tenant,
        times=1,
        status=403,
        code="Authorization_RequestDenied",
    )
    assert (await rehearsal.onboard(tenant, manifest="2026-09"))["status"] == "failed"
    record = await known(rehearsal, tenant)
    assert (record.manifest, record.manifest_target) == ("quick-setup", "2026-09")


@pytest.mark.parametrize("before", [None, "quick-setup"])
async def test_what_a_failed_onboarding_granted_is_wanted_until_another_one_settles_it(
    rehearsal: Rehearsal, tenant: SimulatedTenant, before: str | None
) -> None:
    if before is not None:
        assert (await rehearsal.onboard(tenant, manifest=before))["status"] == "succeeded"
    rehearsal.fault(
        "POST /roleManagement/directory/roleAssignments" if before is None else GRANT,
        tenant,
        times=1,
        status=403,
        code="Authorization_RequestDenied",
    )
    assert (await rehearsal.onboard(tenant, manifest="2026-09"))["status"] == "failed"
    record = await known(rehearsal, tenant)
    assert (record.manifest, record.manifest_target) == (before, "2026-09")
    report = await audit_tenant(
        rehearsal.context, record, policy=RepairPolicy.REPORT, operation_id="an-operation"
    )
    assert report.manifest == "2026-09"
    assert "grant_not_wanted" not in {finding.code for finding in report.findings}
    assert (await rehearsal.onboard(tenant))["status"] == "succeeded"
    record = await known(rehearsal, tenant)
    assert (record.manifest, record.manifest_target) == ("2026-09", None)


async def test_an_onboarding_that_is_refused_moves_nothing(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    right = tenant.service_principal_by_app_id(rehearsal.simulators.world.home_app.app_id)
    assert right is not None
    for grant in tenant.grants_of(right.id):
        rehearsal.simulators.run(tenant.revoke, grant)
    assert (await rehearsal.onboard(tenant, manifest="2026-09"))["status"] == "refused"
    record = await known(rehearsal, tenant)
    assert (record.manifest, record.manifest_target) == ("quick-setup", None)
