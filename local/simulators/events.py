"""Event Grid: a custom topic for CloudEvents, and a webhook that keeps what is delivered to it.

`POST /api/events` takes one event (`application/cloudevents+json`) or a batch
(`application/cloudevents-batch+json`) from a caller with an Entra token for Event Grid and the role
to send (`senders`). Events are checked attribute by attribute, and kept in `published`. The webhook
`/webhook/{name}` answers the CloudEvents handshake (HTTP OPTIONS) and keeps what it gets in
`received`. One with a key in `webhook_keys` takes only deliveries that are signed with it, as
Standard Webhooks says, minutes ago at most. Left out: subscriptions and delivery from the topic.

Source: CloudEvents 1.0 and its HTTP webhook and JSON format; Event Grid REST, "publish events";
Standard Webhooks 1.0.0.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from aiohttp import web

from local.simulators.entra import AZURE_CLI, TokenRejected, bearer
from local.simulators.faults import Fault
from local.simulators.service import CallDescription, Service, body_of, request_id_of

if TYPE_CHECKING:
    from local.simulators import Simulators

AUDIENCE: Final = "https://eventgrid.azure.net"
API_VERSION: Final = "2018-01-01"
SINGLE: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
MAX_EVENT: Final = 1024 * 1024
TOLERANCE: Final = 300.0
"""Seconds that the timestamp of a signed delivery may be away from the clock."""
_NAME = re.compile(r"[a-z0-9]{1,20}")
_REQUIRED = ("id", "source", "specversion", "type")


class EventRefused(Exception):
    """An event that is no CloudEvent 1.0; the message says why."""


class EventsService(Service):
    """The topic and the webhook."""

    name: ClassVar[str] = "events"

    def __init__(self, simulators: Simulators) -> None:
        super().__init__(simulators)
        self.published: list[dict[str, Any]] = []
        self.received: dict[str, list[dict[str, Any]]] = {}
        self.webhook_keys: dict[str, bytes] = {}
        self.senders = {simulators.world.managed_identity.id, AZURE_CLI}

    def routes(self) -> list[web.RouteDef]:
        """The topic's endpoint and the webhook's two methods."""
        return [
            web.post("/api/events", self._publish),
            web.route("OPTIONS", "/webhook/{name}", self._handshake),
            web.post("/webhook/{name}", self._receive),
        ]

    def describe(self, request: web.Request) -> CallDescription:
        """Who publishes, by the app id in the token."""
        call = super().describe(request)
        try:
            claims = self.simulators.entra.mint.read(bearer(request))
        except TokenRejected:
            claims = None
        return CallDescription(
            call.operation, caller=claims.app_id if claims else None, write=call.write
        )

    def fault_body(self, fault: Fault, request: web.Request) -> object:
        """Event Grid's envelope."""
        return _envelope(request, fault.code, fault.message)

    async def _publish(self, request: web.Request) -> web.Response:
        try:
            claims = self.simulators.entra.verify(bearer(request), AUDIENCE)
        except TokenRejected as error:
            return self._refuse(request, 401, "Unauthorized", error.reason)
        home = self.simulators.world.home.id
        if claims.tenant_id != home or not self.senders & {claims.object_id, claims.app_id}:
            return self._refuse(
                request,
                403,
                "Forbidden",
                "The principal associated with access token presented with the incoming request "
                "does not have permission to send data to /api/events.",
            )
        if request.query.get("api-version") != API_VERSION:
            return self._refuse(request, 400, "BadRequest", "api-version is not supported.")
        if len(body_of(request)) > MAX_EVENT:
            return self._refuse(
                request, 413, "PayloadTooLarge", "The maximum size of a request is 1048576 bytes."
            )
        try:
            events = read_events(request.content_type, body_of(request))
        except EventRefused as error:
            return self._refuse(request, 400, "BadRequest", str(error))
        self.published.extend(events)
        return web.Response(status=200)

    async def _handshake(self, request: web.Request) -> web.Response:
        origin = request.headers.get("WebHook-Request-Origin")
        if not origin:
            return web.Response(status=400)
        return web.Response(
            status=200,
            headers={"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "120"},
        )

    async def _receive(self, request: web.Request) -> web.Response:
        key = self.webhook_keys.get(request.match_info["name"])
        if key is not None and not self._is_signed(request, key):
            return self._refuse(request, 401, "Unauthorized", "The signature does not match.")
        try:
            events = read_events(request.content_type, body_of(request))
        except EventRefused as error:
            return self._refuse(request, 400, "BadRequest", str(error))
        self.received.setdefault(request.match_info["name"], []).extend(events)
        return web.Response(status=200)

    def _is_signed(self, request: web.Request, key: bytes) -> bool:
        """Whether a delivery carries a signature of this key that is not old."""
        message_id = request.headers.get("webhook-id", "")
        sent = request.headers.get("webhook-timestamp", "")
        if not message_id or "." in message_id or not sent.isdecimal():
            return False
        if abs(self.simulators.clock.now().timestamp() - int(sent)) > TOLERANCE:
            return False
        digest = hmac.new(key, f"{message_id}.{sent}.".encode(), hashlib.sha256)
        digest.update(body_of(request))
        expected = f"v1,{base64.b64encode(digest.digest()).decode()}".encode()
        offered = request.headers.get("webhook-signature", "").encode().split(b" ")
        return any(hmac.compare_digest(expected, one) for one in offered)

    def _refuse(self, request: web.Request, status: int, code: str, text: str) -> web.Response:
        return web.json_response(_envelope(request, code, text), status=status)


def read_events(content_type: str, body: bytes) -> list[dict[str, Any]]:
    """The events of a request.

    Raises:
        EventRefused: a media type, a body or an attribute is not what CloudEvents 1.0 wants.
    """
    if content_type not in (SINGLE, BATCH):
        raise EventRefused(f"The content type {content_type} is not supported by this topic.")
    try:
        document = json.loads(body)
    except ValueError as error:
        raise EventRefused("The body is not valid JSON.") from error
    events = document if content_type == BATCH else [document]
    if not isinstance(events, list):
        raise EventRefused("A batch must be a JSON array.")
    for event in events:
        _check(event)
    return events


def _check(event: object) -> None:
    if not isinstance(event, dict):
        raise EventRefused("An event must be a JSON object.")
    for name in _REQUIRED:
        if not isinstance(event.get(name), str) or not event[name]:
            raise EventRefused(f"The attribute '{name}' is required.")
    if event["specversion"] != "1.0":
        raise EventRefused("The attribute 'specversion' must be '1.0'.")
    if "data" in event and "data_base64" in event:
        raise EventRefused("'data' and 'data_base64' exclude each other.")
    for name, value in event.items():
        if name in ("data", "data_base64"):
            continue
        if not _NAME.fullmatch(name):
            raise EventRefused(f"The attribute name '{name}' is not valid.")
        if not isinstance(value, str | int | bool):
            raise EventRefused(f"The attribute '{name}' must be a text, a number or a boolean.")
    _check_optional(event)


def _check_optional(event: Mapping[str, Any]) -> None:
    for name in ("subject", "datacontenttype", "dataschema"):
        if name in event and (not isinstance(event[name], str) or not event[name]):
            raise EventRefused(f"The attribute '{name}' must be a text that is not empty.")
    if "time" in event:
        try:
            moment = datetime.fromisoformat(str(event["time"]))
        except ValueError as error:
            raise EventRefused("The attribute 'time' must be an RFC 3339 time.") from error
        if moment.tzinfo is None:
            raise EventRefused("The attribute 'time' must have a time zone.")


def _envelope(request: web.Request, code: str, message: str) -> dict[str, object]:
    return {
        "error": {
            "code": code,
            "message": message,
            "details": [{"code": "InputRequestId", "message": request_id_of(request)}],
        }
    }
