"""The pages: safe with any name, readable without colour, and complete in themselves."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise

import msgspec
import pytest

from shared.audit.fleet_report import FleetReport, fleet_report
from shared.audit.rendering.html_fleet import fleet_html
from shared.audit.rendering.html_page import headers
from shared.audit.rendering.html_tenant import tenant_html
from shared.audit.report import Action, AuditReport, Change, Failure, count
from shared.models import (
    CauseKind,
    CoverageCause,
    CoverageState,
    Finding,
    Outcome,
    RepairPolicy,
    ServiceCoverage,
    Severity,
)
from tests.shared.audit.rendering import samples

HOSTILE = "<script>alert('x')</script> \"&quot; onload=1\" </style> \x00\x1b[31m \u202e Söhne"

REPORTS: dict[str, AuditReport | FleetReport] = {
    "clean": samples.clean(),
    "drifted": samples.drifted(),
    "failed": samples.failed(),
    "broken": samples.broken(),
    "fleet": samples.fleet(notices=["The run stopped."]),
    "empty fleet": fleet_report([], [], now=samples.AT),
}


class Page(HTMLParser):
    """A page taken apart; elements that are not closed, or closed twice, are an error."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.style = ""
        self._open: list[str] = []
        self.feed(content.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag not in ("a", "b", "code", "span", "time"):
            self.texts.append(" ")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self, attribute: str) -> list[str]:
        return [value for _, found in self.elements if (value := found.get(attribute)) is not None]


def page_of(report: AuditReport | FleetReport) -> Page:
    return Page(fleet_html(report) if isinstance(report, FleetReport) else tenant_html(report))


@pytest.fixture(params=REPORTS)
def page(request: pytest.FixtureRequest) -> Page:
    """Each kind of page."""
    return page_of(REPORTS[request.param])


def test_a_page_asks_no_host_for_anything(page: Page) -> None:
    names = {tag for tag, _ in page.elements}
    assert not names & {"script", "img", "iframe", "object", "embed", "form", "base", "svg"}
    assert page.values("src") == []
    assert page.values("style") == []
    assert {link["href"] for link in page.all("link")} == {"data:,"}
    assert all(value.startswith("#") for found in page.all("a") for value in [found["href"] or ""])
    assert not re.search(r"url\(|@import|https?:", page.style)


def test_a_page_allows_itself_its_own_style_and_nothing_else(page: Page) -> None:
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    (policy,) = (
        meta["content"]
        for meta in page.all("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert headers()["Content-Security-Policy"].startswith(policy)


def test_a_page_can_be_found_one_s_way_in_without_seeing_it(page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]
    names = [tag for tag, _ in page.elements]
    for once in ("title", "h1", "main", "header", "footer"):
        assert names.count(once) == 1
    levels = [int(name[1]) for name in names if re.fullmatch(r"h[1-6]", name)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = page.values("id")
    assert len(set(ids)) == len(ids)
    assert {link["href"] for link in page.all("a")} <= {f"#{identifier}" for identifier in ids}
    assert set(page.values("aria-labelledby")) <= set(ids)
    for cell in page.all("th"):
        assert cell["scope"] == "col"
    assert all(cell["data-label"] for cell in page.all("td"))


def test_a_page_follows_the_width_the_theme_and_the_printer(page: Page) -> None:
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
        "meta"
    )
    for query in ("max-width", "prefers-color-scheme: dark", "@media print"):
        assert query in page.style


def hostile_report() -> AuditReport:
    finding = Finding(
        code="secret",
        severity=Severity.HIGH,
        subject=HOSTILE,
        message=f"message {HOSTILE} end",
        remediation=HOSTILE,
        not_scanned=HOSTILE,
        reason=HOSTILE,
        key=f"secret:{HOSTILE}",
    )
    change = Change(
        Action.REMOVE_SECRET, HOSTILE, finding.key or "", Outcome.FAILED, HOSTILE, "c", HOSTILE
    )
    return samples.audit(
        finding,
        display_name=HOSTILE,
        initial_domain=HOSTILE,
        manifest=HOSTILE,
        space=HOSTILE,
        app_id=HOSTILE,
        integration=HOSTILE,
        operation_id=HOSTILE,
        changes=[change],
        failure=Failure(HOSTILE, HOSTILE, HOSTILE),
    )


@pytest.mark.parametrize("of_fleet", [False, True])
def test_a_name_cannot_become_markup(of_fleet: bool) -> None:
    report: AuditReport | FleetReport = hostile_report()
    if of_fleet:
        record = msgspec.structs.replace(samples.record(1), display_name=HOSTILE)
        report = fleet_report(
            [samples.of_tenant(hostile_report(), 0)],
            [samples.record(0), record],
            now=samples.AT,
            notices=[HOSTILE],
        )
    content = fleet_html(report) if isinstance(report, FleetReport) else tenant_html(report)
    page = Page(content)
    assert b"<script" not in content
    assert page.all("script") == []
    assert "<script>alert('x')</script> \"&quot; onload=1\" </style>" in page.text
    assert "\x00" not in content.decode()
    assert "\x1b" not in content.decode()
    assert "Söhne" in page.text


def test_a_tenants_page_says_how_it_stands_what_is_wrong_and_what_to_do() -> None:
    page = page_of(samples.drifted())
    assert "3 things cannot be scanned. This audit made 2 corrections." in page.text
    assert "1 correction did not succeed." in page.text
    assert "A permission is declared, but not granted (2)" in page.text
    assert "Not scanned: conditional access and authorization policies" in page.text
    assert "Correction failed: could not grant Policy.Read.All" in page.text
    assert "12 Dec 2026 (in 17 days)" in page.text
    assert "23 Nov 2026, 22:00 UTC (7 hours ago)" in page.text
    assert "eligible directory roles: the tenant has no licence for it" in page.text


def test_severities_and_outcomes_are_said_in_words() -> None:
    page = page_of(samples.drifted())
    for word in ("high", "medium", "low", "info", "Corrected", "Failed"):
        assert word in page.texts


def test_findings_of_one_kind_say_reason_and_fix_once() -> None:
    finding = samples.drift()[0]
    page = page_of(samples.audit(*samples.drift()[:2]))
    assert finding.reason is not None
    assert page.text.count(finding.reason) == 1
    assert page.text.count(finding.remediation) == 1
    assert page.values("id").count(finding.code) == 1


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (RepairPolicy.REPORT, "An audit with policy enforce corrects it by itself."),
        (RepairPolicy.REPAIR, "An audit with policy enforce corrects it by itself."),
        (RepairPolicy.ENFORCE, None),
    ],
)
def test_a_finding_tells_which_policy_would_correct_it(
    policy: RepairPolicy, said: str | None
) -> None:
    (secret,) = (one for one in samples.drift() if one.code == "secret")
    text = page_of(samples.audit(secret, policy=policy)).text
    assert (said in text) if said else ("corrects it by itself" not in text)


