"""Partner Center tells of a customer: only what it signed is believed, and little of that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from local.simulators.partner_center import Chain, new_relationship_id, relationship_event
from local.simulators.tenant import SimulatedTenant
from tests.driving import Driver, Watch, eventually
from tests.end_to_end.test_onboarding import ONCE, add_tenant, end_state

EVENTS = "/api/partner-center/events"
APPROVED = "granular-admin-relationship-approved"
GRAPH = "00000003-0000-0000-c000-000000000000"
READ = "DelegatedAdminRelationship.Read.All"


@pytest.fixture(autouse=True)
def partner(product: Driver) -> Iterator[None]:
    """Our application may read the partner's relationships in our own tenant; none is left over."""
    world = product.simulators.world

    def grant() -> None:
        principal = world.home.service_principal_by_app_id(world.home_app.app_id)
        assert principal is not None
        held = world.home.token_roles(principal.id, world.home.service_principal_by_app_id(GRAPH))
        if READ not in held:
            world.home.grant(principal, READ)

    product.simulators.run(grant)
    yield
    product.simulators.run(world.partner_relationships.clear)


def related(product: Driver, tenant: SimulatedTenant, **changes: Any) -> str:
    """A relationship with a customer; its id."""
    identifier = new_relationship_id()
    product.simulators.run(
        lambda: product.simulators.world.add_partner_relationship(tenant, identifier, **changes)
    )
    return identifier


def deliver(
    product: Driver, event: dict[str, Any], headers: dict[str, str | None] | None = None
) -> httpx.Response:
    """A signed delivery; ``headers`` replace some (None: left out)."""
    signed, body = product.simulators.partner_center.signed(event)
    sent = {**signed, **(headers or {})}
    return product.http.post(
        EVENTS,
        content=body,
        headers={name: value for name, value in sent.items() if value is not None},
    )


def onboarded(product: Driver, tenant: SimulatedTenant) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        view: dict[str, Any] = product.get(f"/api/tenants/{tenant.id}").json()
        return view if view.get("operation", {}).get("finishedAt") else None

    return eventually(look, "the customer is onboarded")


@pytest.mark.parametrize("suffix", ["", "/"])
def test_case_g2_a_customer_who_accepted_is_onboarded_by_the_id_in_resource_uri(
    product: Driver, domain: str, suffix: str
) -> None:
    tenant = add_tenant(product, domain, display_name="Fabrikam")
    identifier = related(product, tenant)
    event = relationship_event(identifier, APPROVED)
    event["ResourceUri"] += suffix
    del event["AuditUri"]
    answer = deliver(product, event)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "outcome": "arrived",
        "relationship": identifier,
        "tenantId": tenant.id,
    }
    operation = onboarded(product, tenant)["operation"]
    assert operation["status"] == "succeeded"
    again = deliver(product, {**event, "AuditUri": "https://evil.example/audit"})
    assert again.status_code == 200
    assert product.stack.host.queue("tenant-additions").wait_until_empty()
    assert onboarded(product, tenant)["operation"]["id"] == operation["id"]
    assert end_state(product, tenant) == ONCE


NOT_AUTHENTIC: list[tuple[str, dict[str, str | None]]] = [
    ("no signature", {"Authorization": None}),
    ("another scheme", {"Authorization": "Bearer abc"}),
    ("a signature of something else", {"Authorization": "Signature " + "QUJD" * 80}),
    ("no base64", {"Authorization": "Signature ***"}),
    ("no certificate", {"X-MS-Certificate-Url": None}),
    ("no algorithm", {"X-MS-Signature-Algorithm": None}),
    ("algorithm none", {"X-MS-Signature-Algorithm": "none"}),
    ("another host", {"X-MS-Certificate-Url": "https://evil.example/cert/x.cer"}),
    ("plain http", {"X-MS-Certificate-Url": "http://{host}/cert/x.cer"}),
    ("an IP address", {"X-MS-Certificate-Url": "https://{address}/cert/x.cer"}),
    ("an address as one number", {"X-MS-Certificate-Url": "https://2130706433/cert/x.cer"}),
    ("an IPv6 address", {"X-MS-Certificate-Url": "https://[::1]/cert/x.cer"}),
    ("a user before the host", {"X-MS-Certificate-Url": "https://{host}@evil.example/x.cer"}),
    ("the host as user", {"X-MS-Certificate-Url": "https://user@{host}/cert/x.cer"}),
    ("the host as prefix", {"X-MS-Certificate-Url": "https://{host}.evil.example/x.cer"}),
    ("another port", {"X-MS-Certificate-Url": "https://localhost:1/cert/x.cer"}),
    ("no URL", {"X-MS-Certificate-Url": "https://["}),
    ("a certificate that is not there", {"X-MS-Certificate-Url": "https://{host}/cert/x.cer"}),
]


