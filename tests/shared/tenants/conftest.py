"""The simulated Table Storage, emptied for each test."""

from __future__ import annotations

import pytest

from local.simulators import Simulators


@pytest.fixture
def empty_tables(simulators: Simulators) -> None:
    """No table at all, as in a new storage account."""
    simulators.run(simulators.tables.tables.clear)
