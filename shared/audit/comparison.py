"""What is, compared with what should be. Pure: no I/O, no clock, no settings.

The single checks are in `shared.audit.checks`; here is which of them make sense for what was seen:
consequences of a missing application or service principal are not listed one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.audit.checks import (
    application,
    azure,
    credentials,
    integration,
    permissions,
    roles,
    scan,
)
from shared.audit.coverage import access_in
from shared.audit.deviations import Deviation, deviation
from shared.audit.observation import Observation
from shared.entra.inventory import Aspect, Inventory, Why
from shared.manifest import Manifest, load_manifest, manifest_names
from shared.models import Finding, Severity, TenantRecord

_RANK = {severity: rank for rank, severity in enumerate(Severity)}
_READ_RIGHTS = {
    Aspect.DELEGATED_GRANTS: "DelegatedPermissionGrant.Read.All",
    Aspect.ELIGIBLE_ROLES: "RoleEligibilitySchedule.Read.Directory",
    Aspect.TIMED_ROLES: "RoleAssignmentSchedule.Read.Directory",
}


@dataclass(frozen=True)
class Limits:
    """From when on a date is a finding: how long before a certificate's end, how long after a
    scan."""

    certificate_warning: timedelta = timedelta(days=30)
    scan_overdue: timedelta = timedelta(hours=48)


DEFAULT_LIMITS = Limits()


def compare(
    observation: Observation,
    record: TenantRecord,
    manifest: Manifest,
    *,
    now: datetime,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Finding]:
    """Every finding, the gravest first, in an order that depends on nothing but the findings."""
    found = deviations(observation, record, manifest, now=now, limits=limits)
    return [each.finding for each in found]


def deviations(
    observation: Observation,
    record: TenantRecord,
    manifest: Manifest,
    *,
    now: datetime,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Deviation]:
    """`compare`, with what a correction of each would change."""
    found = list(_all(observation, record, manifest, now, limits))
    if record.app_id is not None:
        known = {each.finding.code for each in found}
        keyless = record.keyless
        access = access_in(observation.inventory, manifest, keyless=keyless)
        found += scan.scan(observation.integration, manifest, access, known)
        found += azure.azure(observation.azure, record, known, now=now, overdue=limits.scan_overdue)
    return sorted(found, key=lambda each: _order(each.finding))


def _order(finding: Finding) -> tuple[int, str, str, str]:
    return _RANK[finding.severity], finding.code, finding.subject, finding.key or ""


def _all(
    observation: Observation,
    record: TenantRecord,
    manifest: Manifest,
    now: datetime,
    limits: Limits,
) -> Iterator[Deviation]:
    inventory = observation.inventory
    yield from permissions.resources(inventory, manifest)
    yield from _manifest_age(manifest)
    yield from _unread(inventory)
    if record.app_id is None:
        yield deviation(
            "never_onboarded",
            record.display_name or record.tenant_id,
            f"tenant {record.tenant_id} is {record.state} and has no application",
        )
        return
    yield from _of_application(observation, record, manifest, now, limits)
    keyless = record.keyless
    yield from credentials.vault(
        None if keyless else record.certificate,
        observation.certificate,
        own=observation.own_certificate,
    )
    yield from integration.integration(
        observation.integration, record, now=now, overdue=limits.scan_overdue
    )


def _of_application(
    observation: Observation,
    record: TenantRecord,
    manifest: Manifest,
    now: datetime,
    limits: Limits,
) -> Iterator[Deviation]:
    inventory = observation.inventory
    app_id = record.app_id or ""
    yield from application.application(inventory, app_id)
    app, principal = inventory.application, inventory.principal
    if app is None:
        return
    yield from application.principal(principal, app_id)
    yield from application.owners(app, principal, inventory.our_object_id)
    yield from permissions.permissions(inventory, manifest, app.application, principal)
    keyless = record.keyless
    yield from credentials.certificates(
        app,
        record.certificate,
        observation.certificate,
        integration.given_certificate(observation.integration),
        now=now,
        warning=limits.certificate_warning,
        rotating=record.rotation.thumbprints if record.rotation is not None else (),
        keyless=keyless,
    )
    yield from credentials.secrets(app, now=now)
    yield from credentials.federated(app, observation.federation, keyless=keyless)
    if principal is not None:
        yield from permissions.delegated(inventory, principal)
        yield from roles.directory_roles(inventory, manifest, principal)


def _manifest_age(manifest: Manifest) -> Iterator[Deviation]:
    """Whether a newer list supersedes this one, and what the older one leaves unread."""
    newest = load_manifest(manifest_names()[-1])
    if newest.published <= manifest.published:
        return
    had = manifest.by_key()
    added = [permission for key, permission in newest.by_key().items() if key not in had]
    yield deviation(
        "manifest_outdated",
        manifest.name,
        f"the manifest is {manifest.name}; {newest.name} adds {len(added)} permissions",
        identity=newest.name,
        not_scanned="; ".join(dict.fromkeys(permission.without_it for permission in added)) or None,
    )


def _unread(inventory: Inventory) -> Iterator[Deviation]:
    for aspect, why in inventory.unread.items():
        if why is Why.NOT_LICENSED:
            continue  # what cannot exist needs no look
        right = _READ_RIGHTS.get(aspect)
        needed = f" (it takes {right})" if right and why is Why.NOT_PERMITTED else ""
        yield deviation(
            "not_checked",
            aspect.value,
            f"{aspect.value} were not checked: {why.value}{needed}",
            identity=aspect.name.lower(),
        )
