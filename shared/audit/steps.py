"""The steps of an audit, and the whole of it for one tenant.

    read -> compare -> rights -> repair by policy -> read again -> compare -> report

All are plain coroutines over `shared.context.Context`; waiting and fanning out is the business of
orchestrators. `audit_tenant` may be called any number of times: it looks first, changes what the
policy allows and is not right, and says only what it has read.

Reading again after a repair can bring to light what was hidden before it (the grants of a service
principal that was missing), so there are several rounds, each for changes that were not tried yet.

The rights are looked at only where there is something to change: a tenant without drift needs none
but those to read, whatever its policy. Where one is missing nothing is changed, and the report,
which is made all the same, says which.

Errors: a tenant that cannot be read at all raises (`NotYet` may be waited for; `failed_report` of
`shared.audit.report` makes a report of any). Once something was changed nothing raises any more:
what is known by then is reported, with the failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from shared.audit import comparison
from shared.audit.comparison import DEFAULT_LIMITS, Limits
from shared.audit.coverage import coverage
from shared.audit.deviations import Deviation
from shared.audit.observation import Observation, observe
from shared.audit.plan import PlannedChange, plan, refused, rehearsed
from shared.audit.repair import apply
from shared.audit.report import (
    Action,
    AuditReport,
    Change,
    Unread,
    count,
    failure_of,
    gaps_in,
    refusal_of,
    status_of,
)
from shared.audit.settlement import Attempt, settle
from shared.context import Context
from shared.errors import NotYet, OnboardingError, OutcomeUnknown, Refused
from shared.manifest import Manifest, load_manifest
from shared.models import Finding, RepairPolicy, TenantRecord
from shared.rights import REPAIR_RIGHTS, WRITE_DELEGATED_GRANTS, missing_rights

ROUNDS = 4
"""Restoring an application, its principal, and what hangs on that take three; one for good
measure."""


@dataclass(frozen=True)
class Plan:
    """What a repair would change, and the reading from which that follows."""

    observation: Observation
    changes: Sequence[PlannedChange]


def manifest_of(context: Context, record: TenantRecord) -> Manifest:
    """The list that the tenant is moved to, or is on, or else that of the settings."""
    return load_manifest(record.manifest_target or record.manifest or context.settings.manifest)


async def read(context: Context, record: TenantRecord) -> Observation:
    """Look at everything; one Graph request and its pages for a tenant without drift.

    Raises:
        Refused, NotYet: something could not be read, so that there is nothing to compare.
    """
    return await observe(context, record, manifest_of(context, record))


def deviations(
    context: Context,
    record: TenantRecord,
    observation: Observation,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Deviation]:
    """Every difference, the gravest first, with what a correction would change."""
    manifest = manifest_of(context, record)
    return comparison.deviations(observation, record, manifest, now=context.now(), limits=limits)


def compare(
    context: Context,
    record: TenantRecord,
    observation: Observation,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Finding]:
    """Every finding, the gravest first."""
    return [each.finding for each in deviations(context, record, observation, limits=limits)]


async def repair(context: Context, record: TenantRecord, planned: Plan) -> list[Attempt]:
    """Ask for every change of the plan; `settle` them by the next reading."""
    return await apply(context, record, planned.observation.inventory, planned.changes)


async def audit_tenant(
    context: Context,
    record: TenantRecord,
    *,
    policy: RepairPolicy,
    operation_id: str,
    rehearse: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> AuditReport:
    """Audit one tenant, and repair it as far as the policy allows.

    With ``rehearse`` nothing is changed, and the changes that would be made are ``planned``. Where
    a right to make them is missing, nothing is changed either, and ``rights_missing`` names each.
    The list that the tenant is moved to is kept in our records before the first change.

    Raises:
        Refused, NotYet: the tenant could not be read, or our records not be written; nothing was
            changed.
    """
    started_at = context.now()
    observation = await read(context, record)
    standing = deviations(context, record, observation, limits=limits)
    found = [each.finding for each in standing]
    changes: list[Change] = []
    failure: OnboardingError | None = None
    planned = plan(standing, observation.inventory, policy)
    missing = await _rights_missing(context, record, planned)
    if missing:
        changes = refused(planned, missing)
    elif rehearse:
        changes = rehearsed(planned)
    else:
        attempts: list[Attempt] = []
        for _ in range(ROUNDS):
            tried = {attempt.change.identity for attempt in attempts}
            planned = [
                change
                for change in plan(standing, observation.inventory, policy)
                if change.identity not in tried
            ]
            if not planned:
                break
            if not attempts:
                await _keep_target(context, record)
            attempts += await repair(context, record, Plan(observation, planned))
            try:
                observation = await read(context, record)
            except (NotYet, OutcomeUnknown, Refused) as error:
                failure = error
                break
            standing = deviations(context, record, observation, limits=limits)
        changes = settle(attempts, None if failure else observation.inventory)
    return _report(
        context,
        record,
        observation,
        [each.finding for each in standing],
        found,
        changes,
        failure,
        missing,
        policy=policy,
        operation_id=operation_id,
        started_at=started_at,
    )


async def _keep_target(context: Context, record: TenantRecord) -> None:
    """Write down what the tenant is moved to: what is granted from here on is wanted, though the
    audit should not come to its end."""
    if record.manifest_target is None:
        return
    known = await context.records.get(record.tenant_id)
    if known is not None and known.manifest_target != record.manifest_target:
        await context.records.put(
            msgspec.structs.replace(known, manifest_target=record.manifest_target)
        )


async def _rights_missing(
    context: Context, record: TenantRecord, planned: Sequence[PlannedChange]
) -> list[Finding]:
    """What keeps the plan from being carried out to its end."""
    if not planned:
        return []
    needed = list(REPAIR_RIGHTS)
    if any(change.action is Action.REVOKE_DELEGATED_GRANT for change in planned):
        needed.append(WRITE_DELEGATED_GRANTS)
    return await missing_rights(context, record.tenant_id, needed)


def _report(
    context: Context,
    record: TenantRecord,
    observation: Observation,
    standing: list[Finding],
    found: list[Finding],
    changes: list[Change],
    failure: OnboardingError | None,
    missing: list[Finding],
    *,
    policy: RepairPolicy,
    operation_id: str,
    started_at: datetime,
) -> AuditReport:
    inventory, integration = observation.inventory, observation.integration
    principal = inventory.principal
    return AuditReport(
        tenant_id=record.tenant_id,
        operation_id=operation_id,
        status=status_of(standing),
        policy=policy,
        manifest=manifest_of(context, record).name,
        started_at=started_at,
        finished_at=context.now(),
        counts=count(standing),
        display_name=inventory.display_name or record.display_name,
        initial_domain=inventory.initial_domain or record.initial_domain,
        space=record.space,
        app_id=record.app_id,
        service_principal_id=principal.principal.object_id if principal is not None else None,
        integration=record.integration,
        certificate_not_after=record.certificate.not_after if record.certificate else None,
        scan_finished=integration.scan_finished if integration is not None else None,
        findings=standing,
        found=found,
        changes=changes,
        gaps=gaps_in(standing),
        coverage=coverage(
            observation,
            manifest_of(context, record),
            keyless=record.keyless,
        ),
        unread=[Unread(aspect.value, why.value) for aspect, why in inventory.unread.items()],
        rights_missing=missing,
        failure=failure_of(failure) if failure is not None else refusal_of(missing),
    )


def followed(record: TenantRecord, report: AuditReport) -> TenantRecord:
    """The record with what an audit saw of the tenant: names, a new service principal, scans."""
    learned = {
        "display_name": report.display_name,
        "initial_domain": report.initial_domain,
        "service_principal_id": report.service_principal_id,
        "scanned_at": report.scan_finished,
        "coverage": report.coverage or None,
    }
    return msgspec.structs.replace(
        record, **{name: value for name, value in learned.items() if value is not None}
    )
