"""Certificates and secrets in Key Vault, through the real clients."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from azure.keyvault.certificates import CertificatePolicy
from azure.keyvault.certificates.aio import CertificateClient
from azure.keyvault.secrets.aio import SecretClient

from local.simulators import Simulators
from local.simulators.faults import Fault
from local.simulators.journal import Call
from shared.azure_transport import client_options
from shared.certificates import read_bundle
from shared.config import Settings
from shared.entra.identity import Identity
from shared.errors import NotYet, OutcomeUnknown, Refused, Unusable
from shared.vault import certificates
from shared.vault.certificates import Vault, certificate_name, whole_months

MARK = {"managed-by": "mondoo-onboarding"}


@pytest.fixture
async def vault(settings: Settings, identity: Identity) -> AsyncIterator[Vault]:
    """The product's view of the vault."""
    ours = Vault(settings, identity.own_credential())
    yield ours
    await ours.aclose()


@pytest.fixture
async def somebody(settings: Settings, identity: Identity) -> AsyncIterator[CertificateClient]:
    """Another user of the vault."""
    async with CertificateClient(
        settings.key_vault_url,
        identity.own_credential(),
        verify_challenge_resource=False,
        **client_options(settings),
    ) as client:
        yield client


@pytest.fixture
async def secrets(settings: Settings, identity: Identity) -> AsyncIterator[SecretClient]:
    """Another user's view of the secrets."""
    async with SecretClient(
        settings.key_vault_url,
        identity.own_credential(),
        verify_challenge_resource=False,
        **client_options(settings),
    ) as client:
        yield client


@pytest.fixture
def tenant() -> str:
    return str(uuid4())


@pytest.fixture
def name(tenant: str) -> str:
    return certificate_name("mondoo-ms365", tenant)


def policy(**changes: object) -> CertificatePolicy:
    return CertificatePolicy("Self", subject="CN=somebody", validity_in_months=12, **changes)


def vault_calls(simulators: Simulators, since: int) -> list[Call]:
    """Calls since the journal had ``since`` entries, without the one that asks for a token."""
    calls = simulators.run(lambda: list(simulators.journal.calls[since:]))
    return [call for call in calls if call.service == "vault" and call.status != 401]


async def test_a_vault_without_the_certificate_says_none(vault: Vault, name: str) -> None:
    assert await vault.read(name) is None


async def test_an_issued_certificate_passes_every_check_of_ours(
    vault: Vault, name: str, tenant: str
) -> None:
    reference = await vault.issue(name, days=365, tenant_id=tenant)
    bundle = read_bundle(await vault.pem(reference), now=datetime.now(UTC))
    assert bundle.thumbprint == reference.thumbprint
    assert (bundle.not_before, bundle.not_after) == (reference.not_before, reference.not_after)


async def test_an_issued_certificate_is_marked_as_ours_and_names_the_tenant(
    vault: Vault, somebody: CertificateClient, name: str, tenant: str
) -> None:
    reference = await vault.issue(name, days=90, tenant_id=tenant)
    stored = await vault.read(name)
    assert stored is not None
    assert stored.marked
    assert stored.enabled
    assert stored.reference == reference
    properties = (await somebody.get_certificate(name)).properties
    assert properties is not None
    assert properties.tags == {**MARK, "tenant": tenant}


async def test_the_vault_is_told_not_to_renew_by_itself(
    vault: Vault, somebody: CertificateClient, name: str, tenant: str
) -> None:
    await vault.issue(name, days=90, tenant_id=tenant)
    kept = await somebody.get_certificate_policy(name)
    assert [action.action for action in kept.lifetime_actions or ()] == ["EmailContacts"]


@pytest.mark.parametrize("days", [365, 90, 31, 29, 7, 1])
async def test_no_certificate_outlives_what_was_asked(
    vault: Vault, name: str, tenant: str, days: int
) -> None:
    reference = await vault.issue(name, days=days, tenant_id=tenant)
    assert reference.not_after <= datetime.now(UTC) + timedelta(days=days)
    assert reference.not_after > datetime.now(UTC)


