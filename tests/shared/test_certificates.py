"""Certificates: what is accepted, what is refused and why, and what comes out."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption, load_pem_private_key, pkcs12
from hypothesis import given
from hypothesis import strategies as st

from shared.certificates import Bundle, make_bundle, pem_of_pfx, public_part, read_bundle
from shared.errors import Unusable

FILES = Path(__file__).parents[1] / "fixtures" / "certificates"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LEAF = (FILES / "certificate.cer").read_bytes()


def content(name: str) -> bytes:
    return (FILES / name).read_bytes()


def refusal(pem: str | bytes, now: datetime = NOW) -> Unusable:
    with pytest.raises(Unusable) as caught:
        read_bundle(pem, now=now)
    return caught.value


def blocks(pem: str) -> list[str]:
    return re.findall(r"^-----BEGIN (.+)-----$", pem, re.MULTILINE)


@pytest.mark.parametrize(
    "name",
    ["pair.pem", "certificate-first.pem", "bag-attributes.pem", "pkcs1.pem", "glued.pem"],
)
def test_case_f2_key_and_certificate_come_in_any_order_with_any_text_between(name: str) -> None:
    assert read_bundle(content(name), now=NOW).certificate_der == LEAF


@pytest.mark.parametrize(
    "name",
    [
        "crlf.pem",
        "cr.pem",
        "mixed-line-ends.pem",
        "byte-order-mark.pem",
        "utf-16-little.pem",
        "utf-16-big.pem",
        "utf-16-without-mark.pem",
        "trailing-spaces.pem",
        "indented.pem",
        "one-line.pem",
    ],
)
def test_case_f4_untidy_text_comes_out_as_the_same_tidy_pem(name: str) -> None:
    tidy = read_bundle(content("pair.pem"), now=NOW).pem()
    assert read_bundle(content(name), now=NOW).pem() == tidy
    assert "\r" not in tidy


def test_text_is_read_like_bytes_and_a_byte_order_mark_in_it_does_no_harm() -> None:
    text = content("byte-order-mark.pem").decode()
    assert text.startswith("\ufeff")
    assert read_bundle(text, now=NOW) == read_bundle(content("pair.pem"), now=NOW)


def test_case_f11_the_output_is_one_pkcs8_key_and_one_certificate_and_nothing_else() -> None:
    pem = read_bundle(content("pkcs1.pem"), now=NOW).pem()
    assert blocks(pem) == ["PRIVATE KEY", "CERTIFICATE"]
    assert re.sub(r"-----BEGIN (.+)-----\n[A-Za-z0-9+/=\n]+-----END \1-----\n", "", pem) == ""
    key = load_pem_private_key(pem.encode(), password=None)
    leaf = x509.load_pem_x509_certificate(pem.encode())
    assert key.public_key() == leaf.public_key()


def test_the_output_can_be_read_again_and_stays_as_it_is() -> None:
    bundle = read_bundle(content("bag-attributes.pem"), now=NOW)
    assert read_bundle(bundle.pem(), now=NOW) == bundle


def test_a_key_that_was_proven_is_read_alike_and_another_one_is_tested_all_the_same() -> None:
    bundle = read_bundle(content("pair.pem"), now=NOW)
    for proven in (bundle.thumbprint, "0" * 40):
        assert read_bundle(content("pair.pem"), now=NOW, proven=proven) == bundle


def test_thumbprints_and_validity_are_those_of_the_certificate() -> None:
    bundle = read_bundle(content("pair.pem"), now=NOW)
    assert bundle.thumbprint == hashlib.sha1(LEAF).hexdigest().upper()
    assert bundle.thumbprint_sha256 == hashlib.sha256(LEAF).hexdigest().upper()
    assert bundle.not_before == datetime(2026, 1, 1, tzinfo=UTC)
    assert bundle.not_after == datetime(2036, 1, 1, tzinfo=UTC)


def test_case_f8_only_the_leaf_of_a_chain_is_used_even_when_the_authority_comes_first() -> None:
    bundle = read_bundle(content("chain-authority-first.pem"), now=NOW)
    leaf = x509.load_der_x509_certificate(bundle.certificate_der)
    assert leaf.subject.rfc4514_string() == "CN=issued leaf"
    assert blocks(bundle.pem()) == ["PRIVATE KEY", "CERTIFICATE"]


def test_other_certificates_of_a_chain_may_have_keys_of_any_kind() -> None:
    assert public_part(content("chain-with-curve.pem"), now=NOW) == LEAF


def test_of_several_certificates_for_one_key_the_one_that_is_valid_is_used() -> None:
    assert public_part(content("renewed-with-one-key.pem"), now=NOW) == LEAF


@pytest.mark.parametrize("name", ["curve.pem", "curve-sec1.pem", "edwards.pem"])
def test_case_f1_a_key_that_is_not_rsa_is_refused(name: str) -> None:
    assert refusal(content(name)).code == "key_not_rsa"


@pytest.mark.parametrize(
    ("name", "code"),
    [("key-only.pem", "certificate_missing"), ("certificate-only.pem", "key_missing")],
)
def test_case_f3_the_missing_part_is_named(name: str, code: str) -> None:
    assert refusal(content(name)).code == code


@pytest.mark.parametrize(
    "path",
    [
        "/home/admin/mondoo.pem",
        "C:\\Users\\admin\\mondoo.pfx",
        "certificate.pem",
        "~/keys/mondoo",
        "./mondoo certificate.crt\n",
    ],
)
def test_case_f3_a_path_instead_of_content_is_recognised(path: str) -> None:
    error = refusal(path)
    assert error.code == "is_path"
    assert path.strip() not in str(error)


def test_case_f6_a_der_certificate_where_a_private_key_is_needed_is_named() -> None:
    error = refusal(content("certificate.cer"))
    assert error.code == "is_der"
    assert "private key" in error.remediation


def test_case_f6_a_der_certificate_in_base64_is_named_too() -> None:
    assert refusal(base64.b64encode(LEAF).decode()).code == "is_der"


@pytest.mark.parametrize("name", ["encrypted.pem", "encrypted-pkcs1.pem"])
def test_case_f10_an_encrypted_key_is_refused_with_the_way_to_remove_its_password(
    name: str,
) -> None:
    error = refusal(content(name))
    assert error.code == "key_encrypted"
    assert "openssl" in error.remediation


@pytest.mark.parametrize("name", ["pair.pfx", "pfx-in-base64.txt"])
def test_case_f11_a_pfx_is_never_taken_for_pem(name: str) -> None:
    assert refusal(content(name)).code == "is_pfx"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("mismatch.pem", "key_mismatch"),
        ("expired.pem", "certificate_expired"),
        ("rsa-1024.pem", "key_too_short"),
        ("two-keys.pem", "several_keys"),
        ("not-yet-valid.pem", "certificate_not_yet_valid"),
    ],
)
def test_case_f12_what_libraries_accept_silently_is_refused_with_its_own_reason(
    name: str, code: str
) -> None:
    error = refusal(content(name))
    assert error.code == code
    assert error.remediation


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC), "certificate_not_yet_valid"),
        (datetime(2036, 1, 1, tzinfo=UTC), "certificate_expired"),
    ],
)
def test_validity_includes_its_first_second_and_excludes_its_last(now: datetime, code: str) -> None:
    assert refusal(content("pair.pem"), now).code == code
    step = timedelta(seconds=1)
    inside = now + step if code == "certificate_not_yet_valid" else now - step
    assert read_bundle(content("pair.pem"), now=inside).certificate_der == LEAF


@pytest.mark.parametrize(
    ("pem", "code"),
    [
        (b"", "not_pem"),
        ("hello", "not_pem"),
        (b"\x00\x01\x02", "not_pem"),
        (content("cut-off.pem"), "not_pem"),
        (content("lower-case-markers.pem"), "certificate_missing"),
        (content("escaped-line-ends.pem"), "key_unreadable"),
        (content("damaged-certificate.pem"), "certificate_unreadable"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "key_unreadable"),
        ("-----BEGIN PRIVATE KEY-----\nÄÖÜ\n-----END PRIVATE KEY-----\n", "key_unreadable"),
    ],
)
def test_what_cannot_be_read_is_refused_and_says_what(pem: str | bytes, code: str) -> None:
    assert refusal(pem).code == code


@pytest.mark.parametrize("name", sorted(path.name for path in FILES.glob("*.p*")))
def test_no_error_and_no_repr_shows_any_part_of_the_input(name: str) -> None:
    given = content(name).decode("latin-1").replace("\x00", "")
    lines = [line.strip() for line in re.split(r"[\r\n]+| (?=M)", given) if len(line) > 40]
    try:
        shown = repr(read_bundle(content(name), now=NOW))
    except Unusable as error:
        shown = f"{error!r} {error} {error.message} {error.remediation} {error.__cause__}"
    assert all(line not in shown for line in lines)
    assert "-----BEGIN PRIVATE" not in shown


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_any_input_is_either_used_or_refused(pem: bytes | str) -> None:
    assert refusal(pem).code


@given(st.integers(min_value=0, max_value=3000))
def test_a_file_that_was_cut_off_anywhere_is_refused(length: int) -> None:
    whole = content("pair.pem")
    assert refusal(whole[: min(length, len(whole) - 26)]).code


@pytest.fixture(scope="module")
def made() -> Bundle:
    return make_bundle("mondoo-ms365-8a1f0c4e", 29, NOW)


def test_a_certificate_made_here_passes_the_same_checks(made: Bundle) -> None:
    assert read_bundle(made.pem(), now=NOW) == made


def test_a_certificate_made_here_never_lives_longer_than_asked(made: Bundle) -> None:
    assert made.not_after - made.not_before == timedelta(days=29)
    assert made.not_before == NOW - timedelta(minutes=5)


def test_a_certificate_made_here_is_for_signing_in_only(made: Bundle) -> None:
    leaf = x509.load_der_x509_certificate(made.certificate_der)
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert leaf.subject == leaf.issuer


def test_a_pfx_of_the_vault_becomes_pem_with_the_leaf_of_its_key() -> None:
    assert public_part(pem_of_pfx(content("pair.pfx")), now=NOW) == LEAF


def test_a_damaged_pfx_of_the_vault_is_refused() -> None:
    with pytest.raises(Unusable) as caught:
        pem_of_pfx(content("pair.pfx")[:-50])
    assert caught.value.code == "certificate_unreadable"


@pytest.mark.parametrize(("part", "code"), [(0, "certificate_missing"), (1, "key_missing")])
def test_a_pfx_of_the_vault_without_one_of_its_halves_is_refused(part: int, code: str) -> None:
    whole = pkcs12.load_pkcs12(content("pair.pfx"), None)
    assert whole.cert is not None
    key, leaf = (whole.key, None) if part == 0 else (None, whole.cert.certificate)
    half = pkcs12.serialize_key_and_certificates(None, key, leaf, None, NoEncryption())  # type: ignore[arg-type]
    with pytest.raises(Unusable) as caught:
        pem_of_pfx(half)
    assert caught.value.code == code


def test_a_key_of_an_unknown_kind_is_not_rsa() -> None:
    assert refusal(altered("edwards.pem", "PRIVATE KEY")).code == "key_not_rsa"


def test_a_certificate_of_an_unknown_kind_beside_the_leaf_does_no_harm() -> None:
    strange = altered("edwards.pem", "CERTIFICATE").partition("-----BEGIN CERTIFICATE")
    assert public_part(f"{strange[1]}{strange[2]}{content('pair.pem').decode()}", now=NOW) == LEAF


def altered(name: str, label: str) -> str:
    """A file whose block ``label`` names an algorithm that does not exist (1.3.101.127)."""

    def change(match: re.Match[str]) -> str:
        der = base64.b64decode(match[2]).replace(b"\x06\x03\x2b\x65\x70", b"\x06\x03\x2b\x65\x7f")
        return f"{match[1]}{base64.b64encode(der).decode()}\n{match[3]}"

    pattern = rf"(-----BEGIN {label}-----\n)(.+?)(-----END {label}-----)"
    return re.sub(pattern, change, content(name).decode(), flags=re.DOTALL)
