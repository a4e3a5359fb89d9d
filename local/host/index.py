"""The list of an app's functions, checked as the Functions host and its worker check it.

What this host cannot run (another trigger, another binding, a retry policy on the function) is
refused instead of ignored, so that a green run here means that all of the app was hosted.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from azure.functions.decorators.function_app import Function, FunctionRegister

from local.host.annotations import check_annotations
from local.host.loading import IndexingError
from local.host.routing import Route, TemplateError

HTTP, TIMER, QUEUE, EVENT_GRID = "httpTrigger", "timerTrigger", "queueTrigger", "eventGridTrigger"
ORCHESTRATION, ACTIVITY = "orchestrationTrigger", "activityTrigger"

_TRIGGERS = (HTTP, TIMER, QUEUE, EVENT_GRID, ORCHESTRATION, ACTIVITY)
_OTHERS = ("http", "queue", "durableClient")
_RETURN = "$return"


@dataclass(frozen=True)
class IndexedFunction:
    """One function: its trigger, its other bindings and the code."""

    name: str
    kind: str
    #: bindings as in `function.json`, app settings (`%NAME%`) resolved
    bindings: tuple[Mapping[str, Any], ...]
    code: Callable[..., Any]
    #: whether the code wants the invocation context
    wants_context: bool
    route: Route | None = None
    #: `anonymous`, `function` or `admin`; for HTTP only
    auth_level: str = "function"

    @property
    def trigger(self) -> Mapping[str, Any]:
        """Binding of the trigger."""
        return next(each for each in self.bindings if each["type"] == self.kind)

    @property
    def is_async(self) -> bool:
        """Whether it runs on the event loop (else in a thread)."""
        return inspect.iscoroutinefunction(self.code)

    @property
    def durable_name(self) -> str:
        """Name under which an orchestrator or activity is called."""
        key = "orchestration" if self.kind == ORCHESTRATION else "activity"
        return str(self.trigger.get(key) or self.name)

    def outputs(self) -> list[Mapping[str, Any]]:
        """Output bindings."""
        return [each for each in self.bindings if each["direction"] == "OUT"]


def index_app(
    app: FunctionRegister, environ: Mapping[str, str], route_prefix: str
) -> list[IndexedFunction]:
    """All functions of an app.

    Raises:
        IndexingError: two functions of one name or one route, a parameter without binding, a
            binding without parameter, an annotation the worker refuses, a trigger or binding this
            host does not have, a missing app setting.
    """
    try:
        functions = app.get_functions()
    except ValueError as error:
        raise IndexingError(str(error)) from error
    indexed = [_one(function, environ, route_prefix) for function in functions]
    _check_clashes(indexed)
    return indexed


def _one(function: Function, environ: Mapping[str, str], route_prefix: str) -> IndexedFunction:
    name = str(function.get_function_name())
    bindings = tuple(
        _resolved(name, json.loads(raw), environ) for raw in function.get_raw_bindings()
    )
    kind = str(getattr(function.get_trigger(), "type", None))
    _check_supported(name, function, kind, bindings)
    code = function.get_user_function()
    wants_context = _check_parameters(name, code, bindings)
    check_annotations(name, code, {str(each["name"]): each for each in bindings})
    trigger = next(each for each in bindings if each["type"] == kind)
    route = None
    if kind == HTTP:
        methods = frozenset(str(method).upper() for method in trigger.get("methods") or ())
        try:
            route = Route(f"{route_prefix}/{str(trigger['route']).strip('/')}", methods)
        except TemplateError as error:
            raise IndexingError(f"{name}: {error}") from error
    level = str(trigger.get("authLevel") or "function").lower()
    return IndexedFunction(name, kind, bindings, code, wants_context, route, level)


def _resolved(name: str, binding: dict[str, Any], environ: Mapping[str, str]) -> Mapping[str, Any]:
    def setting(found: re.Match[str]) -> str:
        if found[1] not in environ:
            raise IndexingError(f"{name}: app setting '{found[1]}' does not exist")
        return environ[found[1]]

    return {
        key: re.sub(r"%([^%\s]+)%", setting, value) if isinstance(value, str) else value
        for key, value in binding.items()
    }


def _check_supported(
    name: str, function: Function, kind: str, bindings: Sequence[Mapping[str, Any]]
) -> None:
    if kind not in _TRIGGERS:
        raise IndexingError(f"{name}: a {kind} is not supported by this host")
    for binding in bindings:
        if binding["type"] not in (kind, *_OTHERS):
            raise IndexingError(f"{name}: binding {binding['type']} is not supported by this host")
    if function.get_setting("retry_policy") is not None:
        raise IndexingError(f"{name}: a retry policy on a function is not supported by this host")


def _check_parameters(
    name: str, code: Callable[..., Any], bindings: Sequence[Mapping[str, Any]]
) -> bool:
    wanted = set(inspect.signature(code).parameters)
    bound = {str(binding["name"]) for binding in bindings} - {_RETURN}
    wants_context = "context" in wanted and "context" not in bound
    unbound = wanted - bound - ({"context"} if wants_context else set())
    if hasattr(code, "orchestrator_function"):
        unbound = set()  # the SDK's handle names its parameter `context`, whatever the user did
        return False
    if unbound:
        raise IndexingError(f"{name}: parameters without binding: {', '.join(sorted(unbound))}")
    if bound - wanted:
        missing = ", ".join(sorted(bound - wanted))
        raise IndexingError(f"{name}: bindings without parameter: {missing}")
    return wants_context


def _check_clashes(functions: Sequence[IndexedFunction]) -> None:
    seen: list[IndexedFunction] = []
    for function in functions:
        for other in seen:
            if function.name.lower() == other.name.lower():
                raise IndexingError(f"two functions are called '{function.name}'")
            if function.route and other.route and function.route.clashes(other.route):
                raise IndexingError(
                    f"{function.name}: the route conflicts with the route of '{other.name}'"
                )
        seen.append(function)
