"""The frame of a report's page, and the pieces that a tenant's and the fleet's have in common.

One file, no script, nothing loaded from anywhere: the style is in the page, and a content security
policy that allows exactly this style keeps it so, in the page itself (it may be saved and mailed)
and as a header. Meaning is never in a colour alone, tables keep their roles where a narrow screen
shows them as blocks, and what is printed is black on white.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files

from shared.audit.rendering.markup import Child, Markup, element, joined
from shared.audit.rendering.words import STATUSES, day, from_then, moment, stamp
from shared.audit.report import AuditReport, AuditStatus
from shared.models import Counts, Severity


@cache
def _style() -> str:
    return (files("shared.audit.rendering") / "report.css").read_text("utf-8")


@cache
def security_policy() -> str:
    """The content security policy of a page: this style, and nothing else at all."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none';"
        " form-action 'none'"
    )


def page(
    title: str,
    *,
    standing: str,
    header: Child,
    main: Child,
    footer: Child,
    skip_to: str = "Skip to the report",
) -> bytes:
    """A whole page. ``standing`` gives it its colour; see `colour_of`."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=security_policy()),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        # Without one, browsers ask the server for an icon.
        element("link", rel="icon", href="data:,"),
        Markup(f"<style>{_style()}</style>"),
    )
    body = element(
        "body",
        element("a", skip_to, href="#report", class_="skip"),
        element("header", element("div", header, class_="wide"), class_="top"),
        element("main", main, id="report", class_="wide"),
        element("footer", footer, class_="wide"),
        class_=f"is-{standing}",
    )
    return ("<!DOCTYPE html>\n" + element("html", head, body, lang="en")).encode("utf-8", "replace")


def section(identifier: str, heading: str, *content: Child, intro: Child = None) -> Markup:
    """A part of the page with a heading of its own."""
    return element(
        "section",
        element("h2", heading, id=f"{identifier}-heading"),
        element("p", intro, class_="intro") if intro is not None else None,
        *content,
        id=identifier,
        aria_labelledby=f"{identifier}-heading",
    )


def severity_badge(severity: Severity) -> Markup:
    """A severity, in words and in its colour."""
    return element("span", severity.value, class_=f"badge {severity.value}")


def status_badge(report: AuditReport) -> Markup:
    """How a tenant stands."""
    return element("span", STATUSES[report.status], class_=f"badge is-{colour_of(report)}")


def colour_of(report: AuditReport) -> str:
    """The colour of a tenant, by the name of a status: grave findings look like a failed audit."""
    return (AuditStatus.FAILED if report.counts.high else report.status).value


def tiles(counted: list[tuple[str, int, str]]) -> Markup:
    """Numbers, each with what it counts and a class for its colour; zeros step back."""
    return element(
        "ul",
        [
            element(
                "li",
                element("b", f"{number:,}"),
                " ",
                element("span", label),
                class_=f"{kind} zero" if number == 0 else kind,
            )
            for label, number, kind in counted
        ],
        class_="tiles",
    )


def severity_tiles(counts: Counts) -> Markup:
    """Findings by severity."""
    return tiles(
        [(severity.value, getattr(counts, severity.value), severity.value) for severity in Severity]
    )


def facts(known: list[tuple[str, Child]], *, kind: str = "facts") -> Markup:
    """Names and what they stand for; those without a value are left out."""
    return element(
        "dl",
        [
            element("div", element("dt", name), element("dd", value))
            for name, value in known
            if value is not None
        ],
        class_=kind,
    )


def code(value: str) -> Markup:
    """An id, a code or a name, to be read letter by letter."""
    return element("code", value)


def when(at: datetime, *, seen_from: datetime | None = None, only_day: bool = False) -> Markup:
    """A time; with how far it is from another one."""
    if only_day:
        shown = element("time", day(at), datetime=stamp(at), class_="day")
    else:
        shown = element("time", moment(at), datetime=stamp(at))
    if seen_from is None:
        return shown
    return joined([shown, " ", element("span", f"({from_then(at, seen_from)})", class_="quiet")])


def table(
    identifier: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[Child]],
    *,
    numbers: Collection[str] = (),
    kind: str | None = None,
) -> Markup:
    """A table under the heading of section ``identifier``, which also names its style unless
    ``kind`` does.

    A narrow screen shows a row as a block with the headings at its side; roles are said, since
    browsers forget those of a table that is shown as something else.
    """

    def number(heading: str) -> str | None:
        return "number" if heading in numbers else None

    head = [
        element("th", heading, scope="col", role="columnheader", class_=number(heading))
        for heading in headings
    ]
    body = [
        element(
            "tr",
            [
                element(
                    "td",
                    element("div", content),
                    data_label=heading,
                    role="cell",
                    class_=number(heading),
                )
                for heading, content in zip(headings, row, strict=True)
            ],
            role="row",
        )
        for row in rows
    ]
    return element(
        "table",
        element("thead", element("tr", head, role="row"), role="rowgroup"),
        element("tbody", body, role="rowgroup"),
        role="table",
        aria_labelledby=f"{identifier}-heading",
        class_=kind or identifier,
    )


def alert(heading: str, *content: Child) -> Markup:
    """Something that must not be missed."""
    return element(
        "div", element("p", heading, class_="lead"), *content, class_="alert", role="note"
    )


def headers() -> dict[str, str]:
    """HTTP headers that say once more what the page says of itself."""
    return {
        "Content-Security-Policy": f"{security_policy()}; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
    }
