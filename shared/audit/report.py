"""The result of an audit of one tenant: the model behind every format, label and notification.

A report says what is so after the audit (``findings``), what was so before it (``found``), and what
was done in between (``changes``, each with its outcome). It holds no secrets: names, ids and
sentences only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec import Struct

from shared.audit.catalogue import EVERYTHING
from shared.errors import OnboardingError
from shared.models import (
    Counts,
    Finding,
    Outcome,
    RepairPolicy,
    ServiceCoverage,
    Severity,
    TenantRecord,
)
from shared.outcomes import refused


class AuditStatus(StrEnum):
    """How a tenant stands after an audit."""

    CLEAN = "clean"  # nothing but information
    FINDINGS = "findings"
    FAILED = "failed"  # it could not be audited, so nothing is known


class Action(StrEnum):
    """What a change does."""

    RESTORE_APPLICATION = "restore-application"
    NARROW_AUDIENCE = "narrow-audience"
    REMOVE_REDIRECT_URI = "remove-redirect-uri"
    DECLARE_PERMISSION = "declare-permission"
    REMOVE_DECLARATION = "remove-declaration"
    REGISTER_CERTIFICATE = "register-certificate"
    REMOVE_CERTIFICATE = "remove-certificate"
    REMOVE_SECRET = "remove-secret"  # noqa: S105 - the name of an action
    ADD_FEDERATED_CREDENTIAL = "add-federated-credential"
    REMOVE_FEDERATED_CREDENTIAL = "remove-federated-credential"
    REMOVE_OWNER = "remove-owner"
    MEND_PRINCIPAL = "mend-principal"
    GRANT_PERMISSION = "grant-permission"
    REVOKE_PERMISSION = "revoke-permission"
    REVOKE_DELEGATED_GRANT = "revoke-delegated-grant"
    ASSIGN_ROLE = "assign-role"
    REMOVE_ROLE = "remove-role"


class Change(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One change and what became of it. ``finding`` is the key of what it was to correct.

    Outcomes: ``changed`` (reading again shows it), ``passed`` (it is right, though the request was
    refused), ``planned`` (a rehearsal), ``failed``, and ``unknown`` (it was asked for, and reading
    again did not show it).
    """

    action: Action
    subject: str
    finding: str
    outcome: Outcome
    message: str
    code: str | None = None
    remediation: str | None = None


class Gap(Struct, frozen=True, rename="camel"):
    """What cannot be scanned, and the keys of the findings because of which."""

    not_scanned: str
    findings: list[str]


class Unread(Struct, frozen=True, rename="camel"):
    """A part of the tenant that was not read, and why."""

    aspect: str
    why: str


