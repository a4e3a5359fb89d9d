"""Fourth chapter: a tenant leaves, with a receipt of every object."""

from __future__ import annotations

from local.demo.stage import Stage
from local.samples import Sample


def offboard(stage: Stage, samples: list[Sample]) -> list[str]:
    """Run the chapter; what went wrong, as sentences."""
    tenant = samples[2].domain
    print(f"\n{tenant}, leaves")
    operation = stage.delete(f"/api/tenants/{tenant}")
    receipt = stage.record(tenant)["receipt"]
    print(f"  receipt of {receipt['madeAt'][:19]}Z:")
    for entry in receipt["entries"]:
        until = entry.get("recoverableUntil", "")[:10]
        note = f"can be restored until {until}" if until else entry.get("message", "")
        print(f"    {entry['fate']:<8} {entry['kind']:<18} {entry['name']:<58.58} {note}".rstrip())
    if operation["status"] == "succeeded" and receipt["complete"]:
        return []
    return [f"{tenant}: the offboarding ended {operation['status']}"]
