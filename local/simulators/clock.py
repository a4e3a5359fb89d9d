"""The simulators' clock.

Everything that ages in the simulated world (replication lag, tokens, certificates, soft delete)
reads this clock, so that a test moves time instead of waiting. One thing deliberately does not:
the `nbf` and `exp` of client assertions come from real clients, which live on wall time, and are
checked with `wall`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Wall time plus an offset that only grows."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        """The simulated time, aware, UTC."""
        return datetime.now(UTC) + self._offset

    def wall(self) -> datetime:
        """The time that real clients see, aware, UTC."""
        return datetime.now(UTC)

    def advance(self, seconds: float) -> datetime:
        """Move simulated time forward and return it; `ValueError` for a step back."""
        if seconds < 0:
            raise ValueError("the simulators' clock never runs backwards")
        self._offset += timedelta(seconds=seconds)
        return self.now()
