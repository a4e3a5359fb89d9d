"""Many tenants in one request: a verdict for each line, and every good one onboarded."""

from __future__ import annotations

import threading
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest

from local.simulators.faults import Fault
from local.simulators.objects import Lag
from local.simulators.tenant import SimulatedTenant
from local.stack import LocalStack
from tests.driving import Driver, eventually
from tests.end_to_end.host_process import HostProcess
from tests.end_to_end.test_onboarding import ONCE, add_tenant, end_state

CSV = {"Content-Type": "text/csv; charset=utf-8"}


def domains(count: int) -> list[str]:
    return [f"t{uuid4().hex[:12]}.onmicrosoft.com" for _ in range(count)]


def send_csv(http: httpx.Client, *lines: str, header: str = "tenant") -> dict[str, Any]:
    body = "\r\n".join([header, *lines, ""]).encode("utf-8-sig")
    answer = http.post("/api/tenants/batch", content=body, headers=CSV)
    assert answer.status_code == 202, answer.text
    batch: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/api/batches/{batch['batch']}"
    return batch


def ended(http: httpx.Client, batch: dict[str, Any]) -> dict[str, Any]:
    """The batch once no line is under way, and nobody works on it any more."""

    def look() -> dict[str, Any] | None:
        shown = http.get(batch["links"]["batch"]).json()
        going_on = {"queued", "running"} & {*shown["counts"], shown["status"]}
        return None if going_on else shown

    return eventually(look, f"batch {batch['batch']} has ended")


def statuses(batch: dict[str, Any]) -> list[str]:
    return [line["status"] for line in batch["lines"]]


def test_good_lines_of_a_csv_are_onboarded_though_others_are_bad(product: Driver) -> None:
    first, second = domains(2)
    tenants = [add_tenant(product, first), add_tenant(product, second)]
    batch = send_csv(
        product.http, first, '"common"', f'"{second}"', "", first.upper(), "nobody.example"
    )
    assert [line["verdict"] for line in batch["lines"]] == [
        "accepted",
        "refused",
        "accepted",
        "refused",
        "accepted",
    ]
    assert [line["line"] for line in batch["lines"]] == [2, 3, 4, 6, 7]
    assert batch["lines"][1]["code"] == "tenant_not_one"
    assert batch["lines"][3]["code"] == "line_repeated"
    shown = ended(product.http, batch)
    assert statuses(shown) == ["succeeded", "refused", "succeeded", "refused", "failed"]
    assert shown["lines"][4]["code"] == "tenant_not_found"
    for tenant in tenants:
        assert end_state(product, tenant) == ONCE
    operation = shown["lines"][0]["operation"]
    assert product.get(f"/api/operations/{operation}").json()["status"] == "succeeded"


def test_a_json_array_may_choose_for_each_tenant(product: Driver) -> None:
    (domain,) = domains(1)
    tenant = add_tenant(product, domain)
    body = [{"tenant": tenant.id, "manifest": "2026-09"}, {"tenant": domain, "space": 1}, "text"]
    answer = product.post("/api/tenants/batch", body)
    assert answer.status_code == 202
    batch = answer.json()
    assert [line["status"] for line in batch["lines"]] == ["queued", "refused", "refused"]
    assert batch["lines"][1]["field"] == "space"
    assert statuses(ended(product.http, batch))[0] == "succeeded"
    assert product.get(f"/api/tenants/{tenant.id}").json()["tenant"]["manifest"] == "2026-09"


def test_the_same_tenants_twice_at_once_and_later_join_one_operation(product: Driver) -> None:
    (domain,) = domains(1)
    tenant = add_tenant(product, domain)
    product.simulators.run(setattr, tenant, "lag", Lag(objects=1.0))
    batches = [send_csv(product.http, domain), send_csv(product.http, tenant.id)]
    shown = [ended(product.http, batch) for batch in batches]
    shown.append(ended(product.http, send_csv(product.http, domain)))
    assert [statuses(batch) for batch in shown] == [["succeeded"]] * 3
    assert len({batch["lines"][0]["operation"] for batch in shown}) == 1
    assert end_state(product, tenant) == ONCE


def test_case_d8_one_tenant_without_consent_fails_and_the_others_go_on(product: Driver) -> None:
    names = domains(5)
    tenants = [add_tenant(product, name, consented=name != names[2]) for name in names]
    batch = ended(product.http, send_csv(product.http, *names))
    assert statuses(batch) == ["succeeded", "succeeded", "failed", "succeeded", "succeeded"]
    assert batch["lines"][2]["code"] == "application_not_in_tenant"
    assert batch["lines"][2]["remediation"]
    product.simulators.run(product.simulators.world.consent, tenants[2])
    assert product.post(batch["links"]["retry"]).status_code == 202
    assert set(statuses(ended(product.http, batch))) == {"succeeded"}
    for tenant in tenants:
        assert end_state(product, tenant) == ONCE


