"""From a request to a running offboarding."""

from __future__ import annotations

import msgspec

from shared.context import Context
from shared.errors import NotFound
from shared.instances import DurableClient, newest_operation, start_operation
from shared.models import ObjectKind, TenantRecord, operation_id
from shared.offboarding.calls import OffboardingOrder, OffboardingStart
from shared.offboarding.orchestrator import OFFBOARD, begun
from shared.vault.certificates import certificate_name, is_own


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
    space = record.space if record is not None else None
    name = record.application_name if record is not None else None
    name = name or settings.application_name
    order = OffboardingOrder(
        operation_id=operation_id(tenant_id, context.now()),
        tenant_id=tenant_id,
        application_name=name,
        certificate=certificate_name(name, tenant_id),
        purge=purge,
        space=space or settings.mondoo_space,
    )
    if record is None:
        return order
    used = record.certificate
    own = used if used and is_own(used, settings.key_vault_url, name, tenant_id) else None
    return msgspec.structs.replace(
        order,
        own_certificate=own.name if own is not None else None,
        app_id=record.app_id,
        application_object_id=record.application_object_id
        or _receipted(record, ObjectKind.APPLICATION),
        service_principal_id=record.service_principal_id
        or _receipted(record, ObjectKind.SERVICE_PRINCIPAL),
        integration=record.integration,
        azure_integration=record.azure_integration,
        azure=record.subscriptions is not None or record.azure_integration is not None,
        reader_scopes=record.reader_scopes,
    )


def _receipted(record: TenantRecord, kind: ObjectKind) -> str | None:
    """The id of what an earlier offboarding removed, to look whether it is still gone."""
    entries = record.receipt.entries if record.receipt is not None else []
    return next((entry.id for entry in entries if entry.kind is kind), None)
