"""The simulated Exchange Online: what an application needs before a cmdlet answers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from local.simulators import Simulators
from local.simulators.catalogue import EXCHANGE, GLOBAL_READER
from local.simulators.faults import Fault
from local.simulators.objects import RoleAssignment
from tests.local.simulators.callers import bearer, web
from tests.local.simulators.scanned_tenant import Scannable, add_scannable

CMDLET = {"CmdletInput": {"CmdletName": "Get-OrganizationConfig", "Parameters": {}}}


async def invoke(
    target: Scannable, token: str | None = None, body: Any = None, tenant: str | None = None
) -> httpx.Response:
    url = target.simulators.urls["exchange"]
    headers = bearer(token if token is not None else target.token(url))
    async with web(target.simulators) as client:
        return await client.post(
            f"{url}/adminapi/beta/{tenant or target.tenant.id}/InvokeCommand",
            json=CMDLET if body is None else body,
            headers=headers,
        )


async def test_permission_and_role_together_let_the_application_in(
    simulators: Simulators,
) -> None:
    target = add_scannable(simulators)
    answer = await invoke(target)
    assert answer.status_code == 200
    assert answer.json()["value"][0]["Name"] == target.tenant.initial_domain


async def test_the_permission_alone_is_not_enough(simulators: Simulators) -> None:
    target = add_scannable(simulators, global_reader=False)
    answer = await invoke(target)
    assert answer.status_code == 403
    assert answer.json()["error"]["message"].startswith(
        f"The role assigned to application {target.app.app_id} isn't supported in this scenario."
    )


async def test_the_role_alone_is_not_enough(simulators: Simulators) -> None:
    target = add_scannable(simulators, granted=())
    answer = await invoke(target)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "Forbidden")


async def test_a_role_counts_once_exchange_has_heard_of_it(simulators: Simulators) -> None:
    target = add_scannable(simulators, global_reader=False)

    def assign() -> None:
        assignment = RoleAssignment(
            "late",
            target.principal.id,
            target.tenant.definition_id(GLOBAL_READER),
            effective_at=target.tenant.due(120.0),
        )
        target.tenant.role_assignments[assignment.id] = assignment

    simulators.run(assign)
    assert (await invoke(target)).status_code == 403
    simulators.run(simulators.clock.advance, 121.0)
    assert (await invoke(target)).status_code == 200


async def test_only_a_token_for_exchange_and_this_tenant_is_taken(simulators: Simulators) -> None:
    target, other = add_scannable(simulators), add_scannable(simulators)
    assert (await invoke(target, "x")).status_code == 401
    assert (await invoke(target, target.token(simulators.urls["graph"]))).status_code == 401
    url = simulators.urls["exchange"]
    assert (await invoke(target, other.token(url))).status_code == 401
    answer = await invoke(target, tenant=target.tenant.initial_domain)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"CmdletInput": {"CmdletName": "Remove-Mailbox", "Parameters": {}}},
        {"CmdletInput": {"CmdletName": "Get-OrganizationConfig", "Parameters": {"X": 1}}},
    ],
)
async def test_other_commands_are_not_known(simulators: Simulators, body: Any) -> None:
    answer = await invoke(add_scannable(simulators), body=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")


async def test_faults_strike_by_cmdlet_and_tenant(simulators: Simulators) -> None:
    target = add_scannable(simulators)
    simulators.faults.add(
        Fault(
            "exchange",
            "InvokeCommand Get-OrganizationConfig",
            tenant=target.tenant.id,
            status=429,
            code="TooManyRequests",
            message="slow down",
            headers={"Retry-After": "3"},
        )
    )
    answer = await invoke(target)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    assert answer.json() == {"error": {"code": "TooManyRequests", "message": "slow down"}}
    assert (await invoke(target)).status_code == 200
    calls = simulators.journal.select("exchange", tenant=target.tenant.id)
    assert [(call.caller, call.write) for call in calls] == [(target.app.app_id, False)] * 2


async def test_a_tenant_without_exchange_is_given_no_token(simulators: Simulators) -> None:
    target = add_scannable(simulators, services=())
    assert target.tenant.service_principal_by_app_id(EXCHANGE) is None
    with pytest.raises(Exception, match="AADSTS500011"):
        target.token(simulators.urls["exchange"])
