"""Tenant records in Azure Table Storage.

``tenants`` is one partition with the tenant id as row key, so that a list comes in order and a page
goes on behind a key; the state stands beside the JSON to be filtered by. ``operations`` has a
partition for each tenant; its row key is the start time with every digit turned around (9 minus
it), so that the newest comes first, which is the only order that Table Storage has. ``reports`` is
laid out like it. ``latestreports`` holds the newest report of each tenant once more, laid out like
``tenants``, so that a report on all tenants need not read the history of each.

The JSON is cut into properties, since one holds 32,000 characters at most; an operation that would
be too large even so loses findings, and says so in one more. Tables are made when the first write
finds none: the role that may write entities may make tables too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from shared.azure_failures import AzureService, asking
from shared.azure_transport import client_options
from shared.config import Settings
from shared.models import Finding, Operation, Severity, TenantRecord, tenant_of_operation
from shared.tenants.records import OPERATIONS_KEPT, decode, encode, tenant_of_report
from shared.transitions import TenantState

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.data.tables import TableEntity
    from azure.data.tables.aio import TableClient, TableServiceClient

TENANTS, OPERATIONS, REPORTS, LATEST = "tenants", "operations", "reports", "latestreports"
PIECE = 30_000
"""Characters of JSON in one property; Table Storage takes 32,768 UTF-16 units."""
PIECES = 16
"""Properties for one JSON text: together well below the 1 MiB of an entity, and enough for
`shared.tenants.records.LONGEST_REPORT`."""
DROPPED_AT_ONCE = 50
"""Entities that a write drops at most; more than one only after the number to keep was lowered."""

_TURNED = str.maketrans("0123456789", "9876543210")


class TableRecords:
    """Tenant records at the Table Storage endpoint in the settings."""

    def __init__(self, settings: Settings, credential: Callable[[], AsyncTokenCredential]) -> None:
        self._settings = settings
        self._credential = credential
        self._where = AzureService(
            "records",
            f"Table Storage {settings.tenant_records}",
            "Storage Table Data Contributor",
        )

    async def get(self, tenant_id: str) -> TenantRecord | None:
        """See `TenantRecords`."""
        entity = await self._entity(TENANTS, TENANTS, tenant_id)
        return None if entity is None else decode(_json(entity), TenantRecord, tenant_id)

    async def put(self, record: TenantRecord) -> None:
        """See `TenantRecords`."""
        await self._upsert(
            TENANTS,
            {
                "PartitionKey": TENANTS,
                "RowKey": record.tenant_id,
                "state": record.state.value,
                **_pieces(encode(record)),
            },
        )

    async def page(
        self, *, after: str | None = None, limit: int, state: TenantState | None = None
    ) -> tuple[list[TenantRecord], str | None]:
        """See `TenantRecords`."""
        query, parameters = "PartitionKey eq @partition", {"partition": TENANTS}
        if after is not None:
            query, parameters["after"] = f"{query} and RowKey gt @after", after
        if state is not None:
            query, parameters["state"] = f"{query} and state eq @state", state.value
        found = await self._query(TENANTS, query, parameters, limit + 1)
        records = [
            decode(_json(entity), TenantRecord, str(entity["RowKey"])) for entity in found[:limit]
        ]
        return records, records[-1].tenant_id if len(found) > limit else None

    async def put_operation(self, operation: Operation) -> None:
        """See `TenantRecords`."""
        await self._upsert(
            OPERATIONS,
            {
                "PartitionKey": operation.tenant_id,
                "RowKey": _newest_first(operation.id),
                **_pieces(_fitting(operation)),
            },
        )
        await self._forget_oldest(OPERATIONS, operation.tenant_id, OPERATIONS_KEPT)

    async def get_operation(self, operation_id: str) -> Operation | None:
        """See `TenantRecords`."""
        tenant_id = tenant_of_operation(operation_id)
        if tenant_id is None:
            return None
        entity = await self._entity(OPERATIONS, tenant_id, _newest_first(operation_id))
        return None if entity is None else decode(_json(entity), Operation, operation_id)

    async def operations(self, tenant_id: str, limit: int) -> list[Operation]:
        """See `TenantRecords`."""
        found = await self._query(
            OPERATIONS, "PartitionKey eq @tenant", {"tenant": tenant_id}, limit
        )
        return [
            decode(_json(entity), Operation, f"an operation of {tenant_id}") for entity in found
        ]

    async def put_report(self, operation_id: str, document: str, *, kept: int) -> None:
        """See `TenantRecords`."""
        tenant_id = tenant_of_report(operation_id, document)
        pieces = _pieces(document)
        # The history first: cut off in between, the older report stays the latest until the
        # activity is run again.
        await self._upsert(
            REPORTS,
            {"PartitionKey": tenant_id, "RowKey": _newest_first(operation_id), **pieces},
        )
        await self._upsert(LATEST, {"PartitionKey": LATEST, "RowKey": tenant_id, **pieces})
        await self._forget_oldest(REPORTS, tenant_id, kept)

    async def get_report(self, operation_id: str) -> str | None:
        """See `TenantRecords`."""
        tenant_id = tenant_of_operation(operation_id)
        if tenant_id is None:
            return None
        entity = await self._entity(REPORTS, tenant_id, _newest_first(operation_id))
        return None if entity is None else _json(entity)

    async def reports(self, tenant_id: str, limit: int) -> list[str]:
        """See `TenantRecords`."""
        found = await self._query(REPORTS, "PartitionKey eq @tenant", {"tenant": tenant_id}, limit)
        return [_json(entity) for entity in found]

    async def latest_reports(
        self, *, after: str | None = None, limit: int
    ) -> tuple[list[str], str | None]:
        """See `TenantRecords`."""
        query, parameters = "PartitionKey eq @partition", {"partition": LATEST}
        if after is not None:
            query, parameters["after"] = f"{query} and RowKey gt @after", after
        found = await self._query(LATEST, query, parameters, limit + 1)
        return [_json(entity) for entity in found[:limit]], (
            str(found[limit - 1]["RowKey"]) if len(found) > limit else None
        )

    async def aclose(self) -> None:
        """See `TenantRecords`."""
        if "_service" in self.__dict__:
            await self.__dict__.pop("_service").close()

    async def _entity(self, table: str, partition: str, row: str) -> TableEntity | None:
        from azure.core.exceptions import ResourceNotFoundError

        with asking(self._where, f"read {row} from table {table}"):
            try:
                return await self._table(table).get_entity(partition, row)
            except ResourceNotFoundError:
                return None  # the entity, or the whole table

    async def _upsert(self, table: str, entity: dict[str, Any]) -> None:
        from azure.core.exceptions import ResourceNotFoundError
        from azure.data.tables import UpdateMode

        with asking(self._where, f"write {entity['RowKey']} to table {table}"):
            try:
                await self._table(table).upsert_entity(entity, mode=UpdateMode.REPLACE)
            except ResourceNotFoundError:  # the table: an upsert makes the entity
                await self._service.create_table_if_not_exists(table)
                await self._table(table).upsert_entity(entity, mode=UpdateMode.REPLACE)

    async def _query(
        self,
        table: str,
        query: str,
        parameters: dict[str, str],
        limit: int,
        select: list[str] | None = None,
    ) -> list[TableEntity]:
        """The first ``limit`` entities; the service may spread them over any number of pages."""
        from azure.core.exceptions import ResourceNotFoundError

        found: list[TableEntity] = []
        with asking(self._where, f"list table {table}"):
            try:
                async for entity in self._table(table).query_entities(
                    query, parameters=parameters, select=select, results_per_page=min(limit, 1000)
                ):
                    found.append(entity)
                    if len(found) == limit:
                        break
            except ResourceNotFoundError:
                return []  # no table yet: nothing was ever written
        return found

    async def _forget_oldest(self, table: str, tenant_id: str, kept: int) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        listed = await self._query(
            table,
            "PartitionKey eq @tenant",
            {"tenant": tenant_id},
            kept + DROPPED_AT_ONCE,
            select=["PartitionKey", "RowKey"],
        )
        for entity in listed[kept:]:
            with asking(self._where, f"drop {entity['RowKey']} from table {table}"):
                try:
                    await self._table(table).delete_entity(tenant_id, entity["RowKey"])
                except ResourceNotFoundError:
                    continue

    def _table(self, name: str) -> TableClient:
        return self._service.get_table_client(name)

    @cached_property
    def _service(self) -> TableServiceClient:
        # The SDK is imported when the first record is asked for: a matter of cold start.
        from azure.data.tables.aio import TableServiceClient

        return TableServiceClient(
            self._settings.tenant_records,
            credential=self._credential(),
            audience=self._settings.cloud.storage_resource,
            **client_options(self._settings),
        )


def _newest_first(operation_id: str) -> str:
    """The row key of an operation: later starts sort earlier."""
    return re.sub(r"\D", "", operation_id.rpartition(".")[2]).translate(_TURNED)


def _pieces(text: str) -> dict[str, str]:
    return {
        f"json{start // PIECE:02}": text[start : start + PIECE]
        for start in range(0, len(text), PIECE)
    }


def _json(entity: TableEntity) -> str:
    names = sorted(name for name in entity if re.fullmatch(r"json\d\d", name))
    return "".join(entity[name] for name in names)


def _fitting(operation: Operation) -> str:
    """The operation's JSON, with fewer findings where it would not fit."""
    text = encode(operation)
    kept = max((len(step.findings) for step in operation.steps), default=0)
    while len(text) > PIECE * PIECES and kept > 0:
        kept //= 2
        text = encode(
            msgspec.structs.replace(
                operation,
                steps=[
                    msgspec.structs.replace(step, findings=_shortened(step.findings, kept))
                    for step in operation.steps
                ],
            )
        )
    return text


def _shortened(findings: list[Finding], kept: int) -> list[Finding]:
    if len(findings) <= kept:
        return findings
    left_out = Finding(
        code="findings_left_out",
        severity=Severity.INFO,
        subject="record",
        message=f"{len(findings) - kept} more findings were too many to keep",
        remediation="Send the request again to see them all while the operation runs.",
    )
    return [*findings[:kept], left_out]
