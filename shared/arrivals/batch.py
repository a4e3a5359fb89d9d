"""Batches: many tenants in one request, a bounded number of them in flight, none forgotten.

The ledger is the truth: a header for each batch and an entry for each line, with its request and
what became of it. `advance` takes one look at a batch: it sees what became of the lines in flight,
starts as many as there is room for, and writes both down. Whoever calls it again (the orchestrator
of the batch, after a pause) goes on from there, so that nothing is lost with a process: an
operation that no one knows any more is started again, and its steps find what was done.

A line's operation is written down before it is started; a line whose tenant has an operation
already joins it (`join`). A line ends ``succeeded``, ``failed`` (with the operation and why),
``cancelled`` (with its batch, or its operation was), or was ``refused`` when it was read. Only
failed and cancelled ones are retried.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec import Struct

from shared.arrivals.join import Joined, join
from shared.arrivals.lines import BulkLine
from shared.context import Context
from shared.errors import NotFound, NotYet, OnboardingError, OutcomeUnknown, Refused, RequestError
from shared.instances import DurableClient, find_operation
from shared.ledger.entries import Entry
from shared.models import OnboardingRequest, Operation, OperationStatus
from shared.onboarding.order import take_order

HEADERS = "batches"
MOST_ATTEMPTS = 10
"""How often a line is begun before it counts as failed: the service it needs is down."""

TRIES = 5
"""How often a header is read again because somebody else has written it."""


class LineStatus(StrEnum):
    """Where a line is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"  # bad content; nothing was started
    CANCELLED = "cancelled"


UNDER_WAY = frozenset({LineStatus.QUEUED, LineStatus.RUNNING})
TO_RETRY = frozenset({LineStatus.FAILED, LineStatus.CANCELLED})


