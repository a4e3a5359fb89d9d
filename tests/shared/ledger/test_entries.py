"""The contract of the ledger, kept by both stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from local.simulators import Simulators
from shared.config import Settings
from shared.entra.identity import Identity
from shared.ledger.entries import Ledger
from shared.ledger.sqlite import SqliteLedger
from shared.ledger.stores import open_ledger
from shared.ledger.table import PIECE, TableLedger


@pytest.fixture(params=["sqlite", "table"])
async def ledger(
    request: pytest.FixtureRequest,
    settings: Settings,
    identity: Identity,
    simulators: Simulators,
    tmp_path: Path,
) -> AsyncIterator[Ledger]:
    if request.param == "sqlite":
        settings = replace(settings, tenant_records=f"sqlite:{tmp_path / 'records.db'}")
    else:
        simulators.run(simulators.tables.tables.clear)
    opened = open_ledger(settings, identity.own_credential)
    assert isinstance(opened, SqliteLedger if request.param == "sqlite" else TableLedger)
    yield opened
    await opened.aclose()


async def test_what_was_never_written_is_not_there(ledger: Ledger) -> None:
    assert await ledger.read("events", "one") is None
    assert await ledger.entries("events") == []


async def test_an_entry_is_added_once_and_read_back(ledger: Ledger) -> None:
    assert await ledger.add("events", "one", "first")
    assert not await ledger.add("events", "one", "second")
    entry = await ledger.read("events", "one")
    assert entry is not None
    assert (entry.shelf, entry.key, entry.text) == ("events", "one", "first")


async def test_of_many_who_add_at_once_one_is_first(ledger: Ledger) -> None:
    added = await asyncio.gather(*(ledger.add("events", "one", str(n)) for n in range(8)))
    assert sorted(added) == [False] * 7 + [True]


async def test_an_entry_is_replaced_only_as_it_was_read(ledger: Ledger) -> None:
    await ledger.add("events", "one", "first")
    entry = await ledger.read("events", "one")
    assert entry is not None
    replaced = await ledger.replace(entry, "second")
    assert replaced is not None
    assert await ledger.replace(entry, "third") is None
    assert await ledger.read("events", "one") == replaced
    again = await ledger.replace(replaced, "fourth")
    assert again is not None
    assert again.text == "fourth"


async def test_an_entry_is_removed_once(ledger: Ledger) -> None:
    await ledger.add("consents", "one", "first")
    entry = await ledger.read("consents", "one")
    assert entry is not None
    assert sorted(await asyncio.gather(ledger.remove(entry), ledger.remove(entry)))[-1] is True
    assert await ledger.remove(entry) is False
    assert await ledger.replace(entry, "second") is None
    await ledger.add("consents", "one", "first")
    assert await ledger.remove(entry) is False


async def test_a_shelf_is_listed_in_the_order_of_its_keys(ledger: Ledger) -> None:
    await ledger.add_all("lines.b1", {f"{n:05}": str(n) for n in reversed(range(60))})
    await ledger.add("lines.b2", "00001", "another shelf")
    found = await ledger.entries("lines.b1")
    assert [entry.text for entry in found] == [str(n) for n in range(60)]


async def test_a_long_text_comes_back_whole(ledger: Ledger) -> None:
    text = "ä€😀" * PIECE
    await ledger.add("events", "long", text)
    entry = await ledger.read("events", "long")
    assert entry is not None
    assert entry.text == text
