"""Azure scan: Mondoo scans the subscriptions and reports that it has.

Runs only for requests with ``subscriptions``, after the first scan of Microsoft 365, so that this
is proven before Azure is waited for. Azure is slow to honour a role: before Mondoo is asked we sign
in as the application and wait until it sees every subscription that we gave it Reader on.

Who sends ``subscriptions`` wants Azure scanned, and could have left it out. So a scan that fails
fails the step and the operation, Microsoft 365 notwithstanding: a tenant that is called onboarded
while nothing of its Azure is scanned would be looked at by nobody. What the remedy asks for (mostly
a command for an Owner) is done once, and the request sent again. A part that is not scanned (a
subscription without Reader, or one that nobody knows) is a warning, as the step ``subscriptions``
has it; and where the tenant has no Azure nothing is wrong.
"""

from __future__ import annotations

import msgspec

from shared.context import Context
from shared.coverage.azure import azure_statement
from shared.coverage.statement import Statement
from shared.models import CauseKind, Facts, Outcome, StepCall, StepResult
from shared.mondoo import integrations
from shared.mondoo.integrations import Integration
from shared.onboarding.scans import Asked, ask_or_look
from shared.outcomes import ended, failed, learned
from shared.subscriptions import Access, Mode, await_effect, grant_access

_FACTS = ("azure_scan_requested", "azure_scan_before")


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Ask for a scan, or look how far it is."""
    facts = call.facts
    if dry_run and facts.azure_integration is None:
        return ended(Outcome.PLANNED, "Mondoo would scan Azure")
    assert facts.azure_integration is not None
    integration = await integrations.read(context.mondoo, facts.azure_integration)
    asked = Asked(facts.azure_scan_requested, facts.azure_scan_before, _FACTS)
    if call.changed and not asked.requested and not integration.paused and not dry_run:
        await _ready(context, call)
    waiting = await ask_or_look(
        context, integration, asked, what="Azure", changed=call.changed, dry_run=dry_run
    )
    if waiting is not None:
        return waiting
    access = await _access(context, call)
    doubtful = [each for each in access.findings if each not in access.missing]
    told = azure_statement(integration, access.missing, doubtful, empty=access.empty)
    result = _judged(integration, told, triggered=asked.requested)
    coverage = [*facts.coverage, *told.services]
    return msgspec.structs.replace(
        result, coverage=told.services, facts=learned({"coverage": coverage})
    )


async def _access(context: Context, call: StepCall) -> Access:
    """What the application may read of Azure; nothing is changed."""
    order, principal_id = call.order, call.facts.service_principal_id
    assert order.subscriptions is not None  # else the step is not in the operation
    assert principal_id is not None  # an earlier step passed
    azure = context.azure(order.tenant_id)
    return await grant_access(azure, order.subscriptions, principal_id, Mode.LOOK)


async def _ready(context: Context, call: StepCall) -> None:
    """Raises `NotYet` while Azure does not honour what was assigned."""
    facts: Facts = call.facts
    assert facts.app_id is not None
    assert facts.certificate is not None
    await await_effect(
        context,
        await _access(context, call),
        tenant_id=call.order.tenant_id,
        app_id=facts.app_id,
        certificate=facts.certificate,
    )


def _judged(integration: Integration, told: Statement, *, triggered: bool) -> StepResult:
    """What the statement makes of the step."""
    said = "; ".join(dict.fromkeys(finding.message for finding in told.findings))
    causes = told.services[0].causes
    excused = bool(causes) and all(cause.kind is CauseKind.LICENCE for cause in causes)
    if integration.status == "ERROR" and not excused:
        return failed(
            "azure_scan_failed",
            f"Mondoo scans nothing of Azure: {said or 'it gave no reason'}",
            remediation=" ".join(dict.fromkeys(each.remediation for each in told.findings))
            or "Look at the Azure integration in the Mondoo Console, then send the request again.",
            findings=told.findings,
        )
    message = f"scanned at {integration.scan_finished:%Y-%m-%d %H:%M:%S} UTC; {told.summary}"
    outcome = Outcome.CHANGED if triggered else Outcome.PASSED
    if integration.status != "ACTIVE" or causes:
        outcome = Outcome.WARNING
        message += f"; {said}" if said else ""
    return ended(outcome, message, findings=told.findings)
