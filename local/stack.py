"""The whole product on one machine: simulators, settings, and the real app on the local host.

`LocalStack` starts the simulated services, writes what a deployment would set (endpoints of the
"cloud", the authority to trust, the identity) and starts ``function_app.py``, unchanged, on the
local Functions host. Everything is on loopback and on free ports, and everything is forgotten when
it stops.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from local.simulators import Simulators
from shared.clouds import Cloud

if TYPE_CHECKING:
    from local.host import FunctionsHost

APP_FILE = Path(__file__).resolve().parent.parent / "function_app.py"

FAST_WAITS = {
    "POLL_FIRST_SECONDS": "0.2",
    "POLL_LONGEST_SECONDS": "1",
    "PROPAGATION_DEADLINE_SECONDS": "60",
    "SCAN_DEADLINE_SECONDS": "60",
    "ROTATION_OVERLAP_HOURS": "0.0005",
}
"""The simulators replicate within seconds, so we ask more often than one would in the cloud, and
two certificates stay side by side for two seconds only."""


class LocalStack:
    """Simulators and host together; a context manager.

    ``settings`` override what the stack sets itself. ``host=False`` starts the simulators only, for
    tests that call steps and clients directly with `settings`. ``print_level``: log records of this
    level and above are printed to stderr.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        auth: bool = False,
        host: bool = True,
        settings: Mapping[str, str] | None = None,
        print_level: int | None = None,
    ) -> None:
        self._port = port
        self._print_level = print_level
        self._auth = auth
        self._with_host = host
        self._overrides = dict(settings or {})
        self._folder = tempfile.TemporaryDirectory(prefix="mondoo-onboarding-")
        self._environment_before: dict[str, str | None] = {}
        self.simulators = Simulators()
        self.settings: dict[str, str] = {}
        self.host: FunctionsHost

    @property
    def folder(self) -> Path:
        """Where the stack keeps its files while it runs."""
        return Path(self._folder.name)

    @property
    def records_file(self) -> Path:
        """The SQLite file of the tenant records."""
        return self.folder / "tenants.db"

    def start(self) -> LocalStack:
        """Start everything; returns when requests are answered."""
        self.simulators.start()
        try:
            self.settings = {**self._settings(), **self._overrides}
            self._set_managed_identity_endpoint()
            if self._with_host:
                # The host stands on the 1.x SDK; without it the stack also serves the 2.x target.
                from local.host import FunctionsHost

                self.host = FunctionsHost(
                    APP_FILE,
                    self.settings,
                    port=self._port,
                    auth=self._auth,
                    print_level=self._print_level,
                    # The platform ends the process; here the app's clients must be closed.
                    on_stop=lambda app: app.context.aclose(),
                )
                self.host.start()
        except BaseException:
            self._tidy()
            raise
        return self

    def stop(self) -> None:
        """Stop everything and forget it."""
        try:
            if self._with_host:
                self.host.stop()
        finally:
            self._tidy()

    def __enter__(self) -> LocalStack:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _tidy(self) -> None:
        self.simulators.stop()
        for name, value in self._environment_before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._folder.cleanup()

    def _settings(self) -> dict[str, str]:
        world = self.simulators.world
        return {
            "CLOUD_ENDPOINTS_FILE": str(self._cloud_file()),
            "TRUSTED_CA_FILE": str(self.simulators.ca_file),
            "IDENTITY": "federated",
            "HOME_TENANT_ID": world.home.id,
            "MANAGED_IDENTITY_CLIENT_ID": world.managed_identity.app_id,
            "ONBOARDING_CLIENT_ID": world.home_app.app_id,
            "KEY_VAULT_URL": self.simulators.urls["vault"],
            "MONDOO_SPACE_MRN": "//captain.api.mondoo.app/spaces/demo-space",
            "TENANT_RECORDS": f"sqlite:{self.records_file}",
            "CONSENT_REDIRECT_URL": "https://onboarding.example/api/consent/callback",
            "PARTNER_CENTER_CA_FILE": str(self._partner_ca_file()),
            "PARTNER_CENTER_CERTIFICATE_HOSTS": self.simulators.partner_center.host,
            "EVENT_TOPIC_ENDPOINT": f"{self.simulators.urls['events']}/api/events",
            **FAST_WAITS,
        }

    def _cloud_file(self) -> Path:
        urls = self.simulators.urls
        cloud = Cloud(
            name="local",
            login=urls["entra"],
            graph=urls["graph"],
            portal=urls["entra"],
            exchange=urls["exchange"],
            sharepoint=urls["sharepoint"] + "/{name}",
            compliance="https://ps.compliance.protection.outlook.com",
            resource_manager=urls["resource-manager"],
            # A vault is known by its port, as elsewhere by the name in its host.
            vault="https://127.0.0.1:{name}",
            published=False,
        )
        path = self.folder / "cloud.json"
        path.write_bytes(msgspec.json.encode(cloud))
        return path

    def _partner_ca_file(self) -> Path:
        path = self.folder / "partner-center.pem"
        path.write_bytes(self.simulators.partner_center.chain.authorities)
        return path

    def _set_managed_identity_endpoint(self) -> None:
        """What App Service sets for an app with a managed identity; the SDK reads it itself."""
        for name, value in self.simulators.managed_identity.environment().items():
            self._environment_before[name] = os.environ.get(name)
            os.environ[name] = value
