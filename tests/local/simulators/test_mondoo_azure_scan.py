"""The simulated scanner in Azure: it sees what the application may read, and keeps to its lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from local.simulators import Simulators
from local.simulators.mondoo.estate import AZURE_PLATFORM, Integration
from local.simulators.mondoo.service import SPACE_ID
from local.simulators.resource_manager import READER, AzureEstate
from tests.driving import eventually
from tests.local.simulators.callers import certificate_for, certificate_pem, key_pem
from tests.local.simulators.scanned_tenant import Scannable, add_scannable

ASSIGNS = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
NAMES = ("production", "test", "sandbox")


@pytest.fixture(scope="module")
def simulators() -> Iterator[Simulators]:
    with Simulators() as running:
        running.mondoo.scanner.delay = 0.0
        yield running


@pytest.fixture
def target(simulators: Simulators) -> Scannable:
    return add_scannable(simulators)


@pytest.fixture
def estate(simulators: Simulators, target: Scannable) -> AzureEstate:
    """Three subscriptions, with Reader for the application on each."""

    def seed() -> AzureEstate:
        estate = simulators.resource_manager.of(target.tenant)
        for name in NAMES:
            scope = f"/subscriptions/{estate.add_subscription(name)}"
            estate.assign(target.principal.id, READER, scope)
        return estate

    return simulators.run(seed)


def scanned(simulators: Simulators, target: Scannable, **lists: Any) -> Integration:
    """An Azure integration after its first scan."""

    def ask() -> Integration:
        mondoo = simulators.mondoo
        space = next(mrn for mrn in mondoo.spaces if mrn.endswith(f"/{SPACE_ID}"))
        made = mondoo.add_integration(
            space, "azure", kind="AZURE", tenant_id=target.tenant.id, client_id=target.app.app_id
        )
        made.certificate = target.pem
        for name, value in lists.items():
            setattr(made, name, value)
        mondoo.scanner.request(made)
        return made

    made = simulators.run(ask)
    eventually(lambda: made.scan_finished, "the scan has ended")
    return made


def assets_of(simulators: Simulators, integration: Integration) -> set[str]:
    return {
        asset.name.removeprefix("Azure subscription ")
        for asset in simulators.mondoo.estate.assets.values()
        if asset.platform == AZURE_PLATFORM and asset.integration_mrn == integration.mrn
    }


def told(integration: Integration) -> list[tuple[str, str]]:
    return [(message.status, message.message) for message in integration.messages]


def test_without_lists_everything_that_can_be_seen_is_scanned(
    simulators: Simulators, target: Scannable, estate: AzureEstate
) -> None:
    made = scanned(simulators, target)
    assert (made.status, told(made)) == ("ACTIVE", [])
    assert assets_of(simulators, made) == set(NAMES)


def test_more_than_a_page_is_seen(
    simulators: Simulators,
    target: Scannable,
    estate: AzureEstate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(simulators.resource_manager, "page", 1)
    assert assets_of(simulators, scanned(simulators, target)) == set(NAMES)


def test_the_lists_are_kept_to(
    simulators: Simulators, target: Scannable, estate: AzureEstate
) -> None:
    first, second, _ = estate.subscriptions
    allowed = scanned(simulators, target, allowed_subscriptions=[first.upper()])
    assert assets_of(simulators, allowed) == {"production"}
    denied = scanned(simulators, target, denied_subscriptions=[first, second])
    assert assets_of(simulators, denied) == {"sandbox"}


def test_one_of_the_list_that_cannot_be_seen_is_a_warning(
    simulators: Simulators, target: Scannable, estate: AzureEstate
) -> None:
    first, second, _ = estate.subscriptions
    hidden = f"/subscriptions/{second}"
    estate.roles[:] = [role for role in estate.roles if role.scope != hidden]
    made = scanned(simulators, target, allowed_subscriptions=[first, second])
    assert made.status == "WARNING"
    assert told(made) == [("WARNING", f"could not find subscription {second}")]


@pytest.mark.parametrize("role", [None, ASSIGNS])
def test_without_reader_there_is_nothing_to_scan(
    simulators: Simulators, target: Scannable, estate: AzureEstate, role: str | None
) -> None:
    """A role that only assigns roles lets a subscription be seen, and nothing in it be read."""
    estate.roles.clear()
    if role is not None:
        simulators.run(estate.assign, target.principal.id, role, estate.root)
    made = scanned(simulators, target)
    assert made.status == "ERROR"
    assert ("ERROR", "no subscriptions found that can be scanned") in told(made)
    assert any("AuthorizationFailed" in text or "status 403" in text for _, text in told(made)) == (
        role is not None
    )


def test_a_key_that_the_application_does_not_know_is_refused(
    simulators: Simulators, target: Scannable, estate: AzureEstate
) -> None:
    key, certificate = certificate_for()
    made = scanned(simulators, target, certificate=key_pem(key) + certificate_pem(certificate))
    ((status, text),) = told(made)
    assert status == made.status == "ERROR"
    assert text.startswith("authentication failed: AADSTS700027")


def test_a_tenant_without_azure_is_told_by_the_sign_in(
    simulators: Simulators, target: Scannable
) -> None:
    ((_, text),) = told(scanned(simulators, target))
    assert text.startswith("authentication failed: AADSTS500011")
