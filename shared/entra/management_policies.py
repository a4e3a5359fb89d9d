"""App management policies: how long a certificate may live in a tenant, and who must issue it.

The customer's rules, read and obeyed, never changed. A tenant has a default policy, and an
application may have one of its own, which replaces the default as a whole. A restriction binds
applications made after its date only. Pure: `shared.entra.observation` does the reading.

Source: Microsoft Graph ``appManagementPolicy``, ``keyCredentialConfiguration``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_DURATION = re.compile(
    r"P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)(?:\.\d+)?S)?)?"
)
_DAYS = {"years": 365, "months": 30, "weeks": 7, "days": 1}


@dataclass(frozen=True)
class KeyRules:
    """What a new certificate must obey.

    ``longest_days`` is already a day less than the policy says, since clocks and certificates
    disagree by minutes; None means no limit. ``ca_required``: self-signed ones are refused.
    """

    longest_days: int | None = None
    ca_required: bool = False


def days_of(duration: str) -> int | None:
    """Whole days of an ISO 8601 duration, rounded down; None when it cannot be read."""
    match = _DURATION.fullmatch(duration.strip().upper())
    if match is None or not any(match.groupdict().values()):
        return None
    days = sum(int(match[unit] or 0) * length for unit, length in _DAYS.items())
    return days + int(match["hours"] or 0) // 24


def key_rules(
    default: Mapping[str, Any], own: Iterable[Mapping[str, Any]], created_at: datetime
) -> KeyRules:
    """The rules for an application made at ``created_at``, with policies of its ``own``."""
    in_force = [policy for policy in own if policy.get("isEnabled")]
    if in_force:
        restrictions = [(policy.get("restrictions") or {}) for policy in in_force]
    elif default.get("isEnabled"):
        restrictions = [default.get("applicationRestrictions") or {}]
    else:
        return KeyRules()
    limits: list[int] = []
    ca_required = False
    for each in restrictions:
        for rule in each.get("keyCredentials") or ():
            if rule.get("state") != "enabled" or not _binds(rule, created_at):
                continue
            if rule.get("restrictionType") == "trustedCertificateAuthority":
                ca_required = True
            elif rule.get("restrictionType") == "asymmetricKeyLifetime":
                days = days_of(str(rule.get("maxLifetime") or ""))
                if days is not None:
                    limits.append(max(0, days - 1))
    return KeyRules(min(limits, default=None), ca_required)


def _binds(rule: Mapping[str, Any], created_at: datetime) -> bool:
    since = rule.get("restrictForAppsCreatedAfterDateTime")
    if not since:
        return True
    moment = datetime.fromisoformat(str(since))
    return moment.replace(tzinfo=moment.tzinfo or UTC) <= created_at
