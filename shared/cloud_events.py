"""What we announce, as a CloudEvents 1.0 document: the same for a topic and for a webhook.

A receiver knows a repeated event by its source and id, so an announcement without an answer is
simply made again.

Source: CloudEvents 1.0, JSON format.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

SOURCE = "/mondoo/microsoft365-onboarding"
MEDIA_TYPE = "application/cloudevents+json; charset=utf-8"


def cloud_event(
    kind: str, subject: str, data: Mapping[str, Any], *, id: str, time: datetime
) -> bytes:
    """An event in JSON: ``kind`` happened to ``subject`` at ``time``; ``id`` tells repeats."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": id,
            "source": SOURCE,
            "type": kind,
            "subject": subject,
            "time": time.astimezone(UTC),
            "datacontenttype": "application/json",
            "data": data,
        }
    )
