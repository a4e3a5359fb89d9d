"""A stack without a host, whose clock may be moved, and lives on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from local.simulators.tenant import SimulatedTenant
from local.stack import LocalStack
from tests.shared.lives import Life


@pytest.fixture(scope="package")
def stack() -> Iterator[LocalStack]:
    """The simulated services, for tests that keep apart by their tenants."""
    with LocalStack(host=False) as running:
        running.simulators.mondoo.scanner.delay = 0.0
        yield running


@pytest.fixture
async def life(stack: LocalStack) -> AsyncIterator[Life]:
    """One process's worth of clients, with no faults left over from another test."""
    one = Life(stack)
    yield one
    await one.aclose()
    stack.simulators.run(stack.simulators.faults.clear)


@pytest.fixture
def tenant(life: Life) -> SimulatedTenant:
    """A tenant with every service, in which nothing was done yet."""
    return life.add_tenant()
