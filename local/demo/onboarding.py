"""First chapter: the sample tenants are onboarded, step by step.

A table at the end says of each whether it ended as it should.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from local.demo.stage import Stage
from local.samples import Sample

SERVICES = ("graph", "vault", "mondoo")


@dataclass
class Ending:
    """What became of one sample, with the number of requests by service and the seconds it took."""

    sample: Sample
    status: str
    requests: dict[str, int]
    seconds: float
    wrong: str | None


def onboard_samples(stage: Stage, samples: list[Sample]) -> list[str]:
    """Run the chapter; what went wrong, as sentences."""
    endings = [_onboard(stage, sample) for sample in samples]
    _table(endings)
    return [f"{ending.sample.domain}: {ending.wrong}" for ending in endings if ending.wrong]


def _onboard(stage: Stage, sample: Sample) -> Ending:
    print(f"\n{sample.domain}, {sample.story}")
    journal = stage.simulators.journal
    first = len(journal.calls)
    began = time.monotonic()
    operation = stage.run("/api/tenants", {"tenant": sample.domain, **sample.choices})
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
    _coverage(operation)
    if operation["status"] != sample.status:
        wrong: str | None = f"ended {operation['status']} instead of {sample.status}"
    else:
        wrong = sample.holds(operation)
    return Ending(sample, operation["status"], requests, seconds, wrong)


def _coverage(operation: dict[str, Any]) -> None:
    """What the scans cover of each service, and why not more."""
    stated = [each for step in operation["steps"] for each in step.get("coverage", [])]
    print("  coverage:" + ("" if stated else " none, since no scan was made"))
    for service in stated:
        reasons = "; ".join(
            f"{cause['kind']}: {', '.join(cause.get('subjects', [])) or cause['message']}"
            f" ({cause['code']})"
            for cause in service.get("causes", [])
        )
        print(f"    {service['service']:<11} {service['state']:<12} {reasons}".rstrip())


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
