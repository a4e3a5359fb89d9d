"""What a scan of Azure covers: of the subscriptions that were asked for all, some or none.

Two things are weighed: the scanner's messages, and Reader, as far as we may look.
Mondoo publishes no list of texts for Azure either; sign-in refusals are known by Entra's numbers
(`shared.coverage.messages`), and what is not known is passed on as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.coverage.messages import AZURE, meaning
from shared.coverage.statement import Statement, passed_on
from shared.models import (
    CauseKind,
    CoverageCause,
    CoverageState,
    Finding,
    ServiceCoverage,
    Severity,
)
from shared.mondoo.integrations import Integration, Message

_NONE = re.compile(r"\bno (azure )?subscriptions?\b", re.IGNORECASE)
_EVERYTHING = "all subscriptions"

Cause = tuple[CauseKind, Finding]


def azure_statement(
    integration: Integration,
    missing: Sequence[Finding],
    doubtful: Sequence[Finding],
    *,
    empty: bool,
) -> Statement:
    """What the newest scan of an Azure integration covers.

    ``missing`` says where Reader is missing. ``doubtful`` says where it may be, since we could not
    look, and which subscriptions we do not know; a scan without a complaint proves it wrong.
    ``empty``: our automation sees the whole tenant, and there is no subscription in it.
    """
    todo = [*missing, *(doubtful if integration.status != "ACTIVE" else ())]
    causes: list[Cause] = []
    for message in integration.messages:
        cause = _cause(message, todo, empty=empty) if message.matters else None
        if cause is not None and cause not in causes:
            causes.append(cause)
    if not any(kind is CauseKind.LICENCE for kind, _ in causes):
        # Else there is nothing that anybody could be Reader on.
        causes += [(CauseKind.ROLE, finding) for finding in todo]
    state = CoverageState.SCANNED
    if causes:
        blind = integration.status == "ERROR"
        state = CoverageState.NOT_SCANNED if blind else CoverageState.PARTLY
    told = [CoverageCause(kind, each.code, each.message, [each.subject]) for kind, each in causes]
    order = list(Severity)
    return Statement(
        [ServiceCoverage(AZURE, state, told)],
        sorted((each for _, each in causes), key=lambda each: order.index(each.severity)),
    )


def _cause(message: Message, todo: Sequence[Finding], *, empty: bool) -> Cause | None:
    if _NONE.search(message.text):
        return _nothing_seen(message, todo, empty=empty)
    known = meaning(message)
    if known is None or not known.text:
        return CauseKind.OTHER, passed_on(message)
    licence = known.kind is CauseKind.LICENCE
    return known.kind, Finding(
        code=known.code,
        severity=Severity.MEDIUM if licence else Severity.HIGH,
        subject=AZURE,
        message=f"{known.text} ({message.text})",
        remediation=known.remediation,
        not_scanned=_EVERYTHING,
    )


def _nothing_seen(message: Message, todo: Sequence[Finding], *, empty: bool) -> Cause | None:
    """The scanner saw no subscription: none is there, or it has no Reader, or not yet."""
    if todo:
        return None  # those say it, each with its command
    if empty:
        return CauseKind.LICENCE, Finding(
            code="subscriptions_absent",
            severity=Severity.MEDIUM,
            subject=AZURE,
            message=f"the tenant has no subscription ({message.text})",
            remediation="Nothing is wrong. Subscriptions that are made later are scanned.",
            not_scanned=_EVERYTHING,
        )
    return CauseKind.ROLE, Finding(
        code="subscriptions_not_seen",
        severity=Severity.HIGH,
        subject=AZURE,
        message=f"the scanner saw no subscription ({message.text})",
        remediation="Send the request again: Reader is assigned, or the command is named. Where"
        " Reader is assigned already, Azure takes up to half an hour for it: wait first.",
        not_scanned=_EVERYTHING,
    )
