"""A space of its own for each customer: found by our labels, or made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from local.simulators.mondoo.estate import Space
from local.simulators.tenant import SimulatedTenant
from local.stack import LocalStack
from shared.errors import InvalidRequest, Refused
from shared.models import OnboardingRequest
from shared.mondoo.tenant_spaces import space_name, space_to_be
from tests.driving import outcomes, step
from tests.shared.onboarding.rehearsal import Rehearsal

ORGANIZATION = "//captain.api.mondoo.app/organizations/demo-org"
WANTED = {"create": True, "organization": ORGANIZATION}


@pytest.fixture
async def owner(stack: LocalStack) -> AsyncIterator[Rehearsal]:
    """The product with a Mondoo account that owns the organization."""
    one = Rehearsal(stack, {"MONDOO_SERVICE_ACCOUNT": "mondoo-organization-account"})
    yield one
    await one.aclose()


def spaces_of(rehearsal: Rehearsal, tenant: SimulatedTenant) -> list[Space]:
    return rehearsal.simulators.run(
        lambda: [
            space
            for space in rehearsal.simulators.mondoo.spaces.values()
            if space.annotations.get("microsoft365-tenant") == tenant.id
        ]
    )


async def test_a_space_is_made_labelled_and_found_again(
    owner: Rehearsal, tenant: SimulatedTenant
) -> None:
    operation = await owner.onboard(tenant, space=WANTED)
    assert operation["status"] == "succeeded"
    (made,) = spaces_of(owner, tenant)
    assert made.mrn == space_to_be(tenant.id)
    assert 7 <= len(made.id) <= 34
    assert made.annotations["managed-by"] == "mondoo-onboarding"
    assert made.name == "Fabrikam"
    again = await owner.onboard(tenant, space=WANTED)
    assert set(outcomes(again).values()) == {"passed"}
    assert len(spaces_of(owner, tenant)) == 1


async def test_a_space_with_our_labels_is_found_whatever_its_id_and_name(
    owner: Rehearsal, tenant: SimulatedTenant
) -> None:
    def moved() -> Space:
        mondoo = owner.simulators.mondoo
        for number in range(120):  # more than one page
            mondoo.estate.add_space(
                f"x-{tenant.id[:8]}-{number}", mondoo.organizations[ORGANIZATION]
            )
        space = mondoo.estate.add_space(f"y-{tenant.id[:8]}", mondoo.organizations[ORGANIZATION])
        space.annotations = {
            "managed-by": "mondoo-onboarding",
            "microsoft365-tenant": tenant.id,
        }
        return space

    space = owner.simulators.run(moved)
    operation = await owner.onboard(tenant, space={**WANTED, "name": "Another name"})
    assert operation["status"] == "succeeded"
    assert spaces_of(owner, tenant) == [space]
    record = await owner.context.records.get(tenant.id)
    assert record is not None
    assert record.space == space.mrn


async def test_a_space_of_that_id_without_our_labels_is_left_alone(
    owner: Rehearsal, tenant: SimulatedTenant
) -> None:
    mondoo = owner.simulators.mondoo
    owner.simulators.run(
        mondoo.estate.add_space,
        space_to_be(tenant.id).rsplit("/", 1)[-1],
        mondoo.organizations[ORGANIZATION],
    )
    with pytest.raises(Refused, match="mondoo_space_not_ours"):
        await owner.onboard(tenant, space=WANTED)


async def test_a_plan_makes_no_space(owner: Rehearsal, tenant: SimulatedTenant) -> None:
    planned = await owner.plan(tenant, space={**WANTED, "name": "Tailspin Toys"})
    assert planned["status"] == "planned"
    assert space_to_be(tenant.id) in step(planned, "integration")["message"]
    assert spaces_of(owner, tenant) == []


async def test_an_answer_that_was_lost_makes_no_second_space(
    owner: Rehearsal, tenant: SimulatedTenant
) -> None:
    owner.fault("*reate*pace*", None, service="mondoo", drop="after")
    operation = await owner.onboard(tenant, space=WANTED)
    assert operation["status"] == "succeeded"
    assert step(operation, "integration")["attempts"] == 2
    assert len(spaces_of(owner, tenant)) == 1


async def test_without_the_right_to_make_spaces_nothing_is_begun(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    """The space's own account cannot see the organization."""
    with pytest.raises(Refused, match="mondoo_organization_missing"):
        await rehearsal.onboard(tenant, space=WANTED)


async def test_create_must_be_true(owner: Rehearsal, tenant: SimulatedTenant) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await owner.order(tenant, space={**WANTED, "create": False})
    assert refused.value.field == "space.create"


@pytest.mark.parametrize(
    "space",
    [
        {"create": True},
        {"create": True, "organization": "demo-org"},
        {"create": True, "organization": ORGANIZATION, "name": "abc"},
        {"create": True, "organization": ORGANIZATION, "name": "a" * 30},
        {"create": True, "organization": ORGANIZATION, "name": "<script>"},
        {"create": True, "organization": ORGANIZATION, "id": "x"},
    ],
)
def test_what_mondoo_would_not_take_is_refused_beforehand(space: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"tenant": "a.example", "space": space}, OnboardingRequest)


@pytest.mark.parametrize(
    ("display_name", "name"),
    [
        ("Contoso", "Contoso"),
        ("O'Brien & Söhne <Ltd> #1", "O'Brien S hne Ltd 1"),
        ("A very long name of a very large company", "A very long name of a very la"),
        ("株式会社", "Microsoft 365 8a1f0c4e"),
        ("abc", "Microsoft 365 8a1f0c4e"),
        (None, "Microsoft 365 8a1f0c4e"),
    ],
)
def test_a_name_is_made_of_what_mondoo_allows(display_name: str | None, name: str) -> None:
    assert space_name(display_name, "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77") == name
