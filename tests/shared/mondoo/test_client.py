"""The client: transport, retries that do not happen, and the service account's life."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Literal

import pytest

from local.simulators import Simulators
from local.simulators.faults import Fault
from shared.config import Settings
from shared.errors import NotYet, OutcomeUnknown, Refused
from shared.mondoo.client import MondooClient


async def test_a_ping_tells_who_we_are_and_where(
    client: MondooClient, simulators: Simulators
) -> None:
    assert await client.ping() == (await client.account()).mrn
    assert client.endpoint == simulators.urls["mondoo"]


async def test_the_endpoint_is_not_known_before_the_first_request(client: MondooClient) -> None:
    with pytest.raises(RuntimeError):
        _ = client.endpoint


async def test_the_product_names_itself(client: MondooClient, simulators: Simulators) -> None:
    since = len(simulators.journal.calls)
    await client.ping()
    (call,) = simulators.run(lambda: list(simulators.journal.calls[since:]))
    assert call.agent == "mondoo-m365-onboarding"


async def test_the_service_account_is_read_once(settings: Settings, simulators: Simulators) -> None:
    reads = 0

    async def read() -> str:
        nonlocal reads
        reads += 1
        return json.dumps(simulators.mondoo.service_account_json())

    client = MondooClient(settings, read)
    await client.ping()
    await client.ping()
    assert reads == 1
    await client.aclose()


@pytest.mark.parametrize("answers", ["http", "graphql"])
async def test_a_service_account_that_was_replaced_in_the_vault_is_read_again(
    settings: Settings, simulators: Simulators, monkeypatch: pytest.MonkeyPatch, answers: str
) -> None:
    monkeypatch.setattr(simulators.mondoo, "unauthenticated_as", answers)
    good = simulators.mondoo.service_account_json()
    files = [{**good, "mrn": good["mrn"] + "-removed"}, good]

    async def read() -> str:
        return json.dumps(files.pop(0))

    client = MondooClient(settings, read)
    with pytest.raises(Refused) as caught:
        await client.ping()
    assert caught.value.code == "mondoo_unauthenticated"
    assert await client.ping() == good["mrn"]
    await client.aclose()


async def test_a_read_without_an_answer_may_wait_and_is_sent_once(
    client: MondooClient, simulators: Simulators, space: str
) -> None:
    simulators.run(simulators.faults.add, Fault("mondoo", drop="before", times=None))
    since = len(simulators.journal.calls)
    with pytest.raises(NotYet) as caught:
        await client.execute("read_space", {"mrn": space})
    assert caught.value.code == "mondoo_unreachable"
    assert len(simulators.journal.calls) - since <= 1


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_a_write_without_an_answer_is_unknown_unless_it_may_be_repeated(
    client: MondooClient, simulators: Simulators, space: str, drop: Literal["before", "after"]
) -> None:
    policies = {"scope": space, "mrns": []}
    for repeatable, expected in ((None, OutcomeUnknown), (True, NotYet)):
        fault = Fault("mondoo", drop=drop)
        simulators.run(simulators.faults.add, fault)
        with pytest.raises(expected):
            await client.execute("activate_policies", policies, repeatable=repeatable)


async def test_a_host_that_refuses_connections_was_never_asked(
    settings: Settings, simulators: Simulators
) -> None:
    async def read() -> str:
        file = simulators.mondoo.service_account_json()
        return json.dumps({**file, "api_endpoint": "https://127.0.0.1:9"})

    client = MondooClient(settings, read)
    with pytest.raises(NotYet) as caught:
        await client.execute("activate_policies", {"scope": "x", "mrns": []})
    assert caught.value.code == "mondoo_unreachable"
    await client.aclose()


async def test_a_host_whose_certificate_is_not_trusted_is_refused(
    settings: Settings, simulators: Simulators
) -> None:
    async def read() -> str:
        return json.dumps(simulators.mondoo.service_account_json())

    client = MondooClient(replace(settings, trusted_ca_file=None), read)
    with pytest.raises(Refused) as caught:
        await client.ping()
    assert caught.value.code == "mondoo_untrusted"
    await client.aclose()


async def test_a_page_of_a_proxy_instead_of_an_answer_is_refused(
    client: MondooClient, simulators: Simulators
) -> None:
    fault = Fault("mondoo", status=200, body=b"<html>sign in to the network</html>")
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(Refused) as caught:
        await client.ping()
    assert caught.value.code == "mondoo_unreadable"


async def test_throttling_passes_on_the_wish_to_wait(
    client: MondooClient, simulators: Simulators
) -> None:
    fault = Fault("mondoo", status=429, code="ResourceExhausted", headers={"Retry-After": "12"})
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(NotYet) as caught:
        await client.ping()
    assert caught.value.retry_after == 12.0


async def test_a_graphql_error_in_an_answer_with_status_200_is_an_error(
    client: MondooClient, simulators: Simulators
) -> None:
    fault = Fault("mondoo", status=200, code="PermissionDenied", message="not yours")
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(Refused) as caught:
        await client.ping()
    assert caught.value.code == "mondoo_forbidden"
    assert "not yours" in caught.value.message
