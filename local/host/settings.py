"""What the host reads from `host.json`, with the defaults of the real host.

Left out: logging, concurrency and function timeout; they change no answer of the app.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class HostSettings:
    """The part of `host.json` that this host obeys."""

    #: before every HTTP route (`extensions.http.routePrefix`), without slashes
    route_prefix: str = "api"
    #: name of the task hub (`extensions.durableTask.hubName`)
    hub_name: str = "TestHubName"
    #: `extensions.durableTask.overridableExistingInstanceStates` is `AnyState`
    replace_running: bool = False
    #: `extensions.queues.maxDequeueCount`
    max_dequeue_count: int = 5
    #: `extensions.queues.visibilityTimeout` in seconds: pause before a failed message comes again
    visibility_timeout: float = 0.0


def read_host_settings(folder: Path) -> HostSettings:
    """Settings of the app in this folder; the defaults where it has no `host.json`.

    Raises:
        ValueError: if the file is not JSON.
    """
    file = folder / "host.json"
    if not file.is_file():
        return HostSettings()
    extensions: dict[str, Any] = json.loads(file.read_text("utf-8")).get("extensions", {})
    http, queues = extensions.get("http", {}), extensions.get("queues", {})
    durable = extensions.get("durableTask", {})
    states = str(durable.get("overridableExistingInstanceStates", "NonRunningStates"))
    return HostSettings(
        route_prefix=str(http.get("routePrefix", "api")).strip("/"),
        hub_name=str(durable.get("hubName", HostSettings.hub_name)),
        replace_running=states.lower() == "anystate",
        max_dequeue_count=int(queues.get("maxDequeueCount", 5)),
        visibility_timeout=_seconds(str(queues.get("visibilityTimeout", "00:00:00"))),
    )


def _seconds(span: str) -> float:
    hours, minutes, seconds = span.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
