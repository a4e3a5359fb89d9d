"""Last chapter: tenants arrive by themselves, one by event and three by CSV."""

from __future__ import annotations

from local.demo.stage import Stage
from local.event_grid import cloud_event, deliver
from local.simulators.tenant import SimulatedTenant

BY_EVENT = "wingtip.onmicrosoft.com"
BY_CSV = ("adatum.onmicrosoft.com", "proseware.onmicrosoft.com", "lucerne.onmicrosoft.com")
ENDED = ("succeeded", "waiting", "refused", "failed")


def let_tenants_arrive(stage: Stage) -> list[str]:
    """Run the chapter; what went wrong, as sentences."""
    for domain in (BY_EVENT, *BY_CSV):
        stage.simulators.run(stage.simulators.world.add_tenant, domain)
    return [*_by_event(stage), *_by_csv(stage)]


def _by_event(stage: Stage) -> list[str]:
    print(f"\n{BY_EVENT}, arrives by Event Grid, delivered twice")
    event = cloud_event(BY_EVENT)
    for _ in range(2):
        deliver(stage.http, event).raise_for_status()
    notes = stage.get("/api/events")["events"]
    (note,) = [note for note in notes if note.get("id") == event["id"]]
    operation = stage.until(f"/api/operations/{note['operation']}", "status", ENDED)
    print(f"  {operation['status']}: one operation, {note['operation']}")
    return _wrong(stage, BY_EVENT, operation["status"])


def _by_csv(stage: Stage) -> list[str]:
    print("\nthree tenants arrive by CSV, with one line that is bad")
    body = "\r\n".join(["tenant", *BY_CSV, "common", ""])
    answer = stage.http.post(
        "/api/tenants/batch", content=body.encode("utf-8-sig"), headers={"Content-Type": "text/csv"}
    )
    batch = answer.raise_for_status().json()
    batch = stage.until(batch["links"]["batch"], "status", ("ended",))
    for line in batch["lines"]:
        print(f"  line {line['line']}: {line['tenant']:<27}{line['status']:<11}", end="")
        print(line.get("operation") or line["message"])
    wrong = [
        problem
        for line in batch["lines"][: len(BY_CSV)]
        for problem in _wrong(stage, line["tenant"], line["status"])
    ]
    if batch["lines"][-1]["status"] != "refused":
        wrong.append("the bad line was not refused")
    return wrong


def _wrong(stage: Stage, domain: str, status: str) -> list[str]:
    if status != "succeeded":
        return [f"{domain}: ended {status} instead of succeeded"]
    tenant = stage.simulators.world.find(domain)
    assert tenant is not None
    found = stage.simulators.run(_objects, stage, tenant)
    return [] if found == (1, 1) else [f"{domain}: {found} applications and integrations"]


def _objects(stage: Stage, tenant: SimulatedTenant) -> tuple[int, int]:
    """How many applications of ours and integrations there are."""
    ours = [app for app in tenant.applications.values() if app.display_name == "mondoo-ms365"]
    integrations = stage.simulators.mondoo.integrations.values()
    return len(ours), sum(one.tenant_id == tenant.id for one in integrations)
