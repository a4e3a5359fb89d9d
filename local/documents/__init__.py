"""Files that are made from the code, so that they cannot say something else: ``make docs``."""

from __future__ import annotations

from pathlib import Path

from local.documents import example_settings, permissions, runbook
from shared.audit import catalogue

ROOT = Path(__file__).resolve().parents[2]


def documents() -> dict[str, str]:
    """Each file by its path in the repository."""
    return {
        "docs/findings.md": catalogue.as_markdown(),
        "docs/permissions.md": permissions.as_markdown(),
        "docs/runbook.md": runbook.as_markdown(),
        "local.settings.example.json": example_settings.as_json(),
    }


def write() -> int:
    """Write them all; the exit code."""
    for name, content in documents().items():
        (ROOT / name).write_text(content, encoding="utf-8")
    return 0
