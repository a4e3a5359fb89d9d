"""Field cases that show at the HTTP interface or at the start of the app.

The others are played without a host, in simulated time: `tests/shared/onboarding/test_cases_*`.
"""

from __future__ import annotations

import logging
from uuid import UUID

import pytest

from local.host import FunctionsHost
from local.stack import APP_FILE, LocalStack
from shared.errors import SettingsError
from tests.driving import Driver, outcomes, step
from tests.end_to_end.test_onboarding import ONCE, add_tenant, end_state


@pytest.mark.parametrize(
    "spelling",
    ["{{{upper}}}", "  {upper}  ", "{hex}", "{{{hex}}}"],
    ids=["upper case in braces", "with spaces", "without hyphens", "without hyphens in braces"],
)
def test_case_c10_every_spelling_of_a_tenant_id_means_the_same_tenant(
    product: Driver, domain: str, spelling: str
) -> None:
    tenant = add_tenant(product, domain)
    named = spelling.format(upper=tenant.id.upper(), hex=UUID(tenant.id).hex)
    answer = product.post("/api/plan", {"tenant": named})
    assert answer.status_code == 200, answer.text
    assert answer.json()["tenantId"] == tenant.id


def test_case_c10_and_c12_one_tenant_by_many_names_is_onboarded_once(
    product: Driver, domain: str
) -> None:
    vanity = domain.partition(".")[0] + ".example"
    tenant = add_tenant(product, vanity)
    assert product.onboard(vanity.upper())["status"] == "succeeded"
    second = product.onboard("{" + tenant.id.upper() + "}")
    assert set(outcomes(second).values()) == {"passed"}
    assert end_state(product, tenant) == ONCE
    for name in (vanity, tenant.initial_domain.upper(), tenant.id.upper()):
        seen = product.get(f"/api/tenants/{name}").json()["tenant"]
        assert seen["tenantId"] == tenant.id
        assert seen["initialDomain"] == tenant.initial_domain


def test_case_c1_a_name_with_odd_characters_survives_every_layer(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain)
    name = 'O\'Brien & Söhne "Ltd" #1 +50% \\'
    operation = product.onboard(domain, applicationName=name)
    assert operation["status"] == "succeeded"
    assert name in [app.display_name for app in tenant.applications.values()]
    assert product.get(f"/api/tenants/{tenant.id}").json()["tenant"]["applicationName"] == name


def test_case_d3_what_our_automation_lacks_is_told_to_whoever_asks_about_the_tenant(
    product: Driver, domain: str
) -> None:
    tenant = add_tenant(product, domain, rights={"Application.ReadWrite.All"})
    operation = product.onboard(domain)
    assert operation["status"] == "refused"
    view = product.get(f"/api/tenants/{tenant.id}").json()
    assert view["tenant"]["state"] == "refused"
    told = step(view["operation"], "preflight")
    assert "AppRoleAssignment.ReadWrite.All" in told["remediation"]
    plan = product.post("/api/plan", {"tenant": domain}).json()
    assert plan["status"] == "refused"
    assert step(plan, "preflight")["findings"] == told["findings"]


def test_missing_and_malformed_settings_stop_the_app_with_one_message_that_lists_them_all() -> None:
    bad = {
        "IDENTITY": "federated",
        "HOME_TENANT_ID": "contoso",
        "KEY_VAULT_URL": "http://vault.example",
        "CLOUD": "moon",
        "CERTIFICATE_VALIDITY_DAYS": "forever",
        "POLL_FIRST_SECONDS": "-1",
        "MONDOO_SPACE_MRN": "my-space",
    }
    missing = {"MANAGED_IDENTITY_CLIENT_ID", "ONBOARDING_CLIENT_ID", "TENANT_RECORDS"}
    with pytest.raises(SettingsError) as stopped:
        FunctionsHost(APP_FILE, bad).start()
    lines = str(stopped.value).splitlines()
    told = {line.split()[1] for line in lines[1:]}
    assert told == missing | (set(bad) - {"IDENTITY"})
    assert len(stopped.value.problems) == len(told)


def test_an_app_that_did_not_start_leaves_nothing_running(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stack = LocalStack(settings={"KEY_VAULT_URL": "not a URL"})
    with caplog.at_level(logging.ERROR), pytest.raises(SettingsError, match="KEY_VAULT_URL"):
        stack.start()
    with pytest.raises(RuntimeError, match="not running"):
        _ = stack.simulators.ca_file
    assert not stack.folder.exists()
