"""Answers held against the OpenAPI document, more strictly than it asks of clients.

A document allows members that it does not name, so that clients survive newer versions; here such a
member is a shape that was forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx
from jsonschema import Draft202012Validator, FormatChecker

Route = tuple[str, str]
"""A method and a path with its parameters in braces."""


class Interface:
    """An OpenAPI document, and which of its answers were seen."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self._components = {"components": _strict(document["components"])}
        self.seen: set[tuple[str, str, int]] = set()

    @property
    def routes(self) -> set[Route]:
        """Everything that it describes."""
        return {
            (method.upper(), path)
            for path, operations in self.document["paths"].items()
            for method in operations
        }

    def operation(self, route: Route) -> Mapping[str, Any]:
        """The description of a route."""
        method, path = route
        operation: Mapping[str, Any] = self.document["paths"][path][method.lower()]
        return operation

    def route_of(self, method: str, path: str) -> Route:
        """The route that a request goes to; one without parameters goes before one with."""
        fits = [
            (wanted, template)
            for wanted, template in self.routes
            if wanted == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
        ]
        assert fits, f"{method} {path} is not described"
        return min(fits, key=lambda route: route[1].count("{"))

    def check(self, answer: httpx.Response) -> None:
        """Hold an answer against the document."""
        route = self.route_of(answer.request.method, answer.request.url.path)
        described = self.operation(route)["responses"].get(str(answer.status_code))
        assert described is not None, f"{route} does not answer {answer.status_code}"
        media_type = answer.headers["Content-Type"].partition(";")[0]
        content = described["content"].get(media_type)
        assert content is not None, f"{route} does not answer {media_type}"
        for header, told in described.get("headers", {}).items():
            if header == "Location" and (told["required"] or header in answer.headers):
                assert answer.headers[header].startswith("/api/"), (route, header)
        if media_type.endswith("json"):
            self.validate(answer.json(), content["schema"])
        self.seen.add((*route, answer.status_code))

    def validate(self, instance: Any, schema: Mapping[str, Any]) -> None:
        """Hold a value against a schema of the document."""
        whole = {**self._components, **_strict(schema)}
        Draft202012Validator(whole, format_checker=FormatChecker()).validate(instance)


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _strict(value) for key, value in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed
