"""What a tenant's app management policies demand of a certificate."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.entra.management_policies import KeyRules, days_of, key_rules

CREATED = datetime(2026, 11, 25, tzinfo=UTC)


def lifetime(duration: str, *, since: str | None = None, state: str = "enabled") -> dict[str, Any]:
    return {
        "restrictionType": "asymmetricKeyLifetime",
        "state": state,
        "maxLifetime": duration,
        "restrictForAppsCreatedAfterDateTime": since,
    }


def default(*rules: dict[str, Any], enabled: bool = True) -> dict[str, Any]:
    return {"isEnabled": enabled, "applicationRestrictions": {"keyCredentials": list(rules)}}


def own(*rules: dict[str, Any], enabled: bool = True) -> dict[str, Any]:
    return {"isEnabled": enabled, "restrictions": {"keyCredentials": list(rules)}}


def test_case_e14_a_limit_of_thirty_days_leaves_twenty_nine() -> None:
    rules = key_rules(default(lifetime("P30D", since="2025-01-01T00:00:00Z")), [], CREATED)
    assert rules.longest_days == 29


def test_case_e14_a_limit_for_younger_applications_does_not_bind_ours() -> None:
    rules = key_rules(default(lifetime("P30D", since="2027-01-01T00:00:00Z")), [], CREATED)
    assert rules == KeyRules()


def test_case_e15_a_demand_for_an_authority_is_told() -> None:
    rule = {"restrictionType": "trustedCertificateAuthority", "state": "enabled"}
    assert key_rules(default(rule), [], CREATED).ca_required
    assert not key_rules(default({**rule, "state": "disabled"}), [], CREATED).ca_required


def test_a_policy_of_the_application_replaces_the_default() -> None:
    rules = key_rules(default(lifetime("P30D")), [own(lifetime("P90D"))], CREATED)
    assert rules.longest_days == 89


def test_a_disabled_policy_of_the_application_leaves_the_default_in_force() -> None:
    rules = key_rules(default(lifetime("P30D")), [own(lifetime("P90D"), enabled=False)], CREATED)
    assert rules.longest_days == 29


@pytest.mark.parametrize(
    "policy",
    [
        {},
        default(),
        default(lifetime("P30D"), enabled=False),
        default(lifetime("P30D", state="disabled")),
        {"isEnabled": True, "applicationRestrictions": None},
        {"isEnabled": True, "applicationRestrictions": {"keyCredentials": None}},
    ],
)
def test_no_rule_in_force_means_no_limit(policy: dict[str, Any]) -> None:
    assert key_rules(policy, [], CREATED) == KeyRules()


@pytest.mark.parametrize(
    ("duration", "days"),
    [
        ("P90D", 90),
        ("P1Y", 365),
        ("P6M", 180),
        ("P2W", 14),
        ("P4DT12H30M5S", 4),
        ("PT36H", 1),
        ("p10d", 10),
        ("P", None),
        ("ninety days", None),
    ],
)
def test_durations_are_counted_in_whole_days(duration: str, days: int | None) -> None:
    assert days_of(duration) == days
