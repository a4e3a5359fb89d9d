"""Audits of simulated tenants, from reading to report, with the real clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from local.simulators.catalogue import ALL_AUTOMATION_RIGHTS, GLOBAL_READER, AppRole
from local.simulators.tenant import new_id
from shared.audit.catalogue import EVERYTHING, Repairable, entry_of
from shared.audit.report import Action, AuditReport, AuditStatus
from shared.audit.steps import audit_tenant, followed
from shared.config import Settings
from shared.context import Context
from shared.entra.graph import GraphClient
from shared.errors import NotYet, Refused
from shared.manifest import load_manifest
from shared.models import MARK, Outcome, RepairPolicy, Severity
from tests.shared.audit import drifts
from tests.shared.audit.conftest import NAME, NEWEST, AuditedTenant, Stand
from tests.shared.audit.drifts import DRIFTS, WANTED, Drift

REPORT, REPAIR, ENFORCE = RepairPolicy.REPORT, RepairPolicy.REPAIR, RepairPolicy.ENFORCE


async def audit(
    context: Context, here: AuditedTenant, policy: RepairPolicy = REPORT, *, rehearse: bool = False
) -> AuditReport:
    return await audit_tenant(
        context, here.record, policy=policy, operation_id="an-operation", rehearse=rehearse
    )


def codes(report: AuditReport) -> set[str]:
    return {finding.code for finding in report.findings}


def put(here: AuditedTenant, *names: str) -> None:
    """Put the tenant into the drifts that lead to these findings."""
    for name in names:
        drift = next(each for each in DRIFTS if each.code == name)
        here.drift(drift.put, here)


class Meanwhile(Context):
    """Something happens between the first reading and the repair."""

    def __init__(self, settings: Settings, event: Callable[[], object]) -> None:
        super().__init__(settings)
        self._event = event
        self._asked = 0

    def graph(self, tenant_id: str) -> GraphClient:
        self._asked += 1
        if self._asked == 2:  # once for each reading and each repair
            self._event()
        return super().graph(tenant_id)


@pytest.fixture
async def meanwhile(
    stand: Stand,
) -> AsyncIterator[Callable[[Callable[[], object]], Context]]:
    """Makes a context in which something happens between reading and repair."""
    made: list[Context] = []

    def make(event: Callable[[], object]) -> Context:
        made.append(Meanwhile(stand.settings, event))
        return made[-1]

    yield make
    for context in made:
        await context.aclose()


# --- reading -------------------------------------------------------------------------------------


async def test_a_tenant_without_drift_is_clean_and_takes_one_request(
    context: Context, here: AuditedTenant
) -> None:
    watch = here.watch()
    report = await audit(context, here, ENFORCE)
    assert report.findings == []
    assert report.status is AuditStatus.CLEAN
    assert report.changes == []
    assert watch.requests == ["POST /$batch"]
    assert len(watch.inner) <= 20
    assert not watch.writes


def covered(report: AuditReport) -> dict[str, str]:
    return {each.service: each.state.value for each in report.coverage}


async def test_the_report_says_of_each_service_what_the_newest_scan_covers(
    context: Context, here: AuditedTenant
) -> None:
    clean = await audit(context, here)
    assert covered(clean) == dict.fromkeys(
        ("entra", "exchange", "sharepoint", "teams", "intune"), "scanned"
    )
    put(here, "directory_role_missing")
    report = await audit(context, here)
    assert {service for service, state in covered(report).items() if state == "not-scanned"} == {
        "exchange",
        "teams",
    }
    (cause,) = next(each.causes for each in report.coverage if each.service == "exchange")
    assert cause.code == "directory_role_missing"
    assert followed(here.record, report).coverage == report.coverage
    repaired = await audit(context, here, REPAIR)
    assert covered(repaired) == covered(clean)


async def test_before_the_first_scan_nothing_is_said_of_what_it_covers(
    context: Context, here: AuditedTenant
) -> None:
    put(here, "scan_overdue")
    here.integration.scan_finished = None
    report = await audit(context, here)
    assert report.coverage == []
    assert followed(here.record, report).coverage == here.record.coverage


async def test_an_older_manifest_is_mentioned_and_nothing_else_is_wrong(
    context: Context, stand: Stand
) -> None:
    report = await audit(context, stand.tenant(manifest="quick-setup"), ENFORCE)
    assert codes(report) == {"manifest_outdated"}
    assert "adds 21 permissions" in report.findings[0].message
    assert "Teams checks (CIS 8.x) cannot run" in (report.findings[0].not_scanned or "")
    assert report.status is AuditStatus.CLEAN


@pytest.mark.parametrize("others", [100, 999])
async def test_case_c2_the_wanted_permission_is_seen_however_late_it_is_listed(
    others: int, context: Context, here: AuditedTenant
) -> None:
    """101 and 1,000 grants, the wanted one last, and its id under another resource before it."""
    roles = [AppRole(new_id(), f"Role.{number}") for number in range(others - 1)]
    same_id = AppRole(WANTED.app_role_id, "Guest.Manage")
    grants_before = len(here.tenant.grants_of(here.principal.id))

    def fill() -> None:
        here.tenant.add_resource(drifts.GUEST_API, "Guest API", [same_id, *roles])
        [last] = [
            grant
            for grant in here.tenant.grants_of(here.principal.id)
            if grant.app_role_id == WANTED.app_role_id
        ]
        here.tenant.revoke(last)
        for role in (same_id, *roles):
            here.tenant.grant(here.app, role.id, drifts.GUEST_API)
        here.tenant.store_grant(last)

    here.drift(fill)
    report = await audit(context, here)
    assert codes(report) == {"grant_not_declared"}
    assert len(report.findings) == others
    assert {finding.subject for finding in report.findings} >= {"Guest.Manage", "Role.0"}
    enforced = await audit(context, here, ENFORCE)
    assert enforced.findings == []
    assert len(here.tenant.grants_of(here.principal.id)) == grants_before


async def test_only_the_same_role_of_another_api_is_granted_and_that_is_not_the_wanted_one(
    context: Context, here: AuditedTenant
) -> None:
    put(here, "permission_not_granted")
    here.drift(drifts._grant_on_another_api, here)
    report = await audit(context, here)
    assert codes(report) == {"permission_not_granted", "grant_not_declared"}


async def test_case_c5_an_id_of_another_kind_is_nobodys(
    context: Context, here: AuditedTenant
) -> None:
    """The service principal's object id in the place of the application's."""
    confused = msgspec.structs.replace(here.record, application_object_id=here.principal.id)
    report = await audit_tenant(context, confused, policy=REPORT, operation_id="an-operation")
    assert codes(report) == {"application_missing"}


async def test_case_c8_the_role_is_recognised_by_the_tenants_own_definition(
    context: Context, here: AuditedTenant
) -> None:
    here.drift(drifts._unassign, here)
    here.drift(here.tenant.definition_ids.__setitem__, GLOBAL_READER, new_id())
    here.drift(here.tenant.assign_role, here.app)
    assert (await audit(context, here)).findings == []


async def test_case_c9_a_role_that_someone_else_assigns_meanwhile_is_no_failure(
    meanwhile: Callable[[Callable[[], object]], Context], here: AuditedTenant
) -> None:
    here.drift(drifts._unassign, here)
    context = meanwhile(lambda: here.drift(here.tenant.assign_role, here.app))
    report = await audit(context, here, REPAIR)
    assert [change.outcome for change in report.changes] == [Outcome.CHANGED]
    assert report.findings == []


async def test_case_c9_a_role_that_exists_by_answer_only_is_not_called_assigned(
    context: Context, here: AuditedTenant
) -> None:
    here.drift(drifts._unassign, here)
    here.fault(
        "POST /roleManagement/directory/roleAssignments",
        status=400,
        code="RoleAssignmentExists",
        message="The Role assignment already exists.",
    )
    report = await audit(context, here, REPAIR)
    [change] = report.changes
    assert change.action is Action.ASSIGN_ROLE
    assert change.outcome is Outcome.UNKNOWN
    assert codes(report) == {"directory_role_missing"}


async def test_a_role_that_is_active_by_schedule_without_an_end_is_the_role(
    context: Context, here: AuditedTenant
) -> None:
    here.drift(drifts._unassign, here)
    here.drift(here.tenant.schedule_role, here.app, eligible=False)
    assert (await audit(context, here)).findings == []


async def test_case_a11_a_new_principal_after_a_restore_has_nothing_and_is_not_called_right(
    context: Context, here: AuditedTenant
) -> None:
    def restore() -> None:
        here.tenant.switches.restore_makes_new_principal = True
        here.tenant.delete_application(here.app)
        here.tenant.restore(here.app)

    here.drift(restore)
    report = await audit(context, here)
    assert {"permission_not_granted", "directory_role_missing", "principal_not_ours"} <= codes(
        report
    )
    assert report.service_principal_id not in (None, here.principal.id)
    assert followed(here.record, report).service_principal_id == report.service_principal_id


async def test_case_d1_declared_and_not_granted_says_what_cannot_be_scanned(
    context: Context, here: AuditedTenant
) -> None:
    here.drift(drifts._revoke_everything, here)
    report = await audit(context, here)
    assert codes(report) == {"permission_not_granted"}
    wanted = load_manifest(NEWEST).permissions
    assert len(report.findings) == len(wanted)
    assert {gap.not_scanned for gap in report.gaps} >= {"Every Exchange Online check fails"}


async def test_case_d5_a_service_that_is_not_licensed_is_one_finding(
    context: Context, stand: Stand
) -> None:
    here = stand.tenant(services={"sharepoint", "exchange-protection"})
    watch = here.watch()
    report = await audit(context, here, ENFORCE)
    assert [finding.subject for finding in report.findings] == ["Office 365 Exchange Online"]
    assert codes(report) == {"resource_absent"}
    assert not watch.writes


async def test_case_d13_a_disabled_principal_is_called_that_and_no_certificate_is_blamed(
    context: Context, here: AuditedTenant
) -> None:
    put(here, "principal_disabled")
    report = await audit(context, here)
    [finding] = report.findings
    assert finding.code == "principal_disabled"
    assert "disabled in the tenant" in finding.message
    assert [gap.not_scanned for gap in report.gaps] == [EVERYTHING]


async def test_case_d15_a_switch_that_this_cloud_does_not_know_is_ignored(
    context: Context, here: AuditedTenant
) -> None:
    for one in ("GET /applications/{id}", "GET /servicePrincipals(appId='{appId}')"):
        # APIs, and the object itself, are read before its switch is asked for.
        reads_before = 1 if one.endswith("{id}") else 5
        here.fault(one, times=reads_before)
        here.fault(one, status=400, code="BadRequest", message="no property named 'isDisabled'")
    assert (await audit(context, here)).findings == []


async def test_case_d17_owners_and_every_kind_of_credential_are_looked_at(
    context: Context, here: AuditedTenant
) -> None:
    put(here, "owner_unknown", "federated_credential", "secret", "certificate_clutter")
    report = await audit(context, here)
    severities = {finding.code: finding.severity for finding in report.findings}
    assert severities == {
        "owner_unknown": Severity.MEDIUM,
        "federated_credential": Severity.HIGH,
        "secret": Severity.HIGH,
        "certificate_clutter": Severity.LOW,
    }
    [trust] = [each for each in report.findings if each.code == "federated_credential"]
    assert "https://token.actions.githubusercontent.com" in trust.message


async def test_roles_that_the_tenant_has_no_licence_to_schedule_are_no_finding(
    context: Context, here: AuditedTenant
) -> None:
    here.drift(setattr, here.tenant.switches, "pim_licensed", False)
    report = await audit(context, here)
    assert report.findings == []
    assert {each.aspect for each in report.unread} == {
        "eligible directory roles",
        "timed directory roles",
    }


async def test_what_our_rights_do_not_cover_is_said_and_not_called_right(
    context: Context, stand: Stand
) -> None:
    here = stand.tenant(delegated_right=False)
    put(here, "delegated_grant")
    report = await audit(context, here, ENFORCE)
    [finding] = report.findings
    assert finding.code == "not_checked"
    assert "DelegatedPermissionGrant.Read.All" in finding.message


async def test_a_tenant_that_was_never_onboarded_is_reported_as_that(
    context: Context, here: AuditedTenant
) -> None:
    empty = msgspec.structs.replace(
        here.record,
        app_id=None,
        application_object_id=None,
        service_principal_id=None,
        certificate=None,
        integration=None,
    )
    watch = here.watch()
    report = await audit_tenant(context, empty, policy=ENFORCE, operation_id="an-operation")
    assert codes(report) == {"never_onboarded"}
    assert not watch.writes


@pytest.mark.parametrize(
    "operation",
    [
        "GET /organization",
        "GET /applications/{id}",
        "GET /applications/{id}/owners",
        "GET /applications/{id}/federatedIdentityCredentials",
        "GET /servicePrincipals(appId='{appId}')",
        "GET /servicePrincipals(appId='{appId}')/owners",
        "GET /servicePrincipals(appId='{appId}')/appRoleAssignments",
        "GET /servicePrincipals(appId='{appId}')/oauth2PermissionGrants",
        "GET /roleManagement/directory/roleAssignments",
        "GET /roleManagement/directory/roleDefinitions",
        "GET /roleManagement/directory/roleEligibilityScheduleInstances",
        "GET /roleManagement/directory/roleAssignmentScheduleInstances",
    ],
)
async def test_case_c7_a_read_that_fails_fails_the_audit_and_changes_nothing(
    operation: str, context: Context, here: AuditedTenant
) -> None:
    here.fault(operation, times=None, status=503, headers={"Retry-After": "60"})
    watch = here.watch()
    with pytest.raises(NotYet):
        await audit(context, here, ENFORCE)
    assert not watch.writes


@pytest.mark.parametrize(
    ("service", "operation"), [("vault", "GET /certificates/*"), ("mondoo", "clientIntegration")]
)
async def test_a_vault_or_a_mondoo_that_does_not_answer_fails_the_audit_too(
    service: str, operation: str, context: Context, here: AuditedTenant
) -> None:
    here.fault(operation, service=service, tenant=None, times=None, status=503)
    with pytest.raises(NotYet):
        await audit(context, here, ENFORCE)


async def test_a_tenant_that_has_withdrawn_its_consent_cannot_be_audited(
    context: Context, here: AuditedTenant
) -> None:
    ours = here.tenant.service_principals[here.our_object_id]
    here.drift(here.tenant.delete_service_principal, ours)
    with pytest.raises(Refused):
        await audit(context, here)


# --- repairing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("drift", DRIFTS, ids=lambda drift: drift.name)
async def test_every_drift_is_found_and_corrected_as_far_as_it_may_be(
    drift: Drift, context: Context, here: AuditedTenant
) -> None:
    here.drift(drift.put, here)
    watch = here.watch()
    report = await audit(context, here)
    assert drift.code in codes(report)
    assert entry_of(drift.code).repairable is drift.corrected
    assert not watch.writes, "a report changes nothing"
    repaired = await audit(context, here, REPAIR)
    assert (drift.code in codes(repaired)) is (drift.corrected is not Repairable.REPAIR)
    enforced = await audit(context, here, ENFORCE)
    assert (drift.code in codes(enforced)) is (drift.corrected is Repairable.NONE)
    made = {each.outcome for each in (*repaired.changes, *enforced.changes)}
    assert made <= {Outcome.CHANGED}
    if drift.corrected is not Repairable.NONE:
        assert enforced.findings == []
        assert (await audit(context, here)).findings == []


async def test_a_rehearsal_names_every_change_and_makes_none(
    context: Context, here: AuditedTenant
) -> None:
    put(here, "permission_missing", "secret", "owner_unknown")
    watch = here.watch()
    repair = await audit(context, here, REPAIR, rehearse=True)
    assert {change.action for change in repair.changes} == {
        Action.DECLARE_PERMISSION,
        Action.GRANT_PERMISSION,
    }
    enforce = await audit(context, here, ENFORCE, rehearse=True)
    assert {change.action for change in enforce.changes} == {
        Action.DECLARE_PERMISSION,
        Action.GRANT_PERMISSION,
        Action.REMOVE_SECRET,
        Action.REMOVE_OWNER,
    }
    assert {change.outcome for change in enforce.changes} == {Outcome.PLANNED}
    assert enforce.would_change
    assert not enforce.changed
    assert not watch.writes


async def test_a_repair_says_what_was_found_and_what_is_left(
    context: Context, here: AuditedTenant
) -> None:
    put(here, "permission_not_granted", "secret")
    report = await audit(context, here, REPAIR)
    assert {finding.code for finding in report.found} == {"permission_not_granted", "secret"}
    assert codes(report) == {"secret"}
    assert [change.action for change in report.changes] == [Action.GRANT_PERMISSION]
    assert report.changed
    assert report.counts.high == 1


async def test_a_deleted_application_comes_back_with_all_that_hung_on_it(
    context: Context, here: AuditedTenant
) -> None:
    def destroy() -> None:
        here.tenant.delete_application(here.app)
        here.tenant.purge(here.principal)

    here.drift(destroy)
    report = await audit(context, here, REPAIR)
    assert report.findings == []
    assert [change.action for change in report.changes[:2]] == [
        Action.RESTORE_APPLICATION,
        Action.MEND_PRINCIPAL,
    ]
    assert {change.outcome for change in report.changes} == {Outcome.CHANGED}
    again = await audit_tenant(
        context, followed(here.record, report), policy=REPORT, operation_id="an-operation"
    )
    assert again.findings == []


async def test_nothing_without_our_mark_is_changed_whatever_the_policy(
    context: Context, here: AuditedTenant
) -> None:
    put(here, "secret", "grant_not_declared", "permission_missing", "redirect_uri")
    here.drift(here.app.tags.clear)
    before = here.drift(here.tenant.snapshot, here.app.id)
    watch = here.watch()
    report = await audit(context, here, ENFORCE)
    assert {"application_not_ours", "secret", "grant_not_declared"} <= codes(report)
    assert report.changes == []
    assert not watch.writes
    assert here.drift(here.tenant.snapshot, here.app.id) == before


async def test_grants_of_a_principal_without_our_mark_stay_as_they_are(
    context: Context, here: AuditedTenant
) -> None:
    put(here, "grant_not_declared", "secret")
    here.drift(here.principal.tags.clear)
    report = await audit(context, here, ENFORCE)
    assert {change.action for change in report.changes} == {Action.REMOVE_SECRET}
    assert codes(report) == {"principal_not_ours", "grant_not_declared"}


async def test_a_deleted_application_of_someone_else_is_not_restored(
    context: Context, here: AuditedTenant
) -> None:
    here.drift(here.app.tags.clear)
    put(here, "application_deleted")
    report = await audit(context, here, ENFORCE)
    assert codes(report) == {"application_deleted"}
    assert report.changes == []


async def test_other_credentials_survive_when_ours_is_registered_again(
    context: Context, here: AuditedTenant
) -> None:
    put(here, "certificate_unknown")
    here.drift(drifts._lose_key, here)
    before = {key.key_id for key in here.app.key_credentials}
    report = await audit(context, here, REPAIR)
    assert codes(report) == {"certificate_unknown"}
    assert before < {key.key_id for key in here.app.key_credentials}


async def test_case_e10_expired_strangers_keep_ours_out_until_they_may_be_removed(
    context: Context, here: AuditedTenant
) -> None:
    put(here, "certificate_clutter")
    here.drift(drifts._lose_key, here)
    here.drift(setattr, here.tenant.switches, "reject_expired_keys", True)
    report = await audit(context, here, REPAIR)
    [change] = report.changes
    assert (change.outcome, change.code) == (Outcome.UNKNOWN, "key_dates_refused")
    assert (await audit(context, here, ENFORCE)).findings == []


async def test_the_certificate_that_mondoo_still_has_is_reported_and_stays(
    context: Context, here: AuditedTenant
) -> None:
    put(here, "certificate_superseded")
    old = here.app.key_credentials[-1]
    thumbprint = old.sha1.hex().upper()
    here.drift(here.integration.labels.__setitem__, "certificate-thumbprint", thumbprint)
    report = await audit(context, here, ENFORCE)
    assert codes(report) == {"certificate_superseded", "integration_certificate_differs"}
    assert old.key_id in {key.key_id for key in here.app.key_credentials}


async def test_a_tenant_whose_certificate_is_not_on_record_loses_none(
    context: Context, here: AuditedTenant
) -> None:
    unknown = msgspec.structs.replace(here.record, certificate=None)
    report = await audit_tenant(context, unknown, policy=ENFORCE, operation_id="an-operation")
    assert codes(report) == {"certificate_unrecorded"}
    assert len(here.app.key_credentials) == 1


async def test_one_refused_change_does_not_keep_the_others_from_being_made(
    context: Context, here: AuditedTenant
) -> None:
    put(here, "secret", "federated_credential")
    here.fault(
        "POST /applications/{id}/removePassword",
        times=None,
        status=403,
        code="Authorization_RequestDenied",
        message="Insufficient privileges to complete the operation.",
    )
    report = await audit(context, here, ENFORCE)
    outcomes = {change.action: change for change in report.changes}
    assert outcomes[Action.REMOVE_FEDERATED_CREDENTIAL].outcome is Outcome.CHANGED
    refused = outcomes[Action.REMOVE_SECRET]
    assert refused.outcome is Outcome.FAILED
    assert refused.code == "graph_permission_missing"
    assert refused.remediation
    assert codes(report) == {"secret"}


async def test_a_read_only_automation_says_that_it_may_change_nothing(
    context: Context, stand: Stand
) -> None:
    rights = ALL_AUTOMATION_RIGHTS - {
        "Application.ReadWrite.OwnedBy",
        "AppRoleAssignment.ReadWrite.All",
        "RoleManagement.ReadWrite.Directory",
    } | {"RoleManagement.Read.Directory"}
    here = stand.tenant(rights=rights, delegated_right=False)
    put(here, "permission_missing", "directory_role_missing")
    report = await audit(context, here, REPAIR)
    assert {change.outcome for change in report.changes} == {Outcome.FAILED}
    assert {change.code for change in report.changes} == {"automation_right_missing"}
    assert {right.subject for right in report.rights_missing} == {
        "Application.ReadWrite.OwnedBy",
        "AppRoleAssignment.ReadWrite.All",
        "RoleManagement.ReadWrite.Directory",
    }
    assert {"permission_missing", "directory_role_missing"} <= codes(report)


async def test_taking_delegated_grants_away_needs_a_right_that_nothing_else_does(
    context: Context, stand: Stand
) -> None:
    rights = ALL_AUTOMATION_RIGHTS | {"Directory.Read.All"}
    here = stand.tenant(rights=rights, delegated_right=False)
    put(here, "permission_not_granted", "delegated_grant")
    report = await audit(context, here, ENFORCE)
    assert [right.subject for right in report.rights_missing] == [
        "DelegatedPermissionGrant.ReadWrite.All"
    ]
    assert {change.outcome for change in report.changes} == {Outcome.FAILED}
    report = await audit(context, here, REPAIR)
    assert report.rights_missing == []
    assert codes(report) == {"delegated_grant"}


async def test_a_change_whose_answer_was_lost_is_settled_by_reading(
    context: Context, here: AuditedTenant
) -> None:
    put(here, "declaration_not_wanted")
    here.fault("PATCH /applications/{id}", times=3, drop="after")
    report = await audit(context, here, ENFORCE)
    [change] = report.changes
    assert change.outcome is Outcome.CHANGED
    assert report.findings == []


async def test_a_change_that_cannot_be_seen_yet_is_not_called_done(
    context: Context, here: AuditedTenant
) -> None:
    put(here, "permission_not_granted")
    here.drift(setattr, here.tenant.lag, "objects", 600.0)
    report = await audit(context, here, REPAIR)
    [change] = report.changes
    assert (change.outcome, change.code) == (Outcome.UNKNOWN, "change_not_visible")
    assert codes(report) == {"permission_not_granted"}


async def test_changes_are_reported_even_when_reading_again_fails(
    meanwhile: Callable[[Callable[[], object]], Context], here: AuditedTenant
) -> None:
    put(here, "secret")

    def break_reading() -> None:
        here.fault("GET /organization", times=None, status=503, headers={"Retry-After": "60"})

    report = await audit(meanwhile(break_reading), here, ENFORCE)
    [change] = report.changes
    assert (change.outcome, change.code) == (Outcome.UNKNOWN, "change_not_visible")
    assert report.failure is not None
    assert report.failure.code == "graph_unavailable"
    assert report.status is AuditStatus.FINDINGS


async def test_no_secret_is_in_a_report(context: Context, here: AuditedTenant) -> None:
    put(here, "secret", "certificate_not_registered")
    secret = here.app.password_credentials[0].secret
    report = await audit(context, here, ENFORCE)
    written = msgspec.json.encode(report).decode()
    assert secret not in written
    assert "PRIVATE KEY" not in written
    assert MARK in here.app.tags
    assert here.app.display_name == NAME


# --- moving to another list ----------------------------------------------------------------------


async def test_the_list_a_tenant_is_moved_to_is_kept_before_the_first_change(
    context: Context, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = stand.tenant(manifest="quick-setup")
    await context.records.put(here.record)
    moved = msgspec.structs.replace(here.record, manifest_target=NEWEST)

    async def unavailable(_record: object) -> None:
        raise NotYet("records_unavailable", "not now", remediation="Wait.", retry_after=1)

    watch = here.watch()
    with monkeypatch.context() as patch:
        patch.setattr(context.records, "put", unavailable)
        with pytest.raises(NotYet, match="records_unavailable"):
            await audit_tenant(context, moved, policy=REPAIR, operation_id="an-operation")
    assert watch.writes == []
    report = await audit_tenant(context, moved, policy=REPAIR, operation_id="an-operation")
    assert {change.outcome for change in report.changes} == {Outcome.CHANGED}
    assert await context.records.get(here.record.tenant_id) == moved


async def test_a_rehearsed_move_is_not_kept(context: Context, stand: Stand) -> None:
    here = stand.tenant(manifest="quick-setup")
    await context.records.put(here.record)
    moved = msgspec.structs.replace(here.record, manifest_target=NEWEST)
    report = await audit_tenant(
        context, moved, policy=REPAIR, operation_id="an-operation", rehearse=True
    )
    assert report.would_change
    assert await context.records.get(here.record.tenant_id) == here.record
