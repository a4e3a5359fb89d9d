"""The Azure CLI, as the hooks of azd use it. Plain Python, since a deployer installs nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import Any


class CallFailed(Exception):
    """The Azure CLI said no; the text is its own."""


def az(*arguments: str) -> Any:
    """The JSON answer of one call; None when it has none.

    Raises:
        CallFailed: the CLI is missing, or ended with an error.
    """
    program = shutil.which("az")
    if program is None:
        raise CallFailed("the Azure CLI (az) is not installed")
    done = subprocess.run(
        [program, *arguments, "--output", "json"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CallFailed(done.stderr.strip() or f"az {arguments[0]} ended with {done.returncode}")
    return json.loads(done.stdout) if done.stdout.strip() else None


def needed(name: str) -> str:
    """A value that azd keeps in its environment after `azd provision`; ends the hook without it."""
    value = os.environ.get(name, "").strip()
    if not value:
        sys.exit(f"{name} is not set. Run this by azd (azd hooks run …), after azd provision.")
    return value


def chosen(name: str) -> bool:
    """Whether a choice of the azd environment is on."""
    return os.environ.get(name, "").strip().lower() in ("true", "yes", "1")


def agreed(question: str) -> bool:
    """Whether a person at the keyboard says yes; no keyboard is a no."""
    if not sys.stdin.isatty():
        return False
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
