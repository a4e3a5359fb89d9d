"""What may become of a tenant: one table from (state, event) to the next state.

Events are how operations start and end; the state is what an operator reads in the tenant list. A
pair that is not in the table is a defect of ours and raises. A tenant that was onboarded stays
``onboarded`` when a later onboarding was refused before it changed anything: its connection still
stands, and the refusal is in the operation.
"""

from __future__ import annotations

from enum import StrEnum


class TenantState(StrEnum):
    """What an operator sees of a tenant."""

    ONBOARDING = "onboarding"
    ONBOARDED = "onboarded"
    WAITING = "waiting"
    REFUSED = "refused"
    FAILED = "failed"
    OFFBOARDED = "offboarded"
    OFFBOARDING_INCOMPLETE = "offboarding-incomplete"  # something of ours may still be there


class TenantEvent(StrEnum):
    """What happened to a tenant."""

    ONBOARDING_STARTED = "onboarding-started"
    ONBOARDING_PROVEN = "onboarding-proven"
    ONBOARDING_WAITS = "onboarding-waits"
    ONBOARDING_REFUSED = "onboarding-refused"
    ONBOARDING_FAILED = "onboarding-failed"
    OFFBOARDING_COMPLETED = "offboarding-completed"
    OFFBOARDING_STOPPED = "offboarding-stopped"


_S, _E = TenantState, TenantEvent

TRANSITIONS: dict[tuple[TenantState | None, TenantEvent], TenantState] = {
    (None, _E.ONBOARDING_STARTED): _S.ONBOARDING,
    (_S.ONBOARDING, _E.ONBOARDING_STARTED): _S.ONBOARDING,  # the last run was lost with its host
    (_S.WAITING, _E.ONBOARDING_STARTED): _S.ONBOARDING,
    (_S.REFUSED, _E.ONBOARDING_STARTED): _S.ONBOARDING,
    (_S.FAILED, _E.ONBOARDING_STARTED): _S.ONBOARDING,
    (_S.ONBOARDED, _E.ONBOARDING_STARTED): _S.ONBOARDED,
    (_S.OFFBOARDED, _E.ONBOARDING_STARTED): _S.ONBOARDING,
    (_S.OFFBOARDING_INCOMPLETE, _E.ONBOARDING_STARTED): _S.ONBOARDING,
    (_S.ONBOARDING, _E.ONBOARDING_PROVEN): _S.ONBOARDED,
    (_S.ONBOARDED, _E.ONBOARDING_PROVEN): _S.ONBOARDED,
    (_S.ONBOARDING, _E.ONBOARDING_WAITS): _S.WAITING,
    (_S.ONBOARDED, _E.ONBOARDING_WAITS): _S.WAITING,
    (_S.ONBOARDING, _E.ONBOARDING_REFUSED): _S.REFUSED,
    (_S.ONBOARDED, _E.ONBOARDING_REFUSED): _S.ONBOARDED,
    (_S.ONBOARDING, _E.ONBOARDING_FAILED): _S.FAILED,
    (_S.ONBOARDED, _E.ONBOARDING_FAILED): _S.FAILED,
    # A tenant may be offboarded in any state, also one whose record is gone.
    **{(state, _E.OFFBOARDING_COMPLETED): _S.OFFBOARDED for state in (None, *_S)},
    **{(state, _E.OFFBOARDING_STOPPED): _S.OFFBOARDING_INCOMPLETE for state in (None, *_S)},
}


def next_state(state: TenantState | None, event: TenantEvent) -> TenantState:
    """The state after ``event``; ``None`` stands for a tenant that has no record yet.

    Raises:
        ValueError: the pair is not in `TRANSITIONS`.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError as error:
        raise ValueError(f"a tenant that is {state} cannot meet {event}") from error
