"""Field cases, groups E and F: key credentials, the tenant's policy, and what the vault holds."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509

from local.simulators.objects import Application, KeyCredential, Lag
from local.simulators.picture import picture
from local.simulators.tenant import SimulatedTenant, new_id
from local.simulators.vault_certificates import KeyAndChain, secret_value
from local.simulators.vault_objects import Certificate, CertificateVersion
from shared.certificates import read_bundle
from shared.entra.key_credentials import KEY_NAME_PREFIX
from shared.vault.certificates import certificate_name
from tests.driving import Watch, outcomes, step
from tests.end_to_end.test_onboarding import ONCE, end_state
from tests.shared.entra.certificates import Pair, pair
from tests.shared.onboarding.rehearsal import NAME, WAITS, Rehearsal

CREATE = "PATCH /applications(uniqueName='{uniqueName}')"
CORRECT = "PATCH /applications/{id}"
VAULT_CREATE = "POST /certificates/{name}/create"
VAULT_KEY = "GET /secrets/{name}/{version}"
FILES = Path(__file__).parents[2] / "fixtures" / "certificates"
SHORT = msgspec.structs.replace(WAITS, propagation_deadline=60)


def ours_in(tenant: SimulatedTenant) -> Application:
    """Our application."""
    (ours,) = [app for app in tenant.applications.values() if app.display_name == NAME]
    return ours


def in_vault(rehearsal: Rehearsal, tenant: SimulatedTenant) -> Certificate:
    """The tenant's certificate as the vault holds it."""
    found = rehearsal.simulators.vault.certificates.find(certificate_name(NAME, tenant.id))
    assert found is not None
    return found


def newest_in_vault(rehearsal: Rehearsal, tenant: SimulatedTenant) -> CertificateVersion:
    """Its current version."""
    newest = in_vault(rehearsal, tenant).newest
    assert newest is not None
    return newest


def life(certificate: x509.Certificate) -> timedelta:
    """From its first to its last moment."""
    return certificate.not_valid_after_utc - certificate.not_valid_before_utc


def entry(
    certificate: Pair, name: str, *, start: str | None = None, end: str | None = None
) -> KeyCredential:
    """A key credential with a name, and dates as somebody once wrote them."""
    return KeyCredential.of(
        certificate.certificate, new_id(), display_name=name, start=start, end=end
    )


# --- E1, E3, E10: other people's key credentials ------------------------------------------------


