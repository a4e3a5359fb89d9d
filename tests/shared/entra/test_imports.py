"""A cold start pays for nothing it does not use, and never for the SDK's models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import shared.entra
from local.simulators.tenant import SimulatedTenant
from shared.entra.graph import GraphClient

HEAVY = (
    "msgraph",
    "msgraph_core",
    "kiota_http",
    "azure.identity",
    "azure.core",
    "cryptography",
    "aiohttp",
)


def test_importing_our_modules_loads_no_sdk() -> None:
    folder = Path(shared.entra.__file__).parent
    # The one module that is loaded with the first request instead.
    modules = sorted({path.stem for path in folder.glob("*.py")} - {"__init__", "graph_transport"})
    program = (
        "import sys;"
        + "".join(f"import shared.entra.{name};" for name in modules)
        + f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


async def test_real_calls_load_no_model_of_the_sdk(
    graph: GraphClient, tenant: SimulatedTenant
) -> None:
    assert await graph.get("organization")
    await graph.patch(
        "applications(uniqueName='x')",
        {"displayName": "x"},
        headers={"Prefer": "create-if-missing"},
    )
    loaded = [name for name in sys.modules if name.startswith("msgraph.generated.models")]
    assert loaded == []
