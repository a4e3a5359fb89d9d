"""One request onboards a tenant, end to end, and proves it."""

from __future__ import annotations

from typing import Any

import pytest

from local.simulators.catalogue import ALL_AUTOMATION_RIGHTS
from local.simulators.objects import Lag
from local.simulators.picture import picture
from local.simulators.tenant import SimulatedTenant
from tests.driving import Driver, Watch, eventually, outcomes, step

GLOBAL_READER = "f2ef992c-3afb-46b9-b7cf-a126ee74c451"
STEPS = [
    "preflight",
    "certificate",
    "application",
    "service-principal",
    "permissions",
    "directory-role",
    "sign-in",
    "integration",
    "policies",
    "first-scan",
    "record",
]


def add_tenant(product: Driver, domain: str, **kwargs: Any) -> SimulatedTenant:
    return product.simulators.run(lambda: product.simulators.world.add_tenant(domain, **kwargs))


def end_state(product: Driver, tenant: SimulatedTenant) -> dict[str, Any]:
    """What must be there exactly once, counted in the simulators."""

    def count() -> dict[str, Any]:
        ours = [a for a in tenant.applications.values() if a.display_name == "mondoo-ms365"]
        app_ids = {a.app_id for a in ours}
        principals = [p for p in tenant.service_principals.values() if p.app_id in app_ids]
        grants = [
            (g.resource_id, g.app_role_id) for p in principals for g in tenant.grants_of(p.id)
        ]
        return {
            "applications": len(ours),
            "key credentials": sum(len(a.key_credentials) for a in ours),
            "service principals": len(principals),
            "grants": len(grants),
            "distinct grants": len(set(grants)),
            "directory roles": sum(
                1
                for r in tenant.role_assignments.values()
                if r.principal_id in {p.id for p in principals}
            ),
            "integrations": sum(
                1
                for i in product.simulators.mondoo.integrations.values()
                if i.tenant_id == tenant.id
            ),
        }

    return product.simulators.run(count)


ONCE = {
    "applications": 1,
    "key credentials": 1,
    "service principals": 1,
    "grants": 9,
    "distinct grants": 9,
    "directory roles": 1,
    "integrations": 1,
}


def test_a_clean_tenant_is_onboarded_and_the_record_says_so(product: Driver, domain: str) -> None:
    tenant = add_tenant(product, domain)
    with Watch(product.simulators) as watch:
        operation = product.onboard(domain)
    assert [each["name"] for each in operation["steps"]] == STEPS
    assert operation["status"] == "succeeded"
    assert set(outcomes(operation).values()) <= {"passed", "changed"}
    assert watch.count("graph") <= 14
    assert end_state(product, tenant) == ONCE
    view = product.get(f"/api/tenants/{tenant.id}").json()
    assert view["tenant"]["state"] == "onboarded"
    assert view["tenant"]["manifest"] == "quick-setup"
    assert view["operation"]["id"] == operation["id"]