async def test_case_e1_and_e3_a_certificate_is_added_beside_others_that_stay_letter_by_letter(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    ours = ours_in(tenant)
    theirs = [
        entry(pair("first"), "by hand", end="2026-12-01T00:00:00.1234567Z"),
        entry(pair("second", key=1), "by another tool", end="2026-12-02T00:00:00+00:00"),
    ]
    ours.key_credentials[:] = theirs
    before = [one.as_json(with_key=True) for one in theirs]
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["application"] == "changed"
    after = [one.as_json(with_key=True) for one in ours.key_credentials]
    assert after[:2] == before
    assert len(after) == 3


async def test_case_e10_an_expired_certificate_of_ours_makes_room(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    tenant.switches.reject_expired_keys = True
    ours = ours_in(tenant)
    ours.key_credentials[:] = [
        entry(pair("old", days=-1), KEY_NAME_PREFIX + "last year"),
        entry(pair("theirs"), "by hand"),
    ]
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    names = [one.display_name or "" for one in ours.key_credentials]
    assert names[0] == "by hand"
    assert len(names) == 2


async def test_case_e10_an_expired_certificate_of_others_is_reported_and_stays(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    tenant.switches.reject_expired_keys = True
    ours = ours_in(tenant)
    ours.key_credentials[:] = [entry(pair("old", days=-1), "of an old project")]
    before = tenant.snapshot(ours.id)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "failed"
    told = step(operation, "application")
    assert told["code"] == "foreign_certificate_expired"
    assert "of an old project" in told["message"]
    assert "owner" in told["remediation"]
    assert tenant.snapshot(ours.id) == before


# --- E7: dates and clocks -----------------------------------------------------------------------


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose local time is thirteen hours ahead."""
    monkeypatch.setenv("TZ", "TONGA-13")
    time.tzset()
    assert time.timezone == -13 * 3600
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_east")
async def test_case_e7_a_local_time_thirteen_hours_ahead_changes_no_date(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    (key,) = ours_in(tenant).key_credentials
    assert key.end == key.certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert step(operation, "application")["attempts"] == 1


# --- E14, E15: the tenant's policy --------------------------------------------------------------


async def test_case_e14_a_policy_of_thirty_days_gets_a_certificate_of_at_most_twenty_nine(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    tenant.restrict_keys(max_lifetime="P30D")
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    (key,) = ours_in(tenant).key_credentials
    assert timedelta(days=28) < life(key.certificate) <= timedelta(days=29)
    assert set(outcomes(await rehearsal.onboard(tenant)).values()) == {"passed"}


async def test_case_e14_a_policy_for_younger_applications_spares_ours(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    later = rehearsal.simulators.clock.now() + timedelta(days=1)
    tenant.restrict_keys(max_lifetime="P30D", created_after=later.strftime("%Y-%m-%dT%H:%M:%SZ"))
    ours_in(tenant).key_credentials.clear()
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    (key,) = ours_in(tenant).key_credentials
    assert life(key.certificate) > timedelta(days=300)


async def test_case_e14_a_certificate_from_before_the_policy_is_replaced_not_tried_for_ever(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    def tighten() -> None:
        tenant.restrict_keys(max_lifetime="P30D")

    first = await rehearsal.onboard(tenant, before={"application": tighten})
    assert first["status"] == "failed"
    told = step(first, "application")
    assert told["code"] == "certificate_too_long_for_policy"
    assert told["remediation"]
    second = await rehearsal.onboard(tenant)
    assert second["status"] == "succeeded"
    assert outcomes(second)["certificate"] == "changed"
    (key,) = ours_in(tenant).key_credentials
    assert life(key.certificate) <= timedelta(days=29)


async def test_case_e14_a_certificate_that_is_in_use_outlives_a_new_policy(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    tenant.restrict_keys(max_lifetime="P30D")
    operation = await rehearsal.onboard(tenant)
    assert set(outcomes(operation).values()) == {"passed"}


async def test_case_e15_a_demand_for_an_authority_is_refused_and_the_policy_left_alone(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    policy = json.dumps(tenant.restrict_keys(trusted_authority=True))
    before = picture(tenant)
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "refused"
    told = step(operation, "preflight")
    assert told["code"] == "certificate_authority_required"
    assert told["remediation"]
    assert watch.writes("graph", "vault", "mondoo") == []
    assert picture(tenant) == before
    assert json.dumps(tenant.default_policy) == policy


# --- E17, E19: a certificate that is not known yet, a vault that refuses -------------------------


async def test_case_e17_a_new_certificate_that_entra_does_not_know_yet_is_waited_for(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    tenant.lag = Lag(credentials=180.0, first_token=60.0)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert step(operation, "sign-in")["attempts"] > 3
    assert end_state(rehearsal, tenant) == ONCE


async def test_case_e17_a_certificate_that_is_never_accepted_is_not_given_to_mondoo(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    tenant.lag = Lag(credentials=1e6)
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant, waits=SHORT)
    assert operation["status"] == "waiting"
    told = step(operation, "sign-in")
    assert told["code"] == "certificate_not_registered"
    assert "AADSTS700027" in told["message"]
    assert watch.writes("mondoo") == []
    assert outcomes(operation)["integration"] == "skipped"


async def test_case_e19_a_vault_that_refuses_to_make_a_certificate_stops_before_graph(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    before = picture(tenant)
    rehearsal.fault(
        VAULT_CREATE, None, service="vault", status=403, code="Forbidden", message="No."
    )
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "failed"
    told = step(operation, "certificate")
    assert told["code"] == "vault_forbidden"
    assert "Key Vault Certificates Officer" in told["remediation"]
    assert watch.writes("graph", "mondoo") == []
    assert picture(tenant) == before
    assert (await rehearsal.onboard(tenant))["status"] == "succeeded"


async def test_case_e19_a_fault_of_graph_makes_no_second_certificate(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.fault(CREATE, tenant, times=2, status=500)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert step(operation, "application")["attempts"] == 3
    assert len(in_vault(rehearsal, tenant).versions) == 1
    assert end_state(rehearsal, tenant) == ONCE


async def test_case_e19_a_lost_answer_of_the_vault_makes_no_second_certificate(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.fault(VAULT_CREATE, None, service="vault", drop="after")
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert step(operation, "certificate")["attempts"] == 2
    assert len(in_vault(rehearsal, tenant).versions) == 1
    assert end_state(rehearsal, tenant) == ONCE


# --- F: the vault holds what cannot be used ------------------------------------------------------

BAD = {
    "F1 an EC key": ("curve.pem", "RSA"),
    "F1 an Edwards key": ("edwards.pem", "RSA"),
    "F3 only a key": ("key-only.pem", "no certificate"),
    "F3 only a certificate": ("certificate-only.pem", "no private key"),
    "F10 a key with a password": ("encrypted.pem", "encrypted"),
    "F12 an expired certificate": ("expired.pem", "expired"),
    "F12 a certificate of another key": ("mismatch.pem", "does not belong"),
    "F12 a short key": ("rsa-1024.pem", "1024 bits"),
    "F12 two keys": ("two-keys.pem", "2 private keys"),
    "a damaged certificate": ("damaged-certificate.pem", "damaged"),
}


@pytest.mark.parametrize(("name", "reason"), BAD.values(), ids=BAD.keys())
async def test_case_f_a_certificate_in_the_vault_that_cannot_be_used_is_replaced_saying_why(
    rehearsal: Rehearsal, tenant: SimulatedTenant, name: str, reason: str
) -> None:
    order = await rehearsal.order(tenant)
    made = await rehearsal.step("certificate", order)
    hand_out(rehearsal, (FILES / name).read_text(), times=1)
    again = await rehearsal.step("certificate", order)
    assert again["outcome"] == "changed"
    assert "cannot be used" in again["message"]
    assert reason in again["message"]
    assert again["facts"]["certificate"]["version"] != made["facts"]["certificate"]["version"]
    assert "-----" not in json.dumps(again)
    assert (await rehearsal.step("certificate", order))["outcome"] == "passed"


@pytest.mark.parametrize("name", ["curve.pem", "mismatch.pem", "expired.pem"])
async def test_case_f_a_vault_that_makes_only_bad_certificates_is_a_failure_with_the_reason(
    rehearsal: Rehearsal, tenant: SimulatedTenant, name: str
) -> None:
    hand_out(rehearsal, (FILES / name).read_text(), times=None)
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "failed"
    told = step(operation, "certificate")
    assert told["code"] in ("key_not_rsa", "key_mismatch", "certificate_expired")
    assert told["remediation"]
    assert watch.writes("graph", "mondoo") == []


def hand_out(rehearsal: Rehearsal, pem: str, *, times: int | None) -> None:
    """Let the vault hand this out in the place of keys."""
    secret = {
        "value": pem,
        "id": f"{rehearsal.simulators.urls['vault']}/secrets/handed-out/0",
        "contentType": "application/x-pem-file",
        "attributes": {"enabled": True},
    }
    rehearsal.fault(
        VAULT_KEY, None, service="vault", times=times, status=200, body=json.dumps(secret).encode()
    )


async def test_case_f12_an_expired_certificate_is_replaced_on_the_application_and_at_mondoo(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    version = newest_in_vault(rehearsal, tenant)
    expired = pair("expired", days=-1)
    version.material = KeyAndChain(expired.key, expired.certificate, (expired.certificate,))
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    changed = {name for name, outcome in outcomes(operation).items() if outcome == "changed"}
    assert {"certificate", "application", "integration", "first-scan"} <= changed
    state = end_state(rehearsal, tenant)
    assert state == {**ONCE, "key credentials": 2}
    (integration,) = integrations_of(rehearsal, tenant)
    given = read_bundle(integration.certificate, now=rehearsal.simulators.clock.now())
    current = newest_in_vault(rehearsal, tenant).material.leaf
    assert x509.load_der_x509_certificate(given.certificate_der) == current


@pytest.mark.parametrize("untidy", ["chain", "order", "text"])
async def test_case_f2_f8_f11_whatever_the_vault_hands_out_mondoo_is_given_key_and_leaf_only(
    rehearsal: Rehearsal, tenant: SimulatedTenant, untidy: str
) -> None:
    def disorder() -> None:
        version = newest_in_vault(rehearsal, tenant)
        genuine = version.material
        if untidy == "chain":
            authority = pair("authority", key=1).certificate
            version.material = replace(genuine, chain=(authority, genuine.leaf))
            return
        pem = secret_value(genuine, version.policy)
        key, mark, leaf = pem.partition("-----BEGIN CERTIFICATE-----")
        text = mark + leaf + key
        if untidy == "text":
            text = "Bag Attributes\n    friendlyName: é\n" + text
            text = text.replace("\n", "\r\n")
        hand_out(rehearsal, text, times=None)

    operation = await rehearsal.onboard(tenant, before={"application": disorder})
    assert operation["status"] == "succeeded", operation
    (integration,) = integrations_of(rehearsal, tenant)
    lines = integration.certificate.splitlines()
    assert [line for line in lines if line.startswith("-----BEGIN")] == [
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----",
    ]
    assert "\r" not in integration.certificate
    assert end_state(rehearsal, tenant) == ONCE


async def test_a_certificate_in_the_vault_without_our_mark_is_not_touched(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    order = await rehearsal.order(tenant)
    await rehearsal.step("certificate", order)
    newest_in_vault(rehearsal, tenant).tags.clear()
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "failed"
    assert step(operation, "certificate")["code"] == "vault_name_taken"
    assert watch.writes("vault", "graph", "mondoo") == []


def integrations_of(rehearsal: Rehearsal, tenant: SimulatedTenant) -> list[Any]:
    """Every integration of a tenant at Mondoo."""
    return rehearsal.simulators.run(
        lambda: [
            one
            for one in rehearsal.simulators.mondoo.integrations.values()
            if one.tenant_id == tenant.id
        ]
    )
