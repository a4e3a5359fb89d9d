"""Weather: what every call meets, rendered by each service in its own words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from local.simulators import Simulators
from local.simulators.weather import Weather
from tests.local.simulators.callers import web

ERRORS = {
    "graph": ("/v1.0/organization", lambda body: body["error"]["code"], "TooManyRequests"),
    "vault": ("/secrets/none", lambda body: body["error"]["code"], "Throttled"),
    "mondoo": ("/query", lambda body: body["code"], 8),
    "exchange": ("/adminapi", lambda body: body["error"]["code"], "TooManyRequests"),
}
"""A path of the service, where its envelope says why, and what it says."""


@pytest.fixture
def weather(simulators: Simulators) -> Iterator[Weather]:
    """The simulators' weather, fair again after the test."""
    yield simulators.weather
    simulators.weather = Weather()


async def ask(simulators: Simulators, service: str, path: str, **headers: str) -> Any:
    async with web(simulators) as client:
        return await client.get(simulators.urls[service] + path, headers=headers)


async def test_it_is_fair_until_somebody_sets_it(simulators: Simulators) -> None:
    for _ in range(30):
        answer = await ask(simulators, "graph", "/v1.0/organization")
        assert answer.status_code == 401


@pytest.mark.parametrize("service", ERRORS)
async def test_every_nth_call_of_a_service_is_answered_429_in_its_own_envelope(
    simulators: Simulators, weather: Weather, service: str
) -> None:
    path, why, expected = ERRORS[service]
    weather.throttle_every, weather.retry_after = 3, 7
    answers = [await ask(simulators, service, path) for _ in range(7)]
    assert [answer.status_code == 429 for answer in answers] == [False, False, True] * 2 + [False]
    assert answers[2].headers["Retry-After"] == "7"
    assert why(answers[2].json()) == expected


async def test_each_service_counts_its_own_calls(simulators: Simulators, weather: Weather) -> None:
    weather.throttle_every = 2
    for service in ("graph", "vault"):
        first = await ask(simulators, service, ERRORS[service][0])
        assert first.status_code != 429


async def test_the_scanner_and_the_control_origin_are_spared(
    simulators: Simulators, weather: Weather
) -> None:
    weather.throttle_every = 1
    scanner = {"User-Agent": "mondoo-scanner/1.0"}
    spared = await ask(simulators, "graph", "/v1.0/organization", **scanner)
    assert spared.status_code == 401
    assert (await ask(simulators, "control", "/faults")).status_code == 200


async def test_sign_ins_are_struck_only_when_asked(
    simulators: Simulators, weather: Weather
) -> None:
    weather.throttle_every = 1
    path = f"/{simulators.world.home.id}/v2.0/.well-known/openid-configuration"
    assert (await ask(simulators, "entra", path)).status_code == 200
    weather.sign_in = True
    struck = await ask(simulators, "entra", path)
    assert struck.status_code == 429
    assert struck.json()["error_codes"] == [90055]


async def test_latency_holds_a_call_back(weather: Weather, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("local.simulators.weather.asyncio.sleep", sleep)
    weather.latency = 0.1
    assert await weather.meet("graph", "somebody") is None
    await weather.meet("entra", "somebody")
    assert waited == [0.1]
