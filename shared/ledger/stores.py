"""Which store of the ledger a deployment has.

Kept apart from `entries`, which the stores themselves are written against.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.config import Settings
from shared.ledger.entries import Ledger

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

SQLITE_PREFIX = "sqlite:"


def open_ledger(settings: Settings, credential: Callable[[], AsyncTokenCredential]) -> Ledger:
    """The store beside the tenant records. ``credential`` is asked for only by a table."""
    where = settings.tenant_records
    # Only one of the two is ever used by a process: no reason to load both.
    if where.startswith(SQLITE_PREFIX):
        from shared.ledger.sqlite import SqliteLedger

        return SqliteLedger(where.removeprefix(SQLITE_PREFIX))
    from shared.ledger.table import TableLedger

    return TableLedger(settings, credential)
