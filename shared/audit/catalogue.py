"""What an audit can find: ``catalogue.json``, and the page of documentation made from it.

A finding's code, severity, reason and fix are data, so that the code which compares only says where
a deviation is and what it looks like there. Run as a program, this writes ``docs/findings.md``:

    python -m shared.audit.catalogue docs/findings.md
"""

from __future__ import annotations

import sys
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec
from msgspec import Struct

from shared.models import RepairPolicy, Severity

EVERYTHING = "Nothing of this tenant can be scanned"
"""What cannot be scanned because of a finding that breaks the connection as a whole."""


class Repairable(StrEnum):
    """The mildest policy under which an audit corrects a finding by itself."""

    NONE = "none"
    REPAIR = "repair"
    ENFORCE = "enforce"

    def under(self, policy: RepairPolicy) -> bool:
        """Whether this policy corrects it."""
        if policy is RepairPolicy.ENFORCE:
            return self is not Repairable.NONE
        return policy is RepairPolicy.REPAIR and self is Repairable.REPAIR


class Entry(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A kind of finding. ``breaks_everything``: as long as it stands, nothing can be scanned."""

    code: str
    severity: Severity
    title: str
    reason: str
    fix: str
    repairable: Repairable
    breaks_everything: bool = False


class Group(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Kinds of findings about one thing, under one heading."""

    title: str
    entries: tuple[Entry, ...]


@cache
def groups() -> tuple[Group, ...]:
    """The whole catalogue, in the order of its file."""
    content = (files("shared.audit") / "catalogue.json").read_bytes()
    return msgspec.json.decode(content, type=tuple[Group, ...])


@cache
def entries() -> dict[str, Entry]:
    """Every kind of finding by its code."""
    return {entry.code: entry for group in groups() for entry in group.entries}


def entry_of(code: str) -> Entry:
    """The kind of finding with this code; KeyError when the catalogue has none."""
    return entries()[code]


_CORRECTED = {
    Repairable.NONE: "by a person",
    Repairable.REPAIR: "by the audit under `repair` and `enforce`",
    Repairable.ENFORCE: "by the audit under `enforce`",
}

_INTRODUCTION = """\
# Findings of an audit

*Generated from `shared/audit/catalogue.json` by `python -m shared.audit.catalogue`; do not edit.*

An audit compares a tenant with what it should be and reports every difference as a finding. Each
kind of finding has a code that never changes its meaning. Severities: `high` (scans fail, or the
application can be abused), `medium` (part of the scans fails, or soon will), `low` (clutter that
hides more important things), `info` (good to know).

Depending on the policy of the tenant, an audit corrects findings by itself: `report` corrects
nothing, `repair` adds what is missing and enables what is disabled, `enforce` also removes what is
too much. Objects without our mark are never changed.
"""


def as_markdown() -> str:
    """The page of documentation."""
    parts = [_INTRODUCTION]
    for group in groups():
        parts.append(f"## {group.title}\n")
        for entry in group.entries:
            parts.append(f"### `{entry.code}`\n")
            parts.append(f"**{entry.title}** · {entry.severity}\n")
            parts.append(
                entry.reason + (f" {EVERYTHING}." if entry.breaks_everything else "") + "\n"
            )
            fix = entry.fix.replace("<", "\\<")  # else Markdown takes it for a tag
            parts.append(f"- Fix: {fix}")
            parts.append(f"- Corrected {_CORRECTED[entry.repairable]}.\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(as_markdown(), encoding="utf-8")
