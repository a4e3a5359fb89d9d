"""A wrong field by the name it was sent under: in an event's data, or in a column of a line."""

from __future__ import annotations

import re

from shared.errors import InvalidRequest

_PATH = re.compile(r"`\$\.?(?P<path>[^`]*)`")
_MISSING = re.compile(r"(?:missing required|contains unknown) field `(?P<name>[^`]*)`")


def refused_field(text: str, *, within: str = "", whole: str = "(whole)") -> InvalidRequest:
    """The refusal for a message of msgspec, which names field and rule and repeats no value."""
    at, named = _PATH.search(text), _MISSING.search(text)
    path = at["path"] if at else ""
    if named:
        path = f"{path}.{named['name']}"
    full = f"{within}.{path}".strip(".").replace("..", ".")[:200] or whole
    rule = text.split(" - at `", 1)[0][:300]
    return InvalidRequest(
        "field_invalid",
        f"field {full}: {rule}",
        remediation=f"Correct {full}; the shapes are in the README.",
        field=full,
    )
