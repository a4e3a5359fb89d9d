"""HTTP: onboard many tenants, and follow, cancel or retry a batch of them.

    POST /api/tenants/batch        JSON array or CSV: 202 with a verdict for each line and Location
    GET  /api/batches/{id}         the batch with its lines
    POST /api/batches/{id}/cancel  start no more lines
    POST /api/batches/{id}/retry   failed and cancelled lines again; also wakes a batch up

Besides: the orchestrator of a batch and its activity, and a timer that wakes up batches whose
orchestrator is gone, with whatever host it was lost.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import msgspec
from msgspec import Struct

from shared.arrivals import batch
from shared.arrivals.batch import Header, Line, LineStatus
from shared.arrivals.lines import read_lines
from shared.arrivals.orchestrator import (
    ADVANCE,
    RUN_BATCH,
    BatchRun,
    is_running,
    keep_running,
    run_batch,
)
from shared.context import Context
from shared.models import to_json
from shared.triggers.access import Gate
from shared.triggers.problems import answering, json_response

RETRY_AFTER_SECONDS = 10
WAKE_SCHEDULE = "0 */5 * * * *"


class LineView(Struct, omit_defaults=True, rename="camel"):
    """A line as it is shown. ``verdict`` says whether it was taken, ``status`` where it is."""

    line: int
    tenant: str
    verdict: str
    status: LineStatus
    tenant_id: str | None = None
    operation: str | None = None
    code: str | None = None
    message: str | None = None
    remediation: str | None = None
    field: str | None = None


class BatchView(Struct, omit_defaults=True, rename="camel"):
    """A batch as it is shown. ``status`` is running, ended, cancelled, or stalled when nobody works
    on it: then ``retry`` goes on."""

    batch: str
    status: str
    created_at: datetime
    counts: dict[str, int]
    lines: list[LineView]
    links: dict[str, str]


def batch_functions(context: Context) -> df.Blueprint:
    """The blueprint of bulk onboarding."""
    blueprint = df.Blueprint()
    gate = Gate(context.settings)

    @blueprint.function_name("onboard_batch_request")
    @blueprint.route(route="tenants/batch", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.changes
    async def onboard_batch_request(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        found = read_lines(req.get_body(), req.headers.get("content-type", ""))
        header, lines = await batch.open_batch(context, found)
        await keep_running(client, _run(context, header))
        return _accepted(_view(header, lines, running=True))

    @blueprint.function_name("get_batch")
    @blueprint.route(route="batches/{id}", methods=["GET"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.reads
    async def get_batch(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        header, lines = await batch.read_batch(context, req.route_params["id"])
        running = header.open and await is_running(client, header.id, header.run)
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if running else {}
        return json_response(_view(header, lines, running=running), headers=headers)

    @blueprint.function_name("cancel_batch")
    @blueprint.route(route="batches/{id}/cancel", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.changes
    async def cancel_batch(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        identifier = req.route_params["id"]
        await batch.cancel(context, identifier)
        return await _shown(client, identifier)

    @blueprint.function_name("retry_batch")
    @blueprint.route(route="batches/{id}/retry", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.changes
    async def retry_batch(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        identifier = req.route_params["id"]
        await batch.retry(context, identifier)
        return await _shown(client, identifier)

    @blueprint.function_name("wake_batches")
    @blueprint.timer_trigger(arg_name="timer", schedule=WAKE_SCHEDULE)
    @blueprint.durable_client_input(client_name="client")
    async def wake_batches(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
        for header in await batch.open_batches(context):
            await keep_running(client, _run(context, header))

    @blueprint.orchestration_trigger(context_name="context", orchestration=RUN_BATCH)
    def run_the_batch(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        return (yield from run_batch(context))

    @blueprint.function_name(ADVANCE)
    @blueprint.activity_trigger(input_name="call", activity=ADVANCE)
    @blueprint.durable_client_input(client_name="client")
    async def advance_batch(call: dict, client: df.DurableOrchestrationClient) -> Any:  # type: ignore[type-arg]
        return to_json(await batch.advance(context, client, call["batch"]))

    async def _shown(client: Any, identifier: str) -> func.HttpResponse:
        header, lines = await batch.read_batch(context, identifier)
        if header.open:
            await keep_running(client, _run(context, header))
        return _accepted(_view(header, lines, running=header.open))

    return blueprint


def _run(context: Context, header: Header) -> BatchRun:
    waits = context.settings.waits
    return BatchRun(batch=header.id, run=header.run, first=waits.first, longest=waits.longest)


def _accepted(view: BatchView) -> func.HttpResponse:
    headers = {"Location": view.links["batch"], "Retry-After": str(RETRY_AFTER_SECONDS)}
    return json_response(view, 202, headers=headers)


def _view(header: Header, lines: list[Line], *, running: bool) -> BatchView:
    link = f"/api/batches/{header.id}"
    if header.cancelled:
        status = "cancelled"
    elif not header.open:
        status = "ended"
    else:
        status = "running" if running else "stalled"
    return BatchView(
        batch=header.id,
        status=status,
        created_at=header.created_at,
        counts=batch.counted(lines),
        lines=[_line(line) for line in lines],
        links={"batch": link, "cancel": f"{link}/cancel", "retry": f"{link}/retry"},
    )


def _line(line: Line) -> LineView:
    refused = line.status is LineStatus.REFUSED
    shown = {
        name: getattr(line, name)
        for name in ("tenant_id", "operation", "code", "message", "remediation", "field")
    }
    return LineView(
        line=line.number,
        tenant=line.tenant,
        verdict="refused" if refused else "accepted",
        status=line.status,
        **msgspec.to_builtins(shown),
    )
