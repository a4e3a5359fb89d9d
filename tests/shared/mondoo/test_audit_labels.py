"""Labels of an audit, and that the platform keeps them beside the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from shared.models import Finding, Severity
from shared.mondoo import integrations
from shared.mondoo.audit_labels import audit_labels, with_audit_labels
from shared.mondoo.client import MondooClient

AT = datetime(2026, 11, 24, 6, 0, 0, 123456, tzinfo=timezone(timedelta(hours=1)))


def findings(*severities: Severity) -> list[Finding]:
    return [
        Finding(code="c", severity=one, subject="s", message="m", remediation="r")
        for one in severities
    ]


def labels(*severities: Severity, manifest: str | None = "2026-09") -> dict[str, str]:
    return audit_labels(
        status="findings",
        at=AT,
        operation_id="o.1",
        findings=findings(*severities),
        manifest=manifest,
        certificate_expires=datetime(2027, 2, 1, tzinfo=UTC) if manifest else None,
    )


def test_labels_tell_status_time_operation_counts_manifest_and_expiry() -> None:
    assert labels(Severity.HIGH, Severity.LOW, Severity.HIGH) == {
        "audit-status": "findings",
        "audit-time": "2026-11-24T05:00:00Z",
        "audit-operation": "o.1",
        "audit-findings-high": "2",
        "audit-findings-medium": "0",
        "audit-findings-low": "1",
        "audit-findings-info": "0",
        "audit-manifest": "2026-09",
        "audit-certificate-expires": "2027-02-01T00:00:00Z",
    }


def test_labels_of_others_stay_and_those_of_the_audit_before_go() -> None:
    present = {"managed-by": "mondoo-onboarding", "team": "blue", **labels(Severity.HIGH)}
    now = with_audit_labels(present, labels(manifest=None))
    assert now["team"] == "blue"
    assert now["managed-by"] == "mondoo-onboarding"
    assert now["audit-findings-high"] == "0"
    assert "audit-certificate-expires" not in now


async def test_mondoo_shows_the_labels_as_they_were_sent(
    client: MondooClient, space: str, tenant: str, app: str
) -> None:
    await integrations.create(
        client,
        space,
        name="Contoso",
        tenant_id=tenant,
        app_id=app,
        pem="x",
        labels={"team": "blue"},
    )
    (made,) = await integrations.find(client, space, tenant_id=tenant, app_id=app)
    wanted = with_audit_labels(made.labels, labels(Severity.MEDIUM))
    await integrations.update(client, made, name=made.name, pem="x", labels=wanted)
    assert (await integrations.read(client, made.mrn)).labels == wanted
