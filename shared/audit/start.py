"""Start the audit of one tenant."""

from __future__ import annotations

from datetime import datetime

from shared.audit.operation import AuditOrder
from shared.audit.orchestrator import AUDIT, AuditStart, begun
from shared.instances import DurableClient, start_operation
from shared.models import RepairPolicy, TenantRecord, WaitPolicy, operation_id


async def start_audit(
    client: DurableClient,
    record: TenantRecord,
    waits: WaitPolicy,
    now: datetime,
    *,
    policy: RepairPolicy | None = None,
    rehearse: bool = False,
    manifest: str | None = None,
) -> AuditOrder:
    """Start the orchestrator; by the tenant's own policy unless another is given.

    Raises:
        TenantBusy: an operation is running on the tenant, with its id.
        NotYet: ``not_started``, when the durable engine did not take it.
    """
    order = AuditOrder(
        operation_id=operation_id(record.tenant_id, now),
        tenant_id=record.tenant_id,
        policy=record.repair if policy is None else policy,
        rehearse=rehearse,
        manifest=manifest,
    )
    start = AuditStart(operation=begun(order, now), order=order, waits=waits)
    await start_operation(client, AUDIT, record.tenant_id, start)
    return order
