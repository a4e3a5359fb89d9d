"""Reports as CSV, read back as a spreadsheet would."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.audit.fleet_report import fleet_report
from shared.audit.rendering.csv_table import COLUMNS, cell, fleet_csv, tenant_csv
from shared.audit.report import AuditReport, Failure
from tests.shared.audit.rendering import samples

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =cmd|' /C calc'!A0",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff201",
]


def lines(content: bytes) -> list[dict[str, str]]:
    text = content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_file_is_what_excel_reads_as_utf_8() -> None:
    content = tenant_csv(samples.audit(display_name="Söhne"))
    assert content.startswith(b"\xef\xbb\xbftenantId,tenantName,")
    assert content.count(b"\r\n") == content.count(b"\n") == 2
    assert lines(content)[0]["tenantName"] == "Söhne"


def test_every_finding_is_a_line_and_so_is_what_was_corrected() -> None:
    found = lines(tenant_csv(samples.drifted()))
    assert [line["line"] for line in found].count("finding") == 8
    corrected = [line for line in found if line["line"] == "corrected"]
    assert {
        (line["code"], line["correction"], line["correctionOutcome"]) for line in corrected
    } == {
        ("permission_not_granted", "grant-permission", "changed"),
        ("principal_disabled", "mend-principal", "changed"),
    }
    first = found[0]
    assert first["severity"] == "high"
    assert first["subject"] == "Policy.Read.All (Microsoft Graph)"
    assert first["title"] == "A permission is declared, but not granted"
    assert first["notScanned"] == "conditional access and authorization policies"
    assert (first["correction"], first["correctionOutcome"]) == ("grant-permission", "failed")
    assert first["auditedAt"] == "2026-11-24T05:00:14Z"
    assert first["key"] == samples.drift()[0].key


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (samples.clean(), "no finding"),
        (samples.failed(), "audit failed"),
        (samples.audit(failure=Failure("c", "m", "r")), "audit incomplete"),
    ],
)
def test_a_tenant_without_findings_has_a_line_too(report: AuditReport, line: str) -> None:
    (only,) = lines(tenant_csv(report))
    assert (only["line"], only["tenantId"]) == (line, samples.TENANT)


def test_the_fleets_file_has_every_tenant() -> None:
    found = lines(fleet_csv(samples.fleet()))
    assert {line["tenantId"] for line in found} == {
        samples.tenant_id(number) for number in (0, 1, 2, 3, 4, 10, 11, 12, 13, 14)
    }
    (waiting,) = (line for line in found if line["line"] == "not audited")
    assert waiting["message"] == "the tenant is waiting"


def test_an_empty_fleet_has_a_heading() -> None:
    content = fleet_csv(fleet_report([], [], now=samples.AT))
    assert content.decode("utf-8-sig") == ",".join(COLUMNS) + "\r\n"


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_name_is_taken_for_a_formula(formula: str) -> None:
    finding = msgspec.structs.replace(samples.drift()[0], subject=formula, message=formula)
    report = samples.audit(finding, display_name=formula)
    (line,) = lines(tenant_csv(report))
    for column in ("tenantName", "subject", "message"):
        assert line[column] == "'" + " ".join(formula.split())


@given(st.text())
def test_whatever_a_cell_holds_it_is_one_line_and_no_formula(value: str) -> None:
    shown = cell(value)
    assert not shown.startswith(tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20 "))
    assert len(shown.splitlines()) <= 1
    assert "\x00" not in shown


def test_quotes_commas_and_line_ends_come_back() -> None:
    name = 'A "quoted", name;\r\nof two lines'
    (line,) = lines(tenant_csv(samples.clean(display_name=name)))
    assert line["tenantName"] == 'A "quoted", name; of two lines'
