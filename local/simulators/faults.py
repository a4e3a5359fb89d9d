"""Scripted faults: what a service answers instead of, or on top of, the truth.

A fault matches by service, operation (a glob over the names that the journal shows) and tenant.
Faults are looked at in the order in which they were added; the first that matches and is not used
up is taken. Each service renders the error in its own envelope, so a fault only says status, code
and message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    `times` is how often it strikes (`None`: always). `delay` in real seconds, before anything else.
    `drop` closes the connection without an answer, `"before"` the call is handled or `"after"` it
    was (the write is done, the caller never hears of it). `body` replaces the service's envelope.
    With none of `status`, `drop` and `body` the call is only delayed.
    """

    service: str
    operation: str = "*"
    tenant: str | None = None
    times: int | None = 1
    status: int | None = None
    code: str = ""
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: Literal["before", "after"] | None = None
    body: bytes | None = None

    def __post_init__(self) -> None:
        if self.times is not None and self.times < 1:
            raise ValueError("a fault strikes at least once; times=None means always")
        if self.drop not in (None, "before", "after"):
            raise ValueError("drop is 'before' or 'after'")
        if self.delay < 0:
            raise ValueError("delay is a number of seconds, not negative")

    def matches(self, service: str, operation: str, tenant: str | None) -> bool:
        """Whether a call is meant by this fault."""
        return (
            fnmatchcase(service, self.service)
            and fnmatchcase(operation, self.operation)
            and (self.tenant is None or self.tenant == tenant)
        )


class _Armed:
    """A fault and how often it may still strike."""

    __slots__ = ("fault", "left")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = fault.times


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def add(self, fault: Fault) -> None:
        """Put a fault at the end of the line."""
        self._armed.append(_Armed(fault))

    def clear(self) -> None:
        """Take all faults away."""
        self._armed.clear()

    @property
    def pending(self) -> list[Fault]:
        """Faults that can still strike."""
        return [armed.fault for armed in self._armed]

    def take(self, service: str, operation: str, tenant: str | None) -> Fault | None:
        """The fault that strikes this call, used up by one; `None` where there is none."""
        for armed in self._armed:
            if not armed.fault.matches(service, operation, tenant):
                continue
            if armed.left is not None:
                armed.left -= 1
                if armed.left == 0:
                    self._armed.remove(armed)
            return armed.fault
        return None
