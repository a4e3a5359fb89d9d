"""Mondoo's side, end to end: over HTTP, through the durable engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from local.simulators.faults import Fault
from local.simulators.resource_manager import OWNER, AzureEstate
from tests.driving import Driver, step
from tests.end_to_end.test_onboarding import ONCE, add_tenant, end_state


def test_two_onboardings_at_once_and_a_create_that_times_out_leave_one_integration(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    fault = Fault("mondoo", operation="createClientIntegration", tenant=tenant.id, drop="after")
    product.simulators.run(product.simulators.faults.add, fault)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: product.post("/api/tenants", {"tenant": domain}), "ab"))
    assert sorted(answer.status_code for answer in answers) == [202, 409]
    operation = product.follow(answers[0].headers["Location"])
    assert answers[0].headers["Location"] == answers[1].headers["Location"]
    assert operation["status"] == "succeeded"
    assert step(operation, "integration")["attempts"] == 2
    assert end_state(product, tenant) == ONCE


def test_the_answer_and_the_record_say_what_was_scanned_and_where_to_look(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    told = step(product.onboard(domain, manifest="2026-09"), "first-scan")
    record = product.get(f"/api/tenants/{tenant.id}").json()["tenant"]
    assert record["coverage"] == told["coverage"]
    assert {each["state"] for each in record["coverage"]} == {"scanned"}
    assert record["asset"].startswith("//assets.api.mondoo.app/spaces/")
    assert record["grade"] == "A"
    assert record["console"].startswith("https://app.mondoo.com/space/integrations/ms365?spaceId=")


def test_subscriptions_are_scanned_and_taken_out_again_over_http(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    automation = tenant.service_principal_by_app_id(product.simulators.world.home_app.app_id)
    assert automation is not None

    def seed() -> AzureEstate:
        estate = product.simulators.resource_manager.of(tenant)
        estate.add_subscription("production")
        estate.assign(automation.id, OWNER, estate.root)
        return estate

    estate = product.simulators.run(seed)
    operation = product.onboard(domain, subscriptions="all")
    assert operation["status"] == "succeeded"
    assert step(operation, "azure-scan")["outcome"] == "changed"
    record = product.get(f"/api/tenants/{tenant.id}").json()["tenant"]
    assert {each["service"] for each in record["coverage"]} >= {"entra", "azure"}
    answer = product.http.delete(f"/api/tenants/{domain}")
    assert product.follow(answer.headers["Location"])["status"] == "succeeded"
    receipt = product.get(f"/api/tenants/{tenant.id}").json()["tenant"]["receipt"]
    fates = {entry["kind"]: entry["fate"] for entry in receipt["entries"]}
    assert fates["azure-integration"] == fates["azure-role"] == "removed"
    assert [role.principal_id for role in estate.roles] == [automation.id]


def test_policies_can_be_listed_to_choose_from(product: Driver, domain: str) -> None:
    add_tenant(product, domain)
    product.onboard(domain)
    answer = product.get("/api/policies", params={"search": "microsoft 365"})
    assert answer.status_code == 200
    listed = {
        each["mrn"].rsplit("/", 1)[-1]: each.get("action") for each in answer.json()["policies"]
    }
    assert listed["mondoo-m365-security"] == "active"
    assert "cis-microsoft-365--level-1" in listed
    assert product.get("/api/policies", params={"space": "demo"}).json()["field"] == "space"
