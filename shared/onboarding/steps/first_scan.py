"""First scan: Mondoo scans the tenant and reports that it has.

This is the only proof that the whole chain works, as far as the scan says: a scan that finished is
read for what it covers (`shared.coverage`), and one that misses what the chosen permissions should
show fails the step, whatever the integration's status.

A scan counts if it started after the one that was newest when we asked, and finished; both times
are Mondoo's own, so clocks need not agree. Where this operation changed nothing and the newest scan
is a day old at most and younger than the integration's last change, that scan is proof enough.

A scan is asked for once. If the answer is lost we do not ask again (a second scan would be queued)
but look whether one started; one that is running already, on an integration that did not change, is
waited for.

Without a key the scan is also the sign-in's proof, and Entra ID refuses a federated credential for
some minutes after it was written. A scan that was refused for that, within the time that
replication is given, is asked for again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from shared.context import Context
from shared.coverage.statement import (
    Access,
    Statement,
    needs_a_look,
    statement,
    trust_refused,
)
from shared.entra.app_role_assignments import list_grants
from shared.entra.directory_roles import is_assigned
from shared.errors import OutcomeUnknown
from shared.manifest import load_manifest
from shared.models import Outcome, Severity, StepCall, StepResult
from shared.mondoo import integrations
from shared.mondoo.assets import Asset, tenant_asset
from shared.mondoo.console import integration_link
from shared.mondoo.integrations import Integration
from shared.outcomes import ended, failed, learned, not_yet

FRESH = timedelta(hours=24)


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Ask for a scan, or look how far it is."""
    facts = call.facts
    if dry_run and facts.integration is None:
        return ended(Outcome.PLANNED, "Mondoo would scan the tenant")
    assert facts.integration is not None
    integration = await integrations.read(context.mondoo, facts.integration)
    if facts.scan_requested:
        return await _progress(context, call, integration, triggered=True)
    if not call.changed and _stands(integration, context):
        return await _progress(context, call, integration, triggered=False)
    if integration.paused:
        return failed(
            "integration_paused",
            f"integration {integration.mrn} is paused in Mondoo, so it cannot scan",
            remediation="Resume the integration in the Mondoo Console and send the request again.",
        )
    if dry_run:
        return ended(Outcome.PLANNED, "Mondoo would scan the tenant")
    asked: dict[str, Any] = {
        "scan_requested": True,
        "scan_before": integration.scan_started,
    }
    if not call.changed and _running(integration):
        asked["scan_before"] = integration.scan_finished
        return _running_result(asked)
    try:
        await integrations.trigger_scan(context.mondoo, integration.mrn)
    except OutcomeUnknown as error:
        return not_yet(
            "scan_request_unanswered",
            f"{error.message}; it is not repeated, we look whether a scan starts",
            remediation="Start a scan in the Mondoo Console, then send the request again.",
            facts=asked,
        )
    return _running_result(asked)


def _running_result(asked: dict[str, Any]) -> StepResult:
    return not_yet(
        "scan_not_finished",
        "Mondoo was asked to scan and has not finished",
        remediation=(
            "Look at the integration in the Mondoo Console; send the request again to go on"
            " waiting."
        ),
        facts=asked,
    )


def _running(integration: Integration) -> bool:
    started, finished = integration.scan_started, integration.scan_finished
    return started is not None and (finished is None or finished < started)


def _stands(integration: Integration, context: Context) -> bool:
    """Whether the newest scan still proves something."""
    started, finished = integration.scan_started, integration.scan_finished
    if started is None or finished is None or finished < started:
        return False
    if integration.last_modified is not None and started < integration.last_modified:
        return False
    fine = integration.status == "ACTIVE" or (
        # The scan of a keyless one warns of SharePoint Online, always.
        integration.keyless and integration.status == "WARNING"
    )
    return fine and context.now() - finished <= FRESH


