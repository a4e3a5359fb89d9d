"""The ledger in Azure Table Storage: a partition for each shelf, a row for each key.

The service's own ETag is the version. A text is cut into properties, since one holds 32,000
characters at most. The table is made when the first write finds none: the role that may write
entities may make tables too.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.azure_failures import AzureService, asking
from shared.azure_transport import client_options
from shared.config import Settings
from shared.ledger.entries import Entry

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.data.tables.aio import TableClient, TableServiceClient

TABLE = "ledger"
PIECE = 16_000
"""Characters of text in one property; Table Storage takes 32,768 UTF-16 units, two for some."""
AT_ONCE = 20
"""Writes in flight when many entries are added."""


class TableLedger:
    """The ledger at the Table Storage endpoint in the settings."""

    def __init__(self, settings: Settings, credential: Callable[[], AsyncTokenCredential]) -> None:
        self._settings = settings
        self._credential = credential
        self._where = AzureService(
            "ledger",
            f"Table Storage {settings.tenant_records}",
            "Storage Table Data Contributor",
        )

    async def read(self, shelf: str, key: str) -> Entry | None:
        """See `Ledger`."""
        from azure.core.exceptions import ResourceNotFoundError

        with asking(self._where, f"read {key} from shelf {shelf}"):
            try:
                return _entry(await self._table.get_entity(shelf, key))
            except ResourceNotFoundError:
                return None  # the entity, or the whole table

    async def add(self, shelf: str, key: str, text: str) -> bool:
        """See `Ledger`."""
        from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

        entity = _entity(shelf, key, text)
        with asking(self._where, f"add {key} to shelf {shelf}"):
            try:
                try:
                    await self._table.create_entity(entity)
                except ResourceNotFoundError:  # the table
                    await self._service.create_table_if_not_exists(TABLE)
                    await self._table.create_entity(entity)
            except ResourceExistsError:
                return False
        return True

    async def add_all(self, shelf: str, texts: Mapping[str, str]) -> None:
        """See `Ledger`."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(key: str, text: str) -> None:
            async with slots:
                await self.add(shelf, key, text)

        await asyncio.gather(*(one(key, text) for key, text in texts.items()))

    async def replace(self, entry: Entry, text: str) -> Entry | None:
        """See `Ledger`."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
        from azure.data.tables import UpdateMode

        with asking(self._where, f"replace {entry.key} on shelf {entry.shelf}"):
            try:
                answer = await self._table.update_entity(
                    _entity(entry.shelf, entry.key, text),
                    mode=UpdateMode.REPLACE,
                    etag=entry.version,
                    match_condition=MatchConditions.IfNotModified,
                )
            except (ResourceModifiedError, ResourceNotFoundError):
                return None
        return Entry(entry.shelf, entry.key, text, str(answer["etag"]))

    async def remove(self, entry: Entry) -> bool:
        """See `Ledger`."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        # The client takes a missing entity for removed, and two may want it: so read it first.
        if await self.read(entry.shelf, entry.key) is None:
            return False
        with asking(self._where, f"remove {entry.key} from shelf {entry.shelf}"):
            try:
                await self._table.delete_entity(
                    entry.shelf,
                    entry.key,
                    etag=entry.version,
                    match_condition=MatchConditions.IfNotModified,
                )
            except (ResourceModifiedError, ResourceNotFoundError):
                return False
        return True

    async def entries(self, shelf: str) -> list[Entry]:
        """See `Ledger`."""
        from azure.core.exceptions import ResourceNotFoundError

        with asking(self._where, f"list shelf {shelf}"):
            try:
                return [
                    _entry(entity)
                    async for entity in self._table.query_entities(
                        "PartitionKey eq @shelf", parameters={"shelf": shelf}
                    )
                ]
            except ResourceNotFoundError:
                return []  # no table yet: nothing was ever written

    async def aclose(self) -> None:
        """See `Ledger`."""
        if "_service" in self.__dict__:
            await self.__dict__.pop("_service").close()

    @property
    def _table(self) -> TableClient:
        return self._service.get_table_client(TABLE)

    @cached_property
    def _service(self) -> TableServiceClient:
        # The SDK is imported when the first entry is asked for: a matter of cold start.
        from azure.data.tables.aio import TableServiceClient

        return TableServiceClient(
            self._settings.tenant_records,
            credential=self._credential(),
            audience=self._settings.cloud.storage_resource,
            **client_options(self._settings),
        )


def _entity(shelf: str, key: str, text: str) -> dict[str, Any]:
    pieces = {
        f"text{start // PIECE:02}": text[start : start + PIECE]
        for start in range(0, len(text), PIECE)
    }
    return {"PartitionKey": shelf, "RowKey": key, **pieces}


def _entry(entity: Any) -> Entry:
    names = sorted(name for name in entity if re.fullmatch(r"text\d\d", name))
    return Entry(
        str(entity["PartitionKey"]),
        str(entity["RowKey"]),
        "".join(entity[name] for name in names),
        str(entity.metadata["etag"]),
    )
