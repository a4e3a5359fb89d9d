"""HTTP: onboard a tenant, plan it, look at tenants and operations.

POST /api/tenants              202 with Location; 409 while an operation runs on the tenant
POST /api/plan                 200 with what onboarding would do
GET  /api/tenants              records, paged and filtered by state
GET  /api/tenants/{tenant}     one record, with its newest operation
GET  /api/operations?tenants=  the newest operation of each of these tenants
GET  /api/operations/{id}      an operation with its steps, running or ended
POST /api/operations/{id}/cancel    stop it at the next safe point; 409 once it has ended
"""

from __future__ import annotations

import azure.durable_functions as df
import azure.functions as func
from msgspec import Struct

from shared.context import Context
from shared.entra.tenants import parse_tenant, resolve_tenant
from shared.errors import InvalidRequest, NotFound
from shared.instances import (
    cancel_operation,
    find_operation,
    newest_operation,
    newest_operations,
    operation_unknown,
)
from shared.models import OnboardingRequest, Operation, TenantRecord
from shared.onboarding.order import take_order
from shared.onboarding.plan import plan
from shared.onboarding.start import start_onboarding
from shared.transitions import TenantState
from shared.triggers.access import Gate
from shared.triggers.bodies import read_body
from shared.triggers.problems import answering, json_response

RETRY_AFTER_SECONDS = 5
PAGE = 100
MOST_ASKED = 100
"""Tenants whose operations are asked for at once."""


class Accepted(Struct, rename="camel"):
    """The answer to a request that started an operation."""

    operation: str
    tenant_id: str
    links: dict[str, str]


class TenantView(Struct, omit_defaults=True, rename="camel"):
    """A tenant and its newest operation. Before its first onboarding has got as far as writing a
    record there is only the operation."""

    tenant_id: str
    tenant: TenantRecord | None = None
    operation: Operation | None = None


class TenantPage(Struct, omit_defaults=True, rename="camel"):
    """Records in the order of their ids; ``next`` is the link to the following page."""

    tenants: list[TenantRecord]
    next: str | None = None


class OperationList(Struct, rename="camel"):
    """The newest operation of each tenant that was asked for and has one, running or ended."""

    operations: list[Operation]


def tenant_functions(context: Context) -> df.Blueprint:
    """The blueprint of everything a person or a script asks over HTTP."""
    blueprint = df.Blueprint()
    gate = Gate(context.settings)

    @blueprint.function_name("onboard_tenant_request")
    @blueprint.route(route="tenants", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.changes
    async def onboard_tenant_request(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        order = await take_order(context, read_body(req.get_body(), OnboardingRequest))
        await start_onboarding(client, order, context.settings.waits, context.now())
        return accepted(order.operation_id, order.tenant_id)

    @blueprint.function_name("plan_request")
    @blueprint.route(route="plan", methods=["POST"])
    @answering
    @gate.reads
    async def plan_request(req: func.HttpRequest) -> func.HttpResponse:
        order = await take_order(context, read_body(req.get_body(), OnboardingRequest))
        return json_response(await plan(context, order))

    @blueprint.function_name("list_tenants")
    @blueprint.route(route="tenants", methods=["GET"])
    @answering
    @gate.reads
    async def list_tenants(req: func.HttpRequest) -> func.HttpResponse:
        limit, state = _limit(req.params.get("limit")), _state(req.params.get("state"))
        records, after = await context.records.page(
            after=req.params.get("after"), limit=limit, state=state
        )
        following = None
        if after is not None:
            following = f"/api/tenants?limit={limit}&after={after}"
            following += f"&state={state}" if state else ""
        return json_response(TenantPage(records, following))

    @blueprint.function_name("get_tenant")
    @blueprint.route(route="tenants/{tenant}", methods=["GET"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.reads
    async def get_tenant(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        tenant_id = await resolve_tenant(context.settings, context.http, req.route_params["tenant"])
        record = await context.records.get(tenant_id)
        operation = await newest_operation(
            client, context.records, tenant_id, record.operation_id if record else None
        )
        if record is None and operation is None:
            raise NotFound(
                "tenant_unknown",
                f"tenant {tenant_id} has not been onboarded from here",
                remediation="Onboard it with POST /api/tenants.",
                field="tenant",
                tenant_id=tenant_id,
            )
        return json_response(TenantView(tenant_id, record, operation))

    @blueprint.function_name("list_operations")
    @blueprint.route(route="operations", methods=["GET"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.reads
    async def list_operations(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        asked = _tenants(req.params.get("tenants"))
        return json_response(OperationList(await newest_operations(client, context.records, asked)))

    @blueprint.function_name("get_operation")
    @blueprint.route(route="operations/{id}", methods=["GET"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.reads
    async def get_operation(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        identifier = req.route_params["id"]
        operation = await find_operation(client, context.records, identifier)
        if operation is None:
            raise operation_unknown(identifier)
        headers = {} if operation.finished_at else {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return json_response(operation, headers=headers)

    @blueprint.function_name("cancel_operation_request")
    @blueprint.route(route="operations/{id}/cancel", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.changes
    async def cancel_operation_request(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        operation = await cancel_operation(client, context.records, req.route_params["id"])
        return accepted(operation.id, operation.tenant_id)

    return blueprint


def accepted(operation: str, tenant_id: str) -> func.HttpResponse:
    """The answer to a request that started an operation: 202, and where to follow it."""
    links = {"operation": f"/api/operations/{operation}", "tenant": f"/api/tenants/{tenant_id}"}
    return json_response(
        Accepted(operation, tenant_id, links),
        202,
        headers={"Location": links["operation"], "Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise InvalidRequest(
            "field_invalid",
            "limit is not a whole number from 1 to 1000",
            remediation="Correct limit.",
            field="limit",
        )
    return int(text)


def _tenants(text: str | None) -> list[str]:
    """Tenant ids, separated by commas."""
    named = [part for part in (text or "").split(",") if part.strip()]
    if not 1 <= len(named) <= MOST_ASKED:
        raise InvalidRequest(
            "field_invalid",
            f"tenants names {len(named)} tenants",
            remediation=f"Name 1 to {MOST_ASKED} tenant ids, separated by commas.",
            field="tenants",
        )
    return [parse_tenant(part) for part in named]


def _state(text: str | None) -> TenantState | None:
    if text is None:
        return None
    if text not in list(TenantState):
        raise InvalidRequest(
            "field_invalid",
            f"state is not one of {', '.join(TenantState)}",
            remediation="Correct state.",
            field="state",
        )
    return TenantState(text)
