"""The administrator's own certificate through its whole life, in our vault and in another one, and
under a policy that demands a certificate authority."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography import x509

from local.simulators.objects import Lag
from local.simulators.picture import picture
from local.simulators.tenant import SimulatedTenant
from local.simulators.vault import CERTIFICATE_USER, READER, OtherVaultService, VaultService
from local.stack import LocalStack
from shared.audit.comparison import compare
from shared.audit.observation import observe
from shared.errors import Refused
from shared.manifest import load_manifest
from shared.models import Fate, ObjectKind
from shared.rotation import start as rotation_start
from tests.driving import Watch, outcomes, step
from tests.shared.entra.certificates import pair
from tests.shared.lives import SHORT, Life


@pytest.fixture
async def life(stack: LocalStack) -> object:
    """A life with an overlap of a minute, which an operation waits out itself."""
    one = Life(stack, {"ROTATION_OVERLAP_HOURS": "0.0166"})
    yield one
    await one.aclose()
    stack.simulators.run(stack.simulators.faults.clear)


@pytest.fixture
def theirs(life: Life) -> Iterator[OtherVaultService]:
    """The administrators' own vault, in which our identity may read certificates."""
    vault, ours = life.simulators.other_vault, life.simulators.world.managed_identity.id
    vault.roles_of[ours] = {CERTIFICATE_USER}
    yield vault
    vault.roles_of.clear()


ALWAYS = ("manifest_outdated", "not_checked")
"""What every audit of a tenant tells that was onboarded with the default list and usual rights."""


def put(life: Life, vault: VaultService, name: str, *, days: float = 90) -> str:
    """A new version by the administrator's hand; its thumbprint."""
    made = pair(name, days=days)
    life.simulators.run(vault.put_certificate, name, made.pem)
    return made.thumbprint


def registered(tenant: SimulatedTenant) -> list[str]:
    ours = tenant.application_by_unique_name("mondoo-ms365")
    assert ours is not None
    return [each.sha1.hex().upper() for each in ours.key_credentials]


async def findings(life: Life, tenant: SimulatedTenant) -> list[str]:
    """The codes of an audit at this moment."""
    record = await life.record(tenant)
    manifest = load_manifest(record.manifest or "")
    observation = await observe(life.context, record, manifest)
    found = compare(observation, record, manifest, now=life.simulators.clock.now())
    return [each.code for each in found if each.code not in ALWAYS]


# --- another vault -------------------------------------------------------------------------------


@pytest.mark.parametrize("spelled", ["name", "address"])
async def test_a_certificate_of_another_vault_serves_a_tenant_all_its_life(
    life: Life, tenant: SimulatedTenant, theirs: OtherVaultService, spelled: str
) -> None:
    name = f"theirs-{tenant.id}"
    first = put(life, theirs, name)
    vault = theirs.url if spelled == "address" else theirs.url.rpartition(":")[2]
    with Watch(life.simulators) as watch:
        operation = await life.onboard(tenant, certificate={"vault": vault, "name": name})
    assert operation["status"] == "succeeded"
    assert watch.writes("vault", "other-vault") == []
    reference = (await life.record(tenant)).certificate
    assert reference is not None
    assert (reference.vault, reference.name) == (theirs.url, name)
    assert registered(tenant) == [first]
    assert await findings(life, tenant) == []

    # Nothing newer is there, and it is not ours to renew.
    stopped = await life.rotate(tenant)
    assert step(stopped, "certificate")["code"] == "certificate_not_renewed"
    second = put(life, theirs, name)
    assert await findings(life, tenant) == ["vault_certificate_differs"]
    with Watch(life.simulators) as watch:
        rotation = await life.rotate(tenant)
    assert rotation["status"] == "succeeded"
    assert "was found in the vault" in step(rotation, "certificate")["message"]
    assert watch.writes("vault", "other-vault") == []
    assert registered(tenant) == [second]
    assert await findings(life, tenant) == []

    with Watch(life.simulators) as watch:
        leaving = await life.offboard(tenant, purge=True)
    assert leaving["status"] == "succeeded"
    assert watch.writes("other-vault") == []
    receipt = (await life.record(tenant)).receipt
    assert receipt is not None
    (kept,) = (each for each in receipt.entries if each.kind is ObjectKind.CERTIFICATE)
    assert (kept.name, kept.fate) == (name, Fate.KEPT)