async def test_case_e16_a_certificate_never_lives_for_decades(
    vault: Vault, name: str, tenant: str
) -> None:
    reference = await vault.issue(name, days=100_000, tenant_id=tenant)
    assert reference.not_after <= datetime.now(UTC) + timedelta(days=730)


@pytest.mark.parametrize("days", [0, -1])
async def test_a_life_of_less_than_a_day_is_refused_before_anything_is_made(
    vault: Vault, simulators: Simulators, name: str, tenant: str, days: int
) -> None:
    since = len(simulators.journal.calls)
    with pytest.raises(Refused) as caught:
        await vault.issue(name, days=days, tenant_id=tenant)
    assert caught.value.code == "certificate_life_too_short"
    assert vault_calls(simulators, since) == []


async def test_less_than_a_month_is_made_here_and_imported(
    vault: Vault, simulators: Simulators, name: str, tenant: str
) -> None:
    since = len(simulators.journal.calls)
    reference = await vault.issue(name, days=14, tenant_id=tenant)
    writes = [call.operation for call in vault_calls(simulators, since) if call.write]
    assert writes == ["POST /certificates/{name}/import"]
    bundle = read_bundle(await vault.pem(reference), now=datetime.now(UTC))
    assert bundle.thumbprint == reference.thumbprint
    stored = await vault.read(name)
    assert stored is not None
    assert stored.marked


@pytest.mark.parametrize(
    ("days", "start", "months"),
    [
        (365, datetime(2026, 3, 1, tzinfo=UTC), 12),
        (365, datetime(2027, 3, 1, tzinfo=UTC), 11),  # a leap day in between
        (366, datetime(2027, 3, 1, tzinfo=UTC), 12),
        (31, datetime(2026, 1, 31, tzinfo=UTC), 1),
        (28, datetime(2026, 1, 31, tzinfo=UTC), 1),
        (27, datetime(2026, 1, 31, tzinfo=UTC), 0),
        (30, datetime(2026, 7, 1, tzinfo=UTC), 0),
        (29, datetime(2026, 2, 1, tzinfo=UTC), 1),
        (730, datetime(2026, 11, 24, tzinfo=UTC), 23),  # 2028 has 366 days
    ],
)
def test_whole_months_fit_into_the_days(days: int, start: datetime, months: int) -> None:
    assert whole_months(days, start) == months


async def test_issuing_again_makes_a_new_version_and_keeps_the_old_one(
    vault: Vault, name: str, tenant: str
) -> None:
    old = await vault.issue(name, days=90, tenant_id=tenant)
    new = await vault.issue(name, days=90, tenant_id=tenant)
    assert new.version != old.version
    assert new.thumbprint != old.thumbprint
    pem = await vault.pem(old)
    assert read_bundle(pem, now=datetime.now(UTC)).thumbprint == old.thumbprint


async def test_a_certificate_without_our_mark_is_never_touched(
    vault: Vault, somebody: CertificateClient, simulators: Simulators, name: str, tenant: str
) -> None:
    await somebody.create_certificate(name, policy())
    stored = await vault.read(name)
    assert stored is not None
    assert not stored.marked
    since = len(simulators.journal.calls)
    with pytest.raises(Refused) as caught:
        await vault.issue(name, days=90, tenant_id=tenant)
    assert caught.value.code == "vault_name_taken"
    assert caught.value.tenant_id == tenant
    assert not [call for call in vault_calls(simulators, since) if call.write]


async def test_a_secret_that_holds_the_name_is_never_touched(
    vault: Vault, secrets: SecretClient, name: str, tenant: str
) -> None:
    await secrets.set_secret(name, "theirs")
    with pytest.raises(Refused) as caught:
        await vault.issue(name, days=90, tenant_id=tenant)
    assert caught.value.code == "vault_name_taken"
    assert (await secrets.get_secret(name)).value == "theirs"


