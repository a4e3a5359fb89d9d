"""A deployment for audits only: with the read-only rights, every change is refused in preflight."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.simulators.faults import Fault
from local.simulators.picture import picture
from local.simulators.tenant import SimulatedTenant
from local.stack import LocalStack
from tests.driving import Driver, Watch, eventually, outcomes, step

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


def leave_only(product: Driver, tenant: SimulatedTenant, rights: set[str]) -> None:
    """Take our automation's rights in a tenant away, all but these."""
    world = product.simulators.world

    def limit() -> None:
        automation = tenant.service_principal_by_app_id(world.home_app.app_id)
        assert automation is not None
        for grant in tenant.grants_of(automation.id):
            tenant.revoke(grant)
        world.consent(tenant, rights)

    product.simulators.run(limit)


def drift(product: Driver, tenant: SimulatedTenant) -> None:
    """Somebody takes a permission away from the application that we made."""

    def revoke() -> None:
        application = tenant.application_by_unique_name("mondoo-ms365")
        assert application is not None
        principal = tenant.service_principal_by_app_id(application.app_id)
        assert principal is not None
        tenant.revoke(tenant.grants_of(principal.id)[0])

    product.simulators.run(revoke)


def onboarded_before(product: Driver, domain: str, **choices: Any) -> SimulatedTenant:
    """A tenant that was onboarded, has drifted, and of which only the read-only rights are left."""
    tenant = product.simulators.run(lambda: product.simulators.world.add_tenant(domain))
    assert product.onboard(domain, **choices)["status"] == "succeeded"
    drift(product, tenant)
    leave_only(product, tenant, AUDIT)
    return tenant


@contextmanager
def nothing_written(product: Driver, tenant: SimulatedTenant, *services: str) -> Iterator[None]:
    """Neither the tenant nor the journals of these services show a write."""
    simulators = product.simulators
    before = simulators.run(lambda: picture(tenant))
    with Watch(simulators) as watch:
        yield
    assert watch.calls
    assert watch.writes(*services) == []
    assert simulators.run(lambda: picture(tenant)) == before


def named(refused: dict[str, Any]) -> set[str]:
    """The rights that a refused step names."""
    assert refused["outcome"] == "failed"
    assert refused["code"] == "automation_right_missing"
    assert "Nothing was changed." in refused["message"]
    rights = {
        each["subject"]
        for each in refused["findings"]
        if each["code"] == "automation_right_missing"
    }
    assert all(right in refused["message"] and right in refused["remediation"] for right in rights)
    return rights


def record(product: Driver, tenant: SimulatedTenant) -> dict[str, Any]:
    shown: dict[str, Any] = product.get(f"/api/tenants/{tenant.id}").json()["tenant"]
    return shown


def audit(product: Driver, tenant: SimulatedTenant, **body: Any) -> dict[str, Any]:
    answer = product.post(f"/api/tenants/{tenant.id}/audit", body or None)
    assert answer.status_code == 202, answer.text
    return product.follow(answer.headers["Location"])


def report(product: Driver, tenant: SimulatedTenant) -> dict[str, Any]:
    found: dict[str, Any] = product.get(f"/api/tenants/{tenant.id}/report").json()
    return found


def test_an_audit_that_reports_works_and_changes_nothing(product: Driver, domain: str) -> None:
    tenant = onboarded_before(product, domain)
    with nothing_written(product, tenant, "graph", "vault"):
        operation = audit(product, tenant)
    assert operation["status"] == "succeeded"
    told = report(product, tenant)
    assert "permission_not_granted" in {each["code"] for each in told["findings"]}
    assert "rightsMissing" not in told


@pytest.mark.parametrize("policy", ["repair", "enforce"])
def test_an_audit_that_shall_repair_is_refused_and_reports_what_it_found(
    product: Driver, domain: str, policy: str
) -> None:
    tenant = onboarded_before(product, domain)
    with nothing_written(product, tenant, "graph", "vault"):
        operation = audit(product, tenant, repair=policy)
    assert operation["status"] == "refused"
    assert named(step(operation, "audit")) == CHANGING
    assert outcomes(operation)["publish"] == outcomes(operation)["record"] == "passed"
    told = report(product, tenant)
    assert told["status"] == "findings"
    assert "permission_not_granted" in {each["code"] for each in told["findings"]}
    assert {each["subject"] for each in told["rightsMissing"]} == CHANGING
    assert told["failure"]["code"] == "automation_right_missing"
    assert [(each["outcome"], each["code"]) for each in told["changes"]] == [
        ("failed", "automation_right_missing")
    ]
    assert record(product, tenant)["state"] == "onboarded"
    page = product.get(f"/api/tenants/{tenant.id}/report?format=html").text
    assert "Nothing was put right" in page
    assert all(right in page for right in CHANGING)


def test_an_audit_that_shall_repair_and_finds_nothing_to_repair_is_not_refused(
    product: Driver, domain: str
) -> None:
    tenant = product.simulators.run(lambda: product.simulators.world.add_tenant(domain))
    assert product.onboard(domain)["status"] == "succeeded"
    leave_only(product, tenant, AUDIT)
    with nothing_written(product, tenant, "graph", "vault"):
        assert audit(product, tenant, repair="enforce")["status"] == "succeeded"
    assert report(product, tenant)["status"] == "clean"


