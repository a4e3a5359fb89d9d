"""The demo that a newcomer runs first."""

from __future__ import annotations

import pytest

from local.demo import demo


def test_every_sample_tenant_ends_as_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo() == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    table = printed.out.rsplit("\n\n", 1)[-1].splitlines()
    assert len(table) == 6
    assert all(line.endswith("yes") for line in table[1:])
    assert "RoleManagement.ReadWrite.Directory" in printed.out
    assert "Exchange Online" in printed.out
    coverage = [part.splitlines() for part in printed.out.split("  coverage:")[1:]]
    assert len(coverage) == 5
    assert sum("none, since no scan was made" in lines[0] for lines in coverage) == 1
    for lines in coverage:
        if "none" not in lines[0]:
            named = [line.split()[0] for line in lines[1:6]]
            assert named == ["entra", "exchange", "sharepoint", "teams", "intune"]
