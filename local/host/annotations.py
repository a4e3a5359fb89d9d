"""Checks annotations of functions as the Python worker does when it loads an app.

The worker reads type hints and refuses to load a function whose parameter is annotated with
anything but a class or a generic of `typing`: `dict[str, Any]`, `list[str]` and `str | None` stop
the whole app in Azure. The converter of a binding must accept the class, too. Here they stop it as
well.
(Source: `validate_function_params` in azure-functions-runtime 1.3.)
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from typing import Any

from azure.functions import Context, Out
from azure.functions._thirdparty.typing_inspect import is_generic_type
from azure.functions.meta import get_binding_registry

from local.host.loading import IndexingError

_RETURN = "$return"


def check_annotations(
    name: str, code: Callable[..., Any], bindings: Mapping[str, Mapping[str, Any]]
) -> None:
    """Check a function's hints against its bindings (by name of the parameter).

    Raises:
        IndexingError: if the worker would not load it.
    """
    try:
        hints = typing.get_type_hints(code)
    except NameError as error:
        raise IndexingError(f"{name}: an annotation cannot be resolved: {error}") from error
    for parameter, hint in hints.items():
        if parameter in bindings:
            _check_parameter(f"{name}: binding {parameter}", hint, bindings[parameter])
    if "context" in hints and "context" not in bindings and hints["context"] is not Context:
        raise IndexingError(f"{name}: the context parameter is no azure.functions.Context")
    if _RETURN in bindings and "return" in hints:
        hint = hints["return"]
        if not isinstance(hint, type):
            raise IndexingError(f"{name}: invalid non-type return annotation {hint!r}")
        _check_converter(name, "output", str(bindings[_RETURN]["type"]), hint)


def _check_parameter(where: str, hint: Any, binding: Mapping[str, Any]) -> None:
    is_out_binding = binding["direction"] == "OUT"
    is_out_hint = typing.get_origin(hint) is Out
    if is_out_binding != is_out_hint:
        wanted = "azure.functions.Out" if is_out_binding else "no azure.functions.Out"
        raise IndexingError(f"{where}: the annotation must be {wanted}")
    kind = typing.get_args(hint)[0] if is_out_hint else hint
    if not isinstance(kind, type) and not is_generic_type(kind):  # type: ignore[no-untyped-call]
        raise IndexingError(f"{where} has invalid non-type annotation {hint!r}")
    if kind in (str, bytes):
        return  # any binding can be had as text or bytes
    _check_converter(where, "output" if is_out_hint else "input", str(binding["type"]), kind)


def _check_converter(where: str, direction: str, binding: str, kind: Any) -> None:
    converter = get_binding_registry().get(binding)  # type: ignore[no-untyped-call]
    if not getattr(converter, f"check_{direction}_type_annotation")(kind):
        raise IndexingError(f"{where}: annotation {kind!r} does not fit binding type {binding}")
