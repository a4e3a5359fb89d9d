"""Which authorities our clients trust."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import certifi
import trustme

from shared.config import Settings
from shared.tls import client_context, connection_verify


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


def test_azure_clients_are_given_one_file_with_all_authorities(
    settings: Settings, tmp_path: Path
) -> None:
    own = tmp_path / "own.pem"
    trustme.CA().cert_pem.write_to_path(str(own))
    changed = replace(settings, trusted_ca_file=own)
    bundle = connection_verify(changed)
    assert isinstance(bundle, str)
    context = ssl.create_default_context(cafile=bundle)
    public = ssl.create_default_context(cafile=certifi.where())
    assert names(context) == names(public) + 1
    assert connection_verify(changed) == bundle


def test_without_an_own_authority_azure_clients_keep_their_default(settings: Settings) -> None:
    assert connection_verify(replace(settings, trusted_ca_file=None)) is True
