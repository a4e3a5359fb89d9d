"""One host for the tests of a module, on the sample app that uses everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local.host import FunctionsHost

APPS = Path(__file__).parent / "apps"
SAMPLE = APPS / "full" / "function_app.py"
ENVIRON = {"GREETING": "hi", "ORDERS_QUEUE": "orders"}


@pytest.fixture(scope="module")
def host() -> Iterator[FunctionsHost]:
    with FunctionsHost(SAMPLE, ENVIRON) as host:
        yield host


@pytest.fixture(scope="module")
def client(host: FunctionsHost) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=host.url, timeout=10) as client:
        yield client
