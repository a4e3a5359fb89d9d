"""The demo that a newcomer runs first."""

from __future__ import annotations

import pytest

from local.demo import demo


def test_every_sample_tenant_ends_as_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo() == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    table = [line for line in printed.out.splitlines() if line.endswith(("  yes", "  no"))]
    assert len(table) == 5
    assert all(line.endswith("yes") for line in table)
    assert "RoleManagement.ReadWrite.Directory" in printed.out
    assert "Exchange Online" in printed.out
    assert "1 clean, 3 with findings, 0 failed" in printed.out
    assert "3 clean, 1 with findings, 0 failed" in printed.out
    by_event, by_csv = printed.out.split("\n\n")[-2:]
    assert "delivered twice\n  succeeded: one operation" in by_event
    assert [line.split()[3] for line in by_csv.splitlines()[1:4]] == ["succeeded"] * 3
