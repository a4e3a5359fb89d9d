"""The steps of onboarding, in their order.

Each step is a coroutine ``run(context, call, *, dry_run)`` in a module of its own. It may be called
any number of times, and after a crash at any point: it looks first, changes what is not right, and
reads back. With ``dry_run`` it writes nothing and says ``planned`` where it would.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from shared.context import Context
from shared.errors import NotYet, OutcomeUnknown, Refused
from shared.models import OnboardingOrder, StepCall, StepResult
from shared.onboarding.steps import (
    application,
    azure_scan,
    certificate,
    directory_role,
    federated_credential,
    first_scan,
    integration,
    old_credential,
    permissions,
    policies,
    preflight,
    service_principal,
    sign_in,
    subscriptions,
)
from shared.outcomes import outcome_of


class Run(Protocol):
    """The signature of a step."""

    def __call__(
        self, context: Context, call: StepCall, *, dry_run: bool = False
    ) -> Awaitable[StepResult]: ...


@dataclass(frozen=True)
class StepDefinition:
    """A step by the name that operators see. ``scan``: its deadline is that of a scan, not that of
    replication."""

    name: str
    run: Run
    scan: bool = False
    wanted: Callable[[OnboardingOrder], bool] = lambda order: True

    @property
    def activity(self) -> str:
        """The name of the activity that runs it."""
        return "onboard_" + self.name.replace("-", "_")


def _wants_azure(order: OnboardingOrder) -> bool:
    return order.subscriptions is not None


STEPS: tuple[StepDefinition, ...] = (
    StepDefinition("preflight", preflight.run),
    StepDefinition("certificate", certificate.run, wanted=lambda order: not order.keyless),
    StepDefinition("application", application.run),
    StepDefinition("service-principal", service_principal.run),
    StepDefinition("permissions", permissions.run),
    StepDefinition("directory-role", directory_role.run),
    StepDefinition("sign-in", sign_in.run, wanted=lambda order: not order.keyless),
    StepDefinition("integration", integration.run),
    StepDefinition(
        "federated-credential", federated_credential.run, wanted=lambda order: order.keyless
    ),
    StepDefinition("subscriptions", subscriptions.run, wanted=_wants_azure),
    StepDefinition("policies", policies.run),
    StepDefinition("first-scan", first_scan.run, scan=True),
    StepDefinition("azure-scan", azure_scan.run, scan=True, wanted=_wants_azure),
    StepDefinition("old-credential", old_credential.run, wanted=lambda order: order.retires),
)
"""All steps but ``record``, which comes last, always, and is given the whole operation."""


def steps_of(order: OnboardingOrder) -> list[StepDefinition]:
    """The steps that an order takes."""
    return [definition for definition in STEPS if definition.wanted(order)]


async def run_step(
    definition: StepDefinition, context: Context, call: StepCall, *, dry_run: bool = False
) -> StepResult:
    """Run one step, with the errors of services turned into its outcome."""
    try:
        return await definition.run(context, call, dry_run=dry_run)
    except (NotYet, OutcomeUnknown, Refused) as error:
        return outcome_of(error)
