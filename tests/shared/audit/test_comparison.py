"""What is, compared with what should be, without any service."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from itertools import product
from random import Random
from typing import Any

import msgspec
import pytest

from shared.audit.catalogue import EVERYTHING
from shared.audit.comparison import Limits, compare
from shared.audit.coverage import access_in
from shared.coverage.statement import statement
from shared.entra.directory_roles import RoleAssignment
from shared.entra.federated_credentials import FederatedCredential
from shared.entra.inventory import (
    Aspect,
    DelegatedGrant,
    Owner,
    PasswordCredential,
    RedirectUri,
    ResourcePrincipal,
    ScheduledRole,
    Why,
)
from shared.entra.key_credentials import thumbprint_of
from shared.manifest import AppRoleKey, load_manifest
from shared.models import MARK_LABEL, Finding, Severity
from shared.mondoo.integrations import THUMBPRINT_LABEL, Message
from shared.vault.certificates import StoredCertificate
from tests.shared.audit.pictures import (
    APP_ID,
    CERTIFICATE,
    DER,
    EXTRA_ROLE,
    GLOBAL_READER,
    GRAPH,
    KEY,
    MANIFEST,
    NOW,
    OURSELVES,
    RECORD,
    THUMBPRINT,
    Picture,
)

WANTED = next(iter(MANIFEST.by_key()))
UNWANTED = AppRoleKey(GRAPH, EXTRA_ROLE)
EVERY_KEY = frozenset(MANIFEST.by_key())

EXPECTED = {
    # (wanted, declared, granted): code
    (True, True, True): None,
    (True, True, False): "permission_not_granted",
    (True, False, True): "permission_not_declared",
    (True, False, False): "permission_missing",
    (False, True, True): "grant_not_wanted",
    (False, False, True): "grant_not_declared",
    (False, True, False): "declaration_not_wanted",
    (False, False, False): None,
}


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def only(findings: list[Finding]) -> Finding:
    [finding] = findings
    return finding


def test_a_picture_in_which_everything_is_right_leads_to_no_finding() -> None:
    assert Picture().compared() == []


@pytest.mark.parametrize("role", [True, False], ids=["role", "no role"])
@pytest.mark.parametrize("enabled", [True, False], ids=["enabled", "disabled"])
@pytest.mark.parametrize(("wanted", "declared", "granted"), list(product([True, False], repeat=3)))
def test_case_d2_every_combination_of_wanted_declared_granted_role_and_disabled(
    wanted: bool, declared: bool, granted: bool, role: bool, enabled: bool
) -> None:
    key = WANTED if wanted else UNWANTED
    others = EVERY_KEY - {key}
    found = Picture(
        declared=others | {key} if declared else others,
        granted=others | {key} if granted else others,
        roles=Picture().roles if role else (),
        principal={"sign_in_disabled": not enabled},
    ).compared()
    expected = [
        EXPECTED[wanted, declared, granted],
        None if role else "directory_role_missing",
        None if enabled else "principal_disabled",
    ]
    assert sorted(codes(found)) == sorted(code for code in expected if code is not None)
    about = [each for each in found if each.code == EXPECTED[wanted, declared, granted]]
    if about:
        assert about[0].key == f"{about[0].code}:{key.resource_app_id}/{key.app_role_id}" + (
            "/Role" if about[0].code == "declaration_not_wanted" else ""
        )


def test_a_missing_permission_says_what_cannot_be_scanned_and_how_to_fix_it() -> None:
    finding = only(Picture(granted=EVERY_KEY - {WANTED}).compared())
    permission = MANIFEST.by_key()[WANTED]
    assert finding.subject == permission.name
    assert finding.not_scanned == permission.without_it
    assert finding.severity is Severity.HIGH
    assert finding.reason
    assert finding.remediation


def test_one_role_id_under_two_apis_is_two_permissions() -> None:
    protection = MANIFEST.resource("exchange-protection").app_id
    exchange = MANIFEST.resource("exchange").app_id
    role = next(key for key in EVERY_KEY if key.resource_app_id == exchange).app_role_id
    granted = EVERY_KEY - {AppRoleKey(exchange, role)} | {AppRoleKey(protection, role)}
    found = Picture(granted=granted).compared()
    assert sorted(codes(found)) == ["grant_not_declared", "permission_not_granted"]


def test_delegated_permissions_are_never_taken_for_application_permissions() -> None:
    seen = Picture(declared=EVERY_KEY - {WANTED}).seen()
    assert seen.inventory.application is not None
    entries = seen.inventory.application.application.required_resource_access
    entries[0]["resourceAccess"].append({"id": WANTED.app_role_id, "type": "Scope"})
    found = compare(seen, RECORD, MANIFEST, now=NOW)
    assert sorted(codes(found)) == ["declaration_not_wanted", "permission_not_declared"]


def test_ids_in_capital_letters_are_the_same_ids() -> None:
    seen = Picture().seen()
    assert seen.inventory.application is not None
    for entry in seen.inventory.application.application.required_resource_access:
        entry["resourceAppId"] = entry["resourceAppId"].upper()
        for each in entry["resourceAccess"]:
            each["id"] = each["id"].upper()
    assert compare(seen, RECORD, MANIFEST, now=NOW) == []


def without_api(service: str, **changes: Any) -> dict[str, Any]:
    """An inventory without an API, or with one that differs."""
    resources = dict(Picture().seen().inventory.resources)
    found: ResourcePrincipal = resources.pop(f"object-of-{service}")
    if changes:
        resources[found.object_id] = replace(found, **changes)
    return {"resources": resources}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "resource_absent"),
        ({"enabled": False}, "resource_disabled"),
        ({"roles": {}}, "app_role_absent"),
    ],
)
def test_an_api_that_cannot_be_used_is_one_finding_and_its_permissions_are_none(
    changes: dict[str, Any], code: str
) -> None:
    exchange = MANIFEST.resource("exchange").app_id
    granted = frozenset(key for key in EVERY_KEY if key.resource_app_id != exchange)
    for declared in (granted, EVERY_KEY):
        finding = only(
            Picture(
                granted=granted, declared=declared, inventory=without_api("exchange", **changes)
            ).compared()
        )
        assert finding.code == code
        assert finding.not_scanned == "Every Exchange Online check fails"


def test_without_a_principal_only_what_is_declared_is_compared() -> None:
    found = Picture(declared=EVERY_KEY - {WANTED}, inventory={"principal": None}).compared()
    assert codes(found) == ["principal_missing", "permission_not_declared"]


def test_without_an_application_its_parts_are_not_missed_one_by_one() -> None:
    found = Picture(inventory={"application": None, "principal": None}).compared()
    assert codes(found) == ["application_missing"]
    assert found[0].not_scanned == EVERYTHING


OTHER = "29232cdf-9323-42fd-ade2-1d097af3e4de"
HELD = RoleAssignment("assignment", GLOBAL_READER, "/")
UNIT = "/administrativeUnits/one"


def scheduled(role: str = GLOBAL_READER, **kwargs: Any) -> ScheduledRole:
    known = {"scope": "/", "ends": None, "assignment_id": None, **kwargs}
    return ScheduledRole("instance", role, **known)


@pytest.mark.parametrize(
    ("roles", "eligible", "timed", "expected"),
    [
        ((HELD,), (), (), []),
        ((), (), (scheduled(),), []),
        ((), (), (), ["directory_role_missing"]),
        ((RoleAssignment("a", GLOBAL_READER, UNIT),), (), (), ["directory_role_scoped"]),
        ((), (scheduled(),), (), ["directory_role_eligible"]),
        ((HELD,), (scheduled(),), (), []),
        ((), (), (scheduled(scope=UNIT),), ["directory_role_missing"]),
        ((), (), (scheduled(ends="2026-10-01T00:00:00Z"),), ["directory_role_temporary"]),
        (
            (HELD,),
            (),
            (scheduled(ends="2026-10-01T00:00:00Z", assignment_id=HELD.id),),
            ["directory_role_temporary"],
        ),
        ((HELD,), (), (scheduled(ends="2026-10-01T00:00:00Z", assignment_id="other"),), []),
        ((HELD, RoleAssignment("b", OTHER, "/")), (), (), ["directory_role_not_wanted"]),
        ((HELD, RoleAssignment("b", GLOBAL_READER, UNIT)), (), (), ["directory_role_not_wanted"]),
        ((HELD,), (scheduled(OTHER),), (), ["directory_role_scheduled_not_wanted"]),
        ((HELD,), (), (scheduled(OTHER),), ["directory_role_scheduled_not_wanted"]),
        (
            (HELD, RoleAssignment("b", OTHER, "/")),
            (),
            (scheduled(OTHER, assignment_id="b"),),
            ["directory_role_not_wanted"],
        ),
    ],
)
def test_a_role_is_told_from_what_looks_like_it(
    roles: tuple[RoleAssignment, ...],
    eligible: tuple[ScheduledRole, ...],
    timed: tuple[ScheduledRole, ...],
    expected: list[str],
) -> None:
    found = Picture(roles=roles, principal={"eligible": eligible, "timed": timed}).compared()
    assert codes(found) == expected


@pytest.mark.parametrize("held_as", [GLOBAL_READER, "own-definition"])
def test_case_c8_a_role_counts_by_template_and_by_definition(held_as: str) -> None:
    ids = {"role_ids": {GLOBAL_READER: frozenset({GLOBAL_READER, "own-definition"})}}
    assert Picture(roles=(RoleAssignment("a", held_as, "/"),), inventory=ids).compared() == []


def key(name: str = "backdoor", **kwargs: Any) -> dict[str, Any]:
    return {"keyId": "22222222", "displayName": name, "key": "AAAA", "endDateTime": None, **kwargs}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ((KEY,), []),
        ((), ["certificate_not_registered"]),
        ((KEY, key()), ["certificate_unknown"]),
        ((KEY, key(key=None)), ["certificate_unknown"]),
        ((KEY, key("mondoo-onboarding old")), ["certificate_superseded"]),
        ((KEY, key(endDateTime="2025-01-01T00:00:00.1234567Z")), ["certificate_clutter"]),
        (
            (KEY, key("mondoo-onboarding old", endDateTime="2025-01-01T00:00:00Z")),
            ["certificate_clutter"],
        ),
    ],
)
def test_key_credentials(keys: tuple[dict[str, Any], ...], expected: list[str]) -> None:
    assert codes(Picture(keys=keys).compared()) == expected


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (timedelta(days=31), []),
        (timedelta(days=30, seconds=1), []),
        (timedelta(days=30), ["certificate_expiring"]),
        (timedelta(seconds=1), ["certificate_expiring"]),
        (timedelta(), ["certificate_expired"]),
        (timedelta(days=-400), ["certificate_expired"]),
    ],
)
def test_a_certificate_is_missed_in_time(left: timedelta, expected: list[str]) -> None:
    certificate = msgspec.structs.replace(CERTIFICATE, not_after=NOW + left)
    record = msgspec.structs.replace(RECORD, certificate=certificate)
    assert codes(Picture(record=record).compared()) == expected


def test_how_early_and_how_late_is_the_callers_choice() -> None:
    seen = Picture(integration={"scan_finished": NOW - timedelta(hours=5)}).seen()
    strict = Limits(certificate_warning=timedelta(days=400), scan_overdue=timedelta(hours=4))
    found = compare(seen, RECORD, MANIFEST, now=NOW, limits=strict)
    assert codes(found) == ["certificate_expiring", "scan_overdue"]


def test_a_renewed_certificate_in_the_vault_is_not_a_stranger() -> None:
    renewed_der = DER + b"2"
    renewed = msgspec.structs.replace(
        CERTIFICATE, version="2", thumbprint=thumbprint_of(renewed_der)
    )
    found = Picture(
        keys=(KEY, key(key=base64.b64encode(renewed_der).decode())),
        stored=StoredCertificate(renewed, marked=True, enabled=True),
    ).compared()
    assert codes(found) == ["vault_certificate_differs"]
    unmarked = Picture(
        keys=(KEY, key(key=base64.b64encode(renewed_der).decode())),
        stored=StoredCertificate(renewed, marked=False, enabled=True),
    ).compared()
    assert sorted(codes(unmarked)) == [
        "certificate_unknown",
        "vault_certificate_differs",
        "vault_certificate_not_ours",
    ]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, "vault_certificate_missing"),
        (StoredCertificate(CERTIFICATE, marked=True, enabled=False), "vault_certificate_disabled"),
        (StoredCertificate(CERTIFICATE, marked=False, enabled=True), "vault_certificate_not_ours"),
    ],
)
def test_the_certificate_in_the_vault(stored: StoredCertificate | None, expected: str) -> None:
    assert codes(Picture(stored=stored).compared()) == [expected]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"audience": "AzureADandPersonalMicrosoftAccount"}, "audience_too_wide"),
        ({"redirect_uris": (RedirectUri("web", "https://x.example"),)}, "redirect_uri"),
        ({"disabled": True}, "application_disabled"),
        ({"disabled": False}, None),
        ({"disabled_by_microsoft": "DisabledDueToViolation"}, "application_disabled_by_microsoft"),
        ({"passwords": (PasswordCredential("k", "ci", {}),)}, "secret"),
        (
            {
                "passwords": (
                    PasswordCredential("k", "ci", {"endDateTime": "2025-01-01T00:00:00Z"}),
                )
            },
            "secret_expired",
        ),
        (
            {"federated": (FederatedCredential("f", "ci", "https://i", "s"),)},
            "federated_credential",
        ),
    ],
)
def test_the_application(changes: dict[str, Any], expected: str | None) -> None:
    assert codes(Picture(application=changes).compared()) == ([expected] if expected else [])


def test_the_mark_of_both_objects_is_looked_at() -> None:
    found = Picture(tags=("other",), principal_tags=()).compared()
    assert codes(found) == ["application_not_ours", "principal_not_ours"]


def test_owners_but_ourselves_are_strangers_and_we_have_to_be_one() -> None:
    ours = Owner("application", OURSELVES, "Mondoo onboarding", "servicePrincipal")
    alice = Owner("principal", "alice", "Alice", "user")
    seen = Picture(
        application={"owners": (ours,)},
        principal={"owners": (alice,)},
        inventory={"our_object_id": OURSELVES},
    ).compared()
    assert codes(seen) == ["automation_not_owner", "owner_unknown"]
    assert {finding.key for finding in seen} == {
        "automation_not_owner:principal",
        "owner_unknown:principal:alice",
    }


def test_owners_are_not_judged_when_we_do_not_know_who_we_are() -> None:
    stranger = Owner("application", "x", "X", "user")
    found = Picture(
        application={"owners": (stranger,)},
        inventory={"unread": {Aspect.OWNERS: Why.UNKNOWN_OURSELVES}},
    ).compared()
    assert codes(found) == ["not_checked"]
    assert only(found).severity is Severity.INFO


def test_delegated_grants_name_their_api_and_whom_they_reach() -> None:
    everyone = DelegatedGrant("1", "object-of-graph", "User.Read", None)
    alice = DelegatedGrant("2", "somewhere", "Mail.Send", "alice")
    found = Picture(principal={"delegated": (everyone, alice)}).compared()
    assert codes(found) == ["delegated_grant", "delegated_grant"]
    assert {finding.subject for finding in found} == {
        "Microsoft Graph: User.Read",
        "somewhere: Mail.Send",
    }


def message(text: str, status: str = "ERROR", **kwargs: Any) -> Message:
    return Message(text, status, kwargs.pop("identifier", "exchange"), **kwargs)


@pytest.mark.parametrize(
    ("integration", "expected"),
    [
        (None, ["integration_missing"]),
        ({"status": "DELETED"}, ["integration_missing"]),
        ({"status": "PAUSED"}, ["integration_paused"]),
        ({"status": "PAUSED", "scan_finished": NOW - timedelta(days=9)}, ["integration_paused"]),
        ({"status": "ERROR"}, ["integration_error"]),
        ({"status": "WARNING"}, []),
        ({"status": "WAITING_FOR_SETUP"}, ["integration_not_active"]),
        ({"status": "SOMETHING_NEW"}, ["integration_not_active"]),
        ({"labels": {}}, ["integration_not_ours"]),
        ({"scan_finished": NOW - timedelta(hours=48)}, []),
        ({"scan_finished": NOW - timedelta(hours=49)}, ["scan_overdue"]),
        ({"scan_finished": None}, ["scan_overdue"]),
        ({"scan_finished": None, "created": NOW}, []),
        ({"messages": (message("broken"),)}, ["scan_message"]),
        ({"messages": (message("odd", "WARNING"),)}, ["scan_message"]),
        ({"messages": (message("by the way", "INFO"),)}, []),
        ({"messages": (message("known", suppressed=True),)}, []),
    ],
)
def test_the_integration_and_its_last_scan(
    integration: dict[str, Any] | None, expected: list[str]
) -> None:
    assert codes(Picture(integration=integration).compared()) == expected


SCOPE = "Authorization failed due to missing permission scope {} (PermissionScopeNotGranted)"


@pytest.mark.parametrize(
    ("text", "identifier", "code"),
    [
        ("AADSTS700027: no key", "connection", "certificate_not_registered"),
        ("AADSTS1000502: certificate has expired", "connection", "certificate_expired"),
        ("AADSTS7000214: revoked", "connection", "certificate_revoked"),
        (
            "AADSTS70021: no matching federated identity",
            "connection",
            "federated_credential_missing",
        ),
        ("AADSTS7000112: disabled", "connection", "application_disabled"),
        ("AADSTS700016: not found", "connection", "application_missing"),
        ("AADSTS90002: no such tenant", "connection", "integration_tenant_wrong"),
        ("AADSTS53003: blocked", "connection", "blocked_by_conditional_access"),
        ("AADSTS500011: no principal", "exchange", "resource_absent"),
        ("AADSTS500014: disabled", "exchange", "resource_disabled"),
        ("found no private key", "connection", "integration_certificate_unusable"),
        (
            "only certificate authentication is supported for fetching sharepoint online report",
            "sharepoint",
            "sharepoint_needs_certificate",
        ),
        ("the tenant is not licensed for this", "graph", "licence_missing"),
        ("could not connect to Microsoft Graph: status 503", "connection", "scan_interrupted"),
        (SCOPE.format("Policy.Read.All"), "graph/Policy.Read.All", "permission_not_effective"),
        (SCOPE.format("Novel.Read.All"), "graph/Novel.Read.All", "permission_not_in_manifest"),
        ("access denied", "exchange", "exchange_not_ready"),
        ("access denied", "sharepoint", "permission_not_effective"),
        ("what is this?", "exchange", "scan_message"),
    ],
)
def test_what_the_scan_said_is_told_in_the_words_of_an_onboarding(
    text: str, identifier: str, code: str
) -> None:
    said = message(text, identifier=identifier)
    finding = only(Picture(integration={"messages": (said,)}).compared())
    access = access_in(Picture().seen().inventory, MANIFEST, keyless=False)
    (onboarding,) = statement([said], MANIFEST, access).findings
    assert finding.code == onboarding.code == code
    assert finding.message == onboarding.message
    assert finding.subject == onboarding.subject
    assert ":scan:" in (finding.key or "")
    assert finding.reason


def test_what_the_audit_sees_for_itself_is_told_once() -> None:
    said = message("AADSTS700027: no key", identifier="connection")
    found = Picture(keys=(), integration={"messages": (said,)}).deviations()
    assert [each.finding.code for each in found] == ["certificate_not_registered"]
    assert found[0].target is not None


def test_a_permission_that_is_not_granted_is_told_by_the_grants_and_not_by_the_scan() -> None:
    key = next(key for key, each in MANIFEST.by_key().items() if each.name == "Policy.Read.All")
    said = message(SCOPE.format("Policy.Read.All"), identifier="graph/Policy.Read.All")
    picture = Picture(
        granted=frozenset(MANIFEST.by_key()) - {key}, integration={"messages": (said,)}
    )
    assert codes(picture.compared()) == ["permission_not_granted"]


@pytest.mark.parametrize(
    ("status", "severity"), [("ERROR", Severity.HIGH), ("WARNING", Severity.MEDIUM)]
)
def test_a_message_without_an_explanation_is_as_grave_as_the_scanner_says(
    status: str, severity: Severity
) -> None:
    said = message("what is this?", status)
    assert only(Picture(integration={"messages": (said,)}).compared()).severity is severity


def test_another_certificate_at_mondoo_is_told() -> None:
    labels = {MARK_LABEL[0]: MARK_LABEL[1], THUMBPRINT_LABEL: "F" * 40}
    finding = only(Picture(integration={"labels": labels}).compared())
    assert finding.code == "integration_certificate_differs"
    assert THUMBPRINT in finding.message


def test_messages_that_differ_in_ids_only_are_one_finding_with_one_key() -> None:
    first = message("odd, trace 8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77 at 08:00:01")
    second = message("odd, trace 0d3a1f52-6a0e-4a6b-9f0c-77c1f2b0a9ce at 09:12:44")
    other = message("what is this?")
    assert len(Picture(integration={"messages": (first, second, other)}).compared()) == 2
    [before] = Picture(integration={"messages": (first,)}).compared()
    [after] = Picture(integration={"messages": (second,)}).compared()
    assert before.key == after.key


def test_an_older_manifest_is_compared_as_it_is_and_the_newer_one_is_mentioned() -> None:
    older = load_manifest("quick-setup")
    keys = frozenset(older.by_key())
    found = Picture(manifest=older, declared=keys, granted=keys).compared()
    assert codes(found) == ["manifest_outdated"]
    assert found[0].remediation == (
        'Send POST /api/tenants with "manifest": "2026-09" for this tenant, or bring all tenants to'
        " it with POST /api/manifests/2026-09/rollout."
    )
    extra = frozenset(EVERY_KEY & {key for key in EVERY_KEY if key.resource_app_id == GRAPH})
    more = Picture(manifest=older, declared=keys, granted=keys | extra).compared()
    assert {"grant_not_declared", "manifest_outdated"} == set(codes(more))


def test_a_tenant_that_has_no_application_yet_is_not_blamed_for_what_hangs_on_one() -> None:
    record = msgspec.structs.replace(RECORD, app_id=None, certificate=None, integration=None)
    found = Picture(
        record=record,
        inventory={"application": None, "principal": None},
        stored=None,
        integration=None,
    ).compared()
    assert codes(found) == ["never_onboarded"]


def test_what_was_seen_in_another_order_leads_to_the_same_report() -> None:
    shuffle = Random(7)
    owners = [Owner("application", str(number), f"o{number}", "user") for number in range(9)]
    picture = Picture(granted=frozenset({UNWANTED}), roles=())
    reports = []
    for _ in range(5):
        shuffle.shuffle(owners)
        seen = replace(
            picture,
            application={"owners": tuple(owners)},
            inventory={"our_object_id": OURSELVES},
        )
        reports.append(seen.compared())
    assert all(report == reports[0] for report in reports)
    severities = [finding.severity for finding in reports[0]]
    assert severities == sorted(severities, key=list(Severity).index)
    keys = [finding.key for finding in reports[0]]
    assert len(set(keys)) == len(keys)


def test_findings_name_the_application_by_its_id() -> None:
    finding = only(Picture(tags=()).compared())
    assert APP_ID in finding.message
