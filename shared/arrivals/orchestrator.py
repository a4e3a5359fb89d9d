"""The orchestrator of a batch: look, wait, look again, until every line has ended.

    1. the activity `ADVANCE` takes a look at the batch and starts what there is room for
    2. a pause on a durable timer: short while things change, longer while nothing does
    3. after `LOOKS_PER_LIFE` looks it continues as new, so that its history stays bounded

It holds nothing but the batch's id; everything else is in the ledger. An activity that dies is
called again after the pause, `FAILURES_IN_A_ROW` times.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any, Protocol

from msgspec import Struct

from shared.arrivals.batch import Progress
from shared.errors import NotYet
from shared.instances import RUNNING, DurableClient, runtime_of
from shared.models import from_json, to_json
from shared.operations import OrchestrationContext

RUN_BATCH = "run_batch"
"""The registered name of the orchestrator."""
ADVANCE = "advance_batch"

LOOKS_PER_LIFE = 100
FAILURES_IN_A_ROW = 20


class BatchContext(OrchestrationContext, Protocol):
    """The part of the durable context that this orchestrator uses."""

    def continue_as_new(self, input_: Any) -> None: ...


class BatchRun(Struct, frozen=True, rename="camel"):
    """The input: the batch and which run of it, and the first and longest pause in seconds."""

    batch: str
    run: int
    first: float
    longest: float


def run_batch(context: BatchContext) -> Generator[Any, Any, Any]:
    """Bring a batch to its end; the output is its last `Progress`."""
    run = from_json(context.get_input(), BatchRun)
    pause, failures = run.first, 0
    for _ in range(LOOKS_PER_LIFE):
        changed = False
        try:
            answer = yield context.call_activity(ADVANCE, {"batch": run.batch})
        except Exception:  # the SDK raises a bare one for any failure
            failures += 1
            if failures == FAILURES_IN_A_ROW:
                raise
        else:
            failures = 0
            progress = from_json(answer, Progress)
            if progress.ended:
                return to_json(progress)
            changed = progress.changed
            context.set_custom_status(to_json(progress))
        pause = run.first if changed else min(pause * 2, run.longest)
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=pause))
    context.continue_as_new(to_json(run))
    return None


def instance_of_batch(batch_id: str, run: int) -> str:
    """The instance id of a run of a batch."""
    return f"batch-{batch_id}.{run}"


async def is_running(client: DurableClient, batch_id: str, run: int) -> bool:
    """Whether the orchestrator of a run works."""
    return runtime_of(await client.get_status(instance_of_batch(batch_id, run))) in RUNNING


async def keep_running(client: DurableClient, run: BatchRun) -> None:
    """Start the orchestrator of a batch, unless it runs.

    Raises:
        NotYet: ``not_started``, when the durable engine did not take it.
    """
    if await is_running(client, run.batch, run.run):
        return
    try:
        await client.start_new(RUN_BATCH, instance_of_batch(run.batch, run.run), to_json(run))
    except Exception as error:  # the durable client raises nothing more specific
        if await is_running(client, run.batch, run.run):
            return  # somebody was faster
        raise NotYet(
            "not_started",
            f"the durable engine did not take batch {run.batch}; it is kept",
            remediation=f"Send POST /api/batches/{run.batch}/retry.",
        ) from error