@pytest.mark.parametrize(("what", "headers"), NOT_AUTHENTIC, ids=[row[0] for row in NOT_AUTHENTIC])
def test_case_g1_what_partner_center_did_not_sign_is_refused_and_nothing_is_fetched(
    product: Driver, domain: str, what: str, headers: dict[str, str | None]
) -> None:
    tenant = add_tenant(product, domain)
    event = relationship_event(related(product, tenant), APPROVED)
    partner = product.simulators.partner_center
    filled = {
        name: value
        and value.replace("{host}", partner.host).replace(
            "{address}", partner.url.removeprefix("https://")
        )
        for name, value in headers.items()
    }
    with Watch(product.simulators) as watch:
        answer = deliver(product, event, filled)
    assert answer.status_code == 401, answer.text
    assert answer.json()["code"] == "signature_invalid"
    assert watch.count("graph") == 0
    allowed = what in ("a signature of something else", "a certificate that is not there")
    assert watch.count("partner") <= (1 if allowed else 0)
    assert product.get(f"/api/tenants/{tenant.id}").status_code == 404


def test_case_g1_another_body_under_a_good_signature_is_refused(product: Driver) -> None:
    headers, body = product.simulators.partner_center.signed(
        relationship_event(new_relationship_id(), APPROVED)
    )
    answer = product.http.post(EVENTS, content=body + b" ", headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize("what", ["another root", "another organization"])
def test_case_g1_a_certificate_of_somebody_else_is_refused(
    product: Driver, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = product.simulators.partner_center
    trusted = partner.chain
    forged = Chain() if what == "another root" else Chain("Contoso Ltd")
    if what == "another organization":
        forged._root_key, forged._middle_key = trusted._root_key, trusted._middle_key
        forged.root, forged.middle = trusted.root, trusted.middle
    monkeypatch.setitem(partner.__dict__, "chain", forged)
    # By an address of its own, since a good certificate is remembered by its address.
    event = relationship_event(new_relationship_id(), APPROVED)
    url = f"https://{partner.host}/cert/pcnotifications-dispatch.cer?{what.split()[-1]}"
    answer = deliver(product, event, {"X-MS-Certificate-Url": url})
    assert answer.status_code == 401
    expected = "chain" if what == "another root" else "Microsoft Corporation"
    assert expected in answer.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"displayName": "MLT_Fabrikam_Support"}, "excluded"),
        ({"status": "approvalPending"}, "not-active"),
        ({"status": "terminated"}, "not-active"),
        ({"customer": None}, "not-active"),
    ],
)
def test_a_relationship_that_is_not_ours_or_not_active_starts_nothing(
    product: Driver, domain: str, changes: dict[str, Any], outcome: str
) -> None:
    tenant = add_tenant(product, domain)
    answer = deliver(product, relationship_event(related(product, tenant, **changes), APPROVED))
    assert (answer.status_code, answer.json()["outcome"]) == (200, outcome)
    assert product.get(f"/api/tenants/{tenant.id}").status_code == 404


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"EventName": "test-created"}, 200, "ignored"),
        ({"EventName": "subscription-updated"}, 200, "ignored"),
        ({"ResourceUri": "https://api.partnercenter.microsoft.com/v1/customers/1"}, 400, ""),
        ({"ResourceUri": "granularAdminRelationships/"}, 400, ""),
        ({"ResourceUri": None}, 400, ""),
        ({"EventName": 7}, 400, ""),
    ],
)
def test_case_g2_other_events_are_ignored_and_other_resources_refused(
    product: Driver, changes: dict[str, Any], status: int, said: str
) -> None:
    event = relationship_event(new_relationship_id(), APPROVED, **changes)
    answer = deliver(product, event)
    assert answer.status_code == status, answer.text
    assert answer.json().get("outcome", "") == said


def test_a_relationship_that_graph_does_not_know_is_not_found(product: Driver) -> None:
    answer = deliver(product, relationship_event(new_relationship_id(), APPROVED))
    assert (answer.status_code, answer.json()["code"]) == (404, "relationship_unknown")


def test_the_timer_finds_customers_that_no_event_told_of_and_relationships_that_end(
    product: Driver, domain: str
) -> None:
    unheard, led, ending = (add_tenant(product, f"{n}-{domain}") for n in ("a", "b", "c"))
    related(product, unheard)
    related(product, led, displayName="MLT_b")
    soon = (datetime.now(UTC) + timedelta(days=10)).isoformat()
    related(product, ending, endDateTime=soon, displayName="Old support")
    product.stack.host.invoke("look_for_partner_customers")
    assert onboarded(product, unheard)["operation"]["status"] == "succeeded"
    first = onboarded(product, ending)["operation"]["id"]
    report = product.get("/api/partner-center/report").json()
    assert {unheard.id, ending.id} <= set(report["arrived"])
    assert led.id not in report["arrived"]
    (finding,) = [each for each in report["findings"] if each["subject"] == ending.id]
    assert finding["code"] == "partner_relationship_ends"
    assert "Old support" in finding["message"]
    assert finding["remediation"]
    assert unheard.id not in [each["subject"] for each in report["findings"]]
    product.stack.host.invoke("look_for_partner_customers")
    assert unheard.id not in product.get("/api/partner-center/report").json().get("arrived", [])
    assert product.stack.host.queue("tenant-additions").wait_until_empty()
    assert onboarded(product, ending)["operation"]["id"] == first
    assert end_state(product, ending) == ONCE
    assert product.get(f"/api/tenants/{led.id}").status_code == 404
