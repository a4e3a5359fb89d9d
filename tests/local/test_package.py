"""The deployment package: the same bytes each time, only what runs, and it does run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from local.package import FOLDER, ROOT, package

ONLY_REQUIRED = """\
import importlib.metadata, re, sys
from importlib.abc import MetaPathFinder
from pathlib import Path

folder = Path(sys.argv[1])
lines = (folder / "requirements.txt").read_text().splitlines()
required = {re.split(r"[=<>~! ;]", line, maxsplit=1)[0].lower() for line in lines}
owners = importlib.metadata.packages_distributions()

class NotInstalled(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        names = {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners.get(top, [])}
        if names and not names & required and top not in sys.modules:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def only_required():
    sys.meta_path.insert(0, NotInstalled())
"""
"""Makes every package that is not in requirements.txt look as if it were not installed."""

LOADED = (
    ONLY_REQUIRED
    + """
import json
only_required()
import function_app
functions = [f.get_function_name() for f in function_app.app.get_functions()]
shared = [
    module.__cached__
    for name, module in sys.modules.items()
    if name.partition(".")[0] == "shared" and getattr(module, "__file__", None)
]
print(json.dumps({"functions": functions, "bytecode": shared}))
"""
)

HOSTED = (
    ONLY_REQUIRED
    + """
sys.path.append(sys.argv[2])
import httpx, local.demo, local.host, local.simulators, local.stack, local.samples
local.stack.APP_FILE = folder / "function_app.py"
only_required()
with local.stack.LocalStack() as stack:
    health = httpx.get(stack.host.url + "/api/health")
    here = [stack.host.module, sys.modules["shared"], sys.modules["shared.triggers.tenants"]]
    print(health.status_code, all(Path(each.__file__).is_relative_to(folder) for each in here))
"""
)

ENVIRONMENT = {
    "HOME_TENANT_ID": "6f2c7a4e-1111-4222-8333-9a1b2c3d4e5f",
    "KEY_VAULT_URL": "https://onboarding.vault.azure.net",
    "TENANT_RECORDS": "https://onboarding.table.core.windows.net",
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("package") / "onboarding.zip"
    assert package(target) == 0
    return target


@pytest.fixture
def unpacked(archive: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(archive) as content:
        content.extractall(tmp_path)
    return tmp_path


def test_two_packages_are_the_same_bytes_wherever_and_whenever_they_are_made(
    archive: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(ROOT / FOLDER, copy / FOLDER)
    for name in ("function_app.py", "host.json", "requirements.txt"):
        shutil.copy(ROOT / name, copy / name)
    for path in copy.rglob("*.py"):
        os.utime(path, (1, 1))
    again = tmp_path / "again.zip"
    script = "import sys; from pathlib import Path; from local.package import package;"
    script += " package(Path(sys.argv[1]), Path(sys.argv[2]))"
    printed = subprocess.run(
        [sys.executable, "-c", script, str(again), str(copy)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert again.read_bytes() == archive.read_bytes()
    assert re.search(r"\d+ KiB, \d+ files", printed.stdout)


def test_it_holds_what_runs_and_nothing_else(archive: Path) -> None:
    with zipfile.ZipFile(archive) as content:
        names = content.namelist()
    top = {name.split("/", 1)[0] for name in names}
    assert top == {"function_app.py", "host.json", "requirements.txt", "shared", "__pycache__"}
    assert not [name for name in names if re.search(r"(^|/)(tests?|local|docs|infra)/", name)]
    modules = {name for name in names if name.endswith(".py")}
    assert len([name for name in names if name.endswith(".pyc")]) == len(modules)


def test_it_is_what_funcignore_lets_through(archive: Path) -> None:
    ignored = (ROOT / ".funcignore").read_text(encoding="utf-8").split()
    for left_out in ("docs", "infra", "local", "tests", "azure.yaml", "local.settings*.json"):
        assert left_out in ignored


def run(script: str, folder: Path, **environ: str) -> str:
    """What a script prints, run in the folder of the package, whose modules come first."""
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), str(ROOT)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_it_loads_from_a_clean_folder_with_nothing_but_its_requirements(unpacked: Path) -> None:
    told = json.loads(run(LOADED, unpacked, **ENVIRONMENT))
    assert {"health", "onboard_tenant"} <= set(told["functions"])
    assert all(Path(cached).is_relative_to(unpacked) for cached in told["bytecode"])


def test_it_starts_on_the_local_host_with_nothing_but_its_requirements(unpacked: Path) -> None:
    assert run(HOSTED, unpacked).split()[-2:] == ["200", "True"]


def test_its_bytecode_is_used_and_not_written_anew(unpacked: Path) -> None:
    """Python takes bytecode marked as unchecked whatever the date of the source is."""
    before = {path: path.read_bytes() for path in unpacked.rglob("*.pyc")}
    run("import shared.config", unpacked)
    assert {path: path.read_bytes() for path in unpacked.rglob("*.pyc")} == before
