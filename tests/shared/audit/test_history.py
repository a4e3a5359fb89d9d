"""Reports as they are kept and come back, in a store of a tenant records file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from shared.audit import history
from shared.audit.history import LEFT_OUT, fitting
from shared.audit.report import AuditReport
from shared.errors import Refused
from shared.models import operation_id
from shared.tenants.records import LONGEST_REPORT
from shared.tenants.sqlite import SqliteRecords
from tests.shared.audit.rendering import samples


@pytest.fixture
def records(tmp_path: Path) -> SqliteRecords:
    return SqliteRecords(str(tmp_path / "tenants.db"))


def on(number: int, report: AuditReport) -> AuditReport:
    """The report as one of another day."""
    at = samples.AT + timedelta(days=number)
    return msgspec.structs.replace(report, operation_id=operation_id(report.tenant_id, at))


def huge() -> AuditReport:
    finding = msgspec.structs.replace(samples.drift()[0], message="m" * 1000)
    return samples.audit(*[finding] * 1000)


async def test_a_report_comes_back_as_it_was(records: SqliteRecords) -> None:
    report = samples.drifted()
    await history.remember(records, report, kept=5)
    assert await history.recall(records, report.operation_id) == report
    assert await history.newest(records, report.tenant_id, 5) == [report]


async def test_only_so_many_are_kept_newest_first(records: SqliteRecords) -> None:
    for number in range(4):
        await history.remember(records, on(number, samples.clean()), kept=2)
    kept = await history.newest(records, samples.TENANT, 5)
    assert kept == [on(3, samples.clean()), on(2, samples.clean())]
    assert await history.recall(records, on(0, samples.clean()).operation_id) is None


async def test_a_report_that_cannot_be_read_is_not_none(records: SqliteRecords) -> None:
    report = samples.clean()
    await records.put_report(report.operation_id, '{"tenantId": 7}', kept=1)
    with pytest.raises(Refused) as caught:
        await history.recall(records, report.operation_id)
    assert caught.value.code == "records_unreadable"


async def test_the_fleet_is_read_over_all_pages(
    records: SqliteRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE", 2)
    for number in range(7):
        await records.put(samples.record(number))
        if number < 5:
            report = samples.of_tenant(samples.drifted(), number)
            await history.remember(records, report, kept=1)
    fleet = await history.fleet(records, now=samples.AT, notices=["n"])
    assert (fleet.standing.findings, fleet.standing.not_audited) == (5, 2)
    assert len({report.tenant_id for report in fleet.reports}) == 5
    assert fleet.notices == ["n"]


async def test_a_tenant_that_is_no_longer_recorded_is_not_in_the_fleet(
    records: SqliteRecords,
) -> None:
    await history.remember(records, samples.clean(), kept=1)
    assert (await history.fleet(records, now=samples.AT)).standing.total == 0


async def test_a_report_that_is_too_long_keeps_the_gravest_and_says_how_many_it_left_out(
    records: SqliteRecords,
) -> None:
    report = huge()
    assert len(fitting(report)) <= LONGEST_REPORT
    await history.remember(records, report, kept=1)
    kept = await history.recall(records, report.operation_id)
    assert kept is not None
    *shown, last = kept.findings
    assert shown == report.findings[: len(shown)]
    assert last.code == LEFT_OUT
    assert f"{1000 - len(shown)} more findings" in last.message
    assert kept.counts == report.counts
