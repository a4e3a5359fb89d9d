"""What is logged: one line of JSON that the saved queries can read, and nothing that is secret."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.audit.orchestrator import AUDIT_ACTIVITY
from shared.models import (
    Finding,
    Operation,
    OperationKind,
    OperationStatus,
    Outcome,
    Severity,
    Step,
    StepResult,
    to_json,
)
from shared.telemetry import (
    OperationEntry,
    RequestEntry,
    StepEntry,
    operation_ended,
    request_admitted,
    step_ended,
)
from tests.driving import Driver

TENANT = "6f2c7a4e-1111-4222-8333-9a1b2c3d4e5f"
ID = f"{TENANT}.20261124T050000000000Z"
START = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
CALL = {"order": {"operationId": ID}}
ROOT = Path(__file__).parents[2]
QUERIES = sorted((ROOT / "infra" / "queries").glob("*.kql"))


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, dict[str, Any]]]:
    return [(each.levelno, json.loads(each.getMessage())) for each in caplog.records]


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="onboarding")


def test_a_step_that_failed_is_a_warning_with_its_code(caplog: pytest.LogCaptureFixture) -> None:
    finding = Finding("x_y", Severity.HIGH, "subject", "message", "remedy")
    result = StepResult(Outcome.FAILED, "text", "right_missing", "Grant it.", [finding])
    step_ended("onboard_preflight", CALL, to_json(result))
    assert lines(caplog) == [
        (
            logging.WARNING,
            {
                "event": "step",
                "tenant": TENANT,
                "operation": ID,
                "step": "onboard_preflight",
                "outcome": "failed",
                "code": "right_missing",
                "findings": 1,
            },
        )
    ]


def test_a_step_that_will_be_called_again_is_waiting(caplog: pytest.LogCaptureFixture) -> None:
    result = StepResult(Outcome.UNKNOWN, "…", "not_replicated", wait=3.0)
    step_ended("onboard_sign_in", CALL, to_json(result))
    ((level, entry),) = lines(caplog)
    assert (level, entry["outcome"]) == (logging.INFO, "waiting")


def test_what_is_not_a_step_of_an_operation_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    step_ended("advance_fleet", {"id": "run"}, {"outcome": "passed"})
    step_ended("onboard_preflight", CALL, ["something else"])
    assert lines(caplog) == []


def test_an_operation_says_how_long_it_took_and_until_when_its_certificate_is_good(
    caplog: pytest.LogCaptureFixture,
) -> None:
    operation = Operation(
        ID,
        OperationKind.ONBOARD,
        TENANT,
        OperationStatus.FAILED,
        START,
        [Step("preflight", Outcome.PASSED), Step("sign-in", Outcome.FAILED, "", "sign_in_refused")],
    )
    expires = datetime(2027, 11, 24, tzinfo=UTC)
    operation_ended(operation, expires, datetime(2026, 11, 24, 5, 1, 30, tzinfo=UTC))
    assert lines(caplog) == [
        (
            logging.WARNING,
            {
                "event": "operation",
                "tenant": TENANT,
                "operation": ID,
                "kind": "onboard",
                "status": "failed",
                "seconds": 90.0,
                "code": "sign_in_refused",
                "certificateExpires": "2027-11-24T00:00:00Z",
            },
        )
    ]


def test_who_called_is_an_object_id(caplog: pytest.LogCaptureFixture) -> None:
    request_admitted("onboard_tenant_request", TENANT)
    ((_, entry),) = lines(caplog)
    assert entry == {"event": "request", "function": "onboard_tenant_request", "caller": TENANT}


ENTRIES = {"step": StepEntry, "operation": OperationEntry, "request": RequestEntry}
VALUES: dict[str, set[str]] = {
    "outcome": {each.value for each in Outcome} | {"waiting"},
    "kind": {each.value for each in OperationKind},
    "status": {each.value for each in OperationStatus},
    "step": {AUDIT_ACTIVITY},
}
"""What a query may compare a field with."""


@pytest.mark.parametrize("query", QUERIES, ids=lambda path: path.stem)
def test_a_saved_query_reads_only_what_is_logged(query: Path) -> None:
    text = query.read_text(encoding="utf-8")
    (event,) = re.findall(r'entry\.event\) == "(\w+)"', text)
    known = {field.encode_name for field in msgspec.structs.fields(ENTRIES[event])} | {"event"}
    read = set(re.findall(r"\bentry\.(\w+)", text))
    assert {"event"} < read <= known
    compared = re.findall(r'entry\.(\w+)\) (?:==|in) (\(.*?\)|".*?")', text)
    for field, values in compared:
        if field != "event":
            assert set(re.findall(r'"([^"]*)"', values)) <= VALUES[field], field


def test_every_saved_query_is_shown_or_watched() -> None:
    templates = [*(ROOT / "infra" / "app").glob("*.bicep")]
    used = {
        name
        for template in templates
        for name in re.findall(r"queries/([\w-]+)\.kql", template.read_text(encoding="utf-8"))
    }
    assert used == {query.stem for query in QUERIES}


def test_an_audit_is_logged_with_all_its_findings(caplog: pytest.LogCaptureFixture) -> None:
    """The operation shows only the first ones."""
    result = StepResult(Outcome.WARNING, "text", facts={"findings": 40})
    step_ended(AUDIT_ACTIVITY, CALL, to_json(result))
    ((_, entry),) = lines(caplog)
    assert entry["findings"] == 40


def test_an_onboarding_can_be_followed_in_the_log(
    product: Driver, domain: str, caplog: pytest.LogCaptureFixture
) -> None:
    simulators = product.simulators
    tenant = simulators.run(lambda: simulators.world.add_tenant(domain))
    operation = product.onboard(domain)
    logged = [json.loads(each.getMessage()) for each in caplog.records if each.name == "onboarding"]
    ours = [entry for entry in logged if entry["tenant"] == tenant.id]
    told = {entry["step"] for entry in ours if entry["event"] == "step"}
    steps = [each["name"] for each in operation["steps"]]
    assert told == {f"onboard_{name.replace('-', '_')}" for name in steps}
    (end,) = [entry for entry in ours if entry["event"] == "operation"]
    assert (end["status"], end["operation"]) == ("succeeded", operation["id"])
    assert "certificateExpires" in end


def test_the_host_keeps_one_trace_for_trigger_orchestrator_and_activities() -> None:
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    assert host["telemetryMode"] == "OpenTelemetry"
    tracing = host["extensions"]["durableTask"]["tracing"]
    assert tracing == {"distributedTracingEnabled": True, "version": "V2"}
