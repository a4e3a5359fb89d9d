"""Uploads of findings to the simulated Mondoo."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from local.simulators import Simulators
from tests.local.simulators.mondoo_client import SPACE, Mondoo

KIND = "UPLOAD_URL_KIND_THIRD_PARTY_FINDINGS"


@pytest.fixture(scope="module")
def simulators() -> Iterator[Simulators]:
    with Simulators() as running:
        yield running


@pytest.fixture
async def agent(simulators: Simulators) -> AsyncIterator[Mondoo]:
    """A client whose account may report."""
    account = simulators.run(simulators.mondoo.estate.add_service_account, SPACE, {"agent"})
    async with Mondoo(simulators, simulators.mondoo.service_account_json(account.mrn)) as client:
        yield client


def finding(**changes: Any) -> dict[str, Any]:
    """A finding with everything that it must have; a change to `None` leaves a member out."""
    whole = {
        "id": "grant-missing",
        "summary": "A permission is not granted",
        "source": {"name": "m365-onboarding"},
        "status": "STATUS_AFFECTED",
        "details": {
            "category": "CATEGORY_SECURITY",
            "severity": {"rating": "SEVERITY_RATING_HIGH", "score": 7.5},
        },
        "firstSeenAt": "2026-09-10T08:00:00Z",
        "affects": [{"component": {"id": "tenant", "identifiers": {}}}],
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def upload(*findings: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "findings": [{"fex": each} for each in findings],
        "source": "m365-onboarding",
        "mondooEnrichment": True,
        "createAssets": False,
        "spaceMrn": SPACE,
        "importStartedAt": "2026-09-10T08:00:00Z",
        **changes,
    }


async def open_upload(client: Mondoo) -> Any:
    answer = await client.post(
        "/PolicyResolver/GetUploadURL", {"kind": KIND, "scope_mrn": SPACE, "ignored": 1}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def put(client: Mondoo, opened: Any, body: Any, **headers: str) -> httpx.Response:
    where = opened["upload_url"]
    return await client.client.put(where["url"], json=body, headers=where["headers"] | headers)


async def complete(client: Mondoo, opened: Any) -> httpx.Response:
    answer: httpx.Response = await client.post(
        "/PolicyResolver/ReportUploadCompleted",
        {"upload_session_id": opened["upload_session_id"], "scope_mrn": SPACE},
    )
    return answer


async def test_findings_count_when_the_upload_is_completed_and_replace_their_like(
    simulators: Simulators, agent: Mondoo
) -> None:
    for summary in ("first", "second"):
        opened = await open_upload(agent)
        assert (await put(agent, opened, upload(finding(summary=summary)))).status_code == 200
        if summary == "first":
            assert (SPACE, "grant-missing") not in simulators.mondoo.findings
        assert (await complete(agent, opened)).status_code == 200
    assert simulators.mondoo.findings[SPACE, "grant-missing"]["summary"] == "second"
    query = (
        "query ($s: String!) { findings(scopeMrn: $s) { __typename"
        " ... on FindingsConnection { nodes { id title state } }"
        " ... on RequestError { message code } ... on NotFoundError { message code } } }"
    )
    data = await agent.ask(query, s=SPACE)
    assert data["findings"] == {
        "__typename": "FindingsConnection",
        "nodes": [{"id": "grant-missing", "title": "second", "state": "AFFECTED"}],
    }
    missing = await agent.ask(query, s="//captain.api.mondoo.app/spaces/none")
    assert missing["findings"]["__typename"] == "NotFoundError"
    foreign = await agent.ask(query, s="//captain.api.mondoo.app/organizations/demo-org")
    assert foreign["findings"]["code"] == "PermissionDenied"


async def test_editors_and_owners_may_not_report(simulators: Simulators) -> None:
    async with Mondoo(simulators) as client:
        answer = await client.post(
            "/PolicyResolver/GetUploadURL", {"kind": KIND, "scope_mrn": SPACE}
        )
    assert (answer.status_code, answer.json()["code"]) == (403, 7)


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"kind": "OTHER", "scope_mrn": SPACE}, 400, 3),
        ({"kind": KIND}, 400, 3),
        ({"kind": KIND, "scope_mrn": "//captain.api.mondoo.app/spaces/none"}, 404, 5),
        ([], 400, 3),
    ],
)
async def test_an_upload_is_opened_for_a_known_kind_and_scope(
    agent: Mondoo, request_: Any, status: int, code: int
) -> None:
    answer = await agent.post("/PolicyResolver/GetUploadURL", request_)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_an_address_is_good_for_one_body_for_a_while(
    simulators: Simulators, agent: Mondoo
) -> None:
    opened = await open_upload(agent)
    token = {"Authorization": "Bearer x"}
    assert (await put(agent, opened, upload(finding()), **token)).status_code == 400
    forged = {"upload_url": {"url": opened["upload_url"]["url"] + "x", "headers": {}}}
    assert (await put(agent, forged, upload(finding()))).status_code == 403
    bare = {"upload_url": opened["upload_url"] | {"headers": {}}}
    assert (await put(agent, bare, upload(finding()))).status_code == 403
    assert (await put(agent, opened, upload(finding()))).status_code == 200
    assert (await put(agent, opened, upload(finding()))).status_code == 403
    late = await open_upload(agent)
    simulators.run(simulators.clock.advance, 301.0)
    assert (await put(agent, late, upload(finding()))).status_code == 403
    assert (await complete(agent, late)).status_code == 412


async def test_a_signature_is_not_in_the_journal(simulators: Simulators, agent: Mondoo) -> None:
    opened = await open_upload(agent)
    await put(agent, opened, upload(finding()))
    signature = opened["upload_url"]["url"].partition("sig=")[2]
    assert signature
    assert signature not in repr(simulators.journal.calls)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ([], "request"),
        (upload(), "findings"),
        (upload(finding(), spaceMrn="//captain.api.mondoo.app/spaces/x"), "spaceMrn"),
        (upload(finding(), space_mrn=SPACE), "space_mrn"),
        (upload(finding(), source=""), "source"),
        (upload(finding(), importStartedAt="yesterday"), "importStartedAt"),
        (upload(finding()) | {"findings": [{"fex": finding(), "vex": finding()}]}, "findings[0]"),
        (upload(finding(id=None)), "fex.id"),
        (upload(finding(summary="")), "fex.summary"),
        (upload(finding(source={})), "source.name"),
        (upload(finding(status="AFFECTED")), "fex.status"),
        (upload(finding(details={"category": "SECURITY"})), "details.category"),
        (
            upload(
                finding(details={"category": "CATEGORY_SECURITY", "severity": {"rating": "HIGH"}})
            ),
            "severity.rating",
        ),
        (upload(finding(first_seen_at="2026-09-10T08:00:00Z")), "first_seen_at"),
        (upload(finding(firstSeenAt="2026-09-10T08:00:00")), "firstSeenAt"),
        (
            upload(finding(affects=[{"component": {"file": {}, "cloudResource": {}}}])),
            "affects[0].component",
        ),
    ],
)
async def test_a_finding_that_is_not_right_is_refused_with_its_place(
    simulators: Simulators, agent: Mondoo, body: Any, named: str
) -> None:
    opened = await open_upload(agent)
    answer = await put(agent, opened, body)
    assert (answer.status_code, answer.json()["code"]) == (400, 3)
    assert named in answer.json()["message"]
    assert (await complete(agent, opened)).status_code == 412