def test_a_cancelled_batch_starts_no_more_and_can_be_taken_up_again(product: Driver) -> None:
    names = domains(12)
    tenants = [add_tenant(product, name) for name in names]
    for tenant in tenants:
        product.simulators.run(setattr, tenant, "lag", Lag(objects=1.0))
    batch = send_csv(product.http, *names)
    cancelled = product.post(batch["links"]["cancel"])
    assert cancelled.status_code == 202
    shown = ended(product.http, batch)
    assert shown["status"] == "cancelled"
    assert shown["counts"]["cancelled"] >= 2  # ten may be in flight
    for tenant in tenants:
        product.simulators.run(setattr, tenant, "lag", Lag())
    assert product.post(batch["links"]["retry"]).status_code == 202
    shown = ended(product.http, batch)
    assert (set(statuses(shown)), shown["status"]) == ({"succeeded"}, "ended")


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"", "application/json", "body_not_json"),
        (b"{}", "application/json", "body_not_array"),
        (b"[]", "application/json", "batch_empty"),
        (b"tenant\r\n", "text/csv", "batch_empty"),
        (b"a.example\r\n", "text/csv", "csv_malformed"),
        (b"tenant,colour\r\na.example,red\r\n", "text/csv", "csv_malformed"),
        ("tenant\nfoo".encode("utf-16"), "text/csv", "csv_malformed"),
        (b"tenant\n" + b"a.example\n" * 1001, "text/csv", "batch_too_long"),
        (b"[" + b" " * 2 * 1024 * 1024 + b"]", "application/json", "body_too_large"),
    ],
)
def test_what_cannot_be_read_as_lines_is_refused_as_a_whole(
    product: Driver, body: bytes, content_type: str, code: str
) -> None:
    before = product.stack.host.instances()
    answer = product.http.post(
        "/api/tenants/batch", content=body, headers={"Content-Type": content_type}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert product.stack.host.instances() == before


def test_lines_in_another_media_type_are_refused_as_such(product: Driver) -> None:
    before = product.stack.host.instances()
    answer = product.http.post(
        "/api/tenants/batch", content=b"tenant", headers={"Content-Type": "text/plain"}
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "content_type_unknown")
    assert answer.json()["field"] == "Content-Type"
    assert product.stack.host.instances() == before


@pytest.mark.parametrize("path", ["", "/cancel", "/retry"])
def test_a_batch_that_does_not_exist_is_not_found(product: Driver, path: str) -> None:
    link = f"/api/batches/20260101t000000-00000000{path}"
    answer = product.post(link) if path else product.get(link)
    assert (answer.status_code, answer.json()["code"]) == (404, "batch_unknown")


def test_a_thousand_lines_are_accepted_in_one_request(product: Driver) -> None:
    batch = send_csv(product.http, *(f"nobody{n}.example" for n in range(1000)))
    assert batch["counts"] == {"queued": 1000}
    assert product.post(batch["links"]["cancel"]).status_code == 202
    assert set(statuses(ended(product.http, batch))) <= {"cancelled", "failed"}


TEN_WAYS = [
    (",,,", "tenant"),
    ("common,,,", "tenant"),
    ("no domain,,,", "tenant"),
    ("8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c7,,,", "tenant"),
    ("a.example,my-space,,", "space"),
    ("b.example,,newest,", "manifest"),
    ("c.example,,,cis", "policies[0]"),
    ("d.example,,,,", "(line)"),
    ("e.example", "(line)"),
    ('"f.example\r\nx",,,', "tenant"),
]
"""Ten lines that are bad, each in its own way, and the field that is named."""


@pytest.mark.timeout(1800)
def test_two_hundred_tenants_ten_bad_twenty_failing_and_a_process_killed_half_way() -> None:
    """All good ones are onboarded in the end, and none of them twice."""
    settings = {"PROPAGATION_DEADLINE_SECONDS": "60", "BATCH_IN_FLIGHT": "8"}
    with LocalStack(host=False, settings=settings) as stack:
        simulators = stack.simulators
        names = domains(190)
        tenants = [simulators.run(simulators.world.add_tenant, name) for name in names]
        for tenant in tenants[::10] + tenants[5:6]:
            _break_once(stack, tenant)
        lines = [f"{name},,," for name in names]
        for at, (bad, _) in enumerate(TEN_WAYS):
            lines.insert(at * 19, bad)
        with HostProcess(stack.settings) as first:
            batch = send_csv(first.http, *lines, header="tenant,space,manifest,policies")
            refused = [line for line in batch["lines"] if line["verdict"] == "refused"]
            assert [line["field"] for line in refused] == [field for _, field in TEN_WAYS]
            link = batch["links"]["batch"]
            eventually_longer(
                lambda: first.http.get(link).json()["counts"].get("succeeded", 0) >= 80
            )
        with HostProcess(stack.settings) as second:
            assert second.http.get(link).json()["status"] == "stalled"
            assert second.http.post(batch["links"]["retry"]).status_code == 202
            eventually_longer(lambda: second.http.get(link).json()["status"] == "ended")
            counts = second.http.get(link).json()["counts"]
            if counts.get("failed"):
                assert second.http.post(batch["links"]["retry"]).status_code == 202
                eventually_longer(lambda: second.http.get(link).json()["status"] == "ended")
            counts = second.http.get(link).json()["counts"]
        assert counts == {"succeeded": 190, "refused": 10}
        for tenant in tenants:
            assert end_state_of(stack, tenant) == ONCE


def _break_once(stack: LocalStack, tenant: SimulatedTenant) -> None:
    fault = Fault(
        service="graph",
        operation="POST /servicePrincipals/{id}/appRoleAssignedTo",
        tenant=tenant.id,
        status=400,
        code="Request_BadRequest",
        message="Something that will not heal by waiting.",
    )
    stack.simulators.run(stack.simulators.faults.add, fault)


def end_state_of(stack: LocalStack, tenant: SimulatedTenant) -> dict[str, Any]:
    class Seen:
        simulators = stack.simulators

    return end_state(Seen(), tenant)  # type: ignore[arg-type]


def eventually_longer(condition: Any) -> None:
    """As `eventually`, for what takes minutes on a small machine."""
    limit = time.monotonic() + 900
    while not condition():
        assert time.monotonic() < limit
        threading.Event().wait(0.5)
