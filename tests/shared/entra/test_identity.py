"""Who we are in a tenant: four kinds, one family of errors."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest

from local.simulators import Simulators
from local.simulators.faults import Fault
from local.simulators.tenant import SimulatedTenant, new_id
from shared.config import IdentityKind, Settings
from shared.entra.graph import roles_of
from shared.entra.identity import Identity, certificate_credential
from shared.errors import NotYet, Refused, Unusable
from tests.shared.entra.certificates import pair

TOKEN = "POST /{tenant}/oauth2/v2.0/token"


def claims(token: str) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return decoded


@pytest.fixture
def graph_scope(settings: Settings) -> str:
    return f"{settings.cloud.graph}/.default"


@pytest.fixture
async def identity_of(
    settings: Settings,
) -> AsyncIterator[Callable[..., Identity]]:
    made: list[Identity] = []

    def make(kind: IdentityKind, **kwargs: Any) -> Identity:
        made.append(Identity(replace(settings, identity=kind), **kwargs))
        return made[-1]

    yield make
    for identity in made:
        await identity.aclose()


async def test_federated_we_are_the_onboarding_application_in_every_tenant(
    identity: Identity,
    add_tenant: Callable[..., SimulatedTenant],
    simulators: Simulators,
    graph_scope: str,
) -> None:
    for tenant in (add_tenant(), add_tenant()):
        token = claims((await identity.credential_for(tenant.id).get_token(graph_scope)).token)
        assert token["tid"] == tenant.id
        assert token["appid"] == simulators.world.home_app.app_id


async def test_a_tenants_credential_is_kept_and_so_are_its_tokens(
    identity: Identity, tenant: SimulatedTenant, graph_scope: str
) -> None:
    credential = identity.credential_for(tenant.id)
    assert identity.credential_for(tenant.id) is credential
    first = await credential.get_token(graph_scope)
    assert (await credential.get_token(graph_scope)).token == first.token
    assert (await credential.get_token_info(graph_scope)).token == first.token
    await identity.forget(tenant.id)
    assert (await credential.get_token(graph_scope)).token != first.token


async def test_the_managed_identity_vouches_for_us_in_every_tenant_with_one_token(
    identity: Identity,
    add_tenant: Callable[..., SimulatedTenant],
    simulators: Simulators,
    graph_scope: str,
) -> None:
    before = len(simulators.journal.select("managed-identity"))
    for tenant in (add_tenant(), add_tenant(), add_tenant()):
        await identity.credential_for(tenant.id).get_token(graph_scope)
        await identity.forget(tenant.id)
        await identity.credential_for(tenant.id).get_token(graph_scope)
    assert len(simulators.journal.select("managed-identity")) - before == 1


async def test_forgetting_a_tenant_that_was_never_met_does_nothing(identity: Identity) -> None:
    await identity.forget(new_id())


async def test_towards_our_own_resources_we_are_the_managed_identity(
    identity: Identity, simulators: Simulators
) -> None:
    token = await identity.own_credential().get_token("https://vault.azure.net/.default")
    assert claims(token.token)["oid"] == simulators.world.managed_identity.id


async def test_a_managed_identity_acts_in_our_own_tenant_only(
    identity_of: Callable[..., Identity],
    simulators: Simulators,
    tenant: SimulatedTenant,
    graph_scope: str,
) -> None:
    identity = identity_of(IdentityKind.MANAGED_IDENTITY)
    home = identity.credential_for(simulators.world.home.id)
    assert roles_of((await home.get_token(graph_scope)).token)
    with pytest.raises(Refused, match="identity_own_tenant_only") as refused:
        identity.credential_for(tenant.id)
    assert "federated" in refused.value.remediation


async def test_with_a_certificate_we_sign_in_as_the_same_application(
    identity_of: Callable[..., Identity],
    simulators: Simulators,
    tenant: SimulatedTenant,
    graph_scope: str,
) -> None:
    ours = pair("onboarding")
    simulators.run(simulators.world.add_home_certificate, ours.certificate)
    reads = 0

    async def read() -> str:
        nonlocal reads
        reads += 1
        return ours.pem

    credential = identity_of(IdentityKind.CERTIFICATE, certificate=read).credential_for(tenant.id)
    token = await credential.get_token(graph_scope)
    assert claims(token.token)["appid"] == simulators.world.home_app.app_id
    await credential.get_token(graph_scope)
    assert reads == 1


async def test_after_a_certificate_was_replaced_it_is_read_again(
    identity_of: Callable[..., Identity],
    simulators: Simulators,
    tenant: SimulatedTenant,
    graph_scope: str,
) -> None:
    old, new = pair("retired"), pair("current", key=1)
    simulators.run(simulators.world.add_home_certificate, new.certificate)
    answers = iter([old.pem, new.pem])

    async def read() -> str:
        return next(answers)

    credential = identity_of(IdentityKind.CERTIFICATE, certificate=read).credential_for(tenant.id)
    with pytest.raises(Refused, match="certificate_not_registered"):
        await credential.get_token(graph_scope)
    assert (await credential.get_token(graph_scope)).token


async def test_a_certificate_kind_without_a_certificate_is_refused(
    identity_of: Callable[..., Identity], tenant: SimulatedTenant, graph_scope: str
) -> None:
    credential = identity_of(IdentityKind.CERTIFICATE).credential_for(tenant.id)
    with pytest.raises(Refused, match="identity_certificate_unreadable"):
        await credential.get_token(graph_scope)


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "not a pem",
        pair().pem.replace("PRIVATE", "PUBLIC"),
        pair().pem.split("-----BEGIN CERTIFICATE")[0],
    ],
)
def test_a_pem_that_cannot_sign_is_refused_without_showing_it(pem: str) -> None:
    with pytest.raises(Unusable, match="certificate_unusable") as refused:
        certificate_credential(new_id(), new_id(), pem, {})
    assert refused.value.__cause__ is None
    assert "BEGIN" not in str(refused.value)


async def test_as_a_developer_we_are_who_ran_az_login(
    identity_of: Callable[..., Identity],
    tenant: SimulatedTenant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = tmp_path / "calls"
    answer = {"accessToken": "a-token", "expiresOn": "2099-01-01 00:00:00.000000"}
    az = tmp_path / "az"
    az.write_text(f"#!/bin/sh\necho \"$@\" >> {calls}\necho '{json.dumps(answer)}'\n")
    az.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    identity = identity_of(IdentityKind.AZURE_CLI)
    token = await identity.credential_for(tenant.id).get_token("https://graph/.default")
    assert token.token == "a-token"
    assert tenant.id in calls.read_text()
    assert (await identity.own_credential().get_token("https://vault/.default")).token


async def test_a_developer_who_did_not_sign_in_is_told_to(
    identity_of: Callable[..., Identity],
    tenant: SimulatedTenant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    credential = identity_of(IdentityKind.AZURE_CLI).credential_for(tenant.id)
    with pytest.raises(Refused, match="identity_unavailable") as refused:
        await credential.get_token("https://graph/.default")
    assert "az login" in refused.value.remediation


# --- what goes wrong -----------------------------------------------------------------------------


async def test_a_tenant_that_has_not_consented_is_refused_with_advice(
    identity: Identity, add_tenant: Callable[..., SimulatedTenant], graph_scope: str
) -> None:
    tenant = add_tenant(consented=False)
    with pytest.raises(Refused, match="application_not_in_tenant") as refused:
        await identity.credential_for(tenant.id).get_token(graph_scope)
    assert "consent" in refused.value.remediation
    assert refused.value.tenant_id == tenant.id
    assert refused.value.request_id


async def test_case_d13_our_application_disabled_in_a_tenant_is_said_so(
    identity: Identity, tenant: SimulatedTenant, simulators: Simulators, graph_scope: str
) -> None:
    ours = tenant.service_principal_by_app_id(simulators.world.home_app.app_id)
    assert ours is not None
    simulators.run(setattr, ours, "enabled", False)
    with pytest.raises(Refused, match="application_disabled"):
        await identity.credential_for(tenant.id).get_token(graph_scope)


async def test_a_federated_credential_for_someone_else_is_waited_for_and_described(
    identity: Identity, tenant: SimulatedTenant, simulators: Simulators, graph_scope: str
) -> None:
    credentials = simulators.world.home_app.federated_credentials
    (known,) = credentials.values()
    right = known.subject
    simulators.run(setattr, known, "subject", new_id())
    try:
        with pytest.raises(NotYet, match="federated_credential_not_found") as wait:
            await identity.credential_for(tenant.id).get_token(graph_scope)
    finally:
        simulators.run(setattr, known, "subject", right)
    assert simulators.world.managed_identity.id in wait.value.message


async def test_an_outage_of_the_sign_in_host_is_waited_for(
    identity: Identity, tenant: SimulatedTenant, simulators: Simulators, graph_scope: str
) -> None:
    fault = Fault("entra", TOKEN, tenant=tenant.id, times=None, status=503)
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(NotYet, match="sign_in_unavailable"):
        await identity.credential_for(tenant.id).get_token(graph_scope)


async def test_a_page_in_the_place_of_a_token_is_no_token(
    identity: Identity, tenant: SimulatedTenant, simulators: Simulators, graph_scope: str
) -> None:
    page = b"<html>Please log in to the proxy</html>"
    fault = Fault("entra", TOKEN, tenant=tenant.id, times=None, status=200, body=page)
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(Refused):
        await identity.credential_for(tenant.id).get_token(graph_scope)


async def test_a_dropped_sign_in_is_waited_for(
    identity: Identity, tenant: SimulatedTenant, simulators: Simulators, graph_scope: str
) -> None:
    fault = Fault("entra", TOKEN, tenant=tenant.id, times=None, drop="before")
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(NotYet, match="sign_in_unavailable"):
        await identity.credential_for(tenant.id).get_token(graph_scope)


async def test_without_a_managed_identity_it_is_said_what_to_do(
    identity: Identity, simulators: Simulators
) -> None:
    fault = Fault("managed-identity", times=None, status=400, message="Identity not found")
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(Refused):
        await identity.own_credential().get_token("https://vault.azure.net/.default")
