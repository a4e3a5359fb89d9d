"""Mondoo's side of an onboarding: every way in which its API says no, and what becomes of it.

The shapes are those of the error model of Mondoo's API: gRPC text in an answer with status 200, a
code beside it in either spelling, plain HTTP statuses, partial data, error types of unions, errors
inside a payload, no answer at all, and what a proxy says instead.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from local.simulators.tenant import SimulatedTenant
from tests.driving import outcomes, step
from tests.shared.onboarding.rehearsal import WAITS, Rehearsal
from tests.shared.onboarding.test_first_result import integration_of

SHORT = msgspec.structs.replace(WAITS, propagation_deadline=60)
CREATE = "createClientIntegration"
ASSIGN = "assignPolicy"
ACTIVE = "activePolicies"


def grpc(code: str, *, listed: str | None = None, data: Any = None) -> bytes:
    """An answer with status 200 that carries an error."""
    error: dict[str, Any] = {"message": f"rpc error: code = {code} desc = some reason"}
    if listed is not None:
        error = {"message": "some reason", "extensions": {"code": listed}}
    return json.dumps({"errors": [error], "data": data}).encode()


def data(**fields: Any) -> bytes:
    return json.dumps({"data": fields}).encode()


REFUSALS = {
    "NotFound": "mondoo_not_found",
    "PermissionDenied": "mondoo_forbidden",
    "Unauthenticated": "mondoo_unauthenticated",
    "AlreadyExists": "mondoo_already_exists",
    "InvalidArgument": "mondoo_invalid_argument",
    "OutOfRange": "mondoo_invalid_argument",
    "FailedPrecondition": "mondoo_precondition",
    "Unimplemented": "mondoo_unsupported",
    "Unknown": "mondoo_refused",
    "SomethingNew": "mondoo_refused",
}
HEALS = ("ResourceExhausted", "Unavailable", "Aborted")
UNCLEAR = ("Internal", "DeadlineExceeded")


def upper_snake(code: str) -> str:
    return "".join("_" + c if c.isupper() else c.upper() for c in code).lstrip("_")


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("shape", ["grpc text", "extension", "UPPER_SNAKE"])
async def test_a_refusal_fails_the_step_and_is_not_tried_again(
    rehearsal: Rehearsal, tenant: SimulatedTenant, code: str, shape: str
) -> None:
    body = {
        "grpc text": grpc(code),
        "extension": grpc(code, listed=code),
        "UPPER_SNAKE": grpc(code, listed=upper_snake(code)),
    }[shape]
    order = await rehearsal.order(tenant)
    rehearsal.fault(ACTIVE, None, service="mondoo", status=200, body=body)
    told = await rehearsal.step("policies", order)
    assert (told["outcome"], told["code"]) == ("failed", REFUSALS[code])
    assert "wait" not in told
    assert "some reason" in told["message"]
    assert told["remediation"]


@pytest.mark.parametrize("code", HEALS + UNCLEAR)
async def test_a_read_that_may_heal_is_waited_for(
    rehearsal: Rehearsal, tenant: SimulatedTenant, code: str
) -> None:
    order = await rehearsal.order(tenant)
    rehearsal.fault(ACTIVE, None, service="mondoo", status=200, body=grpc(code))
    told = await rehearsal.step("policies", order)
    assert (told["outcome"], told["code"], told["wait"]) == ("unknown", "mondoo_busy", 0.0)


@pytest.mark.parametrize(
    ("shape", "body", "outcome", "code"),
    [
        (
            "partial data",
            grpc("NotFound", data={"activePolicies": {"edges": []}}),
            "failed",
            "mondoo_not_found",
        ),
        (
            "an error type of a union",
            data(activePolicies={"__typename": "AuthenticationRequired", "message": "m"}),
            "failed",
            "mondoo_unauthenticated",
        ),
        (
            "errors inside the payload",
            data(activePolicies={"errors": [{"message": "in use", "code": "ABORTED"}]}),
            "unknown",
            "mondoo_busy",
        ),
        ("null data", b'{"data": null}', "failed", "mondoo_unreadable"),
        ("a proxy's page", b"<html>sign in to the network</html>", "failed", "mondoo_unreadable"),
    ],
)
async def test_an_answer_with_status_200_that_is_no_success_is_told_as_none(
    rehearsal: Rehearsal, tenant: SimulatedTenant, shape: str, body: bytes, outcome: str, code: str
) -> None:
    order = await rehearsal.order(tenant)
    rehearsal.fault(ACTIVE, None, service="mondoo", status=200, body=body)
    told = await rehearsal.step("policies", order)
    assert (told["outcome"], told["code"]) == (outcome, code), shape


@pytest.mark.parametrize(
    ("status", "outcome", "code"),
    [
        (401, "failed", "mondoo_unauthenticated"),
        (403, "failed", "mondoo_forbidden"),
        (404, "failed", "mondoo_unsupported"),
        (422, "failed", "mondoo_refused"),
        (429, "unknown", "mondoo_busy"),
        (500, "unknown", "mondoo_busy"),
        (503, "unknown", "mondoo_busy"),
        (504, "unknown", "mondoo_busy"),
    ],
)
async def test_a_status_other_than_200_is_no_success(
    rehearsal: Rehearsal, tenant: SimulatedTenant, status: int, outcome: str, code: str
) -> None:
    order = await rehearsal.order(tenant)
    rehearsal.fault(ACTIVE, None, service="mondoo", status=status, body=b"")
    told = await rehearsal.step("policies", order)
    assert (told["outcome"], told["code"]) == (outcome, code)


@pytest.mark.parametrize(
    "fault",
    [
        {"drop": "before"},
        {"drop": "after"},
        {"status": 504, "body": b""},
        {"status": 200, "body": grpc("Internal")},
        {"status": 200, "body": grpc("DeadlineExceeded", listed="DEADLINE_EXCEEDED")},
        {"status": 200, "body": b"<html>"},
        {"status": 503, "body": b""},
        {"status": 200, "body": grpc("Unavailable")},
    ],
    ids=["lost", "made-and-lost", "504", "Internal", "deadline", "page", "503", "Unavailable"],
)
async def test_whatever_becomes_of_the_answer_to_create_there_is_one_integration(
    rehearsal: Rehearsal, tenant: SimulatedTenant, fault: dict[str, Any]
) -> None:
    rehearsal.fault(CREATE, tenant, service="mondoo", **fault)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert step(operation, "integration")["attempts"] == 2
    assert integration_of(rehearsal, tenant).status == "ACTIVE"


async def test_a_create_that_mondoo_refuses_fails_and_makes_none(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    body = grpc("InvalidArgument")
    rehearsal.fault(CREATE, tenant, service="mondoo", status=200, body=body)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "failed"
    assert step(operation, "integration")["code"] == "mondoo_invalid_argument"
    assert len(rehearsal.calls(tenant, CREATE)) == 1


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_a_scan_is_asked_for_once_whatever_becomes_of_the_answer(
    rehearsal: Rehearsal, tenant: SimulatedTenant, drop: str
) -> None:
    rehearsal.fault("triggerAction", tenant, service="mondoo", drop=drop)
    operation = await rehearsal.onboard(
        tenant, waits=msgspec.structs.replace(SHORT, scan_deadline=60)
    )
    told = step(operation, "first-scan")
    assert len(rehearsal.calls(tenant, "triggerAction")) <= 1
    if drop == "after":
        assert operation["status"] == "succeeded"
    else:
        assert (operation["status"], told["outcome"]) == ("waiting", "unknown")


async def test_an_outage_that_lasts_leaves_the_tenant_waiting(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    rehearsal.fault(ACTIVE, None, service="mondoo", times=None, status=503, body=b"")
    operation = await rehearsal.onboard(tenant, waits=SHORT)
    assert operation["status"] == "waiting"
    assert step(operation, "policies")["code"] == "mondoo_busy"


# --- care for integrations -----------------------------------------------------------------------


async def test_an_integration_that_somebody_made_is_adopted_and_brought_up_to_date(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    order = await rehearsal.order(tenant)
    await rehearsal.onboard(tenant)
    one = integration_of(rehearsal, tenant)

    def as_if_made_by_hand() -> None:
        one.labels = {"team": "blue"}
        one.certificate = "abcd1234567890"

    rehearsal.simulators.run(as_if_made_by_hand)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["integration"] == "changed"
    assert integration_of(rehearsal, tenant) is one
    assert one.labels["team"] == "blue"
    assert one.labels["managed-by"] == "mondoo-onboarding"
    assert order.tenant_id == one.tenant_id


async def test_several_integrations_are_reported_and_none_is_removed(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    one = integration_of(rehearsal, tenant)
    rehearsal.simulators.run(
        lambda: rehearsal.simulators.mondoo.add_integration(
            one.scope_mrn, "a twin", tenant_id=tenant.id, client_id=one.client_id
        )
    )
    operation = await rehearsal.onboard(tenant)
    (found,) = step(operation, "integration")["findings"]
    assert found["code"] == "integration_duplicate"
    assert one.mrn in found["subject"]
    listed = rehearsal.simulators.mondoo.integrations.values()
    assert sum(each.tenant_id == tenant.id for each in listed) == 2


async def test_a_paused_integration_stays_paused_and_the_tenant_is_not_called_onboarded(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    one = integration_of(rehearsal, tenant)

    def pause() -> None:
        one.paused = True
        one.labels.pop("certificate-thumbprint")  # so that there is something to bring up to date

    rehearsal.simulators.run(pause)
    operation = await rehearsal.onboard(tenant)
    told = step(operation, "first-scan")
    assert outcomes(operation)["integration"] == "changed"
    assert (told["outcome"], told["code"]) == ("failed", "integration_paused")
    assert one.paused


async def test_a_keyless_integration_is_given_the_certificate(
    rehearsal: Rehearsal, tenant: SimulatedTenant
) -> None:
    await rehearsal.onboard(tenant)
    one = integration_of(rehearsal, tenant)

    def keyless() -> None:
        one.use_wif, one.certificate = True, None

    rehearsal.simulators.run(keyless)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert not one.use_wif
