"""Planning a repair, settling it, and the bodies that it sends: all that is pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.audit.catalogue import Repairable, entries
from shared.audit.plan import PlannedChange, plan
from shared.audit.report import Action, Change
from shared.audit.settlement import Attempt, is_done, settle
from shared.entra.applications import Application
from shared.entra.corrections import access_with, keys_with, without_redirects
from shared.entra.federated_credentials import FederatedCredential
from shared.entra.inventory import Owner, PasswordCredential, RedirectUri
from shared.errors import NotYet, OutcomeUnknown, Refused
from shared.manifest import AppRoleKey
from shared.models import Outcome, RepairPolicy
from tests.shared.audit.pictures import (
    APP_ID,
    EXTRA_ROLE,
    GRAPH,
    KEY,
    MANIFEST,
    OURSELVES,
    Picture,
)

EVERY_KEY = frozenset(MANIFEST.by_key())
WANTED = next(iter(MANIFEST.by_key()))
UNWANTED = AppRoleKey(GRAPH, EXTRA_ROLE)
ENFORCE, REPAIR, REPORT = RepairPolicy.ENFORCE, RepairPolicy.REPAIR, RepairPolicy.REPORT

WRONG = Picture(
    declared=EVERY_KEY - {WANTED},
    granted=EVERY_KEY - {WANTED} | {UNWANTED},
    roles=(),
    keys=({**KEY, "keyId": "other", "key": "AAAA", "displayName": "backdoor"},),
    application={
        "audience": "AzureADMultipleOrgs",
        "redirect_uris": (RedirectUri("spa", "https://x.example"),),
        "passwords": (PasswordCredential("secret", "ci", {}),),
        "federated": (FederatedCredential("trust", "ci", "https://i", "s"),),
        "owners": (Owner("application", "alice", "Alice", "user"),),
    },
    inventory={"our_object_id": OURSELVES},
)


def planned(picture: Picture, policy: RepairPolicy) -> list[PlannedChange]:
    return plan(picture.deviations(), picture.seen().inventory, policy)


def actions(picture: Picture, policy: RepairPolicy) -> list[Action]:
    return [change.action for change in planned(picture, policy)]


def test_a_report_plans_nothing() -> None:
    assert planned(WRONG, REPORT) == []


def test_a_repair_adds_and_removes_nothing() -> None:
    assert actions(WRONG, REPAIR) == [
        Action.REGISTER_CERTIFICATE,
        Action.DECLARE_PERMISSION,
        Action.GRANT_PERMISSION,
        Action.ASSIGN_ROLE,
    ]


def test_enforcing_adds_first_and_removes_then() -> None:
    assert actions(WRONG, ENFORCE) == [
        Action.REGISTER_CERTIFICATE,
        Action.DECLARE_PERMISSION,
        Action.GRANT_PERMISSION,
        Action.ASSIGN_ROLE,
        Action.REMOVE_CERTIFICATE,
        Action.REMOVE_SECRET,
        Action.REMOVE_FEDERATED_CREDENTIAL,
        Action.REVOKE_PERMISSION,
        Action.REMOVE_OWNER,
        Action.NARROW_AUDIENCE,
        Action.REMOVE_REDIRECT_URI,
    ]


def test_what_is_declared_and_granted_too_much_is_revoked_and_undeclared() -> None:
    picture = Picture(declared=EVERY_KEY | {UNWANTED}, granted=EVERY_KEY | {UNWANTED})
    assert actions(picture, ENFORCE) == [Action.REVOKE_PERMISSION, Action.REMOVE_DECLARATION]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"tags": ()}, set()),
        (
            {"principal_tags": ()},
            {
                Action.REGISTER_CERTIFICATE,
                Action.DECLARE_PERMISSION,
                Action.REMOVE_CERTIFICATE,
                Action.REMOVE_SECRET,
                Action.REMOVE_FEDERATED_CREDENTIAL,
                Action.REMOVE_OWNER,
                Action.NARROW_AUDIENCE,
                Action.REMOVE_REDIRECT_URI,
            },
        ),
    ],
    ids=["application", "principal"],
)
def test_nothing_is_planned_on_what_does_not_carry_our_mark(
    tags: dict[str, Any], expected: set[Action]
) -> None:
    assert set(actions(replace(WRONG, **tags), ENFORCE)) == expected


def test_the_owners_of_a_principal_without_our_mark_stay() -> None:
    stranger = Owner("principal", "bob", "Bob", "user")
    picture = replace(WRONG, application={}, principal={"owners": (stranger,)}, principal_tags=())
    assert Action.REMOVE_OWNER not in actions(picture, ENFORCE)


def test_every_kind_of_finding_that_may_be_corrected_has_an_action() -> None:
    """Else `plan` would fail on it; the drifts of `test_steps` go through all of them."""
    correctable = {
        entry.code for entry in entries().values() if entry.repairable is not Repairable.NONE
    }
    assert {each.finding.code for each in WRONG.deviations()} & correctable
    assert planned(WRONG, ENFORCE)


# --- settling ------------------------------------------------------------------------------------


def attempts(error: Exception | None) -> list[Attempt]:
    return [
        Attempt(change, error)  # type: ignore[arg-type]
        for change in planned(WRONG, ENFORCE)
    ]


REFUSED = Refused("graph_refused", "no", remediation="ask")
WAIT = NotYet("graph_throttled", "later", remediation="wait")
LOST = OutcomeUnknown("graph_no_answer", "lost", remediation="look")


@pytest.mark.parametrize(
    ("error", "seen", "expected"),
    [
        (None, "right", Outcome.CHANGED),
        (WAIT, "right", Outcome.CHANGED),
        (LOST, "right", Outcome.CHANGED),
        (REFUSED, "right", Outcome.PASSED),
        (None, "wrong", Outcome.UNKNOWN),
        (WAIT, "wrong", Outcome.UNKNOWN),
        (LOST, "wrong", Outcome.UNKNOWN),
        (REFUSED, "wrong", Outcome.FAILED),
        (None, "nothing", Outcome.UNKNOWN),
        (REFUSED, "nothing", Outcome.FAILED),
    ],
)
def test_what_became_of_a_change_is_told_by_reading(
    error: Exception | None, seen: str, expected: Outcome
) -> None:
    inventory = {
        "right": Picture().seen().inventory,
        "wrong": WRONG.seen().inventory,
        "nothing": None,
    }[seen]
    settled = settle(attempts(error), inventory)
    assert {change.outcome for change in settled} == {expected}
    assert all((change.code is None) is (seen == "right") for change in settled)


def test_an_application_that_vanished_meanwhile_proves_no_change() -> None:
    gone = replace(Picture().seen().inventory, application=None, principal=None)
    assert not any(is_done(change, gone) for change in planned(WRONG, ENFORCE))


def test_half_of_a_correction_does_not_count_as_the_other_half() -> None:
    """Declared now, but not granted: the finding has another name, and one change is missing."""
    picture = Picture(declared=EVERY_KEY - {WANTED}, granted=EVERY_KEY - {WANTED})
    half = Picture(granted=EVERY_KEY - {WANTED}).seen().inventory
    asked = [Attempt(change, None) for change in planned(picture, REPAIR)]
    settled: dict[Action, Change] = {each.action: each for each in settle(asked, half)}
    assert settled[Action.DECLARE_PERMISSION].outcome is Outcome.CHANGED
    assert settled[Action.GRANT_PERMISSION].outcome is Outcome.UNKNOWN


def test_a_deleted_application_is_restored_only_with_our_mark() -> None:
    for tags, expected in ((Picture().tags, [Action.RESTORE_APPLICATION]), ((), [])):
        deleted = Application("app-object", APP_ID, "mondoo-ms365", tags=tags)
        picture = Picture(inventory={"application": None, "principal": None, "deleted": deleted})
        assert actions(picture, REPAIR) == expected


# --- bodies --------------------------------------------------------------------------------------


def test_declared_permissions_are_changed_one_by_one_and_the_rest_is_kept() -> None:
    present = [
        {"resourceAppId": "A", "resourceAccess": [{"id": "1", "type": "Role"}]},
        {
            "resourceAppId": "b",
            "resourceAccess": [{"id": "2", "type": "Role"}, {"id": "2", "type": "Scope"}],
        },
    ]
    changed = access_with(
        present,
        added=[("a", "1"), ("a", "3"), ("c", "4")],
        removed={("b", "2", "Scope")},
    )
    assert changed == [
        {
            "resourceAppId": "A",
            "resourceAccess": [{"id": "1", "type": "Role"}, {"id": "3", "type": "Role"}],
        },
        {"resourceAppId": "b", "resourceAccess": [{"id": "2", "type": "Role"}]},
        {"resourceAppId": "c", "resourceAccess": [{"id": "4", "type": "Role"}]},
    ]


def test_an_api_of_which_nothing_is_declared_any_more_is_left_out() -> None:
    present = [{"resourceAppId": "a", "resourceAccess": [{"id": "1", "type": "Role"}]}]
    assert access_with(present, added=[], removed={("a", "1", "Role")}) == []


def test_keys_that_stay_are_sent_as_they_were_read_and_without_the_key() -> None:
    other = {**KEY, "keyId": "other", "endDateTime": "2027-01-01T00:00:00.1234567+00:00"}
    kept = keys_with([dict(KEY), other], removed={str(KEY["keyId"])}, added=None, name="x")
    assert kept == [{**other, "key": None}]
    added = keys_with([], removed=set(), added=b"der", name="mondoo-ms365")
    assert added[0]["displayName"] == "mondoo-onboarding mondoo-ms365"


def test_redirect_uris_are_taken_off_those_platforms_that_have_some() -> None:
    assert without_redirects({"web"}) == {"web": {"redirectUris": []}}
