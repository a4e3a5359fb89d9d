"""The clean environment, and what the local host brings along into it.

In Azure the host and its worker stand beside the app with packages of their own (gRPC among them);
the app's are only what ``requirements.txt`` says. Here it is the same: the environment has the
requirements and nothing else, and the local host adds the durable engine that it stands on in a
folder of its own, behind the environment on the import path. Simulators run in another process.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements.txt"
ENVIRONMENT = ROOT / ".venv-package"
PYTHON = ENVIRONMENT / "bin" / "python"
HOST_STANDS_ON = "durabletask"


def make() -> None:
    """Make the environment, unless it is there for these requirements."""
    mark = ENVIRONMENT / ".ready"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if mark.is_file() and mark.read_text() == wanted:
        return
    print("test-package: making .venv-package", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
    # Without bytecode: most of the Graph SDK is never imported, and compiling it takes longest.
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    subprocess.run([str(PYTHON), *install, "-r", str(REQUIREMENTS)], check=True)
    mark.write_text(wanted)


def required() -> set[str]:
    """The distributions that the app asks for, normalized."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return {_name(line) for line in lines}


def host_folder(folder: Path) -> Path:
    """A folder with the local host, and with the engine it stands on; links, no copies."""
    (folder / "local").symlink_to(ROOT / "local")
    for distribution in _beside_the_app(HOST_STANDS_ON, set()):
        for file in distribution.files or ():
            if ".." in file.parts or file.suffix == ".pyc":
                continue  # a program, which is not imported
            link = folder / file
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path(str(file.locate())).resolve())
    return folder


def _beside_the_app(name: str, seen: set[str]) -> Iterator[importlib.metadata.Distribution]:
    """A distribution and all it needs, but for what the app has anyway."""
    if name in seen | required():
        return
    seen.add(name)
    distribution = importlib.metadata.distribution(name)
    yield distribution
    for requirement in distribution.requires or ():
        if "extra ==" not in requirement:
            yield from _beside_the_app(_name(requirement), seen)


def _name(requirement: str) -> str:
    name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()
