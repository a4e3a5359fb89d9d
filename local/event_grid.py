"""Event Grid's side of a subscription: the handshakes, and the delivery of events to a function."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx

TENANT_ADDED = "io.mondoo.onboarding.tenant.added"
FUNCTION = "tenant_added_event"
PATH = f"/runtime/webhooks/EventGrid?functionName={FUNCTION}"
SOURCE = "/local/sales"


def cloud_event(tenant: str, **changes: Any) -> dict[str, Any]:
    """The tenant-added event as a CloudEvent; ``changes`` replace attributes (None: left out)."""
    event = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": SOURCE,
        "type": TENANT_ADDED,
        "subject": tenant,
        "time": datetime.now(UTC).isoformat(),
        "datacontenttype": "application/json",
        "data": {"tenant": tenant},
        **changes,
    }
    return {name: value for name, value in event.items() if value is not None}


def event_grid_event(tenant: str, **changes: Any) -> dict[str, Any]:
    """The same in Event Grid's own schema."""
    event = {
        "id": str(uuid4()),
        "topic": "/subscriptions/local/topics/sales",
        "subject": tenant,
        "eventType": TENANT_ADDED,
        "eventTime": datetime.now(UTC).isoformat(),
        "dataVersion": "1",
        "metadataVersion": "1",
        "data": {"tenant": tenant},
        **changes,
    }
    return {name: value for name, value in event.items() if value is not None}


def deliver(client: httpx.Client, event: dict[str, Any]) -> httpx.Response:
    """Deliver one event, as Event Grid does in the schema that the event has."""
    if "specversion" in event:
        headers = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
        return client.post(PATH, content=json.dumps(event), headers=headers)
    headers = {"Content-Type": "application/json", "aeg-event-type": "Notification"}
    return client.post(PATH, content=json.dumps([event]), headers=headers)


def shake_hands(client: httpx.Client, *, cloud_events: bool) -> httpx.Response:
    """Ask whether the endpoint wants events, as for a new subscription in either schema."""
    if cloud_events:
        headers = {"WebHook-Request-Origin": "eventgrid.azure.net"}
        return client.request("OPTIONS", PATH, headers=headers)
    event = {
        "id": str(uuid4()),
        "topic": "/subscriptions/local/topics/sales",
        "subject": "",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": datetime.now(UTC).isoformat(),
        "dataVersion": "2",
        "data": {"validationCode": "512D38B6-C7B8-40C8-89FE-F46F9E9622B6"},
    }
    return client.post(PATH, json=[event], headers={"aeg-event-type": "SubscriptionValidation"})
