"""Rules for every test: no network but loopback, and fresh tenants in a shared local stack."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from local.stack import LocalStack
from tests.driving import Driver


class NetworkUsed(AssertionError):
    """A test reached for an address that is not loopback."""


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """Refuse every connection that would leave this machine."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def checked(address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else None
        if host is not None and not ipaddress.ip_address(host).is_loopback:
            raise NetworkUsed(f"connection to {address!r}")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        checked(address)
        return connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        checked(address)
        return connect_ex(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """The whole product on the local host; tests keep apart by their tenants."""
    with LocalStack() as running:
        yield running


@pytest.fixture
def product(stack: LocalStack) -> Iterator[Driver]:
    """The product as a caller sees it, with no faults left over from another test."""
    with Driver(stack) as driver:
        yield driver
        stack.simulators.run(stack.simulators.faults.clear)


@pytest.fixture
def domain() -> str:
    """The initial domain of a tenant that no other test uses."""
    return f"t{uuid4().hex[:12]}.onmicrosoft.com"
