"""A wrong field by the name it was sent under: in an event's data, or in a column of a line.

msgspec names the field and the rule and repeats no value. A rule that is a regular expression is
told in the words that the model has for it.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from msgspec import Meta

from shared.errors import InvalidRequest
from shared.models import (
    ApplicationName,
    Guid,
    OrganizationMrn,
    PolicyMrn,
    SpaceMrn,
    SpaceName,
    VaultName,
)

_PATH = re.compile(r"`\$\.?(?P<path>[^`]*)`")
_MISSING = re.compile(r"(?:missing required|contains unknown) field `(?P<name>[^`]*)`")
_PATTERN = re.compile(r"Expected `str` matching regex (?P<quoted>.+)")


def _meta(kind: Any) -> Meta:
    (meta,) = kind.__metadata__
    assert isinstance(meta, Meta)
    return meta


_SPACE = _meta(SpaceMrn).pattern
_WORDS = {
    meta.pattern: meta.description
    for meta in map(
        _meta, (SpaceMrn, OrganizationMrn, SpaceName, PolicyMrn, ApplicationName, Guid, VaultName)
    )
}


def refused_field(text: str, *, within: str = "", whole: str = "(whole)") -> InvalidRequest:
    """The refusal for a message of msgspec."""
    at, named = _PATH.search(text), _MISSING.search(text)
    path = at["path"] if at else ""
    if named:
        path = f"{path}.{named['name']}"
    full = f"{within}.{path}".strip(".").replace("..", ".")[:200] or whole
    rule = text.split(" - at `", 1)[0]
    matching = _PATTERN.fullmatch(rule)
    if matching:
        pattern = ast.literal_eval(matching["quoted"])
        if pattern == _SPACE:
            return refused_space(full)
        rule = f"expected: {_WORDS[pattern]}"
    return InvalidRequest(
        "field_invalid",
        f"field {full}: {rule[:300]}",
        remediation=f"Correct {full}; the shapes are in GET /api/openapi.json.",
        field=full,
    )


def refused_space(field: str = "space") -> InvalidRequest:
    """The refusal for a text that is not the MRN of a space."""
    return InvalidRequest(
        "field_invalid",
        f"{field} is not the MRN of a Mondoo space",
        remediation="Write it as //captain.api.mondoo.app/spaces/<id>.",
        field=field,
    )
