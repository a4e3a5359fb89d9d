"""Requests and time of a first and a second onboarding of one tenant, on the local stack."""

from __future__ import annotations

import time

from local.stack import LocalStack
from tests.driving import Driver, Watch

LIMITS = {"first": 14, "second": 5}


def measure() -> int:
    """Print the figures; 1 when Graph was asked more often than allowed."""
    over = 0
    with LocalStack() as stack, Driver(stack) as product:
        stack.simulators.run(lambda: stack.simulators.world.add_tenant("bench.onmicrosoft.com"))
        for which, limit in LIMITS.items():
            began = time.perf_counter()
            with Watch(stack.simulators) as watch:
                product.onboard("bench.onmicrosoft.com")
            took = time.perf_counter() - began
            counts = {name: watch.count(name) for name in ("graph", "vault", "mondoo")}
            print(
                f"{which} onboarding: {took:.1f} s; requests: Graph {counts['graph']} (at most"
                f" {limit}), Key Vault {counts['vault']}, Mondoo {counts['mondoo']};"
                f" writes: {len(watch.writes('graph', 'vault', 'mondoo'))}"
            )
            over |= counts["graph"] > limit
    return int(over)
