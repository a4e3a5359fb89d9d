"""NCRONTAB expressions, checked when the app starts.

The Functions host reads six fields (second, minute, hour, day, month, day of week) with lists,
ranges, steps and English names. A schedule that it cannot read would only show when the host
refuses the function, so the settings check it first. Only the form is checked here; when a schedule
fires is the host's business.

Source: Azure Functions, timer trigger, "NCRONTAB expressions".
"""

from __future__ import annotations

import re

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)
_PART = re.compile(r"(?P<low>\*|\w+)(?:-(?P<high>\w+))?(?:/(?P<step>\d+))?")


def problem_with(expression: str) -> str | None:
    """What is wrong with an expression, as a phrase; None when nothing is."""
    fields = expression.split()
    if len(fields) != len(_FIELDS):
        return f"has {len(fields)} fields instead of six (second minute hour day month weekday)"
    for text, (name, low, high, names) in zip(fields, _FIELDS, strict=True):
        for part in text.split(","):
            if not _is_part(part, low, high, names):
                return f"has {part[:20]!r} as {name}"
    return None


def _is_part(part: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    match = _PART.fullmatch(part)
    if match is None or (match["step"] is not None and int(match["step"]) < 1):
        return False
    if match["low"] == "*":
        return match["high"] is None
    bounds = [_number(match[side], low, high, names) for side in ("low", "high") if match[side]]
    known = [bound for bound in bounds if bound is not None]
    return len(known) == len(bounds) and known == sorted(known)


def _number(text: str, low: int, high: int, names: tuple[str, ...]) -> int | None:
    if text.isdecimal():
        return int(text) if low <= int(text) <= high else None
    name = text.lower()[:3]
    return low + names.index(name) if name in names else None
