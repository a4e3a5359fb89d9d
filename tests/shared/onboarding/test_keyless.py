"""Keyless: Mondoo signs in with tokens of its own that the application trusts, and no certificate.

The order is Mondoo's: integration, then issuer and subject as the API tells them, then the trust in
them, then the scan, which is the only proof of the sign-in. The simulated scanner makes such tokens
and the simulated Entra ID checks them against the application's federated credentials.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest

from local.simulators.objects import Application, FederatedCredential
from local.simulators.tenant import SimulatedTenant
from local.stack import LocalStack
from shared.audit.report import AuditReport
from shared.audit.steps import audit_tenant
from shared.entra.federated_credentials import NAME as CREDENTIAL_NAME
from shared.errors import Conflict, InvalidRequest
from shared.models import MARK, RepairPolicy, TenantRecord
from shared.rotation.due import reason_to_rotate
from tests.driving import outcomes, step
from tests.shared.lives import Life
from tests.shared.onboarding.rehearsal import WAITS
from tests.shared.onboarding.test_first_result import integration_of

READ = "clientIntegration"
AUDIENCE = "api://AzureADTokenExchange"
KEYLESS = {"authentication": "federated"}
BACK = {"authentication": "certificate"}
PATIENT = msgspec.structs.replace(WAITS, scan_deadline=3600)
"""As in the cloud: a scan is given longer than replication."""


@pytest.fixture
async def life(stack: LocalStack) -> AsyncIterator[Life]:
    """A rehearsal that goes on after the onboarding."""
    one = Life(stack, {"PROPAGATION_DEADLINE_SECONDS": "900"})
    yield one
    await one.aclose()
    stack.simulators.run(stack.simulators.faults.clear)


@pytest.fixture
def tenant(life: Life) -> SimulatedTenant:
    """A tenant in which nothing was done yet."""
    return life.add_tenant()


def app_of(tenant: SimulatedTenant) -> Application:
    (app,) = [each for each in tenant.applications.values() if each.display_name == "mondoo-ms365"]
    return app


def trusted(tenant: SimulatedTenant) -> list[FederatedCredential]:
    return list(app_of(tenant).federated_credentials.values())


async def audit(
    life: Life, tenant: SimulatedTenant, policy: RepairPolicy = RepairPolicy.REPORT
) -> AuditReport:
    record: TenantRecord = await life.record(tenant)
    return await audit_tenant(life.context, record, policy=policy, operation_id="audit")


def codes(report: AuditReport) -> set[str]:
    """What was found, but for what every tenant of the basic list is told."""
    return {each.code for each in report.findings} - {"manifest_outdated", "not_checked"}


# --- a new tenant --------------------------------------------------------------------------------


async def test_the_integration_comes_first_and_the_scan_proves_the_trust_in_its_tokens(
    life: Life, tenant: SimulatedTenant
) -> None:
    operation = await life.onboard(tenant, **KEYLESS)
    ended = outcomes(operation)
    assert ended.pop("policies") in ("changed", "passed")  # the space is shared by all tests
    assert ended == {
        "preflight": "passed",
        "application": "changed",
        "service-principal": "changed",
        "permissions": "changed",
        "directory-role": "changed",
        "integration": "changed",
        "federated-credential": "changed",
        "first-scan": "warning",
        "record": "changed",
    }
    assert operation["status"] == "succeeded"
    one = integration_of(life, tenant)
    (credential,) = trusted(tenant)
    assert (credential.issuer, credential.subject, credential.audiences) == (
        life.simulators.mondoo.wif_issuer,
        one.mrn,
        [AUDIENCE],
    )
    assert credential.name == CREDENTIAL_NAME
    assert MARK in (credential.description or "")
    assert one.use_wif
    assert one.certificate is None
    assert app_of(tenant).key_credentials == []


async def test_what_is_lost_is_said_before_and_after(life: Life, tenant: SimulatedTenant) -> None:
    planned = step(await life.plan(tenant, **KEYLESS), "integration")
    operation = await life.onboard(tenant, **KEYLESS)
    made, scanned = step(operation, "integration"), step(operation, "first-scan")
    for told in (made, scanned):
        (finding,) = [
            each for each in told["findings"] if each["code"] == "sharepoint_needs_certificate"
        ]
        assert finding["severity"] == "medium"
        assert '"authentication": "certificate"' in finding["remediation"]
    assert planned["outcome"] == "planned"
    assert "SharePoint Online" in planned["message"]
    states = {each["service"]: each["state"] for each in scanned["coverage"]}
    assert states["sharepoint"] == "not-scanned"
    assert states["entra"] != "not-scanned"
    assert states["exchange"] != "not-scanned"


async def test_a_plan_writes_nothing(life: Life, tenant: SimulatedTenant) -> None:
    operation = await life.plan(tenant, **KEYLESS)
    assert operation["status"] == "planned"
    assert outcomes(operation)["federated-credential"] == "planned"
    assert tenant.applications == {}


async def test_the_second_time_nothing_is_written(life: Life, tenant: SimulatedTenant) -> None:
    await life.onboard(tenant, **KEYLESS)
    before = len(life.calls(tenant, "PATCH"))
    operation = await life.onboard(tenant, **KEYLESS)
    assert operation["status"] == "succeeded"
    ended = outcomes(operation)
    assert ended.pop("first-scan") == "warning"
    assert set(ended.values()) == {"passed"}
    assert len(life.calls(tenant, "PATCH")) == before


async def test_no_certificate_is_made_and_none_is_asked_of_the_vault(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant, **KEYLESS)
    record = await life.record(tenant)
    assert (record.authentication, record.certificate) == ("federated", None)
    assert record.federated_credential == trusted(tenant)[0].id
    assert await life.context.vault.read(f"mondoo-ms365-{tenant.id}") is None


async def test_a_tenant_that_demands_an_authority_can_do_without_a_certificate(
    life: Life,
) -> None:
    strict = life.add_tenant()
    strict.restrict_keys(trusted_authority=True)
    refused = await life.onboard(strict)
    assert refused["status"] == "refused"
    assert '"authentication": "federated"' in step(refused, "preflight")["remediation"]
    assert (await life.onboard(strict, **KEYLESS))["status"] == "succeeded"


# --- what goes wrong -----------------------------------------------------------------------------


async def test_entra_takes_minutes_to_know_the_credential_and_the_scan_is_asked_for_again(
    life: Life, tenant: SimulatedTenant
) -> None:
    tenant.lag.credentials = 240.0
    operation = await life.onboard(tenant, **KEYLESS)
    assert operation["status"] == "succeeded"
    assert step(operation, "first-scan")["attempts"] > 3


async def test_a_trust_that_is_refused_for_good_is_told_with_the_way_out(
    life: Life, tenant: SimulatedTenant
) -> None:
    tenant.lag.credentials = 7200.0
    operation = await life.onboard(tenant, waits=PATIENT, **KEYLESS)
    told = step(operation, "first-scan")
    assert (told["outcome"], told["code"]) == ("failed", "scan_failed")
    (finding,) = [each for each in told["findings"] if each["severity"] == "high"]
    assert finding["code"] == "federated_credential_missing"
    assert "issuer and the subject" in finding["remediation"]
    assert (await life.record(tenant)).state == "failed"


async def test_mondoo_that_does_not_tell_issuer_and_subject_is_waited_for(
    life: Life, tenant: SimulatedTenant
) -> None:
    def hide() -> None:
        one = integration_of(life, tenant)
        options = {"tenantId": tenant.id, "clientId": app_of(tenant).app_id, "useWif": True}
        shown = {"mrn": one.mrn, "name": one.name, "status": "ACTIVE", "configurationOptions": {}}
        shown["configurationOptions"] = {**options, "wifIssuerURL": None, "wifSubject": ""}
        body = json.dumps({"data": {"clientIntegration": {"integration": shown}}}).encode()
        life.fault(READ, None, service="mondoo", body=body, times=None)

    operation = await life.onboard(tenant, before={"federated-credential": hide}, **KEYLESS)
    told = step(operation, "federated-credential")
    assert (told["outcome"], told["code"]) == ("unknown", "integration_federation_unknown")
    assert operation["status"] == "waiting"
    life.simulators.run(life.simulators.faults.clear)
    assert (await life.onboard(tenant, **KEYLESS))["status"] == "succeeded"
    assert len(trusted(tenant)) == 1


async def test_a_lost_answer_makes_no_second_credential(
    life: Life, tenant: SimulatedTenant
) -> None:
    operation = "PATCH /applications/{id}/federatedIdentityCredentials(name='{name}')"
    life.fault(operation, tenant, drop="after", times=1)
    assert (await life.onboard(tenant, **KEYLESS))["status"] == "succeeded"
    assert len(trusted(tenant)) == 1


async def test_a_credential_of_somebody_else_that_says_the_same_is_as_good(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant, **KEYLESS)
    (ours,) = trusted(tenant)
    ours.name, ours.description = "by-hand", None
    operation = await life.onboard(tenant, **KEYLESS)
    assert outcomes(operation)["federated-credential"] == "passed"
    assert [each.name for each in trusted(tenant)] == ["by-hand"]


async def test_a_name_that_somebody_else_took_is_not_taken_over(
    life: Life, tenant: SimulatedTenant
) -> None:
    def stranger() -> None:
        tenant.add_federated_credential(
            app_of(tenant), CREDENTIAL_NAME, "https://ci.example", "repo", AUDIENCE
        )

    operation = await life.onboard(
        tenant,
        before={"federated-credential": lambda: life.simulators.run(stranger)},
        **KEYLESS,
    )
    told = step(operation, "federated-credential")
    assert (told["outcome"], told["code"]) == ("failed", "federated_credential_taken")
    assert [each.issuer for each in trusted(tenant)] == ["https://ci.example"]


async def test_an_integration_that_was_made_anew_has_ours_corrected_in_place(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant, **KEYLESS)
    (before,) = trusted(tenant)
    gone = integration_of(life, tenant).mrn
    life.simulators.run(lambda: life.simulators.mondoo.integrations.pop(gone))
    assert (await life.onboard(tenant, **KEYLESS))["status"] == "succeeded"
    (after,) = trusted(tenant)
    assert (after.id, after.subject) == (before.id, integration_of(life, tenant).mrn)
    assert after.subject != gone


@pytest.mark.parametrize(
    ("field", "value"),
    [("certificate", {"name": "own"}), ("subscriptions", "all")],
)
async def test_what_needs_a_certificate_excludes_keyless(
    life: Life, tenant: SimulatedTenant, field: str, value: object
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await life.order(tenant, **{**KEYLESS, field: value})
    assert (refused.value.code, refused.value.field) == ("authentication_conflict", field)


# --- moving --------------------------------------------------------------------------------------


async def test_moving_to_keyless_removes_the_certificate_once_a_scan_has_proven_the_other(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    used = (await life.record(tenant)).certificate
    assert used is not None
    operation = await life.onboard(tenant, **KEYLESS)
    assert operation["status"] == "succeeded"
    names = [each["name"] for each in operation["steps"]]
    assert names.index("first-scan") < names.index("old-credential")
    assert outcomes(operation)["old-credential"] == "changed"
    assert app_of(tenant).key_credentials == []
    stored = await life.context.vault.read(used.name)
    assert stored is not None
    assert not stored.enabled
    one = integration_of(life, tenant)
    assert one.use_wif
    assert "certificate-thumbprint" not in one.labels
    record = await life.record(tenant)
    assert (record.authentication, record.certificate, record.rotation) == ("federated", None, None)
    report = await audit(life, tenant)
    assert codes(report) == {"sharepoint_needs_certificate"}
    # What was chosen is no reason to call somebody.
    assert report.status.value == "clean"


async def test_moving_back_makes_a_new_certificate_and_ends_the_trust(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    first = (await life.record(tenant)).certificate
    await life.onboard(tenant, **KEYLESS)
    operation = await life.onboard(tenant, **BACK)
    assert operation["status"] == "succeeded"
    assert trusted(tenant) == []
    record = await life.record(tenant)
    assert (record.authentication, record.federated_credential) == ("certificate", None)
    assert first is not None
    assert record.certificate is not None
    assert record.certificate.version != first.version
    assert codes(await audit(life, tenant)) == set()
    # Nothing is left to move the next time.
    again = await life.onboard(tenant)
    assert "old-credential" not in outcomes(again)


async def test_a_certificate_of_somebody_else_stays(life: Life, tenant: SimulatedTenant) -> None:
    await life.onboard(tenant)
    (ours,) = app_of(tenant).key_credentials
    ours.display_name = "uploaded by hand"
    operation = await life.onboard(tenant, **KEYLESS)
    assert operation["status"] == "succeeded"
    assert app_of(tenant).key_credentials == [ours]


async def test_leaving_the_field_out_moves_no_tenant(life: Life, tenant: SimulatedTenant) -> None:
    await life.onboard(tenant, **KEYLESS)
    order = await life.order(tenant)
    assert (order.authentication, order.retires) == ("federated", False)


async def test_a_move_that_fails_can_be_taken_back(life: Life, tenant: SimulatedTenant) -> None:
    await life.onboard(tenant)
    tenant.lag.credentials = 7200.0
    assert (await life.onboard(tenant, waits=PATIENT, **KEYLESS))["status"] == "failed"
    # The certificate is still registered, so that the tenant is as good as before at once.
    tenant.lag.credentials = 0.0
    assert app_of(tenant).key_credentials != []
    record = await life.record(tenant)
    assert (record.authentication, record.federated_credential is None) == ("certificate", False)
    back = await life.onboard(tenant, **BACK)
    assert back["status"] == "succeeded"
    assert outcomes(back)["old-credential"] == "changed"
    assert outcomes(back)["certificate"] == "passed"
    assert trusted(tenant) == []


@pytest.mark.parametrize("where", ["integration", "federated-credential", "old-credential"])
async def test_a_move_that_stopped_is_gone_on_with(
    life: Life, tenant: SimulatedTenant, where: str
) -> None:
    await life.onboard(tenant)
    if where == "integration":
        life.fault(
            "updateClientIntegrationConfiguration", None, service="mondoo", status=403, times=1
        )
    elif where == "federated-credential":
        operation = "PATCH /applications/{id}/federatedIdentityCredentials(name='{name}')"
        life.fault(operation, tenant, status=403, code="Authorization_RequestDenied", times=1)
    else:
        life.fault(
            "PATCH /applications/{id}",
            tenant,
            status=403,
            code="Authorization_RequestDenied",
            times=1,
        )
    stopped = await life.onboard(tenant, **KEYLESS)
    assert outcomes(stopped)[where] == "failed"
    ended = await life.onboard(tenant, **KEYLESS)
    assert ended["status"] == "succeeded"
    assert app_of(tenant).key_credentials == []
    assert len(trusted(tenant)) == 1


# --- afterwards ----------------------------------------------------------------------------------


async def test_there_is_nothing_to_rotate(life: Life, tenant: SimulatedTenant) -> None:
    await life.onboard(tenant)
    await life.onboard(tenant, **KEYLESS)
    record = await life.record(tenant)
    now = life.simulators.clock.now()
    assert reason_to_rotate(record, now, timedelta(days=30)) is None
    with pytest.raises(Conflict) as refused:
        await life.rotate(tenant)
    assert refused.value.code == "nothing_to_rotate"
    assert "without a certificate" in refused.value.message


async def test_an_audit_finds_and_repairs_a_trust_that_was_removed(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant, **KEYLESS)
    app_of(tenant).federated_credentials.clear()
    assert "federated_credential_missing" in codes(await audit(life, tenant))
    report = await audit(life, tenant, RepairPolicy.REPAIR)
    assert [each.action.value for each in report.changes] == ["add-federated-credential"]
    assert [each.outcome.value for each in report.changes] == ["changed"]
    assert len(trusted(tenant)) == 1
    assert "federated_credential_missing" not in codes(report)


async def test_an_audit_removes_what_a_keyless_tenant_has_too_much(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    (key,) = app_of(tenant).key_credentials
    await life.onboard(tenant, **KEYLESS)
    app_of(tenant).key_credentials.append(key)

    def stranger() -> None:
        tenant.add_federated_credential(app_of(tenant), "ci", "https://ci.example", "s", AUDIENCE)

    life.simulators.run(stranger)
    found = codes(await audit(life, tenant))
    assert {"certificate_superseded", "federated_credential"} <= found
    report = await audit(life, tenant, RepairPolicy.ENFORCE)
    assert {each.outcome.value for each in report.changes} == {"changed"}
    assert app_of(tenant).key_credentials == []
    assert [each.name for each in trusted(tenant)] == [CREDENTIAL_NAME]


async def test_an_audit_tells_when_somebody_changed_how_mondoo_signs_in(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant, **KEYLESS)
    one = integration_of(life, tenant)
    one.use_wif, one.certificate = False, "whatever"
    assert "integration_authentication_differs" in codes(await audit(life, tenant))


async def test_leaving_takes_the_trust_away_with_the_application(
    life: Life, tenant: SimulatedTenant
) -> None:
    await life.onboard(tenant)
    await life.onboard(tenant, **KEYLESS)
    ended = await life.offboard(tenant)
    assert ended["status"] == "succeeded"
    record = await life.record(tenant)
    assert record.receipt is not None
    assert record.receipt.complete
    # The certificate of before lay in the vault, switched off.
    fates = {entry.kind.value: entry.fate.value for entry in record.receipt.entries}
    assert fates["certificate"] == "removed"
    assert (record.authentication, record.federated_credential) == ("certificate", None)
    again = await life.onboard(tenant)
    assert again["status"] == "succeeded"
    assert "sign-in" in outcomes(again)
