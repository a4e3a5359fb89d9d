"""Runs the suites of the next target in an environment of their own: `python -m tests.next.launch`.

Works under any python3. Where no Python 3.13 can be found it says so and succeeds: the versions
tested here cannot run at all on older ones. Otherwise the environment `.venv-next` is made from
`requirements-next.txt` (once for each content of that file), and each `suite_*.py` gets a process.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = (3, 13)
ROOT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = ROOT / ".venv-next"
REQUIREMENTS = ROOT / "requirements-next.txt"


def main() -> int:
    """Find Python, make the environment, run every suite; returns the exit code."""
    python = find_python()
    if python is None:
        version = ".".join(map(str, VERSION))
        print(f"test-next: skipped, no Python {version} was found on this machine")
        return 0
    ready = make_environment(python)
    failed = [name for name in suites() if not run_suite(ready, name)]
    for name in failed:
        print(f"test-next: {name} failed")
    return 1 if failed else 0


def find_python() -> str | None:
    """A Python of the wanted version: this one, on the path, or one that pyenv has installed."""
    name = "python" + ".".join(map(str, VERSION))
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    pattern = os.path.join(pyenv, "versions", name.removeprefix("python") + ".*", "bin", "python")
    candidates = [sys.executable, shutil.which(name), *sorted(glob.glob(pattern), reverse=True)]
    return next((each for each in candidates if each and version_of(each) == VERSION), None)


def version_of(python: str) -> tuple[int, ...] | None:
    """Version of an interpreter; None if it does not start (a shim without a version behind it)."""
    question = "import sys; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [python, "-c", question], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return tuple(int(part) for part in answer.stdout.split())


def make_environment(python: str) -> Path:
    """Python of the environment, made anew if the requirements have changed."""
    inside = ENVIRONMENT / "bin" / "python"
    marker = ENVIRONMENT / ".ready"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if not (marker.is_file() and marker.read_text() == wanted):
        print("test-next: making .venv-next", flush=True)
        subprocess.run([python, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([str(inside), *install, "-r", str(REQUIREMENTS)], check=True)
        marker.write_text(wanted)
    return inside


def suites() -> list[str]:
    """Modules of all suites."""
    folder = Path(__file__).parent
    return [f"tests.next.{path.stem}" for path in sorted(folder.glob("suite_*.py"))]


def run_suite(python: Path, module: str) -> bool:
    """Run one suite in a process of its own; whether it passed."""
    print(f"test-next: {module}", flush=True)
    return subprocess.run([str(python), "-m", "tests.next.run", module], cwd=ROOT).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
