"""A tenant between certificate and keyless, when the move did not end: nothing makes it worse.

Whatever runs next (an audit with its labels and repairs, the nightly rotation, a vault event, an
offboarding, the same request again) must leave the way in which Mondoo signs in at that moment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from local.simulators.tenant import SimulatedTenant
from local.stack import LocalStack
from shared.audit import history
from shared.audit.operation import AuditOrder, publish
from shared.audit.steps import audit_tenant
from shared.errors import Conflict, NotYet, Refused
from shared.models import RepairPolicy, Step, operation_id
from shared.rotation.due import reason_to_rotate
from shared.rotation.events import NEW_VERSION
from shared.triggers.rotation import rotate_due, rotate_for_event
from shared.vault import lifecycle
from tests.driving import outcomes, step
from tests.shared.entra.certificates import pair
from tests.shared.lives import Life
from tests.shared.onboarding.test_first_result import integration_of
from tests.shared.onboarding.test_keyless import BACK, KEYLESS, PATIENT, app_of, codes, trusted

OVERLAP = {"PROPAGATION_DEADLINE_SECONDS": "900", "ROTATION_OVERLAP_HOURS": "0.0166"}
CORRECT = "PATCH /applications/{id}"


class Idle:
    """A durable engine in which nothing runs."""

    def __init__(self) -> None:
        self.started: list[str] = []

    async def get_status(self, instance_id: str, **_: Any) -> None:
        return None

    async def start_new(self, name: str, instance_id: str, client_input: Any) -> str:
        self.started.append(instance_id)
        return instance_id


@pytest.fixture
async def life(stack: LocalStack) -> AsyncIterator[Life]:
    """A rehearsal that goes on after the onboarding."""
    one = Life(stack, OVERLAP)
    yield one
    await one.aclose()
    stack.simulators.run(stack.simulators.faults.clear)


@pytest.fixture
def tenant(life: Life) -> SimulatedTenant:
    """A tenant in which nothing was done yet."""
    return life.add_tenant()


def refuse(life: Life, tenant: SimulatedTenant) -> None:
    """Graph refuses the next correction of an application in this tenant."""
    life.fault(CORRECT, tenant, status=403, code="Authorization_RequestDenied", times=1)


async def audited(life: Life, tenant: SimulatedTenant, policy: RepairPolicy) -> set[str]:
    """An audit with everything that it tells and labels; the codes that it found."""
    identifier = operation_id(tenant.id, life.context.now())
    report = await audit_tenant(
        life.context, await life.record(tenant), policy=policy, operation_id=identifier
    )
    await history.remember(life.context.records, report, kept=5)
    order = AuditOrder(operation_id=identifier, tenant_id=tenant.id, policy=policy)
    await publish(life.context, order, Step(name="audit"))
    return codes(report)


# --- stopped after the scan: Mondoo is keyless, the certificate is still there -------------------


async def stopped_at_the_end(life: Life, tenant: SimulatedTenant) -> None:
    await life.onboard(tenant)
    refuse(life, tenant)
    operation = await life.onboard(tenant, **KEYLESS)
    assert outcomes(operation)["old-credential"] == "failed"
    assert life.scan(tenant) == ["WARNING"]


async def test_the_record_says_how_mondoo_signs_in_as_soon_as_a_scan_has_proven_it(
    life: Life, tenant: SimulatedTenant
) -> None:
    await stopped_at_the_end(life, tenant)
    record = await life.record(tenant)
    assert (record.authentication, record.certificate is not None) == ("federated", True)
    assert reason_to_rotate(record, life.context.now(), timedelta(days=9999)) is None


@pytest.mark.parametrize("policy", RepairPolicy)
async def test_no_audit_takes_away_what_mondoo_signs_in_with(
    life: Life, tenant: SimulatedTenant, policy: RepairPolicy
) -> None:
    await stopped_at_the_end(life, tenant)
    left = set() if policy is RepairPolicy.ENFORCE else {"certificate_superseded"}
    assert await audited(life, tenant, policy) == left | {"sharepoint_needs_certificate"}
    assert integration_of(life, tenant).use_wif
    assert life.scan(tenant) == ["WARNING"]
    assert len(app_of(tenant).key_credentials) == len(left)


async def test_the_next_request_ends_it(life: Life, tenant: SimulatedTenant) -> None:
    await stopped_at_the_end(life, tenant)
    operation = await life.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["old-credential"] == "changed"
    assert (await life.record(tenant)).certificate is None


async def test_an_announcement_that_is_refused_changes_nothing_of_that(
    life: Life, tenant: SimulatedTenant
) -> None:
    async def refusing(*_: Any, **__: Any) -> None:
        raise Refused("events_forbidden", "no", remediation="Let us.")

    await life.onboard(tenant)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(life.context.notifications, "publish", refusing)
        assert (await life.onboard(tenant, **KEYLESS))["status"] == "failed"
    record = await life.record(tenant)
    assert (record.authentication, record.certificate) == ("federated", None)
    assert await audited(life, tenant, RepairPolicy.ENFORCE) == {"sharepoint_needs_certificate"}
    assert life.scan(tenant) == ["WARNING"]


# --- stopped before the scan ---------------------------------------------------------------------


async def test_a_keyless_tenant_whose_way_back_stopped_is_left_keyless(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant, **KEYLESS)
    refuse(life, tenant)
    operation = await life.onboard(tenant, **BACK)
    assert outcomes(operation)["application"] == "failed"
    for policy in RepairPolicy:
        await audited(life, tenant, policy)
        assert integration_of(life, tenant).use_wif
        assert life.scan(tenant) == ["WARNING"]
    engine = Idle()
    assert await rotate_due(life.context, engine) == []


async def test_a_rotation_does_not_take_a_move_back_that_waits_for_entra(
    life: Life, tenant: SimulatedTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    await life.onboard(tenant)
    tenant.lag.credentials = 7200.0
    await life.onboard(tenant, waits=PATIENT, **KEYLESS)
    order = await life.order(tenant)
    assert order.authentication == "certificate"
    # Until Entra ID knows the new credential no scan succeeds, which is not the rotation's doing.
    monkeypatch.setattr(life, "scan", lambda _: ["ACTIVE"])
    operation = await life.rotate(tenant)
    told = step(operation, "preflight")
    assert (operation["status"], told["code"]) == ("refused", "rotation_overtaken")
    assert integration_of(life, tenant).use_wif


async def test_an_audit_does_not_end_the_trust_that_mondoo_uses(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    operation = await life.onboard(
        tenant,
        before={
            "first-scan": lambda: life.fault(
                "triggerAction", None, service="mondoo", status=403, times=1
            )
        },
        **KEYLESS,
    )
    assert outcomes(operation)["first-scan"] == "failed"
    assert (await life.record(tenant)).authentication == "certificate"
    found = await audited(life, tenant, RepairPolicy.ENFORCE)
    assert {"federated_credential_superseded", "integration_authentication_differs"} <= found
    assert len(trusted(tenant)) == 1
    assert integration_of(life, tenant).use_wif


async def test_one_such_tenant_keeps_no_other_from_being_rotated(
    life: Life, tenant: SimulatedTenant
) -> None:
    name = f"shared-{tenant.id[:8]}"
    life.simulators.run(life.simulators.vault.put_certificate, name, pair(name, days=20).pem)
    await life.onboard(tenant, **KEYLESS)
    other = life.add_tenant()
    await life.onboard(other, certificate={"name": name})
    refuse(life, tenant)
    await life.onboard(tenant, certificate={"name": name})
    engine = Idle()
    started = await rotate_for_event(
        life.context, engine, NEW_VERSION, {"ObjectName": name, "Version": "a-new-one"}
    )
    assert len(started) == 1
    assert engine.started == [f"tenant-{other.id}"]


# --- what is switched off ------------------------------------------------------------------------


async def test_the_administrators_own_certificate_is_never_switched_off(
    life: Life, tenant: SimulatedTenant
) -> None:
    name, vault = f"corp-{tenant.id[:8]}", life.simulators.vault
    life.simulators.run(vault.put_certificate, name, pair(name, days=90).pem)
    await life.onboard(tenant, certificate={"name": name})
    life.simulators.run(vault.put_certificate, name, pair(name, days=90).pem)
    assert (await life.rotate(tenant))["status"] == "succeeded"
    await life.onboard(tenant, **BACK)
    assert (await life.onboard(tenant, **KEYLESS))["status"] == "succeeded"
    stored = await life.context.vault.read(name)
    assert stored is not None
    assert stored.enabled


async def test_every_version_of_a_rotation_under_way_is_off_though_the_vault_was_busy(
    life: Life, tenant: SimulatedTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    await life.onboard(tenant)
    await life.rotate(tenant, before={"retire": lambda: refuse(life, tenant)})
    real, calls = lifecycle.disable, []

    async def busy_once(vault: Any, reference: Any) -> bool:
        calls.append(reference.version)
        if len(calls) == 2:
            raise NotYet("vault_busy", "busy", remediation="Wait.")
        return await real(vault, reference)

    name = f"mondoo-ms365-{tenant.id}"
    monkeypatch.setattr(lifecycle, "disable", busy_once)
    assert (await life.onboard(tenant, **KEYLESS))["status"] == "succeeded"
    versions = life.context.vault.certificates.list_properties_of_certificate_versions(name)
    assert [version.enabled async for version in versions] == [False, False]


async def test_the_vault_is_looked_at_first_where_there_is_something_to_switch_off(
    life: Life, tenant: SimulatedTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def closed() -> None:
        raise Refused("vault_forbidden", "no", remediation="Let us in.")

    await life.onboard(tenant)
    other = life.add_tenant()
    monkeypatch.setattr(life.context.vault, "reachable", closed)
    operation = await life.onboard(tenant, **KEYLESS)
    assert (operation["status"], step(operation, "preflight")["code"]) == (
        "refused",
        "vault_forbidden",
    )
    assert not integration_of(life, tenant).use_wif
    assert (await life.onboard(other, **KEYLESS))["status"] == "succeeded"


# --- left and back again -------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(KEYLESS, BACK), (BACK, KEYLESS)])
async def test_a_restored_application_holds_only_the_credential_in_use(
    life: Life, tenant: SimulatedTenant, before: dict[str, str], after: dict[str, str]
) -> None:
    await life.onboard(tenant, **before)
    assert (await life.offboard(tenant))["status"] == "succeeded"
    assert (await life.onboard(tenant, **after))["status"] == "succeeded"
    keyless = after is KEYLESS
    assert (len(trusted(tenant)), len(app_of(tenant).key_credentials)) == (
        (1, 0) if keyless else (0, 1)
    )


async def test_azure_that_was_given_up_is_not_missed(life: Life, tenant: SimulatedTenant) -> None:
    await life.onboard(tenant, subscriptions={"allow": ["0f2b6f9e-9d2f-4a5b-8f57-0b1f4c1d2e3f"]})
    record = await life.record(tenant)
    mondoo = life.simulators.mondoo
    assert record.azure_integration is not None
    life.simulators.run(lambda: mondoo.integrations.pop(record.azure_integration))
    assert (await life.onboard(tenant, **KEYLESS))["status"] == "succeeded"
    assert "azure_integration_missing" not in await audited(life, tenant, RepairPolicy.REPORT)


async def test_a_space_that_is_gone_keeps_no_request_from_being_taken(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant, subscriptions={"allow": ["0f2b6f9e-9d2f-4a5b-8f57-0b1f4c1d2e3f"]})
    record = await life.record(tenant)
    gone = msgspec.structs.replace(record, space="//captain.api.mondoo.app/spaces/gone-space")
    await life.context.records.put(gone)
    assert (await life.order(tenant)).subscriptions is None


# --- an attempt that was never proven ------------------------------------------------------------


async def test_a_new_certificate_is_in_use_once_mondoo_has_it(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    used = (await life.record(tenant)).certificate
    assert used is not None
    await lifecycle.disable(life.context.vault, used)
    refuse(life, tenant)
    stopped = await life.onboard(tenant)
    assert outcomes(stopped)["application"] == "failed"
    assert (await life.record(tenant)).certificate == used
    await life.onboard(tenant)
    assert (await life.record(tenant)).certificate != used


# --- what a request leaves out, and what it cannot change ----------------------------------------


async def test_what_is_left_out_stays_as_the_tenant_has_it(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant, manifest="2026-09", repair="enforce", applicationName="m365-scan")
    order = await life.order(tenant)
    assert (order.manifest, order.repair, order.application_name) == (
        "2026-09",
        "enforce",
        "m365-scan",
    )
    assert (await life.order(tenant, manifest="quick-setup")).manifest == "quick-setup"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("applicationName", "second", "application_differs"),
        ("adopt", "0d3a1f52-6a0e-4a6b-9f0c-77c1f2b0a9ce", "application_differs"),
        ("space", "//captain.api.mondoo.app/spaces/another", "space_differs"),
    ],
)
async def test_no_second_application_or_integration_is_made_beside_the_first(
    life: Life, tenant: SimulatedTenant, field: str, value: str, code: str
) -> None:
    await life.onboard(tenant)
    with pytest.raises(Conflict) as refused:
        await life.order(tenant, **{field: value})
    assert (refused.value.code, refused.value.field) == (code, field)
    assert "DELETE /api/tenants/{tenant}" in refused.value.remediation


async def test_another_space_may_be_named_once_the_old_one_is_gone(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    record = msgspec.structs.replace(
        await life.record(tenant), space="//captain.api.mondoo.app/spaces/gone"
    )
    await life.context.records.put(record)
    gone = integration_of(life, tenant).mrn
    life.simulators.run(lambda: life.simulators.mondoo.integrations.pop(gone))
    order = await life.order(tenant, space=life.context.settings.mondoo_space)
    assert order.space == life.context.settings.mondoo_space


async def test_an_attempt_in_a_new_space_is_found_there_though_it_was_not_proven(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    here = life.context.settings.mondoo_space
    record = msgspec.structs.replace(
        await life.record(tenant), space="//captain.api.mondoo.app/spaces/gone"
    )
    await life.context.records.put(record)
    gone = integration_of(life, tenant).mrn
    life.simulators.run(lambda: life.simulators.mondoo.integrations.pop(gone))
    life.fault("triggerAction", None, service="mondoo", status=403, times=1)
    operation = await life.onboard(tenant, space=here)
    assert outcomes(operation)["first-scan"] == "failed"
    after = await life.record(tenant)
    assert (after.space, after.integration) == (here, integration_of(life, tenant).mrn)
