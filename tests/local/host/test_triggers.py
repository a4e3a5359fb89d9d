"""Timers, queues and Event Grid."""

from __future__ import annotations

import json
import logging

import httpx
import pytest

from local.host import FunctionsHost
from local.host.queues import Queue
from tests.local.host.conftest import ENVIRON, SAMPLE

EVENTS = "/runtime/webhooks/EventGrid"
NOTIFICATION = {"aeg-event-type": "Notification"}
EVENT = {
    "id": "e1",
    "topic": "/t",
    "subject": "s",
    "eventType": "added",
    "eventTime": "2026-01-01T00:00:00Z",
    "dataVersion": "1",
    "data": {"n": 1},
}
CLOUD_EVENT = {"specversion": "1.0", "id": "c1", "source": "/s", "type": "t", "data": {"n": 2}}


@pytest.fixture(autouse=True)
def _nothing_seen(host: FunctionsHost) -> None:
    host.module.seen.clear()


# -- by hand --


def test_a_timer_function_is_run_by_hand(host: FunctionsHost, client: httpx.Client) -> None:
    assert client.post("/admin/functions/nightly", json={}).status_code == 202
    assert host.queue("nightly").wait_for_message()
    assert host.queue("nightly").texts == ["on time"]


def test_a_queue_function_is_run_by_hand_with_its_message(host: FunctionsHost) -> None:
    before = len(host.queue("done").texts)
    host.invoke("on_order", json.dumps({"id": 7}))

    assert json.loads(host.queue("done").texts[before]) == {"order": 7, "tries": 1}


def test_the_caller_of_invoke_hears_of_the_failure(host: FunctionsHost) -> None:
    with pytest.raises(ValueError, match="asked to fail"):
        host.invoke("on_event", json.dumps({**EVENT, "data": {"fail": True}}))
    with pytest.raises(TypeError, match="cannot be run by hand"):
        host.invoke("greet_all")


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("unknown", b"{}", 404),
        ("nightly", b"{", 400),
        ("item", b"{}", 400),
        ("nightly", b"[]", 400),
    ],
)
def test_what_cannot_be_run_by_hand(
    client: httpx.Client, name: str, body: bytes, status: int
) -> None:
    assert client.post(f"/admin/functions/{name}", content=body).status_code == status


# -- schedule --


def test_timers_keep_their_schedule_only_when_asked() -> None:
    with FunctionsHost(SAMPLE, ENVIRON, timers=True) as host:
        assert host.queue("ticks").wait_for_message(10)


# -- queues --


def test_a_message_is_handled_and_its_output_queued(host: FunctionsHost) -> None:
    host.queue("orders").put(json.dumps({"id": "plain"}))

    assert host.queue("orders").wait_until_empty()
    assert json.dumps({"order": "plain", "tries": 1}) in host.queue("done").texts


def test_a_message_comes_again_after_a_failure(host: FunctionsHost) -> None:
    host.queue("orders").put(json.dumps({"id": "third time", "fails": 2}))

    assert host.queue("orders").wait_until_empty()
    assert json.dumps({"order": "third time", "tries": 3}) in host.queue("done").texts


def test_a_message_that_fails_five_times_is_poison(host: FunctionsHost) -> None:
    text = json.dumps({"id": "bad", "fails": 99})
    host.queue("orders").put(text.encode())

    assert host.queue("orders").wait_until_empty()
    assert host.queue("orders-poison").texts == [text]
    assert any(
        "MaxDequeueCount of 5" in record.getMessage()
        for record in host.logs
        if record.levelno == logging.ERROR
    )


def test_a_delayed_message_is_not_taken_before_its_time() -> None:
    queue = Queue("alone", lambda: None)
    queue.put("later", delay=3600)
    queue.put("now")

    first = queue.take()
    assert first is not None
    assert first.text == "now"
    assert queue.take() is None
    assert 0 < (queue.next_visible_in() or 0) <= 3600


# -- Event Grid --


def test_a_subscription_is_validated(client: httpx.Client) -> None:
    answer = client.post(
        f"{EVENTS}?functionName=on_event",
        headers={"aeg-event-type": "SubscriptionValidation"},
        json=[{**EVENT, "data": {"validationCode": "123"}}],
    )

    assert (answer.status_code, answer.json()) == (200, {"validationResponse": "123"})


def test_the_handshake_of_cloud_events_is_answered(client: httpx.Client) -> None:
    url = f"{EVENTS}?functionName=on_event"
    answer = client.options(url, headers={"WebHook-Request-Origin": "eventgrid.azure.net"})

    assert answer.status_code == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert client.options(url).status_code == 400


@pytest.mark.parametrize(
    ("headers", "document", "expected"),
    [
        (NOTIFICATION, [EVENT, {**EVENT, "id": "e2"}], ["e1", "e2"]),
        (NOTIFICATION, CLOUD_EVENT, ["c1"]),
        ({"Content-Type": "application/cloudevents+json"}, CLOUD_EVENT, ["c1"]),
        (
            {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"},
            [CLOUD_EVENT],
            ["c1"],
        ),
    ],
)
def test_events_are_delivered_one_by_one(
    host: FunctionsHost,
    client: httpx.Client,
    headers: dict[str, str],
    document: object,
    expected: list[str],
) -> None:
    url = f"{EVENTS}?functionName=on_event"
    answer = client.post(url, headers=headers, content=json.dumps(document))

    assert answer.status_code == 202
    assert [seen[1] for seen in host.module.seen] == expected


def test_a_failure_makes_event_grid_come_again_but_the_other_events_are_handled(
    host: FunctionsHost, client: httpx.Client
) -> None:
    answer = client.post(
        f"{EVENTS}?functionName=on_event",
        headers=NOTIFICATION,
        json=[{**EVENT, "data": {"fail": True}}, {**EVENT, "id": "e2"}],
    )

    assert answer.status_code == 500
    assert [seen[1] for seen in host.module.seen] == ["e2"]


@pytest.mark.parametrize(
    ("name", "headers", "body", "status"),
    [
        ("unknown", NOTIFICATION, b"[]", 404),
        ("item", NOTIFICATION, b"[]", 404),
        ("on_event", {}, b"[{}]", 400),
        ("on_event", NOTIFICATION, b"no json", 400),
        ("on_event", NOTIFICATION, b"[]", 400),
        ("on_event", NOTIFICATION, b"[1]", 400),
        ("on_event", {"aeg-event-type": "Unsubscribe"}, b"", 202),
    ],
)
def test_other_requests_get_what_event_grid_would_get(
    client: httpx.Client, name: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = client.post(f"{EVENTS}?functionName={name}", headers=headers, content=body)

    assert answer.status_code == status
