"""A wrong service account of each kind: what preflight says, before anything is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from local.simulators.tenant import SimulatedTenant
from shared.errors import Refused
from shared.mondoo.account import ServiceAccount
from shared.mondoo.diagnosis import explained
from tests.driving import Watch, step
from tests.shared.onboarding.rehearsal import Rehearsal

File = dict[str, Any]


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def good(rehearsal: Rehearsal) -> File:
    return rehearsal.simulators.mondoo.service_account_json()


def with_key(
    key: Callable[[], ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey],
) -> Callable[[Rehearsal], str]:
    return lambda rehearsal: json.dumps({**good(rehearsal), "private_key": pem(key())})


def another_space(rehearsal: Rehearsal) -> str:
    mondoo = rehearsal.simulators.mondoo
    name = f"s-{uuid4().hex[:12]}"
    return json.dumps(mondoo.service_account_json(mondoo.add_space(name).mrn))


def expired(rehearsal: Rehearsal) -> str:
    mondoo = rehearsal.simulators.mondoo
    until = rehearsal.simulators.clock.now() - timedelta(days=1)
    space = mondoo.account.scope_mrn
    account = mondoo.estate.add_service_account(space, {"editor"}, valid_until=until)
    return json.dumps(mondoo.service_account_json(account.mrn))


def deleted(rehearsal: Rehearsal) -> str:
    mondoo = rehearsal.simulators.mondoo
    account = mondoo.estate.add_service_account(mondoo.account.scope_mrn, {"editor"})
    file = json.dumps(mondoo.service_account_json(account.mrn))
    del mondoo.service_accounts[account.mrn]
    return file


def only_viewer(rehearsal: Rehearsal) -> str:
    mondoo = rehearsal.simulators.mondoo
    account = mondoo.estate.add_service_account(mondoo.account.scope_mrn, {"viewer"})
    return json.dumps(mondoo.service_account_json(account.mrn))


WRONG: dict[str, tuple[Callable[[Rehearsal], str], str]] = {
    "an RSA key": (
        with_key(lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        "mondoo_account_key_unusable",
    ),
    "another curve": (
        with_key(lambda: ec.generate_private_key(ec.SECP256R1())),
        "mondoo_account_key_unusable",
    ),
    "another account's key": (
        with_key(lambda: ec.generate_private_key(ec.SECP384R1())),
        "mondoo_account_revoked",
    ),
    "deleted": (deleted, "mondoo_account_revoked"),
    "expired": (expired, "mondoo_account_revoked"),
    "another space's": (another_space, "mondoo_account_other_space"),
    "too few rights": (only_viewer, "mondoo_right_missing"),
    "no JSON": (lambda _: "not a service account", "mondoo_account_malformed"),
    "an API token": (
        lambda rehearsal: json.dumps({"token": "x", "mrn": "y", "api_endpoint": "z"}),
        "mondoo_account_is_token",
    ),
    "cut short": (
        lambda rehearsal: json.dumps({"mrn": good(rehearsal)["mrn"]}),
        "mondoo_account_incomplete",
    ),
    "a plain http endpoint": (
        lambda rehearsal: json.dumps({**good(rehearsal), "api_endpoint": "http://us.example"}),
        "mondoo_account_endpoint",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
async def test_a_wrong_service_account_is_named_by_its_fault_and_nothing_is_changed(
    rehearsal: Rehearsal, tenant: SimulatedTenant, kind: str
) -> None:
    make, code = WRONG[kind]
    text = rehearsal.simulators.run(make, rehearsal)

    async def read() -> str:
        return text

    rehearsal.context.mondoo._read_account = read
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    told = step(operation, "preflight")
    assert operation["status"] == "refused"
    assert code in {each["code"] for each in told["findings"]}
    assert all(each["remediation"] for each in told["findings"])
    assert watch.writes("graph", "vault", "mondoo") == []
    assert "PRIVATE KEY" not in json.dumps(operation)


@pytest.mark.parametrize(
    ("endpoint", "space", "refusal", "code"),
    [
        ("https://us.api.mondoo.com", "eu-blue", "mondoo_unauthenticated", "mondoo_wrong_region"),
        ("https://eu.api.mondoo.com", "blue", "mondoo_space_missing", "mondoo_wrong_region"),
        ("https://eu.api.mondoo.com", "blue", "mondoo_forbidden", "mondoo_wrong_region"),
        ("https://eu.api.mondoo.com", "eu-blue", "mondoo_forbidden", "mondoo_account_other_space"),
        ("https://us.api.mondoo.com", "home", "mondoo_forbidden", "mondoo_forbidden"),
        ("https://mondoo.example", "eu-blue", "mondoo_unauthenticated", "mondoo_account_revoked"),
        ("https://us.api.mondoo.com", "eu-blue", "mondoo_unsupported", "mondoo_unsupported"),
    ],
)
def test_the_region_is_told_from_the_endpoint_and_the_space(
    endpoint: str, space: str, refusal: str, code: str
) -> None:
    base = "//captain.api.mondoo.app/spaces/"
    account = ServiceAccount("//agents.api.mondoo.app/x", base + "home", endpoint, "")
    error = explained(Refused(refusal, "no", remediation="r"), account, base + space)
    assert error.code == code


def test_the_account_of_another_space_is_not_to_be_replaced_by_one_for_this_space_only() -> None:
    base = "//captain.api.mondoo.app/spaces/"
    account = ServiceAccount("//agents.api.mondoo.app/x", base + "home", "https://us.example", "")
    error = explained(Refused("mondoo_forbidden", "no", remediation="r"), account, base + "blue")
    assert error.message == f"the service account belongs to {base}home, not to {base}blue"
    assert "account of the organization that may edit both spaces" in error.remediation
    assert "MONDOO_SERVICE_ACCOUNT" not in error.remediation