async def test_a_deleted_certificate_of_ours_is_recovered_and_gets_a_new_version(
    vault: Vault, somebody: CertificateClient, name: str, tenant: str
) -> None:
    old = await vault.issue(name, days=90, tenant_id=tenant)
    await somebody.delete_certificate(name)
    assert await vault.read(name) is None
    new = await vault.issue(name, days=90, tenant_id=tenant)
    assert new.version != old.version
    assert await vault.pem(old)


async def test_a_deleted_certificate_without_our_mark_is_neither_recovered_nor_purged(
    vault: Vault, somebody: CertificateClient, name: str, tenant: str
) -> None:
    await somebody.create_certificate(name, policy())
    await somebody.delete_certificate(name)
    with pytest.raises(Refused) as caught:
        await vault.issue(name, days=90, tenant_id=tenant)
    assert caught.value.code == "vault_name_taken"
    assert (await somebody.get_deleted_certificate(name)).name == name


async def test_a_deletion_that_has_not_finished_is_waited_for(
    vault: Vault,
    somebody: CertificateClient,
    simulators: Simulators,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    tenant: str,
) -> None:
    await vault.issue(name, days=90, tenant_id=tenant)
    monkeypatch.setattr(simulators.vault, "deletion_delay", 60.0)
    simulators.run(simulators.vault.certificates.delete, name)
    with pytest.raises(NotYet) as caught:
        await vault.issue(name, days=90, tenant_id=tenant)
    assert caught.value.code == "vault_certificate_pending"


async def test_a_certificate_that_was_made_as_pfx_comes_out_as_pem(
    vault: Vault, somebody: CertificateClient, name: str
) -> None:
    await somebody.create_certificate(name, policy(content_type="application/x-pkcs12"), tags=MARK)
    stored = await vault.read(name)
    assert stored is not None
    bundle = read_bundle(await vault.pem(stored.reference), now=datetime.now(UTC))
    assert bundle.thumbprint == stored.reference.thumbprint


async def test_a_key_that_cannot_be_exported_is_named_as_missing(
    vault: Vault, somebody: CertificateClient, name: str
) -> None:
    await somebody.create_certificate(
        name,
        policy(exportable=False, key_type="RSA", content_type="application/x-pem-file"),
        tags=MARK,
    )
    stored = await vault.read(name)
    assert stored is not None
    with pytest.raises(Unusable) as caught:
        read_bundle(await vault.pem(stored.reference), now=datetime.now(UTC))
    assert caught.value.code == "key_missing"


async def test_a_disabled_certificate_is_seen_and_its_key_is_not_handed_out(
    vault: Vault, somebody: CertificateClient, name: str, tenant: str
) -> None:
    reference = await vault.issue(name, days=90, tenant_id=tenant)
    await somebody.update_certificate_properties(name, reference.version, enabled=False)
    stored = await vault.read(name)
    assert stored is not None
    assert not stored.enabled
    with pytest.raises(Refused) as caught:
        await vault.pem(reference)
    assert caught.value.code == "vault_disabled"


async def test_a_secret_is_read_by_name(vault: Vault, simulators: Simulators) -> None:
    simulators.run(simulators.vault.put_secret, "plain", "value")
    assert await vault.secret("plain") == "value"


async def test_a_missing_secret_is_refused_and_named(vault: Vault) -> None:
    with pytest.raises(Refused) as caught:
        await vault.secret("no-such-secret")
    assert caught.value.code == "vault_secret_missing"
    assert "no-such-secret" in caught.value.message
    assert caught.value.request_id


async def test_a_certificate_is_also_read_like_a_secret(
    vault: Vault, name: str, tenant: str
) -> None:
    reference = await vault.issue(name, days=90, tenant_id=tenant)
    bundle = read_bundle(await vault.secret(name), now=datetime.now(UTC))
    assert bundle.thumbprint == reference.thumbprint


