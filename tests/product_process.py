"""The product on the local host in a process of its own, with the simulators in ours.

For what one process cannot show: being killed, and what it costs by itself. The settings go in by
the child's standard input, answers come back by its standard output, one line of JSON each; when
the input ends the product stops as it should.
"""

from __future__ import annotations

import json
import logging
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.host import FunctionsHost
from local.stack import APP_FILE

ROOT = Path(__file__).resolve().parents[1]
STOP_SECONDS = 20.0


class ProductProcess:
    """A running product; a context manager. ``settings`` are those of a `LocalStack`."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = dict(settings)
        self._child: subprocess.Popen[str]
        self.url = ""

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.product_process"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = str(self._ask(self._settings)["url"])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.close()
            self._child.wait(STOP_SECONDS)
        finally:
            self._child.kill()
            self._child.wait()
            self._child.stdout.close()

    def kill(self) -> None:
        """End it in the middle of whatever it does (SIGKILL)."""
        self._child.kill()
        self._child.wait()

    def cost(self) -> dict[str, Any]:
        """``peakMegabytes``, ``processorSeconds``, and ``histories``: bytes by instance id, of the
        longest that it had between two times of continuing as new."""
        return self._ask("cost")

    def _ask(self, question: object) -> dict[str, Any]:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(question) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"the product ended with code {self._child.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def peak_megabytes() -> float:
    """The most memory that this process ever had (Linux counts in kilobytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def processor_seconds() -> float:
    """What this process has computed so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def longest_history(events: list[dict[str, Any]]) -> int:
    """Bytes of the longest part between two times of continuing as new."""
    longest = size = 0
    for event in events:
        if event["EventType"] == "ExecutionStarted":
            size = 0
        size += len(json.dumps(event).encode())
        longest = max(longest, size)
    return longest


def _answer(host: FunctionsHost) -> dict[str, Any]:
    # The peak first: looking at the histories takes memory of its own.
    return {
        "peakMegabytes": peak_megabytes(),
        "processorSeconds": processor_seconds(),
        "histories": {
            each["instanceId"]: longest_history(host.history(each["instanceId"]))
            for each in host.instances()
        },
    }


def _serve() -> None:
    settings = json.loads(sys.stdin.readline())
    with FunctionsHost(
        APP_FILE,
        settings,
        # In the cloud the log leaves the process; here it would be what fills its memory.
        log_level=logging.WARNING,
        on_stop=lambda app: app.context.aclose(),
    ) as host:
        print(json.dumps({"url": host.url}), flush=True)
        for _ in sys.stdin:
            print(json.dumps(_answer(host)), flush=True)


if __name__ == "__main__":
    _serve()
