"""Access keys, when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from local.host import FunctionsHost
from tests.local.host.conftest import ENVIRON, SAMPLE

ITEM, SPECIAL, MASTER = (
    "/api/tenants/t/items/1",
    "/api/tenants/special/items/1",
    "/api/master",
)


@pytest.fixture(scope="module")
def host() -> Iterator[FunctionsHost]:
    with FunctionsHost(SAMPLE, ENVIRON, auth=True) as host:
        yield host


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        (SPECIAL, None, 200),
        (ITEM, None, 401),
        (ITEM, "master", 401),
        (ITEM, "item", 200),
        (ITEM, "default", 200),
        (ITEM, "_master", 200),
        (MASTER, "default", 401),
        (MASTER, "master", 401),
        (MASTER, "_master", 200),
        ("/admin/host/status", "default", 401),
        ("/admin/host/status", "_master", 200),
        ("/runtime/webhooks/durabletask/instances/none", "default", 401),
        ("/runtime/webhooks/durabletask/instances/none", "durabletask_extension", 404),
        ("/runtime/webhooks/EventGrid?functionName=none", None, 401),
        ("/runtime/webhooks/EventGrid?functionName=none", "eventgrid_extension", 404),
    ],
)
def test_a_key_opens_what_it_is_for(
    host: FunctionsHost, client: httpx.Client, path: str, key: str | None, status: int
) -> None:
    headers = {} if key is None else {"x-functions-key": host.keys[key]}

    assert client.get(path, headers=headers).status_code == status


def test_a_key_may_come_in_the_query(host: FunctionsHost, client: httpx.Client) -> None:
    assert client.get(ITEM, params={"code": host.keys["default"]}).status_code == 200
    assert client.get(ITEM, params={"code": "wr\u00f6ng"}).status_code == 401


def test_links_to_an_orchestration_carry_the_key_they_need(
    host: FunctionsHost, client: httpx.Client
) -> None:
    key = {"x-functions-key": host.keys["default"]}
    started = client.post("/api/start/greet_all/linked", json=[], headers=key)
    host.wait_for("linked")

    assert client.get(started.headers["location"]).json()["runtimeStatus"] == "Completed"
