"""Field cases, groups C and D: what is declared, granted, assigned and effective."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import msgspec

from local.simulators.catalogue import (
    ALL_AUTOMATION_RIGHTS,
    EXCHANGE,
    GLOBAL_READER,
    GRAPH,
    SHAREPOINT,
)
from local.simulators.objects import Lag, ServicePrincipal
from local.simulators.picture import picture
from local.simulators.tenant import SimulatedTenant, new_id
from tests.driving import Watch, outcomes, step
from tests.end_to_end.test_onboarding import ONCE, end_state
from tests.shared.onboarding.rehearsal import NAME, WAITS, Rehearsal

GRANT = "POST /servicePrincipals/{id}/appRoleAssignedTo"
GRANTS = "GET /servicePrincipals/{id}/appRoleAssignments"
ROLE = "POST /roleManagement/directory/roleAssignments"
TOKEN = "POST /{tenant}/oauth2/v2.0/token"
SHORT = msgspec.structs.replace(WAITS, propagation_deadline=60)


def principal_of(tenant: SimulatedTenant) -> ServicePrincipal:
    """The service principal of our application."""
    (ours,) = [app for app in tenant.applications.values() if app.display_name == NAME]
    principal = tenant.service_principal_by_app_id(ours.app_id)
    assert principal is not None
    return principal


def revoking_everything(tenant: SimulatedTenant) -> Callable[[], None]:
    """Takes all grants of our application away."""

    def revoke() -> None:
        for grant in tenant.grants_of(principal_of(tenant).id):
            tenant.revoke(grant)

    return revoke


# --- C2, C7, C8, C9: lists of grants and roles -------------------------------------------------


async def test_case_c2_a_grant_behind_a_thousand_others_is_seen(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    principal = principal_of(tenant)
    ours = tenant.grants_of(principal.id)

    def bury() -> None:
        for grant in ours:
            tenant.revoke(grant)
        resource = tenant.service_principal_by_app_id(GRAPH)
        assert resource is not None
        crowd = tenant.add_resource(new_id(), "Crowd", resource.app_roles)
        roles = [role.value for role in crowd.app_roles]
        for number in range(1000):
            tenant.grant(principal, roles[number % len(roles)], crowd.app_id)
        for grant in ours:
            tenant.store_grant(grant)

    rehearsal.simulators.run(bury)
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert outcomes(operation)["permissions"] == "passed"
    assert watch.writes("graph") == []


async def test_case_c7_grants_that_cannot_be_read_are_not_granted_again(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.fault(GRANTS, tenant, times=None, status=500)
    operation = await rehearsal.onboard(tenant, waits=SHORT)
    assert operation["status"] == "waiting"
    assert step(operation, "permissions")["code"] == "graph_unavailable"
    assert rehearsal.calls(tenant, GRANT) == []


async def test_case_c7_a_refused_reading_of_grants_stops_the_operation(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    before = picture(tenant)
    rehearsal.fault(GRANTS, tenant, status=403, code="Authorization_RequestDenied")
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "refused"
    assert "Authorization_RequestDenied" in step(operation, "preflight")["message"]
    assert picture(tenant) == before


async def test_case_c8_a_tenant_with_a_role_definition_of_its_own_is_right_the_second_time(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    tenant.definition_ids[GLOBAL_READER] = new_id()
    first = await rehearsal.onboard(tenant)
    assert first["status"] == "succeeded"
    with Watch(rehearsal.simulators) as watch:
        second = await rehearsal.onboard(tenant)
    assert set(outcomes(second).values()) == {"passed"}
    assert watch.writes("graph") == []
    assert end_state(rehearsal, tenant) == ONCE


async def test_case_c9_a_role_that_is_assigned_but_not_listed_yet_is_no_failure(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    def slow_lists() -> None:
        tenant.lag = Lag(objects=60.0)

    rehearsal.fault(ROLE, tenant, drop="after")
    operation = await rehearsal.onboard(tenant, before={"directory-role": slow_lists})
    assert operation["status"] == "succeeded"
    assert 400 in {call.status for call in rehearsal.calls(tenant, ROLE)}  # conflicting object
    assert end_state(rehearsal, tenant) == ONCE


async def test_case_c9_the_other_text_for_an_assigned_role_is_no_failure_either(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    def slow_lists() -> None:
        tenant.assign_role(principal_of(tenant))
        tenant.lag = Lag(objects=60.0)

    rehearsal.fault("GET /roleManagement/directory/roleAssignments", tenant, status=200, body=EMPTY)
    rehearsal.fault(ROLE, tenant, status=400, code="RoleAssignmentExists")
    operation = await rehearsal.onboard(tenant, before={"directory-role": slow_lists})
    assert operation["status"] == "succeeded"
    assert end_state(rehearsal, tenant) == ONCE


EMPTY = json.dumps({"value": []}).encode()


# --- D1, D3: declaring is not granting, and granting takes rights --------------------------------


async def test_case_d1_an_application_that_declares_everything_and_holds_nothing_is_seen_through(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    rehearsal.simulators.run(revoking_everything(tenant))
    planned = await rehearsal.plan(tenant)
    assert outcomes(planned)["application"] == "passed"
    assert outcomes(planned)["permissions"] == "planned"
    assert "9 permissions would be granted" in step(planned, "permissions")["message"]
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["permissions"] == "changed"
    assert end_state(rehearsal, tenant) == ONCE


async def test_case_d1_grants_that_vanish_before_the_proof_are_not_reported_as_success(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    operation = await rehearsal.onboard(
        tenant, waits=SHORT, before={"sign-in": revoking_everything(tenant)}
    )
    assert operation["status"] == "waiting"
    assert step(operation, "sign-in")["code"] == "graph_roles_missing"
    assert "the token does not carry" in step(operation, "sign-in")["message"]
    assert outcomes(operation)["integration"] == "skipped"


async def test_case_d3_rights_that_look_sufficient_are_refused_naming_all_that_is_missing(
    rehearsal: Rehearsal,
) -> None:
    tenant = rehearsal.add_tenant(rights={"Application.ReadWrite.All", "Directory.ReadWrite.All"})
    before = picture(tenant)
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "refused"
    told = step(operation, "preflight")
    missing = {
        "AppRoleAssignment.ReadWrite.All",
        "RoleManagement.ReadWrite.Directory",
        "Policy.Read.All",
    }
    named = {f["subject"] for f in told["findings"] if f["code"] == "automation_right_missing"}
    assert named == missing
    assert all(right in told["message"] and right in told["remediation"] for right in missing)
    assert watch.writes("graph", "vault", "mondoo") == []
    assert picture(tenant) == before


async def test_a_tenant_that_was_refused_is_known_by_its_name(rehearsal: Rehearsal) -> None:
    rights = ALL_AUTOMATION_RIGHTS - {"RoleManagement.ReadWrite.Directory"}
    tenant = rehearsal.add_tenant(display_name="Wingtip", rights=rights)
    assert (await rehearsal.onboard(tenant))["status"] == "refused"
    record = await rehearsal.context.records.get(tenant.id)
    assert record is not None
    assert record.display_name == "Wingtip"
    assert record.initial_domain is not None


# --- D5, D12, D13: services and principals that are not there ------------------------------------


async def test_case_d5_a_tenant_with_nothing_but_graph_is_onboarded_with_warnings(
    rehearsal: Rehearsal,
) -> None:
    tenant = rehearsal.add_tenant(services=frozenset())
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    told = step(operation, "permissions")
    assert told["outcome"] == "warning"
    named = {finding["subject"]: finding["notScanned"] for finding in told["findings"]}
    assert set(named) == {"Office 365 Exchange Online", "Office 365 SharePoint Online"}
    assert all(named.values())
    assert outcomes(operation)["first-scan"] == "warning"


async def test_case_d5_a_service_that_was_licensed_later_is_granted_then(
    rehearsal: Rehearsal,
) -> None:
    tenant = rehearsal.add_tenant(services=frozenset({"sharepoint"}))
    await rehearsal.onboard(tenant)
    rehearsal.simulators.run(tenant.add_resource, EXCHANGE)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["permissions"] == "changed"
    assert end_state(rehearsal, tenant) == ONCE


async def test_a_service_that_somebody_disabled_is_told_to_fail_the_scan_before_it_does(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    exchange = tenant.service_principal_by_app_id(EXCHANGE)
    assert exchange is not None
    exchange.enabled = False
    operation = await rehearsal.onboard(tenant)
    told = step(operation, "permissions")
    (finding,) = told["findings"]
    assert (told["outcome"], finding["code"]) == ("warning", "resource_disabled")
    assert "the first scan is expected to fail" in told["message"]
    assert operation["status"] == "failed"
    scan = step(operation, "first-scan")
    assert (scan["outcome"], scan["code"]) == ("failed", "scan_failed")
    assert "enable the service under Enterprise applications" in scan["remediation"]
    exchange.enabled = True
    assert (await rehearsal.onboard(tenant))["status"] == "succeeded"


async def test_case_d8_a_tenant_that_withdrew_its_consent_fails_alone(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    withdrawn = rehearsal.add_tenant()
    refusal = {
        "error": "invalid_grant",
        "error_description": "AADSTS65001: The user or administrator has not consented.",
        "error_codes": [65001],
    }
    rehearsal.fault(
        TOKEN,
        withdrawn,
        service="entra",
        times=None,
        status=400,
        body=json.dumps(refusal).encode(),
    )
    refused, onboarded = await asyncio.gather(
        rehearsal.onboard(withdrawn), rehearsal.onboard(tenant)
    )
    assert (refused["status"], onboarded["status"]) == ("refused", "succeeded")
    told = step(refused, "preflight")
    assert told["code"] == "consent_missing"
    assert "consent" in told["remediation"]


async def test_case_d12_a_service_that_vanished_is_named_when_no_token_is_given_for_it(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    def vanish() -> None:
        resource = tenant.service_principal_by_app_id(SHAREPOINT)
        assert resource is not None
        tenant.delete_service_principal(resource)

    operation = await rehearsal.onboard(tenant, before={"sign-in": vanish})
    assert operation["status"] == "failed"
    told = step(operation, "sign-in")
    assert told["code"] == "resource_not_in_tenant"
    assert "SharePoint" in told["message"]
    assert "AADSTS500011" in told["message"]
    assert outcomes(operation)["integration"] == "skipped"


async def test_case_d13_our_application_that_was_disabled_is_enabled_again(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    principal = principal_of(tenant)
    principal.enabled = False
    planned = await rehearsal.plan(tenant)
    assert outcomes(planned)["service-principal"] == "planned"
    assert principal.enabled is False
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["service-principal"] == "changed"
    assert principal.enabled is True


async def test_case_d13_our_automation_disabled_in_the_tenant_is_said_to_be_disabled(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    tenant.service_principals[rehearsal.automation(tenant)].enabled = False
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "refused"
    told = step(operation, "preflight")
    assert told["code"] == "application_disabled"
    assert "enable" in told["remediation"]
    assert "The certificate is not the cause" in told["remediation"]


# --- D7, D9: what was granted takes effect later ------------------------------------------------


async def test_case_d7_grants_that_reach_tokens_late_are_waited_for_with_new_tokens(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    tenant.lag = Lag(grants=120.0)
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    proof = step(operation, "sign-in")
    assert proof["attempts"] > 2
    tokens = [c for c in watch.calls if c.service == "entra" and c.operation == TOKEN]
    assert len(tokens) >= proof["attempts"]


async def test_case_d7_a_service_that_refuses_at_first_is_asked_again_with_a_new_token(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.fault("GET /{name}/_api/web", tenant, service="sharepoint", times=3, status=403)
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert step(operation, "sign-in")["attempts"] == 4
    tokens = [c for c in watch.calls if c.service == "entra" and c.operation == TOKEN]
    assert len(tokens) >= 4 * 3, "three services, four attempts, no token used twice"


async def test_case_d7_a_right_that_our_automation_was_given_meanwhile_counts_at_once(
    rehearsal: Rehearsal,
) -> None:
    missing = "RoleManagement.ReadWrite.Directory"
    tenant = rehearsal.add_tenant(rights=ALL_AUTOMATION_RIGHTS - {missing})
    assert (await rehearsal.onboard(tenant))["status"] == "refused"
    rehearsal.simulators.run(
        tenant.grant, tenant.service_principals[rehearsal.automation(tenant)], missing
    )
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded", "the token from before says nothing of the right"


async def test_case_d9_exchange_that_has_not_heard_of_the_role_is_waited_for(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    tenant.lag = Lag(roles=120.0)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert step(operation, "sign-in")["attempts"] > 2


async def test_case_d9_a_role_that_was_taken_away_is_named_beside_the_permission(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    operation = await rehearsal.onboard(
        tenant, waits=SHORT, before={"sign-in": tenant.role_assignments.clear}
    )
    assert operation["status"] == "waiting"
    told = step(operation, "sign-in")
    assert "isn't supported in this scenario" in told["message"]
    assert "Exchange.ManageAsApp" in told["remediation"]
    assert "Global Reader" in told["remediation"]
