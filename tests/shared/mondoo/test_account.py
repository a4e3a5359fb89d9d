"""The service account's file and the token made from it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.errors import Refused
from shared.mondoo.account import read_account

KEY = ec.generate_private_key(ec.SECP384R1())
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MRN = "//agents.api.mondoo.app/spaces/demo/serviceaccounts/abc"
SCOPE = "//captain.api.mondoo.app/spaces/demo"


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


FILE = {
    "mrn": MRN,
    "scope_mrn": SCOPE,
    "api_endpoint": "https://us.api.mondoo.com",
    "private_key": pem(KEY),
    "certificate": "-----BEGIN CERTIFICATE-----",
}


def changed(**changes: object) -> str:
    return json.dumps({name: v for name, v in {**FILE, **changes}.items() if v is not None})


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(FILE),
        json.dumps(FILE, indent=2) + "\n",
        "\ufeff" + json.dumps(FILE),
        base64.b64encode(json.dumps(FILE).encode()).decode(),
        base64.encodebytes(json.dumps(FILE).encode()).decode(),
        changed(scope_mrn=None, space_mrn=SCOPE),
        changed(scope_mrn=None, parent_mrn=SCOPE),
        changed(api_endpoint="https://us.api.mondoo.com/"),
        changed(api_endpoint="https://us.api.mondoo.com/query"),
    ],
)
def test_a_file_is_read_in_each_form_that_the_console_gives(text: str) -> None:
    account = read_account(text)
    assert account.mrn == MRN
    assert account.scope == SCOPE
    assert account.endpoint == "https://us.api.mondoo.com"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "mondoo_account_malformed"),
        ("mrn: yaml is not read", "mondoo_account_malformed"),
        ("{not json", "mondoo_account_malformed"),
        (base64.b64encode(b"[1]").decode(), "mondoo_account_malformed"),
        (changed(private_key=None, token="opaque"), "mondoo_account_is_token"),
        (changed(mrn=None), "mondoo_account_incomplete"),
        (changed(scope_mrn=None), "mondoo_account_incomplete"),
        (changed(private_key=""), "mondoo_account_incomplete"),
        (changed(mrn=5), "mondoo_account_incomplete"),
        (changed(api_endpoint="http://us.api.mondoo.com"), "mondoo_account_endpoint"),
        (changed(private_key="-----BEGIN"), "mondoo_account_key_unusable"),
        (
            changed(private_key=pem(ec.generate_private_key(ec.SECP256R1()))),
            "mondoo_account_key_unusable",
        ),
        (
            changed(
                private_key=pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))
            ),
            "mondoo_account_key_unusable",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_reason(text: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        read_account(text)
    assert caught.value.code == code
    assert "MONDOO_SERVICE_ACCOUNT" in caught.value.remediation


def test_what_is_missing_is_named() -> None:
    with pytest.raises(Refused) as caught:
        read_account(changed(mrn=None, private_key=None))
    assert "mrn, private_key" in caught.value.message


def test_neither_an_error_nor_a_repr_shows_the_key() -> None:
    secret = FILE["private_key"].splitlines()[1]
    assert secret not in repr(read_account(json.dumps(FILE)))
    with pytest.raises(Refused) as caught:
        read_account(json.dumps(FILE)[:-1])
    assert secret not in f"{caught.value!r} {caught.value} {caught.value.__cause__}"


def test_a_token_is_signed_as_the_platform_wants_it_and_lives_a_minute_at_most() -> None:
    token = read_account(json.dumps(FILE)).token(NOW)
    assert jwt.get_unverified_header(token) == {"alg": "ES384", "kid": MRN, "typ": "JWT"}
    claims = jwt.decode(
        token, KEY.public_key(), algorithms=["ES384"], options={"verify_exp": False}
    )
    assert claims["iss"] == "mondoo/ams"
    assert claims["sub"] == MRN
    assert "aud" not in claims
    assert claims["exp"] - claims["iat"] == 60
    assert claims["iat"] == claims["nbf"] < NOW.timestamp() < claims["exp"]
