"""The part of the demo in which tenants arrive by themselves: one by event, three by CSV."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx

from local.event_grid import cloud_event, deliver
from local.simulators.tenant import SimulatedTenant
from local.stack import LocalStack

BY_EVENT = "wingtip.onmicrosoft.com"
BY_CSV = ("adatum.onmicrosoft.com", "proseware.onmicrosoft.com", "lucerne.onmicrosoft.com")
LONGEST_SECONDS = 60
BETWEEN_LOOKS = 0.1


def arrivals(stack: LocalStack, client: httpx.Client) -> list[str]:
    """Let them arrive and print what happens; what went wrong, if anything."""
    for domain in (BY_EVENT, *BY_CSV):
        stack.simulators.run(stack.simulators.world.add_tenant, domain)
    return [*_by_event(stack, client), *_by_csv(stack, client)]


def _by_event(stack: LocalStack, client: httpx.Client) -> list[str]:
    print(f"\n{BY_EVENT}, arrives by Event Grid, delivered twice")
    event = cloud_event(BY_EVENT)
    for _ in range(2):
        deliver(client, event).raise_for_status()
    notes = client.get("/api/events").raise_for_status().json()["events"]
    (note,) = [note for note in notes if note.get("id") == event["id"]]
    link = f"/api/operations/{note['operation']}"
    operation = _ended(client, link, lambda shown: "finishedAt" in shown)
    print(f"  {operation['status']}: one operation, {note['operation']}")
    return _wrong(stack, BY_EVENT, operation["status"])


def _by_csv(stack: LocalStack, client: httpx.Client) -> list[str]:
    print("\nthree tenants arrive by CSV, with one line that is bad")
    body = "\r\n".join(["tenant", *BY_CSV, "common", ""])
    answer = client.post(
        "/api/tenants/batch", content=body.encode("utf-8-sig"), headers={"Content-Type": "text/csv"}
    )
    batch = answer.raise_for_status().json()
    batch = _ended(client, batch["links"]["batch"], lambda shown: shown["status"] == "ended")
    for line in batch["lines"]:
        print(f"  line {line['line']}: {line['tenant']:<27}{line['status']:<11}", end="")
        print(line.get("operation") or line["message"])
    wrong = [
        problem
        for line in batch["lines"][: len(BY_CSV)]
        for problem in _wrong(stack, line["tenant"], line["status"])
    ]
    if batch["lines"][-1]["status"] != "refused":
        wrong.append("the bad line was not refused")
    return wrong


def _ended(client: httpx.Client, link: str, has_ended: Any) -> dict[str, Any]:
    pause = threading.Event()
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        shown: dict[str, Any] = client.get(link).raise_for_status().json()
        if has_ended(shown):
            return shown
        if time.monotonic() > deadline:
            raise TimeoutError(f"{link} did not end within {LONGEST_SECONDS} s")
        pause.wait(BETWEEN_LOOKS)


def _wrong(stack: LocalStack, domain: str, status: str) -> list[str]:
    if status != "succeeded":
        return [f"{domain}: ended {status} instead of succeeded"]
    tenant = stack.simulators.world.find(domain)
    assert tenant is not None
    found = stack.simulators.run(_objects, stack, tenant)
    return [] if found == (1, 1) else [f"{domain}: {found} applications and integrations"]


def _objects(stack: LocalStack, tenant: SimulatedTenant) -> tuple[int, int]:
    """How many applications of ours and integrations there are."""
    ours = [app for app in tenant.applications.values() if app.display_name == "mondoo-ms365"]
    integrations = stack.simulators.mondoo.integrations.values()
    return len(ours), sum(one.tenant_id == tenant.id for one in integrations)
