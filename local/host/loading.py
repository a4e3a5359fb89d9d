"""Loads `function_app.py` as the Python worker does: once, from its folder, finding the app object.

The environment is the one given, nothing of the caller's shines through; it is put back after
loading. A product that reads `os.environ` later than at load would see the caller's.
Modules the app imports are imported once per process and kept; only the script itself is new at
every load.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from azure.functions.decorators.function_app import FunctionRegister


class IndexingError(Exception):
    """The app cannot be hosted: the real host would not list (all of) its functions."""


def load_app(script: Path, environ: Mapping[str, str]) -> tuple[ModuleType, FunctionRegister]:
    """A script as a new module, and its app object.

    Raises:
        IndexingError: if there is no app object, or more than one.
        Exception: whatever the script raises.
    """
    spec = importlib.util.spec_from_file_location("function_app", script)
    if spec is None or spec.loader is None:
        raise IndexingError(f"{script} is no Python script")
    module = importlib.util.module_from_spec(spec)
    with _environment(environ), _import_path(script.parent):
        spec.loader.exec_module(module)
    apps = {id(each): each for each in vars(module).values() if isinstance(each, FunctionRegister)}
    if len(apps) != 1:
        raise IndexingError(f"{script.name} has {len(apps)} function apps, not one")
    return module, next(iter(apps.values()))


@contextmanager
def _environment(environ: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _import_path(folder: Path) -> Iterator[None]:
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)
