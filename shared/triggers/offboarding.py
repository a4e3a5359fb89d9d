"""HTTP and durable: offboard a tenant.

DELETE /api/tenants/{tenant}    202 with Location; ``?purge=true`` deletes for good

The receipt is in the tenant's record (``GET /api/tenants/{tenant}``) once the operation ended.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from shared.context import Context
from shared.entra.tenants import resolve_tenant
from shared.errors import InvalidRequest, NotYet, OutcomeUnknown, Refused
from shared.models import from_json, to_json
from shared.offboarding.calls import OffboardingCall, OffboardingRecordCall
from shared.offboarding.orchestrator import OFFBOARD, RECEIPT_ACTIVITY, offboard
from shared.offboarding.start import start_offboarding
from shared.offboarding.steps import STEPS, RemovalStep, receipt, run_step
from shared.outcomes import outcome_of
from shared.telemetry import operation_ended
from shared.triggers.access import Gate
from shared.triggers.durable import Activity, register
from shared.triggers.problems import answering
from shared.triggers.tenants import accepted


def offboarding_functions(context: Context) -> df.Blueprint:
    """The blueprint of offboarding: its request, its orchestrator and its activities."""
    blueprint = df.Blueprint()
    gate = Gate(context.settings)

    @blueprint.function_name("offboard_tenant_request")
    @blueprint.route(route="tenants/{tenant}", methods=["DELETE"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.changes
    async def offboard_tenant_request(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        purge = _flag(req.params.get("purge"), "purge")
        tenant_id = await resolve_tenant(context.settings, context.http, req.route_params["tenant"])
        order = await start_offboarding(context, client, tenant_id, purge=purge)
        return accepted(order.operation_id, tenant_id)

    @blueprint.orchestration_trigger(context_name="context", orchestration=OFFBOARD)
    def offboard_tenant(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        return (yield from offboard(context))

    for definition in STEPS:
        register(blueprint, definition.activity, _activity(context, definition))

    async def write_receipt(call: dict[str, Any]) -> Any:
        known = from_json(call, OffboardingRecordCall)
        try:
            result = await receipt.run(context, known.order, known.facts, known.operation)
        except (NotYet, OutcomeUnknown, Refused) as error:
            result = outcome_of(error)
        if result.wait is None:
            operation_ended(known.operation, None, context.now())
        return to_json(result)

    register(blueprint, RECEIPT_ACTIVITY, write_receipt)
    return blueprint


def _activity(context: Context, definition: RemovalStep) -> Activity:
    async def run(call: dict[str, Any]) -> Any:
        return to_json(await run_step(definition, context, from_json(call, OffboardingCall)))

    return run


def _flag(text: str | None, field: str) -> bool:
    if text is None or text == "false":
        return False
    if text == "true":
        return True
    raise InvalidRequest(
        "field_invalid",
        f"{field} is neither true nor false",
        remediation=f"Correct {field}.",
        field=field,
    )
