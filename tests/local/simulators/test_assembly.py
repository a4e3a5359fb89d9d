"""The assembly: start, stop, control origin, clock, journal."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import httpx
import pytest

from local.simulators import Simulators
from local.simulators.clock import Clock
from local.simulators.faults import Fault
from local.simulators.graph.app_management import duration
from local.simulators.tenant import SimulatedTenant

NAMES = {
    "entra",
    "graph",
    "vault",
    "other-vault",
    "exchange",
    "sharepoint",
    "mondoo",
    "partner",
    "tables",
    "events",
    "resource-manager",
    "managed-identity",
    "control",
}


def test_stopping_leaves_no_thread_and_no_file() -> None:
    before = set(threading.enumerate())
    with Simulators() as simulators:
        assert set(simulators.urls) == NAMES
        ca_file = simulators.ca_file
        assert ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")
        assert len(set(simulators.urls.values())) == len(NAMES)
        assert all("127.0.0.1" in url for url in simulators.urls.values())
    assert not ca_file.exists()
    assert set(threading.enumerate()) == before
    simulators.stop()


def test_a_running_assembly_is_not_started_again(simulators: Simulators) -> None:
    with pytest.raises(RuntimeError, match="already"):
        simulators.start()


def test_functions_and_coroutines_run_on_the_simulators_thread(simulators: Simulators) -> None:
    async def name() -> str:
        return threading.current_thread().name

    assert simulators.run(threading.current_thread).name == "simulators"
    assert simulators.run(name) == "simulators"
    with pytest.raises(RuntimeError, match="already on"):
        simulators.run(simulators.run, name)


def test_the_clock_only_goes_forward() -> None:
    clock = Clock()
    before = clock.now()
    assert clock.advance(60) - before >= timedelta(seconds=60)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_the_control_origin_shows_journal_and_world(
    simulators: Simulators, tenant: SimulatedTenant
) -> None:
    tenant.add_secret(tenant.add_application("portal-made"), "never-shown")
    with httpx.Client(base_url=simulators.urls["control"]) as control:
        world = control.get("/world")
        assert "never-shown" not in world.text
        [found] = [item for item in world.json()["tenants"] if item["id"] == tenant.id]
        assert found["applications"][0]["displayName"] == "portal-made"
        calls = control.get("/journal", params={"service": "control"}).json()["calls"]
        assert calls[-1]["operation"] == "GET /world"


def test_faults_and_time_from_the_control_origin(simulators: Simulators, trust: Any) -> None:
    with httpx.Client(base_url=simulators.urls["control"]) as control:
        added = control.post(
            "/faults",
            json={
                "service": "entra",
                "operation": "GET *",
                "status": 503,
                "code": "temporarily_unavailable",
                "message": "Busy.",
            },
        )
        assert added.status_code == 201
        assert control.get("/faults").json()["faults"][0]["service"] == "entra"
        url = f"{simulators.urls['entra']}/discovery/v2.0/keys"
        answer = httpx.get(url, verify=trust)
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert httpx.get(url, verify=trust).status_code == 200
        assert control.post("/faults", json={"colour": "blue"}).status_code == 400
        assert control.post("/faults", json={"service": "x", "times": 0}).status_code == 400
        assert control.post("/faults", content=b"[").status_code == 400
        control.post("/faults", json={"service": "entra", "times": None, "delay": 1})
        assert control.delete("/faults").status_code == 204
        assert control.get("/faults").json()["faults"] == []
        before = simulators.clock.now()
        control.post("/clock", json={"advance": 30})
        assert simulators.clock.now() - before >= timedelta(seconds=30)
        assert control.post("/clock", json={"advance": -1}).status_code == 400


def test_a_users_token_from_the_control_origin(
    simulators: Simulators, tenant: SimulatedTenant
) -> None:
    with httpx.Client(base_url=simulators.urls["control"]) as control:
        wanted = {
            "tenant": tenant.id,
            "audience": simulators.urls["graph"],
            "scopes": ["User.Read"],
        }
        token = control.post("/user-token", json=wanted).json()["accessToken"]
        claims = simulators.entra.verify(token, simulators.urls["graph"])
        assert claims.tenant_id == tenant.id
        unknown = control.post("/user-token", json={**wanted, "tenant": "nowhere.example"})
        assert unknown.status_code == 400


def test_secrets_in_a_query_are_not_in_the_journal(simulators: Simulators) -> None:
    with httpx.Client(base_url=simulators.urls["control"]) as control:
        control.get("/world", params={"sig": "a-secret", "page": "2"})
    assert simulators.journal.calls[-1].path == "/world?sig=-&page=2"


@pytest.mark.parametrize("wrong", [{"times": 0}, {"delay": -1}, {"drop": "sometimes"}])
def test_a_fault_that_makes_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"fault|delay|drop"):
        Fault("graph", **wrong)


@pytest.mark.parametrize(
    ("text", "days"), [("P30D", 30), ("P1Y", 365), ("P3M", 90), ("P2W", 14), ("PT24H", 1)]
)
def test_iso_durations(text: str, days: int) -> None:
    assert duration(text) == timedelta(days=days)


def test_text_that_is_no_duration() -> None:
    for text in ("", "P", "90 days"):
        with pytest.raises(ValueError, match="not a duration"):
            duration(text)
