"""Audits through the HTTP interface: drift is found, put right by policy, reported and told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from local.simulators.faults import Fault
from local.simulators.objects import ALWAYS, Lag
from local.simulators.tenant import SimulatedTenant
from local.stack import LocalStack
from tests.driving import Driver, Watch, eventually, outcomes
from tests.end_to_end.test_onboarding import add_tenant

DIRECTORY_READ_ALL = "Directory.Read.All"


@pytest.fixture
def fleet() -> Iterator[Driver]:
    """A product of its own, since a run covers every tenant there is."""
    with LocalStack() as stack, Driver(stack) as product:
        yield product


def onboarded(product: Driver, domain: str, **choices: Any) -> SimulatedTenant:
    tenant = add_tenant(product, domain)
    assert product.onboard(domain, **choices)["status"] == "succeeded"
    return tenant


def ours(tenant: SimulatedTenant) -> Any:
    """The service principal of our application."""
    app = tenant.application_by_unique_name("mondoo-ms365")
    assert app is not None
    return tenant.service_principal_by_app_id(app.app_id)


def revoke_one(product: Driver, tenant: SimulatedTenant) -> None:
    """Somebody takes a permission away."""
    product.simulators.run(lambda: tenant.revoke(tenant.grants_of(ours(tenant).id)[0]))


def audit(product: Driver, tenant: SimulatedTenant, **body: Any) -> dict[str, Any]:
    answer = product.post(f"/api/tenants/{tenant.id}/audit", body or None)
    assert answer.status_code == 202, answer.text
    return product.follow(answer.headers["Location"])


def report(product: Driver, tenant: SimulatedTenant) -> dict[str, Any]:
    found: dict[str, Any] = product.get(f"/api/tenants/{tenant.id}/report").json()
    return found


def codes(findings: list[dict[str, Any]]) -> list[str]:
    """The codes of findings that are more than information."""
    return [finding["code"] for finding in findings if finding["severity"] != "info"]


def run_fleet(product: Driver, path: str = "/api/audit", **body: Any) -> dict[str, Any]:
    """A run to its end. It has the same shape, and its counters add up, from the start."""
    answer = product.post(path, body or None)
    assert answer.status_code == 202, answer.text

    def ended() -> dict[str, Any] | None:
        run: dict[str, Any] = product.get("/api/audit").json()
        assert run.keys() == answer.json().keys()
        stands = (run[name] for name in ("clean", "withFindings", "failing", "refused"))
        assert run["audited"] == sum(stands)
        return run if run["phase"] not in ("look", "mend") else None

    return eventually(ended, "the run has ended")


def counted(run: dict[str, Any]) -> dict[str, int]:
    """The counters of a run that are not 0."""
    numbers = {name: value for name, value in run.items() if isinstance(value, int) and value}
    return {name: value for name, value in numbers.items() if name != "confirmed"}


def record(product: Driver, tenant: SimulatedTenant) -> dict[str, Any]:
    found: dict[str, Any] = product.get(f"/api/tenants/{tenant.id}").json()["tenant"]
    return found


def test_a_tenant_without_drift_is_clean_within_three_graph_requests(
    product: Driver, domain: str
) -> None:
    tenant = onboarded(product, domain)
    with Watch(product.simulators) as watch:
        operation = audit(product, tenant)
    assert operation["status"] == "succeeded"
    assert outcomes(operation) == dict.fromkeys(["audit", "publish", "record"], "passed")
    assert watch.count("graph") <= 3
    assert watch.writes("graph", "vault") == []
    assert report(product, tenant)["status"] == "clean"
    view = product.get(f"/api/tenants/{tenant.id}").json()["tenant"]
    assert (view["state"], view["auditStatus"]) == ("onboarded", "clean")


def test_a_missing_permission_is_reported_and_under_report_left_missing(
    product: Driver, domain: str
) -> None:
    tenant = onboarded(product, domain)
    revoke_one(product, tenant)
    with Watch(product.simulators) as watch:
        operation = audit(product, tenant)
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["audit"] == "warning"
    assert watch.writes("graph") == []
    finding = report(product, tenant)["findings"][0]
    assert finding["code"] == "permission_not_granted"
    assert finding["remediation"]
    assert finding["notScanned"]


def test_under_repair_the_missing_permission_is_granted_and_read_back(
    product: Driver, domain: str
) -> None:
    tenant = onboarded(product, domain, repair="repair")
    revoke_one(product, tenant)
    operation = audit(product, tenant)
    assert outcomes(operation)["audit"] == "changed"
    found = report(product, tenant)
    assert (found["status"], codes(found["findings"])) == ("clean", [])
    assert [(c["action"], c["outcome"]) for c in found["changes"]] == [
        ("grant-permission", "changed")
    ]


def test_a_request_may_override_the_policy_once(product: Driver, domain: str) -> None:
    tenant = onboarded(product, domain)
    product.simulators.run(lambda: tenant.grant(ours(tenant), DIRECTORY_READ_ALL))
    assert audit(product, tenant, repair="repair")["status"] == "succeeded"
    assert codes(report(product, tenant)["findings"]) == ["grant_not_declared"]
    audit(product, tenant, repair="enforce")
    assert codes(report(product, tenant)["findings"]) == []


def test_the_result_is_in_the_labels_of_the_integration(product: Driver, domain: str) -> None:
    tenant = onboarded(product, domain)
    revoke_one(product, tenant)
    operation = audit(product, tenant)

    def labels() -> dict[str, str]:
        integration = next(
            each
            for each in product.simulators.mondoo.integrations.values()
            if each.tenant_id == tenant.id
        )
        return dict(integration.labels)

    labelled = product.simulators.run(labels)
    assert labelled["audit-status"] == "findings"
    assert labelled["audit-operation"] == operation["id"]
    assert labelled["audit-findings-high"] == "1"
    assert labelled["managed-by"] == "mondoo-onboarding"


def test_an_audit_is_announced_only_when_something_became_better_or_worse(
    product: Driver, domain: str
) -> None:
    tenant = onboarded(product, domain)

    def announced() -> list[dict[str, Any]]:
        return [
            event["data"]
            for event in product.simulators.run(lambda: list(product.simulators.events.published))
            if event["subject"] == tenant.id and event["type"].endswith("audit.completed")
        ]

    audit(product, tenant)
    audit(product, tenant)
    assert len(announced()) == 1  # the first one, of which nothing was known before
    revoke_one(product, tenant)
    audit(product, tenant)
    assert [f["code"] for f in announced()[-1]["appeared"]] == ["permission_not_granted"]
    audit(product, tenant)
    assert len(announced()) == 2


def test_a_tenant_that_cannot_be_read_is_reported_as_failing_and_stays_in_sight(
    product: Driver, domain: str
) -> None:
    tenant = onboarded(product, domain)
    home_app = product.simulators.world.home_app

    def withdraw() -> None:
        principal = tenant.service_principal_by_app_id(home_app.app_id)
        assert principal is not None
        principal.enabled = False

    product.simulators.run(withdraw)
    operation = audit(product, tenant)
    assert operation["status"] == "failed"
    assert outcomes(operation)["publish"] == "passed"
    found = report(product, tenant)
    assert found["status"] == "failed"
    assert found["failure"]["remediation"]
    view = product.get(f"/api/tenants/{tenant.id}").json()["tenant"]
    assert view["auditStatus"] == "failed"


@pytest.mark.parametrize(
    ("wanted", "content_type", "holds"),
    [
        ("json", "application/json", '"status"'),
        ("csv", "text/csv", "permission_not_granted"),
        ("html", "text/html", "<html"),
        ("junit", "application/xml", "<testsuite"),
    ],
)
def test_a_report_can_be_had_in_four_formats(
    product: Driver, domain: str, wanted: str, content_type: str, holds: str
) -> None:
    tenant = onboarded(product, domain)
    revoke_one(product, tenant)
    audit(product, tenant)
    for path in (f"/api/tenants/{tenant.id}/report", "/api/report"):
        answer = product.get(f"{path}?format={wanted}")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith(content_type)
        assert holds in answer.text


def test_a_tenant_that_was_never_audited_has_no_report(product: Driver, domain: str) -> None:
    tenant = onboarded(product, domain)
    answer = product.get(f"/api/tenants/{tenant.id}/report")
    assert (answer.status_code, answer.json()["code"]) == (404, "report_unknown")


@pytest.mark.parametrize("body", [b"[]", b'{"repair": "everything"}', b'{"policy": "repair"}'])
def test_a_bad_audit_request_is_refused(product: Driver, domain: str, body: bytes) -> None:
    tenant = onboarded(product, domain)
    answer = product.post(f"/api/tenants/{tenant.id}/audit", content=body)
    assert answer.status_code == 400
    assert answer.json()["field"]


def test_a_run_audits_every_tenant_once_and_mends_those_it_may(fleet: Driver) -> None:
    tenants = [
        onboarded(fleet, f"fleet{number}.onmicrosoft.com", repair="repair") for number in range(4)
    ]
    revoke_one(fleet, tenants[1])
    run = run_fleet(fleet)
    assert run["phase"] == "done"
    assert counted(run) == {"tenants": 4, "audited": 4, "clean": 4, "mended": 1, "wouldChange": 1}
    assert run["notice"] is None
    assert fleet.get("/api/report").json()["standing"] == {
        "failed": 0,
        "findings": 0,
        "clean": 4,
        "notAudited": 0,
    }
    assert len(fleet.simulators.run(lambda: tenants[1].grants_of(ours(tenants[1]).id))) == 9


def test_a_tenant_whose_findings_stay_is_counted_as_the_report_on_all_tenants_counts_it(
    fleet: Driver,
) -> None:
    tenants = [onboarded(fleet, f"stay{number}.onmicrosoft.com") for number in range(3)]
    revoke_one(fleet, tenants[0])
    run = run_fleet(fleet)
    assert counted(run) == {"tenants": 3, "audited": 3, "clean": 2, "withFindings": 1}
    standing = fleet.get("/api/report").json()["standing"]
    assert (standing["clean"], standing["findings"], standing["failed"]) == (2, 1, 0)


def test_a_run_that_would_change_more_than_a_third_stops_and_goes_on_only_when_asked(
    fleet: Driver,
) -> None:
    tenants = [
        onboarded(fleet, f"wide{number}.onmicrosoft.com", repair="repair") for number in range(3)
    ]
    for tenant in tenants[:2]:
        revoke_one(fleet, tenant)
    with Watch(fleet.simulators) as watch:
        run = run_fleet(fleet)
    assert run["phase"] == "stopped"
    assert "2 of 3 tenants would be changed" in run["notice"]
    assert watch.writes("graph") == []
    assert run["notice"] in fleet.get("/api/report").json()["notices"]
    told = fleet.simulators.run(lambda: list(fleet.simulators.events.published))
    [stopped] = [event for event in told if event["subject"] == "fleet"]
    assert stopped["type"] == "io.mondoo.onboarding.audit.stopped"
    assert stopped["data"] == run
    wide = {"tenants": 3, "audited": 3, "clean": 1, "withFindings": 2, "wouldChange": 2}
    assert counted(run) == wide
    run = run_fleet(fleet, confirm=True)
    assert (run["phase"], run["mended"]) == ("done", 2)
    assert fleet.get("/api/report").json()["standing"]["clean"] == 3


def test_a_run_that_is_cancelled_starts_no_more_audits_and_lets_those_that_run_end() -> None:
    settings = {"AUDIT_CONCURRENCY": "1"}
    with LocalStack(settings=settings) as stack, Driver(stack) as fleet:
        tenants = [onboarded(fleet, f"halt{number}.onmicrosoft.com") for number in range(3)]
        first = min(tenant.id for tenant in tenants)
        fault = Fault("graph", "*", first, times=None, status=503, headers={"Retry-After": "1"})
        fleet.simulators.run(fleet.simulators.faults.add, fault)
        assert fleet.post("/api/audit").status_code == 202

        def under_way() -> bool | None:
            return True if fleet.get("/api/audit").json().get("inFlight") else None

        eventually(under_way, "the first audit runs")
        answers = [fleet.post("/api/audit/cancel") for _ in range(2)]
        assert {answer.status_code for answer in answers} == {202}
        fleet.simulators.run(fleet.simulators.faults.clear)

        def ended() -> dict[str, Any] | None:
            run: dict[str, Any] = fleet.get("/api/audit").json()
            return run if run.get("finishedAt") else None

        run = eventually(ended, "the run has ended")
        assert (run["phase"], run["audited"], run["inFlight"]) == ("cancelled", 1, 0)
        assert run["notice"].startswith("The run was cancelled after 1 of")
        records = fleet.get("/api/tenants").json()["tenants"]
        assert [r["tenantId"] for r in records if "auditStatus" in r] == [first]
        answer = fleet.post("/api/audit/cancel")
        assert (answer.status_code, answer.json()["code"]) == (409, "fleet_not_running")
        assert run_fleet(fleet)["audited"] == 3, "the next run is not taken for the cancelled one"


def test_a_second_run_is_refused_while_one_is_going_on(fleet: Driver) -> None:
    onboarded(fleet, "one.onmicrosoft.com")
    assert fleet.post("/api/audit").status_code == 202
    answer = fleet.post("/api/audit")
    assert (answer.status_code, answer.json()["code"]) == (409, "fleet_running")


def test_a_newer_manifest_is_planned_first_and_rolled_out_when_confirmed(fleet: Driver) -> None:
    tenants = [onboarded(fleet, f"roll{number}.onmicrosoft.com") for number in range(2)]
    path = "/api/manifests/2026-09/rollout"
    assert run_fleet(fleet, path)["phase"] == "stopped"
    run = run_fleet(fleet, path, confirm=True)
    assert (run["phase"], run["mended"]) == ("done", 2)
    for tenant in tenants:
        view = fleet.get(f"/api/tenants/{tenant.id}").json()["tenant"]
        assert view["manifest"] == "2026-09"
        assert len(fleet.simulators.run(lambda t=tenant: t.grants_of(ours(t).id))) == 30
    assert fleet.post("/api/manifests/2019/rollout").status_code == 400


def test_a_roll_out_that_a_tenant_is_slow_to_show_is_not_called_done_and_nothing_of_it_excess(
    fleet: Driver,
) -> None:
    quick, slow = (onboarded(fleet, f"{name}.onmicrosoft.com") for name in ("quick", "slow"))
    fleet.simulators.run(setattr, slow, "lag", Lag(objects=3600.0))
    run = run_fleet(fleet, "/api/manifests/2026-09/rollout", confirm=True)
    assert run["phase"] == "done"
    assert counted(run) == {
        "tenants": 2,
        "audited": 2,
        "clean": 1,
        "failing": 1,
        "mended": 1,
        "wouldChange": 2,
    }
    assert "The audits of 1 of 2 tenants did not succeed" in run["notice"]
    assert run["notice"] in fleet.get("/api/report").json()["notices"]
    assert "manifestTarget" not in record(fleet, quick)
    assert record(fleet, quick)["manifest"] == "2026-09"

    def on_the_way() -> None:
        known = record(fleet, slow)
        assert (known["manifest"], known["manifestTarget"]) == ("quick-setup", "2026-09")
        assert report(fleet, slow)["manifest"] == "2026-09"
        missing = codes(report(fleet, slow)["findings"])
        assert missing == ["permission_not_granted"] * 21

    on_the_way()
    assert audit(fleet, slow)["status"] == "succeeded"
    on_the_way()

    def show() -> None:
        for grant in slow.grants_of(ours(slow).id):
            slow.revoke(grant)
            slow.store_grant(replace(grant, visible_at=ALWAYS))

    fleet.simulators.run(show)
    with Watch(fleet.simulators) as watch:
        assert audit(fleet, slow, repair="enforce")["status"] == "succeeded"
    assert watch.writes("graph") == []
    assert codes(report(fleet, slow)["findings"]) == []
    assert "manifestTarget" not in record(fleet, slow)
    assert record(fleet, slow)["manifest"] == "2026-09"
    assert len(fleet.simulators.run(lambda: slow.grants_of(ours(slow).id))) == 30


def test_the_timer_starts_the_same_run_and_skips_while_one_is_going_on(fleet: Driver) -> None:
    onboarded(fleet, "timer.onmicrosoft.com")
    fleet.stack.host.invoke("audit_on_schedule")
    fleet.stack.host.invoke("audit_on_schedule")

    def ended() -> bool | None:
        return True if fleet.get("/api/audit").json()["phase"] == "done" else None

    eventually(ended, "the scheduled run has ended")
    assert any("is skipped" in line for line in fleet.stack.host.logs.lines())
