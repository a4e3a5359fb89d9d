"""JSON as it crosses between the Functions host and the Python SDK.

The SDK's own encoder is used (`df_dumps`, `df_loads`), so that what a product may send through an
orchestration here is what it may send in the cloud. `object` is passed as the expected type: it
accepts everything and keeps the SDK from warning about a missing type once in each process.

What the SDK sends to the host as the input of an orchestration is JSON text *inside* a JSON string
(it encodes, then its HTTP client encodes again), and the host stores it that way; `unwrap` and
`wrap` undo and redo the outer layer.
"""

from __future__ import annotations

import json
from typing import Any

from azure.functions._durable_functions import df_dumps, df_loads
from durabletask.serialization import DataConverter


def encode(value: Any) -> str:
    """JSON text of a value, by the SDK's rules.

    Raises:
        TypeError: if it has no JSON form.
    """
    return str(df_dumps(value))


def decode(text: str | None) -> Any:
    """Value of a JSON text, by the SDK's rules; None for no text."""
    return None if text is None or text == "" else df_loads(text, object)


def wrap(value: Any) -> str:
    """A value as the SDK passes it for the input of an orchestration."""
    return json.dumps(encode(value))


def unwrap(text: str | None) -> Any:
    """Input of an orchestration as `get_input()` returns it.

    A caller of the HTTP API may have sent an object or a string (which must hold JSON); what else
    there is, the SDK cannot decode.

    Raises:
        TypeError: for a list or a number that was sent to the HTTP API directly.
    """
    if text is None or text == "":
        return None
    outer = json.loads(text)
    if outer is None:
        return None
    return decode(json.dumps(outer) if isinstance(outer, dict) else outer)


def revealed(text: str | None) -> Any:
    """Payload for people: decoded as far as there is JSON in it, else the text itself."""
    if text is None or text == "":
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return text
    nested = isinstance(value, str) and (value[:1] in ("{", "[", '"') or value == "null")
    return revealed(value) if nested else value


class JsonText(DataConverter):
    """Leaves JSON text as it is: `durabletask` carries what the SDK has encoded."""

    def serialize(self, value: Any) -> str | None:
        """The text itself."""
        return None if value is None else str(value)

    def deserialize(self, data: str | None, target_type: type | None = None) -> Any:
        """The text itself."""
        return data or None

    def coerce(self, value: Any, target_type: type | None = None) -> Any:
        """The value itself."""
        return value
