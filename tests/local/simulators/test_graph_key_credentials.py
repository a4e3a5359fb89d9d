"""`keyCredentials`: replaced as a whole, kept by keyId, dates and policies."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding

from local.simulators.objects import KeyCredential, instant
from local.simulators.tenant import new_id
from local.simulators.vault_certificates import new_authority, signed
from local.simulators.vault_policies import Policy
from tests.local.simulators.conftest import Graph
from tests.local.simulators.material import certificate, der, entry, rsa_key


@pytest.fixture
def one(graph: Graph) -> str:
    """The path of an application of ours."""
    return f"/applications/{graph.upsert('mondoo-ms365').json()['id']}"


def keys(graph: Graph, one: str) -> list[dict[str, Any]]:
    found = graph.get(f"{one}?$select=id,keyCredentials")["keyCredentials"]
    assert isinstance(found, list)
    return found


def put(graph: Graph, one: str, *entries: object) -> None:
    answer = graph.ask("PATCH", one, {"keyCredentials": list(entries)})
    assert answer.status_code == 204, answer.text


def test_what_is_left_out_is_read_from_the_certificate(graph: Graph, one: str) -> None:
    cert = certificate()
    put(graph, one, entry(cert))
    [key] = keys(graph, one)
    assert key["key"] == der(cert)
    assert key["customKeyIdentifier"] == b64encode(cert.fingerprint(SHA1())).decode()
    assert key["startDateTime"] == instant(cert.not_valid_before_utc)
    assert key["endDateTime"] == instant(cert.not_valid_after_utc)
    assert key["type"] == "AsymmetricX509Cert"


def test_base64_of_pem_text_is_accepted_too(graph: Graph, one: str) -> None:
    cert = certificate()
    text = b64encode(cert.public_bytes(Encoding.PEM)).decode()
    put(graph, one, {**entry(cert), "key": text})
    assert keys(graph, one)[0]["key"] == der(cert)


def test_keys_are_shown_only_when_selected_on_a_single_object(graph: Graph, one: str) -> None:
    put(graph, one, entry(certificate()))
    assert graph.get(one)["keyCredentials"][0]["key"] is None
    listed = graph.get("/applications?$select=id,keyCredentials")["value"]
    assert [key["key"] for app in listed for key in app["keyCredentials"]] == [None]


def test_an_entry_echoed_without_its_key_is_kept_and_one_left_out_is_gone(
    graph: Graph, one: str
) -> None:
    put(graph, one, entry(certificate(), displayName="first"))
    [first] = keys(graph, one)
    put(graph, one, {**first, "key": None}, entry(certificate(), displayName="second"))
    both = keys(graph, one)
    assert both[0] == first
    put(graph, one, both[1])
    assert [key["displayName"] for key in keys(graph, one)] == ["second"]


@pytest.mark.parametrize(
    "change",
    [
        {"endDateTime": "2031-01-01T00:00:00Z"},
        {"startDateTime": "reformatted"},
        {"key": "another"},
        {"customKeyIdentifier": "AAAA"},
    ],
)
def test_an_echoed_entry_that_differs_is_refused(
    graph: Graph, one: str, change: dict[str, str]
) -> None:
    put(graph, one, entry(certificate()))
    [stored] = keys(graph, one)
    if "key" in change:
        change = {"key": der(certificate())}
    elif "startDateTime" in change:
        change = {"startDateTime": stored["startDateTime"].replace("Z", "+00:00")}
    status, code, message = graph.refused("PATCH", one, {"keyCredentials": [{**stored, **change}]})
    assert (status, code) == (400, "KeyNotUpdatable")
    assert f"Update to existing credential with KeyId '{stored['keyId']}' is not allowed" in message
    assert keys(graph, one) == [stored]


def test_dates_with_seven_fractional_digits_survive_an_echo(graph: Graph, one: str) -> None:
    app = graph.tenant.applications[one.rpartition("/")[2]]
    app.key_credentials.append(
        KeyCredential.of(
            certificate(),
            new_id(),
            start="2026-06-10T08:00:00.1234567Z",
            end="2031-09-20T08:00:00.7654321Z",
        )
    )
    [stored] = keys(graph, one)
    assert stored["endDateTime"] == "2031-09-20T08:00:00.7654321Z"
    put(graph, one, {**stored, "key": None})
    shortened = {**stored, "key": None, "endDateTime": "2031-09-20T08:00:00Z"}
    assert graph.refused("PATCH", one, {"keyCredentials": [shortened]})[1] == "KeyNotUpdatable"


def test_dates_beyond_the_certificate_are_refused(graph: Graph, one: str) -> None:
    cert = certificate()
    late = instant(cert.not_valid_after_utc + timedelta(seconds=1))
    early = instant(cert.not_valid_before_utc - timedelta(seconds=1))
    answer = graph.refused("PATCH", one, {"keyCredentials": [entry(cert, endDateTime=late)]})
    assert answer[:2] == (400, "KeyCredentialsInvalidEndDate")
    answer = graph.refused("PATCH", one, {"keyCredentials": [entry(cert, startDateTime=early)]})
    assert answer[:2] == (400, "KeyCredentialsInvalidStartDate")


def test_an_expired_certificate_cannot_be_added(graph: Graph, one: str) -> None:
    expired = certificate(starts=timedelta(days=-10), lasts=timedelta(days=9))
    answer = graph.refused("PATCH", one, {"keyCredentials": [entry(expired)]})
    assert answer[1] == "KeyCredentialsInvalidEndDate"


def test_some_tenants_refuse_any_resent_entry_that_has_expired(graph: Graph, one: str) -> None:
    app = graph.tenant.applications[one.rpartition("/")[2]]
    expired = certificate(starts=timedelta(days=-10), lasts=timedelta(days=9))
    app.key_credentials.append(KeyCredential.of(expired, new_id()))
    [stored] = keys(graph, one)
    body = {"keyCredentials": [{**stored, "key": None}, entry(certificate())]}
    assert graph.ask("PATCH", one, body).status_code == 204
    graph.tenant.switches.reject_expired_keys = True
    assert graph.refused("PATCH", one, body)[1] == "KeyCredentialsInvalidEndDate"


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "not base64!"},
        {"key": b64encode(b"not a certificate").decode()},
        {"key": None},
        {"usage": "Sign"},
        {"type": ""},
        {"colour": "blue"},
        {"keyId": "not-a-guid"},
        {"endDateTime": "tomorrow"},
    ],
)
def test_a_malformed_entry_is_refused(graph: Graph, one: str, wrong: dict[str, Any]) -> None:
    body = {"keyCredentials": [{**entry(certificate()), **wrong}]}
    assert graph.refused("PATCH", one, body)[:2] == (400, "Request_BadRequest")
    assert keys(graph, one) == []


def test_a_private_key_is_no_certificate(graph: Graph, one: str) -> None:
    from cryptography.hazmat.primitives.serialization import NoEncryption, PrivateFormat

    secret = rsa_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    body = {"keyCredentials": [{**entry(certificate()), "key": b64encode(secret).decode()}]}
    assert graph.refused("PATCH", one, body)[0] == 400


def test_a_lifetime_beyond_the_tenants_policy_is_refused(graph: Graph, one: str) -> None:
    graph.tenant.restrict_keys(max_lifetime="P30D")
    long, short = certificate(lasts=timedelta(days=90)), certificate(lasts=timedelta(days=29))
    answer = graph.refused("PATCH", one, {"keyCredentials": [entry(long)]})
    assert answer[:2] == (400, "CredentialInvalidLifetimeAsPerAppPolicy")
    put(graph, one, entry(short))


def test_a_policy_for_newer_applications_does_not_bind_ours(graph: Graph, one: str) -> None:
    graph.tenant.restrict_keys(max_lifetime="P30D", created_after="2099-01-01T00:00:00Z")
    put(graph, one, entry(certificate()))


def test_a_policy_of_its_own_replaces_the_default_for_an_application(
    graph: Graph, one: str
) -> None:
    app = graph.tenant.applications[one.rpartition("/")[2]]
    graph.tenant.restrict_keys(max_lifetime="P30D")
    graph.tenant.restrict_keys(max_lifetime="P365D", app=app)
    put(graph, one, entry(certificate()))


def test_a_trusted_authority_rules_out_what_it_did_not_sign_itself(graph: Graph, one: str) -> None:
    now = datetime.now(UTC)
    trusted, namesake = (new_authority("Fabrikam CA", now) for _ in range(2))
    policy = Policy(issuer="Fabrikam CA", subject="CN=theirs")
    graph.tenant.restrict_keys(trusted_authority=True, authorities=[trusted.certificate])
    for refused in (certificate(), signed(rsa_key(), policy, now, namesake).leaf):
        answer = graph.refused("PATCH", one, {"keyCredentials": [entry(refused)]})
        assert answer[:2] == (400, "CredentialTypeNotAllowedAsPerAppPolicy")
    put(graph, one, entry(signed(rsa_key(), policy, now, trusted).leaf))


def test_existing_credentials_are_kept_under_a_stricter_policy(graph: Graph, one: str) -> None:
    put(graph, one, entry(certificate()))
    graph.tenant.restrict_keys(max_lifetime="P1D")
    [stored] = keys(graph, one)
    put(graph, one, {**stored, "key": None})
