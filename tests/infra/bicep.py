"""The Bicep templates as parsed trees, and the few questions that the tests ask of them.

A tree tells a string from a name no more (both are text), so questions are about the shape: which
keys there are, which resource has which property, what an expression mentions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pycep import BicepParser

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"


@dataclass(frozen=True)
class Resource:
    """One resource of one template; ``config`` is the body inside of any condition or loop."""

    template: str
    symbol: str
    type: str
    config: dict[str, Any]
    decorators: list[dict[str, Any]]
    condition: Any

    def at(self, path: str) -> Any:
        """The value at a dotted path; KeyError when there is none."""
        value: Any = self.config
        for part in path.split("."):
            value = value[part]
        return value


@cache
def parser() -> BicepParser:
    """One parser for all; building it takes most of the time."""
    return BicepParser()


@cache
def template(name: str) -> dict[str, Any]:
    """The tree of a template, by its path inside infra/."""
    return dict(parser().parse(text=text(name)))


def text(name: str) -> str:
    """A template as it is written."""
    return (INFRA / name).read_text(encoding="utf-8")


def code(name: str) -> str:
    """A template without its comments."""
    return re.sub(r"^\s*//.*$", "", text(name), flags=re.MULTILINE)


def templates() -> list[str]:
    """Every template by its path inside infra/."""
    return sorted(str(path.relative_to(INFRA)) for path in INFRA.rglob("*.bicep"))


def resources(kind: str | None = None) -> list[Resource]:
    """Every resource that the templates make, or those of one type (existing ones are not made)."""
    found = []
    for name in templates():
        for symbol, resource in template(name).get("resources", {}).items():
            if resource["existing"] or (kind is not None and resource["type"] != kind):
                continue
            body, condition = _body(resource["config"])
            found.append(
                Resource(name, symbol, resource["type"], body, resource["decorators"], condition)
            )
    return found


def the(kind: str) -> Resource:
    """The only resource of a type."""
    (resource,) = resources(kind)
    return resource


def _body(config: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Peel loops and conditions off."""
    condition = None
    while set(config) <= {"condition", "config", "loop_type"} and "config" in config:
        condition = config.get("condition") or condition
        config = config["config"]
    return config, condition


def modules() -> dict[str, tuple[str, dict[str, Any], Any]]:
    """The modules of main.bicep: template, parameters, condition."""
    found = {}
    for symbol, module in template("main.bicep")["modules"].items():
        body, condition = _body(module["config"])
        found[symbol] = (module["detail"]["path"], body["params"], condition)
    return found


def parameters(name: str) -> dict[str, Any]:
    """The parameters of a template."""
    return dict(template(name).get("parameters", {}))


def parameter_file() -> dict[str, Any]:
    """The values that azd gives to main.bicep."""
    content = json.loads((INFRA / "main.parameters.json").read_text(encoding="utf-8"))
    return {name: given["value"] for name, given in content["parameters"].items()}


def words(value: Any) -> Iterator[str]:
    """Every text inside a value: names, strings, functions, keys."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from words(inner)
    elif isinstance(value, str):
        yield value


def conditional(value: Any) -> tuple[Any, Any, Any]:
    """Condition and both values of ``a ? b : c``."""
    operands = value["operator"]["operands"]
    assert value["operator"]["type"] == "conditional"
    return operands["condition"], operands["true_value"], operands["false_value"]
