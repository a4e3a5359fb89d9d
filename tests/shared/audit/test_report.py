"""The report: counts, gaps, differences, and what is written and read again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from shared.audit.catalogue import EVERYTHING
from shared.audit.report import (
    AuditReport,
    AuditStatus,
    Counts,
    Gap,
    count,
    decode,
    difference,
    encode,
    failed_report,
    gaps_in,
    status_of,
)
from shared.errors import NotYet
from shared.models import Finding, RepairPolicy, Severity
from tests.shared.audit.pictures import CERTIFICATE, NOW, RECORD, TENANT


def finding(code: str, severity: Severity = Severity.HIGH, **kwargs: Any) -> Finding:
    known = {"subject": "it", "message": "It is so.", "remediation": "Change it.", "key": code}
    return Finding(code=code, severity=severity, **{**known, **kwargs})


def report(*findings: Finding, **kwargs: Any) -> AuditReport:
    known: dict[str, Any] = {
        "tenant_id": TENANT,
        "operation_id": RECORD.operation_id,
        "status": status_of(findings),
        "policy": RepairPolicy.REPORT,
        "manifest": "2026-09",
        "started_at": NOW,
        "finished_at": NOW + timedelta(seconds=2),
        "counts": count(findings),
        "findings": list(findings),
    }
    return AuditReport(**{**known, **kwargs})


def test_findings_are_counted_by_severity() -> None:
    found = [finding("a"), finding("b"), finding("c", Severity.LOW), finding("d", Severity.INFO)]
    assert count(found) == Counts(high=2, low=1, info=1)
    assert count([]) == Counts()


@pytest.mark.parametrize(
    ("severities", "status"),
    [
        ([], AuditStatus.CLEAN),
        ([Severity.INFO], AuditStatus.CLEAN),
        ([Severity.INFO, Severity.LOW], AuditStatus.FINDINGS),
        ([Severity.HIGH], AuditStatus.FINDINGS),
    ],
)
def test_a_tenant_is_clean_with_nothing_but_information(
    severities: list[Severity], status: AuditStatus
) -> None:
    assert status_of([finding("a", severity) for severity in severities]) is status


def test_gaps_name_their_findings_and_the_greatest_comes_first() -> None:
    found = [
        finding("a", not_scanned="Forms; Teams"),
        finding("b", not_scanned="Teams"),
        finding("c", not_scanned=EVERYTHING),
        finding("d"),
    ]
    assert gaps_in(found) == [
        Gap(EVERYTHING, ["c"]),
        Gap("Forms", ["a"]),
        Gap("Teams", ["a", "b"]),
    ]


def test_a_difference_tells_what_came_and_what_went_by_key() -> None:
    before = report(finding("a"), finding("b"))
    after = report(finding("b", message="It is so, in other words."), finding("c"))
    found = difference(before, after)
    assert [each.code for each in found.appeared] == ["c"]
    assert [each.code for each in found.gone] == ["a"]
    assert found.is_change
    assert not difference(before, report(finding("b"), finding("a"))).is_change


def test_the_first_report_of_a_tenant_is_a_change() -> None:
    assert difference(None, report()).is_change


def test_a_failed_audit_neither_finds_nor_fixes_anything() -> None:
    failed = report(status=AuditStatus.FAILED)
    came = difference(report(finding("a")), failed)
    assert came.is_change
    assert (came.appeared, came.gone) == ([], [])
    assert not difference(failed, failed).is_change


def test_a_tenant_that_cannot_be_read_is_reported_as_failing() -> None:
    error = NotYet("graph_unavailable", "Graph is down", remediation="Wait.")
    failed = failed_report(
        RECORD,
        error,
        operation_id="an-operation",
        policy=RepairPolicy.REPAIR,
        manifest="2026-09",
        started_at=NOW,
        finished_at=NOW,
    )
    assert failed.status is AuditStatus.FAILED
    assert failed.failure is not None
    assert failed.failure.code == "graph_unavailable"
    assert failed.certificate_not_after == CERTIFICATE.not_after
    assert not failed.changed


def test_a_report_is_read_again_as_it_was_written() -> None:
    whole = report(finding("a", not_scanned="Teams", reason="Because."), gaps=[Gap("Teams", ["a"])])
    written = encode(whole)
    assert decode(written) == whole
    assert b'"notScanned"' in written
    with pytest.raises(msgspec.ValidationError):
        decode(b'{"tenantId": 1}')
