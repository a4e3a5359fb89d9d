"""A deployment for audits only: with the read-only rights, every change is refused in preflight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.simulators.picture import picture
from local.simulators.tenant import SimulatedTenant
from tests.driving import Driver, Watch, outcomes, step

RIGHTS = json.loads(
    (Path(__file__).parents[2] / "infra" / "identity" / "graph-rights.json").read_text("utf-8")
)
AUDIT = {each["name"] for each in RIGHTS["audit"]}
CHANGING = {each["name"] for each in RIGHTS["onboarding"]} - AUDIT


def test_onboarding_is_refused_with_exactly_the_rights_that_change_something(
    product: Driver, domain: str
) -> None:
    simulators = product.simulators
    tenant = simulators.run(lambda: simulators.world.add_tenant(domain, rights=AUDIT))
    before = simulators.run(lambda: picture(tenant))
    with Watch(simulators) as watch:
        operation = product.onboard(domain)
    assert operation["status"] == "refused"
    assert outcomes(operation)["preflight"] == "failed"
    findings = step(operation, "preflight")["findings"]
    assert {each["code"] for each in findings} == {"automation_right_missing"}
    assert {each["subject"] for each in findings} == CHANGING
    assert watch.writes("graph", "vault", "mondoo") == []
    assert simulators.run(lambda: picture(tenant)) == before


def test_a_plan_is_refused_for_the_same_reason(product: Driver, domain: str) -> None:
    simulators = product.simulators
    simulators.run(lambda: simulators.world.add_tenant(domain, rights=AUDIT))
    plan = product.post("/api/plan", {"tenant": domain}).json()
    assert plan["status"] == "refused"
    assert {each["subject"] for each in step(plan, "preflight")["findings"]} == CHANGING


def onboarded_before(product: Driver, domain: str) -> SimulatedTenant:
    """A tenant that was onboarded, has drifted, and of which only the read-only rights are left."""
    simulators = product.simulators
    tenant = simulators.run(lambda: simulators.world.add_tenant(domain))
    assert product.onboard(domain)["status"] == "succeeded"

    def drift() -> None:
        application = tenant.application_by_unique_name("mondoo-ms365")
        assert application is not None
        principal = tenant.service_principal_by_app_id(application.app_id)
        assert principal is not None
        tenant.revoke(tenant.grants_of(principal.id)[0])
        automation = tenant.service_principal_by_app_id(simulators.world.home_app.app_id)
        assert automation is not None
        for grant in tenant.grants_of(automation.id):
            tenant.revoke(grant)
        simulators.world.consent(tenant, AUDIT)

    simulators.run(drift)
    host: Any = product.stack.host
    host.run(host.module.context.identity.forget(tenant.id))
    return tenant


def audit(product: Driver, tenant: SimulatedTenant, **body: Any) -> dict[str, Any]:
    answer = product.post(f"/api/tenants/{tenant.id}/audit", body or None)
    assert answer.status_code == 202, answer.text
    return product.follow(answer.headers["Location"])


def test_an_audit_works_and_changes_nothing_in_the_tenant(product: Driver, domain: str) -> None:
    tenant = onboarded_before(product, domain)
    before = product.simulators.run(lambda: picture(tenant))
    operation = audit(product, tenant)
    assert operation["status"] == "succeeded"
    report = product.get(f"/api/tenants/{tenant.id}/report").json()
    assert "permission_not_granted" in {each["code"] for each in report["findings"]}
    assert product.simulators.run(lambda: picture(tenant)) == before


@pytest.mark.parametrize("policy", ["repair", "enforce"])
def test_an_audit_that_shall_repair_changes_nothing_and_says_so(
    product: Driver, domain: str, policy: str
) -> None:
    tenant = onboarded_before(product, domain)
    before = product.simulators.run(lambda: picture(tenant))
    operation = audit(product, tenant, repair=policy)
    assert product.simulators.run(lambda: picture(tenant)) == before
    assert operation["status"] == "failed"
    assert step(operation, "audit")["code"] == "graph_permission_missing"
