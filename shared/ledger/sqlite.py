"""The ledger in a SQLite file, in a table of its own beside the tenant records.

A connection lives for one call and calls run off the event loop, as in `shared.tenants.sqlite`. A
version is a number that grows with every write to the file, so that an entry that was removed and
added again is not taken for the old one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TypeVar

from shared.errors import NotYet, Refused
from shared.ledger.entries import Entry

WAIT_SECONDS = 10.0
"""How long a call waits for a writer in another process."""

_SCHEMA = """
create table if not exists ledger_version (number integer not null);
insert into ledger_version select 0 where not exists (select 1 from ledger_version);
create table if not exists ledger (
    shelf text not null, key text not null, version integer not null, text text not null,
    primary key (shelf, key)
) without rowid;
"""

T = TypeVar("T")


class SqliteLedger:
    """The ledger in the file ``path``, which is made when it is first written or read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._prepared = False

    async def read(self, shelf: str, key: str) -> Entry | None:
        """See `Ledger`."""
        found = await self._select("where shelf = ? and key = ?", shelf, key)
        return found[0] if found else None

    async def add(self, shelf: str, key: str, text: str) -> bool:
        """See `Ledger`."""
        return await self._call(lambda connection: _insert(connection, shelf, {key: text}) == 1)

    async def add_all(self, shelf: str, texts: Mapping[str, str]) -> None:
        """See `Ledger`; here it is all or nothing."""
        await self._call(lambda connection: _insert(connection, shelf, texts))

    async def replace(self, entry: Entry, text: str) -> Entry | None:
        """See `Ledger`."""

        def write(connection: sqlite3.Connection) -> Entry | None:
            version = _next_version(connection)
            changed = connection.execute(
                "update ledger set text = ?, version = ? where shelf = ? and key = ?"
                " and version = ?",
                (text, version, entry.shelf, entry.key, int(entry.version)),
            ).rowcount
            return Entry(entry.shelf, entry.key, text, str(version)) if changed else None

        return await self._call(write)

    async def remove(self, entry: Entry) -> bool:
        """See `Ledger`."""

        def write(connection: sqlite3.Connection) -> bool:
            removed = connection.execute(
                "delete from ledger where shelf = ? and key = ? and version = ?",
                (entry.shelf, entry.key, int(entry.version)),
            ).rowcount
            return removed == 1

        return await self._call(write)

    async def entries(self, shelf: str) -> list[Entry]:
        """See `Ledger`."""
        return await self._select("where shelf = ? order by key", shelf)

    async def aclose(self) -> None:
        """See `Ledger`; nothing is open between calls."""

    async def _select(self, condition: str, *values: str) -> list[Entry]:
        query = f"select shelf, key, text, version from ledger {condition}"  # noqa: S608 - ours

        def read(connection: sqlite3.Connection) -> list[Entry]:
            rows = connection.execute(query, values)
            return [Entry(shelf, key, text, str(version)) for shelf, key, text, version in rows]

        return await self._call(read)

    async def _call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            with self._connection() as connection, connection:  # the inner one: a transaction
                return work(connection)

        return await asyncio.to_thread(run)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=WAIT_SECONDS)) as connection:
                if not self._prepared:
                    connection.execute("pragma journal_mode = wal")
                    connection.executescript(_SCHEMA)
                    self._prepared = True
                yield connection
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise NotYet(
                    "ledger_busy",
                    f"another process has been writing to {self._path} for long",
                    remediation="Send the request again; stop the process that holds the file.",
                ) from error
            raise Refused(
                "ledger_refused",
                f"the file {self._path} cannot be used: {error}",
                remediation="Check the path in TENANT_RECORDS, its rights and the disk's space.",
            ) from error


def _next_version(connection: sqlite3.Connection) -> int:
    row = connection.execute("update ledger_version set number = number + 1 returning number")
    return int(row.fetchone()[0])


def _insert(connection: sqlite3.Connection, shelf: str, texts: Mapping[str, str]) -> int:
    version = _next_version(connection)
    return connection.executemany(
        "insert or ignore into ledger (shelf, key, version, text) values (?, ?, ?, ?)",
        [(shelf, key, version, text) for key, text in texts.items()],
    ).rowcount
