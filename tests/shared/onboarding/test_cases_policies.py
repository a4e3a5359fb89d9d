"""Policies: by default, by MRN, by search; active or in preview; and nobody's choice undone."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from local.simulators.tenant import SimulatedTenant
from tests.driving import Watch, outcomes, step
from tests.shared.onboarding.rehearsal import Rehearsal

BASE = "//policy.api.mondoo.app/policies/"
SECURITY = BASE + "mondoo-m365-security"
CIS = [BASE + f"cis-microsoft-365--level-{level}" for level in (1, 2)]
AWS = BASE + "mondoo-aws-security"


@pytest.fixture
def space(rehearsal: Rehearsal) -> str:
    """A space of its own, in which nothing is assigned; the organization's account onboards."""
    name = f"s-{uuid4().hex[:12]}"
    made = rehearsal.simulators.run(rehearsal.simulators.mondoo.add_space, name)
    account = rehearsal.simulators.mondoo.service_account_json(made.mrn)

    async def read() -> str:
        return json.dumps(account)

    rehearsal.context.mondoo._read_account = read
    return made.scope_mrn


def assigned(rehearsal: Rehearsal, space: str) -> dict[str, str]:
    return dict(rehearsal.simulators.mondoo.estate.assignments.get(space, {}))


async def run(rehearsal: Rehearsal, space: str, tenant: SimulatedTenant, **choices: Any) -> Any:
    order = await rehearsal.order(tenant, space=space, **choices)
    return await rehearsal.step("policies", order)


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, {SECURITY: "ACTIVE"}),
        ({"policies": [AWS]}, {AWS: "ACTIVE"}),
        ({"policySearch": "CIS Microsoft 365"}, dict.fromkeys(CIS, "ACTIVE")),
        (
            {"policySearch": "cis level-2", "policies": [SECURITY]},
            {SECURITY: "ACTIVE", CIS[1]: "ACTIVE"},
        ),
        ({"policyAction": "preview"}, {SECURITY: "IGNORE"}),
    ],
    ids=["default", "by MRN", "by search", "both", "preview"],
)
async def test_the_chosen_policies_are_assigned_and_nothing_else(
    rehearsal: Rehearsal,
    tenant: SimulatedTenant,
    space: str,
    choices: dict[str, Any],
    expected: dict[str, str],
) -> None:
    told = await run(rehearsal, space, tenant, **choices)
    assert told["outcome"] == "changed"
    assert assigned(rehearsal, space) == expected
    with Watch(rehearsal.simulators) as watch:
        again = await run(rehearsal, space, tenant, **choices)
    assert again["outcome"] == "passed"
    assert watch.writes("mondoo") == []


async def test_what_somebody_else_assigned_is_listed_and_left_alone(
    rehearsal: Rehearsal, tenant: SimulatedTenant, space: str
) -> None:
    by_hand = {AWS: "ACTIVE", CIS[0]: "IGNORE"}
    rehearsal.simulators.mondoo.estate.assignments[space] = dict(by_hand)
    told = await run(rehearsal, space, tenant)
    assert assigned(rehearsal, space) == {**by_hand, SECURITY: "ACTIVE"}
    assert (
        "left alone, active: mondoo-aws-security; in preview: cis-microsoft-365--level-1"
        in (told["message"])
    )


async def test_an_active_policy_is_not_put_back_into_preview(
    rehearsal: Rehearsal, tenant: SimulatedTenant, space: str
) -> None:
    rehearsal.simulators.mondoo.estate.assignments[space] = {SECURITY: "ACTIVE"}
    told = await run(rehearsal, space, tenant, policyAction="preview")
    assert told["outcome"] == "passed"
    assert assigned(rehearsal, space) == {SECURITY: "ACTIVE"}


async def test_a_chosen_policy_in_preview_becomes_active(
    rehearsal: Rehearsal, tenant: SimulatedTenant, space: str
) -> None:
    rehearsal.simulators.mondoo.estate.assignments[space] = {SECURITY: "IGNORE"}
    assert (await run(rehearsal, space, tenant))["outcome"] == "changed"
    assert assigned(rehearsal, space) == {SECURITY: "ACTIVE"}


@pytest.mark.parametrize(
    ("search", "code"),
    [("no such words", "mondoo_policy_search_empty"), ("crowd", "mondoo_policy_search_wide")],
)
async def test_a_search_that_is_no_choice_is_named_before_anything_is_changed(
    rehearsal: Rehearsal, tenant: SimulatedTenant, search: str, code: str
) -> None:
    estate = rehearsal.simulators.mondoo.estate
    for number in range(120):  # more than a page
        rehearsal.simulators.run(estate.add_content, f"crowd-{number}", f"Crowd {number}")
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant, policySearch=search)
    assert operation["status"] == "refused"
    told = step(operation, "preflight")
    assert [each["code"] for each in told["findings"]] == [code]
    assert ("120 policies" if "wide" in code else "0 policies") in told["message"]
    assert watch.writes("graph", "vault", "mondoo") == []
    assert outcomes(operation)["policies"] == "skipped"


async def test_a_plan_names_the_policies_that_a_search_would_assign(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    planned = await rehearsal.plan(tenant, policySearch="cis level-1")
    told = step(planned, "policies")
    assert told["outcome"] == "planned"
    assert "cis-microsoft-365--level-1" in told["message"]
