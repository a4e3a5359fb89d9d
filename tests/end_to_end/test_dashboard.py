"""The dashboard on the running product: open itself, closed in what it shows, safe with names."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.stack import LocalStack
from tests.driving import Driver
from tests.end_to_end.test_onboarding import add_tenant

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def test_the_page_needs_no_key_and_holds_nothing_of_any_tenant(
    product: Driver, domain: str
) -> None:
    add_tenant(product, domain)
    product.onboard(domain)
    answer = product.get("/api/dashboard")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src")
    assert answer.headers["Cache-Control"] == "no-store"
    assert domain not in answer.text
    assert "onmicrosoft" not in answer.text


def test_what_it_asks_for_needs_a_key() -> None:
    with LocalStack(auth=True) as stack, httpx.Client(base_url=stack.host.url) as client:
        assert client.get("/api/dashboard").status_code == 200
        asked = ["/api/overview", "/api/tenants", "/api/operations?tenants=x", "/api/audit"]
        assert {client.get(path).status_code for path in asked} == {401}
        key = {"x-functions-key": stack.host.keys["default"]}
        assert client.get("/api/overview", headers=key).json()["tenants"] == 0


def test_the_overview_names_a_tenant_with_what_went_wrong_and_what_to_do(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain, rights=frozenset())
    assert product.onboard(domain)["status"] == "refused"
    seen = product.get("/api/overview").json()
    (named,) = [one for one in seen["named"] if one["tenant"]["tenantId"] == tenant.id]
    assert [reason["code"] for reason in named["reasons"]] == ["refused"]
    (stopped,) = [step for step in named["operation"]["steps"] if step["outcome"] == "failed"]
    assert stopped["code"]
    assert stopped["remediation"]


def test_an_audit_leaves_its_findings_counted_in_the_record(product: Driver, domain: str) -> None:
    tenant = add_tenant(product, domain)
    product.onboard(domain)
    app = tenant.application_by_unique_name("mondoo-ms365")
    assert app is not None
    principal = tenant.service_principal_by_app_id(app.app_id)
    assert principal is not None
    product.simulators.run(lambda: tenant.revoke(tenant.grants_of(principal.id)[0]))
    product.follow(product.post(f"/api/tenants/{tenant.id}/audit").headers["Location"])
    report = product.get(f"/api/tenants/{tenant.id}/report").json()
    record = product.get(f"/api/tenants/{tenant.id}").json()["tenant"]
    assert record["findings"] == report["counts"]
    assert record["findings"]["high"] == 1


def test_the_newest_operations_of_some_tenants_are_asked_for_at_once(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    operation = product.onboard(domain)
    nobody = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
    answer = product.get(f"/api/operations?tenants={nobody},{tenant.id.upper()},{tenant.id}")
    assert answer.json() == {"operations": [operation]}


@pytest.mark.parametrize("tenants", ["", ",", "common", ",".join(["x"] * 101)])
def test_a_question_for_operations_names_one_to_a_hundred_tenants(
    product: Driver, tenants: str
) -> None:
    answer = product.get(f"/api/operations?tenants={tenants}")
    assert answer.status_code == 400
    assert answer.json()["field"] in ("tenants", "tenant")


@pytest.mark.skipif(BROWSER is None, reason="there is no browser on this machine")
def test_a_browser_shows_a_hostile_name_as_text(tmp_path: Path) -> None:
    """The real page in a real browser, after it has asked the interface."""
    with LocalStack() as stack, Driver(stack) as product:
        tenant = add_tenant(product, "evil.onmicrosoft.com", display_name=HOSTILE)
        assert product.onboard(tenant.id)["status"] == "succeeded"
        page = dumped(f"{stack.host.url}/api/dashboard", tmp_path)
    assert "&lt;script&gt;document.title='owned'&lt;/script&gt;" in page
    assert "<title>Mondoo for Microsoft 365: tenants</title>" in page
    body = page.split("<main", 1)[1].split("</main>", 1)[0]
    assert not re.search(r"<(script|img)|<[^<>]*\sonerror=", body)
    assert re.search(r"<b>1</b>\s*<span>tenants</span>", body)


def dumped(url: str, profile: Path) -> str:
    """The document as a browser has it once the page has settled."""
    command: list[Any] = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=10000",
        "--dump-dom",
        url,
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    return ran.stdout
