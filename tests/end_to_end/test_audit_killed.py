"""The product is killed in the middle of a run over all tenants, and started again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.simulators.faults import Fault
from local.stack import LocalStack
from shared.audit import history
from shared.audit.report import AuditReport, AuditStatus
from shared.config import load_settings
from shared.context import Context
from shared.models import Operation, TenantRecord
from shared.transitions import TenantState
from tests.benchmarks.seeding import onboarded_tenants
from tests.driving import eventually
from tests.product_process import ProductProcess

TENANTS = 16


@pytest.fixture
def stack() -> Iterator[LocalStack]:
    """The simulators, with few tenants audited at a time, so that a run has a middle."""
    with LocalStack(host=False, settings={"AUDIT_CONCURRENCY": "4"}) as running:
        yield running


def kept(
    stack: LocalStack,
) -> tuple[list[TenantRecord], dict[str, list[AuditReport]], dict[str, list[Operation]]]:
    """Everything on record; what cannot be read raises."""

    async def read() -> Any:
        context = Context(load_settings(stack.settings))
        try:
            records, after = await context.records.page(limit=10 * TENANTS)
            assert after is None
            ids = [record.tenant_id for record in records]
            reports = {each: await history.newest(context.records, each, 10) for each in ids}
            operations = {each: await context.records.operations(each, 10) for each in ids}
            return records, reports, operations
        finally:
            await context.aclose()

    found: tuple[list[TenantRecord], dict[str, list[AuditReport]], dict[str, list[Operation]]] = (
        asyncio.run(read())
    )
    return found


def audited(stack: LocalStack) -> int:
    """How many tenants have a report."""
    _, reports, _ = kept(stack)
    return sum(map(bool, reports.values()))


def start_run(process: ProductProcess) -> str:
    """Ask for a run; its id."""
    answer = httpx.post(f"{process.url}/api/audit", timeout=30).raise_for_status()
    return str(answer.json()["id"])


def newest_run(process: ProductProcess) -> dict[str, Any]:
    run: dict[str, Any] = httpx.get(f"{process.url}/api/audit", timeout=30).json()
    return run


def test_after_a_kill_in_the_middle_of_a_run_the_next_one_audits_every_tenant(
    stack: LocalStack,
) -> None:
    tenants = {record.tenant_id for record in onboarded_tenants(stack, TENANTS)}
    faults = stack.simulators.faults
    # One tenant's Graph does not answer, so the run cannot be over before it is killed.
    stuck = Fault("graph", "POST /$batch", min(tenants), times=None, delay=60)
    stack.simulators.run(faults.add, stuck)

    def some() -> int | None:
        number = audited(stack)
        return number if number >= TENANTS // 3 else None

    with ProductProcess(stack.settings) as process:
        lost = start_run(process)
        before = eventually(some, "some tenants have a report, and others none")
        process.kill()
    stack.simulators.run(faults.clear)

    # What is on record is whole: each tenant as it was before or as it is after its audit.
    records, reports, operations = kept(stack)
    assert {record.tenant_id for record in records} == tenants
    assert before <= sum(map(bool, reports.values())) < TENANTS
    for record in records:
        assert record.state is TenantState.ONBOARDED
        if record.audited_at is not None:
            assert reports[record.tenant_id]
    for report in (each for several in reports.values() for each in several):
        assert report.status is AuditStatus.CLEAN
    assert all(each.finished_at for several in operations.values() for each in several)

    with ProductProcess(stack.settings) as process:
        again = start_run(process)
        assert again != lost

        def ended() -> dict[str, Any] | None:
            run = newest_run(process)
            return run if run["phase"] in ("done", "stopped", "failed") else None

        run = eventually(ended, "the second run has ended")
        assert (run["id"], run["phase"]) == (again, "done")
        assert (run["tenants"], run["audited"], run["clean"]) == (TENANTS, TENANTS, TENANTS)
        assert (run["failing"], run["busy"]) == (0, 0)

    records, reports, _ = kept(stack)
    assert {record.tenant_id for record in records} == tenants
    for record in records:
        newest = reports[record.tenant_id][0]
        assert newest.status is AuditStatus.CLEAN
        assert (record.operation_id, record.audit_status) == (newest.operation_id, "clean")
        assert len(reports[record.tenant_id]) <= 2
