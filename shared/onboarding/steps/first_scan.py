"""First scan: Mondoo scans the tenant and reports that it has.

This is the only proof that the whole chain works. A scan counts if it started after the one that
was newest when we asked, and finished; both times are Mondoo's own, so clocks need not agree. Where
this operation changed nothing and the newest scan is a day old at most and younger than the
integration's last change, that scan is proof enough.

A scan is asked for once. If the answer is lost we do not ask again (a second scan would be queued)
but look whether one started; one that is running already, on an integration that did not change, is
waited for.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from shared.context import Context
from shared.errors import OutcomeUnknown
from shared.models import Finding, Outcome, Severity, StepCall, StepResult
from shared.mondoo import integrations
from shared.mondoo.assets import tenant_asset
from shared.mondoo.console import integration_link
from shared.mondoo.integrations import Integration, Message
from shared.outcomes import ended, failed, not_yet

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
    return integration.status == "ACTIVE" and context.now() - finished <= FRESH


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
    findings = [_finding(message) for message in integration.messages if message.matters]
    if integration.status == "ERROR":
        return failed(
            "scan_failed",
            "Mondoo's scan ended in an error: "
            + ("; ".join(finding.message for finding in findings) or "it gave no reason"),
            remediation="Correct what the messages name, then send the request again.",
            findings=findings,
        )
    if integration.status not in ("ACTIVE", "WARNING"):
        return not_yet(
            "scan_status_unclear",
            f"the scan finished, but the integration is {integration.status}",
            remediation="Look at the integration in the Mondoo Console.",
            findings=findings,
        )
    asset = await tenant_asset(context.mondoo, call.order.space, call.order.tenant_id)
    message = f"scanned at {finished:%Y-%m-%d %H:%M:%S} UTC"
    if asset is not None and asset.grade:
        message += f", grade {asset.grade}"
    outcome = Outcome.CHANGED if triggered else Outcome.PASSED
    if integration.status == "WARNING" or findings:
        outcome = Outcome.WARNING
        message += "; " + "; ".join(finding.message for finding in findings)
    return ended(
        outcome,
        message,
        findings=findings,
        facts={
            "scanned_at": finished,
            "asset": asset.mrn if asset is not None else None,
            "console": integration_link(context.mondoo.endpoint, call.order.space),
        },
    )


def _finding(message: Message) -> Finding:
    severe = message.status == "ERROR"
    return Finding(
        code="scan_message",
        severity=Severity.HIGH if severe else Severity.MEDIUM,
        subject=message.identifier or "scan",
        message=message.text,
        remediation="See what the message names; the scanner reported it in its own words.",
    )
