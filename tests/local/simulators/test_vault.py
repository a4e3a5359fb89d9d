"""The simulated Key Vault, asked by the real clients."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import ManagedIdentityCredential
from azure.keyvault.certificates import (
    CertificateContentType,
    CertificatePolicy,
    CertificatePolicyAction,
    KeyType,
    LifetimeAction,
)
from azure.keyvault.certificates.aio import CertificateClient
from azure.keyvault.secrets import SecretClient as SyncSecretClient
from azure.keyvault.secrets.aio import SecretClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from local.simulators import Simulators
from local.simulators.faults import Fault
from local.simulators.vault import CERTIFICATES_OFFICER, READER
from tests.local.simulators.callers import (
    Caller,
    bearer,
    certificate_for,
    certificate_pem,
    key_pem,
    stranger,
    web,
)

PEM = CertificatePolicy(
    issuer_name="Self",
    subject="CN=mondoo-ms365",
    exportable=True,
    key_type="RSA",
    key_size=2048,
    content_type=CertificateContentType.pem,
    validity_in_months=3,
)


@pytest.fixture(scope="module")
def simulators() -> Iterator[Simulators]:
    with Simulators() as running:
        yield running


@pytest.fixture(autouse=True)
def no_switch_left_over(simulators: Simulators) -> Iterator[None]:
    yield
    vault = simulators.vault
    vault.issuance_delay = vault.deletion_delay = 0.0
    vault.purge_protection = False
    simulators.faults.clear()


def options(simulators: Simulators) -> dict[str, Any]:
    return {
        "connection_verify": str(simulators.ca_file),
        "verify_challenge_resource": False,
        "retry_total": 0,
    }


@pytest.fixture
async def secrets(simulators: Simulators) -> AsyncIterator[SecretClient]:
    async with SecretClient(
        simulators.urls["vault"], Caller(simulators), **options(simulators)
    ) as client:
        yield client


@pytest.fixture
async def certificates(simulators: Simulators) -> AsyncIterator[CertificateClient]:
    async with CertificateClient(
        simulators.urls["vault"], Caller(simulators), **options(simulators)
    ) as client:
        yield client


@pytest.fixture
def name() -> str:
    return f"t-{uuid4().hex[:12]}"


def code_of(error: HttpResponseError) -> tuple[int | None, str | None, str | None]:
    """Status, code and inner code of a refusal."""
    assert error.error is not None
    inner = error.error.innererror
    return error.status_code, error.error.code, inner.get("code") if inner else None


async def make(
    client: CertificateClient, name: str, policy: CertificatePolicy = PEM, **more: Any
) -> Any:
    """A certificate, or the operation that waits for an outside authority."""
    return await client.create_certificate(name, policy, **more)


async def read(client: CertificateClient, name: str) -> Any:
    """The newest version of a certificate."""
    return await client.get_certificate(name)


# ---------------------------------------------------------------------- who may call


async def test_a_call_without_token_is_told_where_to_ask(simulators: Simulators) -> None:
    async with web(simulators) as client:
        answer = await client.get(f"{simulators.urls['vault']}/secrets?api-version=7.6")
    home = simulators.world.home.id
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "Unauthorized"
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer authorization="{simulators.urls["entra"]}/{home}",'
        ' resource="https://vault.azure.net"'
    )


async def test_the_client_follows_the_challenge_to_the_vaults_audience(
    simulators: Simulators,
) -> None:
    caller = Caller(simulators)
    async with SecretClient(simulators.urls["vault"], caller, **options(simulators)) as client:
        await client.get_secret("mondoo-service-account")
    assert set(caller.asked) == {("https://vault.azure.net/.default",)}


async def test_a_token_for_another_resource_is_refused(simulators: Simulators) -> None:
    token = Caller(simulators).token("https://storage.azure.com")
    async with web(simulators, headers=bearer(token)) as client:
        answer = await client.get(f"{simulators.urls['vault']}/secrets?api-version=7.6")
    assert answer.status_code == 401
    assert "AKV10022" in answer.json()["error"]["message"]


async def test_a_principal_without_a_role_is_forbidden_by_rbac(simulators: Simulators) -> None:
    caller = Caller(simulators, stranger(simulators))
    async with SecretClient(simulators.urls["vault"], caller, **options(simulators)) as client:
        with pytest.raises(HttpResponseError) as refusal:
            await client.get_secret("mondoo-service-account")
    assert code_of(refusal.value) == (403, "Forbidden", "ForbiddenByRbac")


@pytest.mark.parametrize("role", [READER, CERTIFICATES_OFFICER])
async def test_roles_allow_their_own_actions_only(simulators: Simulators, role: str) -> None:
    principal = stranger(simulators)
    simulators.vault.roles_of[principal.id] = {role}
    caller = Caller(simulators, principal)
    address = simulators.urls["vault"]
    async with CertificateClient(address, caller, **options(simulators)) as client:
        assert isinstance([c async for c in client.list_properties_of_certificates()], list)
    async with SecretClient(address, caller, **options(simulators)) as client:
        with pytest.raises(HttpResponseError) as refusal:
            await client.get_secret("mondoo-service-account")
    assert code_of(refusal.value) == (403, "Forbidden", "ForbiddenByRbac")


def test_a_managed_identity_reads_the_mondoo_credential(
    simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in simulators.managed_identity.environment().items():
        monkeypatch.setenv(variable, value)
    client_id = simulators.world.managed_identity.app_id
    with (
        ManagedIdentityCredential(client_id=client_id) as credential,
        SyncSecretClient(simulators.urls["vault"], credential, **options(simulators)) as client,
    ):
        secret = client.get_secret("mondoo-service-account")
    assert secret.value is not None
    assert json.loads(secret.value) == simulators.mondoo.service_account_json()
    assert secret.properties.content_type == "application/json"


# --------------------------------------------------------------------------- secrets


async def test_a_secret_has_versions_and_the_newest_is_read(
    secrets: SecretClient, name: str
) -> None:
    first = await secrets.set_secret(name, "one", content_type="text/plain", tags={"a": "b"})
    second = await secrets.set_secret(name, "two")
    assert (await secrets.get_secret(name)).value == "two"
    assert (await secrets.get_secret(name.upper())).value == "two"
    old = await secrets.get_secret(name, first.properties.version)
    assert (old.value, old.properties.content_type, old.properties.tags) == (
        "one",
        "text/plain",
        {"a": "b"},
    )
    listed = [p.version async for p in secrets.list_properties_of_secret_versions(name)]
    assert listed == [first.properties.version, second.properties.version]


async def test_a_missing_secret_or_version_is_not_found(secrets: SecretClient, name: str) -> None:
    with pytest.raises(ResourceNotFoundError) as refusal:
        await secrets.get_secret(name)
    assert code_of(refusal.value) == (404, "SecretNotFound", None)
    await secrets.set_secret(name, "x")
    with pytest.raises(ResourceNotFoundError):
        await secrets.get_secret(name, "0" * 32)


async def test_a_disabled_secret_is_forbidden_until_it_is_enabled(
    secrets: SecretClient, name: str
) -> None:
    await secrets.set_secret(name, "x")
    await secrets.update_secret_properties(name, enabled=False)
    with pytest.raises(HttpResponseError) as refusal:
        await secrets.get_secret(name)
    assert code_of(refusal.value) == (403, "Forbidden", "SecretDisabled")
    await secrets.update_secret_properties(name, enabled=True, tags={"new": "tag"})
    assert (await secrets.get_secret(name)).properties.tags == {"new": "tag"}


@pytest.mark.parametrize("bad", ["under_score", "dot.ted", "a" * 128, "sp ace"])
async def test_a_name_outside_the_alphabet_is_a_bad_parameter(
    secrets: SecretClient, bad: str
) -> None:
    with pytest.raises(HttpResponseError) as refusal:
        await secrets.set_secret(bad, "x")
    assert code_of(refusal.value) == (400, "BadParameter", None)


async def test_a_value_above_25_kilobytes_is_refused(secrets: SecretClient, name: str) -> None:
    await secrets.set_secret(name, "x" * 25_600)
    with pytest.raises(HttpResponseError) as refusal:
        await secrets.set_secret(name, "x" * 25_601)
    assert code_of(refusal.value) == (400, "BadParameter", None)


async def test_long_lists_come_in_pages_of_25(
    simulators: Simulators, secrets: SecretClient
) -> None:
    prefix = uuid4().hex[:8]
    wanted = {f"{prefix}-{number:02}" for number in range(30)}
    for each in wanted:
        simulators.run(simulators.vault.put_secret, each, "x")
    pages = [
        [p.name async for p in page]
        async for page in secrets.list_properties_of_secrets().by_page()
    ]
    assert all(len(page) <= 25 for page in pages)
    assert wanted <= {found for page in pages for found in page}


async def test_a_deleted_secret_holds_its_name_until_it_is_purged(
    secrets: SecretClient, name: str
) -> None:
    await secrets.set_secret(name, "x")
    deleted = await secrets.delete_secret(name)
    assert deleted.recovery_id is not None
    with pytest.raises(ResourceNotFoundError):
        await secrets.get_secret(name)
    with pytest.raises(ResourceExistsError) as refusal:
        await secrets.set_secret(name, "y")
    assert code_of(refusal.value) == (409, "Conflict", "ObjectIsDeletedButRecoverable")
    assert name in [d.name async for d in secrets.list_deleted_secrets()]
    await secrets.purge_deleted_secret(name)
    await secrets.set_secret(name, "y")
    assert (await secrets.get_secret(name)).value == "y"


async def test_a_deleted_secret_can_be_recovered(secrets: SecretClient, name: str) -> None:
    await secrets.set_secret(name, "x")
    await secrets.delete_secret(name)
    await secrets.recover_deleted_secret(name)
    assert (await secrets.get_secret(name)).value == "x"
    with pytest.raises(ResourceNotFoundError):
        await secrets.get_deleted_secret(name)


async def test_purge_protection_forbids_purging(
    simulators: Simulators, secrets: SecretClient, name: str
) -> None:
    simulators.vault.purge_protection = True
    await secrets.set_secret(name, "x")
    await secrets.delete_secret(name)
    with pytest.raises(HttpResponseError) as refusal:
        await secrets.purge_deleted_secret(name)
    assert code_of(refusal.value) == (403, "Forbidden", "ForbiddenByPolicy")


async def test_a_deletion_under_way_blocks_the_name_in_its_own_words(
    simulators: Simulators, secrets: SecretClient, name: str
) -> None:
    await secrets.set_secret(name, "x")
    simulators.vault.deletion_delay = 30.0
    async with web(
        simulators, headers=bearer(Caller(simulators).token("https://vault.azure.net"))
    ) as client:
        address = f"{simulators.urls['vault']}/secrets/{name}?api-version=7.6"
        assert (await client.delete(address)).status_code == 200
    with pytest.raises(ResourceNotFoundError):
        await secrets.get_deleted_secret(name)
    with pytest.raises(ResourceExistsError) as refusal:
        await secrets.set_secret(name, "y")
    assert code_of(refusal.value) == (409, "Conflict", "ObjectIsBeingDeleted")
    simulators.run(simulators.clock.advance, 31.0)
    assert (await secrets.get_deleted_secret(name)).name == name


async def test_an_unknown_api_version_is_refused(simulators: Simulators) -> None:
    token = Caller(simulators).token("https://vault.azure.net")
    async with web(simulators, headers=bearer(token)) as client:
        for query in ("", "?api-version=1.0"):
            answer = await client.get(f"{simulators.urls['vault']}/secrets{query}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")


async def test_a_fault_comes_in_the_vaults_envelope(
    simulators: Simulators, secrets: SecretClient, name: str
) -> None:
    simulators.faults.add(
        Fault("vault", "PUT /secrets/{name}", status=429, code="Throttled", message="slow down")
    )
    with pytest.raises(HttpResponseError) as refusal:
        await secrets.set_secret(name, "x")
    assert code_of(refusal.value) == (429, "Throttled", None)


# ---------------------------------------------------------------------- certificates


async def test_a_certificate_is_made_and_its_secret_is_key_then_certificate(
    simulators: Simulators, certificates: CertificateClient, secrets: SecretClient, name: str
) -> None:
    made = await make(certificates, name, PEM, tags={"managed-by": "us"})
    assert made.properties.tags == {"managed-by": "us"}
    leaf = x509.load_der_x509_certificate(bytes(made.cer))
    assert leaf.fingerprint(hashes.SHA1()) == made.properties.x509_thumbprint
    assert leaf.subject.rfc4514_string() == "CN=mondoo-ms365"
    age = simulators.clock.now() - leaf.not_valid_before_utc
    assert timedelta(minutes=10) <= age < timedelta(minutes=11)
    assert (
        timedelta(days=88) < leaf.not_valid_after_utc - simulators.clock.now() <= timedelta(days=92)
    )
    secret = await secrets.get_secret(name, made.properties.version)
    assert secret.id == made.secret_id
    assert secret.properties.content_type == "application/x-pem-file"
    text = secret.value or ""
    assert text.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert text.count("-----BEGIN") == 2
    assert "\r" not in text
    key = serialization.load_pem_private_key(text.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert (key.key_size, key.public_key()) == (2048, leaf.public_key())
    assert x509.load_pem_x509_certificate(text.encode()) == leaf
    assert text in simulators.run(simulators.vault.secret_values)


async def test_a_pkcs12_certificate_is_base64_of_an_archive_without_password(
    certificates: CertificateClient, secrets: SecretClient, name: str
) -> None:
    made = await make(certificates, name, CertificatePolicy.get_default())
    value = (await secrets.get_secret(name)).value or ""
    key, leaf, others = pkcs12.load_key_and_certificates(base64.b64decode(value), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert leaf is not None
    assert not others
    assert leaf.public_bytes(serialization.Encoding.DER) == bytes(made.cer)


async def test_making_a_certificate_takes_a_while(
    simulators: Simulators, certificates: CertificateClient, secrets: SecretClient, name: str
) -> None:
    simulators.vault.issuance_delay = 60.0
    token = Caller(simulators).token("https://vault.azure.net")
    body = {
        "policy": {
            "key_props": {"kty": "RSA", "key_size": 2048, "exportable": True},
            "secret_props": {"contentType": "application/x-pem-file"},
            "x509_props": {"subject": "CN=slow", "validity_months": 1},
            "issuer": {"name": "Self"},
        }
    }
    async with web(simulators, headers=bearer(token)) as client:
        address = f"{simulators.urls['vault']}/certificates/{name}/create?api-version=7.6"
        started = await client.post(address, json=body)
        again = await client.post(address, json=body)
    assert (started.status_code, started.json()["status"]) == (202, "inProgress")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "Conflict")
    assert (await certificates.get_certificate_operation(name)).status == "inProgress"
    with pytest.raises(ResourceNotFoundError):
        await read(certificates, name)
    with pytest.raises(ResourceNotFoundError):
        await secrets.get_secret(name)
    simulators.run(simulators.clock.advance, 61.0)
    operation = await certificates.get_certificate_operation(name)
    assert (operation.status, operation.target) == (
        "completed",
        f"{simulators.urls['vault']}/certificates/{name}",
    )
    assert (await read(certificates, name)).cer


async def test_a_second_creation_is_a_new_version_and_the_old_one_stays(
    certificates: CertificateClient, secrets: SecretClient, name: str
) -> None:
    first = await make(certificates, name, PEM)
    second = await make(certificates, name, PEM)
    versions = [p.version async for p in certificates.list_properties_of_certificate_versions(name)]
    assert versions == [first.properties.version, second.properties.version]
    assert (await read(certificates, name)).properties.version == versions[1]
    old = await certificates.get_certificate_version(name, versions[0] or "")
    assert old.cer == first.cer
    old_secret = await secrets.get_secret(name, versions[0])
    assert old_secret.value != (await secrets.get_secret(name)).value


async def test_a_disabled_version_gives_no_key_away(
    certificates: CertificateClient, secrets: SecretClient, name: str
) -> None:
    await make(certificates, name, PEM)
    await certificates.update_certificate_properties(name, enabled=False)
    assert (await read(certificates, name)).properties.enabled is False
    with pytest.raises(HttpResponseError) as refusal:
        await secrets.get_secret(name)
    assert code_of(refusal.value) == (403, "Forbidden", "SecretDisabled")


async def test_a_key_that_is_not_exportable_stays_inside(
    certificates: CertificateClient, secrets: SecretClient, name: str
) -> None:
    policy = CertificatePolicy(
        "Self",
        subject="CN=kept",
        key_type="RSA",
        exportable=False,
        content_type=CertificateContentType.pem,
    )
    await make(certificates, name, policy)
    value = (await secrets.get_secret(name)).value or ""
    assert "PRIVATE KEY" not in value
    assert value.count("BEGIN CERTIFICATE") == 1


async def test_the_secret_behind_a_certificate_changes_only_with_it(
    certificates: CertificateClient, secrets: SecretClient, name: str
) -> None:
    await make(certificates, name, PEM)
    for change in (
        secrets.set_secret(name, "mine"),
        secrets.update_secret_properties(name, enabled=False),
        secrets.delete_secret(name),
    ):
        with pytest.raises(HttpResponseError) as refusal:
            await change
        assert code_of(refusal.value) == (403, "Forbidden", "SecretManagedByKeyVault")


async def test_a_certificate_cannot_take_the_name_of_a_secret(
    certificates: CertificateClient, secrets: SecretClient, name: str
) -> None:
    await secrets.set_secret(name, "x")
    with pytest.raises(ResourceExistsError) as refusal:
        await make(certificates, name, PEM)
    assert code_of(refusal.value) == (409, "Conflict", None)


async def test_a_deleted_certificate_holds_its_name_and_can_be_recovered(
    certificates: CertificateClient, secrets: SecretClient, name: str
) -> None:
    made = await make(certificates, name, PEM)
    await certificates.delete_certificate(name)
    with pytest.raises(ResourceNotFoundError) as missing:
        await read(certificates, name)
    assert code_of(missing.value) == (404, "CertificateNotFound", None)
    with pytest.raises(ResourceNotFoundError):
        await secrets.get_secret(name)
    with pytest.raises(ResourceExistsError) as refusal:
        await make(certificates, name, PEM)
    assert code_of(refusal.value) == (409, "Conflict", "ObjectIsDeletedButRecoverable")
    assert name in [d.name async for d in certificates.list_deleted_certificates()]
    await certificates.recover_deleted_certificate(name)
    assert (await read(certificates, name)).cer == made.cer


async def test_a_purged_certificate_frees_its_name(
    certificates: CertificateClient, name: str
) -> None:
    await make(certificates, name, PEM)
    await certificates.delete_certificate(name)
    await certificates.purge_deleted_certificate(name)
    again = await make(certificates, name, PEM)
    assert again.name == name


async def test_an_outside_authority_signs_the_request_of_a_pending_certificate(
    simulators: Simulators, certificates: CertificateClient, secrets: SecretClient, name: str
) -> None:
    policy = CertificatePolicy(
        "Unknown", subject="CN=outside", content_type=CertificateContentType.pem
    )
    operation = await make(certificates, name, policy)
    assert operation.status == "inProgress"
    request = x509.load_der_x509_csr(bytes(operation.csr))
    authority, root = certificate_for(common_name="authority")
    leaf = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(root.subject)
        .public_key(request.public_key())
        .serial_number(7)
        .not_valid_before(root.not_valid_before_utc)
        .not_valid_after(root.not_valid_after_utc)
        .sign(authority, hashes.SHA256())
    )
    der = [each.public_bytes(serialization.Encoding.DER) for each in (leaf, root)]
    with pytest.raises(HttpResponseError):
        await certificates.merge_certificate(name, [der[1]])
    merged = await certificates.merge_certificate(name, der)
    assert bytes(merged.cer or b"") == der[0]
    assert ((await secrets.get_secret(name)).value or "").count("BEGIN CERTIFICATE") == 2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"key_props": {"kty": "RSA", "key_size": 1024}}, "key_size"),
        ({"key_props": {"kty": "oct"}}, "kty"),
        ({"key_props": {"kty": "EC", "crv": "P-999"}}, "crv"),
        ({"secret_props": {"contentType": "text/plain"}}, "contentType"),
        ({"x509_props": {"subject": "no name", "validity_months": 3}}, "subject"),
        ({"x509_props": {"subject": "CN=x", "validity_months": 0}}, "validity_months"),
        ({"x509_props": {"subject": "CN=x", "validity_months": 1201}}, "validity_months"),
        ({"x509_props": {}}, "subject"),
        ({"issuer": {}}, "issuer"),
        ({"issuer": {"name": "Nobody"}}, "Nobody"),
        (
            {"lifetime_actions": [{"trigger": {}, "action": {"action_type": "AutoRenew"}}]},
            "trigger",
        ),
    ],
)
async def test_a_policy_that_cannot_be_met_is_a_bad_parameter(
    simulators: Simulators, name: str, change: dict[str, Any], named: str
) -> None:
    policy: dict[str, Any] = {
        "issuer": {"name": "Self"},
        "x509_props": {"subject": "CN=x", "validity_months": 3},
        **change,
    }
    token = Caller(simulators).token("https://vault.azure.net")
    async with web(simulators, headers=bearer(token)) as client:
        answer = await client.post(
            f"{simulators.urls['vault']}/certificates/{name}/create?api-version=7.6",
            json={"policy": policy},
        )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")
    assert named in answer.json()["error"]["message"]


async def test_the_policy_of_a_certificate_is_read_and_changed(
    certificates: CertificateClient, name: str
) -> None:
    await make(certificates, name, PEM)
    policy = await certificates.get_certificate_policy(name)
    assert (policy.key_size, policy.content_type, policy.validity_in_months) == (
        2048,
        "application/x-pem-file",
        3,
    )
    changed = await certificates.update_certificate_policy(
        name, CertificatePolicy(validity_in_months=1)
    )
    assert (changed.validity_in_months, changed.subject) == (1, "CN=mondoo-ms365")


async def test_a_full_policy_shows_in_the_certificate(
    certificates: CertificateClient, name: str
) -> None:
    policy = CertificatePolicy(
        "Self",
        subject="CN=full,O=Mondoo",
        san_dns_names=["onboarding.example"],
        key_type=KeyType.ec,
        key_curve_name="P-384",
        exportable=True,
        content_type=CertificateContentType.pem,
        validity_in_months=1,
        key_usage=["digitalSignature", "keyAgreement"],
        enhanced_key_usage=["1.3.6.1.5.5.7.3.2"],
        lifetime_actions=[
            LifetimeAction(CertificatePolicyAction.email_contacts, days_before_expiry=10)
        ],
    )
    made = await make(certificates, name, policy)
    leaf = x509.load_der_x509_certificate(bytes(made.cer))
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp384r1"
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["onboarding.example"]
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_agreement, usage.key_encipherment) == (
        True,
        True,
        False,
    )
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    read_back = await certificates.get_certificate_policy(name)
    assert read_back.lifetime_actions is not None
    assert read_back.lifetime_actions[0].days_before_expiry == 10
    assert read_back.enhanced_key_usage == ["1.3.6.1.5.5.7.3.2"]


async def test_a_key_is_kept_where_the_policy_says_so(
    certificates: CertificateClient, name: str
) -> None:
    policy = CertificatePolicy("Self", subject="CN=kept", key_type=KeyType.rsa, reuse_key=True)
    leaves = [
        x509.load_der_x509_certificate(bytes((await make(certificates, name, policy)).cer))
        for _ in range(2)
    ]
    assert leaves[0].public_key() == leaves[1].public_key()
    assert leaves[0] != leaves[1]


async def test_a_pending_certificate_can_be_cancelled_and_forgotten(
    simulators: Simulators, certificates: CertificateClient, name: str
) -> None:
    policy = CertificatePolicy("Unknown", subject="CN=never")
    await make(certificates, name, policy)
    cancelled = await certificates.cancel_certificate_operation(name)
    assert (cancelled.status, cancelled.cancellation_requested) == ("cancelled", True)
    await certificates.delete_certificate_operation(name)
    with pytest.raises(ResourceNotFoundError) as refusal:
        await certificates.get_certificate_operation(name)
    assert code_of(refusal.value) == (404, "PendingCertificateNotFound", None)
    assert (await make(certificates, name)).name == name


async def test_lists_show_certificates_with_their_secrets(
    certificates: CertificateClient, secrets: SecretClient, name: str
) -> None:
    made = await make(certificates, name, PEM, tags={"a": "b"})
    shown = {p.name: p async for p in certificates.list_properties_of_certificates()}
    assert shown[name].tags == {"a": "b"}
    assert shown[name].x509_thumbprint == made.properties.x509_thumbprint
    secret = {p.name: p async for p in secrets.list_properties_of_secrets()}[name]
    assert secret.content_type == "application/x-pem-file"
    assert (await secrets.get_secret(name)).properties.key_id == made.key_id
    versions = [p.version async for p in secrets.list_properties_of_secret_versions(name)]
    assert versions == [made.properties.version]


# ---------------------------------------------------------------------------- import


IMPORTED = CertificatePolicy("Unknown", content_type=CertificateContentType.pem)


@pytest.mark.parametrize("key_first", [True, False])
async def test_an_imported_pem_comes_back_as_key_then_certificate(
    certificates: CertificateClient, secrets: SecretClient, name: str, key_first: bool
) -> None:
    key, certificate = certificate_for()
    parts = [key_pem(key), certificate_pem(certificate)]
    text = "".join(parts if key_first else reversed(parts))
    imported = await certificates.import_certificate(name, text.encode(), policy=IMPORTED)
    assert bytes(imported.cer or b"") == certificate.public_bytes(serialization.Encoding.DER)
    assert (await secrets.get_secret(name)).value == "".join(parts)
    assert imported.policy is not None
    assert (imported.policy.issuer_name, imported.policy.subject) == (
        "Unknown",
        "CN=mondoo-ms365",
    )


async def test_an_imported_archive_needs_its_password(
    certificates: CertificateClient, secrets: SecretClient, name: str
) -> None:
    key, certificate = certificate_for()
    archive = pkcs12.serialize_key_and_certificates(
        b"x", key, certificate, None, serialization.BestAvailableEncryption(b"word")
    )
    with pytest.raises(HttpResponseError) as refusal:
        await certificates.import_certificate(name, archive)
    assert code_of(refusal.value) == (400, "BadParameter", None)
    await certificates.import_certificate(name, archive, password="word")
    assert (await secrets.get_secret(name)).properties.content_type == "application/x-pkcs12"


def unusable() -> dict[str, str]:
    key, certificate = certificate_for()
    other, _ = certificate_for(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    small, small_certificate = certificate_for(
        rsa.generate_private_key(public_exponent=65537, key_size=1024)
    )
    pair = key_pem(key) + certificate_pem(certificate)
    traditional = serialization.PrivateFormat.TraditionalOpenSSL
    return {
        "carriage returns": pair.replace("\n", "\r\n"),
        "no key": certificate_pem(certificate),
        "no certificate": key_pem(key),
        "two keys": key_pem(key) + pair,
        "another key": key_pem(other) + certificate_pem(certificate),
        "an encrypted key": key_pem(key, password=b"word") + certificate_pem(certificate),
        "a PKCS#1 key": key_pem(key, traditional) + certificate_pem(certificate),
        "a small key": key_pem(small) + certificate_pem(small_certificate),
        "no PEM": "abcd1234567890",
    }


@pytest.mark.parametrize("what", list(unusable()))
async def test_an_import_that_is_not_one_key_with_its_certificate_is_refused(
    certificates: CertificateClient, name: str, what: str
) -> None:
    with pytest.raises(HttpResponseError) as refusal:
        await certificates.import_certificate(name, unusable()[what].encode(), policy=IMPORTED)
    assert code_of(refusal.value) == (400, "BadParameter", None)
    with pytest.raises(ResourceNotFoundError):
        await read(certificates, name)


async def test_an_elliptic_curve_pair_can_be_stored(
    certificates: CertificateClient, name: str
) -> None:
    key, certificate = certificate_for(ec.generate_private_key(ec.SECP256R1()))
    text = key_pem(key) + certificate_pem(certificate)
    imported = await certificates.import_certificate(name, text.encode(), policy=IMPORTED)
    assert imported.policy is not None
    assert (imported.policy.key_type, imported.policy.key_curve_name) == ("EC", "P-256")


async def test_a_soft_deleted_secret_disappears_when_its_retention_ends(
    simulators: Simulators, secrets: SecretClient, name: str
) -> None:
    await secrets.set_secret(name, "x")
    await secrets.delete_secret(name)
    simulators.run(simulators.clock.advance, timedelta(days=91).total_seconds())
    async with SecretClient(
        simulators.urls["vault"], Caller(simulators), **options(simulators)
    ) as later:
        with pytest.raises(ResourceNotFoundError):
            await later.get_deleted_secret(name)
        assert (await later.set_secret(name, "y")).value == "y"
