"""How far the rotation of a tenant has come, read from and written to its record.

The record moves on only after an edge's work was done and looked at. A process that dies in between
does the work again, which finds it done.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from shared.context import Context
from shared.errors import Refused
from shared.models import CertificateReference, OnboardingOrder, Rotation, TenantRecord
from shared.transitions import RotationEvent, RotationState, next_rotation_state


async def begin(context: Context, order: OnboardingOrder) -> Rotation:
    """The rotation to go on with: the one that stopped halfway, or else a new one."""
    record = await _record(context, order.tenant_id)
    if record.rotation is not None and not record.rotation.state.over:
        return record.rotation
    if record.certificate is None:
        raise _nothing(order.tenant_id)
    rotation = Rotation(
        state=RotationState.BEGUN,
        operation_id=order.operation_id,
        changed_at=context.now(),
        old=record.certificate,
    )
    await context.records.put(msgspec.structs.replace(record, rotation=rotation))
    return rotation


async def read(context: Context, tenant_id: str) -> Rotation:
    """The rotation of a tenant that `begin` was called for."""
    rotation = (await _record(context, tenant_id)).rotation
    if rotation is None:
        raise _nothing(tenant_id)
    return rotation


async def advance(
    context: Context,
    tenant_id: str,
    event: RotationEvent,
    *,
    new: CertificateReference | None = None,
    integration: str | None = None,
    overlap: timedelta | None = None,
    scanned_at: datetime | None = None,
) -> Rotation:
    """Write down that an edge's work was done."""
    record = await _record(context, tenant_id)
    if record.rotation is None:
        raise _nothing(tenant_id)
    now = context.now()
    rotation = msgspec.structs.replace(
        record.rotation,
        state=next_rotation_state(record.rotation.state, event),
        changed_at=now,
        new=new or record.rotation.new,
        overlap_until=now + overlap if overlap is not None else record.rotation.overlap_until,
    )
    handed_over = event is RotationEvent.INTEGRATION_UPDATED
    await context.records.put(
        msgspec.structs.replace(
            record,
            rotation=rotation,
            certificate=rotation.new if handed_over else record.certificate,
            integration=integration or record.integration,
            scanned_at=scanned_at or record.scanned_at,
            updated_at=now,
        )
    )
    return rotation


async def _record(context: Context, tenant_id: str) -> TenantRecord:
    record = await context.records.get(tenant_id)
    if record is None:
        raise _nothing(tenant_id)
    return record


def _nothing(tenant_id: str) -> Refused:
    return Refused(
        "nothing_to_rotate",
        f"there is no record of a certificate of tenant {tenant_id}",
        remediation="Onboard the tenant with POST /api/tenants.",
        tenant_id=tenant_id,
    )
