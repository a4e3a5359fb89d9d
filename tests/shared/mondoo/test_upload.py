"""Findings uploaded to the simulated platform, which refuses whatever is not in its format."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

import pytest

from local.simulators import Simulators
from local.simulators.faults import Fault
from local.simulators.journal import Call
from local.simulators.mondoo.findings import CATEGORIES as KNOWN_CATEGORIES
from local.simulators.mondoo.findings import RATINGS as KNOWN_RATINGS
from shared.config import Settings
from shared.errors import NotYet, Refused
from shared.models import Finding, Severity
from shared.mondoo.client import MondooClient
from shared.mondoo.upload import (
    CATEGORIES,
    RATINGS,
    FindingsUpload,
    Reported,
    exchange,
    finding_id,
)

AT = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
PUT = "PUT /uploads/{session}"


def finding(subject: str = "Policy.Read.All", **changes: Any) -> Finding:
    whole: dict[str, Any] = {
        "code": "permission_not_granted",
        "severity": Severity.HIGH,
        "subject": subject,
        "message": "is declared and not granted",
        "remediation": "Grant admin consent.",
        "not_scanned": "conditional access",
        "reason": "Declaring is only a request.",
    }
    return Finding(**(whole | changes))


def reported(*findings: Finding, fixed_at: datetime | None = None) -> list[Reported]:
    return [Reported(one, AT - timedelta(days=3), AT, fixed_at) for one in findings]


@pytest.fixture
async def agent(
    settings: Settings, simulators: Simulators, space: str
) -> AsyncIterator[MondooClient]:
    """The product's client, as an account of the space that may report."""
    account = simulators.run(simulators.mondoo.estate.add_service_account, space, {"agent"})

    async def read() -> str:
        return json.dumps(simulators.mondoo.service_account_json(account.mrn))

    ours = MondooClient(settings, read)
    yield ours
    await ours.aclose()


@pytest.fixture
async def upload(settings: Settings, agent: MondooClient) -> AsyncIterator[FindingsUpload]:
    ours = FindingsUpload(settings, agent)
    yield ours
    await ours.aclose()


def in_space(simulators: Simulators, space: str) -> list[Mapping[str, Any]]:
    return simulators.run(simulators.mondoo.uploads.of, space)


def calls(simulators: Simulators, since: int) -> list[Call]:
    return simulators.run(lambda: list(simulators.journal.calls[since:]))


async def test_a_finding_arrives_whole_and_in_the_exchange_format(
    upload: FindingsUpload, simulators: Simulators, space: str
) -> None:
    since = len(simulators.journal.calls)
    await upload.send(space, TENANT, reported(finding()), at=AT)
    assert [call.operation for call in calls(simulators, since)] == [
        "PolicyResolver/GetUploadURL",
        PUT,
        "PolicyResolver/ReportUploadCompleted",
    ]
    (arrived,) = in_space(simulators, space)
    platform = f"//platformid.api.mondoo.app/runtime/ms365/tenant/{TENANT}"
    assert arrived == {
        "id": finding_id(TENANT, finding()),
        "ref": "permission_not_granted: Policy.Read.All",
        "summary": "Policy.Read.All: is declared and not granted",
        "source": {"name": "mondoo-onboarding"},
        "status": "STATUS_AFFECTED",
        "firstSeenAt": "2026-11-21T05:00:00Z",
        "lastSeenAt": "2026-11-24T05:00:00Z",
        "details": {
            "category": "CATEGORY_SECURITY",
            "severity": {"rating": "SEVERITY_RATING_HIGH"},
            "description": (
                "is declared and not granted\n\nDeclaring is only a request.\n\n"
                "Not scanned because of it: conditional access"
            ),
            "properties": {
                "code": "permission_not_granted",
                "subject": "Policy.Read.All",
                "tenantId": TENANT,
            },
        },
        "affects": [{"component": {"id": platform, "identifiers": {"platform-id": platform}}}],
        "remediations": [{"summary": "Grant admin consent."}],
    }


async def test_a_finding_that_is_gone_is_sent_as_fixed_and_replaces_itself(
    upload: FindingsUpload, simulators: Simulators, space: str
) -> None:
    await upload.send(space, TENANT, reported(finding(), finding("Device.Read.All")), at=AT)
    later = AT + timedelta(days=1)
    gone = reported(finding(message="in other words"), fixed_at=later)
    await upload.send(space, TENANT, gone, at=later)
    states = {one["details"]["properties"]["subject"]: one for one in in_space(simulators, space)}
    assert states["Policy.Read.All"]["status"] == "STATUS_FIXED"
    assert states["Policy.Read.All"]["remediatedAt"] == "2026-11-25T05:00:00Z"
    assert states["Policy.Read.All"]["lastSeenAt"] == "2026-11-24T05:00:00Z"
    assert states["Device.Read.All"]["status"] == "STATUS_AFFECTED"
    assert len(states) == 2


