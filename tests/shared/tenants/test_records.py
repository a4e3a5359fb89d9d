"""The contract of tenant records, kept by both stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from shared.config import Settings
from shared.entra.identity import Identity
from shared.errors import Refused
from shared.models import (
    CertificateReference,
    Finding,
    Operation,
    OperationKind,
    OperationStatus,
    Outcome,
    Severity,
    Step,
    TenantRecord,
    operation_id,
)
from shared.tenants.records import LONGEST_REPORT, OPERATIONS_KEPT, TenantRecords
from shared.tenants.sqlite import SqliteRecords
from shared.tenants.stores import open_records
from shared.tenants.table import TableRecords
from shared.transitions import TenantState

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "table"])
async def records(
    request: pytest.FixtureRequest, settings: Settings, identity: Identity, tmp_path: Path
) -> AsyncIterator[TenantRecords]:
    """An empty store of each kind."""
    if request.param == "sqlite":
        settings = replace(settings, tenant_records=f"sqlite:{tmp_path}/tenants.db")
    else:
        request.getfixturevalue("empty_tables")
    store = open_records(settings, identity.own_credential)
    yield store
    await store.aclose()


def record(tenant_id: str | None = None, **changes: object) -> TenantRecord:
    tenant_id = tenant_id or str(uuid4())
    plain = TenantRecord(
        tenant_id=tenant_id,
        state=TenantState.ONBOARDED,
        operation_id=operation_id(tenant_id, START),
        updated_at=START,
    )
    return msgspec.structs.replace(plain, **changes)


def operation(tenant_id: str, number: int = 0, message: str = "done") -> Operation:
    started = START + timedelta(seconds=number)
    return Operation(
        id=operation_id(tenant_id, started),
        kind=OperationKind.ONBOARD,
        tenant_id=tenant_id,
        status=OperationStatus.SUCCEEDED,
        started_at=started,
        steps=[Step(name="preflight", outcome=Outcome.PASSED, message=message)],
    )


def findings(count: int) -> list[Finding]:
    return [
        Finding(
            code="scan_message",
            severity=Severity.HIGH,
            subject=f"subject {number}",
            message="m" * 500,
            remediation="r" * 500,
        )
        for number in range(count)
    ]


def test_the_settings_choose_the_store(settings: Settings, identity: Identity) -> None:
    def store(where: str) -> TenantRecords:
        return open_records(replace(settings, tenant_records=where), identity.own_credential)

    assert isinstance(store("sqlite:tenants.db"), SqliteRecords)
    assert isinstance(store("https://account.table.core.windows.net"), TableRecords)


async def test_an_empty_store_has_nothing_and_fails_at_nothing(records: TenantRecords) -> None:
    tenant = str(uuid4())
    assert await records.get(tenant) is None
    assert await records.page(limit=10) == ([], None)
    assert await records.operations(tenant, 10) == []
    assert await records.get_operation(operation_id(tenant, START)) is None


async def test_a_record_comes_back_as_it_was_written(records: TenantRecords) -> None:
    full = record(
        display_name='Fabrikam "Söhne" \N{SNOWMAN} 🏔',
        initial_domain="fabrikam.onmicrosoft.com",
        certificate=CertificateReference("v", "n", "1", "AA", START, START + timedelta(days=90)),
        onboarded_at=START + timedelta(microseconds=123456),
    )
    await records.put(full)
    assert await records.get(full.tenant_id) == full


async def test_a_record_replaces_the_one_before_it_as_a_whole(records: TenantRecords) -> None:
    first = record(display_name="x" * 70_000, app_id="a")
    await records.put(first)
    second = record(first.tenant_id, state=TenantState.FAILED)
    await records.put(second)
    assert await records.get(first.tenant_id) == second
    assert await records.page(limit=10, state=TenantState.ONBOARDED) == ([], None)


async def test_records_are_listed_in_pages_in_the_order_of_tenant_ids(
    records: TenantRecords,
) -> None:
    written = [record() for _ in range(7)]
    for one in written:
        await records.put(one)
    seen: list[TenantRecord] = []
    after, sizes = None, []
    while True:
        page, after = await records.page(after=after, limit=3)
        seen += page
        sizes.append(len(page))
        if after is None:
            break
    assert sizes == [3, 3, 1]
    assert seen == sorted(written, key=lambda one: one.tenant_id)


async def test_a_page_that_is_just_full_is_the_last_one(records: TenantRecords) -> None:
    for _ in range(3):
        await records.put(record())
    page, after = await records.page(limit=3)
    assert (len(page), after) == (3, None)


async def test_records_are_filtered_by_state_across_pages(records: TenantRecords) -> None:
    failed = [record(state=TenantState.FAILED) for _ in range(3)]
    for one in [*failed, *(record() for _ in range(3))]:
        await records.put(one)
    first, after = await records.page(limit=2, state=TenantState.FAILED)
    second, end = await records.page(after=after, limit=2, state=TenantState.FAILED)
    assert first + second == sorted(failed, key=lambda one: one.tenant_id)
    assert end is None


async def test_an_operation_comes_back_as_it_was_written(records: TenantRecords) -> None:
    one = operation(str(uuid4()))
    await records.put_operation(one)
    assert await records.get_operation(one.id) == one


async def test_an_operation_that_goes_on_replaces_itself(records: TenantRecords) -> None:
    tenant = str(uuid4())
    await records.put_operation(operation(tenant, message="so far"))
    await records.put_operation(operation(tenant, message="done"))
    (kept,) = await records.operations(tenant, 10)
    assert kept.steps[0].message == "done"


async def test_operations_of_a_tenant_are_listed_newest_first(records: TenantRecords) -> None:
    tenant, other = str(uuid4()), str(uuid4())
    for number in (2, 0, 1):
        await records.put_operation(operation(tenant, number))
    await records.put_operation(operation(other, 9))
    newest = await records.operations(tenant, 2)
    assert newest == [operation(tenant, 2), operation(tenant, 1)]


async def test_only_the_newest_operations_of_a_tenant_are_kept(records: TenantRecords) -> None:
    tenant, other = str(uuid4()), str(uuid4())
    await records.put_operation(operation(other))
    for number in range(OPERATIONS_KEPT + 3):
        await records.put_operation(operation(tenant, number))
    kept = await records.operations(tenant, 100)
    assert len(kept) == OPERATIONS_KEPT
    assert kept[-1] == operation(tenant, 3)
    assert await records.get_operation(operation(tenant, 2).id) is None
    assert await records.get_operation(operation(other).id) is not None


async def test_an_operation_with_hundreds_of_findings_comes_back_whole(
    records: TenantRecords,
) -> None:
    one = operation(str(uuid4()))
    one.steps[0].findings = findings(300)
    await records.put_operation(one)
    assert await records.get_operation(one.id) == one


@pytest.mark.parametrize("identifier", ["", "nonsense", "..", "a' or 'b' eq 'b"])
async def test_what_is_no_operation_id_names_no_operation(
    records: TenantRecords, identifier: str
) -> None:
    await records.put_operation(operation(str(uuid4())))
    assert await records.get_operation(identifier) is None


async def test_a_quote_in_a_page_key_finds_nothing_and_breaks_nothing(
    records: TenantRecords,
) -> None:
    await records.put(record("0" * 36))
    assert await records.page(after="z' or PartitionKey ne '", limit=5) == ([], None)


async def test_many_tenants_are_written_side_by_side(records: TenantRecords) -> None:
    written = [record() for _ in range(20)]
    await asyncio.gather(*(records.put(one) for one in written))
    page, after = await records.page(limit=50)
    assert page == sorted(written, key=lambda one: one.tenant_id)
    assert after is None


def audited(tenant_id: str, number: int = 0) -> tuple[str, str]:
    """An audit's operation id, and a document that tells it from others."""
    return operation_id(tenant_id, START + timedelta(seconds=number)), f'{{"number":{number}}}'


