"""From what an operator types to a tenant id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.simulators import Simulators
from local.simulators.faults import Fault
from local.simulators.tenant import SimulatedTenant
from shared.config import Settings
from shared.entra.tenants import parse_tenant, resolve_tenant
from shared.errors import InvalidRequest, NotFound, NotYet, Refused

ID = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
METADATA = "GET /{tenant}/v2.0/.well-known/openid-configuration"


@pytest.mark.parametrize(
    "text",
    [
        ID,
        ID.upper(),
        "{8A1F0C4E-5F0B-4B9A-8D6B-3D7F0B6F2C77}",
        f"  {ID}\n",
        ID.replace("-", ""),
        f"{{{ID.replace('-', '').upper()}}}",
    ],
)
def test_case_c10_a_tenant_id_is_read_in_every_spelling(text: str) -> None:
    assert parse_tenant(text) == ID


@given(st.uuids(), st.sampled_from([str, lambda u: u.hex, lambda u: f"{{{u}}}".upper()]))
def test_every_guid_becomes_lower_case_with_hyphens(
    value: UUID, spelling: Callable[[UUID], str]
) -> None:
    assert parse_tenant(spelling(value)) == str(value)


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("fabrikam.example", "fabrikam.example"),
        ("fabrikam.onmicrosoft.us", "fabrikam.onmicrosoft.us"),
        ("FABRIKAM.onmicrosoft.com", "fabrikam.onmicrosoft.com"),
        ("müller.example", "xn--mller-kva.example"),
        (" a-b.co ", "a-b.co"),
    ],
)
def test_case_c12_any_domain_is_taken(text: str, domain: str) -> None:
    assert parse_tenant(text) == domain


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "common",
        "Organizations",
        "consumers",
        "fabrikam",
        "fabrikam.example/..",
        "a b.example",
        "-a.example",
        "a..example",
        "a.example?x=y",
        "https://fabrikam.example",
        "user@fabrikam.example",
        ID[:-1],
        "x" * 64 + ".example",
        ".".join(["abcdefgh"] * 30),
    ],
)
def test_case_c12_what_cannot_be_a_tenant_is_refused_by_field(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_tenant(text)
    assert refused.value.field == "tenant"
    assert refused.value.status == 400
    assert "tenant id" in refused.value.remediation


@given(st.text(max_size=80))
def test_whatever_is_typed_becomes_a_safe_path_segment_or_is_refused(text: str) -> None:
    try:
        name = parse_tenant(text)
    except InvalidRequest:
        return
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
    assert ".." not in name


async def test_a_domain_and_an_id_mean_the_same_tenant(
    settings: Settings, http: httpx.AsyncClient, tenant: SimulatedTenant
) -> None:
    assert await resolve_tenant(settings, http, tenant.initial_domain.upper()) == tenant.id
    assert await resolve_tenant(settings, http, f"{{{tenant.id.upper()}}}") == tenant.id


async def test_case_c12_a_vanity_domain_is_resolved(
    settings: Settings, http: httpx.AsyncClient, simulators: Simulators
) -> None:
    tenant = simulators.run(simulators.world.add_tenant, f"v{uuid4().hex[:10]}.example")
    assert await resolve_tenant(settings, http, tenant.default_domain) == tenant.id


@pytest.mark.parametrize("name", ["00000000-1111-4222-8333-444444444444", "nobody.onmicrosoft.com"])
async def test_a_tenant_that_does_not_exist_is_not_found(
    name: str, settings: Settings, http: httpx.AsyncClient
) -> None:
    with pytest.raises(NotFound, match="tenant_not_found") as missing:
        await resolve_tenant(settings, http, name)
    assert missing.value.field == "tenant"


@pytest.mark.parametrize("status", [429, 503])
async def test_a_login_host_in_trouble_is_waited_for(
    status: int, settings: Settings, http: httpx.AsyncClient, simulators: Simulators
) -> None:
    fault = Fault("entra", METADATA, status=status, headers={"Retry-After": "7"})
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(NotYet) as wait:
        await resolve_tenant(settings, http, ID)
    assert wait.value.retry_after == 7


async def test_a_login_host_that_cannot_be_reached_is_waited_for(
    settings: Settings, http: httpx.AsyncClient
) -> None:
    away = msgspec.structs.replace(settings.cloud, login="https://127.0.0.1:9")
    with pytest.raises(NotYet, match="service_unreachable"):
        await resolve_tenant(replace(settings, cloud=away), http, ID)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html>proxy</html>", Refused),
        (200, b'{"token_endpoint": "https://login/common/oauth2/v2.0/token"}', Refused),
        (403, b"", Refused),
        (400, b'{"error": "invalid_request", "error_codes": [900023]}', InvalidRequest),
        (400, b'{"error": "invalid_tenant", "error_codes": [90002]}', NotFound),
    ],
)
async def test_every_answer_of_the_login_host_has_a_meaning(
    status: int,
    body: bytes,
    error: type[Exception],
    settings: Settings,
    http: httpx.AsyncClient,
    simulators: Simulators,
) -> None:
    simulators.run(simulators.faults.add, Fault("entra", METADATA, status=status, body=body))
    with pytest.raises(error):
        await resolve_tenant(settings, http, ID)
