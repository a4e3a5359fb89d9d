"""The deployment package: the same bytes each time, and only what runs.

That it runs with nothing but its requirements is for `tests.packaged` to show.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from local.package import ALONE, FOLDER, ROOT, package


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


def test_it_is_what_funcignore_lets_through() -> None:
    """So that azd, which packs the folder by that file, deploys the same."""
    patterns = (ROOT / ".funcignore").read_text(encoding="utf-8").split()
    made = {".venv", "dist", "local.settings.json", "__pycache__"}
    there = {path.name for path in ROOT.iterdir()} | made
    passed = {name for name in there if not any(fnmatch(name, pattern) for pattern in patterns)}
    assert passed == {*ALONE, FOLDER}


def test_its_bytecode_is_used_and_not_written_anew(unpacked: Path) -> None:
    """Python takes bytecode marked as unchecked whatever the date of the source is."""
    before = {path: path.read_bytes() for path in unpacked.rglob("*.pyc")}
    subprocess.run([sys.executable, "-c", "import shared.config"], cwd=unpacked, check=True)
    assert {path: path.read_bytes() for path in unpacked.rglob("*.pyc")} == before
