"""Azure: Mondoo's integration for the tenant's subscriptions is there, has our certificate, scans.

Looked at where an onboarding made one. Reader is not looked up in Azure, where an audit need have
no rights: what the scan says of it counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from shared.audit.checks.integration import GONE, given_certificate
from shared.audit.checks.scan import told_by_scan
from shared.audit.deviations import Deviation, deviation
from shared.coverage.azure import azure_statement
from shared.models import TenantRecord
from shared.mondoo.integrations import Integration

MARK = ":azure-scan:"
"""In the key of a finding, it says that a scan of Azure is what told us."""


def azure(
    found: Integration | None,
    record: TenantRecord,
    known: Collection[str],
    *,
    now: datetime,
    overdue: timedelta,
) -> Iterator[Deviation]:
    """What is wrong with the Azure integration and its last scan; ``known`` are the codes that the
    audit came to itself."""
    mrn = record.azure_integration
    if mrn is None:
        return
    if found is None or found.status in GONE:
        yield deviation(
            "azure_integration_missing", mrn, f"the tenant has no Azure integration ({mrn})"
        )
        return
    given = given_certificate(found)
    if record.certificate is not None and given not in (None, record.certificate.thumbprint):
        yield deviation(
            "azure_integration_certificate_differs",
            found.mrn,
            f"Mondoo's Azure integration was given the certificate {given}, and"
            f" {record.certificate.thumbprint} is on record",
        )
    if found.paused:
        yield deviation("azure_integration_paused", mrn, f"integration {found.name!r} is paused")
        return
    finished = found.scan_finished
    since = finished or found.created
    if since is not None and now - since > overdue:
        when = f"at {finished:%Y-%m-%d %H:%M} UTC" if finished is not None else "never"
        yield deviation("azure_scan_overdue", found.mrn, f"the last scan of Azure finished {when}")
    told = azure_statement(found, (), (), empty=False).findings
    yield from told_by_scan(told, known, MARK)
