"""How long the run over all tenants goes on before it begins a new history."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from shared.audit.fleet import (
    LONGEST_LIFE,
    ROUNDS_PER_LIFE,
    FleetRun,
    FleetStart,
    Pending,
    audit_fleet,
)
from shared.models import from_json, to_json

NOW = datetime(2026, 9, 10, 8, tzinfo=UTC)
TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"


class OneLife:
    """A context in which every activity gives back what it was given."""

    current_utc_datetime = NOW

    def __init__(self, run: FleetRun) -> None:
        self._input = to_json(FleetStart(run, 1.0))
        self.written = 0
        self.rounds = 0
        self.continued: Any = None

    def get_input(self) -> Any:
        return self._input

    def set_custom_status(self, status: Any) -> None: ...

    def call_activity(self, name: str, input_: Any) -> Any:
        self.rounds += 1
        self.written += 2 * len(msgspec.json.encode(input_))
        return input_

    def create_timer(self, fire_at: datetime) -> Any: ...

    def continue_as_new(self, input_: Any) -> None:
        self.continued = input_

    def live(self) -> None:
        """Run the orchestrator to the end of this life."""
        orchestrator = audit_fleet(self)
        answer = None
        while True:
            try:
                answer = orchestrator.send(answer)
            except StopIteration:
                return


@pytest.mark.parametrize(("in_flight", "to_mend"), [(0, 0), (20, 0), (200, 0), (200, 3000)])
def test_a_life_is_so_many_rounds_and_never_a_history_over_a_megabyte(
    in_flight: int, to_mend: int
) -> None:
    run = FleetRun(
        id="fleet.1",
        started_at=NOW,
        pending=[Pending(TENANT, f"{TENANT}.20260910T080000000000Z")] * in_flight,
        to_mend=[TENANT] * to_mend,
    )
    life = OneLife(run)
    life.live()
    assert life.rounds == ROUNDS_PER_LIFE or life.written > LONGEST_LIFE
    assert life.written < 1_000_000
    assert from_json(life.continued, FleetStart).run == run
