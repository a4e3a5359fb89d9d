"""Audits over HTTP and by the clock.

POST /api/tenants/{tenant}/audit      audit one tenant now; 202 with Location
GET  /api/tenants/{tenant}/report     its newest report, or ``?operation=``; json, csv, html, junit
GET  /api/report                      the report on all tenants, in the same formats
POST /api/audit                       start a run over all tenants now; 202, or 409 while one runs
GET  /api/audit                       the newest run
POST /api/audit/cancel                start no more audits of the run; 202, or 409 where none runs
POST /api/manifests/{name}/rollout    bring all tenants to a list: a plan first, then the tenants
timer ``AUDIT_SCHEDULE``              the same as POST /api/audit
"""

from __future__ import annotations

import logging

import azure.durable_functions as df
import azure.functions as func
from msgspec import UNSET, Struct, UnsetType

from shared.audit import history
from shared.audit.fleet import FleetRunning, cancel_fleet, newest_run, start_fleet, summary
from shared.audit.rendering.formats import Rendered, chosen, rendered
from shared.audit.start import start_audit
from shared.context import Context
from shared.entra.tenants import resolve_tenant
from shared.errors import Conflict, NotFound
from shared.manifest import load_manifest
from shared.models import RepairPolicy, TenantRecord
from shared.triggers.access import Gate
from shared.triggers.bodies import read_optional_body
from shared.triggers.problems import answering, json_response
from shared.triggers.tenants import accepted

_log = logging.getLogger(__name__)


class AuditRequest(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The body of an audit request, if any. ``repair`` overrides the tenant's policy this once."""

    repair: RepairPolicy | UnsetType = UNSET


class FleetRequest(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The body of a request for a run, if any. ``confirm``: go on though more than a third of all
    tenants would be changed."""

    confirm: bool = False


def audit_requests(context: Context) -> df.Blueprint:
    """The blueprint of audits, reports and roll-outs."""
    blueprint = df.Blueprint()
    gate = Gate(context.settings)

    @blueprint.function_name("audit_request")
    @blueprint.route(route="tenants/{tenant}/audit", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.changes
    async def audit_request(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        request = read_optional_body(req.get_body(), AuditRequest)
        record = await _with_application(context, req.route_params["tenant"])
        policy = None if request.repair is UNSET else request.repair
        waits, now = context.settings.waits, context.now()
        order = await start_audit(client, record, waits, now, policy=policy)
        return accepted(order.operation_id, order.tenant_id)

    @blueprint.function_name("tenant_report")
    @blueprint.route(route="tenants/{tenant}/report", methods=["GET"])
    @answering
    @gate.reads
    async def tenant_report(req: func.HttpRequest) -> func.HttpResponse:
        wanted = chosen(req.params.get("format"), req.headers.get("accept"))
        record = await _known(context, req.route_params["tenant"])
        operation = req.params.get("operation")
        if operation is None:
            kept = await history.newest(context.records, record.tenant_id, 1)
            report = kept[0] if kept else None
        else:
            report = await history.recall(context.records, operation)
        if report is None or report.tenant_id != record.tenant_id:
            raise NotFound(
                "report_unknown",
                f"there is no such report on tenant {record.tenant_id}",
                remediation="Audit it with POST /api/tenants/{tenant}/audit, once it is onboarded.",
                tenant_id=record.tenant_id,
            )
        return _answer(rendered(report, wanted))

    @blueprint.function_name("fleet_report")
    @blueprint.route(route="report", methods=["GET"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.reads
    async def fleet_report(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        wanted = chosen(req.params.get("format"), req.headers.get("accept"))
        run = await newest_run(client)
        notices = [run["notice"]] if run and run.get("notice") else []
        report = await history.fleet(context.records, now=context.now(), notices=notices)
        return _answer(rendered(report, wanted))

    @blueprint.function_name("fleet_audit_request")
    @blueprint.route(route="audit", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.changes
    async def fleet_audit_request(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        request = read_optional_body(req.get_body(), FleetRequest)
        return await _fleet(client, request, None)

    @blueprint.function_name("fleet_audit_status")
    @blueprint.route(route="audit", methods=["GET"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.reads
    async def fleet_audit_status(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        run = await newest_run(client)
        if run is None:
            raise NotFound(
                "fleet_run_unknown",
                "there was no run over all tenants yet",
                remediation="Start one with POST /api/audit, or wait for the schedule.",
            )
        return json_response(run)

    @blueprint.function_name("fleet_cancel_request")
    @blueprint.route(route="audit/cancel", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.changes
    async def fleet_cancel_request(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        headers = {"Location": "/api/audit", "Retry-After": "10"}
        return json_response(await cancel_fleet(context, client), 202, headers=headers)

    @blueprint.function_name("rollout_request")
    @blueprint.route(route="manifests/{name}/rollout", methods=["POST"])
    @blueprint.durable_client_input(client_name="client")
    @answering
    @gate.changes
    async def rollout_request(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        request = read_optional_body(req.get_body(), FleetRequest)
        return await _fleet(client, request, load_manifest(req.route_params["name"]).name)

    @blueprint.function_name("audit_on_schedule")
    @blueprint.timer_trigger(arg_name="timer", schedule=context.settings.audit_schedule)
    @blueprint.durable_client_input(client_name="client")
    async def audit_on_schedule(
        timer: func.TimerRequest, client: df.DurableOrchestrationClient
    ) -> None:
        try:
            run = await start_fleet(client, context.settings.waits, context.now())
        except FleetRunning as error:
            _log.warning("the scheduled audit is skipped: %s", error.message)
        else:
            _log.info("the scheduled audit of all tenants has begun: %s", run.id)

    async def _fleet(
        client: df.DurableOrchestrationClient, request: FleetRequest, manifest: str | None
    ) -> func.HttpResponse:
        run = await start_fleet(
            client,
            context.settings.waits,
            context.now(),
            confirmed=request.confirm,
            manifest=manifest,
        )
        headers = {"Location": "/api/audit", "Retry-After": "10"}
        return json_response(summary(run), 202, headers=headers)

    return blueprint


async def _known(context: Context, name: str) -> TenantRecord:
    tenant_id = await resolve_tenant(context.settings, context.http, name)
    record = await context.records.get(tenant_id)
    if record is None:
        raise NotFound(
            "tenant_unknown",
            f"tenant {tenant_id} has not been onboarded from here",
            remediation="Onboard it with POST /api/tenants.",
            field="tenant",
            tenant_id=tenant_id,
        )
    return record


async def _with_application(context: Context, name: str) -> TenantRecord:
    record = await _known(context, name)
    if record.app_id is None:
        raise Conflict(
            "nothing_to_audit",
            f"tenant {record.tenant_id} is {record.state} and has no application",
            remediation="Onboard it with POST /api/tenants; that makes an application.",
            tenant_id=record.tenant_id,
        )
    return record


def _answer(report: Rendered) -> func.HttpResponse:
    # The type goes in as a header, since it carries the character set.
    headers = {**report.headers, "Content-Type": report.content_type}
    return func.HttpResponse(report.body, headers=headers)
