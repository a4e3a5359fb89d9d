"""Mondoo's side: the integration is there, active, has our certificate and scans.

What its last scan said is read by `shared.audit.checks.scan`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from shared.audit.deviations import Deviation, deviation
from shared.models import MARK_LABEL, TenantRecord
from shared.mondoo.integrations import THUMBPRINT_LABEL, Integration

_WORKING = frozenset({"ACTIVE", "WARNING"})
GONE = frozenset({"DELETED", "MISSING"})


def given_certificate(integration: Integration | None) -> str | None:
    """The thumbprint of the certificate that Mondoo has, as its label tells."""
    return integration.labels.get(THUMBPRINT_LABEL) if integration is not None else None


def integration(
    found: Integration | None, record: TenantRecord, *, now: datetime, overdue: timedelta
) -> Iterator[Deviation]:
    """What is wrong with the integration and its last scan."""
    if found is None or found.status in GONE:
        shown = record.integration or "none was ever made"
        yield deviation(
            "integration_missing",
            record.integration or f"tenant {record.tenant_id}",
            f"the tenant has no integration in Mondoo ({shown})",
        )
        return
    if found.labels.get(MARK_LABEL[0]) != MARK_LABEL[1]:
        yield deviation(
            "integration_not_ours", found.mrn, f"integration {found.name!r} lacks our label"
        )
    yield from _status(found)
    keyless = record.keyless
    given = given_certificate(found)
    if found.keyless is not keyless:
        ways = ("with a certificate", "without a key")
        yield deviation(
            "integration_authentication_differs",
            found.mrn,
            f"Mondoo signs in {ways[found.keyless]}, and {record.authentication} is on record",
        )
    elif record.certificate is not None and given not in (None, record.certificate.thumbprint):
        yield deviation(
            "integration_certificate_differs",
            found.mrn,
            f"Mondoo was given the certificate {given}, and {record.certificate.thumbprint} is on"
            " record",
        )
    if not found.paused:
        yield from _scans(found, now, overdue)


def _status(found: Integration) -> Iterator[Deviation]:
    if found.paused:
        yield deviation("integration_paused", found.mrn, f"integration {found.name!r} is paused")
    elif found.status == "ERROR":
        yield deviation("integration_error", found.mrn, f"integration {found.name!r} is in error")
    elif found.status not in _WORKING:
        yield deviation(
            "integration_not_active",
            found.mrn,
            f"the status of integration {found.name!r} is {found.status}",
        )


def _scans(found: Integration, now: datetime, overdue: timedelta) -> Iterator[Deviation]:
    finished = found.scan_finished
    since = finished or found.created
    if since is not None and now - since > overdue:
        when = f"at {finished:%Y-%m-%d %H:%M} UTC" if finished is not None else "never"
        yield deviation("scan_overdue", found.mrn, f"the last scan finished {when}")
