"""The runbook by error code, ``docs/runbook.md``, read out of the code itself.

Every condition that the product can report is built in one place with a code, a sentence and a
remedy: an error of the family, a result of a step, a finding, or a row of one of the tables that
translate answers of services. This reads the sources (it runs nothing) and lists them. What is only
known while it runs stands as "…". A function that is given the code and adds the remedy is followed
one step; a code that begins with the name of a service is told once for each service there is.

Findings of audits have a catalogue of their own, and a page made from that: their remedies are not
in the calls that build them. Only a code that operations report too is here, with what the
catalogue says of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path

from shared.audit.catalogue import entries

SOURCES = Path(__file__).resolve().parents[2] / "shared"

_CODE = re.compile(r"(?:[a-z0-9]+|…)(?:_[a-z0-9]+)+")
_UNKNOWN_YET = "…"
_OF_AUDITS = "deviation"
"""Builds a finding of an audit, with the remedy of the catalogue."""

WAITS = "heals by itself"
LOOK = "outcome unknown"
CALLER = "the request"
FINDING = "finding"
STOPS = "needs you"

_KINDS = {
    "NotYet": WAITS,
    "not_yet": WAITS,
    "OutcomeUnknown": LOOK,
    "InvalidRequest": CALLER,
    "NotFound": CALLER,
    "Unauthenticated": CALLER,
    "Forbidden": CALLER,
    "UnknownContentType": CALLER,
    "Conflict": CALLER,
    "Finding": FINDING,
}

_MEANINGS = {
    WAITS: "The operation waits and tries again. If the wait is used up it ends `waiting`: nothing"
    " was undone, and the same request goes on where it stopped.",
    LOOK: "Something was asked for and no answer came. Nothing is called done; the same request"
    " looks first and then goes on.",
    STOPS: "Waiting will not help. Do what is said, then send the same request again.",
    CALLER: "The request was not carried out, and nothing was changed.",
    FINDING: "Said of a tenant beside the outcome of a step.",
}

_INTRODUCTION = """\
# Runbook: what a code means, and what to do

*Generated from the sources in `shared/` by `make docs`; do not edit.*

Codes are in the `code` of a step (`GET /api/operations/{id}`), of a finding, of a problem that the
interface answers, and of log lines (saved query *Failures by code*). A remedy is told there too,
with names and ids filled in; here they stand as "…". Codes that only audits report are on
a page of their own, [findings.md](findings.md).
"""


@dataclass(frozen=True, order=True)
class Condition:
    """One thing that the product can report."""

    code: str
    kind: str
    message: str
    remedy: str
    module: str


@cache
def conditions(folder: Path = SOURCES) -> tuple[Condition, ...]:
    """Every condition in the sources, by code, each way to tell it once."""
    modules = [
        _Module(
            ast.parse(path.read_text(encoding="utf-8")),
            path.relative_to(folder.parent).with_suffix("").as_posix(),
        )
        for path in sorted(folder.rglob("*.py"))
    ]
    by_name = {module.name: module for module in modules}
    for module in modules:
        module.learn(by_name)
    services = sorted({service for module in modules for service in module.services()})
    found: set[Condition] = set()
    for module in modules:
        for condition in module.conditions():
            if module.name.endswith("azure_failures"):
                found |= {
                    replace(condition, code=condition.code.replace(_UNKNOWN_YET, service))
                    for service in services
                }
            else:
                found.add(condition)
    return tuple(sorted(found))


@dataclass(frozen=True)
class _Wrapper:
    """A function that is given a code and adds the rest; ``place`` of the code in a call."""

    place: int
    kind: str
    message: str
    remedy: str


class _Module:
    """One source file: its constant texts, its wrappers, and what builds conditions."""

    def __init__(self, tree: ast.Module, name: str) -> None:
        self._tree = tree
        self.name = name
        self._constants: dict[str, ast.expr] = {}
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._constants[node.targets[0].id] = node.value
        self._wrappers = dict(self._find_wrappers())

    def learn(self, others: Mapping[str, _Module]) -> None:
        """Take over the constant texts that are imported from these."""
        for node in self._tree.body:
            if not isinstance(node, ast.ImportFrom):
                continue
            other = others.get((node.module or "").replace(".", "/"))
            for name in node.names:
                if other is not None and name.name in other._constants:
                    text = ast.Constant(other._text(other._constants[name.name]))
                    self._constants.setdefault(name.asname or name.name, text)

    def services(self) -> Iterator[str]:
        """The codes of the services that `shared.azure_failures` speaks for."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and _called(node) == "AzureService" and node.args:
                yield self._text(node.args[0])

    def conditions(self) -> Iterator[Condition]:
        """Everything that is built in this file."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Tuple):
                yield from self._pair(node)
            elif isinstance(node, ast.Call) and _called(node) != _OF_AUDITS:
                yield from self._call(node)

    def _pair(self, node: ast.Tuple) -> Iterator[Condition]:
        texts = [self._text(element) for element in node.elts]
        if len(texts) == 2 and _CODE.fullmatch(texts[0]) and texts[1].endswith("."):
            yield Condition(texts[0], STOPS, "", texts[1], self.name)

    def _call(self, node: ast.Call) -> Iterator[Condition]:
        given = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        texts = [self._text(argument) for argument in node.args]
        wrapper = self._wrappers.get(_called(node))
        if wrapper is not None:
            code = texts[wrapper.place] if wrapper.place < len(texts) else ""
            if _CODE.fullmatch(code):
                message = _after_code(texts) or wrapper.message
                yield Condition(code, wrapper.kind, message, wrapper.remedy, self.name)
            return
        remedy = self._text(given.get("remediation")) or _last(texts)
        if remedy and remedy != _UNKNOWN_YET:
            message = self._text(given.get("message")) or _after_code(texts)
            for code in self._codes(node, given):
                yield Condition(code, _kind(node), message, remedy, self.name)

    def _find_wrappers(self) -> Iterator[tuple[str, _Wrapper]]:
        for function in ast.walk(self._tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            names = [each.arg for each in function.args.args if each.arg != "self"]
            for node in ast.walk(function):
                if not isinstance(node, ast.Call) or not node.args or _called(node) == _OF_AUDITS:
                    continue
                code = node.args[0]
                remedy = next((k.value for k in node.keywords if k.arg == "remediation"), None)
                told = self._text(remedy) or _last([self._text(each) for each in node.args])
                if isinstance(code, ast.Name) and code.id in names and told not in ("", "…"):
                    message = self._text(node.args[1]) if len(node.args) > 1 else ""
                    wrapper = _Wrapper(names.index(code.id), _kind(node), message, told)
                    yield function.name, wrapper

    def _codes(self, node: ast.Call, given: dict[str, ast.expr]) -> Iterator[str]:
        # A row of a table that translates has the service's own code as `code` and ours in front.
        places = [*node.args[:2], *([given["code"]] if "code" in given else [])]
        for place in places:
            for option in _options(place):
                code = self._text(option)
                if code and _CODE.fullmatch(code):
                    yield code

    def _text(self, node: ast.expr | None) -> str:
        """What a text will be, as far as the source says."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else ""
        if isinstance(node, ast.JoinedStr):
            return "".join(
                str(part.value) if isinstance(part, ast.Constant) else self._filled_in(part)
                for part in node.values
            )
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return (self._text(node.left) or _UNKNOWN_YET) + (
                self._text(node.right) or _UNKNOWN_YET
            )
        if isinstance(node, ast.IfExp):
            return " / ".join(filter(None, (self._text(node.body), self._text(node.orelse))))
        if isinstance(node, ast.BoolOp):
            told = [self._text(value) for value in node.values]
            return " / ".join(text for text in told if text not in ("", _UNKNOWN_YET))
        if isinstance(node, ast.Name) and node.id in self._constants:
            return self._text(self._constants[node.id])
        if isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript):
            return _UNKNOWN_YET
        return ""

    def _filled_in(self, part: ast.expr) -> str:
        """What stands in the braces: a constant, or one of two texts, is known beforehand."""
        if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name | ast.IfExp):
            return self._text(part.value) or _UNKNOWN_YET
        return _UNKNOWN_YET


