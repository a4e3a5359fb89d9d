"""Reports as JUnit XML: what a pipeline counts, and names that stay."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import msgspec

from shared.audit.catalogue import entries
from shared.audit.fleet_report import fleet_report
from shared.audit.rendering.junit_xml import CASE_TAGS, fleet_junit, tenant_junit
from shared.audit.report import AuditReport, Failure
from shared.models import Severity
from tests.shared.audit.rendering import samples


def suite_of(report: AuditReport) -> Element:
    (suite,) = ElementTree.fromstring(tenant_junit(report))
    return suite


def case(suite: Element, code: str) -> Element:
    (found,) = suite.findall(f"testcase[@classname='mondoo-onboarding.audit.{code}']")
    return found


def names(suite: Element) -> set[tuple[str | None, str | None]]:
    return {(one.get("classname"), one.get("name")) for one in suite.findall("testcase")}


def test_every_kind_of_finding_is_a_case_that_passed_or_cases_that_did_not() -> None:
    suite = suite_of(samples.clean())
    assert len(suite.findall("testcase")) == len(entries()) + 1
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "0", "0")
    drifted = suite_of(samples.drifted())
    assert len(drifted.findall("testcase")) == len(entries()) + 2
    assert (drifted.get("failures"), drifted.get("errors"), drifted.get("skipped")) == (
        "3",
        "3",
        "2",
    )


def test_severities_are_told_apart_as_far_as_junit_can() -> None:
    assert set(CASE_TAGS) == set(Severity)
    suite = suite_of(samples.drifted())
    secret = case(suite, "secret").find("error")
    assert secret is not None
    assert secret.get("type") == "high"
    assert secret.get("message") == "The application has a client secret: ci-pipeline"
    assert "Fix: " in (secret.text or "")
    assert case(suite, "owner_unknown").find("failure") is not None
    assert case(suite, "certificate_clutter").find("skipped") is not None


def test_names_depend_on_ids_alone_and_no_two_are_the_same() -> None:
    report = samples.drifted()
    renamed = msgspec.structs.replace(
        report,
        display_name="New name",
        findings=[
            msgspec.structs.replace(one, subject="renamed", message="other")
            for one in report.findings
        ],
    )
    assert names(suite_of(renamed)) == names(suite_of(report))
    assert suite_of(renamed).get("name") == f"mondoo-onboarding.audit {samples.TENANT}"
    assert len(names(suite_of(report))) == len(suite_of(report).findall("testcase"))


def test_a_failed_audit_is_an_error_and_says_nothing_of_the_checks() -> None:
    suite = suite_of(samples.failed())
    (only,) = suite.findall("testcase")
    error = only.find("error")
    assert error is not None
    assert error.get("type") == "sign_in_consent_missing"
    assert suite.get("errors") == "1"


def test_an_audit_that_broke_off_has_its_checks_and_the_error() -> None:
    failure = Failure("graph_unreachable", "m", "r")
    suite = suite_of(msgspec.structs.replace(samples.drifted(), failure=failure))
    assert case(suite, "audit").find("error") is not None
    assert suite.get("errors") == "4"


def test_what_was_changed_is_in_the_output_and_facts_are_properties() -> None:
    suite = suite_of(samples.drifted())
    assert "changed: grant-permission: Organization.Read.All" in (
        suite.findtext("system-out") or ""
    )
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert properties["policy"] == "repair"
    assert properties["tenantName"] == "Contoso Ltd"
    assert suite.get("time") == "2.345"


def test_the_fleet_has_a_suite_for_each_tenant_and_adds_up() -> None:
    root = ElementTree.fromstring(fleet_junit(samples.fleet()))
    assert len(root) == 10
    sizes = sorted(len(suite.findall("testcase")) for suite in root)
    assert sizes == [1, 1, 1, 1, 1, 1, 1, 2, 2, 9], "those that passed are left out"
    for count in ("tests", "failures", "errors", "skipped"):
        assert root.get(count) == str(sum(int(suite.get(count, "0")) for suite in root))
    (waiting,) = (one for one in root if samples.tenant_id(14) in one.get("name", ""))
    assert waiting.get("skipped") == "1"
    assert len(ElementTree.fromstring(fleet_junit(fleet_report([], [], now=samples.AT)))) == 0


def test_any_text_can_be_written() -> None:
    hostile = "]]> <a b='c'> \x00\x0b\ufffe\ud800 \"&amp; Söhne"
    finding = msgspec.structs.replace(
        samples.drift()[0], subject=hostile, message=hostile, key=hostile
    )
    suite = suite_of(samples.audit(finding, display_name=hostile))
    error = case(suite, "permission_not_granted").find("error")
    assert error is not None
    assert "Söhne" in (error.text or "")
    assert "]]> <a b='c'>" in (error.text or "")
