"""Reports as JUnit XML: for pipelines, and for `cnspec upload --format junit`.

A tenant is a suite, and every kind of finding is a case, so that a pipeline sees what was checked
and not only what is wrong; with all tenants in one file, cases that passed are left out, or there
would be fifty for each. The names are made of ids alone (tenant id, code, key of the finding):
they stay the same from run to run, whatever a tenant is called, and so does the id that cnspec
derives from suite, class and name.

JUnit has no severities. ``high`` is an error and ``medium`` a failure, which cnspec takes for high
and medium; ``low`` and ``info`` are skipped with their message: seen, but no reason to stop a
pipeline. An audit that failed is an error in a case of its own, and says nothing of the others.

Source: the JUnit XML schema of Apache Ant and Jenkins; mondoohq/cnspec, junit converter.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import UTC
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from shared.audit.catalogue import entries
from shared.audit.fleet_report import FleetReport, NotAudited, title_of
from shared.audit.rendering.words import stamp
from shared.audit.report import AuditReport, AuditStatus
from shared.models import Finding, Severity

NAME = "mondoo-onboarding.audit"
CASE_TAGS = {
    Severity.HIGH: "error",
    Severity.MEDIUM: "failure",
    Severity.LOW: "skipped",
    Severity.INFO: "skipped",
}

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write."""


def tenant_junit(report: AuditReport) -> bytes:
    """One tenant's report."""
    return _document([_suite(report, entries())])


def fleet_junit(fleet: FleetReport) -> bytes:
    """All tenants: a suite each, those that were never audited too."""
    suites = [_suite(report, ()) for report in fleet.reports]
    suites += [_not_audited(tenant) for tenant in fleet.not_audited]
    return _document(suites)


def _document(suites: Iterable[Element]) -> bytes:
    root = Element("testsuites", name=NAME)
    root.extend(suites)
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ElementTree.indent(root)
    body: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return body


def _suite(report: AuditReport, checked: Collection[str]) -> Element:
    """A tenant's suite; ``checked`` are the codes that have a case also without a finding."""
    started, ended = report.started_at, report.finished_at
    suite = Element(
        "testsuite",
        name=f"{NAME} {report.tenant_id}",
        timestamp=f"{started.astimezone(UTC):%Y-%m-%dT%H:%M:%S}",
        time=f"{(ended - started).total_seconds():.3f}",
    )
    _properties(suite, report)
    audit = _case(suite, "audit", "audit")
    if report.failure is not None:
        failure = report.failure
        _result(
            audit,
            "error",
            failure.code,
            failure.message,
            [failure.message, f"Fix: {failure.remediation}"],
        )
    if report.status is not AuditStatus.FAILED:
        _checks(suite, report, checked)
    if report.changes:
        lines = [
            f"{change.outcome.value}: {change.action.value}: {change.subject}: {change.message}"
            for change in report.changes
        ]
        SubElement(suite, "system-out").text = _legal("\n".join(lines))
    return _counted(suite)


def _properties(suite: Element, report: AuditReport) -> None:
    properties = {
        "tenantId": report.tenant_id,
        "tenantName": report.display_name,
        "initialDomain": report.initial_domain,
        "status": report.status.value,
        "operationId": report.operation_id,
        "policy": report.policy.value,
        "manifest": report.manifest,
        "certificateNotAfter": (
            stamp(report.certificate_not_after) if report.certificate_not_after else None
        ),
        "scanFinished": stamp(report.scan_finished) if report.scan_finished else None,
    }
    listed = SubElement(suite, "properties")
    for name, value in properties.items():
        if value is not None:
            SubElement(listed, "property", name=name, value=_legal(value))


def _checks(suite: Element, report: AuditReport, checked: Collection[str]) -> None:
    """A case for each finding, and one that passed for each other code in ``checked``."""
    by_code: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        by_code[finding.code].append(finding)
    for code in dict.fromkeys((*checked, *by_code)):
        if code not in by_code:
            _case(suite, code, code)
        for finding in by_code[code]:
            message = f"{title_of(finding)}: {finding.subject}"
            details = [
                finding.message,
                finding.reason,
                f"Not scanned: {finding.not_scanned}" if finding.not_scanned else None,
                f"Fix: {finding.remediation}",
            ]
            case = _case(suite, code, finding.key or f"{code}:{finding.subject}")
            _result(case, CASE_TAGS[finding.severity], finding.severity.value, message, details)


def _not_audited(tenant: NotAudited) -> Element:
    suite = Element("testsuite", name=f"{NAME} {tenant.tenant_id}")
    message = f"the tenant was never audited; it is {tenant.state}"
    _result(_case(suite, "audit", "audit"), "skipped", "not_audited", message, [])
    return _counted(suite)


def _case(suite: Element, code: str, name: str) -> Element:
    return SubElement(suite, "testcase", classname=f"{NAME}.{code}", name=_legal(name), time="0")


def _result(
    case: Element, tag: str, kind: str, message: str, details: Iterable[str | None]
) -> None:
    result = SubElement(case, tag, type=kind, message=_legal(message))
    result.text = _legal("\n".join(one for one in details if one)) or None


def _counted(suite: Element) -> Element:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(sum(case.find(tag) is not None for case in cases)))
    return suite


def _legal(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
