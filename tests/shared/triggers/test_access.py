"""Who is let through when the platform's authentication stands in front."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import azure.functions as func
import httpx
import pytest

from local.stack import LocalStack
from shared.config import load_settings
from shared.triggers.access import OPEN_ROUTES, Gate, auth_level
from shared.triggers.problems import answering

HOME = "6f2c7a4e-1111-4222-8333-9a1b2c3d4e5f"
CALLER = "0d1e2f3a-4444-4555-8666-7b8c9d0e1f2a"
SETTINGS = {
    "HOME_TENANT_ID": HOME,
    "KEY_VAULT_URL": "https://onboarding.vault.azure.net",
    "TENANT_RECORDS": "https://onboarding.table.core.windows.net",
    "AUTHENTICATION": "entra",
    "WEBSITE_AUTH_ENABLED": "True",
}
ROLE_TYPE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


def principal(*roles: str, tenant: str = HOME, kind: str = "aad", role_type: str = "roles") -> str:
    claims = [{"typ": "oid", "val": CALLER}, {"typ": "tid", "val": tenant}]
    claims += [{"typ": role_type, "val": role} for role in roles]
    told = {"auth_typ": kind, "name_typ": "name", "role_typ": ROLE_TYPE, "claims": claims}
    return base64.b64encode(json.dumps(told).encode()).decode()


def headers(described: str) -> dict[str, str]:
    return {
        "X-MS-CLIENT-PRINCIPAL": described,
        "X-MS-CLIENT-PRINCIPAL-ID": CALLER,
        "X-MS-CLIENT-PRINCIPAL-IDP": "aad",
    }


def asked(
    given: Mapping[str, str], *, changes: bool, settings: Mapping[str, str] = SETTINGS
) -> tuple[int, str]:
    """Status and code of the answer to a request with these headers."""
    gate = Gate(load_settings(settings))
    admit = gate.changes if changes else gate.reads

    @answering
    @admit
    async def handler(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(b'{"code": "done"}')

    request = func.HttpRequest(method="POST", url="/api/x", headers=dict(given), body=b"")
    answer = asyncio.run(handler(req=request))
    return answer.status_code, json.loads(answer.get_body())["code"]


@pytest.mark.parametrize("role_type", ["roles", ROLE_TYPE])
def test_an_operator_may_do_everything(role_type: str) -> None:
    given = headers(principal("Operator", role_type=role_type))
    assert asked(given, changes=True) == (200, "done")
    assert asked(given, changes=False) == (200, "done")


def test_a_reader_may_look_and_change_nothing() -> None:
    given = headers(principal("Reader"))
    assert asked(given, changes=False) == (200, "done")
    assert asked(given, changes=True) == (403, "role_insufficient")


@pytest.mark.parametrize("roles", [(), ("Owner",), ("operator",), ("Operator ",)])
@pytest.mark.parametrize("changes", [True, False])
def test_without_one_of_our_roles_nothing_is_allowed(roles: tuple[str, ...], changes: bool) -> None:
    assert asked(headers(principal(*roles)), changes=changes) == (403, "role_missing")


def test_without_a_principal_nobody_is_let_in() -> None:
    assert asked({}, changes=False) == (401, "not_signed_in")
    alone = {"X-MS-CLIENT-PRINCIPAL-NAME": "root", "X-MS-CLIENT-PRINCIPAL-ID": CALLER}
    assert asked(alone, changes=False) == (401, "not_signed_in")


def test_a_perfect_header_is_not_believed_while_the_platform_does_not_stand_in_front() -> None:
    off = {**SETTINGS, "WEBSITE_AUTH_ENABLED": "False"}
    unset = {name: value for name, value in SETTINGS.items() if name != "WEBSITE_AUTH_ENABLED"}
    for settings in (off, unset):
        answer = asked(headers(principal("Operator")), changes=False, settings=settings)
        assert answer == (401, "authentication_not_in_front")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"X-MS-CLIENT-PRINCIPAL-ID": ""}, "principal_not_from_platform"),
        ({"X-MS-CLIENT-PRINCIPAL-ID": "another"}, "principal_not_from_platform"),
        ({"X-MS-CLIENT-PRINCIPAL-IDP": "github"}, "principal_not_from_platform"),
        (
            {"X-MS-CLIENT-PRINCIPAL": principal("Operator", kind="github")},
            "principal_not_from_platform",
        ),
        (
            {"X-MS-CLIENT-PRINCIPAL": principal("Operator", tenant=str(uuid4()))},
            "principal_of_another_tenant",
        ),
        ({"X-MS-CLIENT-PRINCIPAL": "not base64!"}, "principal_unreadable"),
        ({"X-MS-CLIENT-PRINCIPAL": "e30="}, "principal_unreadable"),
        ({"X-MS-CLIENT-PRINCIPAL": "/////w=="}, "principal_unreadable"),
        (
            {"X-MS-CLIENT-PRINCIPAL": f"{principal('Operator')},{principal('Operator')}"},
            "principal_unreadable",
        ),
    ],
)
def test_a_description_that_does_not_fit_is_refused(change: dict[str, str], code: str) -> None:
    given = {**headers(principal("Operator")), **change}
    assert asked(given, changes=False) == (401, code)


def test_with_keys_the_host_asks_and_the_gate_does_not() -> None:
    keys = {**SETTINGS, "AUTHENTICATION": "keys"}
    assert auth_level(load_settings(keys)) is func.AuthLevel.FUNCTION
    assert auth_level(load_settings(SETTINGS)) is func.AuthLevel.ANONYMOUS
    assert asked({}, changes=True, settings=keys) == (200, "done")


@pytest.fixture(scope="module")
def guarded(stack: LocalStack) -> Iterator[LocalStack]:
    """The whole app behind the platform's authentication, keys asked for as in the cloud.

    The shared stack is asked for so that this one starts later and stops earlier: the endpoint of
    the managed identity is in the environment of the process, and each puts back what it found.
    """
    settings = {"AUTHENTICATION": "entra", "WEBSITE_AUTH_ENABLED": "True"}
    with LocalStack(auth=True, settings=settings) as running:
        yield running


READS = {
    "POST plan",
    "GET tenants",
    "GET tenants/{tenant}",
    "GET tenants/{tenant}/report",
    "GET operations",
    "GET operations/{id}",
    "GET overview",
    "GET permissions",
    "GET openapi.json",
    "GET policies",
    "GET report",
    "GET audit",
    "GET batches/{id}",
    "GET events",
    "GET partner-center/report",
}
"""What a Reader may do: all of it only looks. A consent link is not on it: it starts something."""


def routes(stack: LocalStack) -> list[tuple[str, str, str]]:
    """What is told of it, method and path of every HTTP function that is not open by design."""
    found = []
    for function in stack.host.functions:
        if function.route is None:
            continue
        template = function.route.template.removeprefix("api/")
        if template in OPEN_ROUTES:
            continue
        path = f"/api/{template}".replace("{", "").replace("}", "")
        found += [(f"{method} {template}", method, path) for method in function.route.methods]
    return found


def answers(stack: LocalStack, given: Mapping[str, str]) -> dict[str, tuple[int, str]]:
    """Status and code of every route that is not open, asked with these headers."""
    told = {}
    with httpx.Client(base_url=stack.host.url, headers=given) as client:
        for name, method, path in routes(stack):
            answer = client.request(method, path)
            code = answer.json().get("code", "") if answer.content else ""
            told[name] = (answer.status_code, code)
    assert len(told) > 20
    return told


def everywhere(told: dict[str, tuple[int, str]], status: int, code: str) -> bool:
    """Whether each route answered just this; what differs is printed."""
    differs = {name: answer for name, answer in told.items() if answer != (status, code)}
    print(differs)
    return not differs


def test_every_route_but_the_open_ones_asks_who_calls(guarded: LocalStack) -> None:
    assert everywhere(answers(guarded, {}), 401, "not_signed_in")


def test_every_route_refuses_a_description_that_only_looks_like_the_platforms(
    guarded: LocalStack,
) -> None:
    """Without the headers that the platform sets beside it, whatever it says."""
    home = guarded.settings["HOME_TENANT_ID"]
    forged = {"X-MS-CLIENT-PRINCIPAL": principal("Operator", tenant=home)}
    assert everywhere(answers(guarded, forged), 401, "principal_not_from_platform")


def test_every_route_refuses_who_has_none_of_our_roles(guarded: LocalStack) -> None:
    home = guarded.settings["HOME_TENANT_ID"]
    given = headers(principal("User", "Administrator", tenant=home))
    assert everywhere(answers(guarded, given), 403, "role_missing")


def test_a_reader_may_look_and_is_refused_at_every_other_route(guarded: LocalStack) -> None:
    home = guarded.settings["HOME_TENANT_ID"]
    told = answers(guarded, headers(principal("Reader", tenant=home)))
    assert set(told) >= READS
    changing = {name: answer for name, answer in told.items() if name not in READS}
    assert everywhere(changing, 403, "role_insufficient"), "not in READS, and open to a Reader"
    assert [name for name in READS if told[name][0] in (401, 403)] == []


def test_an_operator_is_refused_nowhere(guarded: LocalStack) -> None:
    """The tenant does not exist, so nothing is started."""
    home = guarded.settings["HOME_TENANT_ID"]
    told = answers(guarded, headers(principal("Operator", tenant=home)))
    assert [name for name, (status, _) in told.items() if status in (401, 403)] == []


def test_no_route_believes_a_perfect_header_while_the_platform_is_not_in_front(
    guarded: LocalStack,
) -> None:
    with LocalStack(auth=True, settings={"AUTHENTICATION": "entra"}) as bare:
        home = bare.settings["HOME_TENANT_ID"]
        told = answers(bare, headers(principal("Operator", tenant=home)))
    assert everywhere(told, 401, "authentication_not_in_front")


def test_with_keys_every_route_but_the_open_ones_asks_for_one(guarded: LocalStack) -> None:
    with LocalStack(auth=True) as keyed:
        told = answers(keyed, headers(principal("Operator", tenant=HOME)))
    assert {status for status, _ in told.values()} == {401}


def test_health_stays_open(guarded: LocalStack) -> None:
    assert httpx.get(f"{guarded.host.url}/api/health").status_code == 200


def test_every_route_that_the_host_leaves_open_is_on_the_list(stack: LocalStack) -> None:
    """With keys, whatever the host does not ask a key for must be open by design."""
    for function in stack.host.functions:
        if function.route is not None and function.auth_level == "anonymous":
            route: Any = function.route.template.removeprefix("api/")
            assert route in OPEN_ROUTES
