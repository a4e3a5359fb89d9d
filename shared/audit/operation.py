"""The audit of one tenant as an operation: three steps, each a plain coroutine.

``audit``    read, compare, repair by policy, read again; the report is kept in the records, and
             only its summary travels through the orchestration
``publish``  labels on the Mondoo integration, findings uploaded (where that is switched on),
             and the announcement, if something became better or worse
``record``   what the audit saw of the tenant, and the operation

``publish`` and ``record`` run always: a tenant that could not be audited is reported as failing and
stays in sight. One whose audit was cancelled before it had read the tenant stands as it stood
before. Each may be called any number of times.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from shared.audit import history
from shared.audit.checks.integration import given_certificate
from shared.audit.ledger import ledger
from shared.audit.report import (
    AuditReport,
    AuditStatus,
    difference,
    failed_report,
)
from shared.audit.steps import audit_tenant, followed, manifest_of
from shared.certificates import read_bundle
from shared.config import AuditNotify
from shared.context import Context
from shared.errors import NotYet, OnboardingError, OutcomeUnknown, Refused
from shared.models import (
    Finding,
    Operation,
    OperationStatus,
    Outcome,
    RepairPolicy,
    Severity,
    Step,
    StepResult,
    TenantRecord,
    to_json,
)
from shared.mondoo import integrations
from shared.mondoo.audit_labels import audit_labels, with_audit_labels
from shared.notifications import AUDIT_COMPLETED
from shared.outcomes import refused
from shared.rights import REPORT_RIGHTS, missing_rights

SHORT_OF_LIST = frozenset(
    {
        "application_missing",
        "application_deleted",
        "principal_missing",
        "permission_missing",
        "permission_not_granted",
        "permission_not_declared",
        history.LEFT_OUT,  # which may have been any of these
    }
)
"""Codes of findings that say, or may say, that a tenant does not have what its list wants."""

SHOWN = 6
"""Findings of a report that are shown in the operation itself; all are in the report."""


class AuditOrder(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What an audit is to do. ``rehearse``: change nothing, say what would be changed.
    ``manifest``: the list to roll out, in place of the tenant's own."""

    operation_id: str
    tenant_id: str
    policy: RepairPolicy
    rehearse: bool = False
    manifest: str | None = None


async def audit(context: Context, order: AuditOrder) -> StepResult:
    """Audit and repair; the report is kept.

    The result has the code `RIGHT_MISSING` where rights are missing, and then nothing was changed.

    Raises:
        Refused: ``tenant_unknown``, or the tenant could not be read.
        NotYet: it cannot be read for now.
    """
    record = _as_ordered(await _record(context, order), order)
    # A token keeps the roles it was made with for an hour; a right granted since must count now.
    await context.identity.forget(order.tenant_id)
    try:
        report = await audit_tenant(
            context,
            record,
            policy=order.policy,
            operation_id=order.operation_id,
            rehearse=order.rehearse,
        )
    except Refused as error:
        missing = await _rights_to_read(context, order, error)
        if not missing:
            raise
        return refused(missing)
    await history.remember(context.records, report, kept=context.settings.audit_history)
    return _summary(report)


async def _rights_to_read(context: Context, order: AuditOrder, error: Refused) -> list[Finding]:
    """All the rights for want of which the tenant could not be read."""
    if error.code != "graph_permission_missing":
        return []
    return await missing_rights(context, order.tenant_id, REPORT_RIGHTS)


async def publish(context: Context, order: AuditOrder, audited: Step) -> StepResult:
    """Tell Mondoo and everybody who listens. All are tried, though one refuses.

    ``audited`` is the audit step as it ended; a report is made of it where there is none.

    Raises:
        NotYet: somebody could not be told for now.
    """
    record = _as_ordered(await _record(context, order), order)
    report = await _report(context, order, record, audited)
    reports = await history.newest(context.records, order.tenant_id, context.settings.audit_history)
    earlier = [one for one in reports if one.operation_id != order.operation_id]
    told: list[str] = []
    refusals: list[Refused | OutcomeUnknown] = []
    waits: list[NotYet] = []
    for carrier in (_label, _upload, _announce):
        try:
            said = await carrier(context, record, report, earlier)
        except NotYet as error:
            waits.append(error)
        except (Refused, OutcomeUnknown) as error:
            refusals.append(error)
        else:
            told += [said] if said else []
    if waits:
        raise waits[0]
    message = "; ".join(told) or "nobody had to be told"
    if refusals:
        first = refusals[0]
        return StepResult(
            outcome=Outcome.UNKNOWN if isinstance(first, OutcomeUnknown) else Outcome.FAILED,
            message=f"{'; '.join(error.message for error in refusals)} ({message})",
            code=first.code,
            remediation=first.remediation,
        )
    return StepResult(outcome=Outcome.PASSED, message=message)


