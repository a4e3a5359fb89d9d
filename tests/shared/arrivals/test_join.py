"""One operation for a tenant, whatever keeps it busy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from local.stack import LocalStack
from shared.arrivals.join import Joined, join
from shared.config import load_settings
from shared.context import Context
from shared.errors import NotYet
from shared.models import (
    OnboardingOrder,
    OnboardingRequest,
    Operation,
    OperationKind,
    OperationStatus,
    ScannerAuthentication,
    TenantRecord,
    operation_id,
    to_json,
)
from shared.transitions import TenantState
from tests.shared.arrivals.samples import NOON

SPACE = "//captain.api.mondoo.app/spaces/demo-space"


@dataclass
class Engine:
    """The durable engine, holding one operation at most."""

    running: Operation | None = None
    started: list[str] = field(default_factory=list)
    faster: Operation | None = None

    async def get_status(self, instance_id: str, *, show_input: bool = False) -> Any:
        runtime = None if self.running is None else "Running"
        status = None if self.running is None else to_json(self.running)
        return type("Status", (), {"runtime_status": runtime, "custom_status": status})

    async def start_new(self, name: str, instance_id: str, client_input: Any) -> str:
        if self.faster is not None:
            self.running = self.faster
            raise RuntimeError("an instance of this id is running")
        self.started.append(instance_id)
        return instance_id


@pytest.fixture(scope="module")
def settings() -> Any:
    with LocalStack(host=False) as stack:
        yield stack.settings


@pytest.fixture
async def context(settings: Any, tmp_path: Path) -> AsyncIterator[Context]:
    records = f"sqlite:{tmp_path / 'records.db'}"
    one = Context(load_settings({**settings, "TENANT_RECORDS": records}))
    yield one
    await one.aclose()


@pytest.fixture
def order() -> OnboardingOrder:
    tenant = str(uuid4())
    return OnboardingOrder(
        operation_id=operation_id(tenant, NOON),
        tenant_id=tenant,
        space=SPACE,
        manifest="quick-setup",
        application_name="mondoo-ms365",
        policies=[],
    )


def operation(tenant: str, kind: OperationKind, *, minutes: int = -5) -> Operation:
    started = NOON + timedelta(minutes=minutes)
    return Operation(
        id=operation_id(tenant, started),
        kind=kind,
        tenant_id=tenant,
        status=OperationStatus.RUNNING,
        started_at=started,
        steps=[],
    )


async def onboarded(context: Context, order: OnboardingOrder, **changes: Any) -> Operation:
    """A tenant that was onboarded as the order wants it, and audited since."""
    first = operation(order.tenant_id, OperationKind.ONBOARD, minutes=-20)
    audit = operation(order.tenant_id, OperationKind.AUDIT, minutes=-10)
    for ended in (first, audit):
        ended.status, ended.finished_at = OperationStatus.SUCCEEDED, ended.started_at
        await context.records.put_operation(ended)
    kept = {"space": order.space, "manifest": order.manifest, **changes}
    await context.records.put(
        TenantRecord(
            tenant_id=order.tenant_id,
            state=TenantState.ONBOARDED,
            operation_id=audit.id,
            updated_at=NOON,
            application_name=order.application_name,
            **kept,
        )
    )
    return first


async def joined(
    context: Context, engine: Engine, order: OnboardingOrder, **choices: Any
) -> Joined:
    return await join(context, engine, OnboardingRequest(order.tenant_id, **choices), order)


async def test_a_new_tenant_gets_an_operation(context: Context, order: OnboardingOrder) -> None:
    engine = Engine()
    assert await joined(context, engine, order) == Joined(order.operation_id, started=True)
    assert engine.started == [f"tenant-{order.tenant_id}"]


async def test_a_running_onboarding_is_joined(context: Context, order: OnboardingOrder) -> None:
    running = operation(order.tenant_id, OperationKind.ONBOARD)
    assert await joined(context, Engine(running), order) == Joined(running.id)


async def test_who_is_second_joins_who_was_first(context: Context, order: OnboardingOrder) -> None:
    first = operation(order.tenant_id, OperationKind.ONBOARD)
    engine = Engine(faster=first)
    assert await joined(context, engine, order) == Joined(first.id)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_an_audit_is_waited_for_and_not_taken_for_an_onboarding(
    context: Context, order: OnboardingOrder, when: str
) -> None:
    audit = operation(order.tenant_id, OperationKind.AUDIT)
    engine = Engine(audit) if when == "before" else Engine(faster=audit)
    with pytest.raises(NotYet, match="tenant_busy"):
        await joined(context, engine, order)


async def test_a_tenant_that_is_onboarded_as_wanted_keeps_its_onboarding(
    context: Context, order: OnboardingOrder
) -> None:
    first = await onboarded(context, order)
    assert await joined(context, Engine(), order) == Joined(first.id, ended=True)


@pytest.mark.parametrize(
    ("record", "choices"),
    [
        ({"space": "//captain.api.mondoo.app/spaces/another"}, {}),
        ({"manifest": "2026-09"}, {}),
        ({"manifest_target": "2026-09"}, {}),
        ({"authentication": ScannerAuthentication.FEDERATED}, {}),
        ({}, {"policies": ["//policy.api.mondoo.app/policies/another"]}),
    ],
)
async def test_a_tenant_that_is_onboarded_in_another_way_is_onboarded_again(
    context: Context, order: OnboardingOrder, record: dict[str, Any], choices: dict[str, Any]
) -> None:
    await onboarded(context, order, **record)
    assert (await joined(context, Engine(), order, **choices)).started