def test_a_second_onboarding_changes_nothing_and_passes_every_step(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    product.onboard(domain)
    with Watch(product.simulators) as watch:
        operation = product.onboard(domain)
    assert outcomes(operation) == dict.fromkeys(STEPS, "passed")
    assert watch.count("graph") <= 5
    assert watch.writes("graph", "vault", "mondoo") == []
    assert end_state(product, tenant) == ONCE


def test_the_newer_manifest_grants_thirty_permissions_within_the_same_budget(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    with Watch(product.simulators) as watch:
        operation = product.onboard(domain, manifest="2026-09")
    assert operation["status"] == "succeeded"
    assert watch.count("graph") <= 14
    assert end_state(product, tenant) == {**ONCE, "grants": 30, "distinct grants": 30}


@pytest.mark.parametrize("name", STEPS)
def test_case_a13_a_crash_after_any_step_heals_by_sending_the_request_again(
    product: Driver, domain: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = add_tenant(product, domain)
    crash_after(name, monkeypatch)
    crashed = product.onboard(domain)
    assert crashed["status"] == "failed"
    assert step(crashed, name)["outcome"] == "unknown"
    assert step(crashed, name)["code"] == "step_without_answer"
    monkeypatch.undo()
    operation = product.onboard(domain)
    assert operation["status"] == "succeeded"
    assert end_state(product, tenant) == ONCE


def crash_after(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the activity of one step do all its work and then die."""
    from shared.onboarding import steps
    from shared.onboarding.steps import record

    def dying(run: Any) -> Any:
        async def run_and_die(*args: Any, **kwargs: Any) -> Any:
            result = await run(*args, **kwargs)
            if getattr(result, "wait", None) is not None:
                return result
            raise RuntimeError("the host died here")

        return run_and_die

    if name == "record":
        monkeypatch.setattr(record, "run", dying(record.run))
        return
    definition = next(each for each in steps.STEPS if each.name == name)
    original = steps.run_step

    async def run_step(which: Any, *args: Any, **kwargs: Any) -> Any:
        run = dying(original) if which is definition else original
        return await run(which, *args, **kwargs)

    monkeypatch.setattr("shared.triggers.durable.run_step", run_step)


def test_case_b5_an_exhausted_wait_leaves_the_tenant_waiting_and_can_be_resumed(
    product: Driver, domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = add_tenant(product, domain)
    product.simulators.run(setattr, tenant, "lag", Lag(references=4.0))
    impatient(product, monkeypatch)
    operation = product.onboard(domain)
    assert operation["status"] == "waiting"
    stopped = next(each for each in operation["steps"] if each["outcome"] == "unknown")
    assert "nothing was undone" in stopped["message"]
    assert stopped["remediation"]
    after = operation["steps"][STEPS.index(stopped["name"]) + 1 : -1]
    assert {each["outcome"] for each in after} == {"skipped"}
    assert product.get(f"/api/tenants/{tenant.id}").json()["tenant"]["state"] == "waiting"
    monkeypatch.undo()
    assert product.onboard(domain)["status"] == "succeeded"
    assert end_state(product, tenant) == ONCE


def impatient(product: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up waiting after one second."""
    from shared.onboarding import start

    original = start.start_onboarding

    async def start_onboarding(client: Any, order: Any, waits: Any, now: Any) -> None:
        import msgspec

        soon = msgspec.structs.replace(waits, propagation_deadline=1.0)
        await original(client, order, soon, now)

    monkeypatch.setattr("shared.triggers.tenants.start_onboarding", start_onboarding)


def test_a_right_that_was_granted_after_a_refusal_counts_at_once(
    product: Driver, domain: str
) -> None:
    right = "RoleManagement.ReadWrite.Directory"
    tenant = add_tenant(product, domain, rights=ALL_AUTOMATION_RIGHTS - {right})
    refused = product.onboard(domain)
    assert refused["status"] == "refused"
    assert [finding["subject"] for finding in step(refused, "preflight")["findings"]] == [right]
    home_app = product.simulators.world.home_app
    product.simulators.run(
        lambda: tenant.grant(tenant.service_principal_by_app_id(home_app.app_id), right)
    )
    assert product.onboard(domain)["status"] == "succeeded"
    assert end_state(product, tenant) == ONCE


def test_a_busy_tenant_answers_409_with_the_running_operation(product: Driver, domain: str) -> None:
    tenant = add_tenant(product, domain)
    product.simulators.run(setattr, tenant, "lag", Lag(objects=2.0))
    first = product.post("/api/tenants", {"tenant": domain})
    second = product.post("/api/tenants", {"tenant": tenant.id.upper()})
    assert second.status_code == 409
    problem = second.json()
    assert problem["code"] == "tenant_busy"
    assert problem["operation"] == first.headers["Location"] == second.headers["Location"]
    assert product.follow(first.headers["Location"])["status"] == "succeeded"
    assert end_state(product, tenant) == ONCE


def test_a_tenant_can_be_looked_at_from_the_moment_its_onboarding_was_accepted(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    accepted = product.post("/api/tenants", {"tenant": domain}).json()
    view = product.get(f"/api/tenants/{tenant.id}")
    assert view.status_code == 200
    assert view.json()["operation"]["id"] == accepted["operation"]
    assert product.follow(accepted["links"]["operation"])["status"] == "succeeded"


def test_a_tenant_is_listed_as_onboarding_while_its_onboarding_runs(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    product.simulators.run(setattr, tenant, "lag", Lag(objects=1.5))
    location = product.post("/api/tenants", {"tenant": domain}).headers["Location"]

    def listed() -> bool | None:
        page = product.get("/api/tenants?state=onboarding&limit=1000").json()
        return True if tenant.id in {each["tenantId"] for each in page["tenants"]} else None

    eventually(listed, "the tenant is listed")
    assert product.follow(location)["status"] == "succeeded"


def test_each_step_can_be_followed_while_the_operation_runs(product: Driver, domain: str) -> None:
    tenant = add_tenant(product, domain)
    product.simulators.run(setattr, tenant, "lag", Lag(objects=1.5))
    location = product.post("/api/tenants", {"tenant": domain}).headers["Location"]

    def half_way() -> dict[str, Any] | None:
        operation: dict[str, Any] = product.get(location).json()
        done = [each for each in operation["steps"] if "outcome" in each]
        return operation if 0 < len(done) < len(STEPS) else None

    running = eventually(half_way, "some steps have ended and others not")
    assert running["status"] == "running"
    assert step(running, "preflight")["outcome"] == "passed"
    assert product.follow(location)["status"] == "succeeded"


def test_an_ended_operation_is_still_found_after_the_next_one(product: Driver, domain: str) -> None:
    add_tenant(product, domain)
    first = product.onboard(domain)
    second = product.onboard(domain)
    assert first["id"] != second["id"]
    found = product.get(f"/api/operations/{first['id']}").json()
    assert found["status"] == "succeeded"
    assert outcomes(found) == outcomes(first)


def test_a_plan_names_every_change_and_writes_nothing_anywhere(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    before = product.simulators.run(picture, tenant)
    with Watch(product.simulators) as watch:
        answer = product.post("/api/plan", {"tenant": domain})
    assert answer.status_code == 200
    assert (answer.json()["kind"], answer.json()["status"]) == ("plan", "planned")
    planned = outcomes(answer.json())
    assert planned["preflight"] == "passed"
    assert planned["record"] == "skipped"
    assert {planned[name] for name in STEPS[1:8]} == {"planned"}
    assert watch.writes("graph", "vault", "mondoo", "events") == []
    assert product.simulators.run(picture, tenant) == before
    assert product.get(f"/api/tenants/{tenant.id}").status_code == 404


def test_a_plan_for_an_onboarded_tenant_finds_everything_right(
    product: Driver, domain: str
) -> None:
    add_tenant(product, domain)
    product.onboard(domain)
    operation = product.post("/api/plan", {"tenant": domain}).json()
    assert {outcomes(operation)[name] for name in STEPS[:-1]} == {"passed"}


def test_the_result_is_announced_once_as_a_cloud_event(product: Driver, domain: str) -> None:
    tenant = add_tenant(product, domain)
    operation = product.onboard(domain)
    told = [
        event
        for event in product.simulators.run(lambda: list(product.simulators.events.published))
        if event["subject"] == tenant.id
    ]
    assert [event["type"] for event in told] == ["io.mondoo.onboarding.tenant.onboarded"]
    assert told[0]["id"] == operation["id"]
