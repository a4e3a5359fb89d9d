"""When a certificate is rotated: the decision around the edges of its window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from shared.models import CertificateReference, Rotation, TenantRecord
from shared.rotation.due import reason_to_rotate
from shared.transitions import RotationState, TenantState

NOW = datetime(2026, 9, 10, 2, 41, tzinfo=UTC)
BEFORE = timedelta(days=30)
MINUTE = timedelta(minutes=1)


def certificate(*, lives: timedelta, left: timedelta) -> CertificateReference:
    return CertificateReference(
        vault="https://vault.example",
        name="mondoo-ms365-tenant",
        version="1",
        thumbprint="A" * 40,
        not_before=NOW + left - lives,
        not_after=NOW + left,
    )


def record(lives: float = 365, left: timedelta = timedelta(days=200)) -> TenantRecord:
    return TenantRecord(
        tenant_id="8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77",
        state=TenantState.ONBOARDED,
        operation_id="an-operation",
        updated_at=NOW,
        certificate=certificate(lives=timedelta(days=lives), left=left),
        integration="an-integration",
        onboarded_at=NOW - timedelta(days=1),
    )


@pytest.mark.parametrize(
    ("lives", "left", "due"),
    [
        (365, BEFORE + MINUTE, False),
        (365, BEFORE, True),
        (365, timedelta(0), True),
        (365, -timedelta(days=3), True),  # ended while nobody looked
        (29, timedelta(days=29), False),  # case E14: a tenant that allows thirty days
        (30, timedelta(days=10) + MINUTE, False),
        (30, timedelta(days=10), True),
        (70, timedelta(hours=3), True),  # case D18: three hours are no window
    ],
)
def test_a_certificate_is_due_in_its_window(lives: float, left: timedelta, due: bool) -> None:
    assert (reason_to_rotate(record(lives, left), NOW, BEFORE) is not None) is due


def rotation(state: RotationState, overlap: timedelta | None = None) -> Rotation:
    old = certificate(lives=timedelta(days=365), left=timedelta(days=20))
    until = None if overlap is None else NOW + overlap
    return Rotation(state, "an-operation", NOW, old, overlap_until=until)


@pytest.mark.parametrize(
    ("state", "overlap", "due"),
    [
        *(
            (state, None, not state.over and state is not RotationState.BEGUN)
            for state in RotationState
        ),
        (RotationState.SCANNED, MINUTE, False),
        (RotationState.SCANNED, -MINUTE, True),
        (RotationState.RETIRED, -MINUTE, True),
    ],
)
def test_a_rotation_that_stopped_is_gone_on_with_unless_its_overlap_runs(
    state: RotationState, overlap: timedelta | None, due: bool
) -> None:
    known = msgspec.structs.replace(record(), rotation=rotation(state, overlap))
    assert (reason_to_rotate(known, NOW, BEFORE) is not None) is due


@pytest.mark.parametrize(
    "changes",
    [
        {"certificate": None},
        {"integration": None},
        {"onboarded_at": None},
        {"state": TenantState.OFFBOARDED},
        {"state": TenantState.OFFBOARDING_INCOMPLETE},
    ],
)
def test_without_a_connection_there_is_nothing_to_rotate(changes: dict[str, object]) -> None:
    ends = record(left=timedelta(days=1))
    assert reason_to_rotate(ends, NOW, BEFORE) is not None
    assert reason_to_rotate(msgspec.structs.replace(ends, **changes), NOW, BEFORE) is None
