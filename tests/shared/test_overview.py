"""How all tenants stand: who is counted, who is named, and in which order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared import overview as module
from shared.models import (
    CertificateReference,
    Counts,
    Operation,
    OperationKind,
    OperationStatus,
    Outcome,
    Rotation,
    Step,
    TenantRecord,
    operation_id,
)
from shared.overview import overview, reasons_of
from shared.tenants.sqlite import SqliteRecords
from shared.transitions import RotationState, TenantState

NOW = datetime(2026, 9, 10, 8, tzinfo=UTC)


def tenant(number: int) -> str:
    return f"8a1f0c4e-5f0b-4b9a-8d6b-{number:012x}"


def certificate(days: float) -> CertificateReference:
    return CertificateReference("v", "n", "1", "AB", NOW, NOW + timedelta(days=days))


def record(
    number: int = 1, state: TenantState = TenantState.ONBOARDED, **known: Any
) -> TenantRecord:
    usual: dict[str, Any] = {
        "certificate": certificate(200),
        "scanned_at": NOW - timedelta(hours=3),
        "audited_at": NOW - timedelta(hours=3),
        "audit_status": "clean",
        "findings": Counts(),
    }
    return TenantRecord(
        tenant_id=tenant(number),
        state=state,
        operation_id=operation_id(tenant(number), NOW),
        updated_at=NOW,
        **{**usual, **known},
    )


def codes(known: TenantRecord) -> list[str]:
    return [reason.code for reason in reasons_of(known, NOW)]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, []),
        ({"certificate": certificate(15)}, []),
        ({"certificate": certificate(13)}, ["certificate-ends"]),
        ({"certificate": certificate(-1)}, ["certificate-ended"]),
        ({"audit_status": "failed", "findings": None}, ["audit-failed"]),
        ({"findings": Counts(high=2, low=1)}, ["findings-high"]),
        ({"findings": Counts(medium=2, low=1)}, []),
        ({"scanned_at": NOW - timedelta(days=8)}, ["proof-old"]),
        ({"scanned_at": None}, []),
        ({"state": TenantState.WAITING}, ["waiting"]),
        ({"state": TenantState.CANCELLED}, ["cancelled"]),
        (
            {"state": TenantState.WAITING, "onboarded_at": NOW, "certificate": certificate(-1)},
            ["waiting", "certificate-ended"],
        ),
        ({"state": TenantState.OFFBOARDED, "certificate": certificate(-9)}, []),
        ({"state": TenantState.ONBOARDING, "certificate": None}, []),
    ],
)
def test_why_a_tenant_needs_somebody(known: dict[str, Any], expected: list[str]) -> None:
    assert codes(record(**known)) == expected


@pytest.mark.parametrize(
    ("state", "days", "stuck"),
    [
        (RotationState.PROVEN, 3, True),
        (RotationState.PROVEN, 1, False),
        (RotationState.FINISHED, 9, False),
    ],
)
def test_a_rotation_that_does_not_come_on_needs_somebody(
    state: RotationState, days: int, stuck: bool
) -> None:
    rotation = Rotation(state, "an operation", NOW - timedelta(days=days), certificate(100))
    assert codes(record(rotation=rotation)) == (["rotation-stopped"] if stuck else [])


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[SqliteRecords]:
    store = SqliteRecords(str(tmp_path / "records.db"))
    yield store
    await store.aclose()


async def test_all_are_counted_over_every_page(
    records: SqliteRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    await records.put(record(1, findings=Counts(high=1, medium=2)))
    await records.put(record(2, findings=Counts(medium=1, low=3)))
    await records.put(record(3, certificate=certificate(3)))
    await records.put(record(4, audited_at=None, audit_status=None, findings=None))
    await records.put(record(5, TenantState.ONBOARDING))
    await records.put(record(6, TenantState.FAILED, certificate=None))
    seen = await overview(records, NOW)
    assert seen.tenants == 6
    assert seen.states == {"onboarded": 4, "onboarding": 1, "failed": 1}
    assert seen.findings == Counts(high=1, medium=3, low=3)
    assert (seen.not_audited, seen.certificates_ending, seen.needing) == (1, 1, 3)
    assert seen.onboarding == [tenant(5)]


async def test_the_gravest_come_first_and_too_many_are_only_counted(
    records: SqliteRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NAMED", 3)
    await records.put(record(1, TenantState.CANCELLED))
    await records.put(record(2, findings=Counts(high=1), certificate=certificate(-1)))
    await records.put(record(3, TenantState.FAILED))
    await records.put(record(4, TenantState.WAITING))
    seen = await overview(records, NOW)
    assert [one.tenant.tenant_id for one in seen.named] == [tenant(2), tenant(3), tenant(1)]
    assert [reason.code for reason in seen.named[0].reasons] == [
        "certificate-ended",
        "findings-high",
    ]
    assert seen.needing == 4


async def test_a_tenant_is_named_with_the_operation_that_went_wrong_though_others_ran_since(
    records: SqliteRecords,
) -> None:
    def ran(kind: OperationKind, status: OperationStatus, minutes: int) -> Operation:
        began = NOW + timedelta(minutes=minutes)
        step = Step(name="a-step", outcome=Outcome.FAILED, code="why", remediation="Mend it.")
        return Operation(operation_id(tenant(1), began), kind, tenant(1), status, began, [step])

    await records.put(record(1, TenantState.FAILED))
    failed = ran(OperationKind.ONBOARD, OperationStatus.FAILED, 1)
    await records.put_operation(ran(OperationKind.ONBOARD, OperationStatus.SUCCEEDED, 0))
    await records.put_operation(failed)
    await records.put_operation(ran(OperationKind.AUDIT, OperationStatus.SUCCEEDED, 2))
    (one,) = (await overview(records, NOW)).named
    assert one.operation == failed


async def test_what_is_long_is_left_out_of_a_record(records: SqliteRecords) -> None:
    from shared.models import Receipt

    receipt = Receipt("an operation", tenant(1), NOW, purged=False, complete=False, entries=[])
    await records.put(record(1, TenantState.OFFBOARDING_INCOMPLETE, receipt=receipt))
    (one,) = (await overview(records, NOW)).named
    assert one.tenant.receipt is None
