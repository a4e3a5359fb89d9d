"""Entities of the table service: reading them from JSON, their limits, and how they are sent back.

Source: "Understanding the table service data model" and "Payload format for table service
operations" of the REST reference.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

from local.simulators.tables_filter import Comparable, Row, read_time

MAX_VALUE = 64 * 1024
MAX_ENTITY = 1024 * 1024
MAX_PROPERTIES = 252
MAX_NAME = 255
MAX_KEY = 1024
_SYSTEM = ("PartitionKey", "RowKey", "Timestamp")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORBIDDEN_IN_KEYS = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
_SHOWN_TYPES = frozenset({"Edm.DateTime", "Edm.Int64", "Edm.Guid", "Edm.Binary"})


class EntityRefused(Exception):
    """An entity that the service does not take: error code and message, always status 400."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Property:
    """A value: its EDM type, the JSON value as it was sent, and what it compares as."""

    edm: str
    raw: Any
    comparable: Comparable


@dataclass(slots=True)
class Entity:
    """A stored entity. `timestamp` has seven fractional digits and changes with every write."""

    partition_key: str
    row_key: str
    timestamp: str
    properties: dict[str, Property]

    @property
    def etag(self) -> str:
        """The entity's tag, made of its timestamp as the service does."""
        return f"W/\"datetime'{quote(self.timestamp, safe='')}'\""

    def row(self) -> Row:
        """What a filter looks at."""
        row: dict[str, Comparable] = {
            name: entry.comparable for name, entry in self.properties.items()
        }
        row["PartitionKey"], row["RowKey"] = self.partition_key, self.row_key
        row["Timestamp"] = read_time(self.timestamp)
        return row

    def as_json(self, selected: set[str] | None = None) -> dict[str, Any]:
        """The entity with minimal metadata, all of it or the selected properties."""
        shown: dict[str, Any] = {
            "PartitionKey": self.partition_key,
            "RowKey": self.row_key,
            "Timestamp": self.timestamp,
        }
        for name, entry in self.properties.items():
            if entry.edm in _SHOWN_TYPES:
                shown[f"{name}@odata.type"] = entry.edm
            shown[name] = entry.raw
        if selected is not None:
            shown = {
                name: value
                for name, value in shown.items()
                if name.removesuffix("@odata.type") in selected
            }
        return {"odata.etag": self.etag, **shown}


def read_entity(document: object) -> tuple[str | None, str | None, dict[str, Property]]:
    """Keys (where given) and properties of an entity that was sent.

    Raises:
        EntityRefused: a value, a name or the whole is not what the service takes.
    """
    if not isinstance(document, dict):
        raise EntityRefused("InvalidInput", "One of the request inputs is not valid.")
    keys: dict[str, str | None] = {}
    for name in ("PartitionKey", "RowKey"):
        value = document.get(name)
        if value is not None:
            check_key(value)
        keys[name] = value
    properties: dict[str, Property] = {}
    for name, value in document.items():
        if name in _SYSTEM or name.endswith("@odata.type") or name.startswith("odata."):
            continue
        if value is None:
            continue  # the service does not keep nulls
        _check_name(name)
        properties[name] = _property(document.get(f"{name}@odata.type"), value)
    if len(properties) > MAX_PROPERTIES:
        raise EntityRefused(
            "TooManyProperties", "The entity contains more properties than allowed."
        )
    if sum(_size(name, entry) for name, entry in properties.items()) > MAX_ENTITY:
        raise EntityRefused(
            "EntityTooLarge", "The entity is larger than the maximum allowed size (1MB)."
        )
    return keys["PartitionKey"], keys["RowKey"], properties


def check_key(value: object) -> None:
    """`EntityRefused` unless the value can be a partition or row key."""
    if not isinstance(value, str):
        raise EntityRefused("InvalidInput", "A key must be a string.")
    if len(value.encode("utf-16-le")) > MAX_KEY:
        raise EntityRefused("KeyValueTooLarge", "The key is larger than 1 KiB.")
    if _FORBIDDEN_IN_KEYS.search(value):
        raise EntityRefused(
            "OutOfRangeInput", "One of the request inputs is out of range: a key's characters."
        )


def instant(moment: datetime, tick: int) -> str:
    """A timestamp with seven fractional digits, the last of which is `tick`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{tick}Z"


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME:
        raise EntityRefused("PropertyNameTooLong", "The property name exceeds 255 characters.")
    if not _NAME.fullmatch(name):
        raise EntityRefused("PropertyNameInvalid", "The property name is invalid.")


def _property(edm: object, value: object) -> Property:
    try:
        found = _typed(edm, value)
    except (ValueError, TypeError, binascii.Error) as error:
        raise EntityRefused(
            "InvalidInput", f"An error occurred while processing a value of type {edm}."
        ) from error
    size = _value_size(found)
    if size > MAX_VALUE:
        raise EntityRefused(
            "PropertyValueTooLarge",
            "The property value exceeds the maximum allowed size (64KB). If the property value is a"
            " string, it is UTF-16 encoded and the maximum number of characters should be 32K or"
            " less.",
        )
    return found


def _typed(edm: object, value: object) -> Property:
    """The property for a value and its declared type, or for a bare JSON value."""
    if edm is None:
        edm = _natural(value)
    match edm:
        case "Edm.Boolean" if isinstance(value, bool):
            return Property(edm, value, value)
        case "Edm.Int32" if isinstance(value, int) and not isinstance(value, bool):
            if not -(2**31) <= value < 2**31:
                raise ValueError("out of range")
            return Property(edm, value, value)
        case "Edm.Double" if isinstance(value, int | float | str) and not isinstance(value, bool):
            return Property(edm, value, float(value))
        case "Edm.String" if isinstance(value, str):
            return Property(edm, value, value)
        case "Edm.Int64" if isinstance(value, str):
            number = int(value)
            if not -(2**63) <= number < 2**63:
                raise ValueError("out of range")
            return Property(edm, value, number)
        case "Edm.DateTime" if isinstance(value, str):
            return Property(edm, value, read_time(value))
        case "Edm.Guid" if isinstance(value, str):
            return Property(edm, value, UUID(value))
        case "Edm.Binary" if isinstance(value, str):
            return Property(edm, value, base64.b64decode(value, validate=True))
    raise TypeError("value and type do not fit")


def _natural(value: object) -> str:
    if isinstance(value, bool):
        return "Edm.Boolean"
    if isinstance(value, int):
        return "Edm.Int32"
    return "Edm.Double" if isinstance(value, float) else "Edm.String"


def _value_size(entry: Property) -> int:
    if isinstance(entry.comparable, str):
        return len(entry.comparable.encode("utf-16-le"))
    return len(entry.comparable) if isinstance(entry.comparable, bytes) else 16


def _size(name: str, entry: Property) -> int:
    """Bytes that a property counts for."""
    return 8 + 2 * len(name) + _value_size(entry)
