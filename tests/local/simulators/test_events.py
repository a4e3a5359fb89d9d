"""The simulated Event Grid: what a topic takes, and what a webhook keeps."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from local.simulators import Simulators
from tests.local.simulators.callers import Caller, bearer, stranger, web

AUDIENCE = "https://eventgrid.azure.net"
SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
VERSION = "api-version=2018-01-01"


def event(**changes: Any) -> dict[str, Any]:
    """A CloudEvent; a change to `None` leaves an attribute out."""
    whole = {
        "specversion": "1.0",
        "id": "d2c9b1a0-0c1f-4a54-9f0e-2f1f5d5b7a10",
        "source": "/onboarding",
        "type": "io.mondoo.onboarding.tenant.onboarded",
        "subject": "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77",
        "time": "2026-09-10T08:00:00Z",
        "datacontenttype": "application/json",
        "data": {"tenantId": "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"},
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


async def publish(
    simulators: Simulators,
    body: Any,
    *,
    media: str = BATCH,
    caller: Caller | None = None,
    audience: str = AUDIENCE,
    query: str = VERSION,
) -> httpx.Response:
    token = (caller or Caller(simulators)).token(audience)
    async with web(simulators) as client:
        return await client.post(
            f"{simulators.urls['events']}/api/events?{query}",
            json=body,
            headers=bearer(token) | {"Content-Type": media},
        )


async def test_batches_and_single_events_are_kept_in_order(simulators: Simulators) -> None:
    before = len(simulators.events.published)
    batch = [event(id="1"), event(id="2")]
    assert (await publish(simulators, batch)).status_code == 200
    assert (await publish(simulators, event(id="3"), media=SINGLE)).status_code == 200
    assert [each["id"] for each in simulators.events.published[before:]] == ["1", "2", "3"]
    assert simulators.events.published[before] == batch[0]


async def test_a_batch_with_one_bad_event_is_refused_as_a_whole(simulators: Simulators) -> None:
    before = len(simulators.events.published)
    assert (await publish(simulators, [event(), event(id=None)])).status_code == 400
    assert len(simulators.events.published) == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"id": None}, "'id'"),
        ({"source": ""}, "'source'"),
        ({"type": None}, "'type'"),
        ({"specversion": "0.3"}, "'specversion'"),
        ({"time": "yesterday"}, "'time'"),
        ({"time": "2026-09-10T08:00:00"}, "'time'"),
        ({"subject": ""}, "'subject'"),
        ({"tenantId": "x"}, "'tenantId'"),
        ({"extra": {"a": 1}}, "'extra'"),
        ({"data_base64": "eA=="}, "'data_base64'"),
    ],
)
async def test_every_attribute_is_checked(
    simulators: Simulators, change: dict[str, Any], named: str
) -> None:
    answer = await publish(simulators, [event(**change)])
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")
    assert named in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "media", "query"),
    [
        ([event()], "application/json", VERSION),
        ([event()], SINGLE, VERSION),
        (event(), BATCH, VERSION),
        ("text", BATCH, VERSION),
        ([event()], BATCH, ""),
    ],
)
async def test_the_form_must_be_the_one_that_is_announced(
    simulators: Simulators, body: Any, media: str, query: str
) -> None:
    assert (await publish(simulators, body, media=media, query=query)).status_code == 400


async def test_senders_need_a_token_for_event_grid_and_the_role(simulators: Simulators) -> None:
    answer = await publish(simulators, [event()], audience="https://storage.azure.com")
    assert answer.status_code == 401
    nobody = Caller(simulators, stranger(simulators))
    assert (await publish(simulators, [event()], caller=nobody)).status_code == 403


async def test_too_much_is_refused(simulators: Simulators) -> None:
    answer = await publish(simulators, [event(data={"x": "y" * 1_048_576})])
    assert answer.status_code == 413


async def test_a_webhook_shakes_hands_and_keeps_what_it_gets(simulators: Simulators) -> None:
    url = f"{simulators.urls['events']}/webhook/operations"
    async with web(simulators) as client:
        assert (await client.options(url)).status_code == 400
        hand = await client.options(url, headers={"WebHook-Request-Origin": "eventgrid.azure.net"})
        assert hand.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
        kept = await client.post(url, json=event(), headers={"Content-Type": SINGLE})
        bad = await client.post(url, json=event(id=None), headers={"Content-Type": SINGLE})
    assert (kept.status_code, bad.status_code) == (200, 400)
    assert simulators.events.received["operations"] == [event()]
