"""The simulated SharePoint admin sites: who may read the title, and in which form."""

from __future__ import annotations

import httpx

from local.simulators import Simulators
from tests.local.simulators.callers import bearer, web
from tests.local.simulators.scanned_tenant import Scannable, add_scannable

PLAIN = "application/json;odata=nometadata"


def site_of(target: Scannable) -> str:
    return f"{target.simulators.urls['sharepoint']}/{target.tenant.name}"


async def read(
    target: Scannable,
    token: str | None = None,
    *,
    site: str | None = None,
    accept: str = PLAIN,
    select: str = "Title",
) -> httpx.Response:
    token = token if token is not None else target.token(site_of(target))
    async with web(target.simulators) as client:
        return await client.get(
            f"{site or site_of(target)}/_api/web",
            params={"$select": select},
            headers=bearer(token) | {"Accept": accept},
        )


async def test_the_title_is_given_to_an_application_with_full_control(
    simulators: Simulators,
) -> None:
    target = add_scannable(simulators)
    plain = await read(target)
    assert (plain.status_code, list(plain.json())) == (200, ["Title"])
    wrapped = await read(target, accept="application/json;odata=verbose")
    assert wrapped.json() == {"d": plain.json()}


async def test_the_permission_is_needed(simulators: Simulators) -> None:
    target = add_scannable(simulators, granted={"exchange"})
    answer = await read(target)
    assert answer.status_code == 403
    assert "UnauthorizedAccessException" in answer.json()["odata.error"]["code"]


async def test_a_token_that_was_got_with_a_secret_is_an_unsupported_app_only_token(
    simulators: Simulators,
) -> None:
    target = add_scannable(simulators)
    token = target.altered_token(site_of(target), appidacr="1")
    answer = await read(target, token)
    assert answer.status_code == 401
    assert answer.json()["error_description"] == "Unsupported app only token."
    assert "Unsupported app only token." in answer.headers["WWW-Authenticate"]


async def test_each_site_takes_tokens_of_its_own_only(simulators: Simulators) -> None:
    target, other = add_scannable(simulators), add_scannable(simulators)
    assert (await read(target, site=site_of(other))).status_code == 401
    assert (await read(target, other.token(site_of(other)))).status_code == 401
    assert (await read(target, target.token(simulators.urls["graph"]))).status_code == 401


async def test_a_name_that_is_nobodys_is_not_found(simulators: Simulators) -> None:
    target = add_scannable(simulators)
    answer = await read(target, site=f"{simulators.urls['sharepoint']}/nobody")
    assert answer.status_code == 404


async def test_an_unknown_field_is_a_bad_query(simulators: Simulators) -> None:
    answer = await read(add_scannable(simulators), select="Title,Nothing")
    assert answer.status_code == 400
    assert "Nothing" in answer.json()["odata.error"]["message"]["value"]
