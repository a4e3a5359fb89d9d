"""A run over all tenants, for three sizes: is everyone audited, once, and what does it cost?

Every size has fresh processes: the simulators with their tenants in one, the product in another, so
that the product's memory is its own. Calls take a tenth of a second each, and every twentieth of a
service is answered 429, sign-ins included.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx

from local.stack import LocalStack
from shared.config import load_settings
from shared.context import Context
from shared.models import OperationKind, TenantRecord
from tests.benchmarks.seeding import onboarded_tenants
from tests.driving import Watch, eventually
from tests.product_process import ProductProcess, peak_megabytes, processor_seconds

SIZES = (250, 1000, 2000)
CONCURRENCY = 60
LATENCY_SECONDS = 0.1
THROTTLE_EVERY = 20
LONGEST_SECONDS = 900.0
"""For one size; only ends a run that would hang."""

LOOK_EVERY_SECONDS = 0.5
"""Looking at the run costs the product something, too."""

MEMORY_LIMIT = 400.0
"""Megabytes at the peak, of the product's process."""

HISTORY_LIMIT = 1_000_000
"""Bytes."""

GRAPH_LIMIT = 3
"""Graph requests of the audit of a tenant without drift."""

SLOWER_LIMIT = 1.5
"""How many times as long one tenant may take in the largest fleet as in the smallest."""


@dataclass(frozen=True)
class Measured:
    """One size. ``audits`` and ``reports`` count tenants by how many they have."""

    size: int
    seconds: float
    run: dict[str, Any]
    audits: dict[str, int]
    reports: dict[str, int]
    graph_requests_clean: int
    graph_calls: int
    throttled: int
    peak_megabytes: float
    simulators_megabytes: float
    processor_seconds: float
    simulators_processor_seconds: float
    longest_history: int

    @property
    def rate(self) -> float:
        """Tenants per second."""
        return self.size / self.seconds

    def problems(self) -> list[str]:
        """The limits that it breaks."""
        once = {"1": self.size}
        run = self.run
        found = {
            "not all were audited": run["phase"] != "done" or run["audited"] != self.size,
            "not all are clean": run["clean"] != self.size,
            "some were left out or audited twice": self.audits != once or self.reports != once,
            f"over {MEMORY_LIMIT:.0f} MB": self.peak_megabytes > MEMORY_LIMIT,
            "a history is over 1 MB": self.longest_history > HISTORY_LIMIT,
            f"over {GRAPH_LIMIT} Graph requests": self.graph_requests_clean > GRAPH_LIMIT,
            "no call was throttled": not self.throttled,
        }
        return [problem for problem, is_so in found.items() if is_so]


def measure() -> int:
    """Print the figures of every size; 1 when a limit is broken."""
    print(
        f"fleet audit: {CONCURRENCY} tenants at a time, {LATENCY_SECONDS * 1000:.0f} ms a call,"
        f" every {THROTTLE_EVERY}th answered 429"
    )
    measured = [_in_fresh_process(size) for size in SIZES]
    broken = False
    for one in measured:
        print(
            f"  {one.size:5} tenants: {one.seconds:6.1f} s, {one.rate:5.1f} tenants/s;"
            f" audited {one.run['audited']}, clean {one.run['clean']}; {one.throttled} calls"
            f" answered 429;\n"
            f"                 peak memory {one.peak_megabytes:.0f} MB (at most"
            f" {MEMORY_LIMIT:.0f}), longest history {one.longest_history / 1000:.0f} kB (at most"
            f" {HISTORY_LIMIT / 1000:.0f}), simulators {one.simulators_megabytes:.0f} MB"
        )
        for problem in one.problems():
            print(f"                 BROKEN: {problem}")
            broken = True
    small, large = measured[0], measured[-1]
    slower = small.rate / large.rate
    print(
        f"  growth: a tenant takes {slower:.2f} times as long among {large.size} as among"
        f" {small.size} (at most {SLOWER_LIMIT})"
    )
    print(
        f"  Graph requests of one clean audit: {large.graph_requests_clean} (at most {GRAPH_LIMIT})"
    )
    return int(broken or slower > SLOWER_LIMIT)


