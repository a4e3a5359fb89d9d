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
    CANCELLED = "cancelled"  # its newest onboarding was stopped on request
    OFFBOARDED = "offboarded"
    OFFBOARDING_INCOMPLETE = "offboarding-incomplete"  # something of ours may still be there


class TenantEvent(StrEnum):
    """What happened to a tenant."""

    ONBOARDING_STARTED = "onboarding-started"
    ONBOARDING_PROVEN = "onboarding-proven"
    ONBOARDING_WAITS = "onboarding-waits"
    ONBOARDING_REFUSED = "onboarding-refused"
    ONBOARDING_FAILED = "onboarding-failed"
    ONBOARDING_CANCELLED = "onboarding-cancelled"
    OFFBOARDING_COMPLETED = "offboarding-completed"
    OFFBOARDING_STOPPED = "offboarding-stopped"


_S, _E = TenantState, TenantEvent

TRANSITIONS: dict[tuple[TenantState | None, TenantEvent], TenantState] = {
    (None, _E.ONBOARDING_STARTED): _S.ONBOARDING,
    (_S.ONBOARDING, _E.ONBOARDING_STARTED): _S.ONBOARDING,  # the last run was lost with its host
    (_S.WAITING, _E.ONBOARDING_STARTED): _S.ONBOARDING,
    (_S.REFUSED, _E.ONBOARDING_STARTED): _S.ONBOARDING,
    (_S.FAILED, _E.ONBOARDING_STARTED): _S.ONBOARDING,
    (_S.CANCELLED, _E.ONBOARDING_STARTED): _S.ONBOARDING,
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
    (_S.ONBOARDING, _E.ONBOARDING_CANCELLED): _S.CANCELLED,
    (_S.ONBOARDED, _E.ONBOARDING_CANCELLED): _S.CANCELLED,
    # A tenant may be offboarded in any state, also one whose record is gone.
    **{(state, _E.OFFBOARDING_COMPLETED): _S.OFFBOARDED for state in (None, *_S)},
    **{(state, _E.OFFBOARDING_STOPPED): _S.OFFBOARDING_INCOMPLETE for state in (None, *_S)},
}


class RotationState(StrEnum):
    """How far the rotation of a tenant's certificate has come.

    Until `HANDED_OVER` Mondoo signs in with the old certificate, from then on with the new one;
    each is registered in the tenant for all of that time.
    """

    BEGUN = "begun"  # the new version has to be made, or found
    ISSUED = "issued"  # it is in the vault
    REGISTERED = "registered"  # its public part is beside the old one's in the tenant
    PROVEN = "proven"  # the application has signed in with it everywhere
    HANDED_OVER = "handed-over"  # the integration has it
    SCANNED = "scanned"  # Mondoo has scanned with it; the overlap runs
    RETIRED = "retired"  # the old one's public part is gone from the tenant
    FINISHED = "finished"  # the old version is switched off in the vault
    WITHDRAWN = "withdrawn"  # it never signed in, and was taken back; the old one goes on

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self in (RotationState.FINISHED, RotationState.WITHDRAWN)


class RotationEvent(StrEnum):
    """What happened to a rotation."""

    VERSION_MADE = "version-made"
    KEY_REGISTERED = "key-registered"
    SIGN_IN_PROVEN = "sign-in-proven"
    SIGN_IN_REFUSED = "sign-in-refused"
    INTEGRATION_UPDATED = "integration-updated"
    SCAN_FINISHED = "scan-finished"
    OLD_KEY_REMOVED = "old-key-removed"
    OLD_VERSION_DISABLED = "old-version-disabled"


_R, _V = RotationState, RotationEvent

ROTATION: dict[tuple[RotationState, RotationEvent], RotationState] = {
    (_R.BEGUN, _V.VERSION_MADE): _R.ISSUED,
    (_R.ISSUED, _V.KEY_REGISTERED): _R.REGISTERED,
    (_R.REGISTERED, _V.SIGN_IN_PROVEN): _R.PROVEN,
    (_R.REGISTERED, _V.SIGN_IN_REFUSED): _R.WITHDRAWN,
    (_R.PROVEN, _V.INTEGRATION_UPDATED): _R.HANDED_OVER,
    (_R.HANDED_OVER, _V.SCAN_FINISHED): _R.SCANNED,
    (_R.SCANNED, _V.OLD_KEY_REMOVED): _R.RETIRED,
    (_R.RETIRED, _V.OLD_VERSION_DISABLED): _R.FINISHED,
}


def next_rotation_state(state: RotationState, event: RotationEvent) -> RotationState:
    """The state of a rotation after ``event``.

    Raises:
        ValueError: the pair is not in `ROTATION`.
    """
    try:
        return ROTATION[state, event]
    except KeyError as error:
        raise ValueError(f"a rotation that is {state} cannot meet {event}") from error


def next_state(state: TenantState | None, event: TenantEvent) -> TenantState:
    """The state after ``event``; ``None`` stands for a tenant that has no record yet.

    Raises:
        ValueError: the pair is not in `TRANSITIONS`.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError as error:
        raise ValueError(f"a tenant that is {state} cannot meet {event}") from error
