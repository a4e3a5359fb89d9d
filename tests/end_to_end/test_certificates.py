"""Own certificates: from the vault, uploaded, refused with a reason, rotated, and leaving again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.stack import LocalStack
from shared.certificates import Bundle, make_bundle
from tests.driving import Driver, eventually, outcomes, step
from tests.end_to_end.test_onboarding import add_tenant
from tests.end_to_end.test_secrets import _found, _records

FILES = Path(__file__).parents[1] / "fixtures" / "certificates"


def put(product: Driver, tenant: str, content: bytes) -> httpx.Response:
    url = f"{product.stack.host.url}/api/tenants/{tenant}/certificate"
    return httpx.put(url, content=content, timeout=30)


def delete(product: Driver, tenant: str) -> dict[str, Any]:
    answer = httpx.delete(f"{product.stack.host.url}/api/tenants/{tenant}", timeout=30)
    assert answer.status_code == 202, answer.text
    return product.follow(answer.headers["Location"])


def fresh(days: int = 90) -> Bundle:
    return make_bundle("their own", days, datetime.now(UTC))


def import_own(product: Driver, name: str, bundle: Bundle) -> None:
    """What an administrator leaves in the vault: without our mark."""
    product.simulators.run(product.simulators.vault.put_certificate, name, bundle.pem())


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("curve.pem", "key_not_rsa"),
        ("curve-sec1.pem", "key_not_rsa"),
        ("edwards.pem", "key_not_rsa"),
        ("rsa-1024.pem", "key_too_short"),
        ("mismatch.pem", "key_mismatch"),
        ("certificate-only.pem", "key_missing"),
        ("key-only.pem", "certificate_missing"),
        ("two-keys.pem", "several_keys"),
        ("expired.pem", "certificate_expired"),
        ("not-yet-valid.pem", "certificate_not_yet_valid"),
        ("encrypted.pem", "key_encrypted"),
        ("encrypted-pkcs1.pem", "key_encrypted"),
        ("pair.pfx", "is_pfx"),
        ("certificate.cer", "is_der"),
    ],
)
def test_each_file_that_cannot_work_is_refused_with_its_own_reason(
    product: Driver, domain: str, file: str, code: str
) -> None:
    answer = put(product, domain, (FILES / file).read_bytes())
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert answer.json()["remediation"]
    assert "-----" not in answer.text


def test_a_path_or_nothing_instead_of_the_content_is_told(product: Driver, domain: str) -> None:
    assert put(product, domain, b"C:\\keys\\mondoo.pem").json()["code"] == "is_path"
    assert put(product, domain, b"").json()["code"] == "not_pem"
    assert put(product, domain, b"x" * 70_000).json()["code"] == "body_too_large"


def test_an_uploaded_certificate_is_used_and_leaves_no_trace_but_its_reference(
    product: Driver, stack: LocalStack, domain: str
) -> None:
    tenant, bundle = add_tenant(product, domain), fresh()
    untidy = b"\xef\xbb\xbf" + bundle.pem().replace("\n", "\r\n").encode()
    answer = put(product, domain, untidy)
    assert answer.status_code == 200, answer.text
    assert answer.json()["certificate"]["thumbprint"] == bundle.thumbprint
    operation = product.onboard(domain)
    assert operation["status"] == "succeeded"
    assert outcomes(operation)["certificate"] == "passed"
    (application,) = (a for a in tenant.applications.values() if a.display_name == "mondoo-ms365")
    assert application.key_credentials[0].sha1.hex().upper() == bundle.thumbprint

    second = fresh()
    assert put(product, domain, second.pem().encode()).status_code == 200
    answer = product.post(f"/api/tenants/{tenant.id}/rotate")
    rotation = product.follow(answer.headers["Location"])
    assert rotation["status"] == "succeeded"
    assert "was found in the vault" in step(rotation, "certificate")["message"]
    assert [each.sha1.hex().upper() for each in application.key_credentials] == [second.thumbprint]

    written = {
        "history": json.dumps(stack.host.history(f"tenant-{tenant.id}")),
        "answers": product.get(f"/api/tenants/{tenant.id}").text,
        "logs": "\n".join(stack.host.logs.lines()),
        "records": _records(stack.records_file),
        "events": json.dumps(stack.simulators.run(lambda: list(stack.simulators.events.published))),
    }
    for one in (bundle, second):
        middle = "".join(one.key_pem.splitlines()[3:6])
        assert not [name for name, text in written.items() if middle in text]
    assert {name: _found(text) for name, text in written.items()} == {name: [] for name in written}


def test_a_certificate_of_the_vault_is_used_and_neither_renewed_nor_removed(
    product: Driver, domain: str
) -> None:
    tenant, bundle, name = add_tenant(product, domain), fresh(), f"theirs-{domain[1:13]}"
    import_own(product, name, bundle)
    operation = product.onboard(domain, certificate={"name": name})
    assert operation["status"] == "succeeded"
    assert "their own" in step(operation, "certificate")["message"]
    # Nothing newer is there, and it is not ours to renew.
    answer = product.post(f"/api/tenants/{tenant.id}/rotate")
    rotation = product.follow(answer.headers["Location"])
    assert step(rotation, "certificate")["code"] == "certificate_not_renewed"
    import_own(product, name, fresh())
    answer = product.post(f"/api/tenants/{tenant.id}/rotate")
    rotation = product.follow(answer.headers["Location"])
    assert rotation["status"] == "succeeded"
    assert "stays on" in step(rotation, "disable")["message"]
    # Their certificate stays when the tenant leaves.
    assert delete(product, domain)["status"] == "succeeded"
    receipt = product.get(f"/api/tenants/{tenant.id}").json()["tenant"]["receipt"]
    (kept,) = (entry for entry in receipt["entries"] if entry["kind"] == "certificate")
    assert (kept["fate"], kept["name"]) == ("kept", name)


def test_a_certificate_that_the_vault_does_not_have_stops_before_the_tenant_is_touched(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    operation = product.onboard(domain, certificate={"name": "there-is-none"})
    assert operation["status"] == "refused"
    assert step(operation, "preflight")["code"] == "vault_certificate_missing"
    assert not [a for a in tenant.applications.values() if a.display_name == "mondoo-ms365"]


@pytest.mark.parametrize(
    "vault",
    [
        "https://evil.example",
        "https://127.0.0.1:1.evil.example",
        "https://127.0.0.1:12345@evil.example",
        "http://127.0.0.1:12345",
        "a/b",
        "",
    ],
)
def test_a_host_that_is_no_vault_of_this_cloud_is_refused(
    product: Driver, domain: str, vault: str
) -> None:
    add_tenant(product, domain)
    body = {"tenant": domain, "certificate": {"name": "theirs", "vault": vault}}
    answer = product.post("/api/tenants", body)
    assert answer.status_code == 400
    assert answer.json()["code"] == ("vault_unknown" if vault else "field_invalid")
    assert answer.json()["field"] == "certificate.vault"


def test_leaving_over_http_ends_with_a_receipt_and_a_record_that_is_kept(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    product.onboard(domain)
    operation = delete(product, domain)
    assert operation["status"] == "succeeded"
    record = product.get(f"/api/tenants/{tenant.id}").json()["tenant"]
    assert record["state"] == "offboarded"
    assert record["receipt"]["complete"]
    assert tenant.id in product.get("/api/tenants?state=offboarded&limit=1000").text
    for request, code in (("rotate", "nothing_to_rotate"), ("audit", "nothing_to_audit")):
        answer = product.post(f"/api/tenants/{tenant.id}/{request}")
        assert (answer.status_code, answer.json()["code"]) == (409, code)
        assert f"tenant {tenant.id} is offboarded" in answer.json()["detail"]
        assert "field" not in answer.json()
    assert product.get(f"/api/tenants/{tenant.id}/report").json()["code"] == "report_unknown"
    told = product.simulators.run(lambda: list(product.simulators.events.published))
    kinds = [event["type"] for event in told if event["subject"] == tenant.id]
    assert kinds[-1] == "io.mondoo.onboarding.tenant.offboarded"


def test_a_tenant_that_nobody_onboarded_cannot_be_offboarded_or_rotated(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    url = f"{product.stack.host.url}/api/tenants/{tenant.id}"
    assert httpx.delete(url, timeout=30).json()["code"] == "tenant_unknown"
    assert httpx.delete(f"{url}?purge=perhaps", timeout=30).json()["field"] == "purge"
    assert product.post(f"/api/tenants/{tenant.id}/rotate").json()["code"] == "tenant_unknown"


def test_the_vaults_event_and_the_nightly_timer_rotate_what_is_due(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    product.onboard(domain)
    before = product.get(f"/api/tenants/{tenant.id}").json()["tenant"]["certificate"]
    event = {
        "id": domain,
        "topic": "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v",
        "subject": before["name"],
        "eventType": "Microsoft.KeyVault.CertificateNearExpiry",
        "eventTime": "2026-09-10T08:00:00Z",
        "dataVersion": "1",
        "data": {"ObjectName": before["name"], "Version": before["version"], "VaultName": "v"},
    }
    webhook = "/runtime/webhooks/EventGrid?functionName=certificate_event"
    for _ in range(2):  # delivered twice, as Event Grid may
        answer = product.post(webhook, [event], headers={"aeg-event-type": "Notification"})
        assert answer.status_code == 202, answer.text

    def rotated() -> dict[str, Any] | None:
        record = product.get(f"/api/tenants/{tenant.id}").json()["tenant"]
        over = record.get("rotation", {}).get("state") == "finished"
        return record if over and record["certificate"] != before else None

    record = eventually(rotated, "the event has rotated the certificate")
    # Nothing is due any more: the nightly look finds nothing to do in this tenant.
    product.follow(f"/api/operations/{record['operationId']}")
    answer = product.post("/admin/functions/rotate_due_tenants", {})
    assert answer.status_code == 202, answer.text
    after = product.get(f"/api/tenants/{tenant.id}").json()["tenant"]
    assert after["certificate"] == record["certificate"]
