"""What may become of a tenant."""

from __future__ import annotations

import pytest

from shared.transitions import TRANSITIONS, TenantEvent, TenantState, next_state

ENDS = [
    TenantEvent.ONBOARDING_PROVEN,
    TenantEvent.ONBOARDING_WAITS,
    TenantEvent.ONBOARDING_REFUSED,
    TenantEvent.ONBOARDING_FAILED,
]


@pytest.mark.parametrize("state", [None, *TenantState])
def test_an_onboarding_can_start_in_any_state(state: TenantState | None) -> None:
    started = next_state(state, TenantEvent.ONBOARDING_STARTED)
    assert started in (TenantState.ONBOARDING, TenantState.ONBOARDED)
    for event in ENDS:
        assert next_state(started, event) in TenantState


def test_a_refusal_that_changed_nothing_leaves_an_onboarded_tenant_onboarded() -> None:
    state = next_state(TenantState.ONBOARDED, TenantEvent.ONBOARDING_REFUSED)
    assert state is TenantState.ONBOARDED


def test_only_a_proven_onboarding_makes_a_tenant_onboarded() -> None:
    made = {
        event
        for (before, event), after in TRANSITIONS.items()
        if after is TenantState.ONBOARDED and before is not TenantState.ONBOARDED
    }
    assert made == {TenantEvent.ONBOARDING_PROVEN}


@pytest.mark.parametrize("state", [None, TenantState.FAILED, TenantState.REFUSED])
@pytest.mark.parametrize("event", ENDS)
def test_an_end_without_a_start_is_a_defect(state: TenantState | None, event: TenantEvent) -> None:
    with pytest.raises(ValueError, match="cannot meet"):
        next_state(state, event)


@pytest.mark.parametrize("state", [None, *TenantState])
def test_a_tenant_can_be_offboarded_in_any_state(state: TenantState | None) -> None:
    assert next_state(state, TenantEvent.OFFBOARDING_COMPLETED) is TenantState.OFFBOARDED
    stopped = next_state(state, TenantEvent.OFFBOARDING_STOPPED)
    assert stopped is TenantState.OFFBOARDING_INCOMPLETE
