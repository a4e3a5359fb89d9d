"""``make infra-check``: checkov over infra/, in an environment of its own.

checkov ends with 0 when it cannot parse a file, and then has checked nothing in it; here that is a
failure, and so is a template that it never looked at. Its own pin of the Bicep parser is older than
the language we use, so the parser that our tests use is put in its place.

    python -m tests.infra.gate
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
ENVIRONMENT = ROOT / ".venv-infra"
REQUIREMENTS = INFRA / "requirements-check.txt"
DEVELOPMENT = ROOT / "requirements-dev.txt"


def main() -> int:
    """Install, check, print; the exit code."""
    report = check(environment(), INFRA)
    problems = problems_of(report)
    for problem in problems:
        print(f"infra-check: {problem}")
    passed = sum(each["summary"]["passed"] for each in reports(report))
    print(f"infra-check: {passed} checks passed, {len(problems)} problems")
    return 1 if problems else 0


def environment() -> Path:
    """The checkov of the environment, made anew when what it is made from has changed."""
    lines = DEVELOPMENT.read_text(encoding="utf-8").splitlines()
    parser = next(line for line in lines if line.startswith("pycep-parser=="))
    content = REQUIREMENTS.read_text(encoding="utf-8") + parser
    mark = ENVIRONMENT / hashlib.sha256(content.encode()).hexdigest()
    python = ENVIRONMENT / "bin" / "python"
    if not mark.exists():
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", str(REQUIREMENTS)], check=True)
        subprocess.run([*install, "--no-deps", parser], check=True)
        mark.touch()
    return ENVIRONMENT / "bin" / "checkov"


def check(checkov: Path, folder: Path) -> Any:
    """The report of one run as JSON."""
    options = ["--config-file", str(INFRA / "checkov.yaml"), "--skip-download", "--output", "json"]
    done = subprocess.run(
        [str(checkov), *options, "--directory", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        sys.exit(f"infra-check: checkov gave no report:\n{done.stderr[-2000:]}")


def reports(report: Any) -> list[dict[str, Any]]:
    """checkov gives one report, or a list of them; without any finding it gives a bare summary."""
    listed = report if isinstance(report, list) else [report]
    return [each for each in listed if "results" in each]


def problems_of(report: Any) -> list[str]:
    """Every reason to fail."""
    problems = []
    if not reports(report):
        problems.append("nothing was checked")
    for each in reports(report):
        problems += [f"{file} cannot be parsed" for file in each["results"]["parsing_errors"]]
        problems += [
            f"{failed['file_path']}: {failed['check_id']} {failed['check_name']}"
            for failed in each["results"]["failed_checks"]
        ]
    return problems


if __name__ == "__main__":
    sys.exit(main())
