"""When a tenant's certificate is to be rotated. Pure: a record and the time in, a reason out.

A certificate is rotated some days before its end, and one that lives only briefly (a tenant's
policy may allow thirty days) in the last third of its life, so that a short life does not mean a
rotation every night. A rotation that stopped halfway is gone on with (unless nothing of it was
done); one whose overlap runs is left alone until it ends. The daily look finds all of these; the
window is far longer than a day.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.models import TenantRecord
from shared.transitions import RotationState, TenantState

_LEAVING = frozenset({TenantState.OFFBOARDED, TenantState.OFFBOARDING_INCOMPLETE})


def can_rotate(record: TenantRecord) -> bool:
    """Whether there is a connection whose certificate can be rotated."""
    return (
        record.state not in _LEAVING
        and record.onboarded_at is not None
        and not record.keyless
        and record.certificate is not None
        and record.integration is not None
    )


def reason_to_rotate(record: TenantRecord, now: datetime, before: timedelta) -> str | None:
    """Why to rotate now; None when there is no reason."""
    certificate, rotation = record.certificate, record.rotation
    if certificate is None or not can_rotate(record):
        return None
    begun = rotation is not None and rotation.state is RotationState.BEGUN
    if rotation is not None and not rotation.state.over and not begun:
        waiting = rotation.overlap_until is not None and now < rotation.overlap_until
        if rotation.state is RotationState.SCANNED and waiting:
            return None
        return f"a rotation stopped when it was {rotation.state}"
    left = certificate.not_after - now
    if left <= min(before, (certificate.not_after - certificate.not_before) / 3):
        return f"the certificate ends at {certificate.not_after:%Y-%m-%d %H:%M} UTC"
    return None
