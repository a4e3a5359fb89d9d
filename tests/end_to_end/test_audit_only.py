"""A deployment for audits only: with the read-only rights, every change is refused in preflight."""

from __future__ import annotations

import json
from pathlib import Path

from local.simulators.picture import picture
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
