"""Second chapter: somebody meddles with two tenants; audits find it, mend it, and find nothing.

In one tenant a permission is taken away, the Global Reader role is removed, and a secret is added
to our application; in another, our application is given a permission that Mondoo does not want. All
tenants are audited; then the two are audited with the policy ``enforce``; then all once more.
"""

from __future__ import annotations

from typing import Any

from local.demo.stage import Stage
from local.samples import Sample
from local.simulators.tenant import SimulatedTenant

RUN_ENDED = ("done", "stopped", "cancelled", "failed")
SEVERITIES = ("high", "medium", "low", "info")


def audit_samples(stage: Stage, samples: list[Sample]) -> list[str]:
    """Run the chapter; what went wrong, as sentences."""
    deprived, indulged = samples[0].tenant, samples[1].tenant
    stage.simulators.run(_deprive, deprived)
    stage.simulators.run(_indulge, indulged)

    print("\nSomebody meddles with two tenants. All tenants are audited:")
    _audit_all(stage)
    wrong = []
    for tenant, expected in (
        (deprived, {"permission_not_granted", "directory_role_missing", "secret"}),
        (indulged, {"grant_not_declared"}),
    ):
        seen = _report(stage, tenant)
        if not expected <= {finding["code"] for finding in seen["findings"]}:
            wrong.append(f"{tenant.initial_domain}: not all of {sorted(expected)} were found")

    print("\nThe two are audited again, and what was found is put right:")
    for tenant in (deprived, indulged):
        print(f"\n{tenant.initial_domain}, with the policy enforce")
        stage.run(f"/api/tenants/{tenant.id}/audit", {"repair": "enforce"})
        for change in stage.get(f"/api/tenants/{tenant.id}/report").get("changes", []):
            print(f"    {change['action']:<28} {change['outcome']:<8} {change['subject']}")

    print("\nAll tenants are audited once more:")
    standing = _audit_all(stage)
    for tenant in (deprived, indulged):
        if _report(stage, tenant)["status"] != "clean":
            wrong.append(f"{tenant.initial_domain}: is not clean after the repair")
    if standing["failed"]:
        wrong.append(f"{standing['failed']} tenants could not be audited")
    return wrong


def _audit_all(stage: Stage) -> dict[str, Any]:
    stage.post("/api/audit", {})
    run = stage.until("/api/audit", "phase", RUN_ENDED)
    report = stage.get("/api/report")
    standing: dict[str, Any] = report["standing"]
    print(
        f"  {run['audited']} of {run['tenants']} tenants audited: {standing['clean']} clean,"
        f" {standing['findings']} with findings, {standing['failed']} failed"
    )
    return standing


def _report(stage: Stage, tenant: SimulatedTenant) -> dict[str, Any]:
    report: dict[str, Any] = stage.get(f"/api/tenants/{tenant.id}/report")
    print(f"\n{tenant.initial_domain}: {report['status']}")
    for severity in SEVERITIES:
        for finding in report["findings"]:
            if finding["severity"] == severity:
                print(f"    {severity:<7} {finding['code']:<24} {finding['message']}")
    return report


def _ours(tenant: SimulatedTenant) -> Any:
    return tenant.application_by_unique_name("mondoo-ms365")


def _deprive(tenant: SimulatedTenant) -> None:
    application = _ours(tenant)
    principal = tenant.service_principal_by_app_id(application.app_id)
    assert principal is not None
    tenant.revoke(tenant.grants_of(principal.id)[0])
    for role in [
        each for each in tenant.role_assignments.values() if each.principal_id == principal.id
    ]:
        del tenant.role_assignments[role.id]
    tenant.add_secret(application, "added by hand")


def _indulge(tenant: SimulatedTenant) -> None:
    tenant.grant(_ours(tenant), "Directory.Read.All")
