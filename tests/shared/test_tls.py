"""Which authorities our clients trust."""

from __future__ import annotations

import ssl
from dataclasses import replace

from shared.config import Settings
from shared.tls import client_context


def names(context: ssl.SSLContext) -> int:
    return context.cert_store_stats()["x509_ca"]


def test_contexts_always_verify(settings: Settings) -> None:
    context = client_context(settings)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_one_more_authority_is_added_to_the_public_ones(settings: Settings) -> None:
    public = client_context(replace(settings, trusted_ca_file=None))
    assert names(public) > 50
    assert names(client_context(settings)) == names(public) + 1


def test_the_same_authorities_share_a_context(settings: Settings) -> None:
    assert client_context(settings) is client_context(replace(settings, manifest="2026-09"))
