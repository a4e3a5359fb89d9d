"""Third chapter: one tenant gets a new certificate beside its old one, and then does without one.

The rotation ends with the old certificate gone; so does the move to keyless, once a scan has proven
that Mondoo gets in without it. What is lost with it is in the coverage.
"""

from __future__ import annotations

from local.demo.stage import Stage
from local.samples import Sample


def renew_and_do_without(stage: Stage, samples: list[Sample]) -> list[str]:
    """Run the chapter; what went wrong, as sentences."""
    tenant = samples[0].domain
    wrong = (_rotate(stage, tenant), _do_without(stage, tenant))
    return [sentence for sentence in wrong if sentence is not None]


def _rotate(stage: Stage, tenant: str) -> str | None:
    print(f"\n{tenant}, gets a new certificate beside its old one")
    before = stage.record(tenant)["certificate"]["thumbprint"]
    operation = stage.run(f"/api/tenants/{tenant}/rotate", {})
    record = stage.record(tenant)
    if operation["status"] != "succeeded" or record["rotation"]["state"] != "finished":
        return f"{tenant}: the rotation ended {operation['status']}"
    after = record["certificate"]["thumbprint"]
    print(f"  {before} was replaced by {after}")
    return f"{tenant}: the certificate is the same" if before == after else None


def _do_without(stage: Stage, tenant: str) -> str | None:
    print(f"\n{tenant}, is moved to keyless")
    body = {"tenant": tenant, "authentication": "federated"}
    operation = stage.run("/api/tenants", body)
    record = stage.record(tenant)
    if operation["status"] != "succeeded" or record.get("authentication") != "federated":
        return f"{tenant}: the move to keyless ended {operation['status']}"
    states = {each["service"]: each["state"] for each in record["coverage"]}
    print("  scanned: " + ", ".join(f"{service} {state}" for service, state in states.items()))
    if "certificate" in record or states["sharepoint"] != "not-scanned":
        return f"{tenant}: keyless left a certificate, or scans what it cannot"
    return None
