"""HTTP: consent of customers' tenants, and the timer that forgets what is too old to matter.

    GET /api/consent/{tenant}   a link for the tenant's administrator
    GET /api/consent/callback   where Microsoft sends the administrator back; needs no key

A consent that was proven puts the tenant-added event on the queue ``tenant-additions``.
"""

from __future__ import annotations

import logging

import azure.durable_functions as df
import azure.functions as func

from shared.arrivals.consent import finish, forget_old_consents, make_link
from shared.arrivals.pages import HEADERS, sorry, thanks
from shared.arrivals.reception import forget_old_notes
from shared.context import Context
from shared.errors import OnboardingError
from shared.triggers.access import Gate
from shared.triggers.events import QUEUE, STORAGE
from shared.triggers.problems import answering, json_response

TIDY_SCHEDULE = "0 30 3 * * *"

_log = logging.getLogger(__name__)


def consent_functions(context: Context) -> df.Blueprint:
    """The blueprint of consent."""
    blueprint = df.Blueprint()
    gate = Gate(context.settings)

    @blueprint.function_name("make_consent_link")
    @blueprint.route(route="consent/{tenant}", methods=["GET"])
    @answering
    @gate.changes
    async def make_consent_link(req: func.HttpRequest) -> func.HttpResponse:
        return json_response(await make_link(context, req.route_params["tenant"]))

    @blueprint.function_name("consent_callback")
    @blueprint.route(route="consent/callback", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    @blueprint.queue_output(arg_name="additions", queue_name=QUEUE, connection=STORAGE)
    async def consent_callback(
        req: func.HttpRequest, additions: func.Out[str]
    ) -> func.HttpResponse:
        try:
            consented = await finish(context, dict(req.params))
        except OnboardingError as error:
            _log.warning("a consent was not accepted: %s", error.code)
            return _page(sorry(error), error.status if error.status < 500 else 503)
        additions.set(consented.event.decode())
        return _page(thanks(consented.display_name), 200)

    @blueprint.function_name("forget_old_arrivals")
    @blueprint.timer_trigger(arg_name="timer", schedule=TIDY_SCHEDULE)
    async def forget_old_arrivals(timer: func.TimerRequest) -> None:
        await forget_old_notes(context)
        await forget_old_consents(context)

    return blueprint


def _page(html: str, status: int) -> func.HttpResponse:
    return func.HttpResponse(html, status_code=status, headers=HEADERS, mimetype="text/html")
