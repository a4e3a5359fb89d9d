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
    coverage = [part.splitlines() for part in printed.out.split("  coverage:")[1:]]
    assert len(coverage) == 5
    assert sum("none, since no scan was made" in lines[0] for lines in coverage) == 1
    for lines in coverage:
        if "none" not in lines[0]:
            named = [line.split()[0] for line in lines[1:6]]
            assert named == ["entra", "exchange", "sharepoint", "teams", "intune"]
    assert [
        line.split() for lines in coverage for line in lines if line.startswith("    azure ")
    ] == [["azure", "scanned"]]
    assert "1 clean, 3 with findings, 0 failed" in printed.out
    assert "3 clean, 1 with findings, 0 failed" in printed.out
    assert "was replaced by" in printed.out
    receipt = printed.out.partition("receipt of")[2].partition("\n\n")[0].splitlines()[1:]
    fates = {line.split()[1]: line.split()[0] for line in receipt}
    # What our rights do not show is told as such; everything of ours is gone.
    assert fates.pop("delegated-grant") == "unknown"
    assert set(fates.values()) == {"removed"}
    assert set(fates) >= {
        "integration",
        "azure-integration",
        "azure-role",
        "application",
        "certificate",
    }
    by_event, by_csv = printed.out.split("\n\n")[-2:]
    assert "delivered twice\n  succeeded: one operation" in by_event
    assert [line.split()[3] for line in by_csv.splitlines()[1:4]] == ["succeeded"] * 3