def _in_fresh_process(size: int) -> Measured:
    told = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.fleet", str(size)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Measured(**json.loads(told.stdout.splitlines()[-1]))


def measure_one(size: int) -> Measured:
    """Audit a fleet of this size."""
    with LocalStack(host=False, settings={"AUDIT_CONCURRENCY": str(CONCURRENCY)}) as stack:
        tenants = onboarded_tenants(stack, size)
        with (
            ProductProcess(stack.settings) as process,
            httpx.Client(base_url=process.url, timeout=60) as http,
        ):
            clean = _one_clean_audit(stack, http, tenants[0])
            weather = stack.simulators.weather
            weather.latency, weather.sign_in = LATENCY_SECONDS, True
            weather.throttle_every, weather.retry_after = THROTTLE_EVERY, 1
            stack.simulators.journal.clear()
            computed = process.cost()["processorSeconds"]
            own = processor_seconds()
            began = time.perf_counter()
            run = _run(http)
            seconds = time.perf_counter() - began
            own = processor_seconds() - own
            weather.latency = weather.throttle_every = 0
            cost = process.cost()
        kept = asyncio.run(_kept(stack, tenants, not_counted=clean[1]))
        calls = stack.simulators.journal.select(batch=False)
        return Measured(
            size=size,
            seconds=seconds,
            run=run,
            audits=kept[0],
            reports=kept[1],
            graph_requests_clean=clean[0],
            graph_calls=sum(call.service == "graph" for call in calls),
            throttled=sum(call.status == 429 for call in calls),
            peak_megabytes=cost["peakMegabytes"],
            simulators_megabytes=peak_megabytes(),
            processor_seconds=cost["processorSeconds"] - computed,
            simulators_processor_seconds=own,
            longest_history=max(cost["histories"].values()),
        )


def _one_clean_audit(
    stack: LocalStack, http: httpx.Client, tenant: TenantRecord
) -> tuple[int, str]:
    """The Graph requests of the audit of one tenant, and the audit's id."""
    with Watch(stack.simulators) as watch:
        answer = http.post(f"/api/tenants/{tenant.tenant_id}/audit").raise_for_status()

        def ended() -> dict[str, Any] | None:
            operation: dict[str, Any] = http.get(answer.headers["Location"]).json()
            return operation if "finishedAt" in operation else None

        operation = eventually(ended, "one tenant was audited")
    return watch.count("graph"), operation["id"]


def _run(http: httpx.Client) -> dict[str, Any]:
    """A run from its start to its end."""
    http.post("/api/audit").raise_for_status()

    def ended() -> dict[str, Any] | None:
        run: dict[str, Any] = http.get("/api/audit").json()
        return run if run["phase"] in ("done", "stopped", "failed") else None

    return eventually(ended, "the run has ended", seconds=LONGEST_SECONDS, every=LOOK_EVERY_SECONDS)


async def _kept(
    stack: LocalStack, tenants: list[TenantRecord], *, not_counted: str
) -> tuple[dict[str, int], dict[str, int]]:
    """How many tenants have how many audits, and how many reports, on record."""
    context = Context(load_settings(stack.settings))
    audits: Counter[str] = Counter()
    reports: Counter[str] = Counter()
    try:
        for tenant in tenants:
            operations = await context.records.operations(tenant.tenant_id, 10)
            ids = {
                each.id
                for each in operations
                if each.kind is OperationKind.AUDIT and each.id != not_counted
            }
            audits[str(len(ids))] += 1
            kept = [
                json.loads(each) for each in await context.records.reports(tenant.tenant_id, 10)
            ]
            reports[str(len({each["operationId"] for each in kept} - {not_counted}))] += 1
    finally:
        await context.aclose()
    return dict(audits), dict(reports)


if __name__ == "__main__":
    from dataclasses import asdict

    print(json.dumps(asdict(measure_one(int(sys.argv[1])))))
