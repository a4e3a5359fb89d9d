"""What becomes of one event, and the note that is kept of it for `KEPT` days.

    started    it started an onboarding
    absorbed   its tenant had one already, running or ended; or the event is an old one
    rejected   its content is bad: it is not delivered again, an operator has to look
    failing    something of ours failed; it is delivered again, and the note says why it failed

A note is kept under the event's source and id, so that a repeated delivery finds it. An event that
is older than the newest onboarding of its tenant tells nothing new, in whatever order events come.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from shared.arrivals.join import Joined, join, newest_onboarding
from shared.arrivals.tenant_added import Event, read_event
from shared.context import Context
from shared.errors import NotFound, NotYet, OnboardingError, OutcomeUnknown, Refused, RequestError
from shared.instances import DurableClient
from shared.ledger.entries import Entry
from shared.onboarding.order import take_order

SHELF = "events"
KEPT = timedelta(days=30)
"""Event Grid delivers for a day at most, a queue for seven."""


class Reception(StrEnum):
    """What became of an event."""

    STARTED = "started"
    ABSORBED = "absorbed"
    REJECTED = "rejected"
    FAILING = "failing"


class Note(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What is kept of an event: nothing of its content but what names it and its tenant."""

    reception: Reception
    way: str
    received_at: datetime
    id: str = ""
    source: str = ""
    tenant_id: str | None = None
    operation: str | None = None
    code: str | None = None
    message: str | None = None
    remediation: str | None = None
    field: str | None = None
    attempts: int = 1


async def receive(context: Context, client: DurableClient, document: Any, *, way: str) -> Note:
    """Act on an event, once. ``way`` says how it came.

    Raises:
        OnboardingError: ours failed; deliver it again. The note says why, if it could be written.
    """
    try:
        event = read_event(document)
    except RequestError as error:
        return await _keep(context, _key_of_bad(document), _rejected(context, document, error, way))
    known = await context.ledger.read(SHELF, event.key)
    before = None if known is None else msgspec.json.decode(known.text, type=Note)
    if before is not None and before.reception in (Reception.STARTED, Reception.ABSORBED):
        return msgspec.structs.replace(before, reception=Reception.ABSORBED)
    note = Note(
        reception=Reception.STARTED,
        way=way,
        received_at=context.now(),
        id=event.id,
        source=event.source,
        attempts=1 if before is None else before.attempts + 1,
    )
    try:
        tenant_id, joined, why = await _act(context, client, event)
    except (NotFound, RequestError) as error:
        return await _keep(context, event.key, _with_error(note, Reception.REJECTED, error))
    except (NotYet, OutcomeUnknown, Refused) as error:
        await _keep(context, event.key, _with_error(note, Reception.FAILING, error))
        raise
    reception = Reception.STARTED if joined.started else Reception.ABSORBED
    note = msgspec.structs.replace(
        note, reception=reception, tenant_id=tenant_id, operation=joined.operation, message=why
    )
    return await _keep(context, event.key, note)


async def reject(context: Context, text: str, error: RequestError, *, way: str) -> Note:
    """Keep a note of a message that is not even JSON."""
    key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]
    return await _keep(context, key, _rejected(context, None, error, way))


async def notes(context: Context, reception: Reception | None) -> list[Note]:
    """The notes that are kept, newest first, of one kind or all."""
    kept = [
        msgspec.json.decode(entry.text, type=Note) for entry in await context.ledger.entries(SHELF)
    ]
    wanted = [note for note in kept if reception in (None, note.reception)]
    return sorted(wanted, key=lambda note: note.received_at, reverse=True)


async def forget_old_notes(context: Context) -> None:
    """Remove notes older than `KEPT`."""
    for entry in await context.ledger.entries(SHELF):
        if msgspec.json.decode(entry.text, type=Note).received_at < context.now() - KEPT:
            await context.ledger.remove(entry)


async def _act(
    context: Context, client: DurableClient, event: Event
) -> tuple[str, Joined, str | None]:
    request = event.added.request()
    order = await take_order(context, request)
    newest = await newest_onboarding(context, order.tenant_id)
    if newest is not None and event.time is not None and event.time < newest.started_at:
        why = "the event is older than the newest onboarding of its tenant"
        return order.tenant_id, Joined(newest.id), why
    return order.tenant_id, await join(context, client, request, order), None


async def _keep(context: Context, key: str, note: Note) -> Note:
    """Write the note; of two who do so at once either note is right."""
    text = msgspec.json.encode(note).decode()
    if not await context.ledger.add(SHELF, key, text):
        entry: Entry | None = await context.ledger.read(SHELF, key)
        if entry is not None:
            await context.ledger.replace(entry, text)
    return note


def _key_of_bad(document: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(document)).hexdigest()[:40]


def _rejected(context: Context, document: Any, error: RequestError, way: str) -> Note:
    def named(name: str) -> str:
        value = document.get(name) if isinstance(document, dict) else None
        return value[:200] if isinstance(value, str) else ""

    note = Note(
        reception=Reception.REJECTED,
        way=way,
        received_at=context.now(),
        id=named("id"),
        source=named("source") or named("topic"),
    )
    return _with_error(note, Reception.REJECTED, error)


def _with_error(note: Note, reception: Reception, error: OnboardingError) -> Note:
    return msgspec.structs.replace(
        note,
        reception=reception,
        tenant_id=error.tenant_id,
        code=error.code,
        message=error.message[:700],
        remediation=error.remediation,
        field=error.field if isinstance(error, RequestError) else None,
    )
