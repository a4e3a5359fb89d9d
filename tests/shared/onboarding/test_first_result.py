"""The first result: a scan that fails, for each reason, and what the statement says of it.

Each failure is made just before the scan, after every other step has passed: what Mondoo then meets
is the only sign of it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from local.simulators.faults import Fault
from local.simulators.mondoo.estate import Integration, Message
from local.simulators.tenant import SimulatedTenant
from shared.audit.catalogue import entry_of
from shared.certificates import make_bundle
from tests.driving import outcomes, step
from tests.shared.onboarding.rehearsal import Rehearsal
from tests.shared.onboarding.test_cases_grants import principal_of

ALL = ["entra", "exchange", "sharepoint", "teams", "intune"]


def integration_of(rehearsal: Rehearsal, tenant: SimulatedTenant) -> Integration:
    (one,) = [
        each
        for each in rehearsal.simulators.mondoo.integrations.values()
        if each.tenant_id == tenant.id
    ]
    return one


def coverage(told: dict[str, Any]) -> dict[str, str]:
    return {each["service"]: each["state"] for each in told["coverage"]}


def causes(told: dict[str, Any], service: str) -> dict[str, list[str]]:
    (one,) = [each for each in told["coverage"] if each["service"] == service]
    return {each["code"]: each.get("subjects", []) for each in one.get("causes", [])}


def finding(told: dict[str, Any], code: str) -> dict[str, Any]:
    (one,) = [each for each in told["findings"] if each["code"] == code]
    return one


Break = Callable[[Rehearsal, SimulatedTenant], None]


def certificate_taken_off(rehearsal: Rehearsal, tenant: SimulatedTenant) -> None:
    (app,) = [a for a in tenant.applications.values() if a.display_name == "mondoo-ms365"]
    app.key_credentials.clear()


def certificate_expired(rehearsal: Rehearsal, tenant: SimulatedTenant) -> None:
    """Mondoo holds a pair that is registered, and has expired."""
    now = rehearsal.simulators.clock.now()
    bundle = make_bundle("old", days=1, now=now - timedelta(days=3))
    (app,) = [a for a in tenant.applications.values() if a.display_name == "mondoo-ms365"]
    certificate = x509.load_der_x509_certificate(bundle.certificate_der)
    other = tenant.add_application("with-an-old-key", key_credentials=[certificate])
    app.key_credentials[:] = other.key_credentials
    integration_of(rehearsal, tenant).certificate = bundle.pem()


def no_pem_at_all(rehearsal: Rehearsal, tenant: SimulatedTenant) -> None:
    integration_of(rehearsal, tenant).certificate = "abcd1234567890"


def grant_taken_away(rehearsal: Rehearsal, tenant: SimulatedTenant) -> None:
    for grant in tenant.grants_of(principal_of(tenant).id):
        resource = tenant.service_principals[grant.resource_id]
        names = {role.id: role.value for role in resource.app_roles}
        if names.get(grant.app_role_id) == "SecurityEvents.Read.All":
            tenant.revoke(grant)


def role_taken_away(rehearsal: Rehearsal, tenant: SimulatedTenant) -> None:
    ours = principal_of(tenant).id
    for key in [k for k, r in tenant.role_assignments.items() if r.principal_id == ours]:
        del tenant.role_assignments[key]


def exchange_not_ready(rehearsal: Rehearsal, tenant: SimulatedTenant) -> None:
    rehearsal.simulators.faults.add(
        Fault(
            "exchange",
            operation="InvokeCommand Get-OrganizationConfig",
            tenant=tenant.id,
            status=403,
            code="UnsupportedRole",
            message="The role assigned to application isn't supported in this scenario.",
        )
    )


def keyless(rehearsal: Rehearsal, tenant: SimulatedTenant) -> None:
    one = integration_of(rehearsal, tenant)
    one.use_wif, one.certificate = True, None
    (app,) = [a for a in tenant.applications.values() if a.display_name == "mondoo-ms365"]
    issuer = rehearsal.simulators.mondoo.wif_issuer
    tenant.add_federated_credential(app, "mondoo", issuer, one.mrn, "api://AzureADTokenExchange")


def application_disabled(rehearsal: Rehearsal, tenant: SimulatedTenant) -> None:
    principal_of(tenant).enabled = False


def graph_out_of_order(rehearsal: Rehearsal, tenant: SimulatedTenant) -> None:
    rehearsal.simulators.faults.add(
        Fault("graph", operation="GET /organization", tenant=tenant.id, status=503)
    )


WHOLE = dict.fromkeys(ALL, "not-scanned")

FAILURES: dict[str, tuple[Break, str, str, dict[str, str], str]] = {
    "certificate not registered": (
        certificate_taken_off,
        "scan_failed",
        "certificate_not_registered",
        WHOLE,
        "added to the application",
    ),
    "certificate expired": (
        certificate_expired,
        "scan_failed",
        "certificate_expired",
        WHOLE,
        "new certificate is issued",
    ),
    "certificate unusable": (
        no_pem_at_all,
        "scan_failed",
        "integration_certificate_unusable",
        WHOLE,
        "from the vault anew",
    ),
    "grant missing": (
        grant_taken_away,
        "scan_incomplete",
        "permission_missing",
        {"entra": "partly"},
        "admin consent",
    ),
    "Global Reader missing": (
        role_taken_away,
        "scan_failed",
        "directory_role_missing",
        {"exchange": "not-scanned", "teams": "not-scanned", "sharepoint": "scanned"},
        "Global Reader is assigned",
    ),
    "Exchange not ready": (
        exchange_not_ready,
        "scan_failed",
        "exchange_not_ready",
        {"exchange": "not-scanned", "sharepoint": "scanned"},
        "wait, then send",
    ),
    "SharePoint under keyless": (
        keyless,
        "scan_incomplete",
        "sharepoint_needs_certificate",
        {"sharepoint": "not-scanned", "entra": "partly"},
        "given the certificate",
    ),
    "application disabled": (
        application_disabled,
        "scan_failed",
        "application_disabled",
        WHOLE,
        "enable it",
    ),
    "a service without an answer": (
        graph_out_of_order,
        "scan_failed",
        "scan_interrupted",
        WHOLE,
        "Send the request again",
    ),
}


@pytest.mark.parametrize("reason", FAILURES)
async def test_a_scan_that_fails_leads_to_the_remedy_and_the_tenant_is_not_onboarded(
    rehearsal: Rehearsal, tenant: SimulatedTenant, reason: str
) -> None:
    breaking, step_code, code, expected, remedy = FAILURES[reason]
    operation = await rehearsal.onboard(
        tenant, before={"first-scan": lambda: breaking(rehearsal, tenant)}
    )
    told = step(operation, "first-scan")
    assert (told["outcome"], told["code"]) == ("failed", step_code)
    named = finding(told, code)
    assert named["severity"] == "high"
    assert remedy in named["remediation"]
    assert remedy in told["remediation"]
    assert named["notScanned"]
    states = coverage(told)
    assert list(states) == ALL
    assert {service: states[service] for service in expected} == expected
    affected = [service for service, state in expected.items() if state != "scanned"]
    assert any(code in causes(told, service) for service in affected)
    assert operation["status"] == "failed"
    record = await rehearsal.context.records.get(tenant.id)
    assert record is not None
    assert record.state == "failed"
    assert record.onboarded_at is None
    assert {each.service: each.state for each in record.coverage} == states


async def test_a_keyless_scan_signs_in_at_any_simulated_time(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.simulators.run(rehearsal.simulators.clock.advance, 3600)
    operation = await rehearsal.onboard(
        tenant, before={"first-scan": lambda: keyless(rehearsal, tenant)}
    )
    assert step(operation, "first-scan")["code"] == "scan_incomplete"


HEALED_BY_SENDING_AGAIN = [
    reason for reason in FAILURES if reason not in ("certificate expired", "Exchange not ready")
]


@pytest.mark.parametrize("reason", HEALED_BY_SENDING_AGAIN)
async def test_sending_the_request_again_heals_what_the_remedy_says_it_heals(
    rehearsal: Rehearsal, tenant: SimulatedTenant, reason: str
) -> None:
    breaking = FAILURES[reason][0]
    await rehearsal.onboard(tenant, before={"first-scan": lambda: breaking(rehearsal, tenant)})
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded", outcomes(operation)
    assert "not-scanned" not in {
        state
        for service, state in coverage(step(operation, "first-scan")).items()
        if service != "teams"
    }


async def test_a_clean_tenant_says_what_the_nine_permissions_do_not_show(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    operation = await rehearsal.onboard(tenant)
    told = step(operation, "first-scan")
    assert told["outcome"] == "changed"
    assert coverage(told) == {
        "entra": "partly",
        "exchange": "partly",
        "sharepoint": "scanned",
        "teams": "not-scanned",
        "intune": "partly",
    }
    assert causes(told, "teams") == {"permission_not_in_manifest": ["Organization.Read.All"]}
    assert "AccessReview.Read.All" in causes(told, "entra")["permission_not_in_manifest"]
    # Another API has a role of the same name, which the list has and the tenant granted.
    compliance = "Exchange.ManageAsApp of Microsoft Exchange Online Protection"
    assert causes(told, "exchange") == {"permission_not_in_manifest": [compliance]}
    messages = {each["subject"]: each["message"] for each in told["findings"]}
    assert messages[compliance] == f"{compliance}: not in the list quick-setup"
    assert {each["severity"] for each in told["findings"]} == {"info"}
    assert "scanned: SharePoint Online" in told["message"]
    record = await rehearsal.context.records.get(tenant.id)
    assert record is not None
    assert record.asset is not None
    assert record.grade == "A"
    assert record.console is not None
    assert {each.service: str(each.state) for each in record.coverage} == coverage(told)


async def test_the_thirty_permissions_show_everything(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    operation = await rehearsal.onboard(tenant, manifest="2026-09")
    told = step(operation, "first-scan")
    assert coverage(told) == dict.fromkeys(ALL, "scanned")
    assert told.get("findings", []) == []
    again = step(await rehearsal.onboard(tenant, manifest="2026-09"), "first-scan")
    assert (again["outcome"], coverage(again)) == ("passed", coverage(told))


async def test_a_service_without_a_licence_is_told_and_does_no_harm(rehearsal: Rehearsal) -> None:
    tenant = rehearsal.add_tenant(services=frozenset({"sharepoint"}))
    operation = await rehearsal.onboard(tenant)
    told = step(operation, "first-scan")
    assert operation["status"] == "succeeded"
    assert told["outcome"] == "warning"
    assert coverage(told)["exchange"] == "not-scanned"
    assert causes(told, "exchange")["resource_absent"] == ["Office 365 Exchange Online"]
    assert finding(told, "resource_absent")["severity"] == "medium"
    asked = step(operation, "permissions")
    remedies = {finding(each, "resource_absent")["remediation"] for each in (told, asked)}
    assert remedies == {entry_of("resource_absent").fix}


async def test_a_grant_that_the_scan_did_not_see_is_not_called_missing(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    taken: list[Any] = []

    def hide() -> None:
        for grant in tenant.grants_of(principal_of(tenant).id):
            resource = tenant.service_principals[grant.resource_id]
            names = {role.id: role.value for role in resource.app_roles}
            if names.get(grant.app_role_id) == "SecurityEvents.Read.All":
                taken.append(grant)
                tenant.revoke(grant)

    def give_back() -> None:
        tenant.store_grant(taken[0])

    scanner = rehearsal.simulators.mondoo.scanner
    record = scanner._record

    def recorded(integration: Integration, report: Any) -> None:
        give_back()
        record(integration, report)

    scanner._record = recorded  # type: ignore[method-assign]
    try:
        operation = await rehearsal.onboard(tenant, before={"first-scan": hide})
    finally:
        scanner._record = record  # type: ignore[method-assign]
    told = step(operation, "first-scan")
    assert told["code"] == "scan_incomplete"
    assert causes(told, "entra")["permission_not_effective"] == ["SecurityEvents.Read.All"]
    assert "hour" in finding(told, "permission_not_effective")["remediation"]


@pytest.mark.parametrize(
    ("status", "outcome"), [("WARNING", "warning"), ("ERROR", "failed"), ("INFO", "passed")]
)
async def test_a_message_that_nobody_has_explained_is_passed_on_as_it_is(
    rehearsal: Rehearsal, tenant: SimulatedTenant, status: str, outcome: str
) -> None:
    await rehearsal.onboard(tenant, manifest="2026-09")
    text = "the flux capacitor is not aligned"

    def say() -> None:
        one = integration_of(rehearsal, tenant)
        now = rehearsal.simulators.clock.now()
        one.messages = [Message(text, status, "flux", now)]

    operation = await rehearsal.onboard(tenant, manifest="2026-09", before={"first-scan": say})
    told = step(operation, "first-scan")
    assert told["outcome"] == outcome
    if status == "INFO":
        assert told.get("findings", []) == []
    else:
        named = finding(told, "scan_message")
        assert (named["subject"], named["message"]) == ("flux", text)


async def test_a_message_that_somebody_put_aside_counts_no_more(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant, manifest="2026-09")

    def say() -> None:
        one = integration_of(rehearsal, tenant)
        now = rehearsal.simulators.clock.now()
        one.messages = [Message("nobody minds", "WARNING", "flux", now, suppressed=True)]

    operation = await rehearsal.onboard(tenant, manifest="2026-09", before={"first-scan": say})
    assert step(operation, "first-scan")["outcome"] == "passed"
