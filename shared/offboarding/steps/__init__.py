"""The steps of offboarding, in their order.

Each is a coroutine ``run(context, call)`` that may be called any number of times. A removal step
looks at the entries that the inventory made for its kind, removes what is there, and looks again.
Its outcome is ``passed`` when there was nothing of ours, ``changed`` when all of it is gone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.context import Context
from shared.errors import NotYet, OutcomeUnknown, Refused
from shared.models import ObjectKind, StepResult
from shared.offboarding.calls import OffboardingCall
from shared.offboarding.steps import (
    azure_roles,
    certificate,
    directory_objects,
    grants,
    integration,
    inventory,
)
from shared.offboarding.steps.inventory import MONDOO, TENANT, VAULT
from shared.outcomes import failed, outcome_of


@dataclass(frozen=True)
class RemovalStep:
    """A step by the name that operators see, the place it works in, and the kind it removes.

    ``needs`` names steps that must have succeeded: a role or a grant that is left on a deleted
    service principal cannot be seen any more, and comes back with it.
    """

    name: str
    run: Callable[[Context, OffboardingCall], Awaitable[StepResult]]
    place: str | None = None
    kind: ObjectKind | None = None
    needs: tuple[str, ...] = ()

    @property
    def activity(self) -> str:
        """The name of the activity that runs it."""
        return "offboard_" + self.name.replace("-", "_")


STEPS: tuple[RemovalStep, ...] = (
    RemovalStep("inventory", inventory.run),
    RemovalStep("integration", integration.run, MONDOO, ObjectKind.INTEGRATION),
    RemovalStep("azure-integration", integration.run_azure, MONDOO, ObjectKind.AZURE_INTEGRATION),
    # It sees for itself how far Azure lets it, scope by scope.
    RemovalStep("azure-role", azure_roles.run, kind=ObjectKind.AZURE_ROLE),
    RemovalStep("directory-role", grants.remove_roles, TENANT, ObjectKind.DIRECTORY_ROLE),
    RemovalStep("permissions", grants.remove_permissions, TENANT, ObjectKind.PERMISSION),
    RemovalStep(
        "service-principal",
        directory_objects.remove_principal,
        TENANT,
        ObjectKind.SERVICE_PRINCIPAL,
        needs=("directory-role", "permissions"),
    ),
    RemovalStep(
        "application",
        directory_objects.remove_application,
        TENANT,
        ObjectKind.APPLICATION,
        needs=("service-principal",),
    ),
    RemovalStep("certificate", certificate.run, VAULT, ObjectKind.CERTIFICATE),
)
"""All steps but ``receipt``, which comes last, always, and is given the whole operation."""


async def run_step(step: RemovalStep, context: Context, call: OffboardingCall) -> StepResult:
    """Run one step, with the errors of services turned into its outcome."""
    closed = call.facts.blocked.get(step.place) if step.place is not None else None
    if closed is not None:
        return failed(
            closed.code,
            f"not removed, because the {step.place} is out of reach: {closed.message}",
            remediation=_way_out(step, call, closed.remediation),
        )
    try:
        return await step.run(context, call)
    except (NotYet, OutcomeUnknown, Refused) as error:
        return outcome_of(error)


def _way_out(step: RemovalStep, call: OffboardingCall, remediation: str) -> str:
    if step.place != TENANT or call.order.app_id is None:
        return remediation
    return (
        f"{remediation} Then send the request again. Or have an administrator of the tenant delete"
        f" the application {call.order.app_id} under App registrations and Enterprise applications."
    )
