"""The simulated services without the host, and our own identity, for tests of single clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from local.simulators import Simulators
from shared.clouds import Cloud
from shared.config import Settings, load_settings
from shared.entra.identity import Identity


@pytest.fixture(scope="module")
def running() -> Iterator[Simulators]:
    """The simulators of one test module, and the environment of an app with an identity."""
    with Simulators() as simulators, pytest.MonkeyPatch.context() as patch:
        for name, value in simulators.managed_identity.environment().items():
            patch.setenv(name, value)
        yield simulators


@pytest.fixture
def simulators(running: Simulators) -> Iterator[Simulators]:
    """The simulators, with no faults left over from another test."""
    yield running
    running.run(running.faults.clear)


@pytest.fixture
def settings(running: Simulators, tmp_path: Path) -> Settings:
    """What a deployment against the simulators would set."""
    urls = running.urls
    elsewhere = urls["entra"]  # services that these tests do not call
    cloud = Cloud(
        name="local",
        login=urls["entra"],
        graph=elsewhere,
        portal=elsewhere,
        exchange=elsewhere,
        sharepoint=elsewhere,
        compliance=elsewhere,
        published=False,
    )
    cloud_file = tmp_path / "cloud.json"
    cloud_file.write_bytes(msgspec.json.encode(cloud))
    return load_settings(
        {
            "CLOUD_ENDPOINTS_FILE": str(cloud_file),
            "TRUSTED_CA_FILE": str(running.ca_file),
            "IDENTITY": "managed-identity",
            "HOME_TENANT_ID": running.world.home.id,
            "MANAGED_IDENTITY_CLIENT_ID": running.world.managed_identity.app_id,
            "KEY_VAULT_URL": urls["vault"],
            "TENANT_RECORDS": urls.get("tables", elsewhere),
            "EVENT_TOPIC_ENDPOINT": f"{urls['events']}/api/events",
        }
    )


@pytest.fixture
async def identity(settings: Settings) -> AsyncIterator[Identity]:
    """Who we are; closed when the test ends."""
    ours = Identity(settings)
    yield ours
    await ours.aclose()
