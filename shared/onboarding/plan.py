"""The dry run: the same steps, none of which writes, in one go.

A plan says of each step whether it is right already (``passed``) or would be changed (``planned``).
Nothing waits here: a condition that may heal by waiting is told as ``unknown`` with its code, and
the plan goes no further.
"""

from __future__ import annotations

from shared.context import Context
from shared.models import (
    Facts,
    OnboardingOrder,
    Operation,
    OperationKind,
    OperationStatus,
    Outcome,
    StepCall,
)
from shared.onboarding.orchestrator import RECORD, begun, merged
from shared.onboarding.steps import STEPS, run_step, steps_of
from shared.operations import changed, fill


async def plan(context: Context, order: OnboardingOrder) -> Operation:
    """What onboarding would do; writes nothing anywhere, our own records included."""
    operation = begun(order, context.now())
    operation.kind = OperationKind.PLAN
    facts = Facts()
    for definition in steps_of(order):
        step = operation.step(definition.name)
        if operation.status is not OperationStatus.RUNNING:
            step.outcome = Outcome.SKIPPED
            step.message = "not looked at, because an earlier step would not succeed"
            continue
        call = StepCall(order=order, facts=facts, changed=changed(operation))
        step.started_at = context.now()
        result = await run_step(definition, context, call, dry_run=True)
        step.attempts = 1
        facts = merged(facts, result)
        fill(step, result, context.now())
        if result.outcome.stops:
            refused = definition is STEPS[0] and result.outcome is Outcome.FAILED
            operation.status = OperationStatus.REFUSED if refused else OperationStatus.FAILED
    step = operation.step(RECORD)
    step.outcome, step.message = Outcome.SKIPPED, "a plan leaves no record"
    if operation.status is OperationStatus.RUNNING:
        operation.status = OperationStatus.PLANNED
    operation.finished_at = context.now()
    return operation
