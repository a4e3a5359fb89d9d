"""An operation is stopped: what was done stays, what was not is told, and it can be sent again."""

from __future__ import annotations

from typing import Any

import pytest

from local.simulators.faults import Fault
from local.simulators.tenant import SimulatedTenant
from tests.driving import Driver, Watch, eventually, outcomes, step
from tests.end_to_end.test_onboarding import ONCE, add_tenant, end_state


def cancel(product: Driver, location: str) -> dict[str, Any]:
    """Ask for it, and the operation once it has ended."""
    answer = product.post(f"{location}/cancel")
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == location
    return product.follow(location)


def paused(product: Driver, location: str) -> str:
    """The step that an operation waits in, once it does."""

    def waits() -> str | None:
        steps = product.get(location).json()["steps"]
        return next((s["name"] for s in steps if "code" in s and "outcome" not in s), None)

    return eventually(waits, f"{location} pauses in a step")


def out_of_order(product: Driver, tenant: SimulatedTenant, operation: str = "*") -> None:
    """Microsoft Graph is down for this tenant until the faults are cleared."""
    fault = Fault(
        "graph", operation, tenant.id, times=None, status=503, headers={"Retry-After": "1"}
    )
    product.simulators.run(product.simulators.faults.add, fault)


def record(product: Driver, tenant: SimulatedTenant) -> dict[str, Any]:
    found: dict[str, Any] = product.get(f"/api/tenants/{tenant.id}").json()["tenant"]
    return found


def test_an_onboarding_stops_in_its_pause_and_the_same_request_finishes_it(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    out_of_order(product, tenant, "POST /servicePrincipals")
    location = product.post("/api/tenants", {"tenant": domain}).headers["Location"]
    waiting = paused(product, location)

    operation = cancel(product, location)

    assert operation["status"] == "cancelled"
    assert operation["cancelRequestedAt"]
    stopped = step(operation, waiting)
    assert (stopped["outcome"], stopped["code"]) == ("unknown", "operation_cancelled")
    assert stopped["remediation"]
    told = outcomes(operation)
    names = list(told)
    before, after = names[: names.index(waiting)], names[names.index(waiting) + 1 : -1]
    assert {told[name] for name in before} <= {"passed", "changed"}
    assert after
    assert {told[name] for name in after} == {"skipped"}
    assert record(product, tenant)["state"] == "cancelled"
    assert record(product, tenant)["operationId"] == operation["id"]
    assert len(tenant.applications) == 1, "nothing is undone"

    product.simulators.run(product.simulators.faults.clear)
    assert product.onboard(domain)["status"] == "succeeded"
    assert end_state(product, tenant) == ONCE
    assert record(product, tenant)["state"] == "onboarded"
    # The ended one is found as it ended, though another has run since.
    assert product.get(location).json()["status"] == "cancelled"


def test_a_cancelled_onboarding_is_announced_as_no_success(product: Driver, domain: str) -> None:
    tenant = add_tenant(product, domain)
    out_of_order(product, tenant, "POST /servicePrincipals")
    location = product.post("/api/tenants", {"tenant": domain}).headers["Location"]
    paused(product, location)
    operation = cancel(product, location)
    told = [
        event
        for event in product.simulators.run(lambda: list(product.simulators.events.published))
        if event["subject"] == tenant.id
    ]
    assert [event["type"] for event in told] == ["io.mondoo.onboarding.tenant.failed"]
    assert (told[0]["id"], told[0]["data"]["state"]) == (operation["id"], "cancelled")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/audit"), ("POST", "/rotate"), ("DELETE", "")],
    ids=["audit", "rotate", "offboard"],
)
def test_every_kind_of_operation_stops_and_can_be_sent_again(
    product: Driver, domain: str, method: str, path: str
) -> None:
    tenant = add_tenant(product, domain)
    assert product.onboard(domain)["status"] == "succeeded"
    known = record(product, tenant)
    out_of_order(product, tenant)
    url = f"/api/tenants/{tenant.id}{path}"
    location = product.http.request(method, url).headers["Location"]
    paused(product, location)

    with Watch(product.simulators) as watch:
        operation = cancel(product, location)

    assert operation["status"] == "cancelled"
    assert watch.writes("graph", "vault", "mondoo") == []
    assert end_state(product, tenant) == ONCE, "nothing is undone or removed"
    now = record(product, tenant)
    assert now["operationId"] == operation["id"]
    assert now["state"] == "onboarded", "the connection stands all the while"
    assert "receipt" not in now, "nothing was removed"
    assert now.get("auditStatus") == known.get("auditStatus"), "what was not read is not judged"

    product.simulators.run(product.simulators.faults.clear)
    again = product.http.request(method, url)
    assert again.status_code == 202, again.text
    assert product.follow(again.headers["Location"])["status"] == "succeeded"


def test_a_cancelled_audit_leaves_no_report(product: Driver, domain: str) -> None:
    tenant = add_tenant(product, domain)
    product.onboard(domain)
    out_of_order(product, tenant)
    location = product.post(f"/api/tenants/{tenant.id}/audit").headers["Location"]
    paused(product, location)
    assert cancel(product, location)["status"] == "cancelled"
    assert product.get(f"/api/tenants/{tenant.id}/report").status_code == 404


def test_an_operation_that_has_ended_answers_409_with_its_end(product: Driver, domain: str) -> None:
    add_tenant(product, domain)
    operation = product.onboard(domain)
    answer = product.post(f"/api/operations/{operation['id']}/cancel")
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["code"] == "operation_ended"
    assert problem["detail"].endswith("has ended: succeeded")
    assert problem["operation"] == answer.headers["Location"]
    assert product.get(problem["operation"]).json() == operation


def test_asking_twice_does_no_harm(product: Driver, domain: str) -> None:
    tenant = add_tenant(product, domain)
    out_of_order(product, tenant, "POST /servicePrincipals")
    location = product.post("/api/tenants", {"tenant": domain}).headers["Location"]
    paused(product, location)
    answers = [product.post(f"{location}/cancel") for _ in range(3)]
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert answers[0].status_code == 202
    assert product.follow(location)["status"] == "cancelled"


@pytest.mark.parametrize(
    "identifier", ["nonsense", "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77.20260910T080000000000Z"]
)
def test_an_operation_that_does_not_exist_is_not_found(product: Driver, identifier: str) -> None:
    answer = product.post(f"/api/operations/{identifier}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (404, "operation_unknown")


def test_a_line_of_a_batch_whose_operation_was_cancelled_is_cancelled_and_can_be_retried(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    out_of_order(product, tenant, "POST /servicePrincipals")
    batch = product.post("/api/tenants/batch", [{"tenant": domain}]).headers["Location"]

    def begun() -> str | None:
        operation: str | None = product.get(batch).json()["lines"][0].get("operation")
        found = operation and product.get(f"/api/operations/{operation}").status_code == 200
        return operation if found else None

    location = f"/api/operations/{eventually(begun, 'the line has begun')}"
    paused(product, location)
    cancel(product, location)

    def ended(status: str) -> Any:
        line = product.get(batch).json()["lines"][0]
        return line if line["status"] == status else None

    line = eventually(lambda: ended("cancelled"), "the line is cancelled")
    assert line["code"] == "operation_cancelled"
    product.simulators.run(product.simulators.faults.clear)
    assert product.post(f"{batch}/retry").status_code == 202
    eventually(lambda: ended("succeeded"), "the line has succeeded")
