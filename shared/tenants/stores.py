"""Which store of tenant records a deployment has.

Kept apart from `records`, which the stores themselves are written against.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.config import Settings
from shared.tenants.records import TenantRecords

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

SQLITE_PREFIX = "sqlite:"


def open_records(
    settings: Settings, credential: Callable[[], AsyncTokenCredential]
) -> TenantRecords:
    """The store that ``TENANT_RECORDS`` names. ``credential`` is asked for only by a table."""
    where = settings.tenant_records
    # Only one of the two is ever used by a process: no reason to load both.
    if where.startswith(SQLITE_PREFIX):
        from shared.tenants.sqlite import SqliteRecords

        return SqliteRecords(where.removeprefix(SQLITE_PREFIX))
    from shared.tenants.table import TableRecords

    return TableRecords(settings, credential)
