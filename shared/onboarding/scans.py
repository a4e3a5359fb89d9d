"""Asking Mondoo for a scan, once, and knowing when it is over: for every kind of integration.

A scan counts if it started after the one that was newest when we asked, and finished; both times
are Mondoo's own, so clocks need not agree. Where this operation changed nothing and the newest scan
is a day old at most and younger than the integration's last change, that scan is proof enough.

A scan is asked for once. If the answer is lost we do not ask again (a second scan would be queued)
but look whether one started; one that is running already, on an integration that did not change, is
waited for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.context import Context
from shared.errors import OutcomeUnknown
from shared.models import Outcome, StepResult
from shared.mondoo import integrations
from shared.mondoo.integrations import Integration
from shared.outcomes import ended, failed, not_yet

FRESH = timedelta(hours=24)


@dataclass(frozen=True)
class Asked:
    """Whether this operation has asked for the scan, and when the newest one had started by then;
    ``facts`` are the names under which the two are passed on."""

    requested: bool
    before: datetime | None
    facts: tuple[str, str]

    def learned(self, before: datetime | None) -> dict[str, Any]:
        """What a step has learned once it asked."""
        requested, earlier = self.facts
        return {requested: True, earlier: before}


async def ask_or_look(
    context: Context,
    integration: Integration,
    asked: Asked,
    *,
    what: str,
    changed: bool,
    dry_run: bool,
) -> StepResult | None:
    """Ask for a scan, or look how far it is; None when there is an ended one to be judged.

    ``what`` is scanned; ``changed``: an earlier step of this operation made a change.
    """
    if asked.requested:
        return _progress(integration, asked.before)
    if not changed and _stands(integration, context.now()):
        return None
    if integration.paused:
        return failed(
            "integration_paused",
            f"integration {integration.mrn} is paused in Mondoo, so it cannot scan",
            remediation="Resume the integration in the Mondoo Console and send the request again.",
        )
    if dry_run:
        return ended(Outcome.PLANNED, f"Mondoo would scan {what}")
    if not changed and _running(integration):
        return _asked(asked.learned(integration.scan_finished))
    learned = asked.learned(integration.scan_started)
    try:
        await integrations.trigger_scan(context.mondoo, integration.mrn)
    except OutcomeUnknown as error:
        return not_yet(
            "scan_request_unanswered",
            f"{error.message}; it is not repeated, we look whether a scan starts",
            remediation="Start a scan in the Mondoo Console, then send the request again.",
            facts=learned,
        )
    return _asked(learned)


def _asked(facts: dict[str, Any]) -> StepResult:
    return not_yet(
        "scan_not_finished",
        "Mondoo was asked to scan and has not finished",
        remediation=(
            "Look at the integration in the Mondoo Console; send the request again to go on"
            " waiting."
        ),
        facts=facts,
    )


def _running(integration: Integration) -> bool:
    started, finished = integration.scan_started, integration.scan_finished
    return started is not None and (finished is None or finished < started)


def _stands(integration: Integration, now: datetime) -> bool:
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
    return fine and now - finished <= FRESH


def _progress(integration: Integration, before: datetime | None) -> StepResult | None:
    started, finished = integration.scan_started, integration.scan_finished
    over = (
        started is not None
        and finished is not None
        and finished >= started
        and (before is None or started > before)
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
    return None
