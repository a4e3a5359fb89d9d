"""Reports as they are kept: a tenant's newest audits, and the newest audit of every tenant.

The store keeps documents of a bounded length. A report that is longer leaves findings out, the
mildest first, and says how many; its counts stay those of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from shared.audit.fleet_report import FleetReport, fleet_report
from shared.audit.report import AuditReport
from shared.models import Finding, Severity, TenantRecord
from shared.tenants.records import LONGEST_REPORT, TenantRecords, decode

PAGE = 200
"""Reports or records that are read at once for the report on all tenants."""

LEFT_OUT = "findings_left_out"
"""The code of the one finding that stands for those that were too many to keep."""


async def remember(records: TenantRecords, report: AuditReport, *, kept: int) -> None:
    """Keep a report, and drop the tenant's oldest above ``kept``. May be repeated."""
    await records.put_report(report.operation_id, fitting(report), kept=kept)


async def recall(records: TenantRecords, operation_id: str) -> AuditReport | None:
    """The report of one audit; None when it is not, or no longer, kept."""
    document = await records.get_report(operation_id)
    return None if document is None else decode(document, AuditReport, operation_id)


async def newest(records: TenantRecords, tenant_id: str, limit: int) -> list[AuditReport]:
    """The newest reports of a tenant, newest first."""
    documents = await records.reports(tenant_id, limit)
    return [decode(one, AuditReport, f"a report on {tenant_id}") for one in documents]


async def fleet(
    records: TenantRecords, *, now: datetime, notices: Iterable[str] = ()
) -> FleetReport:
    """The report on all tenants."""
    reports: list[AuditReport] = []
    after: str | None = None
    while True:
        documents, after = await records.latest_reports(after=after, limit=PAGE)
        reports += [decode(one, AuditReport, "a report") for one in documents]
        if after is None:
            break
    tenants: list[TenantRecord] = []
    while True:
        page, after = await records.page(after=after, limit=PAGE)
        tenants += page
        if after is None:
            break
    return fleet_report(reports, tenants, now=now, notices=notices)


def fitting(report: AuditReport) -> str:
    """The report's JSON, with fewer findings where it would be too long to keep."""
    text = msgspec.json.encode(report).decode()
    kept = max(len(report.findings), len(report.found), len(report.changes))
    while len(text) > LONGEST_REPORT and kept > 0:
        kept //= 2
        shorter = msgspec.structs.replace(
            report,
            findings=_shortened(report.findings, kept),
            found=_shortened(report.found, kept),
            changes=report.changes[:kept],
        )
        text = msgspec.json.encode(shorter).decode()
    return text


def _shortened(findings: list[Finding], kept: int) -> list[Finding]:
    """The first ones, which are the gravest, and what was left out."""
    if len(findings) <= kept:
        return findings
    left_out = Finding(
        code=LEFT_OUT,
        severity=Severity.INFO,
        subject="report",
        message=f"{len(findings) - kept} more findings were too many to keep",
        remediation="Correct those that are listed, and audit again.",
        key=LEFT_OUT,
    )
    return [*findings[:kept], left_out]
