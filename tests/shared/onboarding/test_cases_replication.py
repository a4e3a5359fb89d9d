"""Field cases, group B: replication lag and concurrency, from the first step to the last.

Time is simulated: minutes of lag pass in a moment.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from local.simulators.objects import Lag
from local.simulators.tenant import SimulatedTenant
from tests.driving import Watch, outcomes, step
from tests.end_to_end.test_onboarding import ONCE, end_state
from tests.shared.onboarding.rehearsal import NAME, WAITS, Rehearsal

CREATE = "PATCH /applications(uniqueName='{uniqueName}')"
PRINCIPAL = "POST /servicePrincipals"
GRANT = "POST /servicePrincipals/{id}/appRoleAssignedTo"
SHORT = msgspec.structs.replace(WAITS, propagation_deadline=60)


def seconds(step: dict[str, Any]) -> float:
    """How long a step took, in simulated time."""
    took = datetime.fromisoformat(step["finishedAt"]) - datetime.fromisoformat(step["startedAt"])
    return took / timedelta(seconds=1)


async def test_case_b1_a_fresh_application_that_others_cannot_refer_to_yet_is_waited_for(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    tenant.lag = Lag(objects=20.0, references=60.0)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    refused = rehearsal.calls(tenant, PRINCIPAL)
    assert [call.status for call in refused].count(400) >= 2
    assert end_state(rehearsal, tenant) == ONCE


async def test_case_b2_the_misleading_403_about_our_own_application_is_waited_for(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    tenant.lag = Lag(references=60.0)
    tenant.switches.unreplicated_app_as_403 = True
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert 403 in {call.status for call in rehearsal.calls(tenant, PRINCIPAL)}
    assert end_state(rehearsal, tenant) == ONCE


async def test_case_b3_five_minutes_until_anything_can_be_seen_are_waited_for(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    tenant.lag = Lag(objects=300.0, references=300.0, grants=300.0, roles=300.0, credentials=300.0)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert seconds(step(operation, "application")) >= 290
    assert end_state(rehearsal, tenant) == ONCE


async def test_case_b4_a_principal_that_grants_do_not_find_yet_is_waited_for(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.fault(GRANT, tenant, times=3, status=404, code="Request_ResourceNotFound")
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert step(operation, "permissions")["attempts"] == 2
    assert end_state(rehearsal, tenant) == ONCE


@pytest.mark.parametrize(
    ("operation", "status"), [(CREATE, 409), (CREATE, 503), (PRINCIPAL, 409), (GRANT, 503)]
)
async def test_case_b7_a_concurrent_change_is_tried_again_whatever_its_status(
    rehearsal: Rehearsal, tenant: SimulatedTenant, operation: str, status: int
) -> None:
    rehearsal.fault(operation, tenant, status=status, code="Directory_ConcurrencyViolation")
    assert (await rehearsal.onboard(tenant))["status"] == "succeeded"
    assert end_state(rehearsal, tenant) == ONCE


async def test_case_b8_a_principal_that_someone_else_made_meanwhile_is_used_and_marked(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    owner = rehearsal.automation(tenant)

    def made_by_someone_else() -> None:
        (ours,) = [app for app in tenant.applications.values() if app.display_name == NAME]
        tenant.add_service_principal(ours, owners=[owner])

    rehearsal.fault(PRINCIPAL, tenant, status=409, code="Request_MultipleObjectsWithSameKeyValue")
    operation = await rehearsal.onboard(tenant, before={"service-principal": made_by_someone_else})
    assert operation["status"] == "succeeded"
    assert end_state(rehearsal, tenant) == ONCE
    assert set(outcomes(await rehearsal.onboard(tenant)).values()) == {"passed"}


async def test_case_b10_an_application_that_never_appears_ends_the_wait_and_nothing_follows(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    tenant.lag = Lag(objects=1e6)
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "waiting"
    told = step(operation, "application")
    assert told["outcome"] == "unknown"
    assert told["code"] == "application_not_replicated"
    assert "Waited 900 s; nothing was undone" in told["message"]
    assert 900 <= seconds(told) < 960
    written = set(watch.writes("graph", "mondoo"))
    assert written == {f"graph {CREATE}"}
    record = await rehearsal.context.records.get(tenant.id)
    assert record is not None
    assert record.state == "waiting"


async def test_case_b11_a_refusal_costs_one_call_and_its_cause_reaches_the_operator(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.fault(
        CREATE, tenant, times=None, status=403, code="Authorization_RequestDenied", message="No."
    )
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "failed"
    told = step(operation, "application")
    assert told["attempts"] == 1
    (call,) = rehearsal.calls(tenant, CREATE)
    assert "403 Authorization_RequestDenied" in told["message"]
    assert call.request_id in told["message"]


async def test_case_b11_the_last_error_of_an_exhausted_wait_is_kept_with_its_request_id(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.fault(
        PRINCIPAL,
        tenant,
        times=None,
        status=400,
        code="Request_BadRequest",
        message="The appId does not reference a valid application object.",
    )
    operation = await rehearsal.onboard(tenant, waits=SHORT)
    assert operation["status"] == "waiting"
    told = step(operation, "service-principal")
    assert told["code"] == "application_not_replicated"
    assert "400 Request_BadRequest" in told["message"]
    assert rehearsal.calls(tenant, PRINCIPAL)[-1].request_id in told["message"]


async def test_case_b13_endless_throttling_ends_at_the_deadline_after_a_few_calls(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.fault(
        CREATE,
        tenant,
        times=None,
        status=429,
        code="TooManyRequests",
        headers={"Retry-After": "120"},
    )
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "waiting"
    told = step(operation, "application")
    assert told["code"] == "graph_throttled"
    assert 900 <= seconds(told) < 960
    assert len(rehearsal.calls(tenant, CREATE)) <= 9
