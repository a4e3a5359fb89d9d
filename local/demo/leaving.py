"""Third chapter: one tenant gets a new certificate beside its old one, another leaves.

The rotation ends with the old certificate gone; the offboarding ends with a receipt.
"""

from __future__ import annotations

from typing import Any

from local.demo.stage import Stage
from local.samples import Sample


def rotate_and_offboard(stage: Stage, samples: list[Sample]) -> list[str]:
    """Run the chapter; what went wrong, as sentences."""
    wrong = (_rotate(stage, samples[0].domain), _offboard(stage, samples[2].domain))
    return [sentence for sentence in wrong if sentence is not None]


def _rotate(stage: Stage, tenant: str) -> str | None:
    print(f"\n{tenant}, gets a new certificate beside its old one")
    before = _record(stage, tenant)["certificate"]["thumbprint"]
    operation = stage.run(f"/api/tenants/{tenant}/rotate", {})
    record = _record(stage, tenant)
    if operation["status"] != "succeeded" or record["rotation"]["state"] != "finished":
        return f"{tenant}: the rotation ended {operation['status']}"
    after = record["certificate"]["thumbprint"]
    print(f"  {before} was replaced by {after}")
    return f"{tenant}: the certificate is the same" if before == after else None


def _offboard(stage: Stage, tenant: str) -> str | None:
    print(f"\n{tenant}, leaves")
    operation = stage.delete(f"/api/tenants/{tenant}")
    receipt = _record(stage, tenant)["receipt"]
    print(f"  receipt of {receipt['madeAt'][:19]}Z:")
    for entry in receipt["entries"]:
        until = entry.get("recoverableUntil", "")[:10]
        note = f"can be restored until {until}" if until else entry.get("message", "")
        print(f"    {entry['fate']:<8} {entry['kind']:<18} {entry['name']:<58.58} {note}".rstrip())
    if operation["status"] == "succeeded" and receipt["complete"]:
        return None
    return f"{tenant}: the offboarding ended {operation['status']}"


def _record(stage: Stage, tenant: str) -> dict[str, Any]:
    record: dict[str, Any] = stage.get(f"/api/tenants/{tenant}")["tenant"]
    return record
