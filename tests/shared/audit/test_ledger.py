"""The life of findings across audits."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from shared.audit.catalogue import entries
from shared.audit.deviations import deviation
from shared.audit.history import LEFT_OUT
from shared.audit.ledger import HIDES, ledger
from shared.audit.report import AuditReport
from shared.models import Finding
from shared.mondoo.upload import Reported
from tests.shared.audit.rendering import samples

SECRET = next(one for one in samples.drift() if one.code == "secret")
GRANT = samples.drift()[0]


def day(number: int) -> datetime:
    return samples.AT + timedelta(days=number)


def on(number: int, *findings: Finding, found: list[Finding] | None = None) -> AuditReport:
    return samples.audit(
        *findings,
        started_at=day(number),
        finished_at=day(number) + timedelta(seconds=5),
        found=list(findings) if found is None else found,
    )


def end(number: int) -> datetime:
    return day(number) + timedelta(seconds=5)


def test_a_finding_is_known_since_it_was_seen_first_and_seen_last_by_the_newest_audit() -> None:
    assert ledger([on(2, SECRET), on(0, SECRET), on(1, SECRET)]) == [
        Reported(SECRET, day(0), end(2))
    ]


def test_a_finding_that_is_gone_is_fixed_since_the_audit_that_saw_it_gone() -> None:
    reports = [on(0, SECRET, GRANT), on(1, GRANT), on(2, GRANT)]
    assert ledger(reports) == [
        Reported(GRANT, day(0), end(2)),
        Reported(SECRET, day(0), end(0), end(1)),
    ]


def test_a_finding_that_comes_back_stands_again_and_keeps_its_first_day() -> None:
    assert ledger([on(0, SECRET), on(1), on(2, SECRET)]) == [Reported(SECRET, day(0), end(2))]


def test_what_an_audit_corrected_by_itself_is_fixed_by_it() -> None:
    assert ledger([on(0, found=[SECRET])]) == [Reported(SECRET, day(0), day(0), end(0))]


def test_a_failed_audit_fixes_nothing() -> None:
    failed = samples.failed(started_at=day(1), finished_at=end(1))
    assert ledger([on(0, SECRET), failed]) == [Reported(SECRET, day(0), end(0))]


@pytest.mark.parametrize(
    "code", ["application_missing", "application_deleted", "not_checked", "integration_missing"]
)
def test_what_another_finding_hides_is_not_taken_for_fixed(code: str) -> None:
    hidden = min(HIDES[code])
    before = deviation(hidden, "s", "m").finding
    hiding = deviation(code, "s", "m").finding
    told = ledger([on(0, before, GRANT), on(1, hiding)])
    by_code = {one.finding.code: one for one in told}
    assert by_code[hidden].fixed_at is None
    assert by_code[hidden].last_seen == end(0)
    assert by_code[code].fixed_at is None


@pytest.mark.parametrize(
    ("hiding", "scan"),
    [
        ("integration_missing", "scan"),
        ("integration_paused", "scan"),
        ("azure_integration_missing", "azure-scan"),
        ("azure_integration_paused", "azure-scan"),
    ],
)
def test_what_a_scan_told_is_not_taken_for_fixed_while_no_scan_can_be_read(
    hiding: str, scan: str
) -> None:
    told = deviation("certificate_not_registered", "s", "m", identity=f"{scan}:connection").finding
    seen = deviation("certificate_not_registered", "s", "m", identity="ABC").finding
    reports = [on(0, told, seen), on(1, deviation(hiding, "s", "m").finding)]
    fixed = {one.finding.key: one.fixed_at for one in ledger(reports)}
    assert fixed[told.key] is None
    assert fixed[seen.key] == end(1)


def test_a_report_that_left_findings_out_fixes_nothing() -> None:
    left_out = Finding(LEFT_OUT, SECRET.severity, "report", "m", "r", key=LEFT_OUT)
    assert ledger([on(0, SECRET), on(1, left_out)]) == [Reported(SECRET, day(0), end(0))]


def test_without_audits_there_is_nothing_to_tell() -> None:
    assert ledger([]) == []


def test_everything_that_hides_or_is_hidden_is_in_the_catalogue() -> None:
    assert set(HIDES) <= set(entries())
    assert frozenset().union(*HIDES.values()) <= set(entries())
    assert all(code not in hidden for code, hidden in HIDES.items())


def test_without_its_integration_nothing_is_known_of_how_mondoo_signs_in() -> None:
    assert {
        "integration_authentication_differs",
        "integration_certificate_differs",
        "federated_credential_missing",
    } <= HIDES["integration_missing"]
    assert "azure_integration_certificate_differs" in HIDES["azure_integration_missing"]
