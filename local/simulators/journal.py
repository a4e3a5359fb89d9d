"""What was asked of the simulators, call by call.

Tests assert on it ("no write after the failed read", "one sign-in"), a person reads it at the
control origin. Bodies and credentials are never kept: a query keeps its parameters, except the
values of those that carry secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from urllib.parse import quote

SECRET_PARAMETERS = frozenset(
    {"access_token", "client_assertion", "client_secret", "code", "key", "sig", "token"}
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `tenant` is a GUID in lower case, `caller` the app id in the token, if any.

    `batch` marks the inner requests of a Graph `$batch`; the outer request is a call of its own
    with `batch` false, so that round trips and operations can both be counted.
    """

    at: datetime
    service: str
    tenant: str | None
    operation: str
    method: str
    path: str
    status: int
    caller: str | None
    agent: str
    write: bool
    request_id: str
    batch: bool = False

    def as_json(self) -> dict[str, object]:
        """The call as a JSON object, for the control origin."""
        return asdict(self) | {"at": self.at.isoformat()}


def printable_path(path: str, query: Mapping[str, str]) -> str:
    """The path with its query, with the values of secret parameters left out."""
    if not query:
        return path
    shown = "&".join(
        f"{name}={'-' if name.lower() in SECRET_PARAMETERS else quote(value, safe=_READABLE)}"
        for name, value in query.items()
    )
    return f"{path}?{shown}"


_READABLE = "/:'(),;=$ "


class Journal:
    """All calls in the order in which they were answered."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def record(self, call: Call) -> None:
        """Append a call."""
        self.calls.append(call)

    def clear(self) -> None:
        """Forget everything so far."""
        self.calls.clear()

    def select(
        self,
        service: str | None = None,
        tenant: str | None = None,
        write: bool | None = None,
        since: datetime | None = None,
        agent_not: str | None = None,
        *,
        operation: str | None = None,
        batch: bool | None = None,
    ) -> list[Call]:
        """The calls that match every filter given.

        `agent_not` leaves out calls whose User-Agent starts with it (the scanner's start with
        `mondoo-scanner`); `batch` picks outer (false) or inner (true) requests only.
        """
        return [
            call
            for call in tuple(self.calls)
            if (service is None or call.service == service)
            and (tenant is None or call.tenant == tenant)
            and (write is None or call.write is write)
            and (since is None or call.at >= since)
            and (agent_not is None or not call.agent.startswith(agent_not))
            and (operation is None or call.operation == operation)
            and (batch is None or call.batch is batch)
        ]