class Failure(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Why an audit did not come to its end."""

    code: str
    message: str
    remediation: str


class Difference(Struct, frozen=True, rename="camel"):
    """Two audits of a tenant compared: findings that came and those that went."""

    appeared: list[Finding]
    gone: list[Finding]
    status_changed: bool

    @property
    def is_change(self) -> bool:
        """Whether anything became better or worse."""
        return bool(self.appeared or self.gone or self.status_changed)


class AuditReport(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One audit of one tenant.

    ``gaps`` are what cannot be scanned as things are now, and ``coverage`` says how much of each
    service the newest scan saw; ``unread`` what the audit itself did not
    read. ``failure`` is set when it did not come to its end: with status ``failed`` nothing was
    read at all, else what it says is that of the last reading, and changes after that are unknown.
    ``rights_missing`` names what kept a repair from being begun; nothing was changed then.
    ``service_principal_id`` is what was seen, for the tenant record to follow a new one.
    """

    tenant_id: str
    operation_id: str
    status: AuditStatus
    policy: RepairPolicy
    manifest: str
    started_at: datetime
    finished_at: datetime
    counts: Counts
    display_name: str | None = None
    initial_domain: str | None = None
    space: str | None = None
    app_id: str | None = None
    service_principal_id: str | None = None
    integration: str | None = None
    certificate_not_after: datetime | None = None
    scan_finished: datetime | None = None
    findings: list[Finding] = []
    found: list[Finding] = []
    changes: list[Change] = []
    gaps: list[Gap] = []
    coverage: list[ServiceCoverage] = []
    unread: list[Unread] = []
    rights_missing: list[Finding] = []
    failure: Failure | None = None

    @property
    def changed(self) -> bool:
        """Whether the audit changed something in the tenant, or may have."""
        return any(each.outcome in (Outcome.CHANGED, Outcome.UNKNOWN) for each in self.changes)

    @property
    def would_change(self) -> bool:
        """Whether a rehearsal found something to change."""
        return any(each.outcome is Outcome.PLANNED for each in self.changes)


def count(findings: Iterable[Finding]) -> Counts:
    """How many findings there are of each severity."""
    counted = Counter(finding.severity.value for finding in findings)
    return Counts(**counted)


def status_of(findings: Iterable[Finding]) -> AuditStatus:
    """How a tenant with these findings stands."""
    grave = any(finding.severity is not Severity.INFO for finding in findings)
    return AuditStatus.FINDINGS if grave else AuditStatus.CLEAN


def gaps_in(findings: Iterable[Finding]) -> list[Gap]:
    """What cannot be scanned because of these findings; what stops everything comes first."""
    because: dict[str, list[str]] = {}
    for finding in findings:
        for part in (finding.not_scanned or "").split("; "):
            if part:
                because.setdefault(part, []).append(finding.key or finding.code)
    return [
        Gap(not_scanned, sorted(set(keys)))
        for not_scanned, keys in sorted(
            because.items(), key=lambda item: (item[0] != EVERYTHING, item[0])
        )
    ]


def failed_report(
    record: TenantRecord,
    error: OnboardingError,
    *,
    operation_id: str,
    policy: RepairPolicy,
    manifest: str,
    started_at: datetime,
    finished_at: datetime,
) -> AuditReport:
    """The report on a tenant that could not be read, so that it does not drop out of sight."""
    return AuditReport(
        tenant_id=record.tenant_id,
        operation_id=operation_id,
        status=AuditStatus.FAILED,
        policy=policy,
        manifest=manifest,
        started_at=started_at,
        finished_at=finished_at,
        counts=Counts(),
        display_name=record.display_name,
        initial_domain=record.initial_domain,
        space=record.space,
        app_id=record.app_id,
        integration=record.integration,
        certificate_not_after=record.certificate.not_after if record.certificate else None,
        failure=failure_of(error),
    )


def failure_of(error: OnboardingError) -> Failure:
    """An error as a report shows it."""
    return Failure(error.code, error.message, error.remediation)


def refusal_of(missing: list[Finding]) -> Failure | None:
    """Missing rights as a report shows them: why nothing was put right."""
    if not missing:
        return None
    said = refused(missing)
    return Failure(missing[0].code, said.message, said.remediation or "")


def difference(previous: AuditReport | None, current: AuditReport) -> Difference:
    """What became better or worse. A failed audit tells nothing of findings, so none come or go."""
    if previous is None:
        return Difference(list(current.findings), [], status_changed=True)
    changed = previous.status is not current.status
    if AuditStatus.FAILED in (previous.status, current.status):
        return Difference([], [], status_changed=changed)
    before = {finding.key for finding in previous.findings}
    after = {finding.key for finding in current.findings}
    return Difference(
        [finding for finding in current.findings if finding.key not in before],
        [finding for finding in previous.findings if finding.key not in after],
        status_changed=changed,
    )


def encode(report: AuditReport) -> bytes:
    """As it is stored and sent."""
    return msgspec.json.encode(report)


def decode(content: bytes | str) -> AuditReport:
    """A stored report.

    Raises:
        msgspec.ValidationError: with the path of the field.
    """
    return msgspec.json.decode(content, type=AuditReport)
