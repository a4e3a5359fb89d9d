"""From a request, an event or the daily look to a running rotation."""

from __future__ import annotations

from shared.context import Context
from shared.errors import InvalidRequest, NotFound
from shared.instances import DurableClient, start_operation
from shared.models import (
    OnboardingOrder,
    TenantRecord,
    operation_id,
)
from shared.rotation.due import can_rotate
from shared.rotation.orchestrator import ROTATE, RotationStart, begun
from shared.vault.certificates import is_own


async def start_rotation(context: Context, client: DurableClient, tenant_id: str) -> str:
    """Start the orchestrator for an onboarded tenant; the operation's id.

    Raises:
        NotFound: ``tenant_unknown``.
        InvalidRequest: ``nothing_to_rotate``.
        TenantBusy: an operation is running on the tenant, with its id.
        NotYet: ``not_started``, and as the tenant records.
    """
    record = await context.records.get(tenant_id)
    if record is None:
        raise NotFound(
            "tenant_unknown",
            f"tenant {tenant_id} has not been onboarded from here",
            remediation="Onboard it with POST /api/tenants.",
            field="tenant",
            tenant_id=tenant_id,
        )
    order = order_for(context, record)
    start = RotationStart(
        operation=begun(order, context.now()), order=order, waits=context.settings.waits
    )
    await start_operation(client, ROTATE, tenant_id, start)
    return order.operation_id


def order_for(context: Context, record: TenantRecord) -> OnboardingOrder:
    """What was onboarded, as an order: the steps of an onboarding are used again.

    Raises:
        InvalidRequest: ``nothing_to_rotate``.
    """
    settings, space = context.settings, record.space or context.settings.mondoo_space
    if record.keyless:
        raise InvalidRequest(
            "nothing_to_rotate",
            f"Mondoo signs in to tenant {record.tenant_id} without a certificate",
            remediation="Nothing needs to be done: nothing of it expires.",
            field="tenant",
            tenant_id=record.tenant_id,
        )
    if not can_rotate(record) or space is None:
        raise InvalidRequest(
            "nothing_to_rotate",
            f"tenant {record.tenant_id} is {record.state} and has no proven connection",
            remediation="Onboard it with POST /api/tenants; that makes a certificate.",
            field="tenant",
            tenant_id=record.tenant_id,
        )
    name = record.application_name or settings.application_name
    used, ours = record.certificate, settings.key_vault_url
    own = used if used is not None and is_own(used, ours, name, record.tenant_id) else None
    return OnboardingOrder(
        operation_id=operation_id(record.tenant_id, context.now()),
        tenant_id=record.tenant_id,
        space=space,
        manifest=record.manifest or settings.manifest,
        application_name=name,
        policies=list(settings.mondoo_policies),
        adopt=record.app_id,
        certificate=None if own is None else own.name,
        certificate_vault=None if own is None else own.vault,
    )
