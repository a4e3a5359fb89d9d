"""Start an onboarding, and find an operation again.

One instance for each tenant (``tenant-<id>``): the durable engine itself keeps a second operation
from starting while one runs. The engine forgets an instance when the next one of the tenant starts,
so ended operations are found in the tenant records.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from shared.errors import NotYet, TenantBusy
from shared.models import (
    OnboardingOrder,
    Operation,
    OperationStatus,
    Outcome,
    WaitPolicy,
    from_json,
    tenant_of_operation,
    to_json,
)
from shared.onboarding.orchestrator import ONBOARD, OnboardingStart, begun
from shared.tenants.records import TenantRecords

RUNNING = frozenset({"Running", "Pending", "Suspended", "ContinuedAsNew"})
LOST = frozenset({"Failed", "Terminated", "Canceled"})


class DurableClient(Protocol):
    """The part of the durable client that is used here."""

    async def start_new(
        self, orchestration_function_name: str, instance_id: str, client_input: Any
    ) -> str: ...
    async def get_status(self, instance_id: str, *, show_input: bool = False) -> Any: ...


def instance_of(tenant_id: str) -> str:
    """The instance id of a tenant's operations."""
    return f"tenant-{tenant_id}"


async def start_onboarding(
    client: DurableClient, order: OnboardingOrder, waits: WaitPolicy
) -> None:
    """Start the orchestrator.

    Raises:
        TenantBusy: an operation is running on the tenant, with its id.
        NotYet: ``not_started``, when the durable engine did not take it.
    """
    await _refuse_if_busy(client, order.tenant_id)
    start = to_json(OnboardingStart(order=order, waits=waits))
    try:
        await client.start_new(ONBOARD, instance_of(order.tenant_id), start)
    except Exception as error:  # the durable client raises nothing more specific
        # Another request may have been faster; the engine then refuses ours.
        await _refuse_if_busy(client, order.tenant_id)
        raise NotYet(
            "not_started",
            "the durable engine did not take the operation",
            remediation="Send the request again; if it persists, look at the function app's log.",
            tenant_id=order.tenant_id,
        ) from error


async def _refuse_if_busy(client: DurableClient, tenant_id: str) -> None:
    status = await client.get_status(instance_of(tenant_id), show_input=True)
    if _runtime_status(status) in RUNNING:
        raise TenantBusy(tenant_id, _operation(status).id)


async def find_operation(
    client: DurableClient, records: TenantRecords, identifier: str
) -> Operation | None:
    """An operation by its id: the one the engine holds, or else an ended one from the records."""
    tenant_id = tenant_of_operation(identifier)
    if tenant_id is None:
        return None
    status = await client.get_status(instance_of(tenant_id), show_input=True)
    if _runtime_status(status) is not None:
        operation = _operation(status)
        if operation.id == identifier:
            return operation
    return await records.get_operation(identifier)


async def newest_operation(
    client: DurableClient, records: TenantRecords, tenant_id: str, recorded: str | None
) -> Operation | None:
    """The newest operation of a tenant: the one the engine holds, or else the ``recorded`` one."""
    status = await client.get_status(instance_of(tenant_id), show_input=True)
    if _runtime_status(status) is not None:
        return _operation(status)
    return None if recorded is None else await records.get_operation(recorded)


def _operation(status: Any) -> Operation:
    """The operation that an instance holds, with an end where the instance ended without one."""
    runtime = _runtime_status(status)
    if runtime == "Completed":
        return from_json(status.output, Operation)
    if status.custom_status:
        operation = from_json(status.custom_status, Operation)
    else:
        start = from_json(_plain(status.input_), OnboardingStart)
        operation = begun(start.order, status.created_time)
    if runtime in LOST:
        operation.status = OperationStatus.FAILED
        operation.finished_at = status.last_updated_time
        for step in operation.steps:
            if step.outcome is None and step.started_at is not None:
                step.outcome = Outcome.UNKNOWN
                step.code = "operation_lost"
                step.message = f"the operation ended in this step ({runtime.lower()})"
                step.remediation = "Send the request again: it goes on where this one stopped."
    return operation


def _runtime_status(status: Any) -> str | None:
    runtime = getattr(status, "runtime_status", None)
    return None if runtime is None else str(getattr(runtime, "name", runtime))


def _plain(value: Any) -> Any:
    """The input as JSON values: the engine hands it back as text or decoded."""
    return msgspec.json.decode(value) if isinstance(value, str) else value
