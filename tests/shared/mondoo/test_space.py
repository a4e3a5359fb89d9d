"""Spaces, rights, policies, assets and the console."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from local.simulators import Simulators
from local.simulators.mondoo.estate import Asset
from shared.config import Settings
from shared.errors import Refused
from shared.mondoo import policies, spaces
from shared.mondoo.assets import tenant_asset
from shared.mondoo.client import MondooClient
from shared.mondoo.console import integration_link

SECURITY = "//policy.api.mondoo.app/policies/mondoo-m365-security"
UNKNOWN = "//policy.api.mondoo.app/policies/no-such-policy"


async def test_a_space_is_read(client: MondooClient, space: str) -> None:
    seen = await spaces.read_space(client, space)
    assert seen.mrn == space
    assert space.endswith(f"/{seen.id}")


@pytest.mark.parametrize("whose", ["nobody's", "somebody else's"])
async def test_a_space_that_we_may_not_see_is_missing_or_forbidden(
    client: MondooClient, simulators: Simulators, whose: str
) -> None:
    mrn = "//captain.api.mondoo.app/spaces/no-such-space"
    if whose == "somebody else's":
        name = f"s-{uuid4().hex[:16]}"
        account = simulators.run(simulators.mondoo.add_space, name, organization_id="other-org")
        mrn = account.scope_mrn
    with pytest.raises(Refused) as caught:
        await spaces.read_space(client, mrn)
    assert caught.value.code in {"mondoo_space_missing", "mondoo_forbidden"}


async def test_rights_are_the_names_of_our_roles(client: MondooClient, space: str) -> None:
    assert await spaces.rights(client, space) == {"editor", "owner"}


async def test_rights_on_the_organization_count_in_its_spaces(
    settings: Settings, simulators: Simulators, space: str
) -> None:
    async def read() -> str:
        account = simulators.mondoo.organization_account.mrn
        return json.dumps(simulators.mondoo.service_account_json(account))

    client = MondooClient(settings, read)
    assert spaces.missing_rights(await spaces.rights(client, space)) == []
    await client.aclose()


@pytest.mark.parametrize(
    ("roles", "missing"),
    [
        ({"editor"}, []),
        ({"owner"}, []),
        ({"viewer", "integrations-manager", "policy-manager"}, []),
        ({"viewer"}, ["integrations-manager", "policy-manager"]),
        ({"agent", "policy-manager"}, ["integrations-manager", "viewer"]),
        (set(), ["integrations-manager", "policy-manager", "viewer"]),
    ],
)
def test_what_is_missing_is_named_by_role(roles: set[str], missing: list[str]) -> None:
    assert spaces.missing_rights(roles) == missing


async def test_known_policies_are_told_from_unknown_ones(client: MondooClient, space: str) -> None:
    assert await policies.known(client, space, [SECURITY, UNKNOWN]) == {SECURITY}


async def test_a_policy_becomes_active_and_may_be_activated_twice(
    client: MondooClient, space: str
) -> None:
    assert SECURITY not in await policies.active(client, space)
    await policies.activate(client, space, [SECURITY])
    await policies.activate(client, space, [SECURITY])
    assert SECURITY in await policies.active(client, space)


async def test_a_policy_in_preview_is_not_active(
    client: MondooClient, simulators: Simulators, space: str
) -> None:
    simulators.mondoo.estate.assignments[space] = {SECURITY: "IGNORE"}
    assert SECURITY not in await policies.active(client, space)


async def test_a_policy_of_the_organization_is_active_in_its_spaces(
    client: MondooClient, simulators: Simulators, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization = simulators.mondoo.spaces[space].organization.mrn
    monkeypatch.setitem(simulators.mondoo.estate.assignments, organization, {SECURITY: "ACTIVE"})
    assert SECURITY in await policies.active(client, space)


async def test_there_is_no_asset_before_the_first_scan(
    client: MondooClient, space: str, tenant: str
) -> None:
    assert await tenant_asset(client, space, tenant) is None


def seed_asset(simulators: Simulators, space: str, name: str, **changes: Any) -> str:
    """An asset as a scan leaves it behind; its MRN."""
    now = simulators.clock.now()
    mrn = f"{space.replace('captain', 'assets')}/assets/{uuid4().hex}"
    asset = Asset(
        mrn=mrn,
        name=name,
        space_mrn=space,
        platform="microsoft365",
        platform_ids=[],
        integration_mrn="",
        created=now,
        updated=now,
    )
    simulators.mondoo.estate.assets[mrn] = replace(asset, **changes)
    return mrn


async def test_the_asset_of_the_tenant_is_found_with_its_grade(
    client: MondooClient, simulators: Simulators, space: str, tenant: str
) -> None:
    labels = {"azure.com/tenant": tenant}
    name = f"Microsoft 365 tenant {tenant}"
    mrn = seed_asset(simulators, space, name, labels=labels, grade="B")
    seed_asset(simulators, space, f"mailbox of {tenant}", labels=labels, grade="F")
    found = await tenant_asset(client, space, tenant)
    assert found is not None
    assert (found.mrn, found.name, found.grade) == (mrn, name, "B")


async def test_the_newest_asset_of_the_tenant_counts_even_on_the_last_page(
    client: MondooClient, simulators: Simulators, space: str, tenant: str
) -> None:
    labels = {"azure.com/tenant": tenant}
    name, now = f"Microsoft 365 tenant {tenant}", simulators.clock.now()
    for number in range(100):
        seed_asset(simulators, space, f"other {number}", labels=labels)
    old = now - timedelta(days=30)
    seed_asset(simulators, space, name, labels=labels, updated=old, grade="F")
    newest = seed_asset(simulators, space, name, labels=labels)
    found = await tenant_asset(client, space, tenant)
    assert found is not None
    assert found.mrn == newest
    assert found.grade is None, "not scored yet"


@pytest.mark.parametrize(
    ("endpoint", "link"),
    [
        (
            "https://us.api.mondoo.com",
            "https://app.mondoo.com/space/integrations/ms365?spaceId=demo",
        ),
        (
            "https://api.edge.mondoo.com",
            "https://edge.app.mondoo.com/space/integrations/ms365?spaceId=demo",
        ),
    ],
)
def test_the_link_leads_to_the_integrations_of_the_space(endpoint: str, link: str) -> None:
    assert integration_link(endpoint, "//captain.api.mondoo.app/spaces/demo") == link
