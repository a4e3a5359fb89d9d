"""Every certificate file that we have, made by the openssl command line or by our own script, each
with its verdict."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from shared.certificates import read_bundle
from shared.errors import Unusable

FILES = Path(__file__).parents[1] / "fixtures" / "certificates"
NOW = datetime(2026, 12, 24, 12, 0, tzinfo=UTC)
USED = "used"

VERDICTS = {
    # As people come by them; the openssl command line wrote these.
    "openssl/req-x509.pem": USED,
    "openssl/certificate-first.pem": USED,
    "openssl/pkcs12-nodes.pem": USED,  # with bag attributes
    "openssl/x509-text.pem": USED,
    "openssl/rsa-text.pem": USED,
    "openssl/rsa-traditional.pem": USED,
    "openssl/rsa-4096.pem": USED,
    "openssl/issued-with-authority.pem": USED,
    "openssl/authority-first.pem": USED,
    "openssl/ec-with-parameters.pem": "key_not_rsa",
    "openssl/ed25519.pem": "key_not_rsa",
    "openssl/rsa-pss.pem": "key_not_rsa",
    "openssl/rsa-1024.pem": "key_too_short",
    "openssl/encrypted-pkcs8.pem": "key_encrypted",
    "openssl/encrypted-traditional.pem": "key_encrypted",
    "openssl/mismatch.pem": "key_mismatch",
    "openssl/two-keys.pem": "several_keys",
    "openssl/key-only.pem": "certificate_missing",
    "openssl/request.pem": "certificate_missing",
    "openssl/key-and-pkcs7.pem": "certificate_missing",
    "openssl/trusted.pem": "certificate_missing",
    "openssl/certificate-only.pem": "key_missing",
    "openssl/public-key.pem": "key_missing",
    "openssl/pkcs7.pem": "key_missing",
    "openssl/expired.pem": "certificate_expired",
    "openssl/not-yet-valid.pem": "certificate_not_yet_valid",
    "openssl/pair.pfx": "is_pfx",
    "openssl/pair-legacy.pfx": "is_pfx",
    "openssl/pair.cer": "is_der",
    "openssl/key.der": "is_der",
    # As editors, mails and web forms leave them; our own script wrote these.
    "pair.pem": USED,
    "certificate-first.pem": USED,
    "bag-attributes.pem": USED,
    "pkcs1.pem": USED,
    "glued.pem": USED,
    "crlf.pem": USED,
    "cr.pem": USED,
    "mixed-line-ends.pem": USED,
    "byte-order-mark.pem": USED,
    "utf-16-little.pem": USED,
    "utf-16-big.pem": USED,
    "utf-16-without-mark.pem": USED,
    "trailing-spaces.pem": USED,
    "indented.pem": USED,
    "one-line.pem": USED,
    "chain-authority-first.pem": USED,
    "chain-with-curve.pem": USED,
    "renewed-with-one-key.pem": USED,
    "curve.pem": "key_not_rsa",
    "curve-sec1.pem": "key_not_rsa",
    "edwards.pem": "key_not_rsa",
    "rsa-1024.pem": "key_too_short",
    "encrypted.pem": "key_encrypted",
    "encrypted-pkcs1.pem": "key_encrypted",
    "mismatch.pem": "key_mismatch",
    "two-keys.pem": "several_keys",
    "key-only.pem": "certificate_missing",
    "lower-case-markers.pem": "certificate_missing",
    "certificate-only.pem": "key_missing",
    "damaged-certificate.pem": "certificate_unreadable",
    "escaped-line-ends.pem": "key_unreadable",
    "expired.pem": "certificate_expired",
    "not-yet-valid.pem": "certificate_not_yet_valid",
    "cut-off.pem": "not_pem",
    "pair.pfx": "is_pfx",
    "pfx-in-base64.txt": "is_pfx",
    "certificate.cer": "is_der",
}


def test_no_file_is_without_a_verdict() -> None:
    found = (path for path in FILES.rglob("*.*") if path.suffix not in (".py", ".pyc"))
    assert {path.relative_to(FILES).as_posix() for path in found} == set(VERDICTS)


@pytest.mark.parametrize(("name", "verdict"), VERDICTS.items(), ids=VERDICTS.keys())
def test_each_file_gets_its_verdict(name: str, verdict: str) -> None:
    content = (FILES / name).read_bytes()
    if verdict == USED:
        bundle = read_bundle(content, now=NOW)
        leaf = x509.load_der_x509_certificate(bundle.certificate_der)
        assert leaf.subject.rfc4514_string() != "CN=authority"
        assert bundle.pem().count("-----BEGIN ") == 2
        assert read_bundle(bundle.pem(), now=NOW) == bundle
        return
    with pytest.raises(Unusable) as refused:
        read_bundle(content, now=NOW)
    assert refused.value.code == verdict
    assert refused.value.remediation
    told = f"{refused.value.message} {refused.value.remediation}"
    assert not any(line in told for line in content.decode("latin-1").split() if len(line) > 40)
