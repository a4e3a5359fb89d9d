"""The ledger: shelves of entries, each of which is a text under a key.

Unlike tenant records, entries have several writers at once: two deliveries of an event, two clicks
on a link. So an entry is added only where there is none, and replaced or removed only as it was
read; who comes second is told so.

Two stores keep it: Azure Table Storage (`table`), and SQLite (`sqlite`) where there is no cloud.
Both raise `NotYet` with ``ledger_unreachable`` or ``ledger_busy``, and `Refused` with
``ledger_forbidden`` or ``ledger_refused``. Shelves and keys are made of letters, digits, ``.``,
``-`` and ``_``; a text has 300,000 characters at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Entry:
    """An entry as it was read; ``version`` differs after every write."""

    shelf: str
    key: str
    text: str
    version: str


class Ledger(Protocol):
    """Where entries are kept."""

    async def read(self, shelf: str, key: str) -> Entry | None:
        """An entry; None when there is none (and only then)."""
        ...

    async def add(self, shelf: str, key: str, text: str) -> bool:
        """Write an entry where there is none; False when there is one."""
        ...

    async def add_all(self, shelf: str, texts: Mapping[str, str]) -> None:
        """Write many new entries; after a failure some of them may be there."""
        ...

    async def replace(self, entry: Entry, text: str) -> Entry | None:
        """Give an entry another text; None when it is no longer as it was read."""
        ...

    async def remove(self, entry: Entry) -> bool:
        """Remove an entry; False when it is no longer as it was read."""
        ...

    async def entries(self, shelf: str) -> list[Entry]:
        """Every entry of a shelf, in the order of their keys."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
