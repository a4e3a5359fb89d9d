"""Names of certificates in the vault."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.vault.certificates import certificate_name

TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"


def test_a_plain_name_is_kept_and_the_tenant_follows_it() -> None:
    assert certificate_name("mondoo-ms365", TENANT) == f"mondoo-ms365-{TENANT}"


@given(st.text(min_size=1, max_size=90))
def test_case_e20_every_name_is_legal_in_key_vault(application_name: str) -> None:
    name = certificate_name(application_name, TENANT)
    assert re.fullmatch(r"[a-z][0-9a-zA-Z-]{0,126}", name)
    assert name.endswith(TENANT)


@pytest.mark.parametrize(
    "application_name",
    [
        "fabrikam.onmicrosoft.com",
        "10/09/2026 08:00:00",
        "Ünïcødé",
        "O'Brien & Söhne",
        "-",
        "9-lives",
    ],
)
def test_case_e20_domains_dates_and_other_words_make_legal_names(application_name: str) -> None:
    assert re.fullmatch(r"[a-z][0-9a-z-]{0,126}", certificate_name(application_name, TENANT))


@given(
    st.lists(
        st.text("aA-. é1", min_size=1, max_size=8) | st.text(min_size=1, max_size=90),
        min_size=2,
        max_size=2,
        unique=True,
    )
)
def test_two_application_names_never_share_a_certificate(names: list[str]) -> None:
    # Key Vault ignores case.
    first, second = (certificate_name(name, TENANT).lower() for name in names)
    assert first != second


def test_a_name_that_looks_like_a_hashed_one_is_kept_apart() -> None:
    hashed = certificate_name("Mondoo", TENANT)
    lookalike = hashed.removesuffix(f"-{TENANT}")
    assert certificate_name(lookalike, TENANT) != hashed
