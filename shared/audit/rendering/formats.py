"""Which format a report is wanted in, and the report in it.

`chosen` reads a request (``?format=`` goes before ``Accept``), `rendered` makes the answer. Every
format is of the same report; only HTML rounds times and leaves out ids that nobody reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from shared.audit.fleet_report import FleetReport
from shared.audit.rendering.csv_table import fleet_csv, tenant_csv
from shared.audit.rendering.html_fleet import fleet_html
from shared.audit.rendering.html_page import headers as page_headers
from shared.audit.rendering.html_tenant import tenant_html
from shared.audit.rendering.junit_xml import fleet_junit, tenant_junit
from shared.audit.report import AuditReport
from shared.media_types import negotiated


class Format(StrEnum):
    """How a report can be had."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"
    JUNIT = "junit"


MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
    Format.HTML: "text/html",
    Format.JUNIT: "application/xml",
}
_ACCEPTED = {
    **{media_type: chosen for chosen, media_type in MEDIA_TYPES.items()},
    "text/xml": Format.JUNIT,
    "application/*": Format.JSON,
    "text/*": Format.HTML,
    "*/*": Format.JSON,
}
_EXTENSIONS = {Format.JSON: "json", Format.CSV: "csv", Format.HTML: "html", Format.JUNIT: "xml"}


@dataclass(frozen=True)
class Rendered:
    """A report as it is sent. ``headers`` go with it, besides the content type."""

    content_type: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def chosen(asked: str | None, accept: str | None) -> Format:
    """The format of a request: what ``?format=`` says, or what ``Accept`` likes best, or JSON.

    Raises:
        InvalidRequest: ``format_unknown``; `asked` is not a format, or nothing that is accepted is.
    """
    return negotiated(asked, accept, Format, _ACCEPTED, "a report")


def rendered(report: AuditReport | FleetReport, wanted: Format) -> Rendered:
    """The report in a format."""
    name = "fleet-audit" if isinstance(report, FleetReport) else f"audit-{report.tenant_id}"
    charset = "" if wanted is Format.JSON else "; charset=utf-8"
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Content-Disposition": (
            f"{'attachment' if wanted is Format.CSV else 'inline'}; "
            f'filename="{name}.{_EXTENSIONS[wanted]}"'
        ),
    }
    if wanted is Format.HTML:
        headers |= page_headers()
    return Rendered(f"{MEDIA_TYPES[wanted]}{charset}", _body(report, wanted), headers)


def _body(report: AuditReport | FleetReport, wanted: Format) -> bytes:
    if wanted is Format.JSON:
        return msgspec.json.encode(report)
    if isinstance(report, FleetReport):
        fleet = {Format.CSV: fleet_csv, Format.HTML: fleet_html, Format.JUNIT: fleet_junit}
        return fleet[wanted](report)
    tenant = {Format.CSV: tenant_csv, Format.HTML: tenant_html, Format.JUNIT: tenant_junit}
    return tenant[wanted](report)
