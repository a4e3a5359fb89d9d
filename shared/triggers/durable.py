"""Orchestrators and activities: the names that the durable engine knows.

An activity is one step with the context put in its hand. What it returns is JSON; what it raises is
a defect of ours, logged by the host and told to the operator as a step without an answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

import azure.durable_functions as df

from shared.audit import operation as auditing
from shared.audit.fleet import ADVANCE_ACTIVITY, FLEET, FleetRun, advance, audit_fleet
from shared.audit.orchestrator import (
    AUDIT,
    AUDIT_ACTIVITY,
    PUBLISH_ACTIVITY,
    AuditCall,
    audit,
)
from shared.audit.orchestrator import RECORD_ACTIVITY as AUDIT_RECORD_ACTIVITY
from shared.context import Context
from shared.errors import NotYet, OutcomeUnknown, Refused
from shared.models import StepCall, StepResult, from_json, to_json
from shared.onboarding.orchestrator import ONBOARD, RECORD_ACTIVITY, RecordCall, onboard
from shared.onboarding.steps import STEPS, StepDefinition, record, run_step
from shared.outcomes import outcome_of
from shared.telemetry import operation_ended, step_ended

Activity = Callable[[dict[str, Any]], Awaitable[Any]]


def onboarding_functions(context: Context) -> df.Blueprint:
    """The orchestrator of onboarding and its activities."""
    blueprint = df.Blueprint()

    @blueprint.orchestration_trigger(context_name="context", orchestration=ONBOARD)
    def onboard_tenant(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        return (yield from onboard(context))

    def step_activity(definition: StepDefinition) -> Activity:
        async def run(call: dict[str, Any]) -> Any:
            return to_json(await run_step(definition, context, from_json(call, StepCall)))

        return run

    for definition in STEPS:
        register(blueprint, definition.activity, step_activity(definition))

    async def record_tenant(call: dict[str, Any]) -> Any:
        given = from_json(call, RecordCall)
        result = await _result(record.run(context, given.order, given.facts, given.operation))
        if result.wait is None:
            known = given.facts.certificate
            operation_ended(given.operation, known.not_after if known else None, context.now())
        return to_json(result)

    register(blueprint, RECORD_ACTIVITY, record_tenant)
    return blueprint


def audit_functions(context: Context) -> df.Blueprint:
    """The orchestrators of an audit and of a run over all tenants, and their activities."""
    blueprint = df.Blueprint()

    @blueprint.orchestration_trigger(context_name="context", orchestration=AUDIT)
    def audit_one(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        return (yield from audit(context))

    @blueprint.orchestration_trigger(context_name="context", orchestration=FLEET)
    def audit_all(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        return (yield from audit_fleet(context))

    async def audit_tenant(call: dict[str, Any]) -> Any:
        return await _answer(auditing.audit(context, from_json(call, AuditCall).order))

    async def publish(call: dict[str, Any]) -> Any:
        given = from_json(call, AuditCall)
        audited = given.operation.step("audit")
        return await _answer(auditing.publish(context, given.order, audited))

    async def record_audit(call: dict[str, Any]) -> Any:
        given = from_json(call, AuditCall)

        async def recorded() -> StepResult:
            result = await auditing.record(context, given.order, given.operation)
            known = await context.records.get(given.order.tenant_id)
            certificate = known.certificate if known else None
            expires = certificate.not_after if certificate else None
            operation_ended(given.operation, expires, context.now())
            return result

        return await _answer(recorded())

    register(blueprint, AUDIT_ACTIVITY, audit_tenant)
    register(blueprint, PUBLISH_ACTIVITY, publish)
    register(blueprint, AUDIT_RECORD_ACTIVITY, record_audit)

    @blueprint.function_name(ADVANCE_ACTIVITY)
    @blueprint.activity_trigger(input_name="call", activity=ADVANCE_ACTIVITY)
    @blueprint.durable_client_input(client_name="client")
    async def advance_fleet(call: dict, client: df.DurableOrchestrationClient) -> Any:  # type: ignore[type-arg]
        return to_json(await advance(context, client, from_json(call, FleetRun)))

    return blueprint


async def _answer(step: Awaitable[StepResult]) -> Any:
    """What a step says, as JSON."""
    return to_json(await _result(step))


async def _result(step: Awaitable[StepResult]) -> StepResult:
    """What a step says, with the errors of services turned into its outcome."""
    try:
        return await step
    except (NotYet, OutcomeUnknown, Refused) as error:
        return outcome_of(error)


def register(blueprint: df.Blueprint, name: str, activity: Activity) -> None:
    """Register an activity under the name that its orchestrator calls; its answers are logged."""

    async def logged(call: dict[str, Any]) -> Any:
        answer = await activity(call)
        step_ended(name, call, answer)
        return answer

    # The decorators name a function after the Python one, and names must differ within an app.
    logged.__name__ = name
    # The worker that runs functions in Azure refuses a parameterised generic on a binding.
    logged.__annotations__ = {"call": dict}
    blueprint.activity_trigger(input_name="call", activity=name)(logged)
