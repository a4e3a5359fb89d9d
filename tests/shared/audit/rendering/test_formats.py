"""Which format a request is answered in, and with which headers."""

from __future__ import annotations

import msgspec
import pytest

from shared.audit.fleet_report import FleetReport
from shared.audit.rendering.formats import Format, chosen, rendered
from shared.audit.report import AuditReport
from shared.errors import InvalidRequest
from tests.shared.audit.rendering import samples

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("asked", "accept", "wanted"),
    [
        (None, None, Format.JSON),
        (None, "", Format.JSON),
        (None, "*/*", Format.JSON),
        (None, BROWSER, Format.HTML),
        (None, "text/csv", Format.CSV),
        (None, "Text/CSV; header=present", Format.CSV),
        (None, "application/xml", Format.JUNIT),
        (None, "text/xml", Format.JUNIT),
        (None, "text/html;q=0.1, application/json;q=0.2", Format.JSON),
        (None, "text/html;q=0, text/csv", Format.CSV),
        (None, "text/html;q=nonsense, text/csv", Format.CSV),
        (None, "image/png, */*;q=0.1", Format.JSON),
        ("html", "application/json", Format.HTML),
        ("JUnit", None, Format.JUNIT),
    ],
)
def test_the_format_is_the_one_asked_for_or_the_best_that_is_accepted(
    asked: str | None, accept: str | None, wanted: Format
) -> None:
    assert chosen(asked, accept) is wanted


@pytest.mark.parametrize(
    ("asked", "accept", "field"),
    [("pdf", None, "format"), ("", None, "format"), (None, "image/png", "Accept")],
)
def test_what_cannot_be_had_is_refused_with_what_can(
    asked: str | None, accept: str | None, field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chosen(asked, accept)
    assert (caught.value.code, caught.value.field) == ("format_unknown", field)
    assert "csv" in caught.value.remediation


@pytest.mark.parametrize("report", [samples.drifted(), samples.fleet()])
@pytest.mark.parametrize("wanted", list(Format))
def test_every_report_can_be_had_in_every_format(
    report: AuditReport | FleetReport, wanted: Format
) -> None:
    made = rendered(report, wanted)
    assert made.body
    assert made.headers["X-Content-Type-Options"] == "nosniff"
    assert made.headers["Cache-Control"] == "no-store"
    assert (
        made.content_type.split(";")[0]
        == {
            Format.JSON: "application/json",
            Format.CSV: "text/csv",
            Format.HTML: "text/html",
            Format.JUNIT: "application/xml",
        }[wanted]
    )
    assert ("Content-Security-Policy" in made.headers) == (wanted is Format.HTML)


def test_json_is_the_report_itself() -> None:
    body = rendered(samples.drifted(), Format.JSON).body
    assert msgspec.json.decode(body, type=AuditReport) == samples.drifted()
    body = rendered(samples.fleet(), Format.JSON).body
    assert msgspec.json.decode(body, type=FleetReport) == samples.fleet()


def test_a_file_is_named_after_what_it_reports_on() -> None:
    tenant = rendered(samples.drifted(), Format.JUNIT).headers["Content-Disposition"]
    assert tenant == f'inline; filename="audit-{samples.TENANT}.xml"'
    fleet = rendered(samples.fleet(), Format.CSV).headers["Content-Disposition"]
    assert fleet == 'attachment; filename="fleet-audit.csv"'
