"""A rotation with every trouble at every edge: at no moment without a working credential."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509

from local.simulators.objects import Application, KeyCredential, Lag
from local.simulators.tenant import SimulatedTenant
from local.stack import LocalStack
from shared.certificates import make_bundle
from shared.models import Rotation
from shared.transitions import RotationState, TenantState
from tests.driving import outcomes, step
from tests.shared.azure import Azure
from tests.shared.lives import SHORT, Life, die

STEPS = (
    "preflight",
    "certificate",
    "register",
    "sign-in",
    "integration",
    "scan",
    "retire",
    "disable",
)


@pytest.fixture
async def life(stack: LocalStack) -> Any:
    """A life with an overlap of a minute, which an operation waits out itself."""
    one = Life(stack, {"ROTATION_OVERLAP_HOURS": "0.0166"})
    yield one
    await one.aclose()
    stack.simulators.run(stack.simulators.faults.clear)


def application(tenant: SimulatedTenant) -> Application:
    found = tenant.application_by_unique_name("mondoo-ms365")
    assert found is not None
    return found


def registered(tenant: SimulatedTenant) -> list[str]:
    return [each.sha1.hex().upper() for each in application(tenant).key_credentials]


async def rotation_of(life: Life, tenant: SimulatedTenant) -> Rotation:
    found = (await life.record(tenant)).rotation
    assert found is not None
    return found


def enabled_versions(life: Life, tenant: SimulatedTenant) -> list[str]:
    def count() -> list[str]:
        certificate = life.simulators.vault.certificates.get(f"mondoo-ms365-{tenant.id}")
        return [version.id for version in certificate.versions.values() if version.enabled]

    return life.simulators.run(count)


async def assert_finished(life: Life, tenant: SimulatedTenant, old: str) -> None:
    """Only the new certificate is left, everywhere."""
    record = await life.record(tenant)
    assert record.rotation is not None
    assert record.certificate is not None
    assert record.rotation.state is RotationState.FINISHED
    assert record.certificate == record.rotation.new
    assert record.certificate.thumbprint != old
    assert registered(tenant) == [record.certificate.thumbprint]
    assert enabled_versions(life, tenant) == [record.certificate.version]
    assert life.scan(tenant) == ["ACTIVE"]


async def onboarded(life: Life, tenant: SimulatedTenant) -> str:
    """The thumbprint that the tenant was onboarded with."""
    operation = await life.onboard(tenant)
    assert operation["status"] == "succeeded"
    certificate = (await life.record(tenant)).certificate
    assert certificate is not None
    return certificate.thumbprint


async def test_a_rotation_replaces_the_certificate_everywhere(
    life: Life, tenant: SimulatedTenant
) -> None:
    old = await onboarded(life, tenant)
    operation = await life.rotate(tenant)
    assert operation["status"] == "succeeded"
    assert outcomes(operation) == {
        "preflight": "passed",
        "certificate": "changed",
        "register": "changed",
        "sign-in": "passed",
        "integration": "changed",
        "scan": "changed",
        "overlap": "passed",
        "retire": "changed",
        "disable": "changed",
        "withdraw": "skipped",
        "record": "changed",
    }
    assert step(operation, "overlap")["attempts"] == 2
    await assert_finished(life, tenant, old)


async def test_a_rotation_says_nothing_about_how_the_tenant_was_onboarded(
    life: Life, tenant: SimulatedTenant
) -> None:
    await onboarded(life, tenant)
    waiting = msgspec.structs.replace(await life.record(tenant), state=TenantState.WAITING)
    await life.context.records.put(waiting)
    assert (await life.rotate(tenant))["status"] == "succeeded"
    assert (await life.record(tenant)).state is TenantState.WAITING


async def test_both_certificates_are_registered_for_the_whole_overlap(
    life: Life, tenant: SimulatedTenant, stack: LocalStack
) -> None:
    old = await onboarded(life, tenant)
    patient = Life(stack, {"ROTATION_OVERLAP_HOURS": "24"})
    operation = await patient.rotate(tenant)
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["overlap"] == "planned"
    assert outcomes(operation)["retire"] == "skipped"
    rotation = await rotation_of(life, tenant)
    assert rotation.state is RotationState.SCANNED
    assert rotation.new is not None
    assert registered(tenant) == [old, rotation.new.thumbprint]
    again = await patient.rotate(tenant)  # changes nothing before its time
    assert outcomes(again)["overlap"] == "planned"
    assert registered(tenant) == [old, rotation.new.thumbprint]
    life.simulators.run(life.simulators.clock.advance, 24 * 3600)
    await patient.aclose()
    later = Life(stack, {"ROTATION_OVERLAP_HOURS": "24"})  # fresh tokens, a day later
    operation = await later.rotate(tenant)
    await later.aclose()
    assert operation["status"] == "succeeded"
    await assert_finished(life, tenant, old)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", STEPS)
async def test_a_crash_at_any_edge_leaves_a_working_credential_and_the_next_run_goes_on(
    life: Life, tenant: SimulatedTenant, name: str, moment: str
) -> None:
    old = await onboarded(life, tenant)
    hooks: dict[str, Any] = {moment: {name: die}}
    operation = await life.rotate(tenant, **hooks)
    assert operation["status"] == "failed"
    assert step(operation, name)["code"] == "step_without_answer"
    if (name, moment) != ("disable", "after"):  # that one had come to its end, unheard
        operation = await life.rotate(tenant)
        assert operation["status"] == "succeeded"
    await assert_finished(life, tenant, old)
    assert len(life.simulators.vault.certificates.get(f"mondoo-ms365-{tenant.id}").versions) == 2


EDGES = {
    "certificate": ("vault", "POST /certificates/*/create"),
    "register": ("graph", "PATCH /applications/*"),
    "sign-in": ("exchange", "*"),
    "integration": ("mondoo", "updateClientIntegrationConfiguration"),
    "scan": ("mondoo", "triggerAction"),
    "retire": ("graph", "PATCH /applications/*"),
    "disable": ("vault", "PATCH /certificates/*"),
}

TROUBLES = {
    # More than the client waits out by itself, so that a durable timer does.
    "429": {"status": 429, "headers": {"Retry-After": "30"}},
    "500": {"status": 500},
    "403": {"status": 403, "code": "Forbidden", "message": "no", "times": None},
    "lost answer": {"drop": "after"},
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("name", EDGES)
async def test_a_refusal_or_an_outage_at_any_edge_leaves_a_working_credential(
    life: Life, tenant: SimulatedTenant, name: str, trouble: str
) -> None:
    old = await onboarded(life, tenant)
    service, operation_name = EDGES[name]
    struck = len(life.simulators.faults.pending)

    def arm() -> None:
        of = tenant if service == "graph" else None
        life.fault(operation_name, of, service=service, **TROUBLES[trouble])

    operation = await life.rotate(tenant, before={name: arm})
    if trouble == "403":
        # A service that refuses a sign-in may not have heard of a grant yet.
        ends = ("waiting", "unknown") if name == "sign-in" else ("failed", "failed")
        assert (operation["status"], step(operation, name)["outcome"]) == ends
    else:
        assert len(life.simulators.faults.pending) == struck, "the fault never struck"
    life.simulators.run(life.simulators.faults.clear)
    if operation["status"] != "succeeded":
        operation = await life.rotate(tenant)
    assert operation["status"] == "succeeded"
    await assert_finished(life, tenant, old)


@pytest.mark.parametrize("stop", [None, "integration", "retire"])
async def test_the_azure_integration_gets_the_new_certificate_with_the_other(
    life: Life, tenant: SimulatedTenant, stop: str | None
) -> None:
    """At every change a scan of both is tried; see `Life.rotate`."""
    azure = Azure(life, tenant, owner_of="everything")
    await life.onboard(tenant, subscriptions={"deny": [azure.ids[0]]})
    (before,) = azure.integrations()
    if stop is not None:
        await life.rotate(tenant, before={stop: die})
    operation = await life.rotate(tenant)
    assert operation["status"] == "succeeded"
    (after,) = azure.integrations()
    assert after.mrn == before.mrn
    assert azure.lists() == ([], [azure.ids[0]])
    (now,) = registered(tenant)
    assert after.labels["certificate-thumbprint"] == now
    assert set(life.scan(tenant)) == {"ACTIVE"}


async def test_case_e17_a_sign_in_that_takes_a_while_is_waited_for(
    life: Life, tenant: SimulatedTenant
) -> None:
    old = await onboarded(life, tenant)
    tenant.lag = Lag(credentials=120)
    operation = await life.rotate(tenant)
    assert operation["status"] == "succeeded"
    assert step(operation, "sign-in")["attempts"] > 2
    await assert_finished(life, tenant, old)


async def test_case_e17_a_sign_in_that_never_works_is_taken_back_and_the_old_one_goes_on(
    life: Life, tenant: SimulatedTenant
) -> None:
    old = await onboarded(life, tenant)
    tenant.lag = Lag(credentials=1_000_000)
    operation = await life.rotate(tenant, waits=SHORT)
    assert operation["status"] == "failed"
    assert step(operation, "sign-in")["code"] == "certificate_not_registered"
    assert outcomes(operation)["withdraw"] == "changed"
    assert outcomes(operation)["integration"] == "skipped"
    record = await life.record(tenant)
    assert record.rotation is not None
    assert record.rotation.state is RotationState.WITHDRAWN
    assert record.certificate is not None
    assert record.certificate.thumbprint == old
    assert registered(tenant) == [old]
    assert enabled_versions(life, tenant) == [record.certificate.version]
    tenant.lag = Lag()
    operation = await life.rotate(tenant)  # a new version is made, and works
    assert operation["status"] == "succeeded"
    await assert_finished(life, tenant, old)


async def rotate_until_it_succeeds(life: Life, tenant: SimulatedTenant) -> None:
    """A certificate that cannot sign in is taken back by one run at the most, and the next one
    makes another."""
    if (await life.rotate(tenant, waits=SHORT))["status"] != "succeeded":
        assert (await life.rotate(tenant))["status"] == "succeeded"


async def refused_sign_in(life: Life, tenant: SimulatedTenant, **hooks: Any) -> dict[str, Any]:
    """A rotation whose new certificate never signs in, so that it comes to the withdrawal."""
    tenant.lag = Lag(credentials=1_000_000)
    operation = await life.rotate(tenant, waits=SHORT, **hooks)
    tenant.lag = Lag()
    life.simulators.run(life.simulators.faults.clear)
    return operation


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_crash_around_the_withdrawal_leaves_a_working_credential_and_the_next_run_goes_on(
    life: Life, tenant: SimulatedTenant, moment: str
) -> None:
    old = await onboarded(life, tenant)
    hooks: dict[str, Any] = {moment: {"withdraw": die}}
    operation = await refused_sign_in(life, tenant, **hooks)
    assert operation["status"] == "failed"
    state = (await rotation_of(life, tenant)).state
    assert state is (RotationState.REGISTERED if moment == "before" else RotationState.WITHDRAWN)
    await rotate_until_it_succeeds(life, tenant)
    await assert_finished(life, tenant, old)


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize(
    ("service", "name"),
    [("graph", "PATCH /applications/*"), ("vault", "PATCH /certificates/*")],
    ids=["tenant", "vault"],
)
async def test_trouble_at_the_withdrawal_leaves_a_working_credential(
    life: Life, tenant: SimulatedTenant, service: str, name: str, trouble: str
) -> None:
    old = await onboarded(life, tenant)

    def arm() -> None:
        of = tenant if service == "graph" else None
        life.fault(name, of, service=service, **TROUBLES[trouble])

    operation = await refused_sign_in(life, tenant, before={"withdraw": arm})
    assert operation["status"] == "failed"
    withdrawn = (await rotation_of(life, tenant)).state is RotationState.WITHDRAWN
    assert withdrawn is (outcomes(operation)["withdraw"] == "changed")
    await rotate_until_it_succeeds(life, tenant)
    await assert_finished(life, tenant, old)


async def test_a_service_that_does_not_answer_is_no_reason_to_take_the_new_one_back(
    life: Life, tenant: SimulatedTenant
) -> None:
    old = await onboarded(life, tenant)
    life.fault("*", tenant, service="exchange", status=503, times=None)
    operation = await life.rotate(tenant, waits=SHORT)
    assert operation["status"] == "waiting"
    assert (await rotation_of(life, tenant)).state is RotationState.REGISTERED
    life.simulators.run(life.simulators.faults.clear)
    operation = await life.rotate(tenant)
    assert operation["status"] == "succeeded"
    await assert_finished(life, tenant, old)


async def test_case_e19_without_a_new_version_nothing_is_written_in_the_tenant(
    life: Life, tenant: SimulatedTenant
) -> None:
    await onboarded(life, tenant)
    first = len(life.simulators.journal.calls)
    life.fault("POST /certificates/*/create", None, service="vault", status=403, times=None)
    operation = await life.rotate(tenant)
    assert operation["status"] == "failed"
    writes = [c for c in life.simulators.journal.calls[first:] if c.write and c.service == "graph"]
    assert writes == []


def entry(name: str, days: int = 90, *, ago: int = 0) -> KeyCredential:
    """A key credential as some other tool leaves it, odd in every field."""
    start = datetime.now(UTC) - timedelta(days=ago)
    bundle = make_bundle(name, days=days, now=start)
    made = KeyCredential.of(
        x509.load_der_x509_certificate(bundle.certificate_der),
        f"00000000-0000-4000-8000-{abs(hash(name)) % 10**12:012d}",
        display_name=name,
    )
    made.custom_key_identifier = "63657274"
    made.start = f"{start:%Y-%m-%dT%H:%M:%S}.1234567+00:00"
    made.end = f"{start + timedelta(days=days):%Y-%m-%dT%H:%M:%S}.7654321Z"
    return made


async def test_case_e3_foreign_key_credentials_survive_byte_for_byte(
    life: Life, tenant: SimulatedTenant
) -> None:
    old = await onboarded(life, tenant)
    foreign = [entry("someone else's"), entry("mondoo")]
    application(tenant).key_credentials.extend(foreign)
    before = [each.as_json(with_key=True) for each in copy.deepcopy(foreign)]
    operation = await life.rotate(tenant)
    assert operation["status"] == "succeeded"
    held = [each.as_json(with_key=True) for each in application(tenant).key_credentials]
    assert [each for each in held if each in before] == before
    assert len(held) == 3
    assert old not in registered(tenant)


async def test_case_e11_hundreds_of_expired_ones_of_ours_are_pruned(
    life: Life, tenant: SimulatedTenant
) -> None:
    await onboarded(life, tenant)
    pattern = entry("mondoo-onboarding mondoo-ms365 2020-01-01", 30, ago=90)
    for number in range(600):
        one = copy.copy(pattern)
        one.key_id = f"00000000-0000-4000-8000-{number:012d}"
        application(tenant).key_credentials.append(one)
    operation = await life.rotate(tenant)
    assert operation["status"] == "succeeded"
    certificate = (await life.record(tenant)).certificate
    assert certificate is not None
    assert registered(tenant) == [certificate.thumbprint]


async def test_case_e14_a_tenant_that_allows_thirty_days_gets_less_than_that(
    life: Life, tenant: SimulatedTenant
) -> None:
    await onboarded(life, tenant)
    life.simulators.run(lambda: tenant.restrict_keys(max_lifetime="P30D"))
    operation = await life.rotate(tenant)
    assert operation["status"] == "succeeded"
    certificate = (await life.record(tenant)).certificate
    assert certificate is not None
    assert certificate.not_after - certificate.not_before <= timedelta(days=30)


async def test_case_e14_a_policy_that_began_after_our_application_was_made_shortens_nothing(
    life: Life, tenant: SimulatedTenant
) -> None:
    await onboarded(life, tenant)
    later = f"{life.simulators.clock.now() + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    life.simulators.run(lambda: tenant.restrict_keys(max_lifetime="P30D", created_after=later))
    operation = await life.rotate(tenant)
    assert operation["status"] == "succeeded"
    certificate = (await life.record(tenant)).certificate
    assert certificate is not None
    assert certificate.not_after - certificate.not_before > timedelta(days=300)


async def test_case_e15_a_tenant_that_demands_an_authority_is_refused_and_nothing_is_changed(
    life: Life, tenant: SimulatedTenant
) -> None:
    old = await onboarded(life, tenant)
    life.simulators.run(lambda: tenant.restrict_keys(trusted_authority=True))
    operation = await life.rotate(tenant)
    assert operation["status"] == "refused"
    findings = step(operation, "preflight")["findings"]
    assert [finding["code"] for finding in findings] == ["certificate_authority_required"]
    assert registered(tenant) == [old]
    assert len(enabled_versions(life, tenant)) == 1
    assert (await life.record(tenant)).rotation is None


async def test_a_version_that_somebody_else_made_is_taken_as_it_is(
    life: Life, tenant: SimulatedTenant
) -> None:
    old = await onboarded(life, tenant)
    name = f"mondoo-ms365-{tenant.id}"
    made = await life.context.vault.issue(name, days=90, tenant_id=tenant.id)
    operation = await life.rotate(tenant)
    assert operation["status"] == "succeeded"
    assert "was found in the vault" in step(operation, "certificate")["message"]
    assert (await rotation_of(life, tenant)).new == made
    await assert_finished(life, tenant, old)


async def test_an_application_that_is_gone_is_told_and_nothing_is_made(
    life: Life, tenant: SimulatedTenant
) -> None:
    await onboarded(life, tenant)
    gone = application(tenant)
    for one in [
        i for i in life.simulators.mondoo.integrations.values() if i.tenant_id == tenant.id
    ]:
        del life.simulators.mondoo.integrations[one.mrn]
    life.simulators.run(tenant.delete_application, gone)
    operation = await life.rotate(tenant)
    assert operation["status"] == "refused"
    assert step(operation, "preflight")["code"] == "application_missing"
    assert len(enabled_versions(life, tenant)) == 1