@pytest.mark.parametrize(
    ("role", "refused"),
    [(None, "read certificate theirs"), (READER, "read the key of certificate theirs")],
    ids=["no right", "no right to the key"],
)
async def test_a_vault_that_does_not_let_us_in_is_told_before_anything_is_changed(
    life: Life,
    tenant: SimulatedTenant,
    theirs: OtherVaultService,
    role: str | None,
    refused: str,
) -> None:
    theirs.roles_of[life.simulators.world.managed_identity.id] = {role} if role else set()
    put(life, theirs, "theirs")
    before = life.simulators.run(picture, tenant)
    choice = {"vault": theirs.url, "name": "theirs"}
    operation = await life.onboard(tenant, certificate=choice)
    assert operation["status"] == "refused"
    (finding,) = step(operation, "preflight")["findings"]
    assert finding["code"] == "vault_forbidden"
    assert finding["subject"] == f"certificate theirs in {theirs.url}"
    assert refused in finding["message"]
    assert "Key Vault Certificate User" in finding["remediation"]
    assert theirs.url in finding["remediation"]
    assert life.simulators.run(picture, tenant) == before
    theirs.roles_of[life.simulators.world.managed_identity.id] = {CERTIFICATE_USER}
    assert (await life.onboard(tenant, certificate=choice))["status"] == "succeeded"


async def test_a_certificate_that_the_other_vault_does_not_hold_is_told_before_anything_is_changed(
    life: Life, tenant: SimulatedTenant, theirs: OtherVaultService
) -> None:
    put(life, life.simulators.vault, f"only-in-ours-{tenant.id}")
    choice = {"vault": theirs.url, "name": f"only-in-ours-{tenant.id}"}
    operation = await life.onboard(tenant, certificate=choice)
    assert operation["status"] == "refused"
    told = step(operation, "preflight")
    assert told["code"] == "vault_certificate_missing"
    assert theirs.url in told["message"]


async def test_no_token_is_sent_to_a_host_that_is_no_vault_of_this_cloud(life: Life) -> None:
    with Watch(life.simulators) as watch, pytest.raises(Refused) as refused:
        life.context.vault.at("https://vault.example")
    assert refused.value.code == "vault_unknown"
    assert watch.calls == []


async def test_a_version_of_theirs_that_never_signs_in_is_taken_back_and_stays_on_in_the_vault(
    life: Life, tenant: SimulatedTenant, theirs: OtherVaultService
) -> None:
    name = f"theirs-{tenant.id}"
    first = put(life, theirs, name)
    await life.onboard(tenant, certificate={"vault": theirs.url, "name": name})
    put(life, theirs, name)
    tenant.lag = Lag(credentials=1_000_000)
    with Watch(life.simulators) as watch:
        operation = await life.rotate(tenant, waits=SHORT)
    assert operation["status"] == "failed"
    assert outcomes(operation)["withdraw"] == "changed"
    assert watch.writes("vault", "other-vault") == []
    assert registered(tenant) == [first]
    tenant.lag = Lag()
    assert (await life.rotate(tenant))["status"] == "succeeded"


async def test_back_to_a_certificate_of_ours_by_onboarding_without_naming_one(
    life: Life, tenant: SimulatedTenant, theirs: OtherVaultService
) -> None:
    put(life, theirs, "theirs")
    await life.onboard(tenant, certificate={"vault": theirs.url, "name": "theirs"})
    operation = await life.onboard(tenant)
    assert operation["status"] == "succeeded"
    reference = (await life.record(tenant)).certificate
    assert reference is not None
    assert reference.vault == life.context.vault.url
    order = rotation_start.order_for(life.context, await life.record(tenant))
    assert (order.certificate, order.certificate_vault) == (None, None)


