"""What an audit found, as labels of the tenant's Mondoo integration.

Whoever looks at the integration in Mondoo sees when it was last audited, how that ended and what to
look up. Labels are texts. An update replaces all of them, so `with_audit_labels` keeps every other
label, and drops one of ours that has no value any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from shared.models import Finding, Severity

PREFIX = "audit-"
"""Labels that start like this belong to the newest audit."""


def audit_labels(
    *,
    status: str,
    at: datetime,
    operation_id: str,
    findings: Iterable[Finding],
    manifest: str | None,
    certificate_expires: datetime | None,
) -> dict[str, str]:
    """The labels of one audit: ``status`` is its own word, ``findings`` are those that are left.

    Every severity has its count, also when it is zero: a label that is missing would say nothing.
    """
    counts = dict.fromkeys(Severity, 0)
    for finding in findings:
        counts[finding.severity] += 1
    labels = {
        f"{PREFIX}status": status,
        f"{PREFIX}time": _time(at),
        f"{PREFIX}operation": operation_id,
        **{f"{PREFIX}findings-{severity}": str(count) for severity, count in counts.items()},
    }
    if manifest is not None:
        labels[f"{PREFIX}manifest"] = manifest
    if certificate_expires is not None:
        labels[f"{PREFIX}certificate-expires"] = _time(certificate_expires)
    return labels


def with_audit_labels(present: Mapping[str, str], audit: Mapping[str, str]) -> dict[str, str]:
    """All labels an integration should have: ``present`` with those of the newest audit."""
    others = {name: value for name, value in present.items() if not name.startswith(PREFIX)}
    return {**others, **audit}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