def test_once_the_rights_are_granted_the_same_audit_repairs(product: Driver, domain: str) -> None:
    tenant = onboarded_before(product, domain)
    assert audit(product, tenant, repair="repair")["status"] == "refused"
    leave_only(product, tenant, AUDIT | CHANGING)
    assert audit(product, tenant, repair="repair")["status"] == "succeeded"
    assert report(product, tenant)["status"] == "clean"


def test_what_the_rights_for_audits_do_not_cover_is_said_and_not_called_right(
    product: Driver, domain: str
) -> None:
    """Delegated grants take a right of their own. Schedules of privileged identity management are
    covered by RoleManagement.Read.Directory, says the documentation; where the service thinks
    otherwise, as it was reported of a neighbouring call, that too is said."""
    tenant = onboarded_before(product, domain)
    simulators = product.simulators

    def unchecked() -> set[str]:
        assert audit(product, tenant)["status"] == "succeeded"
        findings = report(product, tenant)["findings"]
        return {each["subject"] for each in findings if each["code"] == "not_checked"}

    assert unchecked() == {"delegated grants"}
    for kind in ("roleEligibilityScheduleInstances", "roleAssignmentScheduleInstances"):
        denial = Fault(
            "graph",
            f"GET /roleManagement/directory/{kind}",
            tenant=tenant.id,
            times=None,
            status=403,
            code="UnknownError",
            message='{"errorCode":"PermissionScopeNotGranted"}',
        )
        simulators.run(simulators.faults.add, denial)
    assert unchecked() == {"delegated grants", "eligible directory roles", "timed directory roles"}


def test_an_audit_that_may_not_even_read_names_each_right_to_read(
    product: Driver, domain: str
) -> None:
    tenant = onboarded_before(product, domain)
    leave_only(product, tenant, {"Policy.Read.All"})
    with nothing_written(product, tenant, "graph", "vault"):
        operation = audit(product, tenant)
    assert operation["status"] == "refused"
    assert named(step(operation, "audit")) == AUDIT - {"Policy.Read.All"}
    assert report(product, tenant)["status"] == "failed"


def test_a_rotation_is_refused_with_the_one_right_that_it_needs_besides(
    product: Driver, domain: str
) -> None:
    tenant = onboarded_before(product, domain)
    before = record(product, tenant)
    with nothing_written(product, tenant, "graph", "vault", "mondoo"):
        answer = product.post(f"/api/tenants/{tenant.id}/rotate")
        operation = product.follow(answer.headers["Location"])
    assert operation["status"] == "refused"
    assert named(step(operation, "preflight")) == {"Application.ReadWrite.OwnedBy"}
    after = record(product, tenant)
    assert (after["state"], after["certificate"]) == ("onboarded", before["certificate"])
    assert "rotation" not in after


@pytest.mark.parametrize("query", ["", "?purge=true"])
def test_an_offboarding_is_refused_and_the_tenant_stays_as_it_was(
    product: Driver, domain: str, query: str
) -> None:
    tenant = onboarded_before(product, domain)
    before = record(product, tenant)
    with nothing_written(product, tenant, "graph", "vault", "mondoo"):
        answer = product.http.delete(f"/api/tenants/{tenant.id}{query}")
        operation = product.follow(answer.headers["Location"])
    assert operation["status"] == "refused"
    assert named(step(operation, "inventory")) == CHANGING
    after = record(product, tenant)
    assert after["state"] == "onboarded"
    changed = {"operationId", "updatedAt"}
    assert {k: v for k, v in after.items() if k not in changed} == {
        k: v for k, v in before.items() if k not in changed
    }
    leave_only(product, tenant, AUDIT | CHANGING)
    answer = product.http.delete(f"/api/tenants/{tenant.id}")
    assert product.follow(answer.headers["Location"])["status"] == "succeeded"


def test_an_onboarding_again_is_refused_and_the_tenant_stays_onboarded(
    product: Driver, domain: str
) -> None:
    tenant = onboarded_before(product, domain)
    with nothing_written(product, tenant, "graph", "vault", "mondoo"):
        operation = product.onboard(domain)
    assert operation["status"] == "refused"
    assert named(step(operation, "preflight")) == CHANGING
    assert record(product, tenant)["state"] == "onboarded"


@pytest.mark.parametrize("path", ["/api/audit", "/api/manifests/2026-09/rollout"])
def test_a_run_over_all_tenants_leaves_those_alone_that_it_may_not_change_and_counts_them(
    path: str, domain: str
) -> None:
    with LocalStack() as stack, Driver(stack) as product:
        closed = onboarded_before(product, domain, repair="repair")
        other = product.simulators.run(
            lambda: product.simulators.world.add_tenant("open.onmicrosoft.com")
        )
        assert product.onboard("open.onmicrosoft.com", repair="repair")["status"] == "succeeded"
        drift(product, other)
        with nothing_written(product, closed):
            assert product.post(path, {"confirm": True}).status_code == 202

            def ended() -> dict[str, Any] | None:
                run: dict[str, Any] = product.get("/api/audit").json()
                return run if run["phase"] in ("done", "stopped", "failed") else None

            run = eventually(ended, "the run has ended")
        assert run["phase"] == "done"
        assert (run["audited"], run["refused"], run["mended"]) == (2, 1, 1)
        assert "1 of 2 tenants were not put right" in run["notice"]
        assert {each["subject"] for each in report(product, closed)["rightsMissing"]} == CHANGING
        assert record(product, closed)["manifest"] == "quick-setup"
        assert "manifestTarget" not in record(product, closed)
        assert "rightsMissing" not in report(product, other)
