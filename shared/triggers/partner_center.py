"""HTTP: events of Partner Center. And a timer for the customers that no event told of.

    POST /api/partner-center/events   a signed event; no key: the signature counts
    GET  /api/partner-center/report   what the timer saw last

All of it is there only when ``PARTNER_CENTER_CA_FILE`` is set. A customer that arrived is put on
the queue ``tenant-additions`` as a tenant-added event.
"""

from __future__ import annotations

import logging
import typing

import azure.durable_functions as df
import azure.functions as func

from shared.arrivals.partner_center import (
    act_on,
    look_for_customers,
    newest_report,
    read_partner_event,
)
from shared.arrivals.signature import SignatureCheck
from shared.context import Context
from shared.errors import InvalidRequest
from shared.triggers.access import Gate
from shared.triggers.bodies import LARGEST_BODY
from shared.triggers.events import QUEUE, STORAGE
from shared.triggers.problems import answering, json_response

LOOK_SCHEDULE = "0 15 */6 * * *"

_log = logging.getLogger(__name__)


def partner_center_functions(context: Context) -> df.Blueprint:
    """The blueprint of Partner Center; empty where it is not used."""
    blueprint = df.Blueprint()
    gate = Gate(context.settings)
    if context.settings.partner_center_ca_file is None:
        return blueprint
    signatures = SignatureCheck(context)

    @blueprint.function_name("partner_center_event")
    @blueprint.route(
        route="partner-center/events", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS
    )
    @blueprint.queue_output(arg_name="additions", queue_name=QUEUE, connection=STORAGE)
    @answering
    async def partner_center_event(
        req: func.HttpRequest, additions: func.Out[str]
    ) -> func.HttpResponse:
        body = req.get_body()
        if len(body) > LARGEST_BODY:
            raise InvalidRequest(
                "body_too_large",
                f"the body has {len(body)} bytes; {LARGEST_BODY} are allowed",
                remediation="Send one event.",
                field="(body)",
            )
        await signatures.check({name.lower(): value for name, value in req.headers.items()}, body)
        answer, event = await act_on(context, read_partner_event(body))
        if event is not None:
            additions.set(event.decode())
        return json_response(answer)

    @blueprint.function_name("partner_center_report")
    @blueprint.route(route="partner-center/report", methods=["GET"])
    @answering
    @gate.reads
    async def partner_center_report(req: func.HttpRequest) -> func.HttpResponse:
        return json_response(await newest_report(context))

    @blueprint.function_name("look_for_partner_customers")
    @blueprint.timer_trigger(arg_name="timer", schedule=LOOK_SCHEDULE)
    @blueprint.queue_output(arg_name="additions", queue_name=QUEUE, connection=STORAGE)
    async def look_for_partner_customers(
        timer: func.TimerRequest,
        additions: func.Out[typing.List[str]],  # noqa: UP006 - the worker wants typing's
    ) -> None:
        report, events = await look_for_customers(context)
        additions.set([event.decode() for event in events])
        for finding in report.findings:
            _log.warning("%s: %s", finding.code, finding.message)

    return blueprint
