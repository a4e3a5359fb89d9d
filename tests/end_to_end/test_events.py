"""A tenant arrives by event: by Event Grid in both schemas, and by queue."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.event_grid import PATH, cloud_event, deliver, event_grid_event, shake_hands
from local.simulators.faults import Fault
from local.simulators.objects import Lag
from tests.driving import Driver, eventually
from tests.end_to_end.test_onboarding import ONCE, add_tenant, end_state

QUEUE = "tenant-additions"
POISON = "tenant-additions-poison"


def note_of(product: Driver, event: dict[str, Any]) -> dict[str, Any] | None:
    """What the product tells of an event."""
    listed = product.get("/api/events").json()["events"]
    return next((note for note in listed if note.get("id") == event["id"]), None)


def send(product: Driver, event: dict[str, Any], way: str) -> None:
    """One delivery, and its end."""
    if way == "event-grid":
        assert deliver(product.http, event).status_code == 202
        return
    queue = product.stack.host.queue(QUEUE)
    queue.put(json.dumps(event))
    assert queue.wait_until_empty()


@pytest.mark.parametrize("way", ["event-grid", "queue"])
@pytest.mark.parametrize("make", [cloud_event, event_grid_event])
def test_a_tenant_is_onboarded_by_an_event(
    product: Driver, domain: str, make: Callable[..., dict[str, Any]], way: str
) -> None:
    tenant = add_tenant(product, domain)
    event = make(domain)
    send(product, event, way)
    note = note_of(product, event)
    assert note is not None
    assert (note["reception"], note["way"], note["tenantId"]) == ("started", way, tenant.id)
    assert product.follow(f"/api/operations/{note['operation']}")["status"] == "succeeded"
    assert end_state(product, tenant) == ONCE


@pytest.mark.parametrize("way", ["event-grid", "queue"])
def test_case_g4_an_event_delivered_twice_at_once_and_again_later_is_one_onboarding(
    product: Driver, domain: str, way: str
) -> None:
    tenant = add_tenant(product, domain)
    event = cloud_event(domain)
    with ThreadPoolExecutor(2) as senders:
        list(senders.map(lambda _: send(product, event, way), range(2)))
    note = note_of(product, event)
    assert note is not None
    operation = note["operation"]
    assert product.follow(f"/api/operations/{operation}")["status"] == "succeeded"
    send(product, event, way)
    assert (note_of(product, event) or {})["operation"] == operation
    assert newest(product, tenant.id) == operation
    assert end_state(product, tenant) == ONCE


def newest(product: Driver, tenant_id: str) -> str:
    return str(product.get(f"/api/tenants/{tenant_id}").json()["operation"]["id"])


def test_case_g4_two_events_for_one_tenant_join_one_operation_while_it_runs_and_after(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    product.simulators.run(setattr, tenant, "lag", Lag(objects=1.0))
    first, second, third = cloud_event(domain), cloud_event(tenant.id.upper()), cloud_event(domain)
    send(product, first, "event-grid")
    send(product, second, "queue")
    operation = (note_of(product, first) or {})["operation"]
    assert (note_of(product, second) or {})["reception"] == "absorbed"
    assert (note_of(product, second) or {})["operation"] == operation
    assert product.follow(f"/api/operations/{operation}")["status"] == "succeeded"
    third["time"] = datetime.now(UTC).isoformat()
    send(product, third, "event-grid")
    assert (note_of(product, third) or {})["reception"] == "absorbed"
    assert (note_of(product, third) or {})["operation"] == operation
    assert newest(product, tenant.id) == operation
    assert end_state(product, tenant) == ONCE


def test_an_event_older_than_the_newest_operation_tells_nothing_new(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain, consented=False)
    refused = product.onboard(domain)
    assert refused["status"] != "succeeded"
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    event = cloud_event(domain, time=past)
    send(product, event, "event-grid")
    note = note_of(product, event) or {}
    assert (note["reception"], note["operation"]) == ("absorbed", refused["id"])
    assert newest(product, tenant.id) == refused["id"]


def test_an_event_says_how_the_tenant_is_to_be_onboarded(product: Driver, domain: str) -> None:
    tenant = add_tenant(product, domain)
    data = {"tenant": tenant.id, "displayName": "Fabrikam", "manifest": "2026-09"}
    event = cloud_event(domain, data=data)
    send(product, event, "event-grid")
    operation = (note_of(product, event) or {})["operation"]
    assert product.follow(f"/api/operations/{operation}")["status"] == "succeeded"
    record = product.get(f"/api/tenants/{tenant.id}").json()["tenant"]
    assert record["manifest"] == "2026-09"


BAD = [
    ("another type", {"type": "io.mondoo.onboarding.tenant.removed"}, "event_type_unknown"),
    (
        "another version",
        {"dataschema": "urn:mondoo:onboarding:tenant-added:2"},
        "event_version_unknown",
    ),
    ("no data", {"data": None}, "event_malformed"),
    ("no tenant", {"data": {}}, "field_invalid"),
    ("common", {"data": {"tenant": "common"}}, "tenant_not_one"),
    ("an unknown field", {"data": {"tenant": "a.example", "adopt": "x"}}, "field_invalid"),
    ("a tenant that is not there", {"data": {"tenant": "nobody.example"}}, "tenant_not_found"),
    ("an unknown manifest", {"data": {"tenant": "a.example", "manifest": "x"}}, "manifest_unknown"),
]


@pytest.mark.parametrize("way", ["event-grid", "queue"])
@pytest.mark.parametrize(("what", "changes", "code"), BAD, ids=[row[0] for row in BAD])
def test_bad_content_is_not_delivered_again_and_lies_where_an_operator_sees_it(
    product: Driver, what: str, changes: dict[str, Any], code: str, way: str
) -> None:
    before = product.stack.host.instances()
    event = cloud_event("a.example", **changes)
    poison = product.stack.host.queue(POISON)
    known = len(poison.texts)
    send(product, event, way)
    lying = [json.loads(text) for text in poison.texts[known:]]
    assert [each["reason"]["code"] for each in lying] == [code]
    assert json.loads(lying[0]["event"])["id"] == event["id"]
    note = note_of(product, event) or {}
    assert (note["reception"], note["code"]) == ("rejected", code)
    assert note["remediation"]
    assert note in product.get("/api/events?reception=rejected").json()["events"]
    assert product.stack.host.instances() == before


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", '"text"', "null", "{"])
def test_a_message_that_is_no_event_is_rejected_too(product: Driver, text: str) -> None:
    before = product.stack.host.instances()
    poison = product.stack.host.queue(POISON)
    known = len(poison.texts)
    product.stack.host.queue(QUEUE).put(text)
    assert product.stack.host.queue(QUEUE).wait_until_empty()
    assert json.loads(poison.texts[known])["reason"]["code"].startswith("event_")
    assert product.stack.host.instances() == before


def test_a_failure_of_ours_makes_event_grid_deliver_again(product: Driver, domain: str) -> None:
    tenant = add_tenant(product, domain)
    event = cloud_event(domain)
    fault = Fault(service="entra", operation="*openid-configuration*", status=503, times=1)
    product.simulators.run(product.simulators.faults.add, fault)
    assert deliver(product.http, event).status_code == 500
    note = note_of(product, event) or {}
    assert (note["reception"], note["code"]) == ("failing", "sign_in_unavailable")
    send(product, event, "event-grid")
    note = note_of(product, event) or {}
    assert (note["reception"], note["attempts"]) == ("started", 2)
    assert product.follow(f"/api/operations/{note['operation']}")["status"] == "succeeded"
    assert end_state(product, tenant) == ONCE


def test_a_message_that_fails_to_the_end_is_put_aside_with_its_reason_in_the_list(
    product: Driver, domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = product.stack.host
    settings = dataclasses.replace(host._settings, visibility_timeout=0.0)
    monkeypatch.setattr(host, "_settings", settings)
    add_tenant(product, domain)
    event = cloud_event(domain)
    fault = Fault(service="entra", operation="*openid-configuration*", status=503, times=None)
    product.simulators.run(product.simulators.faults.add, fault)
    known = len(host.queue(POISON).texts)
    host.queue(QUEUE).put(json.dumps(event))
    eventually(
        lambda: json.dumps(event) in host.queue(POISON).texts[known:] or None,
        "the message lies in the poison queue",
    )
    note = note_of(product, event) or {}
    assert (note["reception"], note["code"]) == ("failing", "sign_in_unavailable")
    assert note["attempts"] == settings.max_dequeue_count


def test_text_that_is_no_unicode_is_rejected(product: Driver) -> None:
    body = json.dumps(cloud_event("a.example", id="\ud800"))
    headers = {"Content-Type": "application/cloudevents+json"}
    assert product.http.post(PATH, content=body, headers=headers).status_code == 202
    lying = json.loads(product.stack.host.queue(POISON).texts[-1])
    assert lying["reason"]["code"] == "event_not_json"


@pytest.mark.parametrize("cloud_events", [True, False])
def test_the_endpoint_shakes_hands_in_both_schemas(product: Driver, cloud_events: bool) -> None:
    answer = shake_hands(product.http, cloud_events=cloud_events)
    assert answer.status_code == 200
    if cloud_events:
        assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
        assert answer.headers["WebHook-Allowed-Rate"]
    else:
        assert answer.json() == {"validationResponse": "512D38B6-C7B8-40C8-89FE-F46F9E9622B6"}


def test_an_unknown_reception_is_refused(product: Driver) -> None:
    answer = product.get("/api/events?reception=lost")
    assert (answer.status_code, answer.json()["field"]) == (400, "reception")
