"""Paths of Graph, and which handler answers them.

A template is written as in the documentation: `/applications/{id}`,
`/applications(appId='{appId}')`. It is also the operation's name in the journal and for faults.
Segments are matched in their exact letter case; keys are decoded, with doubled quotes undone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from local.simulators.graph.calls import Handler
from local.simulators.graph.errors import GraphError, malformed, unknown_segment

_KEYED = re.compile(r"^([A-Za-z][\w.]*)\((\w+)='(.*)'\)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Route:
    """What answers a method on a path: handler, permissions (any of), query options allowed."""

    method: str
    template: str
    handler: Handler
    rights: frozenset[str]
    options: frozenset[str] = frozenset()
    beta: bool = False

    @property
    def operation(self) -> str:
        """The name in the journal."""
        return f"{self.method} {self.template}"


@dataclass(slots=True)
class _Node:
    """A place in the tree of paths."""

    literal: dict[str, _Node] = field(default_factory=dict)
    keyed: dict[tuple[str, str], tuple[str, _Node]] = field(default_factory=dict)
    variable: tuple[str, _Node] | None = None
    routes: dict[str, Route] = field(default_factory=dict)
    template: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A path that was found: its template, the variable parts, the routes by method."""

    template: str
    params: dict[str, str]
    routes: dict[str, Route]

    def route(self, method: str) -> Route:
        """The route for a method; 405 if the path does not have it."""
        route = self.routes.get(method)
        if route is None:
            raise GraphError(
                405,
                "Request_BadRequest",
                "Specified HTTP method is not allowed for the request target.",
            )
        return route


class Router:
    """All routes as a tree."""

    def __init__(self, routes: Iterator[Route]) -> None:
        self._root = _Node()
        for route in routes:
            node = self._root
            for segment in _segments(route.template):
                node = _child(node, segment)
            node.template = route.template
            node.routes[route.method] = route

    def find(self, raw_path: str) -> Match:
        """The place of a percent-encoded path below the API version; 400 if there is none."""
        node = self._root
        params: dict[str, str] = {}
        for raw in raw_path.strip("/").split("/"):
            segment = unquote(raw)
            following = node.literal.get(segment)
            if following is None and (keyed := _KEYED.match(segment)) is not None:
                collection, key, value = keyed.groups()
                if (collection, key) in node.keyed:
                    name, following = node.keyed[collection, key]
                    params[name] = _unquoted(value)
            if following is None and node.variable is not None:
                name, following = node.variable
                params[name] = segment
            if following is None:
                raise unknown_segment(segment)
            node = following
        if not node.routes:
            raise unknown_segment(unquote(raw_path.rsplit("/", 1)[-1]))
        return Match(node.template, params, node.routes)


def _segments(template: str) -> list[str]:
    return template.strip("/").split("/")


def _child(node: _Node, segment: str) -> _Node:
    if segment.startswith("{"):
        name = segment[1:-1]
        if node.variable is None:
            node.variable = (name, _Node())
        elif node.variable[0] != name:
            raise ValueError(f"two names for one variable part: {node.variable[0]} and {name}")
        return node.variable[1]
    keyed = _KEYED.match(segment)
    if keyed is not None:
        collection, key, value = keyed.groups()
        return node.keyed.setdefault((collection, key), (value[1:-1], _Node()))[1]
    return node.literal.setdefault(segment, _Node())


def _unquoted(value: str) -> str:
    """The text of an OData literal; 400 where a quote inside it is not doubled."""
    if "'" in value.replace("''", ""):
        raise malformed("There is an unterminated literal in the key of the request.")
    return value.replace("''", "'")
