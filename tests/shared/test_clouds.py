"""Which hosts are Key Vaults of a cloud: only these are ever sent a token of ours."""

from __future__ import annotations

import msgspec
import pytest

from shared.clouds import CLOUDS


@pytest.mark.parametrize(
    ("cloud", "given", "url"),
    [
        ("global", "contoso-kv", "https://contoso-kv.vault.azure.net"),
        ("global", " Contoso-KV ", "https://contoso-kv.vault.azure.net"),
        ("global", "https://Contoso-KV.vault.azure.net/", "https://contoso-kv.vault.azure.net"),
        ("usgov", "contoso-kv", "https://contoso-kv.vault.usgovcloudapi.net"),
        ("usgov-dod", "contoso-kv", "https://contoso-kv.vault.usgovcloudapi.net"),
        ("china", "https://contoso-kv.vault.azure.cn", "https://contoso-kv.vault.azure.cn"),
        # Another cloud, another service, another host that only looks like one.
        ("global", "https://contoso-kv.vault.azure.cn", None),
        ("china", "https://contoso-kv.vault.azure.net", None),
        ("global", "http://contoso-kv.vault.azure.net", None),
        ("global", "https://contoso-kv.vault.azure.net:8443", None),
        ("global", "https://contoso-kv.vault.azure.net/certificates/one", None),
        ("global", "https://contoso-kv.vault.azure.net.evil.example", None),
        ("global", "https://evil.example/contoso-kv.vault.azure.net", None),
        ("global", "https://evil.example#.vault.azure.net", None),
        ("global", "https://user@contoso-kv.vault.azure.net", None),
        ("global", "https://a.b.vault.azure.net", None),
        ("global", "https://contoso-kvxvault.azure.net", None),
        ("global", "https://contoso-kv.vault.azure.net\n.evil.example", None),
        ("global", "https://.vault.azure.net", None),
        ("global", "evil.example", None),
        ("global", "ab", None),
        ("global", "", None),
    ],
)
def test_a_vault_is_a_name_or_an_address_under_the_clouds_own_domain(
    cloud: str, given: str, url: str | None
) -> None:
    assert CLOUDS[cloud].vault_url(given) == url


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("8443", "https://127.0.0.1:8443"),
        ("https://127.0.0.1:8443", "https://127.0.0.1:8443"),
        ("othervault", None),
        ("70000", None),
    ],
)
def test_where_there_is_no_cloud_a_vaults_name_is_a_port(given: str, url: str | None) -> None:
    local = msgspec.structs.replace(CLOUDS["global"], vault="https://127.0.0.1:{name}")
    assert local.vault_url(given) == url
