"""``make demo``: onboard the sample tenants and show what happens, step by step; then let others
arrive by event and by CSV.

Exits 0 only if every tenant ended as it should.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx

from local.arrivals import arrivals
from local.samples import Sample, sample_tenants
from local.stack import LocalStack

LONGEST_SECONDS = 60
BETWEEN_LOOKS = 0.1
SERVICES = ("graph", "vault", "mondoo")

SIGNS = {
    "passed": "✓",
    "changed": "✚",
    "warning": "!",
    "skipped": "·",
    "failed": "✗",
    "unknown": "?",
}


@dataclass
class Ending:
    """What became of one sample, with the number of requests by service and the seconds it took."""

    sample: Sample
    status: str
    requests: dict[str, int]
    seconds: float
    wrong: str | None


def demo() -> int:
    """Run it; the exit code."""
    with LocalStack() as stack, httpx.Client(base_url=stack.host.url, timeout=30) as client:
        samples = sample_tenants(stack.simulators)
        endings = [_onboard(stack, client, sample) for sample in samples]
        _table(endings)
        wrong = [f"{each.sample.domain}: {each.wrong}" for each in endings if each.wrong]
        wrong += arrivals(stack, client)
    for problem in wrong:
        print(f"\n{problem}", file=sys.stderr)
    return 1 if wrong else 0


def _onboard(stack: LocalStack, client: httpx.Client, sample: Sample) -> Ending:
    print(f"\n{sample.domain}, {sample.story}")
    journal = stack.simulators.journal
    first = len(journal.calls)
    began = time.monotonic()
    answer = client.post("/api/tenants", json={"tenant": sample.domain})
    answer.raise_for_status()
    operation = _follow(client, answer.headers["Location"])
    seconds = time.monotonic() - began
    requests = {
        service: sum(
            1
            for call in journal.calls[first:]
            if call.service == service
            and not call.batch
            and not call.agent.startswith("mondoo-scanner")
        )
        for service in SERVICES
    }
    if operation["status"] != sample.status:
        wrong: str | None = f"ended {operation['status']} instead of {sample.status}"
    else:
        wrong = sample.holds(operation)
    return Ending(sample, operation["status"], requests, seconds, wrong)


def _follow(client: httpx.Client, location: str) -> dict[str, Any]:
    """Print each step as it ends, until the operation has."""
    printed = 0
    told: set[tuple[str, str]] = set()
    pause = threading.Event()
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        answer = client.get(location)
        answer.raise_for_status()
        operation: dict[str, Any] = answer.json()
        for step in operation["steps"][printed:]:
            if "outcome" not in step:
                if step.get("code") and (step["name"], step["code"]) not in told:
                    told.add((step["name"], step["code"]))
                    print(f"  … {step['name']:<18} waiting: {step['message']}")
                break
            printed += 1
            sign = SIGNS[step["outcome"]]
            print(f"  {sign} {step['name']:<18} {step['outcome']:<8} {step.get('message', '')}")
            if step["outcome"] in ("failed", "unknown"):
                print(f"    {'':<18} remedy:  {step.get('remediation', '')}")
        if "finishedAt" in operation:
            return operation
        if time.monotonic() > deadline:
            raise TimeoutError(f"{location} did not end within {LONGEST_SECONDS} s")
        pause.wait(BETWEEN_LOOKS)


def _table(endings: list[Ending]) -> None:
    print(f"\n{'tenant':<27}{'what is special':<34}{'status':<12}", end="")
    print(f"{'Graph':>6}{'Vault':>6}{'Mondoo':>7}{'seconds':>9}  as it should")
    for ending in endings:
        counts = ending.requests
        print(
            f"{ending.sample.domain:<27}{ending.sample.story:<34}{ending.status:<12}"
            f"{counts['graph']:>6}{counts['vault']:>6}{counts['mondoo']:>7}{ending.seconds:>9.1f}"
            f"  {'no' if ending.wrong else 'yes'}"
        )
