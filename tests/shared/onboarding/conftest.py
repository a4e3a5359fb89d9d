"""A stack without a host, whose clock may be moved, and rehearsals on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from local.simulators.tenant import SimulatedTenant
from local.stack import LocalStack
from tests.shared.onboarding.rehearsal import Rehearsal, stack

__all__ = ["rehearsal", "stack", "tenant"]


@pytest.fixture
async def rehearsal(stack: LocalStack) -> AsyncIterator[Rehearsal]:
    """One process's worth of clients. Every fault that was scripted must have struck."""
    one = Rehearsal(stack)
    yield one
    await one.aclose()
    faults = stack.simulators.faults
    left = stack.simulators.run(lambda: [each for each in faults.pending if each.times is not None])
    stack.simulators.run(faults.clear)
    assert left == []


@pytest.fixture
def tenant(rehearsal: Rehearsal) -> SimulatedTenant:
    """A tenant with every service, in which nothing was done yet."""
    return rehearsal.add_tenant()
