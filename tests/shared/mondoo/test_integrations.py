"""Integrations on the simulated platform."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.simulators import Simulators
from local.simulators.faults import Fault
from shared.errors import OutcomeUnknown, Refused
from shared.mondoo import integrations
from shared.mondoo.client import MondooClient
from shared.mondoo.integrations import Integration, Message

LABELS = {"managed-by": "mondoo-onboarding", "onboarding-operation": "op-1"}


async def made(client: MondooClient, space: str, tenant: str, app: str, **changes: Any) -> str:
    choices: dict[str, Any] = {"name": "Fabrikam", "pem": "key and certificate", "labels": LABELS}
    choices |= changes
    return await integrations.create(client, space, tenant_id=tenant, app_id=app, **choices)


async def test_an_integration_is_made_and_read_back(
    client: MondooClient, simulators: Simulators, space: str, tenant: str, app: str
) -> None:
    mrn = await made(client, space, tenant, app)
    seen = await integrations.read(client, mrn)
    assert (seen.mrn, seen.name, seen.labels) == (mrn, "Fabrikam", LABELS)
    assert (seen.tenant_id, seen.client_id) == (tenant, app)
    assert seen.created is not None
    assert seen.created.utcoffset() is not None
    assert seen.scan_finished is None
    assert simulators.mondoo.integrations[mrn].certificate == "key and certificate"


async def test_an_integration_is_found_by_tenant_and_application_and_by_nothing_less(
    client: MondooClient, simulators: Simulators, space: str, tenant: str, app: str
) -> None:
    add = simulators.mondoo.add_integration
    simulators.run(add, space, "other app", tenant_id=tenant, client_id="f" * 36)
    simulators.run(add, space, "other tenant", tenant_id="e" * 36, client_id=app)
    simulators.run(add, space, "not Microsoft", kind="AWS")
    assert await integrations.find(client, space, tenant_id=tenant, app_id=app) == []
    mrn = await made(client, space, tenant, app)
    found = await integrations.find(client, space, tenant_id=tenant, app_id=app)
    assert [one.mrn for one in found] == [mrn]


async def test_ids_are_compared_without_regard_to_case(
    client: MondooClient, simulators: Simulators, space: str, tenant: str, app: str
) -> None:
    simulators.run(
        simulators.mondoo.add_integration,
        space,
        "by hand",
        tenant_id=tenant.upper(),
        client_id=app.upper(),
    )
    (found,) = await integrations.find(client, space, tenant_id=tenant, app_id=app)
    assert (found.tenant_id, found.client_id) == (tenant, app)


async def test_all_integrations_of_a_tenant_are_found_not_only_the_first(
    client: MondooClient, space: str, tenant: str, app: str
) -> None:
    made_mrns = {await made(client, space, tenant, app) for _ in range(2)}
    found = await integrations.find(client, space, tenant_id=tenant, app_id=app)
    assert {one.mrn for one in found} == made_mrns


async def test_an_update_sends_the_certificate_and_the_labels(
    client: MondooClient, simulators: Simulators, space: str, tenant: str, app: str
) -> None:
    mrn = await made(client, space, tenant, app)
    before = await integrations.read(client, mrn)
    labels = {**LABELS, "certificate-thumbprint": "AA"}
    await integrations.update(client, before, name="Renamed", pem="new pem", labels=labels)
    after = await integrations.read(client, mrn)
    assert (after.name, after.labels) == ("Renamed", labels)
    assert (after.tenant_id, after.client_id) == (tenant, app)
    assert simulators.mondoo.integrations[mrn].certificate == "new pem"


async def test_a_creation_without_an_answer_is_unknown_and_looking_finds_it(
    client: MondooClient, simulators: Simulators, space: str, tenant: str, app: str
) -> None:
    fault = Fault("mondoo", "createClientIntegration", drop="after")
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(OutcomeUnknown):
        await made(client, space, tenant, app)
    assert len(await integrations.find(client, space, tenant_id=tenant, app_id=app)) == 1


async def test_a_scan_request_without_an_answer_is_unknown_though_it_is_a_query(
    client: MondooClient, simulators: Simulators, space: str, tenant: str, app: str
) -> None:
    mrn = await made(client, space, tenant, app)
    simulators.run(simulators.faults.add, Fault("mondoo", "triggerAction", drop="before"))
    with pytest.raises(OutcomeUnknown):
        await integrations.trigger_scan(client, mrn)


async def test_a_scan_can_be_asked_for(
    client: MondooClient, simulators: Simulators, space: str, tenant: str, app: str
) -> None:
    mrn = await made(client, space, tenant, app)
    await integrations.trigger_scan(client, mrn)
    assert (await integrations.read(client, mrn)).scan_attempted is not None


async def test_a_paused_integration_says_so(
    client: MondooClient, simulators: Simulators, space: str, tenant: str, app: str
) -> None:
    mrn = await made(client, space, tenant, app)
    assert not (await integrations.read(client, mrn)).paused
    simulators.mondoo.integrations[mrn].paused = True
    assert (await integrations.read(client, mrn)).paused


async def test_a_missing_integration_is_refused_and_not_none(
    client: MondooClient, space: str
) -> None:
    mrn = space.replace("captain", "integration") + "/integrations/none"
    with pytest.raises(Refused) as caught:
        await integrations.read(client, mrn)
    assert caught.value.code == "mondoo_not_found"


async def test_a_name_is_cut_to_what_mondoo_allows(
    client: MondooClient, space: str, tenant: str, app: str
) -> None:
    mrn = await made(client, space, tenant, app, name="n" * 300)
    assert len((await integrations.read(client, mrn)).name) == 250


@pytest.mark.parametrize(
    ("message", "matters"),
    [
        (Message("done", "INFO", "graph"), False),
        (Message("no licence", "WARNING", "exchange"), True),
        (Message("refused", "ERROR", "sharepoint"), True),
        (Message("refused", "ERROR", "sharepoint", suppressed=True), False),
    ],
)
def test_a_message_matters_when_it_complains_and_nobody_put_it_aside(
    message: Message, matters: bool
) -> None:
    assert message.matters is matters


def test_an_integration_without_labels_or_messages_has_empty_ones() -> None:
    plain = Integration("mrn", "name", "ACTIVE", "t", "c")
    assert plain.labels == {}
    assert plain.messages == ()


async def test_times_that_never_happened_are_none_and_nanoseconds_are_read(
    client: MondooClient, simulators: Simulators, space: str
) -> None:
    shown = {
        "mrn": "mrn",
        "name": "name",
        "status": "ACTIVE",
        "created": "2026-11-24T12:00:00.123456789Z",
        "lastModified": "0001-01-01T00:00:00Z",
        "scanJobStarted": "",
        "scanJobFinished": None,
        "messages": [
            {
                "message": "m",
                "status": "INFO",
                "identifier": "i",
                "timestamp": "2026-11-24T13:00:00+01:00",
                "suppressedByUser": False,
            }
        ],
        "labels": [{"key": "k", "value": None}],
        "configurationOptions": None,
    }
    body = {"data": {"clientIntegration": {"integration": shown}}}
    fault = Fault("mondoo", status=200, body=json.dumps(body).encode())
    simulators.run(simulators.faults.add, fault)
    seen = await integrations.read(client, "mrn")
    assert seen.created is not None
    assert seen.created.microsecond // 1000 == 123
    assert (seen.last_modified, seen.scan_started, seen.scan_finished) == (None, None, None)
    assert seen.labels == {"k": ""}
    assert seen.tenant_id == ""