def _options(node: ast.expr) -> list[ast.expr]:
    return [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Name):
        return node.func.id
    return node.func.attr if isinstance(node.func, ast.Attribute) else ""


def _last(texts: list[str]) -> str:
    """A remedy that was given by position: the third of code, message and remedy, or the last
    whole sentence."""
    if len(texts) == 3 and _CODE.fullmatch(texts[0]) and " " in texts[2]:
        return texts[2]
    return next((text for text in reversed(texts) if " " in text and text.endswith(".")), "")


def _after_code(texts: list[str]) -> str:
    """The message that was given by position: the text after the code, unless it is the remedy."""
    for code, message in pairwise(texts):
        if _CODE.fullmatch(code) and not message.endswith(".") and " " in message:
            return message
    return ""


def _kind(node: ast.Call) -> str:
    name = _called(node)
    if name in _KINDS:
        return _KINDS[name]
    waits = any(isinstance(argument, ast.Name) and argument.id == "_WAIT" for argument in node.args)
    patient = any(
        keyword.arg in ("waits", "waits_young") and isinstance(keyword.value, ast.Constant)
        for keyword in node.keywords
        if keyword.arg
    )
    return WAITS if waits or patient else STOPS


def as_markdown() -> str:
    """The page."""
    parts = [_INTRODUCTION]
    parts += [f"- *{kind}*: {meaning}" for kind, meaning in _MEANINGS.items()]
    for code, told in groupby(conditions(), key=lambda condition: condition.code):
        ways = list(told)
        kinds = ", ".join(sorted({way.kind for way in ways}))
        parts.append(f"\n## `{code.replace(_UNKNOWN_YET, '<service>')}`\n")
        parts.append(f"*{kinds}* · {', '.join(f'`{name}`' for name in _places(ways))}\n")
        for message in dict.fromkeys(way.message for way in ways if way.message):
            parts.append(f"- What happened: {message}")
        for remedy in dict.fromkeys(way.remedy for way in ways):
            parts.append(f"- What to do: {_plain(remedy)}")
        if code in entries():
            found = entries()[code]
            parts.append(
                f"- As a finding of an audit ([findings.md](findings.md#{code})): {found.title}."
                f" {_plain(found.fix)}"
            )
    return "\n".join(parts) + "\n"


def _plain(text: str) -> str:
    """Markdown takes "<id>" for a tag."""
    return text.replace("<", "\\<")


def _places(ways: list[Condition]) -> list[str]:
    return sorted({way.module for way in ways})
