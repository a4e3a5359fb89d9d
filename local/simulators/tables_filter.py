"""`$filter` of the table service: a small OData language, parsed once and asked per entity.

Comparisons of a property with a literal, joined by `and`, `or`, `not` and parentheses. As in the
service, a property that an entity does not have, or has with another type, makes a comparison
false.

Source: "Querying tables and entities" of the table service REST reference.
"""

from __future__ import annotations

import operator
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

Comparable = str | int | float | bool | datetime | bytes | UUID
Row = Mapping[str, Comparable]
Condition = Callable[[Row], bool]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<typed>(?:datetime|guid|binary|X)'[^']*')
      | (?P<text>'(?:[^']|'')*')
      | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?L?)
      | (?P<word>[A-Za-z_]\w*)
      | (?P<paren>[()])
    )""",
    re.VERBOSE,
)
_COMPARISONS: dict[str, Callable[[Comparable, Comparable], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}


class FilterRefused(ValueError):
    """The filter is not one that the service understands."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def parse_filter(text: str) -> Condition:
    """The condition that a filter states.

    Raises:
        FilterRefused: it does not follow the grammar.
    """
    parser = _Parser(list(_tokens(text)))
    condition = parser.disjunction()
    if parser.peek() is not None:
        raise FilterRefused("a filter ends too late")
    return condition


def _tokens(text: str) -> Iterator[_Token]:
    place, end = 0, len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise FilterRefused("a filter holds a character that it must not")
        yield _Token(found.lastgroup, found[found.lastgroup])
        place = found.end()


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._place = 0

    def peek(self) -> _Token | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def _next(self) -> _Token:
        token = self.peek()
        if token is None:
            raise FilterRefused("a filter ends too early")
        self._place += 1
        return token

    def _accept(self, text: str) -> bool:
        token = self.peek()
        if token is not None and token.text == text and token.kind in ("word", "paren"):
            self._place += 1
            return True
        return False

    def disjunction(self) -> Condition:
        parts = [self._conjunction()]
        while self._accept("or"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def _conjunction(self) -> Condition:
        parts = [self._negation()]
        while self._accept("and"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def _negation(self) -> Condition:
        if self._accept("not"):
            inner = self._negation()
            return lambda row: not inner(row)
        if self._accept("("):
            condition = self.disjunction()
            if not self._accept(")"):
                raise FilterRefused("a parenthesis is not closed")
            return condition
        return self._comparison()

    def _comparison(self) -> Condition:
        left, how, right = self._next(), self._next(), self._next()
        if left.kind != "word" or how.text not in _COMPARISONS:
            raise FilterRefused("a comparison is a property, an operator and a literal")
        compare, literal, name = _COMPARISONS[how.text], _literal(right), left.text

        def condition(row: Row) -> bool:
            value = row.get(name)
            return value is not None and _alike(value, literal) and compare(value, literal)

        return condition


def _alike(one: Comparable, other: Comparable) -> bool:
    """Whether two values can be compared: numbers with numbers, everything else with its own."""
    if isinstance(one, bool) or isinstance(other, bool):
        return isinstance(one, bool) and isinstance(other, bool)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return True
    return type(one) is type(other)


def _literal(token: _Token) -> Comparable:
    text = token.text
    if token.kind == "text":
        return text[1:-1].replace("''", "'")
    if token.kind == "word" and text in ("true", "false"):
        return text == "true"
    try:
        if token.kind == "number":
            digits = text.removesuffix("L")
            return int(digits) if digits.lstrip("-").isdecimal() else float(digits)
        if token.kind == "typed":
            prefix, _, quoted = text.partition("'")
            inner = quoted[:-1]
            if prefix == "datetime":
                return read_time(inner)
            return UUID(inner) if prefix == "guid" else bytes.fromhex(inner)
    except ValueError as error:
        raise FilterRefused("a literal is not what its type says") from error
    raise FilterRefused("a comparison ends with a literal")


def read_time(text: str) -> datetime:
    """A time with up to seven fractional digits, of which Python keeps six; UTC."""
    shortened = re.sub(r"(\.\d{6})\d+", r"\1", text)
    moment = datetime.fromisoformat(shortened)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def cursor(text: str) -> str:
    """A key in the form in which continuation headers carry it."""
    return "1!" + b64encode(text.encode()).decode()
