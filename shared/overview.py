"""How all tenants stand, in one look: counted, and those named that need somebody, gravest first.

It is made of the tenant records alone, which are small, so that thousands of them take a second or
two. Only for the gravest is the operation read that says what went wrong and what to do.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from shared.models import Counts, Operation, OperationKind, OperationStatus, TenantRecord
from shared.tenants.records import TenantRecords
from shared.transitions import TenantState

PAGE = 500
NAMED = 100
"""Tenants that need somebody and are named; the others are counted."""
EXPLAINED = 25
"""Of these, the first ones are named with what went wrong."""
LOOKED_AT = 20
"""Operations of a tenant among which the one that went wrong is looked for."""

CERTIFICATE_SOON = timedelta(days=14)
"""Before its end; a rotation that worked would have renewed it well before."""
PROOF_OLD = timedelta(days=7)
"""Since the newest scan that is known."""
STUCK = timedelta(days=2)
"""Since a rotation last came on; every night it is tried again."""

_STATES = {
    TenantState.FAILED: "the onboarding failed",
    TenantState.OFFBOARDING_INCOMPLETE: "something of ours may still be there",
    TenantState.REFUSED: "the onboarding was refused before anything was changed",
    TenantState.WAITING: "the onboarding waited too long; it can be sent again",
    TenantState.CANCELLED: "the onboarding was cancelled",
}


_KINDS = {
    **dict.fromkeys((state.value for state in _STATES), OperationKind.ONBOARD),
    TenantState.OFFBOARDING_INCOMPLETE.value: OperationKind.OFFBOARD,
    "audit-failed": OperationKind.AUDIT,
    "certificate-ended": OperationKind.ROTATE,
    "certificate-ends": OperationKind.ROTATE,
    "rotation-stopped": OperationKind.ROTATE,
}


class Reason(Struct, frozen=True, rename="camel"):
    """Why a tenant needs somebody; ``weight`` puts the gravest first."""

    code: str
    message: str
    weight: int


class NeedsSomebody(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A tenant and why, gravest reason first; ``operation`` is the one that went wrong."""

    tenant: TenantRecord
    reasons: list[Reason]
    operation: Operation | None = None


class Overview(Struct, frozen=True, rename="camel"):
    """All tenants. ``findings`` are those of the newest audits; ``not_audited`` and
    ``certificates_ending`` count onboarded tenants; ``onboarding`` are the ids of tenants whose
    onboarding runs; ``needing`` counts also those that are not named."""

    created_at: datetime
    tenants: int
    states: dict[str, int]
    findings: Counts
    not_audited: int
    certificates_ending: int
    needing: int
    named: list[NeedsSomebody]
    onboarding: list[str]


async def overview(records: TenantRecords, now: datetime) -> Overview:
    """How all tenants stand.

    Raises:
        NotYet, Refused: the records cannot be read.
    """
    states: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    not_audited = ending = 0
    needing: list[NeedsSomebody] = []
    onboarding: list[str] = []
    after: str | None = None
    while True:
        page, after = await records.page(after=after, limit=PAGE)
        for record in page:
            states[record.state.value] += 1
            if record.state is TenantState.ONBOARDING:
                onboarding.append(record.tenant_id)
            if record.state is TenantState.ONBOARDED:
                not_audited += record.audited_at is None
                ending += _certificate(record, now) is not None
            if record.findings is not None:
                for severity in Counts.__struct_fields__:
                    findings[severity] += getattr(record.findings, severity)
            reasons = sorted(reasons_of(record, now), key=lambda reason: -reason.weight)
            if reasons:
                # What became of each object is long; it is asked for with the tenant.
                needing.append(NeedsSomebody(replace(record, receipt=None, coverage=[]), reasons))
        if after is None:
            break
    needing.sort(key=lambda one: (-one.reasons[0].weight, one.tenant.tenant_id))
    named = needing[:NAMED]
    explained = await asyncio.gather(*(_explained(records, one) for one in named[:EXPLAINED]))
    return Overview(
        created_at=now,
        tenants=states.total(),
        states=dict(states),
        findings=Counts(**findings),
        not_audited=not_audited,
        certificates_ending=ending,
        needing=len(needing),
        named=[*explained, *named[EXPLAINED:]],
        onboarding=onboarding[:NAMED],
    )


async def _explained(records: TenantRecords, one: NeedsSomebody) -> NeedsSomebody:
    """With the newest operation of the kind that its gravest reason speaks of, if that failed."""
    kind = _KINDS.get(one.reasons[0].code)
    if kind is None:
        return one
    for operation in await records.operations(one.tenant.tenant_id, LOOKED_AT):
        if operation.kind is kind:
            wrong = operation.status is not OperationStatus.SUCCEEDED
            return replace(one, operation=operation) if wrong else one
    return one


def reasons_of(record: TenantRecord, now: datetime) -> Iterator[Reason]:
    """Why a tenant needs somebody; nothing for one that is well."""
    if record.state in _STATES:
        weight = {TenantState.FAILED: 90, TenantState.OFFBOARDING_INCOMPLETE: 60}
        yield Reason(record.state.value, _STATES[record.state], weight.get(record.state, 50))
    proven = record.state is TenantState.ONBOARDED or record.onboarded_at is not None
    if record.state is TenantState.OFFBOARDED or not proven:
        return
    # Whatever became of its newest onboarding, what was proven once goes on, or does not.
    certificate = _certificate(record, now)
    if certificate is not None:
        yield certificate
    if record.audit_status == "failed":
        yield Reason("audit-failed", "its newest audit could not read it", 80)
    high = record.findings.high if record.findings is not None else 0
    if high:
        yield Reason(
            "findings-high", f"{high} finding{'s' if high > 1 else ''} of high severity", 70
        )
    if _stuck(record, now):
        yield Reason("rotation-stopped", "the rotation of its certificate stopped halfway", 65)
    if record.scanned_at is not None and now - record.scanned_at > PROOF_OLD:
        yield Reason(
            "proof-old", f"not known to be scanned for {(now - record.scanned_at).days} days", 40
        )


def _stuck(record: TenantRecord, now: datetime) -> bool:
    """Whether a rotation has not come on for longer than any overlap and night."""
    rotation = record.rotation
    if rotation is None or rotation.state.over:
        return False
    return now - max(rotation.changed_at, rotation.overlap_until or rotation.changed_at) > STUCK


def _certificate(record: TenantRecord, now: datetime) -> Reason | None:
    if record.certificate is None or record.certificate.not_after - now > CERTIFICATE_SOON:
        return None
    left = (record.certificate.not_after - now).days
    if record.certificate.not_after <= now:
        return Reason("certificate-ended", "its certificate has ended", 100)
    return Reason("certificate-ends", f"its certificate ends in {left} days", 75)
