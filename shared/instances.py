"""Starting operations, finding them again, and stopping them.

One orchestration instance for each tenant (``tenant-<id>``): the durable engine itself keeps a
second operation from starting while one runs. The engine forgets an instance when the next one of
the tenant starts, so ended operations are found in the tenant records.

The input of every orchestrator that runs an operation holds it under ``operation``, as it is before
its first step, so that an operation can be shown from the moment it was accepted.

An operation is stopped by an event that its orchestrator listens for (`shared.operations`), not by
ending its instance: only the orchestrator can stop between two steps and write down what was done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from shared.errors import NotFound, NotYet, OperationEnded, TenantBusy
from shared.models import (
    Operation,
    OperationStatus,
    Outcome,
    cancel_event,
    from_json,
    tenant_of_operation,
    to_json,
)
from shared.tenants.records import TenantRecords

RUNNING = frozenset({"Running", "Pending", "Suspended", "ContinuedAsNew"})
LOST = frozenset({"Failed", "Terminated", "Canceled"})


class DurableClient(Protocol):
    """The part of the durable client that is used here."""

    async def start_new(
        self, orchestration_function_name: str, instance_id: str, client_input: Any
    ) -> str: ...
    async def get_status(self, instance_id: str, *, show_input: bool = False) -> Any: ...
    async def raise_event(
        self, instance_id: str, event_name: str, event_data: Any = None
    ) -> None: ...


def instance_of(tenant_id: str) -> str:
    """The instance id of a tenant's operations."""
    return f"tenant-{tenant_id}"


async def start_operation(
    client: DurableClient, orchestrator: str, tenant_id: str, start: Struct
) -> None:
    """Start an orchestrator on a tenant; ``start`` is its input, with an ``operation``.

    Raises:
        TenantBusy: an operation is running on the tenant, with its id.
        NotYet: ``not_started``, when the durable engine did not take it.
    """

    async def refuse_if_busy() -> None:
        held = await _held(client, tenant_id)
        if held is not None and held.finished_at is None:
            raise TenantBusy(tenant_id, held.id)

    await start_instance(client, orchestrator, instance_of(tenant_id), start, refuse_if_busy)


async def start_instance(
    client: DurableClient,
    orchestrator: str,
    instance_id: str,
    start: Struct,
    refuse_if_busy: Callable[[], Awaitable[None]],
) -> None:
    """Start an orchestrator, unless its instance runs, which ``refuse_if_busy`` tells by raising.

    Raises:
        NotYet: ``not_started``, when the durable engine did not take it.
    """
    await refuse_if_busy()
    try:
        await client.start_new(orchestrator, instance_id, to_json(start))
    except Exception as error:  # the durable client raises nothing more specific
        # Another request may have been faster; the engine then refuses ours.
        await refuse_if_busy()
        raise NotYet(
            "not_started",
            f"the durable engine did not take instance {instance_id}",
            remediation="Send the request again; if it persists, look at the function app's log.",
        ) from error


def runtime_of(status: Any) -> str | None:
    """The engine's word for the state of an instance; None where there is none."""
    runtime = getattr(status, "runtime_status", None)
    return None if runtime is None else str(getattr(runtime, "name", runtime))


def input_of(status: Any) -> Any:
    """The input of an instance as JSON values: the engine hands it back as text or decoded."""
    value = status.input_
    return msgspec.json.decode(value) if isinstance(value, str) else value


async def find_operation(
    client: DurableClient, records: TenantRecords, identifier: str
) -> Operation | None:
    """An operation by its id: the one the engine holds, or else an ended one from the records."""
    tenant_id = tenant_of_operation(identifier)
    if tenant_id is None:
        return None
    held = await _held(client, tenant_id)
    if held is not None and held.id == identifier:
        return held
    return await records.get_operation(identifier)


async def cancel_operation(
    client: DurableClient, records: TenantRecords, identifier: str
) -> Operation:
    """Ask an operation to stop; it is still running when this returns. Asking again does no harm.

    Raises:
        NotFound: ``operation_unknown``.
        OperationEnded: there is nothing to stop.
        NotYet: ``not_cancelled``, when the durable engine did not take the request.
    """
    operation = await running_operation(client, records, identifier)
    if operation.cancel_requested_at is not None:
        return operation
    try:
        await client.raise_event(instance_of(operation.tenant_id), cancel_event(identifier))
    except Exception as error:  # the durable client raises nothing more specific
        # It may have ended in between; the engine then refuses the event.
        await running_operation(client, records, identifier)
        raise NotYet(
            "not_cancelled",
            f"the durable engine did not take the request to stop operation {identifier}",
            remediation="Send the request again; if it persists, look at the function app's log.",
            tenant_id=operation.tenant_id,
        ) from error
    return operation


async def running_operation(
    client: DurableClient, records: TenantRecords, identifier: str
) -> Operation:
    """An operation by its id, if it has not ended.

    Raises:
        NotFound: ``operation_unknown``.
        OperationEnded: it has.
    """
    operation = await find_operation(client, records, identifier)
    if operation is None:
        raise operation_unknown(identifier)
    if operation.finished_at is not None:
        raise OperationEnded(operation.tenant_id, operation.id, operation.status.value)
    return operation


def operation_unknown(identifier: str) -> NotFound:
    """The error for an id that no operation has."""
    return NotFound(
        "operation_unknown",
        f"there is no operation {identifier[:100]!r}",
        remediation="Use the link of the answer that started it.",
        field="id",
    )


async def newest_operation(
    client: DurableClient, records: TenantRecords, tenant_id: str, recorded: str | None
) -> Operation | None:
    """The newest operation of a tenant: the one the engine holds, or else the ``recorded`` one."""
    held = await _held(client, tenant_id)
    if held is not None or recorded is None:
        return held
    return await records.get_operation(recorded)


async def newest_operations(
    client: DurableClient, records: TenantRecords, tenant_ids: Iterable[str]
) -> list[Operation]:
    """The newest operation of each of these tenants that has one."""

    async def newest(tenant_id: str) -> Operation | None:
        held = await _held(client, tenant_id)
        if held is not None:
            return held
        record = await records.get(tenant_id)
        return None if record is None else await records.get_operation(record.operation_id)

    found = await asyncio.gather(*(newest(tenant_id) for tenant_id in dict.fromkeys(tenant_ids)))
    return [operation for operation in found if operation is not None]


async def _held(client: DurableClient, tenant_id: str) -> Operation | None:
    """The operation of the tenant's instance; with an end where the instance ended without one."""
    status = await client.get_status(instance_of(tenant_id), show_input=True)
    name = runtime_of(status)
    if name is None:
        return None
    if name not in RUNNING | LOST:
        return from_json(status.output, Operation)
    if status.custom_status:
        operation = from_json(status.custom_status, Operation)
    else:
        operation = from_json(input_of(status)["operation"], Operation)
    if name in RUNNING:
        operation.finished_at = None
    else:
        _end(operation, status.last_updated_time, name.lower())
    return operation


def _end(operation: Operation, at: Any, how: str) -> None:
    operation.status = OperationStatus.FAILED
    operation.finished_at = at
    for step in operation.steps:
        if step.outcome is None and step.started_at is not None:
            step.outcome = Outcome.UNKNOWN
            step.code = "operation_lost"
            step.message = f"the operation ended in this step ({how})"
            step.remediation = "Send the request again: it goes on where this one stopped."
