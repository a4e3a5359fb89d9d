"""What only Table Storage has: missing tables, refusals, and limits of an entity."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from local.simulators import Simulators
from local.simulators.faults import Fault
from local.simulators.journal import Call
from shared.config import Settings
from shared.entra.identity import Identity
from shared.errors import NotYet, Refused
from shared.models import (
    Finding,
    Operation,
    OperationKind,
    OperationStatus,
    Severity,
    Step,
    TenantRecord,
    operation_id,
)
from shared.tenants.table import PIECE, PIECES, TableRecords
from shared.transitions import TenantState

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
async def records(
    settings: Settings, identity: Identity, empty_tables: None
) -> AsyncIterator[TableRecords]:
    """An empty storage account."""
    store = TableRecords(settings, identity.own_credential)
    yield store
    await store.aclose()


def record() -> TenantRecord:
    return TenantRecord(
        tenant_id=str(uuid4()),
        state=TenantState.ONBOARDED,
        operation_id="o",
        updated_at=START,
    )


def operation(findings: int = 0) -> Operation:
    tenant = str(uuid4())
    found = [
        Finding(
            code="scan_message",
            severity=Severity.HIGH,
            subject=f"subject {number}",
            message="m" * 500,
            remediation="r" * 500,
        )
        for number in range(findings)
    ]
    return Operation(
        id=operation_id(tenant, START),
        kind=OperationKind.ONBOARD,
        tenant_id=tenant,
        status=OperationStatus.FAILED,
        started_at=START,
        steps=[Step(name="preflight", findings=found), Step(name="certificate")],
    )


def table_calls(simulators: Simulators, since: int) -> list[Call]:
    calls = simulators.run(lambda: list(simulators.journal.calls[since:]))
    return [call for call in calls if call.service == "tables"]


async def test_the_first_write_makes_the_table_and_the_next_is_one_call(
    records: TableRecords, simulators: Simulators
) -> None:
    since = len(simulators.journal.calls)
    await records.put(record())
    assert [call.status for call in table_calls(simulators, since)] == [404, 201, 204]
    since = len(simulators.journal.calls)
    await records.put(record())
    assert [call.status for call in table_calls(simulators, since)] == [204]


async def test_an_operation_that_is_too_large_loses_findings_and_says_so(
    records: TableRecords,
) -> None:
    whole = operation(findings=1000)
    await records.put_operation(whole)
    kept = await records.get_operation(whole.id)
    assert kept is not None
    *first, last = kept.steps[0].findings
    assert first == whole.steps[0].findings[: len(first)]
    assert last.code == "findings_left_out"
    assert f"{1000 - len(first)} more findings" in last.message
    assert len(first) * 1000 > PIECE * PIECES / 4
    assert len(whole.steps[0].findings) == 1000, "what was given stays as it is"


async def test_storage_that_refuses_us_names_the_role(
    records: TableRecords, simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulators.tables, "contributors", set())
    for call in (records.get("a"), records.put(record()), records.page(limit=1)):
        with pytest.raises(Refused) as caught:
            await call
        assert caught.value.code == "records_forbidden"
        assert "Storage Table Data Contributor" in caught.value.remediation
        assert caught.value.request_id


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_busy_storage_is_asked_once_and_later_again(
    records: TableRecords, simulators: Simulators, status: int
) -> None:
    await records.put(record())
    fault = Fault("tables", status=status, headers={"Retry-After": "7"}, times=None)
    simulators.run(simulators.faults.add, fault)
    since = len(simulators.journal.calls)
    with pytest.raises(NotYet) as caught:
        await records.get("a")
    assert (caught.value.code, caught.value.retry_after) == ("records_busy", 7.0)
    assert len(table_calls(simulators, since)) == 1


async def test_a_write_without_an_answer_may_be_repeated_since_it_replaces(
    records: TableRecords, simulators: Simulators
) -> None:
    one = record()
    await records.put(one)
    simulators.run(simulators.faults.add, Fault("tables", drop="after", times=None))
    with pytest.raises(NotYet) as caught:
        await records.put(one)
    assert caught.value.code == "records_unreachable"
    simulators.run(simulators.faults.clear)
    await records.put(one)
    assert await records.get(one.tenant_id) == one


async def test_a_failing_read_is_never_none(records: TableRecords, simulators: Simulators) -> None:
    one = record()
    await records.put(one)
    fault = Fault("tables", status=400, code="InvalidInput", message="not like this")
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(Refused):
        await records.get(one.tenant_id)


async def test_a_host_that_is_not_there_is_waited_for(
    settings: Settings, identity: Identity
) -> None:
    nowhere = replace(settings, tenant_records="https://127.0.0.1:9")
    records = TableRecords(nowhere, identity.own_credential)
    with pytest.raises(NotYet) as caught:
        await records.put(record())
    assert caught.value.code == "records_unreachable"
    await records.aclose()


async def test_a_host_that_is_not_trusted_is_refused(
    settings: Settings, identity: Identity
) -> None:
    records = TableRecords(replace(settings, trusted_ca_file=None), identity.own_credential)
    with pytest.raises(Refused) as caught:
        await records.get("a")
    assert caught.value.code == "records_untrusted"
    await records.aclose()
