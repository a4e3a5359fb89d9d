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
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from local.stack import LocalStack
from shared.audit import history
from shared.config import load_settings
from shared.context import Context
from shared.models import OperationKind, TenantRecord
from tests.benchmarks.seeding import onboarded_tenants
from tests.driving import Watch, eventually
from tests.product_process import ProductProcess, peak_megabytes, processor_seconds

SIZES = (250, 1000, 2000)
CONCURRENCY = 40
SETTINGS = {"AUDIT_CONCURRENCY": str(CONCURRENCY), "POLL_FIRST_SECONDS": "0.5"}
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

SLOWER_LIMIT = 2.0
DEARER_LIMIT = 1.5
"""How many times as long, and as much computing, one tenant may take in the largest fleet as in the
smallest. Time depends on what else the machine does, computing hardly."""


@dataclass(frozen=True)
class Measured:
    """One size. ``audits`` and ``reports`` count tenants by how many they have; ``strange_reads``
    those that Graph was not asked about, or more often than their audit was attempted."""

    size: int
    seconds: float
    run: dict[str, Any]
    audits: dict[str, int]
    reports: dict[str, int]
    strange_reads: int
    graph_requests_clean: int
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

    @property
    def computing(self) -> float:
        """Milliseconds of a processor for each tenant, in the product."""
        return 1000 * self.processor_seconds / self.size

    def problems(self) -> list[str]:
        """The limits that it breaks."""
        once = {"1": self.size}
        run = self.run
        found = {
            "not all were audited": run["phase"] != "done" or run["audited"] != self.size,
            "not all are clean": run["clean"] != self.size,
            "some were left out or audited twice": self.audits != once or self.reports != once,
            "some were not read, or more often than need be": self.strange_reads > 0,
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
        f" every {THROTTLE_EVERY}th call answered 429",
        flush=True,
    )
    measured = []
    for size in SIZES:
        one = _in_fresh_process(size)
        measured.append(one)
        print(
            f"  {size:4} tenants: {one.seconds:.1f} s, {one.rate:.1f} tenants/s; audited"
            f" {one.run['audited']}, clean {one.run['clean']}, {one.throttled} answers 429; peak"
            f" memory {one.peak_megabytes:.0f} MB (at most {MEMORY_LIMIT:.0f}); longest history"
            f" {one.longest_history / 1000:.0f} kB (at most {HISTORY_LIMIT / 1000:.0f})"
        )
        print(
            f"    {one.computing:.0f} ms of a processor for each tenant; the simulators took"
            f" {one.simulators_processor_seconds:.0f} s and {one.simulators_megabytes:.0f} MB",
            flush=True,
        )
        for problem in one.problems():
            print(f"    over the limit: {problem}", flush=True)
    small, large = measured[0], measured[-1]
    slower, dearer = small.rate / large.rate, large.computing / small.computing
    print(
        f"  a tenant among {large.size} takes {slower:.2f} times as long as one among {small.size}"
        f" (at most {SLOWER_LIMIT}), and {dearer:.2f} times the computing (at most {DEARER_LIMIT})"
    )
    print(
        f"  Graph requests of one clean audit: {large.graph_requests_clean} (at most {GRAPH_LIMIT})"
    )
    broken = any(one.problems() for one in measured)
    return int(broken or slower > SLOWER_LIMIT or dearer > DEARER_LIMIT)


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
    with LocalStack(host=False, settings=SETTINGS) as stack:
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
        calls = stack.simulators.journal.select(batch=False)
        reads = Counter(
            call.tenant for call in calls if call.service == "graph" and call.status == 200
        )
        kept = asyncio.run(_kept(stack, tenants, not_counted=clean.operation_id))
        strange = sum(
            not 1 <= reads[tenant_id] <= attempts for tenant_id, attempts in kept.attempts.items()
        )
        return Measured(
            size=size,
            seconds=seconds,
            run=run,
            audits=dict(kept.audits),
            reports=dict(kept.reports),
            strange_reads=strange,
            graph_requests_clean=clean.graph_requests,
            throttled=sum(call.status == 429 for call in calls),
            peak_megabytes=cost["peakMegabytes"],
            simulators_megabytes=peak_megabytes(),
            processor_seconds=cost["processorSeconds"] - computed,
            simulators_processor_seconds=own,
            longest_history=max(cost["histories"].values()),
        )


@dataclass(frozen=True)
class _CleanAudit:
    operation_id: str
    graph_requests: int


def _one_clean_audit(stack: LocalStack, http: httpx.Client, tenant: TenantRecord) -> _CleanAudit:
    """Audit one tenant, before the weather turns."""
    with Watch(stack.simulators) as watch:
        answer = http.post(f"/api/tenants/{tenant.tenant_id}/audit").raise_for_status()

        def ended() -> dict[str, Any] | None:
            operation: dict[str, Any] = http.get(answer.headers["Location"]).json()
            return operation if "finishedAt" in operation else None

        operation = eventually(ended, "one tenant was audited")
    return _CleanAudit(operation["id"], watch.count("graph"))


def _run(http: httpx.Client) -> dict[str, Any]:
    """A run from its start to its end."""
    http.post("/api/audit").raise_for_status()

    def ended() -> dict[str, Any] | None:
        run: dict[str, Any] = http.get("/api/audit").json()
        return run if run["phase"] in ("done", "stopped", "failed") else None

    return eventually(ended, "the run has ended", seconds=LONGEST_SECONDS, every=LOOK_EVERY_SECONDS)


@dataclass
class _Kept:
    """What is on record of the run: tenants by their number of audits and of reports, and how often
    the audit of each was attempted."""

    audits: Counter[str] = field(default_factory=Counter)
    reports: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)


async def _kept(stack: LocalStack, tenants: list[TenantRecord], *, not_counted: str) -> _Kept:
    context, kept = Context(load_settings(stack.settings)), _Kept()
    try:
        for tenant_id in (tenant.tenant_id for tenant in tenants):
            operations = [
                each
                for each in await context.records.operations(tenant_id, 10)
                if each.kind is OperationKind.AUDIT and each.id != not_counted
            ]
            reports = [
                each
                for each in await history.newest(context.records, tenant_id, 10)
                if each.operation_id != not_counted
            ]
            kept.audits[str(len(operations))] += 1
            kept.reports[str(len(reports))] += 1
            kept.attempts[tenant_id] = sum(each.step("audit").attempts for each in operations)
    finally:
        await context.aclose()
    return kept


if __name__ == "__main__":
    print(json.dumps(asdict(measure_one(int(sys.argv[1])))))
