"""``make demo``: onboard the sample tenants, rotate the certificate of one, offboard another.
What happens is shown step by step, and at the end of an offboarding its receipt.

Exits 0 only if every tenant ended as it should.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx

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
    "planned": "→",
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
        troubles = [
            _rotate(client, "contoso.onmicrosoft.com"),
            _offboard(client, "litware.onmicrosoft.com"),
        ]
    _table(endings)
    wrong = [ending for ending in endings if ending.wrong]
    for ending in wrong:
        print(f"\n{ending.sample.domain}: {ending.wrong}", file=sys.stderr)
    for trouble in filter(None, troubles):
        print(f"\n{trouble}", file=sys.stderr)
    return 1 if wrong or any(troubles) else 0


def _rotate(client: httpx.Client, tenant: str) -> str | None:
    """Give a tenant a new certificate; what went wrong, if anything."""
    print(f"\n{tenant}, gets a new certificate beside its old one")
    before = _record(client, tenant)["certificate"]["thumbprint"]
    answer = client.post(f"/api/tenants/{tenant}/rotate")
    answer.raise_for_status()
    operation = _follow(client, answer.headers["Location"])
    record = _record(client, tenant)
    if operation["status"] != "succeeded" or record["rotation"]["state"] != "finished":
        return f"{tenant}: the rotation ended {operation['status']}"
    after = record["certificate"]["thumbprint"]
    print(f"  {before} was replaced by {after}")
    return f"{tenant}: the certificate is the same" if before == after else None


def _offboard(client: httpx.Client, tenant: str) -> str | None:
    """Remove all of ours from a tenant and show the receipt; what went wrong, if anything."""
    print(f"\n{tenant}, leaves")
    answer = client.delete(f"/api/tenants/{tenant}")
    answer.raise_for_status()
    operation = _follow(client, answer.headers["Location"])
    receipt = _record(client, tenant)["receipt"]
    print(f"  receipt of {receipt['madeAt'][:19]}Z:")
    for entry in receipt["entries"]:
        until = entry.get("recoverableUntil", "")[:10]
        note = f"can be restored until {until}" if until else entry.get("message", "")
        print(f"    {entry['fate']:<8} {entry['kind']:<18} {entry['name']:<58.58} {note}".rstrip())
    if operation["status"] == "succeeded" and receipt["complete"]:
        return None
    return f"{tenant}: the offboarding ended {operation['status']}"


def _record(client: httpx.Client, tenant: str) -> dict[str, Any]:
    answer = client.get(f"/api/tenants/{tenant}")
    answer.raise_for_status()
    record: dict[str, Any] = answer.json()["tenant"]
    return record


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
