"""What every call meets, beside faults that are aimed at one: distance and crowding.

A `Fault` strikes calls that a test picks. Weather is the same for all: `latency` for each call, and
every Nth call of each service answered 429 with ``Retry-After``, in that service's own envelope. It
is counted and not rolled, so that a run can be repeated. Off until somebody sets it.

It spares the control origin, which is no service, the scanner, which is Mondoo's and not ours, and,
unless asked, sign-ins. A Graph batch is one call, as it is one round trip.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from local.simulators.faults import Fault

CONTROL = "control"
SIGN_IN = frozenset({"entra", "managed-identity"})
SCANNER = "mondoo-scanner"
"""How the scanner's User-Agent begins."""

_CROWDED: dict[str, tuple[str, str]] = {
    "entra": ("90055", "Tenant exceeded the request limit."),
    "graph": ("TooManyRequests", "Too many requests."),
    "vault": ("Throttled", "Request was not processed because too many requests were received."),
    "mondoo": ("ResourceExhausted", "too many requests"),
    "events": ("TooManyRequests", "The topic receives too many requests."),
}
_CROWDED_ELSEWHERE = ("TooManyRequests", "Too many requests.")


@dataclass(slots=True)
class Weather:
    """Set the fields at any time.

    `latency` is in real seconds. `throttle_every` is N of "every Nth call"; 0 means none, 20 is a
    twentieth of all calls. `retry_after` is in seconds. `sign_in` says whether sign-ins and tokens
    of the managed identity are struck too.
    """

    latency: float = 0.0
    throttle_every: int = 0
    retry_after: int = 1
    sign_in: bool = False
    _calls: Counter[str] = field(default_factory=Counter, repr=False)

    async def meet(self, service: str, agent: str) -> Fault | None:
        """Be under way; then the 429 that the call is answered with, if it is its turn."""
        if not self._meets(service, agent):
            return None
        if self.latency:
            await asyncio.sleep(self.latency)
        if not self.throttle_every:
            return None
        self._calls[service] += 1
        if self._calls[service] % self.throttle_every:
            return None
        code, message = _CROWDED.get(service, _CROWDED_ELSEWHERE)
        headers = {"Retry-After": str(self.retry_after)}
        return Fault(service, status=429, code=code, message=message, headers=headers)

    def _meets(self, service: str, agent: str) -> bool:
        if service == CONTROL or agent.startswith(SCANNER):
            return False
        return self.sign_in or service not in SIGN_IN
