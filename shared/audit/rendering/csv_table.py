"""Reports as CSV: one line for each finding, for spreadsheets and for tools.

A tenant never drops out: one without findings has a line that says so, and so has one whose audit
failed or that was never audited. What an audit corrected has its line as well, with what was done.

For Excel there are a byte order mark (or it takes UTF-8 for something else) and CRLF. A cell that a
spreadsheet would take for a formula is given an apostrophe in front, since names in a directory are
chosen by strangers. Line ends inside cells become spaces, so that a line is a line.

Source: RFC 4180; OWASP, "CSV injection".
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from shared.audit.fleet_report import FleetReport, NotAudited, title_of
from shared.audit.rendering.words import stamp
from shared.audit.report import AuditReport, AuditStatus, Change
from shared.models import Finding

COLUMNS = (
    "tenantId",
    "tenantName",
    "initialDomain",
    "auditStatus",
    "auditedAt",
    "operationId",
    "policy",
    "manifest",
    "certificateNotAfter",
    "scanFinished",
    "line",
    "severity",
    "code",
    "title",
    "subject",
    "message",
    "notScanned",
    "reason",
    "fix",
    "correction",
    "correctionOutcome",
    "key",
)
"""``line`` says what a line is: ``finding``, ``corrected``, ``no finding``, ``audit failed``,
``audit incomplete`` or ``not audited``."""

_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""What starts a formula, also in full width; line ends and tabs do not survive."""


def tenant_csv(report: AuditReport) -> bytes:
    """One tenant's report."""
    return _table(_lines(report))


def fleet_csv(fleet: FleetReport) -> bytes:
    """All tenants, in the order of the report."""

    def lines() -> Iterator[Mapping[str, str]]:
        for report in fleet.reports:
            yield from _lines(report)
        for tenant in fleet.not_audited:
            yield _not_audited(tenant)

    return _table(lines())


def cell(value: str) -> str:
    """A value as it may stand in a cell."""
    flat = " ".join(value.replace("\x00", "").split())
    return f"'{flat}" if flat.startswith(_FORMULA) else flat


def _table(lines: Iterator[Mapping[str, str]]) -> bytes:
    file = io.StringIO()
    file.write("\ufeff")
    table = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\r\n")
    table.writeheader()
    for line in lines:
        table.writerow({name: cell(value) for name, value in line.items()})
    return file.getvalue().encode("utf-8", "replace")


def _lines(report: AuditReport) -> Iterator[Mapping[str, str]]:
    tenant = {
        "tenantId": report.tenant_id,
        "tenantName": report.display_name or "",
        "initialDomain": report.initial_domain or "",
        "auditStatus": report.status.value,
        "auditedAt": stamp(report.finished_at),
        "operationId": report.operation_id,
        "policy": report.policy.value,
        "manifest": report.manifest,
        "certificateNotAfter": (
            stamp(report.certificate_not_after) if report.certificate_not_after else ""
        ),
        "scanFinished": stamp(report.scan_finished) if report.scan_finished else "",
    }
    changes: dict[str, list[Change]] = defaultdict(list)
    for change in report.changes:
        changes[change.finding].append(change)
    if report.failure is not None:
        failed = report.status is AuditStatus.FAILED
        yield tenant | {
            "line": "audit failed" if failed else "audit incomplete",
            "code": report.failure.code,
            "message": report.failure.message,
            "fix": report.failure.remediation,
        }
    standing = {finding.key for finding in report.findings}
    for finding in report.findings:
        yield tenant | {"line": "finding"} | _finding(finding, changes[finding.key or finding.code])
    for finding in report.found:
        if finding.key not in standing:
            made = changes[finding.key or finding.code]
            yield tenant | {"line": "corrected"} | _finding(finding, made)
    if not report.findings and report.failure is None:
        yield tenant | {"line": "no finding"}


def _finding(finding: Finding, changes: Sequence[Change]) -> dict[str, str]:
    return {
        "severity": finding.severity.value,
        "code": finding.code,
        "title": title_of(finding),
        "subject": finding.subject,
        "message": finding.message,
        "notScanned": finding.not_scanned or "",
        "reason": finding.reason or "",
        "fix": finding.remediation,
        "correction": "; ".join(change.action.value for change in changes),
        "correctionOutcome": "; ".join(change.outcome.value for change in changes),
        "key": finding.key or "",
    }


def _not_audited(tenant: NotAudited) -> Mapping[str, str]:
    return {
        "tenantId": tenant.tenant_id,
        "tenantName": tenant.display_name or "",
        "initialDomain": tenant.initial_domain or "",
        "line": "not audited",
        "message": f"the tenant is {tenant.state}",
    }
