"""Query options: `$select`, `$filter`, `$top`, `$skiptoken`, `$count`, `$expand`.

Only the forms that clients of ours use are understood; everything else is refused the way the
directory refuses it, so that a query that works here works there. Some filters are answered only
with `ConsistencyLevel: eventual` and `$count=true`.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from local.simulators.graph.calls import Answer, GraphCall
from local.simulators.graph.errors import bad_request, malformed, unsupported_query

T = TypeVar("T")

SELECT = frozenset({"$select"})
LIST = frozenset({"$select", "$filter", "$top", "$skiptoken", "$count"})
PAGED = frozenset({"$select", "$top", "$skiptoken"})

DEFAULT_PAGE = 100
MAX_PAGE = 999

_TOKEN_PREFIX = "RFNwdAIA"

_COMPARISON = re.compile(r"^\s*(\w+)\s+eq\s+(.+?)\s*$", re.DOTALL)
_ANY = re.compile(r"^\s*(\w+)/any\(\s*(\w+)\s*:\s*(\w+)\s+eq\s+(.+?)\s*\)\s*$", re.DOTALL)
_LITERAL = re.compile(r"'(?:[^']|'')*'")


@dataclass(frozen=True, slots=True)
class Condition:
    """`name eq value`, or `name/any(x:x eq value)`."""

    name: str
    value: str
    any_item: bool = False


def check_options(query: Mapping[str, str], allowed: Collection[str]) -> None:
    """400 for an option that the operation does not have."""
    for name in query:
        if name not in allowed:
            raise unsupported_query(f"Unrecognized query argument specified: '{name}'.")


def selected(call: GraphCall, known: Collection[str], kind: str) -> tuple[str, ...] | None:
    """The properties to return in the order asked for; `None` for the default set."""
    option = call.query.get("$select")
    if option is None:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in option.split(",")))
    for name in names:
        if name not in known:
            raise malformed(f"Could not find a property named '{name}' on type '{kind}'.")
    return names


def picker(call: GraphCall) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Renders ready-made entities with what `$select` names, or whole."""
    option = call.query.get("$select")
    if option is None:
        return dict
    names = {name.strip() for name in option.split(",")}
    return lambda entity: {
        name: value for name, value in entity.items() if name in names or name.startswith("@odata.")
    }


def conditions(
    call: GraphCall, known: Collection[str], items: Collection[str] = ()
) -> list[Condition]:
    """The parts of `$filter`, joined by `and`; `items` names collections that `any` may search."""
    option = call.query.get("$filter")
    counted = call.query.get("$count")
    eventual = call.headers.get("consistencylevel", "").lower() == "eventual"
    if counted is not None:
        if counted not in ("true", "false"):
            raise malformed(f"Invalid value '{counted}' for $count query option.")
        if not eventual:
            raise unsupported_query("$count is not currently supported.")
    if option is None:
        return []
    found = [_condition(part, known, items) for part in _split_and(option)]
    if any(part.any_item for part in found) and not (eventual and counted == "true"):
        raise unsupported_query(
            "This query requires the header 'ConsistencyLevel: eventual' and $count=true."
        )
    return found


def _split_and(text: str) -> list[str]:
    """Split at ` and ` outside of literals; 400 for a literal that does not end."""
    masked = _LITERAL.sub(lambda found: "'" + "x" * (len(found.group()) - 2) + "'", text)
    if masked.count("'") % 2:
        raise malformed(
            "Invalid filter clause: There is an unterminated string literal in the filter."
        )
    parts, start = [], 0
    for joint in re.finditer(r"\s+and\s+", masked):
        parts.append(text[start : joint.start()])
        start = joint.end()
    return [*parts, text[start:]]


def _condition(text: str, known: Collection[str], items: Collection[str]) -> Condition:
    searched = _ANY.match(text)
    if searched is not None:
        name, declared, used, literal = searched.groups()
        if declared != used or name not in items:
            raise unsupported_query("Unsupported or invalid query filter clause specified.")
        return Condition(name, _literal(literal), any_item=True)
    compared = _COMPARISON.match(text)
    if compared is None:
        raise unsupported_query("Unsupported or invalid query filter clause specified.")
    name, literal = compared.groups()
    if name not in known:
        raise unsupported_query(
            f"Unsupported or invalid query filter clause specified for property '{name}'."
        )
    return Condition(name, _literal(literal))


def _literal(text: str) -> str:
    if _LITERAL.fullmatch(text) is None:
        raise malformed(f"Invalid filter clause: Syntax error in '{text}'.")
    return text[1:-1].replace("''", "'")


def page(
    call: GraphCall,
    items: Sequence[T],
    render: Callable[[T], dict[str, Any]],
    context: str,
    *,
    max_page: int = MAX_PAGE,
) -> Answer:
    """One page of a list, with the link to the next one."""
    size = _page_size(call, max_page)
    digest = hashlib.sha256(
        "\n".join(
            [call.path, *(f"{k}={v}" for k, v in sorted(call.query.items()) if k != "$skiptoken")]
        ).encode()
    ).hexdigest()[:12]
    start = _position(call.query.get("$skiptoken"), digest)
    body: dict[str, Any] = {"@odata.context": call.context(context)}
    if call.query.get("$count") == "true":
        body["@odata.count"] = len(items)
    following = start + size
    if following < len(items):
        kept = [
            f"{name}={quote(value, safe='')}"
            for name, value in call.query.items()
            if name != "$skiptoken"
        ]
        token = urlsafe_b64encode(f"{digest}:{following}".encode()).decode()
        options = "&".join([*kept, f"$skiptoken={_TOKEN_PREFIX}{token}"])
        body["@odata.nextLink"] = f"{call.url}{call.path}?{options}"
    body["value"] = [render(item) for item in items[start:following]]
    return Answer(200, body)


def _page_size(call: GraphCall, largest: int) -> int:
    option = call.query.get("$top")
    if option is None:
        return min(DEFAULT_PAGE, largest)
    if not option.isdecimal() or not 1 <= int(option) <= largest:
        raise unsupported_query(
            f"Invalid page size specified: '{option}'. Must be between 1 and {largest} inclusive."
        )
    return int(option)


def _position(token: str | None, digest: str) -> int:
    if token is None:
        return 0
    try:
        known, _, position = (
            urlsafe_b64decode(token.removeprefix(_TOKEN_PREFIX)).decode().partition(":")
        )
        if known == digest:
            return int(position)
    except (Base64Error, ValueError) as error:
        raise bad_request("The specified page token value is invalid.") from error
    raise bad_request("The specified page token value is not for this query.")
