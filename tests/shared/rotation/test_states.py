"""The state table of a rotation: every edge, and no other."""

from __future__ import annotations

from itertools import product

import pytest

from shared.transitions import (
    ROTATION,
    RotationEvent,
    RotationState,
    next_rotation_state,
)

LIFE = [
    (RotationState.BEGUN, RotationEvent.VERSION_MADE, RotationState.ISSUED),
    (RotationState.ISSUED, RotationEvent.KEY_REGISTERED, RotationState.REGISTERED),
    (RotationState.REGISTERED, RotationEvent.SIGN_IN_PROVEN, RotationState.PROVEN),
    (RotationState.REGISTERED, RotationEvent.SIGN_IN_REFUSED, RotationState.WITHDRAWN),
    (RotationState.PROVEN, RotationEvent.INTEGRATION_UPDATED, RotationState.HANDED_OVER),
    (RotationState.HANDED_OVER, RotationEvent.SCAN_FINISHED, RotationState.SCANNED),
    (RotationState.SCANNED, RotationEvent.OLD_KEY_REMOVED, RotationState.RETIRED),
    (RotationState.RETIRED, RotationEvent.OLD_VERSION_DISABLED, RotationState.FINISHED),
]


@pytest.mark.parametrize(("state", "event", "then"), LIFE)
def test_every_edge_leads_where_it_should(
    state: RotationState, event: RotationEvent, then: RotationState
) -> None:
    assert next_rotation_state(state, event) is then


@pytest.mark.parametrize(
    ("state", "event"),
    [pair for pair in product(RotationState, RotationEvent) if pair not in ROTATION],
)
def test_every_other_pair_is_a_defect(state: RotationState, event: RotationEvent) -> None:
    with pytest.raises(ValueError, match="cannot meet"):
        next_rotation_state(state, event)


def test_the_old_key_is_never_removed_before_mondoo_has_scanned_with_the_new_one() -> None:
    before_removal = {state for state, event in ROTATION if event is RotationEvent.OLD_KEY_REMOVED}
    assert before_removal == {RotationState.SCANNED}
    before_hand_over = {
        state for state, event in ROTATION if event is RotationEvent.INTEGRATION_UPDATED
    }
    assert before_hand_over == {RotationState.PROVEN}
