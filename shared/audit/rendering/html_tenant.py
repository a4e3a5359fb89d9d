"""One tenant's report as a page for people.

It answers in the order in which one asks: how does the tenant stand, what can Mondoo not scan, what
is wrong and what to do, what was changed. Findings of one kind stand together, so that reason and
fix are said once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from shared.audit.catalogue import EVERYTHING, entries
from shared.audit.fleet_report import title_of
from shared.audit.rendering.html_page import (
    alert,
    code,
    colour_of,
    facts,
    page,
    section,
    severity_badge,
    severity_tiles,
    status_badge,
    table,
    when,
)
from shared.audit.rendering.markup import Child, Markup, element
from shared.audit.rendering.words import (
    CORRECTIONS,
    COVERAGE,
    OUTCOMES,
    POLICIES,
    action,
    many,
)
from shared.audit.report import AuditReport, AuditStatus, Change, Gap
from shared.coverage.messages import NAMES
from shared.models import Finding, Outcome, RepairPolicy


def tenant_html(report: AuditReport) -> bytes:
    """The page, in UTF-8."""
    name = report.display_name or report.initial_domain or report.tenant_id
    return page(
        f"Permission audit of {name}",
        standing=colour_of(report),
        header=_header(report, name),
        main=list(_main(report)),
        footer=element("p", "Mondoo Microsoft 365 onboarding"),
    )


def _header(report: AuditReport, name: str) -> Child:
    return [
        element("p", "Microsoft 365 permission audit", class_="over"),
        element("h1", name),
        element(
            "p",
            [code(report.initial_domain), " "] if report.initial_domain else None,
            code(report.tenant_id),
            class_="ids",
        ),
        element(
            "p",
            status_badge(report),
            " ",
            element("span", _verdict(report), class_="verdict"),
            class_="standing",
        ),
    ]


def _verdict(report: AuditReport) -> str:
    """The report in a sentence or two."""
    if report.status is AuditStatus.FAILED:
        return "The tenant could not be audited; nothing is known about it now."
    corrected = sum(change.outcome is Outcome.CHANGED for change in report.changes)
    failed = sum(change.outcome in (Outcome.FAILED, Outcome.UNKNOWN) for change in report.changes)
    said = []
    if report.status is AuditStatus.CLEAN:
        said.append("Nothing is missing and nothing is too much.")
    elif any(gap.not_scanned == EVERYTHING for gap in report.gaps):
        said.append(f"{EVERYTHING}.")
    elif report.gaps:
        said.append(f"{many(len(report.gaps), 'thing')} cannot be scanned.")
    else:
        said.append("Everything can be scanned, and something needs attention.")
    if corrected:
        said.append(f"This audit made {many(corrected, 'correction')}.")
    if failed:
        said.append(f"{many(failed, 'correction')} did not succeed.")
    return " ".join(said)


def _main(report: AuditReport) -> Iterator[Child]:
    if report.failure is not None:
        yield alert(
            _what_went_wrong(report),
            element("p", report.failure.message),
            element("p", element("b", "Fix: "), report.failure.remediation),
            element("p", code(report.failure.code), class_="quiet"),
        )
    if report.status is not AuditStatus.FAILED:
        yield severity_tiles(report.counts)
    yield _facts(report)
    if report.gaps:
        yield _gaps(report)
    if report.coverage:
        yield _coverage(report)
    if report.findings:
        yield _findings(report)
    elif report.status is not AuditStatus.FAILED:
        yield element("p", "No findings.", class_="none")
    if report.changes:
        yield _changes(report)
    if report.unread:
        yield section(
            "unread",
            "What was not read",
            element(
                "ul",
                [
                    element("li", element("b", each.aspect), ": ", each.why)
                    for each in report.unread
                ],
                class_="plain",
            ),
        )
    yield _references(report)


def _what_went_wrong(report: AuditReport) -> str:
    if report.status is AuditStatus.FAILED:
        return "The audit failed"
    if report.rights_missing:
        return "Nothing was put right"
    return "The audit did not come to its end"


def _references(report: AuditReport) -> Markup:
    """Ids, for those who look something up."""
    named = [
        ("Operation", report.operation_id),
        ("Tenant", report.tenant_id),
        ("Application", report.app_id),
        ("Mondoo space", report.space),
        ("Mondoo integration", report.integration),
    ]
    return section(
        "references",
        "References",
        facts([(name, code(value)) for name, value in named if value], kind="references"),
    )


def _facts(report: AuditReport) -> Markup:
    expires, scanned = report.certificate_not_after, report.scan_finished
    at = report.finished_at
    return facts(
        [
            ("Audited", when(at)),
            (
                "Certificate expires",
                when(expires, seen_from=at, only_day=True) if expires else None,
            ),
            ("Last Mondoo scan", when(scanned, seen_from=at) if scanned else None),
            ("Permission list", report.manifest),
            ("Policy", POLICIES[report.policy]),
        ]
    )


def _gaps(report: AuditReport) -> Markup:
    titles = {finding.key or finding.code: finding for finding in report.findings}

    def because(gap: Gap) -> Child:
        found = [titles[key] for key in gap.findings if key in titles]
        links = dict.fromkeys((one.code, title_of(one)) for one in found)
        return [
            [", " if number else None, element("a", title, href=f"#{kind}")]
            for number, (kind, title) in enumerate(links)
        ]

    return section(
        "gaps",
        "What Mondoo cannot scan",
        element(
            "ul",
            [
                element(
                    "li",
                    element("b", gap.not_scanned),
                    element("span", "Because: ", because(gap), class_="because"),
                )
                for gap in report.gaps
            ],
            class_="gaps",
        ),
    )


def _coverage(report: AuditReport) -> Markup:
    return section(
        "coverage",
        "What the last scan covers",
        table(
            "coverage",
            ("Service", "Scanned", "Because"),
            [
                [
                    NAMES[each.service],
                    COVERAGE[each.state],
                    "; ".join(
                        f"{', '.join(cause.subjects)}: {cause.message}"
                        if cause.subjects
                        else cause.message
                        for cause in each.causes
                    ),
                ]
                for each in report.coverage
            ],
        ),
    )


def _findings(report: AuditReport) -> Markup:
    kinds: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        kinds[finding.code].append(finding)
    tried = {change.finding: change for change in report.changes}
    return section(
        "findings",
        "Findings",
        [_kind(report.policy, found, tried) for found in kinds.values()],
    )


def _kind(policy: RepairPolicy, found: Sequence[Finding], tried: dict[str, Change]) -> Markup:
    first = found[0]
    return element(
        "article",
        element(
            "h3",
            severity_badge(first.severity),
            " ",
            title_of(first),
            element("span", f" ({len(found)})", class_="quiet") if len(found) > 1 else None,
        ),
        element("p", first.reason) if first.reason else None,
        element(
            "ul",
            [_one(finding, tried.get(finding.key or finding.code)) for finding in found],
            class_="subjects",
        ),
        element(
            "p", element("b", "Fix: "), first.remediation, _automatic(first, policy), class_="fix"
        ),
        element("p", code(first.code), class_="quiet"),
        id=first.code,
        class_=f"kind {first.severity.value}",
    )


def _one(finding: Finding, change: Change | None) -> Markup:
    return element(
        "li",
        _told(finding),
        element("p", _not_scanned(finding.not_scanned), class_="gap")
        if finding.not_scanned
        else None,
        element(
            "p",
            element("b", CORRECTIONS[change.outcome], class_=f"outcome {change.outcome.value}"),
            f": {change.message}",
            element("span", change.remediation, class_="line") if change.remediation else None,
            class_="tried",
        )
        if change is not None and change.outcome is not Outcome.PASSED
        else None,
    )


def _not_scanned(part: str) -> str:
    return f"{EVERYTHING}." if part == EVERYTHING else f"Not scanned: {part}"


def _told(finding: Finding) -> Child:
    """What it is about and what is the matter; the subject once, where the message names it."""
    before, subject, after = finding.message.partition(finding.subject)
    if subject:
        return element("p", before, element("b", subject), after)
    return [element("p", element("b", finding.subject)), element("p", finding.message)]


def _automatic(finding: Finding, policy: RepairPolicy) -> str | None:
    """Which milder or stricter policy would have an audit correct this by itself."""
    entry = entries().get(finding.code)
    if entry is None or entry.repairable.under(policy):
        return None
    stricter = [one for one in RepairPolicy if entry.repairable.under(one)]
    return f" An audit with policy {stricter[0]} corrects it by itself." if stricter else None


def _changes(report: AuditReport) -> Markup:
    return section(
        "changes",
        "What this audit would change" if report.would_change else "What this audit changed",
        table(
            "changes",
            ("Outcome", "Correction", "Object", "Result"),
            [
                [
                    element("span", OUTCOMES[each.outcome], class_=f"outcome {each.outcome.value}"),
                    action(each.action),
                    each.subject,
                    [each.message, f" {each.remediation}" if each.remediation else None],
                ]
                for each in report.changes
            ],
        ),
    )
