"""History events as JSON, in the words of Durable Functions.

`all_fields` keeps everything the engine holds, payloads decoded; it serves people and the test that
looks for secrets. `for_status` is what the HTTP API shows with `showHistory=true`: scheduling
events are folded into their results, inputs and outputs are left out unless asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb

from local.host.payloads import revealed

STATUS_NAMES = {
    pb.ORCHESTRATION_STATUS_RUNNING: "Running",
    pb.ORCHESTRATION_STATUS_COMPLETED: "Completed",
    pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW: "ContinuedAsNew",
    pb.ORCHESTRATION_STATUS_FAILED: "Failed",
    pb.ORCHESTRATION_STATUS_CANCELED: "Canceled",
    pb.ORCHESTRATION_STATUS_TERMINATED: "Terminated",
    pb.ORCHESTRATION_STATUS_PENDING: "Pending",
    pb.ORCHESTRATION_STATUS_SUSPENDED: "Suspended",
}

_SCHEDULED = ("TaskScheduled", "SubOrchestrationInstanceCreated")
_RESULTS = (
    "TaskCompleted",
    "TaskFailed",
    "SubOrchestrationInstanceCompleted",
    "SubOrchestrationInstanceFailed",
)
_BOOKENDS = ("OrchestratorStarted", "OrchestratorCompleted")


def _moment(timestamp: Any) -> str:
    """A protobuf timestamp as text: UTC with microseconds."""
    when: datetime = timestamp.ToDatetime(tzinfo=UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def all_fields(events: Sequence[pb.HistoryEvent]) -> list[dict[str, Any]]:
    """Every event with everything in it."""
    return [_one(event) for event in events]


def _one(event: pb.HistoryEvent) -> dict[str, Any]:
    kind = str(event.WhichOneof("eventType"))
    body = getattr(event, kind)
    fields: dict[str, Any] = {
        "EventType": kind[0].upper() + kind[1:],
        "EventId": event.eventId,
        "Timestamp": _moment(event.timestamp),
    }
    names = {field.name for field in body.DESCRIPTOR.fields}
    for name in ("name", "instanceId", "taskScheduledId", "timerId"):
        if name in names:
            fields[name[0].upper() + name[1:]] = getattr(body, name)
    for name in ("input", "result"):
        if name in names and body.HasField(name):
            fields[name.capitalize()] = revealed(getattr(body, name).value)
    if "fireAt" in names:
        fields["FireAt"] = _moment(body.fireAt)
    if "orchestrationStatus" in names:
        fields["OrchestrationStatus"] = STATUS_NAMES[body.orchestrationStatus]
    if "failureDetails" in names and body.HasField("failureDetails"):
        fields["Reason"] = body.failureDetails.errorMessage
        fields["Details"] = revealed(body.failureDetails.stackTrace.value)
    return fields


def for_status(
    events: Sequence[pb.HistoryEvent], *, outputs: bool, inputs: bool
) -> list[dict[str, Any]]:
    """History as the HTTP API shows it."""
    scheduled: dict[int, dict[str, Any]] = {}
    shown: list[dict[str, Any]] = []
    for fields in all_fields(events):
        kind = fields["EventType"]
        if kind in _BOOKENDS:
            continue
        if kind in _SCHEDULED:
            scheduled[fields["EventId"]] = fields
        elif kind in _RESULTS:
            origin = scheduled.pop(fields.pop("TaskScheduledId"), {})
            fields["ScheduledTime"] = origin.get("Timestamp")
            fields["FunctionName"] = origin.get("Name")
            if "Input" in origin:
                fields["Input"] = origin["Input"]
            if origin in shown:
                shown.remove(origin)
        elif kind == "ExecutionStarted":
            fields["FunctionName"] = fields.pop("Name")
        shown.append(fields)
    hidden = [
        "EventId",
        "TimerId",
        *([] if outputs else ["Result"]),
        *([] if inputs else ["Input"]),
    ]
    return [{k: v for k, v in fields.items() if k not in hidden} for fields in shown]
