"""Route templates of HTTP functions: `tenants/{tenant}`, `items/{id:int}`, `files/{*path}`, `{x?}`.

The rules are those of ASP.NET Core routing, which the Functions host uses: literals match without
regard to case, parameters keep it; among several templates that match, the one with more specific
segments wins (literal, constrained parameter, parameter, catch-all). A request whose path matches
but whose method does not is "not found", as in the real host: the method is part of the route.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote
from uuid import UUID


class TemplateError(ValueError):
    """A route template that this host does not understand."""


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


_CONSTRAINTS = {
    "int": lambda text: re.fullmatch(r"[+-]?\d+", text) is not None,
    "long": lambda text: re.fullmatch(r"[+-]?\d+", text) is not None,
    "decimal": lambda text: re.fullmatch(r"[+-]?\d+(\.\d+)?", text) is not None,
    "bool": lambda text: text.lower() in ("true", "false"),
    "alpha": lambda text: re.fullmatch(r"[A-Za-z]*", text) is not None,
    "guid": _is_guid,
}

_PARAMETER = re.compile(
    r"\{(?P<star>\*{0,2})(?P<name>\w+)(?P<rules>(:[^{}?]+)*)(?P<optional>\?)?\}"
)


@dataclass(frozen=True)
class _Segment:
    literal: str | None = None
    name: str = ""
    rules: tuple[str, ...] = ()
    optional: bool = False
    catch_all: bool = False

    @property
    def rank(self) -> int:
        if self.literal is not None:
            return 1
        return (4 if self.catch_all else 2) + (0 if self.rules else 1)

    def accepts(self, text: str) -> bool:
        if self.literal is not None:
            return self.literal.lower() == text.lower()
        return all(_CONSTRAINTS[rule](text) for rule in self.rules)


@dataclass(frozen=True)
class Route:
    """One template with the methods it answers (empty: every method)."""

    template: str
    methods: frozenset[str] = frozenset()
    segments: tuple[_Segment, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts = [part for part in self.template.strip("/").split("/") if part]
        object.__setattr__(self, "segments", tuple(_segment(part) for part in parts))

    @property
    def shape(self) -> tuple[str, ...]:
        """Template without the names of its parameters; two of one shape clash."""
        return tuple(
            segment.literal.lower()
            if segment.literal is not None
            else f"{{{segment.rank}{':'.join(segment.rules)}}}"
            for segment in self.segments
        )

    def match(self, path: str) -> dict[str, str] | None:
        """Parameters of a path (percent-encoded, without query), or None."""
        values = [unquote(part) for part in path.strip("/").split("/") if part]
        found: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            if segment.catch_all:
                found[segment.name] = "/".join(values[index:])
                return found
            if index >= len(values):
                if segment.optional:
                    continue
                return None
            if not segment.accepts(values[index]):
                return None
            if segment.literal is None:
                found[segment.name] = values[index]
        return found if len(values) <= len(self.segments) else None

    def clashes(self, other: Route) -> bool:
        """Whether some request would fit both equally well."""
        methods = not self.methods or not other.methods or bool(self.methods & other.methods)
        return methods and self.shape == other.shape


def _segment(text: str) -> _Segment:
    if "{" not in text:
        return _Segment(literal=text)
    found = _PARAMETER.fullmatch(text)
    if found is None:
        raise TemplateError(f"route segment '{text}' is not supported")
    rules = tuple(rule for rule in found["rules"].split(":") if rule)
    unknown = [rule for rule in rules if rule not in _CONSTRAINTS]
    if unknown:
        raise TemplateError(f"route constraint '{unknown[0]}' is not supported")
    return _Segment(
        name=found["name"],
        rules=rules,
        optional=found["optional"] is not None,
        catch_all=bool(found["star"]),
    )


def find(routes: Sequence[Route], method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route for a request and its parameters."""
    matches = [
        (route, values)
        for route in routes
        if (not route.methods or method.upper() in route.methods)
        and (values := route.match(path)) is not None
    ]
    return min(matches, key=lambda match: [s.rank for s in match[0].segments], default=None)
