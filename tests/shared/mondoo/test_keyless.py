"""Logging in to Mondoo without a stored key, and its renewal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from local.simulators import Simulators
from local.simulators.faults import Fault
from shared.config import MondooLogin, Settings
from shared.context import Context
from shared.errors import NotYet, Refused
from shared.mondoo.keyless import METHOD, KeylessLogin

AUDIENCE = "api://AzureADTokenExchange"


@pytest.fixture
def bound(simulators: Simulators, space: str) -> str:
    """A space that trusts the managed identity, for ten minutes at a time."""
    world = simulators.world
    simulators.run(
        lambda: simulators.mondoo.add_binding(
            space,
            f"https://login.microsoftonline.com/{world.home.id}/v2.0",
            world.managed_identity.id,
            allowed_audiences=(AUDIENCE,),
            expiration=600,
        )
    )
    return space


def keyless(settings: Settings, simulators: Simulators, scope: str) -> Settings:
    return replace(
        settings,
        mondoo_login=MondooLogin.KEYLESS,
        mondoo_api_endpoint=simulators.urls["mondoo"],
        mondoo_keyless_scope=scope,
    )


@pytest.fixture
async def context(settings: Settings, simulators: Simulators, bound: str) -> AsyncIterator[Context]:
    ours = Context(keyless(settings, simulators, bound))
    yield ours
    await ours.aclose()


def logins(simulators: Simulators) -> int:
    return len(simulators.run(lambda: simulators.journal.select("mondoo", operation=METHOD)))


async def test_the_managed_identity_becomes_an_account_of_the_space(
    context: Context, simulators: Simulators, bound: str
) -> None:
    before = logins(simulators)
    assert await context.mondoo.ping() == (await context.mondoo.account()).mrn
    answer = await context.mondoo.execute("read_space", {"mrn": bound})
    assert answer["space"]["mrn"] == bound
    assert logins(simulators) == before + 1


async def test_an_account_that_ended_is_renewed_and_the_request_sent_again(
    context: Context, simulators: Simulators
) -> None:
    first = await context.mondoo.ping()
    simulators.run(simulators.clock.advance, 601.0)
    assert await context.mondoo.ping() != first


@pytest.mark.parametrize("answers", ["http", "graphql"])
async def test_it_is_renewed_in_either_way_of_saying_no(
    context: Context, simulators: Simulators, monkeypatch: pytest.MonkeyPatch, answers: str
) -> None:
    monkeypatch.setattr(simulators.mondoo, "unauthenticated_as", answers)
    first = await context.mondoo.ping()
    simulators.run(simulators.mondoo.service_accounts.pop, first)
    assert await context.mondoo.ping() != first


async def test_it_is_renewed_before_it_ends(context: Context, simulators: Simulators) -> None:
    client = context.mondoo
    before = logins(simulators)
    await client.ping()
    client._lifetime = timedelta(0)
    await client.ping()
    assert logins(simulators) == before + 2


async def test_an_identity_that_is_not_accepted_twice_is_not_tried_for_ever(
    context: Context, simulators: Simulators
) -> None:
    await context.mondoo.ping()
    fault = Fault("mondoo", operation="viewer", status=401, code="Unauthenticated", times=2)
    simulators.run(simulators.faults.add, fault)
    before = logins(simulators)
    with pytest.raises(Refused) as caught:
        await context.mondoo.ping()
    assert caught.value.code == "mondoo_unauthenticated"
    assert logins(simulators) == before + 1


async def refusal(settings: Settings, simulators: Simulators, scope: str) -> Refused:
    context = Context(keyless(settings, simulators, scope))
    try:
        with pytest.raises(Refused) as caught:
            await context.mondoo.ping()
        return caught.value
    finally:
        await context.aclose()


async def test_a_space_that_does_not_trust_us_is_named_with_what_to_bind(
    settings: Settings, simulators: Simulators, space: str
) -> None:
    error = await refusal(settings, simulators, space)
    assert error.code == "mondoo_keyless_unbound"
    assert simulators.world.managed_identity.id in error.message
    assert space in error.remediation


async def test_a_space_that_is_not_there_is_named(
    settings: Settings, simulators: Simulators
) -> None:
    missing = "//captain.api.mondoo.app/spaces/no-such-space"
    error = await refusal(settings, simulators, missing)
    assert error.code == "mondoo_keyless_scope"


async def test_a_binding_for_another_audience_is_named(
    settings: Settings, simulators: Simulators, space: str
) -> None:
    world = simulators.world
    simulators.run(
        lambda: simulators.mondoo.add_binding(
            space,
            f"https://login.microsoftonline.com/{world.home.id}/v2.0",
            world.managed_identity.id,
            allowed_audiences=("https://elsewhere.example",),
        )
    )
    error = await refusal(settings, simulators, space)
    assert error.code == "mondoo_keyless_token"
    assert AUDIENCE in error.remediation


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ({"status": 503, "code": "Unavailable"}, NotYet, "mondoo_busy"),
        ({"drop": "before"}, NotYet, "mondoo_unreachable"),
        ({"status": 200, "body": b"<html>"}, Refused, "mondoo_unreadable"),
        ({"status": 200, "body": b"{}"}, Refused, "mondoo_unreadable"),
        ({"status": 418, "body": b""}, Refused, "mondoo_refused"),
    ],
)
async def test_an_exchange_that_fails_otherwise_is_told_as_it_is(
    context: Context,
    simulators: Simulators,
    fault: dict[str, Any],
    kind: type[Exception],
    code: str,
) -> None:
    simulators.run(simulators.faults.add, Fault("mondoo", operation=METHOD, **fault))
    with pytest.raises(kind) as caught:
        await context.mondoo.ping()
    assert caught.value.code == code  # type: ignore[attr-defined]


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "a.bm90IGpzb24.c"])
async def test_a_token_that_is_none_of_entra_is_refused_and_not_quoted(
    settings: Settings, simulators: Simulators, bound: str, token: str
) -> None:
    async def read() -> str:
        return token

    login = KeylessLogin(keyless(settings, simulators, bound), read)
    with pytest.raises(Refused) as caught:
        await login.account()
    assert caught.value.code == "mondoo_keyless_token"
    assert "bm90" not in str(caught.value)