async def test_reachable_is_one_read(vault: Vault, simulators: Simulators) -> None:
    since = len(simulators.journal.calls)
    await vault.reachable()
    assert [call.operation for call in vault_calls(simulators, since)] == ["GET /certificates"]


async def test_case_e19_a_vault_that_refuses_to_write_is_a_failure_with_the_role_to_assign(
    vault: Vault,
    simulators: Simulators,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    tenant: str,
) -> None:
    principal = simulators.world.managed_identity.id
    monkeypatch.setitem(simulators.vault.roles_of, principal, {"Key Vault Reader"})
    with pytest.raises(Refused) as caught:
        await vault.issue(name, days=90, tenant_id=tenant)
    assert caught.value.code == "vault_forbidden"
    assert "Key Vault Certificates Officer" in caught.value.remediation
    assert caught.value.request_id
    assert await vault.read(name) is None


async def test_a_vault_that_keeps_its_secrets_from_us_names_the_role_for_secrets(
    vault: Vault, simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    principal = simulators.world.managed_identity.id
    monkeypatch.setitem(simulators.vault.roles_of, principal, set())
    with pytest.raises(Refused) as caught:
        await vault.secret("mondoo-service-account")
    assert caught.value.code == "vault_forbidden"
    assert "Key Vault Secrets User" in caught.value.remediation
    with pytest.raises(Refused) as caught:
        await vault.reachable()
    assert "Key Vault Certificates Officer" in caught.value.remediation


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_vault_is_asked_once_and_its_wish_to_wait_is_passed_on(
    vault: Vault, simulators: Simulators, name: str, status: int
) -> None:
    await vault.read(name)
    fault = Fault(
        "vault",
        "GET /certificates/{name}",
        status=status,
        headers={"Retry-After": "17"},
        times=None,
    )
    simulators.run(simulators.faults.add, fault)
    since = len(simulators.journal.calls)
    with pytest.raises(NotYet) as caught:
        await vault.read(name)
    assert (caught.value.code, caught.value.retry_after) == ("vault_busy", 17.0)
    assert len(vault_calls(simulators, since)) == 1


async def test_a_read_without_an_answer_may_be_repeated(
    vault: Vault, simulators: Simulators, name: str
) -> None:
    await vault.read(name)
    simulators.run(simulators.faults.add, Fault("vault", "GET /*", drop="before", times=None))
    with pytest.raises(NotYet) as caught:
        await vault.read(name)
    assert caught.value.code == "vault_unreachable"


@pytest.mark.parametrize("days", [90, 7])
async def test_a_new_version_without_an_answer_is_unknown_and_reading_tells(
    vault: Vault, simulators: Simulators, name: str, tenant: str, days: int
) -> None:
    simulators.run(simulators.faults.add, Fault("vault", "POST /*", drop="after"))
    with pytest.raises(OutcomeUnknown) as caught:
        await vault.issue(name, days=days, tenant_id=tenant)
    assert caught.value.code == "vault_no_answer"
    stored = await vault.read(name)
    assert stored is not None
    assert stored.marked


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_new_version_that_ends_in_an_error_of_the_vault_may_exist(
    vault: Vault, simulators: Simulators, name: str, tenant: str, status: int
) -> None:
    simulators.run(simulators.faults.add, Fault("vault", "POST /*", status=status))
    with pytest.raises(OutcomeUnknown) as caught:
        await vault.issue(name, days=90, tenant_id=tenant)
    assert caught.value.code == "vault_no_answer"


async def test_a_certificate_that_the_vault_could_not_make_is_a_failure_with_its_reason(
    vault: Vault, simulators: Simulators, name: str, tenant: str
) -> None:
    failed = {"status": "failed", "error": {"code": "KeyCreationFailed", "message": "no"}}
    body = json.dumps({"id": f"{simulators.urls['vault']}/certificates/{name}/pending", **failed})
    fault = Fault("vault", "POST /*", status=202, body=body.encode())
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(Refused) as caught:
        await vault.issue(name, days=90, tenant_id=tenant)
    assert caught.value.code == "vault_issuance_failed"
    assert "KeyCreationFailed" in caught.value.message


async def test_a_recovery_that_takes_long_is_waited_for_outside(
    vault: Vault,
    somebody: CertificateClient,
    simulators: Simulators,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    tenant: str,
) -> None:
    await vault.issue(name, days=90, tenant_id=tenant)
    await somebody.delete_certificate(name)
    monkeypatch.setattr(certificates, "PATIENCE_SECONDS", 0.1)
    hidden = Fault("vault", "GET /certificates/{name}", status=404, times=None)
    simulators.run(simulators.faults.add, hidden)
    with pytest.raises(NotYet) as caught:
        await vault.issue(name, days=90, tenant_id=tenant)
    assert caught.value.code == "vault_certificate_pending"


async def test_a_token_that_the_vault_does_not_accept_is_refused(
    vault: Vault, simulators: Simulators, name: str
) -> None:
    simulators.run(simulators.faults.add, Fault("vault", status=401, code="Unauthorized"))
    with pytest.raises(Refused) as caught:
        await vault.read(name)
    assert caught.value.code == "vault_unauthenticated"


async def test_a_firewall_is_not_taken_for_a_disabled_secret(
    vault: Vault, simulators: Simulators
) -> None:
    text = "Public network access is disabled and request is not from a trusted service."
    fault = Fault("vault", "GET /secrets/*", status=403, code="Forbidden", message=text)
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(Refused) as caught:
        await vault.secret("plain")
    assert caught.value.code == "vault_forbidden"
    assert text in caught.value.message
    assert "firewall" in caught.value.remediation


async def test_a_certificate_whose_first_version_is_being_made_is_not_there_yet(
    vault: Vault, simulators: Simulators, name: str
) -> None:
    shown = {"id": f"{simulators.urls['vault']}/certificates/{name}/1", "attributes": {}}
    fault = Fault("vault", "GET /*", status=200, body=json.dumps(shown).encode())
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(NotYet) as caught:
        await vault.read(name)
    assert caught.value.code == "vault_certificate_pending"


async def test_a_page_of_a_proxy_is_no_answer(
    vault: Vault, simulators: Simulators, name: str
) -> None:
    fault = Fault("vault", "GET /*", status=200, body=b"<html>sign in to the network</html>")
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(NotYet) as caught:
        await vault.read(name)
    assert caught.value.code == "vault_unreachable"


async def test_a_vault_that_is_not_trusted_is_refused(
    settings: Settings, identity: Identity, name: str
) -> None:
    vault = Vault(replace(settings, trusted_ca_file=None), identity.own_credential())
    with pytest.raises(Refused) as caught:
        await vault.read(name)
    assert caught.value.code == "vault_untrusted"
    await vault.aclose()


async def test_an_answer_that_nobody_knows_is_refused_and_not_repeated(
    vault: Vault, simulators: Simulators, name: str
) -> None:
    fault = Fault("vault", "GET /*", status=418, code="Teapot", message="short and stout")
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(Refused) as caught:
        await vault.read(name)
    assert caught.value.code == "vault_refused"
    assert "418" in caught.value.message


async def test_a_certificate_in_the_making_is_waited_for_outside(
    vault: Vault,
    simulators: Simulators,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    tenant: str,
) -> None:
    monkeypatch.setattr(simulators.vault, "issuance_delay", 600.0)
    monkeypatch.setattr(certificates, "PATIENCE_SECONDS", 0.3)
    for attempt in ("first", "second"):
        with pytest.raises(NotYet) as caught:
            await vault.issue(name, days=90, tenant_id=tenant)
        assert caught.value.code == "vault_certificate_pending", attempt
    simulators.run(simulators.clock.advance, 601)
    stored = await vault.read(name)
    assert stored is not None
    assert stored.marked
