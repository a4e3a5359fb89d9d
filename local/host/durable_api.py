"""The HTTP API of the Durable Functions extension, which the 1.x client talks to.

Paths, status codes and field names follow `HttpApiHandler.cs` of the extension
(Azure/azure-functions-durable-extension), with one exception: a start that meets a running instance
answers 409, where the version read answers 500. The error body is the same.

Two details that surprise, kept because products meet them: `showInput` is true unless the query
says otherwise, and the payload of an event raised through the Python client arrives as JSON *text*,
because that client encodes twice.

Left out: entities, `makePrimary`, several task hubs.
"""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from durabletask.testing.in_memory_backend import OrchestrationInstance

from local.host.backend import BackendError
from local.host.engine import Engine, InstanceExistsError, InstanceIdError, UnknownFunctionError
from local.host.history import STATUS_NAMES, for_status

CONTINUATION = "x-ms-continuation-token"
PAGE_SIZE = 100

_IN_PROGRESS = ("Running", "Pending", "ContinuedAsNew", "Suspended")


@dataclass(frozen=True)
class ApiRequest:
    """A request below the base path of the extension."""

    method: str
    parts: tuple[str, ...]
    url: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def flag(self, name: str, default: bool) -> bool:
        """A boolean of the query; what is no boolean counts as absent."""
        text = self.query.get(name, "").lower()
        return text == "true" if text in ("true", "false") else default


@dataclass(frozen=True)
class ApiAnswer:
    """Status, JSON body (None: empty) and headers."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The body as sent."""
        return "" if self.body is None else json.dumps(self.body)


