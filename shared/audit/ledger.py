"""The life of each finding, from a tenant's audits: since when it is known, and since when gone.

This is what Mondoo is told after each audit. It follows from the reports that are kept and from
nothing else: a finding that is gone is told as fixed, at the time of the audit that saw it gone,
for as long as an audit that had it is kept. So an upload that failed, or whose outcome is unknown,
loses nothing; the next one says it again.

That a finding is not listed does not prove it gone. A failed audit has read nothing; and where one
finding keeps the audit from seeing others (of an application that is missing, no secret can be
found) those stay as they were. `HIDES` says which hides which.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from shared.audit.checks import azure, scan
from shared.audit.history import LEFT_OUT
from shared.audit.report import AuditReport, AuditStatus
from shared.models import Finding
from shared.mondoo.upload import Reported

_PERMISSIONS = frozenset(
    {"permission_missing", "permission_not_granted", "permission_not_declared"}
)
_SCANS = frozenset({"scan_overdue", "scan_message"})
_AZURE_SCANS = frozenset({"azure_scan_overdue"})
_INTEGRATION = _SCANS | {
    "integration_not_ours",
    "integration_error",
    "integration_paused",
    "integration_not_active",
    "integration_certificate_differs",
    "integration_authentication_differs",
    # Only the integration tells whose tokens are to be trusted.
    "federated_credential_missing",
}
_PRINCIPAL = frozenset(
    {
        "principal_not_ours",
        "principal_disabled",
        "principal_switched_off",
        "permission_not_granted",
        "grant_not_wanted",
        "grant_not_declared",
        "delegated_grant",
        "directory_role_missing",
        "directory_role_scoped",
        "directory_role_eligible",
        "directory_role_temporary",
        "directory_role_not_wanted",
        "directory_role_scheduled_not_wanted",
        "owner_unknown",
        "automation_not_owner",
    }
)
_APPLICATION = (
    _PRINCIPAL
    | _PERMISSIONS
    | {
        "application_not_ours",
        "application_disabled",
        "application_disabled_by_microsoft",
        "audience_too_wide",
        "redirect_uri",
        "principal_missing",
        "declaration_not_wanted",
        "certificate_unrecorded",
        "certificate_not_registered",
        "certificate_expired",
        "certificate_expiring",
        "certificate_unknown",
        "certificate_superseded",
        "certificate_clutter",
        "secret",
        "secret_expired",
        "federated_credential",
        "federated_credential_missing",
        "federated_credential_superseded",
    }
)

HIDES: dict[str, frozenset[str]] = {
    "application_missing": _APPLICATION,
    "application_deleted": _APPLICATION,
    "principal_missing": _PRINCIPAL,
    "resource_absent": _PERMISSIONS | {"app_role_absent"},
    "resource_disabled": _PERMISSIONS | {"app_role_absent"},
    "app_role_absent": _PERMISSIONS,
    "integration_missing": _INTEGRATION,
    "integration_paused": _SCANS,
    "azure_integration_missing": _AZURE_SCANS
    | {"azure_integration_paused", "azure_integration_certificate_differs"},
    "azure_integration_paused": _AZURE_SCANS,
    "not_checked": frozenset(
        {
            "delegated_grant",
            "directory_role_eligible",
            "directory_role_temporary",
            "directory_role_scheduled_not_wanted",
            "owner_unknown",
            "automation_not_owner",
        }
    ),
}
"""By the code of a finding: the codes of those that are not seen while it stands."""


def ledger(reports: Iterable[AuditReport]) -> list[Reported]:
    """Every finding of these audits of one tenant, standing ones first, in the order they came.

    What an audit found and corrected by itself is in it too, as fixed by that audit.
    """
    known: dict[str, Reported] = {}
    for report in sorted(reports, key=lambda one: one.started_at):
        if report.status is AuditStatus.FAILED:
            continue
        standing = {_key(finding) for finding in report.findings}
        codes = {finding.code for finding in report.findings}
        hidden = frozenset().union(*(HIDES.get(code, frozenset()) for code in codes))
        seen = ((report.found, report.started_at), (report.findings, report.finished_at))
        for finding, at in ((one, at) for findings, at in seen for one in findings):
            before = known.get(_key(finding))
            if finding.code != LEFT_OUT:
                known[_key(finding)] = Reported(finding, before.first_seen if before else at, at)
        if LEFT_OUT in codes:
            continue  # anything may be among those that were too many to keep
        for key, one in known.items():
            if key not in standing and one.fixed_at is None and not _is_hidden(one.finding, hidden):
                known[key] = replace(one, fixed_at=report.finished_at)
    return sorted(known.values(), key=lambda one: one.fixed_at is not None)


def _is_hidden(finding: Finding, hidden: frozenset[str]) -> bool:
    """Whether it may still stand, unseen: itself, or as what a scan told us that is not read."""
    key = _key(finding)
    return (
        finding.code in hidden
        or (scan.MARK in key and hidden >= _SCANS)
        or (azure.MARK in key and hidden >= _AZURE_SCANS)
    )


def _key(finding: Finding) -> str:
    return finding.key or f"{finding.code}:{finding.subject}"
