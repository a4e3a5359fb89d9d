"""Every answer is as the OpenAPI document says: a tenant's life over all routes, held against it.

A stack of its own, with one tenant after the other, so that runs over all tenants stay small. The
last assertion is that no route was left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from local.simulators.faults import Fault
from local.simulators.partner_center import new_relationship_id, relationship_event
from local.simulators.tenant import SimulatedTenant
from local.stack import LocalStack
from shared.certificates import make_bundle
from tests.driving import Driver, eventually
from tests.end_to_end.test_cancel import paused
from tests.schemas import Interface

CONTOSO, FABRIKAM = "contoso.onmicrosoft.com", "fabrikam.onmicrosoft.com"
NOWHERE = "nowhere.example"


class Checked(Driver):
    """A driver whose every answer is held against the document."""

    def __init__(self, stack: LocalStack) -> None:
        super().__init__(stack)
        self.interface = Interface(self.get("/api/openapi.json").json())
        self.http.event_hooks["response"] = [self._check]

    def _check(self, answer: Any) -> None:
        answer.read()
        self.interface.check(answer)


@pytest.fixture(scope="module")
def driver() -> Iterator[Checked]:
    with LocalStack() as stack, Checked(stack) as product:
        yield product


@pytest.fixture(scope="module")
def contoso(driver: Checked) -> SimulatedTenant:
    return driver.simulators.run(driver.simulators.world.add_tenant, CONTOSO)


def test_the_interface_itself(driver: Checked) -> None:
    driver.get("/api/health")
    driver.get("/api/dashboard")
    driver.get("/api/overview")
    driver.get("/api/openapi.json")
    for wanted in ("json", "md", "html", "pdf"):
        driver.get(f"/api/permissions?format={wanted}")
    driver.get("/api/permissions?manifest=2026-09")
    driver.get("/api/permissions?manifest=2019")
    driver.get("/api/policies")
    driver.get("/api/policies?space=mine")


def test_a_tenant_comes(driver: Checked, contoso: SimulatedTenant) -> None:
    driver.get("/api/tenants")
    driver.get("/api/tenants?limit=0")
    driver.get(f"/api/tenants/{contoso.id}")
    driver.get(f"/api/tenants/{NOWHERE}")
    driver.get("/api/tenants/common")
    driver.post("/api/plan", {"tenant": CONTOSO})
    driver.post("/api/plan", {"tenant": NOWHERE})
    for bad in ({}, {"tenant": "common"}, {"tenant": CONTOSO, "manifest": "2019"}):
        driver.post("/api/tenants", bad)
    driver.post("/api/tenants", content=b"")
    driver.post("/api/tenants", {"tenant": NOWHERE})
    running = driver.post("/api/tenants", {"tenant": CONTOSO}).headers["Location"]
    driver.post("/api/tenants", {"tenant": CONTOSO})
    driver.follow(running)
    for path in ("/api/plan", "/api/tenants"):
        driver.post(path, {"tenant": CONTOSO, "applicationName": "another"})
    driver.get(f"/api/tenants/{contoso.id}")
    driver.get("/api/tenants?state=onboarded&limit=1")
    driver.get("/api/operations/nothing")
    driver.get(f"/api/operations?tenants={contoso.id}")
    driver.get("/api/operations")
    driver.get("/api/overview")
    driver.post("/api/operations/nothing/cancel")
    driver.post(f"{running}/cancel")


def test_its_certificate_is_rotated_and_replaced(driver: Checked, contoso: SimulatedTenant) -> None:
    driver.follow(driver.post(f"/api/tenants/{contoso.id}/rotate").headers["Location"])
    driver.post(f"/api/tenants/{NOWHERE}/rotate")
    url = f"/api/tenants/{contoso.id}/certificate"
    driver.http.put(url, content=make_bundle("their own", 90, datetime.now(UTC)).pem())
    driver.http.put(url, content=b"no PEM")


def test_it_is_audited(driver: Checked, contoso: SimulatedTenant) -> None:
    report = f"/api/tenants/{contoso.id}/report"
    driver.get(report)
    driver.get("/api/audit")
    location = driver.post(f"/api/tenants/{contoso.id}/audit", {"repair": "report"})
    driver.follow(location.headers["Location"])
    driver.post(f"/api/tenants/{contoso.id}/audit", {"repair": "everything"})
    driver.post(f"/api/tenants/{NOWHERE}/audit")
    for wanted in ("json", "csv", "html", "junit", "pdf"):
        driver.get(f"{report}?format={wanted}")
        driver.get(f"/api/report?format={wanted}")
    driver.post("/api/audit")
    driver.post("/api/audit")
    eventually(
        lambda: driver.get("/api/audit").json()["phase"] == "done" or None, "the run has ended"
    )
    driver.post("/api/audit/cancel")
    fault = Fault("graph", "*", contoso.id, times=None, status=503, headers={"Retry-After": "1"})
    driver.simulators.run(driver.simulators.faults.add, fault)
    driver.post("/api/audit")
    eventually(
        lambda: driver.post("/api/audit/cancel").status_code == 202 or None, "it is to be cancelled"
    )
    driver.simulators.run(driver.simulators.faults.clear)
    # Its only tenant may have been begun by then, and then nothing was left out.
    eventually(
        lambda: driver.get("/api/audit").json()["phase"] in ("cancelled", "done") or None,
        "it has ended",
    )
    driver.post("/api/manifests/2019/rollout")
    driver.post("/api/manifests/2026-09/rollout")
    eventually(
        lambda: driver.get("/api/audit").json()["phase"] != "look" or None, "it looked at all"
    )


def test_others_arrive(driver: Checked) -> None:
    fabrikam = driver.simulators.run(driver.simulators.world.add_tenant, FABRIKAM)
    fault = Fault("graph", "POST /servicePrincipals", fabrikam.id, times=None, status=503)
    driver.simulators.run(driver.simulators.faults.add, fault)
    driver.post("/api/tenants/batch", [])
    driver.post("/api/tenants/batch", {})
    driver.http.post("/api/tenants/batch", content="tenant", headers={"Content-Type": "text/plain"})
    lines = [{"tenant": FABRIKAM}, {"tenant": 42}]
    batch = driver.post("/api/tenants/batch", lines).headers["Location"]

    def begun() -> str | None:
        view = driver.get(f"/api/tenants/{fabrikam.id}")
        return view.json()["operation"]["id"] if view.status_code == 200 else None

    running = f"/api/operations/{eventually(begun, 'the line has begun')}"
    paused(driver, running)
    driver.post(f"{running}/cancel")
    driver.follow(running)
    driver.post(f"{batch}/cancel")
    driver.post(f"{batch}/retry")
    driver.get(batch)
    driver.get("/api/batches/nothing")
    driver.simulators.run(driver.simulators.faults.clear)
    driver.get("/api/events")
    driver.get("/api/events?reception=rejected")
    driver.get("/api/events?reception=lost")
    driver.get(f"/api/consent/{FABRIKAM}")
    driver.get(f"/api/consent/{NOWHERE}")
    driver.get("/api/consent/callback?error=access_denied")


def test_a_customer_of_the_partner_arrives(driver: Checked) -> None:
    driver.get("/api/partner-center/report")
    event = relationship_event(new_relationship_id(), "something-else")
    signed, body = driver.simulators.partner_center.signed(event)
    driver.http.post("/api/partner-center/events", content=body, headers=signed)
    driver.http.post("/api/partner-center/events", content=body)
    driver.http.post("/api/partner-center/events", content=b"x" * 100_000, headers=signed)


def test_it_leaves(driver: Checked, contoso: SimulatedTenant) -> None:
    driver.http.delete(f"/api/tenants/{contoso.id}?purge=perhaps")
    driver.http.delete(f"/api/tenants/{NOWHERE}")
    answer = driver.http.delete(f"/api/tenants/{contoso.id}")
    assert answer.status_code == 202, answer.text
    driver.follow(answer.headers["Location"])
    driver.get(f"/api/tenants/{contoso.id}")
    driver.post(f"/api/tenants/{contoso.id}/audit")
    driver.post(f"/api/tenants/{contoso.id}/rotate")


def test_every_route_was_asked_and_answered_well(driver: Checked) -> None:
    answered = {(method, path) for method, path, status in driver.interface.seen if status < 300}
    never = {
        ("GET", "/api/consent/callback"),  # Microsoft's page comes between: tests of consent
        ("GET", "/api/partner-center/report"),  # made every six hours: tests of Partner Center
    }
    assert driver.interface.routes - answered == never
    assert never <= {(method, path) for method, path, _ in driver.interface.seen}