class Line(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One line and what became of it. ``request`` is kept, and not shown."""

    number: int
    tenant: str
    status: LineStatus
    request: OnboardingRequest | None = None
    tenant_id: str | None = None
    operation: str | None = None
    code: str | None = None
    message: str | None = None
    remediation: str | None = None
    field: str | None = None
    attempts: int = 0


class Header(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A batch. ``open`` until every line has ended; ``cancelled`` keeps new ones from starting.

    ``run`` counts how often it was opened. Each run has an orchestrator of its own: that of the
    run before may still be about to end when the next one begins.
    """

    id: str
    created_at: datetime
    open: bool = True
    cancelled: bool = False
    run: int = 1


class Progress(Struct, frozen=True, rename="camel"):
    """What a look at a batch has shown: whether every line has ended, whether anything changed,
    and how many lines are where."""

    ended: bool
    changed: bool
    counts: dict[str, int]


async def open_batch(context: Context, lines: list[BulkLine]) -> tuple[Header, list[Line]]:
    """Write a batch down. It is there once its header is, which comes last."""
    now = context.now()
    header = Header(id=f"{now:%Y%m%dt%H%M%S}-{secrets.token_hex(4)}", created_at=now)
    kept = [_begun(line) for line in lines]
    await context.ledger.add_all(
        _shelf(header.id), {f"{line.number:06}": _text(line) for line in kept}
    )
    await context.ledger.add(HEADERS, header.id, _text(header))
    return header, kept


async def read_batch(context: Context, batch_id: str) -> tuple[Header, list[Line]]:
    """A batch and its lines.

    Raises:
        NotFound: ``batch_unknown``.
    """
    _, header = await _header(context, batch_id)
    return header, [line for _, line in await _lines(context, batch_id)]


async def open_batches(context: Context) -> list[Header]:
    """The batches that have not ended."""
    headers = [
        msgspec.json.decode(entry.text, type=Header)
        for entry in await context.ledger.entries(HEADERS)
    ]
    return [header for header in headers if header.open]


async def cancel(context: Context, batch_id: str) -> None:
    """Start no more lines. Operations that run are let come to their end.

    Raises:
        NotFound: ``batch_unknown``.
        NotYet: ``batch_busy``.
    """
    await _change_header(context, batch_id, cancelled=True, reopen=False)


async def retry(context: Context, batch_id: str) -> int:
    """Queue the failed and cancelled lines again; how many there were.

    Raises:
        NotFound: ``batch_unknown``.
        NotYet: ``batch_busy``.
    """
    await _change_header(context, batch_id, cancelled=False, reopen=False)
    again = [pair for pair in await _lines(context, batch_id) if pair[1].status in TO_RETRY]
    for entry, line in again:
        await _write(context, entry, _queued(line, attempts=0))
    # Opened last: a look that saw the lines before must not close the batch after.
    await _change_header(context, batch_id, cancelled=False, reopen=True)
    return len(again)


async def advance(context: Context, client: DurableClient, batch_id: str) -> Progress:
    """Take a look at a batch and bring it on.

    Raises:
        NotFound: ``batch_unknown``.
        NotYet, Refused: the ledger or the records cannot be used.
    """
    header_entry, header = await _header(context, batch_id)
    before = await _lines(context, batch_id)
    settled = await asyncio.gather(
        *(
            _settled(context, client, entry, line)
            if line.status is LineStatus.RUNNING
            else _same(entry, line)
            for entry, line in before
        )
    )
    queued = [pair for pair in settled if pair[1].status is LineStatus.QUEUED]
    if header.cancelled:
        await asyncio.gather(*(_cancelled(context, entry, line) for entry, line in queued))
    else:
        in_flight = sum(line.status is LineStatus.RUNNING for _, line in settled)
        room = max(0, context.settings.batch_in_flight - in_flight)
        await asyncio.gather(
            *(_start(context, client, entry, line) for entry, line in queued[:room])
        )
    after = await _lines(context, batch_id)
    counts = counted([line for _, line in after])
    ended = not any(counts.get(status) for status in UNDER_WAY)
    if ended and header.open:
        closed = msgspec.structs.replace(header, open=False)
        # Somebody may have sent a retry meanwhile; then it has not ended.
        ended = await context.ledger.replace(header_entry, _text(closed)) is not None
    return Progress(ended, _places(before) != _places(after), counts)


def counted(lines: list[Line]) -> dict[str, int]:
    """How many lines are where."""
    return dict(Counter(line.status.value for line in lines))


def _places(lines: list[tuple[Entry, Line]]) -> list[tuple[LineStatus, str | None]]:
    """Where lines are; one more vain attempt is no change, so that the next look comes later."""
    return [(line.status, line.operation) for _, line in lines]


async def _same(entry: Entry, line: Line) -> tuple[Entry, Line]:
    return entry, line


async def _settled(
    context: Context, client: DurableClient, entry: Entry, line: Line
) -> tuple[Entry, Line]:
    """A line in flight, with the end of its operation where it has ended."""
    operation = await find_operation(client, context.records, line.operation or "")
    if operation is None:
        # It was lost with its host, before it could be written down.
        return await _write(context, entry, _again(line, _lost(line)))
    if operation.finished_at is None:
        return entry, line
    return await _write(context, entry, _ended(line, operation))


async def _start(context: Context, client: DurableClient, entry: Entry, line: Line) -> None:
    assert line.request is not None  # only refused lines have none
    attempt = msgspec.structs.replace(line, attempts=line.attempts + 1)
    try:
        order = await take_order(context, line.request)
        running = msgspec.structs.replace(
            _clean(attempt),
            status=LineStatus.RUNNING,
            tenant_id=order.tenant_id,
            operation=order.operation_id,
        )
        written = await context.ledger.replace(entry, _text(running))
        if written is None:
            return  # another look at this batch has begun it
        entry = written
        joined = await join(context, client, line.request, order)
    except NotYet as error:
        await _write(context, entry, _again(attempt, error))
    except (RequestError, NotFound, Refused, OutcomeUnknown) as error:
        await _write(context, entry, _failed(attempt, error))
    else:
        await _write(context, entry, _joined(running, joined))


def _joined(line: Line, joined: Joined) -> Line:
    if joined.ended:
        return msgspec.structs.replace(
            line,
            status=LineStatus.SUCCEEDED,
            operation=joined.operation,
            message="was onboarded already, as this line wants it",
        )
    return msgspec.structs.replace(line, operation=joined.operation)


async def _cancelled(context: Context, entry: Entry, line: Line) -> None:
    await _write(context, entry, msgspec.structs.replace(line, status=LineStatus.CANCELLED))


async def _write(context: Context, entry: Entry, line: Line) -> tuple[Entry, Line]:
    """Write a line; where another look at the batch was faster, what that one wrote stays."""
    text = _text(line)
    if text == entry.text:
        return entry, line
    written = await context.ledger.replace(entry, text)
    if written is None:
        current = await context.ledger.read(entry.shelf, entry.key)
        assert current is not None  # lines are never removed
        return current, msgspec.json.decode(current.text, type=Line)
    return written, line


def _begun(line: BulkLine) -> Line:
    if line.problem is None:
        return Line(line.number, line.tenant, LineStatus.QUEUED, line.request)
    return _with_problem(Line(line.number, line.tenant, LineStatus.REFUSED), line.problem)


def _ended(line: Line, operation: Operation) -> Line:
    if operation.status is OperationStatus.SUCCEEDED:
        return msgspec.structs.replace(_clean(line), status=LineStatus.SUCCEEDED)
    stopped = next((s for s in operation.steps if s.outcome and s.outcome.stops), None)
    cancelled = operation.status is OperationStatus.CANCELLED
    return msgspec.structs.replace(
        line,
        status=LineStatus.CANCELLED if cancelled else LineStatus.FAILED,
        code=stopped.code if stopped else operation.status.value,
        message=(stopped.message if stopped else f"the operation is {operation.status}")[:700],
        remediation=stopped.remediation if stopped else "Look at the operation.",
    )


def _again(line: Line, error: OnboardingError) -> Line:
    """Queued again with the reason, or failed after too many attempts."""
    if line.attempts >= MOST_ATTEMPTS:
        return _failed(line, error)
    return _with_problem(_queued(line, attempts=line.attempts), error)


def _failed(line: Line, error: OnboardingError) -> Line:
    return _with_problem(msgspec.structs.replace(line, status=LineStatus.FAILED), error)


def _queued(line: Line, *, attempts: int) -> Line:
    return msgspec.structs.replace(
        _clean(line), status=LineStatus.QUEUED, operation=None, attempts=attempts
    )


def _clean(line: Line) -> Line:
    return msgspec.structs.replace(line, code=None, message=None, remediation=None, field=None)


def _with_problem(line: Line, error: OnboardingError) -> Line:
    return msgspec.structs.replace(
        line,
        code=error.code,
        message=error.message[:700],
        remediation=error.remediation,
        field=error.field if isinstance(error, RequestError) else None,
    )


def _lost(line: Line) -> NotYet:
    return NotYet(
        "operation_lost",
        f"operation {line.operation} was lost with its host",
        remediation="Nothing needs to be done; it is started again.",
    )


async def _header(context: Context, batch_id: str) -> tuple[Entry, Header]:
    entry = await context.ledger.read(HEADERS, batch_id)
    if entry is None:
        raise NotFound(
            "batch_unknown",
            f"there is no batch {batch_id[:100]!r}",
            remediation="Use the link of the answer that accepted it.",
            field="id",
        )
    return entry, msgspec.json.decode(entry.text, type=Header)


async def _change_header(context: Context, batch_id: str, *, cancelled: bool, reopen: bool) -> None:
    for _ in range(TRIES):
        entry, header = await _header(context, batch_id)
        opened = reopen and not header.open
        wanted = msgspec.structs.replace(
            header,
            cancelled=cancelled,
            open=reopen or header.open,
            run=header.run + 1 if opened else header.run,
        )
        # Written even when nothing differs: a look that is about to close the batch must notice.
        if await context.ledger.replace(entry, _text(wanted)) is not None:
            return
    raise NotYet(
        "batch_busy",
        f"batch {batch_id} is being changed by others",
        remediation="Send the request again.",
        retry_after=1,
    )


async def _lines(context: Context, batch_id: str) -> list[tuple[Entry, Line]]:
    return [
        (entry, msgspec.json.decode(entry.text, type=Line))
        for entry in await context.ledger.entries(_shelf(batch_id))
    ]


def _shelf(batch_id: str) -> str:
    return f"lines.{batch_id}"


def _text(value: Struct) -> str:
    return msgspec.json.encode(value).decode()