async def _progress(
    context: Context, call: StepCall, integration: Integration, *, triggered: bool
) -> StepResult:
    started, finished = integration.scan_started, integration.scan_finished
    before = call.facts.scan_before
    over = (
        started is not None
        and finished is not None
        and finished >= started
        and (not triggered or before is None or started > before)
    )
    if not over:
        return not_yet(
            "scan_not_finished",
            f"Mondoo has not finished the scan (status {integration.status})",
            remediation=(
                "Look at the integration in the Mondoo Console; send the request again to go on"
                " waiting."
            ),
        )
    if integration.status not in ("ACTIVE", "WARNING", "ERROR"):
        return not_yet(
            "scan_status_unclear",
            f"the scan finished, but the integration is {integration.status}",
            remediation="Look at the integration in the Mondoo Console.",
        )
    if _trust_may_replicate(context, call, integration):
        return not_yet(
            "federated_credential_not_effective",
            "Entra ID does not take Mondoo's tokens yet; the scan will be asked for again",
            remediation="A new federated credential takes some minutes: send the request again.",
            facts={"scan_requested": False},
        )
    told = statement(
        integration.messages,
        load_manifest(call.order.manifest),
        await _access(context, call, integration),
    )
    asset = await tenant_asset(context.mondoo, call.order.space, call.order.tenant_id)
    result = _judged(integration, told, asset, triggered=triggered)
    facts = {
        "scanned_at": finished,
        "asset": asset.mrn if asset is not None else None,
        "grade": asset.grade if asset is not None else None,
        "console": integration_link(context.mondoo.endpoint, call.order.space),
        "coverage": told.services,
    }
    return msgspec.structs.replace(result, coverage=told.services, facts=learned(facts))


def _trust_may_replicate(context: Context, call: StepCall, integration: Integration) -> bool:
    """Whether the application's trust is so young that its refusal may be over soon."""
    since = call.facts.federated_since
    patience = timedelta(seconds=context.settings.waits.propagation_deadline)
    return (
        since is not None
        and context.now() - since <= patience
        and trust_refused(integration.messages)
    )


async def _access(context: Context, call: StepCall, integration: Integration) -> Access:
    """What the application has: as the steps before left it, or read anew if the scan complains."""
    facts = call.facts
    granted = set(facts.granted)
    if facts.observed_principal is not None:
        granted |= set(facts.observed_principal.granted)
    directory_role = True  # assigned and read back before Mondoo was asked
    if needs_a_look(integration.messages) and facts.service_principal_id is not None:
        graph = context.graph(call.order.tenant_id)
        app_ids = {resource.object_id: resource.app_id for resource in facts.resources}
        granted = {
            f"{app_ids[grant.resource_id]}/{grant.app_role_id}"
            for grant in await list_grants(graph, facts.service_principal_id)
            if grant.resource_id in app_ids
        }
        role = load_manifest(call.order.manifest).directory_roles[0]
        directory_role = await is_assigned(graph, facts.service_principal_id, role.template_id)
    return Access(
        frozenset(granted), tuple(facts.resources), directory_role, keyless=call.order.keyless
    )


def _judged(
    integration: Integration, told: Statement, asset: Asset | None, *, triggered: bool
) -> StepResult:
    """What the statement makes of the step."""
    troubles = [finding for finding in told.findings if finding.severity is not Severity.INFO]
    said = "; ".join(dict.fromkeys(finding.message for finding in troubles))
    if told.broken or integration.status == "ERROR":
        severe = [finding for finding in troubles if finding.severity is Severity.HIGH] or troubles
        return failed(
            "scan_failed" if integration.status == "ERROR" else "scan_incomplete",
            f"Mondoo's scan does not see what it should: {said or 'it gave no reason'}."
            f" {told.summary}",
            remediation=" ".join(dict.fromkeys(finding.remediation for finding in severe))
            or "Look at the integration in the Mondoo Console, then send the request again.",
            findings=told.findings,
        )
    message = f"scanned at {integration.scan_finished:%Y-%m-%d %H:%M:%S} UTC"
    if asset is not None and asset.grade:
        message += f", grade {asset.grade}"
    message += f"; {told.summary}"
    outcome = Outcome.CHANGED if triggered else Outcome.PASSED
    if integration.status == "WARNING" or troubles:
        outcome = Outcome.WARNING
        message += f"; {said}" if said else ""
    return ended(outcome, message, findings=told.findings)