def test_a_failed_audit_claims_no_numbers_of_findings() -> None:
    page = page_of(samples.failed())
    assert "The audit failed" in page.text
    assert "withdrawn its consent" in page.text
    assert "Ask an administrator of the tenant to consent again." in page.text
    assert "No findings" not in page.text
    assert "tiles" not in page.values("class")


def test_an_audit_that_broke_off_after_changes_shows_both() -> None:
    failure = Failure("graph_unreachable", "Graph does not answer", "Audit again.")
    page = page_of(msgspec.structs.replace(samples.drifted(), failure=failure))
    assert "The audit did not come to its end Graph does not answer" in page.text
    assert "Findings" in page.text


def test_a_tenant_that_cannot_be_scanned_at_all_is_said_to_be_so() -> None:
    page = page_of(samples.broken())
    assert "Findings Nothing of this tenant can be scanned." in page.text
    assert "Not scanned: Nothing" not in page.text
    assert page.all("body") == [{"class": "is-failed"}]


def test_a_rehearsal_says_what_would_be_changed() -> None:
    change = Change(Action.GRANT_PERMISSION, "s", "k", Outcome.PLANNED, "it would be granted")
    page = page_of(samples.audit(samples.drift()[0], changes=[change]))
    assert "What this audit would change" in page.text


def test_a_kind_that_the_catalogue_has_dropped_is_shown_by_its_code() -> None:
    old = msgspec.structs.replace(samples.drift()[0], code="of_old", key="of_old")
    assert "of_old" in page_of(samples.audit(old)).text


def test_a_finding_for_information_leaves_a_tenant_clean_and_is_shown() -> None:
    info = samples.drift()[-1]
    report = samples.audit(info)
    assert report.counts == count([info])
    assert "Nothing is missing and nothing is too much." in page_of(report).text
    assert (info.reason or "-") in page_of(report).text


def test_the_fleets_page_puts_those_first_that_need_somebody() -> None:
    page = page_of(REPORTS["fleet"])
    assert "10 tenants 1 could not be audited, 3 have findings, 5 are clean and 1 was never" in (
        page.text
    )
    names = ["Fabrikam", "Contoso Ltd", "Alpine Ski House", "Northwind Traders", "Adatum"]
    places = [page.text.index(name) for name in names]
    assert places == sorted(places)
    assert "Woodgrove Bank" in page.text
    assert "and 4 more" in page.text
    assert "The run stopped." in page.text


def test_an_empty_fleet_has_a_page_too() -> None:
    assert "0 tenants No tenant was onboarded yet." in page_of(REPORTS["empty fleet"]).text


def test_a_fleet_without_trouble_says_so() -> None:
    whole = fleet_report(
        [samples.of_tenant(samples.clean(), 0)], [samples.record(0)], now=samples.AT
    )
    assert "1 tenant All of them are clean." in page_of(whole).text


def test_a_page_says_of_each_service_what_the_last_scan_covers() -> None:
    cause = CoverageCause(CauseKind.ROLE, "directory_role_missing", "not held", ["Global Reader"])
    coverage = [
        ServiceCoverage("entra", CoverageState.SCANNED),
        ServiceCoverage("exchange", CoverageState.NOT_SCANNED, [cause]),
    ]
    page = Page(tenant_html(msgspec.structs.replace(samples.clean(), coverage=coverage)))
    text = " ".join("".join(page.texts).split())
    assert "Entra ID Scanned" in text
    assert "Exchange Online Not scanned Global Reader: not held" in text