async def test_no_report_is_none_and_fails_at_nothing(records: TenantRecords) -> None:
    tenant = str(uuid4())
    assert await records.get_report(operation_id(tenant, START)) is None
    assert await records.reports(tenant, 10) == []
    assert await records.latest_reports(limit=10) == ([], None)


async def test_a_report_comes_back_as_it_was_written(records: TenantRecords) -> None:
    audit, _ = audited(str(uuid4()))
    document = 'Söhne \N{SNOWMAN} "quoted" \r\n' * 10_000
    await records.put_report(audit, document, kept=5)
    assert await records.get_report(audit) == document


async def test_a_report_that_is_written_again_replaces_itself(records: TenantRecords) -> None:
    tenant = str(uuid4())
    audit, document = audited(tenant)
    await records.put_report(audit, "x" * 70_000, kept=5)
    await records.put_report(audit, document, kept=5)
    assert await records.reports(tenant, 10) == [document]
    assert await records.latest_reports(limit=10) == ([document], None)


async def test_only_the_newest_reports_of_a_tenant_are_kept(records: TenantRecords) -> None:
    tenant, other = str(uuid4()), str(uuid4())
    await records.put_report(*audited(other), kept=3)
    for number in range(6):
        await records.put_report(*audited(tenant, number), kept=3)
    kept = [audited(tenant, number)[1] for number in (5, 4, 3)]
    assert await records.reports(tenant, 10) == kept
    assert await records.reports(tenant, 2) == kept[:2]
    assert await records.get_report(audited(tenant, 2)[0]) is None
    assert await records.get_report(audited(other)[0]) is not None