@pytest.mark.parametrize("severity", list(Severity))
async def test_every_severity_has_its_rating_and_the_platform_takes_it(
    upload: FindingsUpload, simulators: Simulators, space: str, severity: Severity
) -> None:
    await upload.send(space, TENANT, reported(finding(severity=severity)), at=AT)
    (arrived,) = in_space(simulators, space)
    assert arrived["details"]["severity"]["rating"] == RATINGS[severity]


def test_ratings_and_categories_name_every_severity_and_nothing_unknown() -> None:
    assert set(RATINGS) == set(CATEGORIES) == set(Severity)
    assert len(set(RATINGS.values())) == len(Severity)
    assert set(RATINGS.values()) <= KNOWN_RATINGS
    assert set(CATEGORIES.values()) <= KNOWN_CATEGORIES


def test_an_id_depends_on_the_tenant_and_the_findings_key_and_on_nothing_else() -> None:
    same = finding(message="other", remediation="other", severity=Severity.LOW, not_scanned=None)
    assert finding_id(TENANT, finding()) == finding_id(TENANT, same)
    keyed = {finding_id(TENANT, finding(name, key="k")) for name in ("old name", "new name")}
    assert len(keyed) == 1
    others = {
        finding_id(TENANT, finding()),
        finding_id(TENANT[::-1], finding()),
        finding_id(TENANT, finding("Policy.Read.All ")),
        finding_id(TENANT, finding(code="other")),
    }
    assert len(others) == 4


def test_a_finding_without_a_gap_in_the_scan_says_nothing_of_one() -> None:
    (one,) = reported(finding(not_scanned=None, reason=None))
    details = exchange(TENANT, one)["details"]
    assert details["description"] == "is declared and not granted"


async def test_without_findings_mondoo_is_not_called(
    upload: FindingsUpload, simulators: Simulators, space: str
) -> None:
    since = len(simulators.journal.calls)
    await upload.send(space, TENANT, [], at=AT)
    assert calls(simulators, since) == []


async def test_the_signed_address_is_not_given_our_token(
    upload: FindingsUpload, simulators: Simulators, space: str
) -> None:
    since = len(simulators.journal.calls)
    await upload.send(space, TENANT, reported(finding()), at=AT)
    (put,) = (call for call in calls(simulators, since) if call.operation == PUT)
    assert (put.status, put.caller) == (200, None)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_storage_that_is_busy_is_asked_later_at_a_new_address(
    upload: FindingsUpload, simulators: Simulators, space: str, status: int
) -> None:
    fault = Fault("mondoo", PUT, status=status, headers={"Retry-After": "7"})
    simulators.run(simulators.faults.add, fault)
    since = len(simulators.journal.calls)
    with pytest.raises(NotYet) as caught:
        await upload.send(space, TENANT, reported(finding()), at=AT)
    assert (caught.value.code, caught.value.retry_after) == ("mondoo_upload_busy", 7.0)
    await upload.send(space, TENANT, reported(finding()), at=AT)
    made = calls(simulators, since)
    assert len([call for call in made if call.operation == "PolicyResolver/GetUploadURL"]) == 2
    assert len({call.path for call in made if call.operation == PUT}) == 2
    assert len(in_space(simulators, space)) == 1


@pytest.mark.parametrize(
    "operation", ["PolicyResolver/GetUploadURL", PUT, "PolicyResolver/ReportUploadCompleted"]
)
@pytest.mark.parametrize("drop", get_args(Literal["before", "after"]))
async def test_whichever_answer_is_lost_all_three_calls_may_be_repeated(
    upload: FindingsUpload, simulators: Simulators, space: str, operation: str, drop: Any
) -> None:
    simulators.run(simulators.faults.add, Fault("mondoo", operation, drop=drop))
    with pytest.raises(NotYet):
        await upload.send(space, TENANT, reported(finding()), at=AT)
    await upload.send(space, TENANT, reported(finding()), at=AT)
    assert len(in_space(simulators, space)) == 1


