"""Tenant records in one SQLite file, for where there is no cloud.

Several processes may use the file at once: write-ahead logging lets readers go on during a write,
and writers wait for each other for some seconds. A connection lives for one call, so no thread
holds on to anything; calls run off the event loop. One more is kept open and does nothing: when the
last one closes, SQLite moves its log into the file, which takes several times as long as a write.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

from shared.errors import NotYet, Refused
from shared.models import Operation, TenantRecord, tenant_of_operation
from shared.tenants.records import OPERATIONS_KEPT, decode, encode, tenant_of_report
from shared.transitions import TenantState

WAIT_SECONDS = 10.0
"""How long a call waits for a writer in another process."""

_SCHEMA = """
create table if not exists tenants (
    tenant_id text primary key, state text not null, record text not null
) without rowid;
create table if not exists operations (
    tenant_id text not null, id text not null, operation text not null,
    primary key (tenant_id, id)
) without rowid;
create table if not exists reports (
    tenant_id text not null, id text not null, report text not null,
    primary key (tenant_id, id)
) without rowid;
"""

T = TypeVar("T")


class SqliteRecords:
    """Tenant records in the file ``path``, which is made when it is first written or read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._preparing = threading.Lock()
        self._close_kept: Callable[[], object] | None = None

    async def get(self, tenant_id: str) -> TenantRecord | None:
        """See `TenantRecords`."""
        rows = await self._rows("select record from tenants where tenant_id = ?", tenant_id)
        return decode(rows[0], TenantRecord, tenant_id) if rows else None

    async def put(self, record: TenantRecord) -> None:
        """See `TenantRecords`."""
        await self._call(
            lambda connection: connection.execute(
                "insert or replace into tenants values (?, ?, ?)",
                (record.tenant_id, record.state, encode(record)),
            )
        )

    async def page(
        self, *, after: str | None = None, limit: int, state: TenantState | None = None
    ) -> tuple[list[TenantRecord], str | None]:
        """See `TenantRecords`."""
        rows = await self._rows(
            "select record from tenants where tenant_id > ?1 and (?2 is null or state = ?2)"
            " order by tenant_id limit ?3",
            after or "",
            state,
            limit + 1,
        )
        records = [decode(row, TenantRecord, "a tenant") for row in rows[:limit]]
        return records, records[-1].tenant_id if len(rows) > limit else None

    async def put_operation(self, operation: Operation) -> None:
        """See `TenantRecords`."""

        await self._put_newest(
            "operations", operation.tenant_id, operation.id, encode(operation), OPERATIONS_KEPT
        )

    async def get_operation(self, operation_id: str) -> Operation | None:
        """See `TenantRecords`."""
        rows = await self._rows(
            "select operation from operations where tenant_id = ? and id = ?",
            tenant_of_operation(operation_id) or "",
            operation_id,
        )
        return decode(rows[0], Operation, operation_id) if rows else None

    async def operations(self, tenant_id: str, limit: int) -> list[Operation]:
        """See `TenantRecords`."""
        # The id ends in the start time, so that its order is the order in time.
        rows = await self._rows(
            "select operation from operations where tenant_id = ? order by id desc limit ?",
            tenant_id,
            limit,
        )
        return [decode(row, Operation, f"an operation of {tenant_id}") for row in rows]

    async def put_report(self, operation_id: str, document: str, *, kept: int) -> None:
        """See `TenantRecords`."""
        tenant_id = tenant_of_report(operation_id, document)
        await self._put_newest("reports", tenant_id, operation_id, document, kept)

    async def get_report(self, operation_id: str) -> str | None:
        """See `TenantRecords`."""
        rows = await self._rows(
            "select report from reports where tenant_id = ? and id = ?",
            tenant_of_operation(operation_id) or "",
            operation_id,
        )
        return rows[0] if rows else None

    async def reports(self, tenant_id: str, limit: int) -> list[str]:
        """See `TenantRecords`."""
        return await self._rows(
            "select report from reports where tenant_id = ? order by id desc limit ?",
            tenant_id,
            limit,
        )

    async def latest_reports(
        self, *, after: str | None = None, limit: int
    ) -> tuple[list[str], str | None]:
        """See `TenantRecords`."""

        def read(connection: sqlite3.Connection) -> list[tuple[str, str]]:
            return connection.execute(
                "select tenant_id, report from reports join"
                " (select tenant_id, max(id) as id from reports where tenant_id > ?"
                " group by tenant_id order by tenant_id limit ?) using (tenant_id, id)"
                " order by tenant_id",
                (after or "", limit + 1),
            ).fetchall()

        rows = await self._call(read)
        return [report for _, report in rows[:limit]], (
            rows[limit - 1][0] if len(rows) > limit else None
        )

    async def aclose(self) -> None:
        """See `TenantRecords`."""
        close, self._close_kept = self._close_kept, None
        if close is not None:
            await asyncio.to_thread(close)

    async def _put_newest(
        self, table: str, tenant_id: str, identifier: str, text: str, kept: int
    ) -> None:
        """Write a row, and drop the tenant's oldest above ``kept``: all of it or nothing."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"insert or replace into {table} values (?, ?, ?)",  # noqa: S608  # a name of ours
                (tenant_id, identifier, text),
            )
            connection.execute(
                f"delete from {table} where tenant_id = ?1 and id not in"  # noqa: S608
                f" (select id from {table} where tenant_id = ?1 order by id desc limit ?2)",
                (tenant_id, kept),
            )

        await self._call(write)

    async def _rows(self, query: str, *values: object) -> list[str]:
        return await self._call(
            lambda connection: [row[0] for row in connection.execute(query, values)]
        )

    async def _call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            with self._connection() as connection, connection:  # the inner one: a transaction
                return work(connection)

        return await asyncio.to_thread(run)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            self._prepare()
            with closing(sqlite3.connect(self._path, timeout=WAIT_SECONDS)) as connection:
                yield connection
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise NotYet(
                    "records_busy",
                    f"another process has been writing to {self._path} for long",
                    remediation="Send the request again; stop the process that holds the file.",
                ) from error
            raise self._refused(error) from error
        except sqlite3.DatabaseError as error:
            raise self._refused(error) from error

    def _prepare(self) -> None:
        """Make the file, if it has to be made, and keep a connection open until we are closed."""
        with self._preparing:
            if self._close_kept is not None:
                return
            kept = sqlite3.connect(self._path, timeout=WAIT_SECONDS, check_same_thread=False)
            try:
                kept.execute("pragma journal_mode = wal")
                kept.executescript(_SCHEMA)
            except BaseException:
                kept.close()
                raise
            # Whoever drops the store without closing it leaves nothing behind either.
            self._close_kept = weakref.finalize(self, kept.close)

    def _refused(self, error: sqlite3.DatabaseError) -> Refused:
        return Refused(
            "records_refused",
            f"the records file {self._path} cannot be used: {error}",
            remediation="Check the path in TENANT_RECORDS, its rights, and the space on the disk.",
        )
