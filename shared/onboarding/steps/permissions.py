"""Permissions: every wanted app role granted, which is admin consent by program.

Declaring a permission is only a request (terraform-provider-azuread issue 230); what counts is the
list of grants, read back. A service that the tenant does not have is a finding that names what
cannot be scanned, not a failure (AADSTS650052, PostHog pull request 43486).
"""

from __future__ import annotations

from collections.abc import Iterable

from shared.context import Context
from shared.coverage.messages import ABSENT
from shared.entra.app_role_assignments import Grant, grant, list_grants
from shared.manifest import Manifest, Permission, Resource, load_manifest
from shared.models import (
    Facts,
    Finding,
    Outcome,
    ResourcePrincipal,
    Severity,
    StepCall,
    StepResult,
)
from shared.outcomes import ended, not_yet


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Grant what is missing, then list all grants again."""
    manifest = load_manifest(call.order.manifest)
    facts, observed = call.facts, call.facts.observed_principal
    findings = absent(manifest, facts.resources)
    wanted = _wanted(manifest, facts.resources)
    good = Outcome.WARNING if findings else Outcome.PASSED
    held = set() if observed is None else set(observed.granted)
    missing = [key for key in wanted if key not in held]
    if not missing:
        return _ended(good, f"all {len(wanted)} permissions are granted", findings, wanted)
    if dry_run:
        names = ", ".join(wanted[key].name for key in missing)
        return ended(
            Outcome.PLANNED,
            f"{len(missing)} permissions would be granted: {names}",
            findings=findings,
        )
    assert facts.service_principal_id is not None  # the step before this one passed
    graph = context.graph(call.order.tenant_id)
    granted = _keys(await list_grants(graph, facts.service_principal_id), facts)
    to_grant = [key for key in missing if key not in granted]
    if to_grant:
        object_ids = {resource.app_id: resource.object_id for resource in facts.resources}
        await grant(
            graph,
            facts.service_principal_id,
            [(object_ids[app_id], role) for app_id, role in (key.split("/") for key in to_grant)],
        )
        granted = _keys(await list_grants(graph, facts.service_principal_id), facts)
    unseen = [wanted[key].name for key in wanted if key not in granted]
    if unseen:
        return not_yet(
            "grants_not_listed",
            f"granted, but not listed yet: {', '.join(unseen)}",
            remediation="Send the request again later; grants can take minutes to be listed.",
            findings=findings,
        )
    # Counted against preflight, since this step may have been called before.
    return _ended(
        Outcome.WARNING if findings else Outcome.CHANGED,
        f"{len(missing)} of {len(wanted)} permissions were granted"
        + ("" if len(missing) == len(wanted) else "; the others were granted before"),
        findings,
        wanted,
    )


def absent(manifest: Manifest, resources: list[ResourcePrincipal]) -> list[Finding]:
    """A finding for each service, or single role, that the tenant does not offer."""
    present = {resource.app_id: resource for resource in resources}
    findings = []
    for resource in manifest.resources:
        of_resource = [p for p in manifest.permissions if p.resource == resource.service]
        principal = present.get(resource.app_id)
        if principal is None or not principal.enabled:
            findings.append(_closed(resource, _lost(of_resource), absent=principal is None))
            continue
        findings += [
            Finding(
                code="app_role_absent",
                severity=Severity.MEDIUM,
                subject=permission.name,
                message=f"{resource.name} in this tenant does not offer {permission.name}",
                remediation="Nothing to do here; onboard again once Microsoft offers the role.",
                not_scanned=permission.without_it,
            )
            for permission in of_resource
            if permission.id in principal.roles_missing
        ]
    return findings


def _closed(resource: Resource, lost: str, *, absent: bool) -> Finding:
    """A service without a principal has mostly no licence, and a scan passes over it; one that
    somebody disabled refuses the scan."""
    if absent:
        return Finding(
            code="resource_absent",
            severity=Severity.MEDIUM,
            subject=resource.name,
            message=f"{resource.name} is not in this tenant",
            remediation=ABSENT,
            not_scanned=lost,
        )
    # The scanner takes the compliance session for an extra.
    fails = resource.service != "exchange-protection"
    return Finding(
        code="resource_disabled",
        severity=Severity.MEDIUM,
        subject=resource.name,
        message=f"{resource.name} is disabled in this tenant"
        + (
            "; Mondoo's scan asks it nevertheless and is refused, so the first scan is expected to"
            " fail"
            if fails
            else ""
        ),
        remediation=f"Enable {resource.name} under Enterprise applications and onboard again.",
        not_scanned=lost,
    )


def _wanted(manifest: Manifest, resources: list[ResourcePrincipal]) -> dict[str, Permission]:
    """The permissions that can be granted here, by "<resource app id>/<app role id>"."""
    usable = {r.app_id: set(r.roles_missing) for r in resources if r.enabled}
    return {
        "/".join(key): permission
        for key, permission in manifest.by_key().items()
        if key.resource_app_id in usable and key.app_role_id not in usable[key.resource_app_id]
    }


def _keys(grants: Iterable[Grant], facts: Facts) -> set[str]:
    app_ids = {resource.object_id: resource.app_id for resource in facts.resources}
    return {
        f"{app_ids[grant.resource_id]}/{grant.app_role_id}"
        for grant in grants
        if grant.resource_id in app_ids
    }


def _lost(permissions: list[Permission]) -> str:
    return "; ".join(permission.without_it for permission in permissions)


def _ended(
    outcome: Outcome, message: str, findings: list[Finding], wanted: dict[str, Permission]
) -> StepResult:
    if findings:
        message = f"{message}; " + "; ".join(finding.message for finding in findings)
    return ended(outcome, message, findings=findings, facts={"granted": sorted(wanted)})