async def test_an_address_that_expired_on_the_way_is_asked_for_anew(
    upload: FindingsUpload,
    simulators: Simulators,
    space: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(simulators.mondoo.uploads, "lifetime", -3600.0)
    with pytest.raises(NotYet) as caught:
        await upload.send(space, TENANT, reported(finding()), at=AT)
    assert caught.value.code == "mondoo_upload_expired"


async def test_storage_that_refuses_for_another_reason_is_not_asked_again(
    upload: FindingsUpload, simulators: Simulators, space: str
) -> None:
    simulators.run(simulators.faults.add, Fault("mondoo", PUT, status=403))
    with pytest.raises(Refused) as caught:
        await upload.send(space, TENANT, reported(finding()), at=AT)
    assert caught.value.code == "mondoo_upload_refused"
    assert in_space(simulators, space) == []


async def test_an_account_that_may_not_report_is_told_which_role_it_needs(
    settings: Settings, client: MondooClient, space: str
) -> None:
    editor = FindingsUpload(settings, client)
    with pytest.raises(Refused) as caught:
        await editor.send(space, TENANT, reported(finding()), at=AT)
    assert caught.value.code == "mondoo_may_not_report"
    assert "Agent" in caught.value.remediation


async def test_a_space_that_is_not_there_is_named_as_such(upload: FindingsUpload) -> None:
    with pytest.raises(Refused) as caught:
        await upload.send(
            "//captain.api.mondoo.app/spaces/none", TENANT, reported(finding()), at=AT
        )
    assert caught.value.code == "mondoo_not_found"


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"upload_session_id": "s"},
        {"upload_session_id": "s", "upload_url": {"url": "http://storage.example/?sig=s3cr3t"}},
        {"upload_session_id": "s", "upload_url": {"url": "https://storage.example:x/?sig=s3cr3t"}},
        {"upload_session_id": "s", "upload_url": {"url": 7, "headers": {}}},
    ],
)
async def test_an_address_that_cannot_be_right_is_refused_and_not_quoted(
    upload: FindingsUpload,
    agent: MondooClient,
    space: str,
    monkeypatch: pytest.MonkeyPatch,
    answer: Any,
) -> None:
    async def call(method: str, message: Any, *, what: str) -> Any:
        return answer

    monkeypatch.setattr(agent, "call", call)
    with pytest.raises(Refused) as caught:
        await upload.send(space, TENANT, reported(finding()), at=AT)
    assert caught.value.code == "mondoo_upload_address"
    assert "s3cr3t" not in f"{caught.value} {caught.value.__cause__!r}"


@pytest.mark.parametrize(
    ("status", "code", "ours"),
    [
        (401, "Unauthenticated", "mondoo_unauthenticated"),
        (412, "FailedPrecondition", "mondoo_precondition"),
        (501, "Unimplemented", "mondoo_unsupported"),
        (400, "InvalidArgument", "mondoo_invalid_argument"),
    ],
)
async def test_what_the_platform_refuses_has_the_codes_of_its_other_interface(
    upload: FindingsUpload, simulators: Simulators, space: str, status: int, code: str, ours: str
) -> None:
    fault = Fault("mondoo", "PolicyResolver/*", status=status, code=code, message="no")
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(Refused) as caught:
        await upload.send(space, TENANT, reported(finding()), at=AT)
    assert caught.value.code == ours


@pytest.mark.parametrize("body", [b"<html>", b'{"code": [], "message": 3}', b"{}"])
async def test_an_error_that_is_not_the_platforms_own_is_judged_by_its_status(
    upload: FindingsUpload, simulators: Simulators, space: str, body: bytes
) -> None:
    for status, expected in ((403, Refused), (502, NotYet)):
        fault = Fault("mondoo", "PolicyResolver/GetUploadURL", status=status, body=body)
        simulators.run(simulators.faults.add, fault)
        with pytest.raises(expected):
            await upload.send(space, TENANT, reported(finding()), at=AT)


async def test_an_answer_of_a_proxy_is_not_taken_for_the_platforms(
    upload: FindingsUpload, simulators: Simulators, space: str
) -> None:
    fault = Fault("mondoo", "PolicyResolver/GetUploadURL", status=200, body=b"<html>")
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(Refused) as caught:
        await upload.send(space, TENANT, reported(finding()), at=AT)
    assert caught.value.code == "mondoo_unreadable"


async def test_storage_that_is_not_trusted_is_refused(
    settings: Settings, agent: MondooClient, space: str
) -> None:
    stranger = FindingsUpload(replace(settings, trusted_ca_file=None), agent)
    with pytest.raises(Refused) as caught:
        await stranger.send(space, TENANT, reported(finding()), at=AT)
    assert caught.value.code == "mondoo_untrusted"
    await stranger.aclose()
