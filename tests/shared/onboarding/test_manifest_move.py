"""Onboarding a tenant whose move to another permission list has begun and is not proven."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from local.simulators.tenant import SimulatedTenant
from shared.models import TenantRecord
from tests.shared.onboarding.rehearsal import Rehearsal


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
        "POST /servicePrincipals/{id}/appRoleAssignedTo",
        tenant,
        times=1,
        status=403,
        code="Authorization_RequestDenied",
    )
    assert (await rehearsal.onboard(tenant, manifest="2026-09"))["status"] == "failed"
    record = await known(rehearsal, tenant)
    assert (record.manifest, record.manifest_target) == ("quick-setup", "2026-09")
