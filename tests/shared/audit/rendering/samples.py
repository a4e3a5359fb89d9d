"""Reports as they occur: tenants that are clean, drifted, corrected, broken and out of reach."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from shared.audit.deviations import deviation
from shared.audit.fleet_report import FleetReport, fleet_report
from shared.audit.report import (
    Action,
    AuditReport,
    AuditStatus,
    Change,
    Counts,
    Failure,
    Unread,
    count,
    gaps_in,
    status_of,
)
from shared.models import (
    Finding,
    Outcome,
    RepairPolicy,
    TenantRecord,
    operation_id,
)
from shared.transitions import TenantState

AT = datetime(2026, 11, 24, 5, 0, 12, tzinfo=UTC)
TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
GRAPH = "00000003-0000-0000-c000-000000000000"
APP = "5d1b8f3c-2a47-4e0b-9b61-0c8a7f9d2e14"


def tenant_id(number: int) -> str:
    return f"{number:08x}-5f0b-4b9a-8d6b-3d7f0b6f2c77"


def missing(name: str, without_it: str, code: str = "permission_not_granted") -> Finding:
    return deviation(
        code,
        f"{name} (Microsoft Graph)",
        f"{name} is wanted and declared, and not granted",
        identity=f"{GRAPH}/{name}",
        not_scanned=without_it,
    ).finding


def drift() -> list[Finding]:
    """Findings of every severity, several of one kind."""
    return [
        missing("Policy.Read.All", "conditional access and authorization policies"),
        missing("Domain.Read.All", "SPF and DKIM records of the domains"),
        deviation(
            "secret",
            "ci-pipeline",
            "client secret 'ci-pipeline', valid until 3 Mar 2027, was added by hand",
            identity="0b7f6e55-9d57-4cf9-8a21-0d9b8f1f7c11",
        ).finding,
        deviation(
            "owner_unknown",
            "Adele Vance",
            "Adele Vance (user 5f0f3c1a-7f44-4b0e-a5c2-f2a2f1f0b9d3) owns the application",
            identity="application:5f0f3c1a-7f44-4b0e-a5c2-f2a2f1f0b9d3",
        ).finding,
        deviation(
            "certificate_expiring",
            "B41D0C9E77A25F3380F1A64E9C5D2B7708E3F6A1",
            "the certificate expires on 12 Dec 2026",
        ).finding,
        deviation(
            "resource_absent",
            "Microsoft Exchange Online Protection",
            "Microsoft Exchange Online Protection is not in this tenant",
            identity="00000007-0000-0ff1-ce00-000000000000",
            not_scanned="data loss prevention policies",
        ).finding,
        deviation(
            "certificate_clutter",
            "mondoo-onboarding 2025",
            "a certificate that expired on 2 Jan 2026 is still registered",
            identity="d4f1",
        ).finding,
        deviation(
            "manifest_outdated",
            "quick-setup",
            "the manifest is quick-setup; 2026-09 adds 21 permissions",
            identity="2026-09",
        ).finding,
    ]


def audit(*findings: Finding, **changes: Any) -> AuditReport:
    """An audit that ended with these findings."""
    tenant = changes.get("tenant_id", TENANT)
    plain = AuditReport(
        tenant_id=tenant,
        operation_id=operation_id(tenant, AT),
        status=status_of(findings),
        policy=RepairPolicy.REPAIR,
        manifest="quick-setup",
        started_at=AT,
        finished_at=AT + timedelta(seconds=2.345),
        counts=count(findings),
        display_name="Contoso Ltd",
        initial_domain="contoso.onmicrosoft.com",
        space="//captain.api.mondoo.app/spaces/contoso-m365",
        app_id=APP,
        integration="//integration.api.mondoo.app/spaces/contoso-m365/integrations/2kX9v",
        certificate_not_after=datetime(2026, 12, 12, tzinfo=UTC),
        scan_finished=AT - timedelta(hours=7),
        findings=list(findings),
        found=list(findings),
        gaps=gaps_in(findings),
    )
    return msgspec.structs.replace(plain, **changes)


def clean(**changes: Any) -> AuditReport:
    return audit(certificate_not_after=datetime(2027, 9, 1, tzinfo=UTC), **changes)


def drifted() -> AuditReport:
    """Drift of every severity, some of which was corrected and one correction of which failed."""
    standing = drift()
    corrected = [
        missing("Organization.Read.All", "Microsoft Teams"),
        deviation(
            "principal_disabled",
            f"service principal of application {APP}",
            "the service principal is disabled",
        ).finding,
    ]
    return audit(
        *standing,
        found=[*corrected, *standing],
        changes=[
            Change(
                Action.MEND_PRINCIPAL,
                corrected[1].subject,
                corrected[1].key or "",
                Outcome.CHANGED,
                "it is enabled again",
            ),
            Change(
                Action.GRANT_PERMISSION,
                corrected[0].subject,
                corrected[0].key or "",
                Outcome.CHANGED,
                "it is granted",
            ),
            Change(
                Action.GRANT_PERMISSION,
                standing[0].subject,
                standing[0].key or "",
                Outcome.FAILED,
                "could not grant Policy.Read.All in tenant "
                f"{TENANT}: Insufficient privileges to complete the operation.",
                "graph_forbidden",
                "Give our automation AppRoleAssignment.ReadWrite.All, with admin consent.",
            ),
        ],
        unread=[
            Unread(
                "eligible directory roles",
                "the tenant has no licence for it, so there is nothing to read",
            )
        ],
    )


def failed(**changes: Any) -> AuditReport:
    """A tenant that could not be read."""
    values: dict[str, Any] = {
        "status": AuditStatus.FAILED,
        "counts": Counts(),
        "display_name": "Fabrikam",
        "initial_domain": "fabrikam.onmicrosoft.com",
        "scan_finished": None,
        "failure": Failure(
            "sign_in_consent_missing",
            "tenant has withdrawn its consent to our automation (AADSTS65001)",
            "Ask an administrator of the tenant to consent again.",
        ),
    }
    return audit(**(values | changes))


def broken() -> AuditReport:
    """Nothing can be scanned."""
    return audit(
        deviation(
            "application_missing", f"application {APP}", f"application {APP} does not exist"
        ).finding,
        display_name="Northwind Traders",
        initial_domain="northwind.onmicrosoft.com",
    )


def record(number: int, **changes: Any) -> TenantRecord:
    plain = TenantRecord(
        tenant_id=tenant_id(number),
        state=TenantState.ONBOARDED,
        operation_id=operation_id(tenant_id(number), AT),
        updated_at=AT,
    )
    return msgspec.structs.replace(plain, **changes)


def of_tenant(report: AuditReport, number: int, **changes: Any) -> AuditReport:
    """The same report, of another tenant."""
    return msgspec.structs.replace(
        report,
        tenant_id=tenant_id(number),
        operation_id=operation_id(tenant_id(number), AT),
        **changes,
    )


def fleet(**changes: Any) -> FleetReport:
    """A tenant of each sort, and one that was never audited."""
    names = ("Adatum", "Litware", "Proseware", "Tailspin Toys", "Wingtip")
    reports = [
        *(of_tenant(clean(), number, display_name=name) for number, name in enumerate(names)),
        of_tenant(drifted(), 10),
        of_tenant(failed(), 11),
        of_tenant(broken(), 12),
        of_tenant(audit(drift()[0]), 13, display_name="Alpine Ski House"),
    ]
    records = [record(number) for number in (0, 1, 2, 3, 4, 10, 11, 12, 13)]
    records.append(
        record(14, state=TenantState.WAITING, display_name="Woodgrove Bank", initial_domain="w.x")
    )
    made = fleet_report(reports, records, now=AT + timedelta(hours=1))
    return msgspec.structs.replace(made, **changes)
