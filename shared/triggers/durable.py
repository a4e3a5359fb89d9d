"""Orchestrators and activities: the names that the durable engine knows.

An activity is one step with the context put in its hand. What it returns is JSON; what it raises is
a defect of ours, logged by the host and told to the operator as a step without an answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

import azure.durable_functions as df

from shared.arrivals.batch import advance
from shared.arrivals.orchestrator import ADVANCE, RUN_BATCH, run_batch
from shared.context import Context
from shared.errors import NotYet, OutcomeUnknown, Refused
from shared.models import StepCall, from_json, to_json
from shared.onboarding.orchestrator import ONBOARD, RECORD_ACTIVITY, RecordCall, onboard
from shared.onboarding.steps import STEPS, StepDefinition, record, run_step
from shared.onboarding.steps.outcome import outcome_of

Activity = Callable[[dict[str, Any]], Awaitable[Any]]


def durable_functions(context: Context) -> df.Blueprint:
    """The blueprint of the onboarding orchestrator and its activities."""
    blueprint = df.Blueprint()

    @blueprint.orchestration_trigger(context_name="context", orchestration=ONBOARD)
    def onboard_tenant(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        return (yield from onboard(context))

    for definition in STEPS:
        _register(blueprint, definition.activity, _activity(context, definition))

    async def record_tenant(call: dict[str, Any]) -> Any:
        known = from_json(call, RecordCall)
        try:
            result = await record.run(context, known.order, known.facts, known.operation)
        except (NotYet, OutcomeUnknown, Refused) as error:
            result = outcome_of(error)
        return to_json(result)

    _register(blueprint, RECORD_ACTIVITY, record_tenant)
    _batches(context, blueprint)
    return blueprint


def _batches(context: Context, blueprint: df.Blueprint) -> None:
    @blueprint.orchestration_trigger(context_name="context", orchestration=RUN_BATCH)
    def run_the_batch(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        return (yield from run_batch(context))

    @blueprint.activity_trigger(input_name="call", activity=ADVANCE)
    @blueprint.durable_client_input(client_name="client")
    async def advance_batch(call: dict, client: df.DurableOrchestrationClient) -> Any:  # type: ignore[type-arg]
        return to_json(await advance(context, client, call["batch"]))


def _activity(context: Context, definition: StepDefinition) -> Activity:
    async def run(call: dict[str, Any]) -> Any:
        return to_json(await run_step(definition, context, from_json(call, StepCall)))

    return run


def _register(blueprint: df.Blueprint, name: str, activity: Activity) -> None:
    # The decorators name a function after the Python one, and names must differ within an app.
    activity.__name__ = name
    # The worker that runs functions in Azure refuses a parameterised generic on a binding.
    activity.__annotations__ = {"call": dict}
    blueprint.activity_trigger(input_name="call", activity=name)(activity)
