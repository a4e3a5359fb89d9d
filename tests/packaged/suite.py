"""The package runs with its requirements alone: by itself, and a whole life on the local host."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.package import package
from local.stack import LocalStack
from tests.driving import eventually
from tests.packaged.environment import PYTHON, host_folder, required

SETTINGS = {
    "HOME_TENANT_ID": "6f2c7a4e-1111-4222-8333-9a1b2c3d4e5f",
    "KEY_VAULT_URL": "https://onboarding.vault.azure.net",
    "TENANT_RECORDS": "https://onboarding.table.core.windows.net",
}

ALONE = """\
import asyncio, importlib.metadata, json, sys
import azure.functions as func
import function_app

functions = {each.get_function_name(): each for each in function_app.app.get_functions()}
request = func.HttpRequest(method="GET", url="/api/health", headers={}, body=b"")
answer = asyncio.run(functions["health"].get_user_function()(req=request))
print(json.dumps({
    "installed": [each.name for each in importlib.metadata.distributions()],
    "functions": sorted(functions),
    "health": answer.status_code,
    "bytecode": [
        module.__cached__
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "shared" and getattr(module, "__file__", None)
    ],
}))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package in an empty folder."""
    archive = tmp_path_factory.mktemp("zip") / "onboarding.zip"
    assert package(archive) == 0
    folder = tmp_path_factory.mktemp("package")
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def alone(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the app says of itself, loaded from its folder with the settings of a deployment."""
    # The functions of Partner Center are there only with this; it is read at the first event.
    authorities = tmp_path_factory.mktemp("authorities") / "authorities.pem"
    authorities.touch()
    done = subprocess.run(
        [str(PYTHON), "-c", ALONE],
        cwd=unpacked,
        env={**SETTINGS, "PARTNER_CENTER_CA_FILE": str(authorities)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_nothing_is_installed_but_the_requirements(alone: dict[str, Any]) -> None:
    installed = {name.lower().replace("_", "-").replace(".", "-") for name in alone["installed"]}
    assert installed - {"pip", "setuptools"} == required()


def test_every_function_is_found_and_health_is_answered(
    alone: dict[str, Any], stack: LocalStack
) -> None:
    assert alone["functions"] == sorted(each.name for each in stack.host.functions)
    assert alone["health"] == 200


def test_the_bytecode_of_the_package_is_what_runs(alone: dict[str, Any], unpacked: Path) -> None:
    assert alone["bytecode"]
    assert all(Path(cached).is_relative_to(unpacked) for cached in alone["bytecode"])


class Hosted:
    """The package on the local host, in a process of the clean environment."""

    def __init__(self, unpacked: Path, brought: Path, settings: dict[str, str]) -> None:
        script = Path(__file__).with_name("host.py")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        self._child = subprocess.Popen(
            [str(PYTHON), "-P", str(script), str(unpacked), str(brought)],
            cwd=unpacked,
            env=inherited,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(settings) + "\n")
        self._child.stdin.flush()
        self.http = httpx.Client(base_url=self._answer()["url"], timeout=30)

    def ended(self, answer: httpx.Response) -> str:
        """How the operation that a request started has ended."""
        assert answer.status_code == 202, answer.text

        def status() -> str | None:
            operation = self.http.get(answer.headers["Location"]).json()
            return operation["status"] if "finishedAt" in operation else None

        return eventually(status, "the operation has ended")

    def stop(self) -> dict[str, str]:
        """End it; the modules that it had loaded by then, and their files."""
        self.http.close()
        assert self._child.stdin is not None
        self._child.stdin.close()
        loaded = self._answer()
        assert self._child.wait(timeout=60) == 0
        return loaded

    def kill(self) -> None:
        """Leave no process behind, whatever went wrong."""
        self._child.kill()
        self._child.wait()
        assert self._child.stdout is not None
        self._child.stdout.close()

    def _answer(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        assert line, "the host ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


@pytest.fixture
def services() -> Iterator[LocalStack]:
    """The simulators, in our own process."""
    with LocalStack(host=False) as running:
        yield running


def test_a_tenant_lives_its_whole_life_on_it(
    unpacked: Path, services: LocalStack, domain: str, tmp_path: Path
) -> None:
    """Clients are loaded when they are first used, so what is missing would show only here."""
    simulators = services.simulators
    tenant = simulators.run(lambda: simulators.world.add_tenant(domain))
    hosted = Hosted(unpacked, host_folder(tmp_path), services.settings)
    try:
        http, path = hosted.http, f"/api/tenants/{tenant.id}"
        assert http.get("/api/health").status_code == 200
        assert hosted.ended(http.post("/api/tenants", json={"tenant": domain})) == "succeeded"
        assert hosted.ended(http.post(f"{path}/audit")) == "succeeded"
        assert "<html" in http.get(f"{path}/report?format=html").text
        assert hosted.ended(http.post(f"{path}/rotate")) == "succeeded"
        assert hosted.ended(http.delete(path)) == "succeeded"
        loaded = hosted.stop()
    finally:
        hosted.kill()
    ours = {name: file for name, file in loaded.items() if name.split(".")[0] == "shared"}
    assert "shared.entra.graph" in ours
    assert all(Path(file).is_relative_to(unpacked) for file in ours.values())
    assert "pytest" not in loaded
    assert not [name for name in loaded if name.startswith(("tests", "local.simulators"))]
