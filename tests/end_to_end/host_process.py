"""The app on the local host in a process of its own, which can be killed as a machine is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

ROOT = Path(__file__).resolve().parent.parent.parent

_PROGRAM = """
import json, sys, threading
from pathlib import Path
from local.host import FunctionsHost
settings = json.loads(sys.stdin.readline())
with FunctionsHost(Path("function_app.py"), settings) as host:
    print(host.url, flush=True)
    threading.Event().wait()
"""


class HostProcess:
    """One life of the app; a context manager that ends it without a warning."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            cwd=ROOT,
            env=dict(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(dict(settings)) + "\n")
        self._process.stdin.flush()
        url = self._process.stdout.readline().strip()
        assert url, "the host did not start"
        self.http = httpx.Client(base_url=url, timeout=60)

    def kill(self) -> None:
        """End the process at once, with everything it holds in memory."""
        self.http.close()
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
