"""The last scan: what its messages mean, in the codes that an onboarding uses (`shared.coverage`).

Only what somebody should look at is a finding: messages of the kind INFO, and those that a user has
put aside in the Console, are none. Where the audit has seen the same for itself, by the same code,
it is told once. A message that nobody has explained is passed on as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator

import msgspec

from shared.audit.checks.integration import GONE
from shared.audit.deviations import Deviation, deviation
from shared.coverage.statement import LOST_KEYLESS, Access, complaints
from shared.manifest import Manifest
from shared.models import Finding, Severity
from shared.mondoo.integrations import Integration

LONGEST_QUOTE = 500
"""Characters of a scanner's message that are passed on."""
MARK = ":scan:"
"""In the key of a finding, it says that a scan is what told us."""

_CHANGING = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\d+")


def scan(
    found: Integration | None, manifest: Manifest, access: Access, known: Collection[str]
) -> Iterator[Deviation]:
    """What the last scan complains of; ``known`` are the codes that the audit came to itself."""
    if found is None or found.paused or found.status in GONE:
        return
    told = complaints(found.messages, manifest, access)
    if access.keyless:
        # It was said before it was chosen: good to know, and no reason to be called every night.
        told = [
            msgspec.structs.replace(each, severity=Severity.INFO)
            if each.code == LOST_KEYLESS
            else each
            for each in told
        ]
    yield from told_by_scan(told, known, MARK)


def told_by_scan(
    findings: Iterable[Finding], known: Collection[str], mark: str
) -> Iterator[Deviation]:
    """Findings of a scan as deviations, each once; ``mark`` is in their keys."""
    seen: set[str] = set()
    for told in findings:
        identity = mark[1:] + _identity(told)
        if told.code not in known and identity not in seen:
            seen.add(identity)
            yield _deviation(told, identity)


def _deviation(told: Finding, identity: str) -> Deviation:
    shown = deviation(
        told.code,
        told.subject,
        told.message[:LONGEST_QUOTE],
        identity=identity,
        not_scanned=told.not_scanned,
    )
    # How grave it is may depend on what was asked for, and on what the scanner itself says.
    order = list(Severity)
    milder = max(shown.finding.severity, told.severity, key=order.index)
    return Deviation(msgspec.structs.replace(shown.finding, severity=milder))


def _identity(told: Finding) -> str:
    """What it is about; for a message that nobody has explained also a digest of its words, since
    several may share an identifier. Numbers and ids in it differ from scan to scan."""
    if told.code != "scan_message":
        return told.subject
    words = _CHANGING.sub("#", told.message)
    return f"{told.subject}:{hashlib.sha256(words.encode()).hexdigest()[:12]}"
