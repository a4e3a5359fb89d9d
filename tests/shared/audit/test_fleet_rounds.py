"""What a run over all tenants says of itself: at its beginning, and when it is cancelled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.stack import LocalStack
from shared.audit.fleet import (
    BUSY_TRIES,
    CANCELLATIONS,
    FleetRun,
    FleetStart,
    advance,
    cancel_fleet,
    newest_run,
    summary,
)
from shared.config import load_settings
from shared.context import Context
from shared.models import from_json, to_json

NOW = datetime(2026, 9, 10, 8, tzinfo=UTC)
TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
OTHER = "0b6f2c77-5f0b-4b9a-8d6b-8a1f0c4e3d7f"


@dataclass
class Engine:
    """The durable engine, with a run that has not come to the end of its first round."""

    run: FleetRun
    runtime: str = "Running"

    async def start_new(
        self, orchestration_function_name: str, instance_id: str, client_input: Any
    ) -> str:
        raise AssertionError("nothing is to be started")

    async def get_status(self, instance_id: str, *, show_input: bool = False) -> Any:
        given = to_json(FleetStart(self.run, 1.0)) if show_input else None
        status = {"runtime_status": self.runtime, "custom_status": None, "input_": given}
        return type("Status", (), status)

    async def raise_event(self, instance_id: str, event_name: str, event_data: Any = None) -> None:
        raise AssertionError("nothing listens for events")


def a_run(**changes: Any) -> FleetRun:
    return FleetRun(id="fleet.20260910T080000000000Z", started_at=NOW, **changes)


@pytest.fixture(scope="module")
def settings() -> Any:
    with LocalStack(host=False) as stack:
        yield stack.settings


@pytest.fixture
async def context(settings: Any, tmp_path: Path) -> AsyncIterator[Context]:
    records = f"sqlite:{tmp_path / 'records.db'}"
    one = Context(load_settings({**settings, "TENANT_RECORDS": records}))
    yield one
    await one.aclose()


async def cancelled(context: Context, run: FleetRun) -> FleetRun:
    """The run after a round that finds the note."""
    await context.ledger.add(CANCELLATIONS, run.id, NOW.isoformat())
    return await advance(context, Engine(run), run)


async def test_a_run_has_its_whole_shape_before_its_first_round() -> None:
    run = a_run(manifest="2026-09")
    assert await newest_run(Engine(run)) == summary(run)


async def test_a_run_that_was_lost_in_its_first_round_has_its_whole_shape() -> None:
    run = a_run()
    said = await newest_run(Engine(run, runtime="Failed"))
    assert said is not None
    assert said.keys() == summary(run).keys()
    assert said["phase"] == "failed"


async def test_a_run_can_be_cancelled_before_its_first_round(context: Context) -> None:
    run = a_run()
    assert await cancel_fleet(context, Engine(run)) == summary(run)
    ended = await advance(context, Engine(run), run)
    assert ended.phase == "cancelled"
    assert ended.notice == (
        "The run was cancelled after 0 of 0 tenants that were looked for, and not all were."
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"clean": 4},
        {"clean": 3, "with_findings": 1},
        {"phase": "mend", "clean": 4, "mended": 1, "to_mend": [TENANT]},
        {"clean": 4, "put_off": [TENANT], "tries": BUSY_TRIES},
    ],
)
async def test_a_run_that_had_nothing_left_to_do_is_done_though_it_was_cancelled(
    context: Context, changes: dict[str, Any]
) -> None:
    run = await cancelled(context, a_run(listed=True, tenants=4, audited=4, **changes))
    assert (run.phase, run.notice) == ("done", None)
    assert run.finished_at is not None


async def test_a_round_that_is_repeated_after_the_cancellation_is_cancelled_again(
    context: Context,
) -> None:
    run = a_run(listed=True, left=[TENANT], audited=3, clean=3)
    first = await cancelled(context, from_json(to_json(run), FleetRun))
    again = await advance(context, Engine(run), run)
    assert (first.phase, again.phase) == ("cancelled", "cancelled")
    assert again.pending == []


async def test_the_next_cancellation_clears_the_notes_of_runs_that_have_ended(
    context: Context,
) -> None:
    await context.ledger.add(CANCELLATIONS, "fleet.of-yesterday", NOW.isoformat())
    run = a_run()
    await cancel_fleet(context, Engine(run))
    assert [note.key for note in await context.ledger.entries(CANCELLATIONS)] == [run.id]


@pytest.mark.parametrize(
    ("changes", "notice"),
    [
        (
            {"left": [TENANT], "audited": 3, "clean": 3},
            "The run was cancelled after 3 of 4 tenants.",
        ),
        (
            {"put_off": [TENANT], "audited": 3, "clean": 3},
            "The run was cancelled after 3 of 4 tenants.",
        ),
        (
            {"to_mend": [TENANT], "audited": 4, "clean": 3, "with_findings": 1},
            "The run was cancelled after 4 of 4 tenants; 1 of them would have been changed, and"
            " were not.",
        ),
        (
            {
                "phase": "mend",
                "to_mend": [TENANT, OTHER],
                "left": [OTHER],
                "audited": 4,
                "clean": 3,
                "with_findings": 1,
                "mended": 1,
            },
            "The run was cancelled after 1 of 2 tenants that were to be put right; the others were"
            " left as they are.",
        ),
    ],
)
async def test_a_run_that_is_cancelled_says_what_it_left(
    context: Context, changes: dict[str, Any], notice: str
) -> None:
    run = await cancelled(context, a_run(listed=True, tenants=4, **changes))
    assert (run.phase, run.notice) == ("cancelled", notice)
