"""The judgement over a report of checkov."""

from __future__ import annotations

from typing import Any

from tests.infra.gate import problems_of


def report(*, failed: list[dict[str, str]] | None = None, broken: list[str] | None = None) -> Any:
    return {
        "check_type": "bicep",
        "results": {"failed_checks": failed or [], "parsing_errors": broken or []},
        "summary": {"passed": 7},
    }


def test_a_report_without_failures_is_no_problem() -> None:
    assert problems_of(report()) == []


def test_a_file_that_cannot_be_parsed_is_a_problem_though_checkov_says_nothing() -> None:
    assert problems_of(report(broken=["/main.bicep"])) == ["/main.bicep cannot be parsed"]


def test_a_failed_check_is_a_problem() -> None:
    check = {"file_path": "/app/x.bicep", "check_id": "CKV_1", "check_name": "Ensure it"}
    assert problems_of([report(), report(failed=[check])]) == ["/app/x.bicep: CKV_1 Ensure it"]


def test_nothing_checked_is_a_problem() -> None:
    assert problems_of({"passed": 0, "failed": 0, "parsing_errors": 0}) == ["nothing was checked"]
