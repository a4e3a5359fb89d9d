"""Event Grid and queue: a tenant was added. And HTTP: what became of the events.

    tenant_added_event      Event Grid trigger, for CloudEvents 1.0 and Event Grid's own schema
    tenant_added_message    queue trigger on ``tenant-additions``, for the same event
    GET /api/events         the newest events and what became of each; ?reception=rejected

Bad content is not delivered again: it goes, with the reason, to the queue
``tenant-additions-poison``, and is listed. A failure of ours is raised, so that Event Grid or the
queue delivers again; a message that failed to the end is moved to the same queue by the host.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import msgspec
from msgspec import Struct

from shared.arrivals.reception import Note, Reception, notes, receive, reject
from shared.arrivals.tenant_added import read_message
from shared.context import Context
from shared.errors import InvalidRequest
from shared.triggers.access import Gate
from shared.triggers.problems import answering, json_response

QUEUE = "tenant-additions"
POISON_QUEUE = f"{QUEUE}-poison"
STORAGE = "AzureWebJobsStorage"
"""The app setting with the connection to the storage account of the queues."""
LONGEST_ORIGINAL = 30_000
"""Characters of a rejected event that are put into the poison queue; a message holds 64 KB."""
LISTED = 200

_log = logging.getLogger(__name__)


class Events(Struct, omit_defaults=True, rename="camel"):
    """The newest events, newest first."""

    events: list[Note]


def event_functions(context: Context) -> df.Blueprint:
    """The blueprint of the tenant-added event."""
    blueprint = df.Blueprint()
    gate = Gate(context.settings)

    @blueprint.function_name("tenant_added_event")
    @blueprint.event_grid_trigger(arg_name="event")
    @blueprint.queue_output(arg_name="poison", queue_name=POISON_QUEUE, connection=STORAGE)
    @blueprint.durable_client_input(client_name="client")
    async def tenant_added_event(
        event: func.EventGridEvent,
        client: df.DurableOrchestrationClient,
        poison: func.Out[str],
    ) -> None:
        await take(client, poison, json.dumps(_document(event)), way="event-grid")

    @blueprint.function_name("tenant_added_message")
    @blueprint.queue_trigger(arg_name="message", queue_name=QUEUE, connection=STORAGE)
    @blueprint.queue_output(arg_name="poison", queue_name=POISON_QUEUE, connection=STORAGE)
    @blueprint.durable_client_input(client_name="client")
    async def tenant_added_message(
        message: func.QueueMessage,
        client: df.DurableOrchestrationClient,
        poison: func.Out[str],
    ) -> None:
        text = message.get_body().decode(errors="replace")
        await take(client, poison, text, way="queue")

    @blueprint.function_name("list_events")
    @blueprint.route(route="events", methods=["GET"])
    @answering
    @gate.reads
    async def list_events(req: func.HttpRequest) -> func.HttpResponse:
        found = await notes(context, _reception(req.params.get("reception")))
        return json_response(Events(found[:LISTED]))

    async def take(client: Any, poison: func.Out[str], text: str, *, way: str) -> None:
        try:
            document = read_message(text)
        except InvalidRequest as error:
            note = await reject(context, text, error, way=way)
        else:
            note = await receive(context, client, document, way=way)
        _tell(note, poison, text)

    return blueprint


def _tell(note: Note, poison: func.Out[str], original: str) -> None:
    if note.reception is Reception.REJECTED:
        _log.warning("an event by %s was rejected: %s", note.way, note.code)
        envelope = {"reason": note, "event": original[:LONGEST_ORIGINAL]}
        poison.set(msgspec.json.encode(envelope).decode())
    else:
        _log.info("an event by %s was %s: operation %s", note.way, note.reception, note.operation)


def _document(event: Any) -> Any:
    """The event as JSON, which the SDK has taken apart: a CloudEvent, or one of Event Grid's."""
    if isinstance(event, func.CloudEvent):
        attributes = {
            "specversion": event.specversion,
            "id": event.id,
            "source": event.source,
            "type": event.type,
            "subject": event.subject,
            "time": _written(event.time),
            "dataschema": event.dataschema,
        }
    else:
        attributes = {
            "id": event.id,
            "topic": event.topic,
            "subject": event.subject,
            "eventType": event.event_type,
            "eventTime": _written(event.event_time),
            "dataVersion": event.data_version,
        }
    told = {name: value for name, value in attributes.items() if value is not None}
    return told | {"data": event.get_json()}


def _written(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    # Event Grid writes UTC; the SDK drops the zone of some spellings.
    return moment.isoformat() if moment.tzinfo else moment.isoformat() + "Z"


def _reception(text: str | None) -> Reception | None:
    if text is None:
        return None
    if text not in list(Reception):
        raise InvalidRequest(
            "field_invalid",
            f"reception is not one of {', '.join(Reception)}",
            remediation="Correct reception.",
            field="reception",
        )
    return Reception(text)
