"""Key credentials: everybody else's stay exactly as they were."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from shared.entra.key_credentials import (
    KEY_NAME_PREFIX,
    LONGEST_KEY_NAME,
    expired_strangers,
    has_expired,
    is_ours,
    key_credentials_with,
    key_name,
    lost_entries,
    thumbprint,
)
from tests.shared.entra.certificates import pair

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
OURS = pair()
DER = OURS.der


def entry(
    key_id: str = "3a6f6f0e-1d67-4a35-8b4f-0b8a5d0f9c11",
    *,
    name: str | None = "Somebody else's",
    end: str = "2027-06-10T08:00:00Z",
    key: str | None = "AAAA",
) -> dict[str, Any]:
    return {
        "customKeyIdentifier": "pG0h",
        "displayName": name,
        "endDateTime": end,
        "key": key,
        "keyId": key_id,
        "startDateTime": "2026-06-10T08:00:00Z",
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
    }


def added(existing: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = key_credentials_with(existing, certificate_der=DER, name="2026-11-25", now=NOW)
    assert keys is not None
    return keys


def test_case_e1_all_other_entries_are_sent_again() -> None:
    keys = added([entry("a"), entry("b")])
    assert [key.get("keyId") for key in keys] == ["a", "b", None]


def test_case_e2_a_kept_entry_is_sent_with_its_id_and_without_its_key() -> None:
    kept = added([entry("a", key="MIIDFTCC")])[0]
    assert kept == entry("a", key=None)


@pytest.mark.parametrize(
    "end",
    ["2027-06-10T08:00:00.1234567Z", "2027-06-10T08:00:00+00:00", "2027-06-10T08:00:00Z"],
)
def test_case_e3_dates_go_back_letter_by_letter(end: str) -> None:
    assert added([entry(end=end)])[0]["endDateTime"] == end


@pytest.mark.parametrize("count", [0, 1, 2])
def test_case_e5_it_is_a_json_array_however_many_entries(count: int) -> None:
    sent = json.loads(json.dumps(added([entry(str(n)) for n in range(count)])))
    assert isinstance(sent, list)
    assert len(sent) == count + 1


def test_case_e6_an_entry_without_key_has_no_thumbprint() -> None:
    assert thumbprint(entry(key=None)) is None


def test_case_e7_and_e8_ours_is_sent_as_der_without_any_date() -> None:
    ours = added([])[0]
    assert base64.b64decode(ours["key"]) == DER
    assert (ours["type"], ours["usage"]) == ("AsymmetricX509Cert", "Verify")
    assert not {"startDateTime", "endDateTime", "keyId", "customKeyIdentifier"} & set(ours)


def test_case_e11_expired_entries_of_ours_are_pruned_and_no_others() -> None:
    gone = "2026-11-01T00:00:00Z"
    ours = [entry(f"ours-{n}", name=key_name("old"), end=gone) for n in range(600)]
    theirs = entry("theirs", end=gone)
    keys = added([*ours, theirs])
    assert [key.get("keyId") for key in keys] == ["theirs", None]


def test_nothing_is_sent_when_the_certificate_is_there() -> None:
    there = entry(key=base64.b64encode(DER).decode(), name=key_name("now"))
    assert key_credentials_with([there], certificate_der=DER, name="x", now=NOW) is None


def test_pruning_alone_keeps_the_certificate_that_is_there() -> None:
    there = entry("now", key=base64.b64encode(DER).decode(), name=key_name("now"))
    old = entry("old", name=key_name("old"), end="2026-01-01T00:00:00Z")
    assert [key["keyId"] for key in added([old, there])] == ["now"]


def test_our_display_name_fits_and_says_whose_it_is() -> None:
    name = added([])[0]["displayName"]
    assert name == KEY_NAME_PREFIX + "2026-11-25"
    assert is_ours({"displayName": name})
    assert len(key_name("x" * 200)) == LONGEST_KEY_NAME
    assert key_name(key_name("once")) == key_name("once")


def test_a_thumbprint_is_told_from_pem_in_base64_too() -> None:
    pem = OURS.certificate.public_bytes(Encoding.PEM)
    assert thumbprint(entry(key=base64.b64encode(pem).decode())) == OURS.thumbprint


def test_a_key_that_is_not_base64_has_no_thumbprint() -> None:
    assert thumbprint(entry(key="not base64!")) is None


def test_a_thumbprint_is_never_taken_from_the_custom_identifier() -> None:
    assert thumbprint({**entry(key=None), "customKeyIdentifier": OURS.thumbprint}) is None


@pytest.mark.parametrize(
    ("end", "expired"),
    [
        ("2026-11-25T11:59:59.9999999Z", True),
        ("2026-11-25T12:00:00Z", True),
        ("2026-11-25T12:00:01Z", False),
        ("2026-11-26T00:30:00+13:00", True),
        ("2026-11-26T01:30:00+13:00", False),
        ("", False),
        ("next year", False),
    ],
)
def test_expiry_is_read_in_utc(end: str, expired: bool) -> None:
    assert has_expired(entry(end=end), NOW) is expired


def test_entries_that_went_missing_are_named() -> None:
    before = [entry("A"), entry("b"), entry("c", name=key_name("x"), end="2026-01-01T00:00:00Z")]
    assert lost_entries(before, [entry("a")], NOW) == ["b"]


def test_expired_strangers_are_named_with_their_ids() -> None:
    gone = "2026-01-01T00:00:00Z"
    listed = expired_strangers(
        [entry("a", end=gone), entry("b"), entry("c", name=key_name("x"), end=gone)], NOW
    )
    assert listed == ["Somebody else's (a)"]


@given(
    st.lists(
        st.builds(
            entry,
            key_id=st.uuids().map(str),
            name=st.one_of(st.none(), st.text(max_size=40)),
            end=st.datetimes().map(lambda at: f"{at:%Y-%m-%dT%H:%M:%SZ}"),
        ),
        max_size=8,
        unique_by=lambda each: each["keyId"],
    )
)
def test_no_entry_of_others_is_ever_lost_or_changed(existing: list[dict[str, Any]]) -> None:
    keys = added(existing)
    sent = {key["keyId"]: key for key in keys if "keyId" in key}
    for each in existing:
        if not is_ours(each):
            assert sent[each["keyId"]] == {**each, "key": None}
    assert sum("keyId" not in key for key in keys) == 1
