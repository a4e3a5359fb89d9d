"""Documents that tests of arrivals start from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def cloud_event(**changes: Any) -> dict[str, Any]:
    """A good event; ``changes`` replace attributes (None: left out)."""
    event = {
        "specversion": "1.0",
        "id": "d2c9b1a0",
        "source": "/msp/contoso",
        "type": "io.mondoo.onboarding.tenant.added",
        "time": NOON.isoformat(),
        "data": {"tenant": "a.example"},
        **changes,
    }
    return {name: value for name, value in event.items() if value is not None}
