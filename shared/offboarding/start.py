"""From a request to a running offboarding."""

from __future__ import annotations

from shared.context import Context
from shared.errors import NotFound
from shared.instances import DurableClient, newest_operation, start_operation
from shared.models import TenantRecord, operation_id
from shared.offboarding.calls import OffboardingOrder, OffboardingStart
from shared.offboarding.orchestrator import OFFBOARD, begun
from shared.vault.certificates import certificate_name


async def start_offboarding(
    context: Context, client: DurableClient, tenant_id: str, *, purge: bool
) -> OffboardingOrder:
    """Start the orchestrator for a tenant that we have a record or an operation of.

    Raises:
        NotFound: ``tenant_unknown``.
        TenantBusy: an operation is running on the tenant, with its id.
        NotYet: ``not_started``, and as the tenant records.
    """
    record = await context.records.get(tenant_id)
    if record is None and await newest_operation(client, context.records, tenant_id, None) is None:
        raise NotFound(
            "tenant_unknown",
            f"tenant {tenant_id} has not been onboarded from here",
            remediation="Check the tenant; GET /api/tenants lists those that are known.",
            field="tenant",
            tenant_id=tenant_id,
        )
    order = order_for(context, tenant_id, record, purge=purge)
    start = OffboardingStart(
        operation=begun(order, context.now()), order=order, waits=context.settings.waits
    )
    await start_operation(client, OFFBOARD, tenant_id, start)
    return order


def order_for(
    context: Context, tenant_id: str, record: TenantRecord | None, *, purge: bool
) -> OffboardingOrder:
    """What is to be offboarded, from the record or else from the settings."""
    settings = context.settings
    known = record.application_name if record is not None else None
    name = known or settings.application_name
    certificate = record.certificate if record is not None else None
    return OffboardingOrder(
        operation_id=operation_id(tenant_id, context.now()),
        tenant_id=tenant_id,
        application_name=name,
        certificate=certificate.name if certificate else certificate_name(name, tenant_id),
        purge=purge,
        space=(record.space if record is not None else None) or settings.mondoo_space,
        app_id=record.app_id if record is not None else None,
        application_object_id=record.application_object_id if record is not None else None,
        service_principal_id=record.service_principal_id if record is not None else None,
        integration=record.integration if record is not None else None,
    )
