"""HTTP, timer, Event Grid and durable: rotate certificates.

POST /api/tenants/{tenant}/rotate    202 with Location
daily                                every tenant whose certificate ends soon, or whose rotation
                                     stopped halfway or waited for its overlap
events of Key Vault                  a certificate nears its end, or got a new version
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from shared.context import Context
from shared.entra.tenants import resolve_tenant
from shared.errors import NotYet, OutcomeUnknown, Refused, RequestError
from shared.models import StepCall, from_json, to_json
from shared.outcomes import outcome_of
from shared.rotation.due import reason_to_rotate
from shared.rotation.events import read_event, tenants_to_rotate
from shared.rotation.orchestrator import RECORD_ACTIVITY, ROTATE, RotationRecordCall, rotate
from shared.rotation.start import start_rotation
from shared.rotation.steps import STEPS, WITHDRAW, RotationStep, record, run_step
from shared.telemetry import operation_ended
from shared.triggers.access import Gate
from shared.triggers.durable import Activity, register
from shared.triggers.problems import answering
from shared.triggers.tenants import accepted

EVERY_NIGHT = "0 41 2 * * *"
"""NCRONTAB, UTC: off the full hour, when everybody else's timers fire."""

PAGE = 100

_log = logging.getLogger(__name__)


def rotation_functions(context: Context) -> df.Blueprint:
    """The blueprint of rotation: its entry points, its orchestrator and its activities."""
    blueprint = df.Blueprint()
    gate = Gate(context.settings)

    @blueprint.function_name("rotate_tenant_request")
    @blueprint.route(route="tenants/{tenant}/rotate", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.changes
    async def rotate_tenant_request(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        tenant_id = await resolve_tenant(context.settings, context.http, req.route_params["tenant"])
        return accepted(await start_rotation(context, client, tenant_id), tenant_id)

    @blueprint.function_name("rotate_due_tenants")
    @blueprint.timer_trigger(arg_name="timer", schedule=EVERY_NIGHT, run_on_startup=False)
    @blueprint.durable_client_input(client_name="client")
    async def rotate_due_tenants(
        timer: func.TimerRequest, client: df.DurableOrchestrationClient
    ) -> None:
        started = await rotate_due(context, client)
        _log.info("rotations started: %d", len(started))

    @blueprint.function_name("certificate_event")
    @blueprint.event_grid_trigger(arg_name="event")
    @blueprint.durable_client_input(client_name="client")
    async def certificate_event(
        event: func.EventGridEvent, client: df.DurableOrchestrationClient
    ) -> None:
        # What is raised makes Event Grid deliver the event again later.
        await rotate_for_event(context, client, event.event_type or "", event.get_json())

    @blueprint.orchestration_trigger(context_name="context", orchestration=ROTATE)
    def rotate_tenant(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        return (yield from rotate(context))

    for definition in (*STEPS, WITHDRAW):
        register(blueprint, definition.activity, _activity(context, definition))

    async def record_rotation(call: dict[str, Any]) -> Any:
        known = from_json(call, RotationRecordCall)
        try:
            result = await record.run(context, known.order, known.operation)
            tenant = await context.records.get(known.order.tenant_id)
        except (NotYet, OutcomeUnknown, Refused) as error:
            result = outcome_of(error)
        else:
            certificate = tenant.certificate if tenant else None
            expires = certificate.not_after if certificate else None
            operation_ended(known.operation, expires, context.now())
        return to_json(result)

    register(blueprint, RECORD_ACTIVITY, record_rotation)
    return blueprint


async def rotate_for_event(
    context: Context, client: df.DurableOrchestrationClient, kind: str, data: Mapping[str, Any]
) -> list[str]:
    """Start the rotations that an event of Key Vault asks for; the ids of the operations.

    A tenant that is busy is left to the daily look: most such events are of our own making.
    """
    started: list[str] = []
    tenants = await tenants_to_rotate(context, kind, read_event(data))
    if not tenants:
        _log.info("nothing to do for a %s event", kind)
    for tenant_id in tenants:
        try:
            started.append(await start_rotation(context, client, tenant_id))
        except RequestError as error:  # busy, or changed since it was listed
            _log.info("left to the daily look: %s", error.message)
    return started


async def rotate_due(context: Context, client: df.DurableOrchestrationClient) -> list[str]:
    """Start a rotation for every tenant that needs one; the ids of the operations.

    A tenant that is busy comes again tomorrow, which is why the window is many days long.
    """
    before = timedelta(days=context.settings.rotation_before_days)
    started: list[str] = []
    after: str | None = None
    while True:
        records, after = await context.records.page(after=after, limit=PAGE)
        for known in records:
            reason = reason_to_rotate(known, context.now(), before)
            if reason is None:
                continue
            try:
                started.append(await start_rotation(context, client, known.tenant_id))
            except RequestError as error:  # busy, or changed since the page was read
                _log.info("not rotated today: %s", error.message)
            else:
                _log.info("rotating %s, because %s", known.tenant_id, reason)
        if after is None:
            return started


def _activity(context: Context, definition: RotationStep) -> Activity:
    async def run(call: dict[str, Any]) -> Any:
        return to_json(await run_step(definition, context, from_json(call, StepCall)))

    return run
