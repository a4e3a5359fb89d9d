"""The Mondoo client against the simulated platform."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from local.simulators import Simulators
from shared.config import Settings
from shared.mondoo.client import MondooClient


@pytest.fixture
def tenant() -> str:
    return str(uuid4())


@pytest.fixture
def app() -> str:
    return str(uuid4())


@pytest.fixture
def space(simulators: Simulators) -> str:
    """A space of its own for each test; its service account is Editor and Owner."""
    return simulators.run(simulators.mondoo.add_space, f"s-{uuid4().hex[:16]}").scope_mrn


@pytest.fixture
async def client(
    settings: Settings, simulators: Simulators, space: str
) -> AsyncIterator[MondooClient]:
    """The product's client, as the account of the space."""
    accounts = simulators.mondoo.service_accounts.values()
    account = next(account.mrn for account in accounts if account.scope_mrn == space)

    async def read() -> str:
        return json.dumps(simulators.mondoo.service_account_json(account))

    ours = MondooClient(settings, read)
    yield ours
    await ours.aclose()