async def record(context: Context, order: AuditOrder, operation: Operation) -> StepResult:
    """Write down what the audit saw, and the operation with its final status."""
    known = await _record(context, order)
    now = context.now()
    learned: dict[str, Any] = {"operation_id": order.operation_id, "updated_at": now}
    report = await history.recall(context.records, order.operation_id)
    if report is None and operation.status is OperationStatus.CANCELLED:
        stands = known.audit_status or "not audited"
    else:
        report = await _report(context, order, _as_ordered(known, order), operation.step("audit"))
        stands = report.status.value
        failed = report.status is AuditStatus.FAILED
        learned |= {
            "audited_at": report.finished_at,
            "audit_status": stands,
            "findings": None if failed else report.counts,
        }
        target = order.manifest or known.manifest_target
        if target is not None and _is_on_list(report):
            learned |= {"manifest": target, "manifest_target": None}
        known = followed(known, report)
    await context.records.put(msgspec.structs.replace(known, **learned))
    completed = msgspec.convert(to_json(operation), Operation)
    step = completed.step("record")
    step.outcome, step.message = Outcome.PASSED, f"the tenant stands as {stands}"
    step.finished_at = completed.finished_at = now
    await context.records.put_operation(completed)
    return StepResult(outcome=step.outcome, message=step.message)


async def _record(context: Context, order: AuditOrder) -> TenantRecord:
    known = await context.records.get(order.tenant_id)
    if known is None:
        raise Refused(
            "tenant_unknown",
            f"tenant {order.tenant_id} has not been onboarded from here",
            remediation="Onboard it with POST /api/tenants.",
            tenant_id=order.tenant_id,
        )
    return known


def _as_ordered(record: TenantRecord, order: AuditOrder) -> TenantRecord:
    """The record as this audit shall see it: on the way to the list that is rolled out."""
    if order.manifest is None:
        return record
    return msgspec.structs.replace(record, manifest_target=order.manifest)


async def _report(
    context: Context, order: AuditOrder, record: TenantRecord, audited: Step
) -> AuditReport:
    """The report that was kept, or one that says why there is none."""
    report = await history.recall(context.records, order.operation_id)
    if report is not None:
        return report
    report = failed_report(
        record,
        OnboardingError(
            audited.code or "audit_without_answer",
            audited.message,
            remediation=audited.remediation or "Look at the function app's log, and audit again.",
        ),
        operation_id=order.operation_id,
        policy=order.policy,
        manifest=manifest_of(context, record).name,
        started_at=audited.started_at or context.now(),
        finished_at=audited.finished_at or context.now(),
    )
    await history.remember(context.records, report, kept=context.settings.audit_history)
    return report


def _is_on_list(report: AuditReport) -> bool:
    """Whether a move to the list of the report is settled: nothing that it wants is missing, and
    nothing is left to be changed."""
    if report.status is AuditStatus.FAILED or report.failure is not None or report.would_change:
        return False
    if any(change.outcome.stops for change in report.changes):
        return False
    return not any(finding.code in SHORT_OF_LIST for finding in report.findings)