async def test_fewer_reports_are_kept_from_the_next_one_on_when_the_setting_is_lowered(
    records: TenantRecords,
) -> None:
    tenant = str(uuid4())
    for number in range(5):
        await records.put_report(*audited(tenant, number), kept=10)
    await records.put_report(*audited(tenant, 5), kept=2)
    assert len(await records.reports(tenant, 10)) == 2


async def test_the_latest_report_of_each_tenant_comes_in_pages_ordered_by_tenant(
    records: TenantRecords,
) -> None:
    tenants = sorted(str(uuid4()) for _ in range(5))
    for number, tenant in enumerate(reversed(tenants)):
        await records.put_report(*audited(tenant, number), kept=3)
        await records.put_report(*audited(tenant, number + 100), kept=3)
    wanted = [audited(tenant, 104 - place)[1] for place, tenant in enumerate(tenants)]
    seen, after, sizes = list[str](), None, []
    while True:
        page, after = await records.latest_reports(after=after, limit=2)
        seen += page
        sizes.append(len(page))
        if after is None:
            break
    assert (seen, sizes) == (wanted, [2, 2, 1])
    assert await records.latest_reports(limit=5) == (wanted, None)


async def test_a_report_of_the_longest_length_fits_and_a_longer_one_is_refused(
    records: TenantRecords,
) -> None:
    audit, _ = audited(str(uuid4()))
    await records.put_report(audit, "x" * LONGEST_REPORT, kept=1)
    assert len(await records.get_report(audit) or "") == LONGEST_REPORT
    with pytest.raises(Refused) as caught:
        await records.put_report(audit, "x" * (LONGEST_REPORT + 1), kept=1)
    assert caught.value.code == "records_too_large"


@pytest.mark.parametrize("identifier", ["", "nonsense", "..", "a' or 'b' eq 'b"])
async def test_what_is_no_operation_id_names_no_report(
    records: TenantRecords, identifier: str
) -> None:
    await records.put_report(*audited(str(uuid4())), kept=1)
    assert await records.get_report(identifier) is None
    with pytest.raises(ValueError, match="not an operation id"):
        await records.put_report(identifier, "{}", kept=1)
