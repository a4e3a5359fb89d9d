"""Documents that are made from the code, so that they cannot say something else: ``make docs``."""

from __future__ import annotations

from pathlib import Path

from local.documents import permissions, runbook
from shared.audit import catalogue

FOLDER = Path(__file__).resolve().parents[2] / "docs"


def documents() -> dict[str, str]:
    """Each document by its name in docs/."""
    return {
        "findings.md": catalogue.as_markdown(),
        "permissions.md": permissions.as_markdown(),
        "runbook.md": runbook.as_markdown(),
    }


def write() -> int:
    """Write them all; the exit code."""
    for name, content in documents().items():
        (FOLDER / name).write_text(content, encoding="utf-8")
    return 0
