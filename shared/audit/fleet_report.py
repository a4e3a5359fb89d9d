"""The newest audit of every tenant, together: the report on the fleet.

Nobody drops out of sight: a tenant whose audit failed is in it with its failure, and one that was
never audited is listed as such.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from shared.audit.catalogue import entries
from shared.audit.report import AuditReport, AuditStatus
from shared.models import Counts, Finding, Severity, TenantRecord
from shared.transitions import TenantState

_RANK = {severity: rank for rank, severity in enumerate(Severity)}
_STANDING = {AuditStatus.FAILED: 0, AuditStatus.FINDINGS: 1, AuditStatus.CLEAN: 2}


class NotAudited(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A tenant that has a record and no report."""

    tenant_id: str
    state: TenantState
    display_name: str | None = None
    initial_domain: str | None = None


class Kind(Struct, frozen=True, rename="camel"):
    """A kind of finding, and how many tenants and findings there are of it."""

    code: str
    title: str
    severity: Severity
    tenants: int
    findings: int


class Standing(Struct, frozen=True, rename="camel"):
    """Tenants by how they stand."""

    failed: int = 0
    findings: int = 0
    clean: int = 0
    not_audited: int = 0

    @property
    def total(self) -> int:
        """All tenants."""
        return self.failed + self.findings + self.clean + self.not_audited


class FleetReport(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Every tenant as its newest audit saw it.

    ``reports`` has those first that need somebody most. ``notices`` are sentences about the audits
    as a whole, such as that the last run was stopped, and what to do then.
    """

    created_at: datetime
    standing: Standing
    counts: Counts
    kinds: list[Kind]
    reports: list[AuditReport]
    not_audited: list[NotAudited]
    notices: list[str] = []


def fleet_report(
    reports: Iterable[AuditReport],
    records: Iterable[TenantRecord],
    *,
    now: datetime,
    notices: Iterable[str] = (),
) -> FleetReport:
    """The report on all tenants. A report on a tenant that has no record any more is left out."""
    known = {record.tenant_id: record for record in records}
    shown = sorted((one for one in reports if one.tenant_id in known), key=_urgency)
    audited = {one.tenant_id for one in shown}
    without = [
        NotAudited(record.tenant_id, record.state, record.display_name, record.initial_domain)
        for record in known.values()
        if record.tenant_id not in audited
    ]
    statuses = Counter(one.status.value for one in shown)
    return FleetReport(
        created_at=now,
        standing=Standing(**statuses, not_audited=len(without)),
        counts=Counts(
            high=sum(one.counts.high for one in shown),
            medium=sum(one.counts.medium for one in shown),
            low=sum(one.counts.low for one in shown),
            info=sum(one.counts.info for one in shown),
        ),
        kinds=_kinds(shown),
        reports=shown,
        not_audited=sorted(without, key=lambda one: (one.display_name or "", one.tenant_id)),
        notices=list(notices),
    )


def title_of(finding: Finding) -> str:
    """The title of a finding's kind; its code where the catalogue has dropped the kind since."""
    entry = entries().get(finding.code)
    return entry.title if entry is not None else finding.code


def _urgency(report: AuditReport) -> tuple[int, int, int, int, str, str]:
    counts = report.counts
    return (
        _STANDING[report.status],
        -counts.high,
        -counts.medium,
        -counts.low,
        (report.display_name or "").casefold(),
        report.tenant_id,
    )


def _kinds(reports: Iterable[AuditReport]) -> list[Kind]:
    """Kinds of findings: the gravest first, then those that most tenants have."""
    examples: dict[str, Finding] = {}
    tenants: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    for report in reports:
        codes = Counter(finding.code for finding in report.findings)
        examples |= {finding.code: finding for finding in report.findings}
        findings.update(codes)
        tenants.update(codes.keys())
    kinds = [
        Kind(code, title_of(one), one.severity, tenants[code], findings[code])
        for code, one in examples.items()
    ]
    return sorted(kinds, key=lambda one: (_RANK[one.severity], -one.tenants, one.code))
