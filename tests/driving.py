"""Driving the product as a caller does, and reading what the simulators saw."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

import httpx

from local.simulators import Simulators
from local.simulators.journal import Call
from local.stack import LocalStack

T = TypeVar("T")

LONGEST_SECONDS = 60.0
LOOK_EVERY_SECONDS = 0.05


def eventually(
    look: Callable[[], T | None],
    what: str,
    *,
    seconds: float = LONGEST_SECONDS,
    every: float = LOOK_EVERY_SECONDS,
) -> T:
    """What ``look`` returns once it returns something.

    A condition is waited for, never a time; the limit only ends a test that would hang.
    """
    pause = threading.Event()
    limit = time.monotonic() + seconds
    while True:
        seen = look()
        if seen is not None:
            return seen
        assert time.monotonic() < limit, f"did not come to pass: {what}"
        pause.wait(every)


class Driver:
    """The HTTP interface of a running stack."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self._http = httpx.Client(base_url=stack.host.url, timeout=30)

    @property
    def simulators(self) -> Simulators:
        """The simulated services behind it."""
        return self.stack.simulators

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def post(self, path: str, body: Any = None, **kwargs: Any) -> httpx.Response:
        """POST JSON, or ``content=`` as it is."""
        if body is not None:
            kwargs["json"] = body
        return self._http.post(path, **kwargs)

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        """GET."""
        return self._http.get(path, **kwargs)

    def follow(self, location: str) -> dict[str, Any]:
        """The operation behind a link, once it has ended."""

        def ended() -> dict[str, Any] | None:
            answer = self.get(location)
            assert answer.status_code == 200, answer.text
            operation: dict[str, Any] = answer.json()
            return operation if "finishedAt" in operation else None

        return eventually(ended, f"{location} has ended")

    def onboard(self, tenant: str, **choices: Any) -> dict[str, Any]:
        """Onboard a tenant and wait for the end; the operation."""
        answer = self.post("/api/tenants", {"tenant": tenant, **choices})
        assert answer.status_code == 202, answer.text
        return self.follow(answer.headers["Location"])


class Watch:
    """The calls that the product itself makes while the watch runs, by service.

    The scanner's own calls do not count. A Graph batch is one call; its inner requests count only
    where writes are looked for.
    """

    def __init__(self, simulators: Simulators) -> None:
        self._journal = simulators.journal
        self._first = 0
        self.calls: list[Call] = []

    def __enter__(self) -> Self:
        self._first = len(self._journal.calls)
        return self

    def __exit__(self, *_: object) -> None:
        self.calls = [
            call
            for call in self._journal.calls[self._first :]
            if not call.agent.startswith("mondoo-scanner")
        ]

    def count(self, service: str) -> int:
        """Requests to one service."""
        return sum(1 for call in self.calls if call.service == service and not call.batch)

    def writes(self, *services: str) -> list[str]:
        """Every write to these services, as "<service> <operation>"."""
        return [
            f"{call.service} {call.operation}"
            for call in self.calls
            if call.service in services and call.write
        ]


def outcomes(operation: dict[str, Any]) -> dict[str, str]:
    """The outcome of each step by its name."""
    return {step["name"]: step.get("outcome", "") for step in operation["steps"]}


def step(operation: dict[str, Any], name: str) -> dict[str, Any]:
    """One step of an operation."""
    return next(each for each in operation["steps"] if each["name"] == name)
