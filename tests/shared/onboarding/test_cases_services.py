"""Mondoo and Key Vault when they do not answer, refuse, or have bad news; and where records go."""

from __future__ import annotations

import msgspec
import pytest

from local.simulators.objects import Lag
from local.simulators.picture import picture
from local.simulators.tenant import SimulatedTenant
from local.simulators.vault import CERTIFICATES_OFFICER, READER, SECRETS_OFFICER
from local.stack import LocalStack
from tests.driving import Watch, outcomes, step
from tests.end_to_end.test_onboarding import ONCE, end_state
from tests.shared.onboarding.rehearsal import WAITS, Rehearsal

SHORT = msgspec.structs.replace(WAITS, scan_deadline=60, propagation_deadline=60)
CREATE, TRIGGER, ASSIGN = "createClientIntegration", "triggerAction", "assignPolicy"


def mondoo_calls(watch: Watch, operation: str) -> int:
    """How often Mondoo was asked for something."""
    return sum(call.service == "mondoo" and call.operation == operation for call in watch.calls)


# --- Mondoo ------------------------------------------------------------------------------------


async def test_an_integration_whose_creation_got_no_answer_is_found_and_not_made_twice(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.fault(CREATE, tenant, service="mondoo", drop="after")
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert step(operation, "integration")["attempts"] == 2
    assert mondoo_calls(watch, CREATE) == 1
    assert end_state(rehearsal, tenant) == ONCE


async def test_an_integration_whose_creation_never_arrived_is_made(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.fault(CREATE, tenant, service="mondoo", drop="before")
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert end_state(rehearsal, tenant) == ONCE


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_a_scan_that_was_asked_for_without_an_answer_is_not_asked_for_again(
    rehearsal: Rehearsal, tenant: SimulatedTenant, drop: str
) -> None:
    rehearsal.fault(TRIGGER, tenant, service="mondoo", drop=drop)
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant, waits=SHORT)
    assert mondoo_calls(watch, TRIGGER) == 1
    assert operation["status"] == ("succeeded" if drop == "after" else "waiting")
    again = await rehearsal.onboard(tenant)
    assert again["status"] == "succeeded"
    assert end_state(rehearsal, tenant) == ONCE


async def test_a_scan_that_ends_in_an_error_fails_the_step_with_what_the_scanner_said(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    operation = await rehearsal.onboard(
        tenant, before={"first-scan": tenant.role_assignments.clear}
    )
    assert operation["status"] == "failed"
    told = step(operation, "first-scan")
    assert (told["outcome"], told["code"]) == ("failed", "scan_failed")
    assert "isn't supported in this scenario" in told["message"]
    assert told["findings"][0]["severity"] == "high"
    assert told["remediation"]
    record = await rehearsal.context.records.get(tenant.id)
    assert record is not None
    assert record.state == "failed"
    mended = await rehearsal.onboard(tenant)
    assert mended["status"] == "succeeded"
    assert outcomes(mended)["directory-role"] == "changed"


async def test_a_scan_that_cannot_sign_in_is_never_a_success(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    def forget_keys() -> None:
        for app in tenant.applications.values():
            app.key_credentials.clear()

    operation = await rehearsal.onboard(tenant, before={"first-scan": forget_keys})
    assert operation["status"] == "failed"
    assert "AADSTS700027" in step(operation, "first-scan")["message"]


async def test_a_paused_integration_is_told_by_the_plan_and_by_the_operation(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    (integration,) = (
        one
        for one in rehearsal.simulators.mondoo.integrations.values()
        if one.tenant_id == tenant.id
    )
    integration.paused = True
    planned, operation = await rehearsal.plan(tenant), await rehearsal.onboard(tenant)
    assert operation["status"] == "failed"
    for each in (planned, operation):
        assert step(each, "first-scan")["code"] == "integration_paused"
    integration.paused = False
    assert (await rehearsal.onboard(tenant))["status"] == "succeeded"


async def test_a_policy_whose_activation_got_no_answer_is_active_in_the_end(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    policy = "//policy.api.mondoo.app/policies/cis-microsoft-365--level-1"
    rehearsal.fault(ASSIGN, None, service="mondoo", drop="after")
    operation = await rehearsal.onboard(tenant, policies=[policy])
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["policies"] in ("passed", "changed")


async def test_an_outage_of_mondoo_is_waited_for_and_nothing_is_undone(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.fault("listClientIntegrations", None, service="mondoo", times=None, status=503)
    operation = await rehearsal.onboard(tenant, waits=SHORT)
    assert operation["status"] == "waiting"
    assert step(operation, "integration")["code"] == "mondoo_busy"
    rehearsal.simulators.run(rehearsal.simulators.faults.clear)
    assert (await rehearsal.onboard(tenant))["status"] == "succeeded"
    assert end_state(rehearsal, tenant) == ONCE


async def test_a_space_that_does_not_exist_is_refused_before_anything_is_changed(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    before = picture(tenant)
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(
            tenant, space="//captain.api.mondoo.app/spaces/no-such-space"
        )
    assert operation["status"] == "refused"
    assert step(operation, "preflight")["remediation"]
    assert watch.writes("graph", "vault", "mondoo") == []
    assert picture(tenant) == before


# --- Key Vault ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        (set(), {"Key Vault Certificates Officer", "Key Vault Secrets User"}),
        ({CERTIFICATES_OFFICER}, {"Key Vault Secrets User"}),
        ({SECRETS_OFFICER}, {"Key Vault Certificates Officer"}),
    ],
    ids=["nothing", "certificates only", "secrets only"],
)
async def test_a_vault_that_does_not_let_us_in_is_refused_naming_every_role_that_is_missing(
    rehearsal: Rehearsal, tenant: SimulatedTenant, held: set[str], wanted: set[str]
) -> None:
    us = rehearsal.simulators.world.managed_identity.id
    roles = rehearsal.simulators.vault.roles_of
    before, untouched = roles[us], picture(tenant)
    roles[us] = held
    try:
        operation = await rehearsal.onboard(tenant)
    finally:
        roles[us] = before
    assert operation["status"] == "refused"
    told = step(operation, "preflight")
    assert {f["code"] for f in told["findings"]} == {"vault_forbidden"}
    assert all(role in told["remediation"] for role in wanted)
    assert picture(tenant) == untouched
    assert (await rehearsal.onboard(tenant))["status"] == "succeeded"


async def test_a_vault_that_may_only_be_read_is_told_when_the_certificate_is_to_be_made(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    us = rehearsal.simulators.world.managed_identity.id
    roles = rehearsal.simulators.vault.roles_of
    before, untouched = roles[us], picture(tenant)
    roles[us] = {SECRETS_OFFICER, READER}
    try:
        operation = await rehearsal.onboard(tenant)
    finally:
        roles[us] = before
    assert operation["status"] == "failed"
    assert "Key Vault Certificates Officer" in step(operation, "certificate")["remediation"]
    assert picture(tenant) == untouched


async def test_a_vault_that_takes_its_time_is_waited_for(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.fault(
        "POST /certificates/{name}/create",
        None,
        service="vault",
        times=2,
        status=429,
        headers={"Retry-After": "30"},
    )
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert step(operation, "certificate")["attempts"] == 3


async def test_a_deleted_certificate_of_ours_is_recovered(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    certificates = rehearsal.simulators.vault.certificates
    (name,) = [one.name for one in certificates if tenant.id in one.name]
    certificates.delete(name)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert certificates.find(name) is not None


# --- where tenant records are kept -------------------------------------------------------------


async def test_tenant_records_are_kept_in_table_storage_as_well(stack: LocalStack) -> None:
    rehearsal = Rehearsal(stack, {"TENANT_RECORDS": stack.simulators.urls["tables"]})
    tenant = rehearsal.add_tenant()
    try:
        operation = await rehearsal.onboard(tenant)
        again = await rehearsal.onboard(tenant)
    finally:
        await rehearsal.aclose()
    assert operation["status"] == "succeeded"
    assert set(outcomes(again).values()) == {"passed"}
    after_a_restart = Rehearsal(stack, {"TENANT_RECORDS": stack.simulators.urls["tables"]})
    try:
        records = after_a_restart.context.records
        record = await records.get(tenant.id)
        kept = [one.id for one in await records.operations(tenant.id, 10)]
    finally:
        await after_a_restart.aclose()
    assert record is not None
    assert (record.state, record.operation_id) == ("onboarded", again["id"])
    assert kept == [again["id"], operation["id"]]


async def test_records_that_cannot_be_written_keep_the_operation_from_being_a_success(
    stack: LocalStack,
) -> None:
    rehearsal = Rehearsal(stack, {"TENANT_RECORDS": stack.simulators.urls["tables"]})
    tenant = rehearsal.add_tenant()
    rehearsal.fault(
        "P*", None, service="tables", times=None, status=403, code="AuthorizationFailure"
    )
    try:
        operation = await rehearsal.onboard(tenant)
    finally:
        await rehearsal.aclose()
        stack.simulators.run(stack.simulators.faults.clear)
    assert operation["status"] == "failed"
    told = step(operation, "record")
    assert told["code"] == "records_forbidden"
    assert "Storage Table Data Contributor" in told["remediation"]


async def test_lag_everywhere_at_once_still_ends_well(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    tenant.lag = Lag(
        objects=45.0, references=75.0, grants=90.0, roles=120.0, credentials=60.0, first_token=30.0
    )
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert end_state(rehearsal, tenant) == ONCE


async def test_results_that_cannot_be_announced_are_no_success_wherever_one_looks(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.fault("POST /api/events", None, service="events", status=403, code="Forbidden")
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "failed"
    told = step(operation, "record")
    assert told["outcome"] == "failed"
    assert told["remediation"]
    kept = await rehearsal.context.records.get_operation(operation["id"])
    record = await rehearsal.context.records.get(tenant.id)
    assert kept is not None
    assert record is not None
    assert (kept.status, record.state) == ("failed", "failed")
    assert (await rehearsal.onboard(tenant))["status"] == "succeeded"
