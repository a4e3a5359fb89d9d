"""How long the app takes to import, compared with the packages that any such app needs.

Both are measured in turn, in fresh processes, so that the machine's mood falls on both. The limit
is a ratio: our app may take at most 1.5 times what its three unavoidable packages take.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = 7
LIMIT = 1.5
UNAVOIDABLE = "import azure.functions, azure.durable_functions, azure.identity"
APP = "import function_app"
SETTINGS = {
    "IDENTITY": "managed-identity",
    "HOME_TENANT_ID": "6f2c7a4e-1111-4222-8333-9a1b2c3d4e5f",
    "KEY_VAULT_URL": "https://onboarding.vault.azure.net",
    "TENANT_RECORDS": "https://onboarding.table.core.windows.net",
}


def seconds(code: str) -> float:
    """One import in a fresh process, from the process's start to its end."""
    began = time.perf_counter()
    _python(code)
    return time.perf_counter() - began


def measure() -> int:
    """Print the medians and the ratio; 1 when it is over the limit or a model was loaded."""
    for code in (UNAVOIDABLE, APP):
        _python(code)  # byte code is written once
    empty = statistics.median(seconds("pass") for _ in range(RUNS))
    pairs = [(seconds(UNAVOIDABLE), seconds(APP)) for _ in range(RUNS)]
    base, app = (statistics.median(side) - empty for side in zip(*pairs, strict=True))
    ratio = app / base
    loaded = _python(
        f"{APP}; import sys; print(sum('msgraph.generated.models' in m for m in sys.modules))"
    )
    models = int(loaded)
    print(f"cold import: app {app:.3f} s, unavoidable packages {base:.3f} s, ratio {ratio:.2f}")
    print(f"             at most {LIMIT}; msgraph.generated.models modules loaded: {models}")
    return int(ratio > LIMIT or models > 0)


def _python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **SETTINGS},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
