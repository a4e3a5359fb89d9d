"""The orchestrator of a batch, in the real SDK's own replay."""

from __future__ import annotations

from typing import Any

import azure.durable_functions as df
import pytest

from shared.arrivals.orchestrator import (
    ADVANCE,
    FAILURES_IN_A_ROW,
    LOOKS_PER_LIFE,
    run_batch,
)
from tests.replay.executor import replay

INPUT = {"batch": "b1", "run": 1, "first": 1.0, "longest": 8.0}


def run(answers: list[Any]) -> Any:
    """Replay the orchestrator; ``answers`` are what looks at the batch show, the last for ever."""
    left = list(answers)

    def advance(call: Any) -> Any:
        assert call == {"batch": "b1"}
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return replay(df.Orchestrator.create(run_batch), INPUT, {ADVANCE: advance})


def look(*, ended: bool = False, changed: bool = False) -> dict[str, Any]:
    return {"ended": ended, "changed": changed, "counts": {"queued": 1}}


def test_it_looks_until_every_line_has_ended() -> None:
    result = run([look(changed=True), look(), look(ended=True)])
    assert result.output == look(ended=True)
    assert [name for name, _ in result.calls] == [ADVANCE] * 3


def test_it_goes_on_after_a_look_that_failed() -> None:
    result = run([RuntimeError("lost"), RuntimeError("lost"), look(ended=True)])
    assert result.output == look(ended=True)


def test_it_gives_up_when_every_look_fails() -> None:
    result = run([RuntimeError("lost")])
    assert result.error is not None
    assert len(result.calls) == FAILURES_IN_A_ROW


def test_it_continues_as_new_so_that_its_history_stays_bounded() -> None:
    result = run([*[look()] * (LOOKS_PER_LIFE + 3), look(ended=True)])
    assert result.output == look(ended=True)
    assert len(result.calls) >= LOOKS_PER_LIFE


@pytest.mark.parametrize("changed", [True, False])
def test_progress_can_be_followed(changed: bool) -> None:
    result = run([look(changed=changed), look(ended=True)])
    assert result.custom_statuses[0] == look(changed=changed)
