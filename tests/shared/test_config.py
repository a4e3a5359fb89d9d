"""Settings: everything wrong is told at once, before the app starts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from shared.clouds import CLOUDS
from shared.config import SETTINGS, IdentityKind, load_settings
from shared.errors import SettingsError

HOME = "6f2c7a4e-1111-4222-8333-9a1b2c3d4e5f"
ENOUGH = {
    "HOME_TENANT_ID": HOME,
    "KEY_VAULT_URL": "https://onboarding.vault.azure.net/",
    "TENANT_RECORDS": "https://onboarding.table.core.windows.net",
}


def test_the_required_settings_are_enough_and_the_rest_has_defaults() -> None:
    settings = load_settings(ENOUGH)
    assert settings.cloud is CLOUDS["global"]
    assert settings.identity is IdentityKind.MANAGED_IDENTITY
    assert settings.key_vault_url == "https://onboarding.vault.azure.net"
    assert settings.manifest == "quick-setup"
    assert settings.application_name == "mondoo-ms365"
    assert settings.waits.propagation_deadline == 900


def test_every_problem_is_listed_in_one_message() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(
            {
                "CLOUD": "moon",
                "IDENTITY": "password",
                "KEY_VAULT_URL": "http://plain.example",
                "MONDOO_SPACE_MRN": "my-space",
                "MANIFEST": "2019",
                "CERTIFICATE_VALIDITY_DAYS": "forever",
                "POLL_FIRST_SECONDS": "0",
                "EVENT_TOPIC_ENDPOINT": "topic",
                "TRUSTED_CA_FILE": "/no/such/file.pem",
            }
        )
    text = str(caught.value)
    for name in (
        "CLOUD",
        "IDENTITY",
        "KEY_VAULT_URL",
        "TENANT_RECORDS",
        "MONDOO_SPACE_MRN",
        "MANIFEST",
        "CERTIFICATE_VALIDITY_DAYS",
        "POLL_FIRST_SECONDS",
        "EVENT_TOPIC_ENDPOINT",
        "TRUSTED_CA_FILE",
    ):
        assert f"  - {name}" in text
    assert len(caught.value.problems) == 10


@pytest.mark.parametrize(
    ("identity", "missing"),
    [
        ("managed-identity", {"HOME_TENANT_ID"}),
        (
            "federated",
            {"HOME_TENANT_ID", "MANAGED_IDENTITY_CLIENT_ID", "ONBOARDING_CLIENT_ID"},
        ),
        ("certificate", {"HOME_TENANT_ID", "ONBOARDING_CLIENT_ID", "ONBOARDING_CERTIFICATE"}),
        ("azure-cli", set()),
    ],
)
def test_each_identity_asks_for_what_it_needs(identity: str, missing: set[str]) -> None:
    environ = {**ENOUGH, "IDENTITY": identity}
    del environ["HOME_TENANT_ID"]
    try:
        load_settings(environ)
        named: set[str] = set()
    except SettingsError as error:
        named = {problem.split(" ", 1)[0] for problem in error.problems}
    assert named == missing


def test_logging_in_to_mondoo_without_a_key_asks_for_where_and_as_whom() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({**ENOUGH, "MONDOO_LOGIN": "keyless"})
    named = {problem.split(" ", 1)[0] for problem in caught.value.problems}
    assert named == {"MONDOO_API_ENDPOINT", "MONDOO_KEYLESS_SCOPE"}


def test_case_e16_a_certificate_for_centuries_is_refused() -> None:
    with pytest.raises(SettingsError, match="CERTIFICATE_VALIDITY_DAYS"):
        load_settings({**ENOUGH, "CERTIFICATE_VALIDITY_DAYS": str(365 * 275)})


def test_case_d11_there_is_no_setting_for_a_client_secret() -> None:
    assert not [setting.name for setting in SETTINGS if "CLIENT_SECRET" in setting.name]


def test_a_cloud_that_is_not_listed_comes_from_a_file(tmp_path: Path) -> None:
    cloud = msgspec.structs.replace(CLOUDS["global"], name="island", published=False)
    file = tmp_path / "cloud.json"
    file.write_bytes(msgspec.json.encode(cloud))
    assert load_settings({**ENOUGH, "CLOUD_ENDPOINTS_FILE": str(file)}).cloud == cloud


def test_a_file_of_endpoints_with_an_unknown_field_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cloud.json"
    file.write_text('{"name": "island", "logon": "https://login.example"}', encoding="utf-8")
    with pytest.raises(SettingsError, match="CLOUD_ENDPOINTS_FILE"):
        load_settings({**ENOUGH, "CLOUD_ENDPOINTS_FILE": str(file)})


def test_the_readme_shows_every_setting_with_its_default() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    for setting in SETTINGS:
        default = f"`{setting.default}`" if setting.default else ""
        assert f"| `{setting.name}` | {default} | {setting.meaning} |" in readme
