"""What only the SQLite file has: other processes, and files that cannot be used."""

from __future__ import annotations

import multiprocessing
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.errors import NotYet, Refused
from shared.models import TenantRecord
from shared.tenants import sqlite
from shared.tenants.sqlite import SqliteRecords
from shared.transitions import TenantState

EACH = 20


def record(tenant_id: str) -> TenantRecord:
    return TenantRecord(
        tenant_id=tenant_id,
        state=TenantState.ONBOARDED,
        operation_id="o",
        updated_at=datetime(2026, 11, 24, tzinfo=UTC),
    )


def write_some(path: str, who: int) -> None:
    """The work of another process."""
    import asyncio

    async def write() -> None:
        store = SqliteRecords(path)
        for number in range(EACH):
            await store.put(record(f"{who}-{number:02}"))

    asyncio.run(write())


async def test_several_processes_may_write_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "tenants.db")
    spawning = multiprocessing.get_context("spawn")
    others = [spawning.Process(target=write_some, args=(path, who)) for who in (1, 2)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert [other.exitcode for other in others] == [0, 0]
    page, _ = await SqliteRecords(path).page(limit=100)
    assert len(page) == 2 * EACH


async def test_a_second_store_sees_what_the_first_wrote(tmp_path: Path) -> None:
    path = str(tmp_path / "tenants.db")
    await SqliteRecords(path).put(record("a"))
    assert await SqliteRecords(path).get("a") == record("a")


async def test_readers_go_on_while_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "tenants.db"
    store = SqliteRecords(str(path))
    await store.put(record("a"))
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("begin immediate")
        assert await store.get("a") == record("a")
        writer.rollback()


async def test_a_writer_that_never_ends_makes_us_wait_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WAIT_SECONDS", 0.05)
    path = tmp_path / "tenants.db"
    store = SqliteRecords(str(path))
    await store.put(record("a"))
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("begin immediate")
        with pytest.raises(NotYet) as caught:
            await store.put(record("b"))
        writer.rollback()
    assert caught.value.code == "records_busy"


async def test_a_path_that_cannot_be_written_is_refused_and_named(tmp_path: Path) -> None:
    store = SqliteRecords(str(tmp_path / "no" / "such" / "folder.db"))
    with pytest.raises(Refused) as caught:
        await store.get("a")
    assert caught.value.code == "records_refused"
    assert "TENANT_RECORDS" in caught.value.remediation


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tenants.db"
    path.write_text("this is not a database, it is a sentence " * 100)
    with pytest.raises(Refused) as caught:
        await SqliteRecords(str(path)).put(record("a"))
    assert caught.value.code == "records_refused"


async def test_a_record_that_cannot_be_read_is_refused_and_not_none(tmp_path: Path) -> None:
    path = tmp_path / "tenants.db"
    store = SqliteRecords(str(path))
    await store.put(record("a"))
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("update tenants set record = '{\"tenantId\": 5}'")
    with pytest.raises(Refused) as caught:
        await store.get("a")
    assert caught.value.code == "records_unreadable"
    assert "a" in caught.value.message
