"""The steps of a rotation, in their order: each does the work of one edge of the state table.

A step may be called any number of times, by this operation or a later one. It asks the record how
far the rotation has come, does its work if that is where its edge begins, and writes the next state
down only after its work was read back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.context import Context
from shared.errors import NotYet, OutcomeUnknown, Refused
from shared.models import StepCall, StepResult
from shared.outcomes import outcome_of
from shared.rotation.steps import after, before


@dataclass(frozen=True)
class RotationStep:
    """A step by the name that operators see. ``scan``: its deadline is that of a scan."""

    name: str
    run: Callable[[Context, StepCall], Awaitable[StepResult]]
    scan: bool = False

    @property
    def activity(self) -> str:
        """The name of the activity that runs it."""
        return "rotate_" + self.name.replace("-", "_")


SIGN_IN = RotationStep("sign-in", before.sign_in)
OVERLAP = RotationStep("overlap", after.overlap)
STEPS: tuple[RotationStep, ...] = (
    RotationStep("preflight", before.preflight),
    RotationStep("certificate", before.certificate),
    RotationStep("register", before.register),
    SIGN_IN,
    RotationStep("integration", after.integration),
    RotationStep("scan", after.scan, scan=True),
    OVERLAP,
    RotationStep("retire", after.retire),
    RotationStep("disable", after.disable),
)
"""All steps but ``withdraw``, which runs only when the sign-in was refused, and ``record``."""

WITHDRAW = RotationStep("withdraw", before.withdraw)


async def run_step(step: RotationStep, context: Context, call: StepCall) -> StepResult:
    """Run one step, with the errors of services turned into its outcome."""
    try:
        return await step.run(context, call)
    except (NotYet, OutcomeUnknown, Refused) as error:
        return outcome_of(error)