class DurableApi:
    """Answers requests; knows the addresses that go into the client binding."""

    def __init__(
        self, engine: Engine, hub_name: str, webhook_url: str, rpc_url: str, key: str
    ) -> None:
        self._engine = engine
        self._hub_name = hub_name
        self._webhook_url = webhook_url.rstrip("/")
        self._rpc_url = rpc_url.rstrip("/") + "/"
        self._query = urlencode({"taskHub": hub_name, "connection": "Storage", "code": key})

    def client_binding(self) -> str:
        """Value of a `durableClient` binding, as the extension makes it."""
        start = f"{self._webhook_url}/orchestrators/{{functionName}}[/{{instanceId}}]"
        wait = "timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}"
        return json.dumps(
            {
                "taskHubName": self._hub_name,
                "creationUrls": {
                    "createNewInstancePostUri": f"{start}?{self._query}",
                    "createAndWaitOnNewInstancePostUri": f"{start}?{wait}&{self._query}",
                },
                "managementUrls": self._management_urls("INSTANCEID"),
                "baseUrl": self._webhook_url,
                "requiredQueryStringParameters": self._query,
                "rpcBaseUrl": self._rpc_url,
            }
        )

    def _management_urls(self, instance_id: str) -> dict[str, str]:
        instance, query = f"{self._webhook_url}/instances/{instance_id}", self._query
        return {
            "id": instance_id,
            "statusQueryGetUri": f"{instance}?{query}",
            "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{query}",
            "terminatePostUri": f"{instance}/terminate?reason={{text}}&{query}",
            "rewindPostUri": f"{instance}/rewind?reason={{text}}&{query}",
            "purgeHistoryDeleteUri": f"{instance}?{query}",
            "restartPostUri": f"{instance}/restart?{query}",
            "suspendPostUri": f"{instance}/suspend?reason={{text}}&{query}",
            "resumePostUri": f"{instance}/resume?reason={{text}}&{query}",
        }

    # -- dispatch --------------------------------------------------------------------------------

    async def answer(self, request: ApiRequest) -> ApiAnswer:
        """Answer a request; 404 for what the extension does not have."""
        match (request.method, *request.parts):
            case ("POST", "orchestrators", name):
                return await self._start(request, name, None)
            case ("POST", "orchestrators", name, instance_id):
                return await self._start(request, name, instance_id)
            case ("GET", "instances"):
                return self._list(request)
            case ("DELETE", "instances"):
                return self._purge_where(request)
            case ("GET", "instances", instance_id):
                return self._status(request, instance_id)
            case ("DELETE", "instances", instance_id):
                return self._purge(instance_id)
            case ("POST", "instances", instance_id, "raiseEvent", event):
                return self._raise_event(request, instance_id, event)
            case ("POST", "instances", instance_id, "restart"):
                return self._restart(request, instance_id)
            case ("POST", "instances", instance_id, operation):
                return self._change(request, instance_id, operation)
        return ApiAnswer(404)

    # -- starting --------------------------------------------------------------------------------

    async def _start(self, request: ApiRequest, name: str, instance_id: str | None) -> ApiAnswer:
        try:
            encoded = json.dumps(json.loads(request.body)) if request.body else None
        except ValueError as error:
            return _error(400, "Invalid JSON content", error)
        if encoded == "null":
            encoded = None
        try:
            new_id = self._engine.new(name, instance_id, encoded)
        except (UnknownFunctionError, InstanceIdError) as error:
            return _error(400, "One or more of the arguments submitted is incorrect", error)
        except InstanceExistsError as error:
            return _error(409, "Something went wrong while processing your request", error)
        return await self._accepted_or_finished(request, new_id)

    def _restart(self, request: ApiRequest, instance_id: str) -> ApiAnswer:
        instance = self._engine.backend.instance(instance_id)
        if instance is None:
            return ApiAnswer(404)
        try:
            new = request.flag("restartWithNewInstanceId", True)
            return self._accepted(self._engine.restart(instance, new_id=new))
        except InstanceExistsError as error:
            return _error(409, "Something went wrong while processing your request", error)

    async def _accepted_or_finished(self, request: ApiRequest, instance_id: str) -> ApiAnswer:
        timeout, interval = request.query.get("timeout"), request.query.get("pollingInterval")
        if timeout is None or interval is None:
            return self._accepted(instance_id)
        backend = self._engine.backend
        instance = await asyncio.to_thread(
            backend.wait_for, instance_id, backend.finished, float(timeout)
        )
        if instance is None:
            return self._accepted(instance_id)
        return ApiAnswer(200, _shown(instance.output))

    def _accepted(self, instance_id: str) -> ApiAnswer:
        urls = self._management_urls(instance_id)
        del urls["rewindPostUri"]
        headers = {"Location": urls["statusQueryGetUri"], "Retry-After": "10"}
        return ApiAnswer(202, urls, headers)

    # -- reading ---------------------------------------------------------------------------------

    def _status(self, request: ApiRequest, instance_id: str) -> ApiAnswer:
        instance = self._engine.backend.instance(instance_id)
        if instance is None:
            return ApiAnswer(404)
        inputs = request.flag("showInput", True)
        payload = _payload(instance, show_input=inputs)
        if request.flag("showHistory", False) and payload["runtimeStatus"] != "Pending":
            payload["historyEvents"] = for_status(
                self._engine.backend.history_of(instance_id),
                outputs=request.flag("showHistoryOutput", False),
                inputs=inputs,
            )
        if payload["runtimeStatus"] in _IN_PROGRESS:
            return ApiAnswer(202, payload, {"Location": request.url, "Retry-After": "5"})
        failed = payload["runtimeStatus"] == "Failed"
        on_failure = request.flag("returnInternalServerErrorOnFailure", False)
        return ApiAnswer(500 if failed and on_failure else 200, payload)

    def _list(self, request: ApiRequest) -> ApiAnswer:
        query = request.query
        found = self._engine.select(
            _time(query.get("createdTimeFrom")),
            _time(query.get("createdTimeTo")),
            _statuses(query.get("runtimeStatus")),
            query.get("instanceIdPrefix"),
        )
        start = int(request.headers.get(CONTINUATION) or 0)
        size = int(query.get("top") or PAGE_SIZE)
        page = found[start : start + size]
        inputs = request.flag("showInput", True)
        more = str(start + size) if start + size < len(found) else ""
        return ApiAnswer(
            200, [_payload(each, show_input=inputs) for each in page], {CONTINUATION: more}
        )

    # -- changing --------------------------------------------------------------------------------

    def _purge(self, instance_id: str) -> ApiAnswer:
        if self._engine.backend.instance(instance_id) is None:
            return ApiAnswer(404)
        return ApiAnswer(200, {"instancesDeleted": self._engine.purge(instance_id)})

    def _purge_where(self, request: ApiRequest) -> ApiAnswer:
        created_from = _time(request.query.get("createdTimeFrom"))
        if created_from is None:
            return ApiAnswer(400, "Please provide value for 'createdTimeFrom' parameter.")
        created_to = _time(request.query.get("createdTimeTo"))
        statuses = _statuses(request.query.get("runtimeStatus"))
        deleted = self._engine.purge_where(created_from, created_to, statuses)
        return ApiAnswer(200, {"instancesDeleted": deleted}) if deleted else ApiAnswer(404)

    def _raise_event(self, request: ApiRequest, instance_id: str, event: str) -> ApiAnswer:
        instance = self._engine.backend.instance(instance_id)
        if instance is None:
            return ApiAnswer(404)
        if self._engine.backend.finished(instance):
            return ApiAnswer(410)
        media_type = request.headers.get("Content-Type", "").split(";")[0].strip().lower()
        if media_type != "application/json":
            only = "Only application/json request content is supported"
            return ApiAnswer(400, {"Message": only})
        try:
            encoded = json.dumps(json.loads(request.body)) if request.body else "null"
        except ValueError as error:
            return _error(400, "Invalid JSON content", error)
        self._engine.raise_event(instance_id, event, encoded)
        return ApiAnswer(202)

    def _change(self, request: ApiRequest, instance_id: str, operation: str) -> ApiAnswer:
        changes = {
            "terminate": self._engine.terminate,
            "suspend": self._engine.suspend,
            "resume": self._engine.resume,
            "rewind": self._engine.rewind,
        }
        instance = self._engine.backend.instance(instance_id)
        if operation not in changes or instance is None:
            return ApiAnswer(404)
        status = STATUS_NAMES[instance.status]
        allowed = (*_IN_PROGRESS, "Failed") if operation == "rewind" else _IN_PROGRESS
        if status not in allowed:
            return ApiAnswer(410)
        try:
            changes[operation](instance_id, request.query.get("reason"))
        except BackendError as error:
            return _error(400, "One or more of the arguments submitted is incorrect", error)
        return ApiAnswer(202)


def _payload(instance: OrchestrationInstance, *, show_input: bool) -> dict[str, Any]:
    output = _shown(instance.output)
    if instance.failure_details is not None:
        output = instance.failure_details.errorMessage
    return {
        "name": instance.name,
        "instanceId": instance.instance_id,
        "runtimeStatus": STATUS_NAMES[instance.status],
        "input": _shown(instance.input) if show_input else None,
        "customStatus": _shown(instance.custom_status),
        "output": output,
        "createdTime": instance.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lastUpdatedTime": instance.last_updated_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _shown(text: str | None) -> Any:
    """Payload as the API shows it: JSON if it is some, else the text (a reason of termination)."""
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _time(text: str | None) -> datetime | None:
    """A time of the query; what is no time counts as absent."""
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _statuses(text: str | None) -> frozenset[str]:
    return frozenset(part.strip() for part in (text or "").split(",") if part.strip())


def _error(status: int, message: str, error: Exception) -> ApiAnswer:
    body = {
        "Message": message,
        "ExceptionMessage": str(error),
        "ExceptionType": type(error).__name__,
        "StackTrace": "".join(traceback.format_tb(error.__traceback__)),
    }
    return ApiAnswer(status, body)
