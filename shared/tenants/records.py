"""Tenant records: what is kept, and where.

`TenantRecords` is all that the rest of the bundle knows. Two stores keep it: Azure Table Storage
(`table`), and SQLite (`sqlite`) where there is no cloud. Both hold the record of each tenant, its
newest operations and the reports of its newest audits, and both replace a whole record at a time:
one tenant has one running operation at most, so there is one writer. A report is a document here,
kept under the id of its operation and given back as it came; what is in it, the audit knows.

Raises in both: `NotYet` with ``records_unreachable`` or ``records_busy``, `Refused` with
``records_forbidden``, ``records_refused`` or ``records_unreadable``.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct

from shared.errors import Refused
from shared.models import Operation, TenantRecord, tenant_of_operation
from shared.transitions import TenantState

OPERATIONS_KEPT = 50
"""Operations that are kept of each tenant, the newest."""

LONGEST_REPORT = 480_000
"""Characters of a report; what is longer is refused with ``records_too_large``."""

T = TypeVar("T", bound=Struct)


class TenantRecords(Protocol):
    """Where tenant records are kept."""

    async def get(self, tenant_id: str) -> TenantRecord | None:
        """The record of a tenant; None when there is none (and only then)."""
        ...

    async def put(self, record: TenantRecord) -> None:
        """Write a record, in place of the one there may be."""
        ...

    async def page(
        self, *, after: str | None = None, limit: int, state: TenantState | None = None
    ) -> tuple[list[TenantRecord], str | None]:
        """Records in the order of their tenant ids, ``limit`` at most, from behind tenant id
        ``after``; with the ``after`` of the next page, or None when this was the last."""
        ...

    async def put_operation(self, operation: Operation) -> None:
        """Write an operation, and drop the tenant's oldest above `OPERATIONS_KEPT`."""
        ...

    async def get_operation(self, operation_id: str) -> Operation | None:
        """An operation; None when it is not, or no longer, kept."""
        ...

    async def operations(self, tenant_id: str, limit: int) -> list[Operation]:
        """The newest operations of a tenant, newest first."""
        ...

    async def put_report(self, operation_id: str, document: str, *, kept: int) -> None:
        """Write the report of an audit, and drop the tenant's oldest above ``kept``.

        Writing it again replaces it; reports of a tenant are written in the order of its audits.
        """
        ...

    async def get_report(self, operation_id: str) -> str | None:
        """The report of an audit; None when it is not, or no longer, kept."""
        ...

    async def reports(self, tenant_id: str, limit: int) -> list[str]:
        """The newest reports of a tenant, newest first."""
        ...

    async def latest_reports(
        self, *, after: str | None = None, limit: int
    ) -> tuple[list[str], str | None]:
        """The newest report of each tenant that has one, paged as `page` is."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


def decode(text: str | bytes, kind: type[T], key: str) -> T:
    """A stored record. ``key`` names it in the error.

    Raises:
        Refused: ``records_unreadable``; a record that cannot be read is not "none".
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise Refused(
            "records_unreadable",
            f"what is stored as {key} is not a record of this version: {error}",
            remediation="Deploy the version that wrote it, or remove the entry and onboard again.",
        ) from error


def tenant_of_report(operation_id: str, document: str) -> str:
    """The tenant of a report that is to be written.

    Raises:
        ValueError: ``operation_id`` is not one.
        Refused: ``records_too_large``.
    """
    tenant_id = tenant_of_operation(operation_id)
    if tenant_id is None:
        raise ValueError(f"not an operation id: {operation_id!r}")
    if len(document) > LONGEST_REPORT:
        raise Refused(
            "records_too_large",
            f"the report of {operation_id} has {len(document):,} characters",
            remediation=f"A report may have {LONGEST_REPORT:,}; leave findings out of it.",
            tenant_id=tenant_id,
        )
    return tenant_id


def encode(record: TenantRecord | Operation) -> str:
    """A record as it is stored."""
    return msgspec.json.encode(record).decode()