# --- a policy that demands an authority ----------------------------------------------------------


def issuer(life: Life, name: str) -> x509.Certificate:
    """An authority that our vault may ask for certificates."""
    return life.simulators.run(life.simulators.vault.add_issuer, name).certificate


def demand(life: Life, tenant: SimulatedTenant, *authorities: x509.Certificate) -> None:
    life.simulators.run(
        lambda: tenant.restrict_keys(trusted_authority=True, authorities=authorities)
    )


async def test_case_e15_without_an_own_certificate_the_tenant_is_refused_and_nothing_changed(
    life: Life, tenant: SimulatedTenant
) -> None:
    demand(life, tenant, issuer(life, "trusted"))
    before = life.simulators.run(picture, tenant)
    with Watch(life.simulators) as watch:
        operation = await life.onboard(tenant)
    assert operation["status"] == "refused"
    (finding,) = step(operation, "preflight")["findings"]
    assert finding["code"] == "certificate_authority_required"
    assert watch.writes("graph", "vault", "mondoo") == []
    assert life.simulators.run(picture, tenant) == before


async def test_case_e15_a_certificate_of_a_trusted_issuer_is_onboarded_audited_and_rotated(
    life: Life, tenant: SimulatedTenant
) -> None:
    demand(life, tenant, issuer(life, "trusted"))
    vault, name = life.simulators.vault, f"issued-{tenant.id}"
    first = life.simulators.run(vault.generate_certificate, name, "trusted")
    operation = await life.onboard(tenant, certificate={"name": name})
    assert operation["status"] == "succeeded"
    (integration,) = (
        one for one in life.simulators.mondoo.integrations.values() if one.tenant_id == tenant.id
    )
    # Mondoo gets key and leaf; the authority's own certificate stays in the vault.
    assert (integration.certificate or "").count("BEGIN CERTIFICATE") == 1
    assert await findings(life, tenant) == []
    second = life.simulators.run(vault.generate_certificate, name, "trusted")
    rotation = await life.rotate(tenant)
    assert rotation["status"] == "succeeded"
    record = await life.record(tenant)
    assert record.certificate is not None
    assert (record.certificate.version, first.enabled) == (second.id, True)
    assert registered(tenant) == [record.certificate.thumbprint]
    assert life.scan(tenant) == ["ACTIVE"]
    assert await findings(life, tenant) == []


async def test_case_e15_a_certificate_of_an_issuer_that_the_tenant_does_not_trust_is_refused(
    life: Life, tenant: SimulatedTenant
) -> None:
    demand(life, tenant, issuer(life, "trusted"))
    issuer(life, "unheard-of")
    name = f"issued-{tenant.id}"
    life.simulators.run(life.simulators.vault.generate_certificate, name, "unheard-of")
    before = life.simulators.run(picture, tenant)
    operation = await life.onboard(tenant, certificate={"name": name})
    assert operation["status"] == "failed"
    told = step(operation, "application")
    assert told["code"] == "certificate_forbidden_by_policy"
    assert "authority that the policy trusts" in told["remediation"]
    assert life.simulators.run(picture, tenant) == before
    integrations = life.simulators.mondoo.integrations.values()
    assert [one for one in integrations if one.tenant_id == tenant.id] == []


async def test_case_e15_a_new_version_of_an_untrusted_issuer_leaves_the_old_one_working(
    life: Life, tenant: SimulatedTenant
) -> None:
    demand(life, tenant, issuer(life, "trusted"))
    issuer(life, "unheard-of")
    vault, name = life.simulators.vault, f"issued-{tenant.id}"
    life.simulators.run(vault.generate_certificate, name, "trusted")
    await life.onboard(tenant, certificate={"name": name})
    before = registered(tenant)
    life.simulators.run(vault.generate_certificate, name, "unheard-of")
    operation = await life.rotate(tenant)
    assert operation["status"] == "failed"
    assert step(operation, "register")["code"] == "certificate_forbidden_by_policy"
    assert registered(tenant) == before
    assert life.scan(tenant) == ["ACTIVE"]