def _summary(report: AuditReport) -> StepResult:
    counts = report.counts
    message = f"{counts.high} high, {counts.medium} medium, {counts.low} low findings"
    planned = sum(change.outcome is Outcome.PLANNED for change in report.changes)
    made = sum(change.outcome is Outcome.CHANGED for change in report.changes)
    unsure = [change for change in report.changes if change.outcome.stops]
    if planned:
        message += f"; {_times(planned)} would be made"
    if made:
        message += f"; {_times(made)} made"
    shown = [finding for finding in report.findings if finding.severity is not Severity.INFO]
    facts = {
        "wouldChange": planned,
        "changed": made,
        "status": report.status.value,
        "findings": len(shown),
    }
    if report.rights_missing:
        result = refused(report.rights_missing)
        return msgspec.structs.replace(
            result,
            message=f"{message}; {_times(len(report.changes))} not tried. {result.message}",
            findings=result.findings + _brief(shown),
            facts=facts,
        )
    if report.failure is not None or unsure:
        code = report.failure.code if report.failure else unsure[0].code
        remedy = report.failure.remediation if report.failure else unsure[0].remediation
        return StepResult(
            outcome=Outcome.UNKNOWN if report.failure else unsure[0].outcome,
            message=f"{message}; {len(unsure)} changes did not succeed"
            if unsure
            else f"{message}; the tenant could not be read again after the changes",
            code=code or "repair_incomplete",
            remediation=remedy or "See the changes in the report, and audit again.",
            findings=_brief(shown),
            facts=facts,
        )
    outcome = Outcome.CHANGED if made else Outcome.PASSED
    return StepResult(
        outcome=Outcome.WARNING if shown else outcome,
        message=message,
        findings=_brief(shown),
        facts=facts,
    )


def _times(count: int) -> str:
    return "1 change" if count == 1 else f"{count} changes"


def _brief(findings: list[Finding]) -> list[Finding]:
    """The first findings, without what only the report needs: custom statuses are bounded."""
    return [
        msgspec.structs.replace(
            finding,
            message=finding.message[:200],
            remediation=finding.remediation[:200],
            not_scanned=None,
            reason=None,
        )
        for finding in findings[:SHOWN]
    ]


# --- who is told ---------------------------------------------------------------------------------


async def _label(
    context: Context, record: TenantRecord, report: AuditReport, earlier: list[AuditReport]
) -> str | None:
    """Labels on the integration. An update carries what Mondoo signs in with, which is write-only
    there; so nothing is labelled that holds something else than the record, which a finding tells:
    a label must not change how a tenant is scanned."""
    if record.integration is None:
        return None
    try:
        integration = await integrations.read(context.mondoo, record.integration)
    except Refused as error:
        if error.code != "mondoo_not_found":
            raise
        return None  # a finding of the report
    keyless = record.keyless
    if integration.keyless is not keyless:
        return None
    pem = None
    if not keyless:
        used = record.certificate
        if used is None or given_certificate(integration) != used.thumbprint:
            return None
        bundle = read_bundle(
            await context.vault.pem(used), now=context.now(), proven=used.thumbprint
        )
        pem = bundle.pem()
    labels = audit_labels(
        status=report.status.value,
        at=report.finished_at,
        operation_id=report.operation_id,
        findings=report.findings,
        manifest=report.manifest,
        certificate_expires=report.certificate_not_after,
    )
    await integrations.update(
        context.mondoo,
        integration,
        name=integration.name,
        pem=pem,
        labels=with_audit_labels(integration.labels, labels),
    )
    return "the integration was labelled"


async def _upload(
    context: Context, record: TenantRecord, report: AuditReport, earlier: list[AuditReport]
) -> str | None:
    if not context.settings.mondoo_findings_upload or record.space is None:
        return None
    findings = ledger([*earlier, report])
    await context.findings_upload.send(
        record.space, record.tenant_id, findings, at=report.finished_at
    )
    return f"{len(findings)} findings were uploaded"


async def _announce(
    context: Context, record: TenantRecord, report: AuditReport, earlier: list[AuditReport]
) -> str | None:
    differs = difference(earlier[0] if earlier else None, report)
    if context.settings.audit_notify is AuditNotify.CHANGES and not differs.is_change:
        return None
    for listener in context.audit_listeners:
        await listener.publish(
            AUDIT_COMPLETED,
            record.tenant_id,
            {
                "tenantId": record.tenant_id,
                "operation": report.operation_id,
                "status": report.status.value,
                "counts": to_json(report.counts),
                "appeared": to_json_list(differs.appeared),
                "gone": to_json_list(differs.gone),
                "changes": to_json_list(report.changes),
            },
            id=report.operation_id,
            time=report.finished_at,
        )
    return "the result was announced"


def to_json_list(items: list[Any]) -> list[Any]:
    """Models as plain JSON values."""
    return [to_json(item) for item in items]
