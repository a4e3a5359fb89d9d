"""What every chapter of the demo uses: the running stack, and following an operation in print."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx

from local.simulators import Simulators
from local.stack import LocalStack

LONGEST_SECONDS = 60
BETWEEN_LOOKS = 0.1

SIGNS = {
    "passed": "✓",
    "changed": "✚",
    "warning": "!",
    "skipped": "·",
    "planned": "→",
    "failed": "✗",
    "unknown": "?",
}


class Stage:
    """A running stack and a client of its HTTP interface."""

    def __init__(self, stack: LocalStack, client: httpx.Client) -> None:
        self._stack = stack
        self._client = client

    @property
    def simulators(self) -> Simulators:
        """The simulated services."""
        return self._stack.simulators

    @property
    def http(self) -> httpx.Client:
        """The client, for what is no JSON."""
        return self._client

    def get(self, path: str) -> Any:
        """GET; the JSON."""
        answer = self._client.get(path)
        answer.raise_for_status()
        return answer.json()

    def record(self, tenant: str) -> dict[str, Any]:
        """The record of a tenant."""
        record: dict[str, Any] = self.get(f"/api/tenants/{tenant}")["tenant"]
        return record

    def post(self, path: str, body: dict[str, Any]) -> str:
        """POST; the link to what was started."""
        answer = self._client.post(path, json=body)
        answer.raise_for_status()
        return answer.headers["Location"]

    def run(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Start an operation and print each step as it ends; the operation when all have."""
        return self._follow(self.post(path, body))

    def delete(self, path: str) -> dict[str, Any]:
        """DELETE; prints each step of the operation as it ends, and returns it when all have."""
        answer = self._client.delete(path)
        answer.raise_for_status()
        return self._follow(answer.headers["Location"])

    def until(self, path: str, ended: str, values: tuple[str, ...]) -> dict[str, Any]:
        """Look at ``path`` until its field ``ended`` has one of the values."""
        pause = threading.Event()
        deadline = time.monotonic() + LONGEST_SECONDS
        while True:
            seen: dict[str, Any] = self.get(path)
            if seen.get(ended) in values:
                return seen
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} did not end within {LONGEST_SECONDS} s")
            pause.wait(BETWEEN_LOOKS)

    def _follow(self, location: str) -> dict[str, Any]:
        printed = 0
        told: set[tuple[str, str]] = set()
        pause = threading.Event()
        deadline = time.monotonic() + LONGEST_SECONDS
        while True:
            operation: dict[str, Any] = self.get(location)
            for step in operation["steps"][printed:]:
                if "outcome" not in step:
                    if step.get("code") and (step["name"], step["code"]) not in told:
                        told.add((step["name"], step["code"]))
                        print(f"  … {step['name']:<20} waiting: {step['message']}")
                    break
                printed += 1
                sign = SIGNS[step["outcome"]]
                print(f"  {sign} {step['name']:<20} {step['outcome']:<8} {step.get('message', '')}")
                if step["outcome"] in ("failed", "unknown"):
                    print(f"    {'':<20} remedy:  {step.get('remediation', '')}")
            if "finishedAt" in operation:
                return operation
            if time.monotonic() > deadline:
                raise TimeoutError(f"{location} did not end within {LONGEST_SECONDS} s")
            pause.wait(BETWEEN_LOOKS)
