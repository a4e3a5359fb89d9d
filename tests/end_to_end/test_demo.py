"""The demo that a newcomer runs first."""

from __future__ import annotations

import pytest

from local.demo import demo


def test_every_sample_tenant_ends_as_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo() == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    blocks = printed.out.split("\n\n")
    (table,) = [block.splitlines() for block in blocks if block.startswith("tenant  ")]
    assert len(table) == 6
    assert all(line.endswith("yes") for line in table[1:])
    assert "RoleManagement.ReadWrite.Directory" in printed.out
    assert "Exchange Online" in printed.out
    by_event, by_csv = blocks[-2:]
    assert "delivered twice\n  succeeded: one operation" in by_event
    assert [line.split()[3] for line in by_csv.splitlines()[1:4]] == ["succeeded"] * 3
