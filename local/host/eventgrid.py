"""The webhook through which Event Grid calls functions, as the host's extension answers it.

`POST /runtime/webhooks/EventGrid?functionName=X` with `aeg-event-type`: `SubscriptionValidation` is
answered with the code, `Notification` with 202 once every event was handled, 500 if a function
failed (Event Grid then delivers again). CloudEvents come singly or as a batch, and their handshake
is an OPTIONS request with `WebHook-Request-Origin`. Unknown function 404, anything else 400.
Which events arrive twice or out of order is for the sender to simulate.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from azure.functions.eventgrid import EventGridEventInConverter
from azure.functions.meta import Datum

#: (status, headers, body)
Answer = tuple[int, dict[str, str], str]

#: Runs the function on one event; raises what the function raised.
Deliver = Callable[[Any], Awaitable[None]]

_CLOUD_EVENTS = ("application/cloudevents+json", "application/cloudevents-batch+json")


def decode_event(text: str) -> Any:
    """Event of the SDK (`EventGridEvent` or `CloudEvent`) from its JSON text."""
    return EventGridEventInConverter.decode(Datum(text, "json"), trigger_metadata=None)


def handshake(headers: Mapping[str, str]) -> Answer:
    """Answer to the validation request of CloudEvents."""
    origin = headers.get("WebHook-Request-Origin")
    if not origin:
        return 400, {}, "WebHook-Request-Origin is missing"
    return 200, {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}, ""


async def receive(headers: Mapping[str, str], body: bytes, deliver: Deliver) -> Answer:
    """Handle one POST."""
    kind = headers.get("aeg-event-type", "").lower()
    media_type = headers.get("Content-Type", "").split(";")[0].strip().lower()
    if kind == "unsubscribe":
        return 202, {}, ""
    if kind not in ("notification", "subscriptionvalidation") and media_type not in _CLOUD_EVENTS:
        return 400, {}, f"aeg-event-type '{kind}' is not supported"
    try:
        document = json.loads(body)
    except ValueError:
        return 400, {}, "the body is no JSON"
    events = document if isinstance(document, list) else [document]
    if not events or not all(isinstance(event, dict) for event in events):
        return 400, {}, "the body holds no events"
    if kind == "subscriptionvalidation":
        code = json.dumps({"validationResponse": events[0].get("data", {}).get("validationCode")})
        return 200, {"Content-Type": "application/json"}, code
    failed = False
    for event in events:
        try:
            await deliver(decode_event(json.dumps(event)))
        except Exception:  # noqa: BLE001 - the invoker has logged it; Event Grid only hears "500"
            failed = True
    return (500 if failed else 202), {}, ""
