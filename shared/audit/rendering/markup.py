"""HTML that is escaped because of how it is made.

`element` makes an element of a name, attributes and children. Text is escaped wherever it comes
from; only what an `element` made (a `Markup`) passes as it is. There is no other way to make one in
this package, so no name that a stranger chose can become markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import TypeAlias


class Markup(str):
    """A piece of HTML that is complete and safe."""

    __slots__ = ()


Child: TypeAlias = "str | Iterable[Child] | None"
"""Text, an element, any number of either, or nothing."""

_VOID = frozenset({"meta", "link", "br", "hr", "img"})
# Characters that HTML does not allow even escaped; a name in a directory may hold them.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def text(content: str) -> Markup:
    """Text, escaped for the inside of an element or of an attribute in quotes."""
    return Markup(escape(_FORBIDDEN.sub("\ufffd", content)))


def element(name: str, /, *children: Child, **attributes: str | None) -> Markup:
    """An element. An attribute that is None is left out; ``class_`` and ``for_`` lose the
    underscore, and other underscores are hyphens (``aria_label``)."""
    start = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{start}>")
    return Markup(f"<{name}{start}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Markup:
    """Children one after the other."""
    return Markup("".join(_markup(child) for child in children))


def _markup(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return text(child)
    return joined(child)
