"""The later life of a certificate: taken in, switched off, deleted, purged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from azure.keyvault.certificates import CertificatePolicy
from azure.keyvault.certificates.aio import CertificateClient

from local.simulators import Simulators
from shared.azure_transport import client_options
from shared.certificates import make_bundle, read_bundle
from shared.config import Settings
from shared.entra.identity import Identity
from shared.errors import Refused
from shared.vault import lifecycle
from shared.vault.certificates import Vault, certificate_name


@pytest.fixture
async def vault(settings: Settings, identity: Identity) -> AsyncIterator[Vault]:
    """The product's view of the vault."""
    ours = Vault(settings, identity.own_credential())
    yield ours
    await ours.aclose()


@pytest.fixture
def tenant() -> str:
    return str(uuid4())


@pytest.fixture
def name(tenant: str) -> str:
    return certificate_name("mondoo-ms365", tenant)


async def test_a_key_pair_of_somebody_is_taken_in_as_a_new_version_with_our_mark(
    vault: Vault, name: str, tenant: str
) -> None:
    now = datetime.now(UTC)
    for _ in range(2):
        bundle = make_bundle("theirs", 20, now)
        reference = await vault.take_in(name, bundle, tenant_id=tenant)
        assert reference.thumbprint == bundle.thumbprint
        assert read_bundle(await vault.pem(reference), now=now).key_pem == bundle.key_pem
    stored = await vault.read(name)
    assert stored is not None
    assert (stored.marked, stored.reference) == (True, reference)


async def test_a_name_that_somebody_elses_certificate_holds_is_not_taken(
    vault: Vault, name: str, tenant: str, settings: Settings, identity: Identity
) -> None:
    async with CertificateClient(
        settings.key_vault_url,
        identity.own_credential(),
        verify_challenge_resource=False,
        **client_options(settings),
    ) as somebody:
        policy = CertificatePolicy("Self", subject="CN=somebody", validity_in_months=12)
        await somebody.create_certificate(name, policy)
    with pytest.raises(Refused) as refused:
        await vault.take_in(name, make_bundle("x", 20, datetime.now(UTC)), tenant_id=tenant)
    assert refused.value.code == "vault_name_taken"


async def test_a_version_that_is_switched_off_cannot_be_read_and_the_others_can(
    vault: Vault, name: str, tenant: str
) -> None:
    old = await vault.issue(name, days=90, tenant_id=tenant)
    new = await vault.issue(name, days=90, tenant_id=tenant)
    for _ in range(2):
        assert await lifecycle.disable(vault, old)
    with pytest.raises(Refused) as refused:
        await vault.pem(old)
    assert refused.value.code == "vault_disabled"
    assert "PRIVATE KEY" in await vault.pem(new)


async def test_there_is_nothing_to_switch_off_in_a_vault_without_it(
    vault: Vault, name: str, tenant: str
) -> None:
    reference = await vault.issue(name, days=90, tenant_id=tenant)
    await lifecycle.delete(vault, name)
    assert not await lifecycle.disable(vault, reference)


async def test_a_deletion_is_soft_and_may_be_repeated_and_a_purge_is_for_good(
    vault: Vault, name: str, tenant: str
) -> None:
    await vault.issue(name, days=90, tenant_id=tenant)
    for _ in range(2):
        await lifecycle.delete(vault, name)
    deleted = await lifecycle.read_deleted(vault, name)
    assert deleted is not None
    assert (deleted.marked, deleted.purgeable) == (True, True)
    assert deleted.purged_at is not None
    for _ in range(2):
        await lifecycle.purge(vault, name)
    assert await lifecycle.read_deleted(vault, name) is None


async def test_purge_protection_is_seen_before_it_refuses(
    vault: Vault, name: str, tenant: str, simulators: Simulators
) -> None:
    await vault.issue(name, days=90, tenant_id=tenant)
    simulators.vault.purge_protection = True
    try:
        await lifecycle.delete(vault, name)
        deleted = await lifecycle.read_deleted(vault, name)
        assert deleted is not None
        assert not deleted.purgeable
        with pytest.raises(Refused):
            await lifecycle.purge(vault, name)
    finally:
        simulators.vault.purge_protection = False
