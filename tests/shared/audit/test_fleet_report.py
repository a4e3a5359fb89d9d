"""All tenants together: nobody drops out, and the order is that of need."""

from __future__ import annotations

from shared.audit.fleet_report import Kind, Standing, fleet_report
from shared.models import Counts, Severity
from tests.shared.audit.rendering import samples


def test_tenants_are_counted_by_how_they_stand() -> None:
    fleet = samples.fleet()
    assert fleet.standing == Standing(failed=1, findings=3, clean=5, not_audited=1)
    assert fleet.standing.total == 10
    assert fleet.counts == Counts(high=5, medium=3, low=1, info=1)


def test_the_order_is_failed_then_by_severity_then_by_name() -> None:
    names = [report.display_name for report in samples.fleet().reports]
    assert names[:4] == ["Fabrikam", "Contoso Ltd", "Alpine Ski House", "Northwind Traders"]
    assert names[4:] == ["Adatum", "Litware", "Proseware", "Tailspin Toys", "Wingtip"]


def test_kinds_count_tenants_and_findings_the_gravest_first() -> None:
    first, *others = samples.fleet().kinds
    assert first == Kind(
        code="permission_not_granted",
        title="A permission is declared, but not granted",
        severity=Severity.HIGH,
        tenants=2,
        findings=3,
    )
    severities = [list(Severity).index(kind.severity) for kind in others]
    assert severities == sorted(severities)


def test_a_tenant_without_a_report_is_listed_as_never_audited() -> None:
    fleet = fleet_report([], [samples.record(3)], now=samples.AT)
    assert [one.tenant_id for one in fleet.not_audited] == [samples.tenant_id(3)]
