"""The report on all tenants as a page for people: who needs somebody, and what most have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from shared.audit.fleet_report import FleetReport, title_of
from shared.audit.rendering.html_page import (
    alert,
    code,
    colour_of,
    page,
    section,
    severity_badge,
    status_badge,
    table,
    tiles,
    when,
)
from shared.audit.rendering.markup import Child, Markup, element
from shared.audit.rendering.words import listed, many, moment
from shared.audit.report import AuditReport, AuditStatus
from shared.models import Severity

NAMED = 3
"""Kinds of findings that are named for each tenant; its own report has the others."""

_WORST_FIRST = (AuditStatus.FAILED, AuditStatus.FINDINGS, AuditStatus.CLEAN)


def fleet_html(fleet: FleetReport) -> bytes:
    """The page, in UTF-8."""
    standing = fleet.standing
    colours = {colour_of(report) for report in fleet.reports}
    worst = next((status.value for status in _WORST_FIRST if status in colours), "unknown")
    return page(
        "Permission audits of all tenants",
        standing=worst,
        header=[
            element("p", "Microsoft 365 permission audits", class_="over"),
            element("h1", many(standing.total, "tenant")),
            element("p", element("span", _verdict(fleet), class_="verdict"), class_="standing"),
        ],
        main=list(_main(fleet)),
        footer=[
            element("p", f"Made {moment(fleet.created_at)}, from the newest audit of each tenant"),
            element("p", "Mondoo Microsoft 365 onboarding"),
        ],
    )


def _verdict(fleet: FleetReport) -> str:
    """The report in a sentence."""
    standing = fleet.standing
    if standing.total == 0:
        return "No tenant was onboarded yet."
    if standing.clean == standing.total:
        return "All of them are clean."
    parts = [
        f"{number:,} {words[number != 1]}"
        for number, words in (
            (standing.failed, ("could not be audited", "could not be audited")),
            (standing.findings, ("has findings", "have findings")),
            (standing.clean, ("is clean", "are clean")),
            (standing.not_audited, ("was never audited", "were never audited")),
        )
        if number
    ]
    return f"{listed(parts)}."


def _main(fleet: FleetReport) -> Iterator[Child]:
    for notice in fleet.notices:
        yield alert("Attention", element("p", notice))
    standing = fleet.standing
    yield tiles(
        [
            ("audit failed", standing.failed, "high"),
            ("with findings", standing.findings, "medium"),
            ("clean", standing.clean, "clean"),
            ("never audited", standing.not_audited, "info"),
        ]
    )
    if fleet.kinds:
        yield _kinds(fleet)
    if fleet.reports:
        yield _tenants(fleet)
    if fleet.not_audited:
        yield section(
            "not-audited",
            "Never audited",
            element(
                "ul",
                [
                    element(
                        "li",
                        element("b", tenant.display_name or tenant.initial_domain or "Unnamed"),
                        " ",
                        code(tenant.tenant_id),
                        element("span", f" ({tenant.state})", class_="quiet"),
                    )
                    for tenant in fleet.not_audited
                ],
                class_="plain",
            ),
        )


def _kinds(fleet: FleetReport) -> Markup:
    return section(
        "kinds",
        "What was found",
        table(
            "kinds",
            ("Severity", "Finding", "Tenants", "Findings"),
            [
                [
                    severity_badge(kind.severity),
                    [kind.title, " ", element("span", code(kind.code), class_="quiet")],
                    f"{kind.tenants:,}",
                    f"{kind.findings:,}",
                ]
                for kind in fleet.kinds
            ],
            numbers=("Tenants", "Findings"),
        ),
    )


def _tenants(fleet: FleetReport) -> Markup:
    return section(
        "tenants",
        "Tenants",
        table(
            "tenants",
            ("Tenant", "Standing", "Findings", "Certificate expires", "Audited"),
            [
                [
                    _name(report),
                    status_badge(report),
                    _found(report),
                    when(report.certificate_not_after, seen_from=report.finished_at, only_day=True)
                    if report.certificate_not_after
                    else "none",
                    when(report.finished_at),
                ]
                for report in fleet.reports
            ],
        ),
        intro="Those that need somebody most come first.",
    )


def _name(report: AuditReport) -> Child:
    return [
        element("b", report.display_name or report.initial_domain or "Unnamed"),
        element("span", report.initial_domain, class_="quiet line")
        if report.initial_domain and report.display_name
        else None,
        element("span", code(report.tenant_id), class_="quiet line"),
    ]


def _found(report: AuditReport) -> Child:
    """Counts by severity, then what it is."""
    if report.failure is not None and report.status is AuditStatus.FAILED:
        return [
            report.failure.message,
            " ",
            element("span", code(report.failure.code), class_="quiet"),
        ]
    if not report.findings:
        return element("span", "none", class_="quiet")
    counts = [
        element("span", f"{number} {severity.value}", class_=f"badge {severity.value}")
        for severity in Severity
        if (number := getattr(report.counts, severity.value))
    ]
    kinds = Counter(title_of(finding) for finding in report.findings)  # the gravest first
    named = [f"{title} ({number})" if number > 1 else title for title, number in kinds.items()]
    if len(named) > NAMED:
        named[NAMED:] = [f"and {len(named) - NAMED} more"]
    return [
        element("span", [[one, " "] for one in counts], class_="line"),
        element(
            "span",
            "; ".join(named),
            class_="quiet line",
        ),
    ]
