"""The product in Azure's worker and on azure-functions-durable 2.x, against the simulators."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.simulators import Simulators
from local.simulators.faults import Fault
from local.stack import LocalStack
from tests.next.stage import Stage, pb
from tests.next.suite import Suite

ROOT = Path(__file__).resolve().parent.parent.parent

_running: list[Simulators] = []


@contextmanager
def simulated_services() -> Iterator[Mapping[str, str]]:
    """Settings of the app while the simulators run."""
    with LocalStack(host=False) as stack:
        _running.append(stack.simulators)
        yield stack.settings
        _running.clear()


def every_kind_of_function_is_found(stage: Stage) -> None:
    kinds = {function.kind for function in stage.functions.values()}
    assert {"httpTrigger", "orchestrationTrigger", "activityTrigger"} <= kinds, kinds
    assert stage.functions["health"].trigger["route"] == "health"


def the_app_is_healthy(stage: Stage) -> None:
    answer = stage.http("GET", "/api/health")
    assert (answer.status, answer.json()["status"]) == (200, "up"), answer


def a_bad_request_gets_problem_details(stage: Stage) -> None:
    answer = stage.http("POST", "/api/tenants", body=b"{}")
    assert answer.status == 400, answer
    assert answer.headers["content-type"].startswith("application/problem+json"), answer


def the_interface_describes_every_route(stage: Stage) -> None:
    described = stage.http("GET", "/api/openapi.json").json()["paths"]
    routes = {
        f"/api/{function.trigger['route']}"
        for function in stage.functions.values()
        if function.kind == "httpTrigger"
    }
    assert set(described) == routes, set(described) ^ routes


def a_tenant_is_onboarded(stage: Stage) -> None:
    (simulators,) = _running
    tenant = simulators.run(simulators.world.add_tenant, "contoso.onmicrosoft.com")

    answer = stage.http("POST", "/api/tenants", body=json.dumps({"tenant": tenant.id}).encode())
    assert answer.status == 202, answer

    state = stage.finished(f"tenant-{tenant.id}", timeout=90)
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED, state.failureDetails
    operation = stage.http("GET", f"/api/tenants/{tenant.id}").json()
    assert operation["tenant"]["state"] == "onboarded", operation


def an_operation_that_waits_is_cancelled(stage: Stage) -> None:
    (simulators,) = _running
    tenant = simulators.run(simulators.world.add_tenant, "fabrikam.onmicrosoft.com")
    fault = Fault("graph", "POST /servicePrincipals", tenant.id, times=None, status=503)
    simulators.run(simulators.faults.add, fault)
    body = json.dumps({"tenant": tenant.id}).encode()
    accepted = stage.http("POST", "/api/tenants", body=body)
    assert accepted.status == 202, accepted
    location = f"/api/operations/{accepted.json()['operation']}"
    limit = time.monotonic() + 30
    while "code" not in _step(stage, location, "service-principal"):
        assert time.monotonic() < limit, "it never waited"
    answer = stage.http("POST", f"{location}/cancel")
    assert answer.status == 202, answer

    state = stage.finished(f"tenant-{tenant.id}", timeout=90)
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED, state.failureDetails
    assert json.loads(state.output.value)["status"] == "cancelled", state.output.value
    assert _step(stage, location, "service-principal")["code"] == "operation_cancelled"
    simulators.run(simulators.faults.clear)


def _step(stage: Stage, location: str, name: str) -> dict[str, Any]:
    operation = stage.http("GET", location).json()
    return next(step for step in operation["steps"] if step["name"] == name)


def its_certificate_is_rotated(stage: Stage) -> None:
    tenant_id = stage.http("GET", "/api/tenants").json()["tenants"][0]["tenantId"]
    answer = stage.http("POST", f"/api/tenants/{tenant_id}/rotate")
    assert answer.status == 202, answer
    state = stage.finished(f"tenant-{tenant_id}", timeout=90)
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED, state.failureDetails
    record = stage.http("GET", f"/api/tenants/{tenant_id}").json()["tenant"]
    assert record["rotation"]["state"] == "finished", record


def it_is_offboarded_with_a_receipt(stage: Stage) -> None:
    tenant_id = stage.http("GET", "/api/tenants").json()["tenants"][0]["tenantId"]
    answer = stage.http("DELETE", f"/api/tenants/{tenant_id}")
    assert answer.status == 202, answer
    state = stage.finished(f"tenant-{tenant_id}", timeout=90)
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED, state.failureDetails
    record = stage.http("GET", f"/api/tenants/{tenant_id}").json()["tenant"]
    assert record["receipt"]["complete"], record


SUITE = Suite(
    ROOT,
    simulated_services,
    [
        every_kind_of_function_is_found,
        the_app_is_healthy,
        a_bad_request_gets_problem_details,
        the_interface_describes_every_route,
        a_tenant_is_onboarded,
        its_certificate_is_rotated,
        it_is_offboarded_with_a_receipt,
        an_operation_that_waits_is_cancelled,
    ],
)
