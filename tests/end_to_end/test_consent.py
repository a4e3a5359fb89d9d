"""A customer's administrator consents by a link of ours; nothing in the address is believed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from local.simulators.tenant import SimulatedTenant
from shared.clouds import CLOUDS
from shared.config import load_settings
from tests.driving import Driver, eventually
from tests.end_to_end.test_onboarding import ONCE, add_tenant, end_state

CALLBACK = "/api/consent/callback"


@pytest.fixture
def customer(product: Driver, domain: str) -> SimulatedTenant:
    """A tenant that has not consented yet."""
    return add_tenant(product, domain, consented=False, display_name="Fabrikam <b>Ltd</b>")


def link_for(product: Driver, tenant: str) -> dict[str, str]:
    """The parts of a consent link that matter."""
    answer = product.get(f"/api/consent/{tenant}")
    assert answer.status_code == 200, answer.text
    link = urlsplit(answer.json()["link"])
    return {"path": link.path} | {name: values[0] for name, values in parse_qs(link.query).items()}


def consent(product: Driver, tenant: SimulatedTenant) -> None:
    """What Microsoft's page does when the administrator accepts."""
    product.simulators.run(product.simulators.world.consent, tenant)


def come_back(product: Driver, **query: Any) -> httpx.Response:
    return product.get(CALLBACK, params={"admin_consent": "True", **query})


def nothing_started(product: Driver, tenant: SimulatedTenant) -> bool:
    product.stack.host.queue("tenant-additions").wait_until_empty()
    return product.get(f"/api/tenants/{tenant.id}").status_code == 404


def test_a_customer_consents_and_is_onboarded(
    product: Driver, customer: SimulatedTenant, domain: str
) -> None:
    link = link_for(product, domain)
    assert link["path"] == f"/{customer.id}/v2.0/adminconsent"
    assert link["client_id"] == product.simulators.world.home_app.app_id
    assert link["scope"].endswith("/.default")
    assert link["redirect_uri"] == product.stack.settings["CONSENT_REDIRECT_URL"]
    consent(product, customer)
    page = come_back(product, state=link["state"], tenant=customer.id)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "Fabrikam &lt;b&gt;Ltd" in page.text
    assert not re.search(r"<script|https?://|src=|href=", page.text)

    def onboarded() -> dict[str, Any] | None:
        answer = product.get(f"/api/tenants/{customer.id}")
        view: dict[str, Any] = answer.json()
        return view if view.get("operation", {}).get("finishedAt") else None

    assert eventually(onboarded, "the customer is onboarded")["tenant"]["state"] == "onboarded"
    assert end_state(product, customer) == ONCE


def test_case_g5_a_state_is_used_once(product: Driver, customer: SimulatedTenant) -> None:
    link = link_for(product, customer.id)
    consent(product, customer)
    assert come_back(product, state=link["state"], tenant=customer.id).status_code == 200
    replayed = come_back(product, state=link["state"], tenant=customer.id)
    assert replayed.status_code == 400
    assert "consent_link" in replayed.text


def test_case_g5_an_error_counts_although_admin_consent_is_true(
    product: Driver, customer: SimulatedTenant
) -> None:
    link = link_for(product, customer.id)
    page = come_back(
        product,
        state=link["state"],
        tenant=customer.id,
        error="access_denied",
        error_description="AADSTS65004: <script>alert(1)</script> declined",
    )
    assert page.status_code == 400
    assert "Consent was not given" in page.text
    assert "AADSTS65004" in page.text
    assert "script" not in page.text
    assert nothing_started(product, customer)


def test_case_g5_the_state_of_one_tenant_with_the_name_of_another_is_refused(
    product: Driver, customer: SimulatedTenant, domain: str
) -> None:
    other = add_tenant(product, f"other-{domain}")
    link = link_for(product, customer.id)
    consent(product, customer)
    page = come_back(product, state=link["state"], tenant=other.id)
    assert page.status_code == 400
    assert "another organization" in page.text
    assert nothing_started(product, customer)
    assert nothing_started(product, other)
    again = come_back(product, state=link["state"], tenant=customer.id)
    assert again.status_code == 400  # the state is spoilt


def test_case_g5_a_forged_tenant_without_a_state_is_refused(
    product: Driver, customer: SimulatedTenant
) -> None:
    consent(product, customer)
    for query in ({}, {"state": "x"}, {"state": "A" * 43}, {"state": "../" * 20}):
        page = come_back(product, tenant=customer.id, **query)
        assert page.status_code == 400
        assert "cannot be used" in page.text
    assert nothing_started(product, customer)


def test_a_consent_that_was_never_given_is_not_believed_and_the_link_stays_good(
    product: Driver, customer: SimulatedTenant
) -> None:
    link = link_for(product, customer.id)
    page = come_back(product, state=link["state"], tenant=customer.id)
    assert page.status_code == 503
    assert "again" in page.text
    assert nothing_started(product, customer)
    consent(product, customer)
    assert come_back(product, state=link["state"], tenant=customer.id).status_code == 200


def test_an_expired_state_is_refused(
    product: Driver, customer: SimulatedTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = link_for(product, customer.id)
    consent(product, customer)
    later = datetime.now(UTC) + timedelta(hours=73)
    monkeypatch.setattr(product.stack.host.module.context, "now", lambda: later)
    page = come_back(product, state=link["state"], tenant=customer.id)
    assert page.status_code == 400
    assert "cannot be used" in page.text
    monkeypatch.undo()
    assert nothing_started(product, customer)


@pytest.mark.parametrize(
    ("tenant", "status"), [("common", 400), ("no%20domain", 400), ("nobody.example", 404)]
)
def test_case_c12_a_link_is_made_for_one_tenant_that_exists(
    product: Driver, tenant: str, status: int
) -> None:
    assert product.get(f"/api/consent/{tenant}").status_code == status


def test_case_c10_a_tenant_id_in_any_spelling_gets_the_same_link(
    product: Driver, customer: SimulatedTenant
) -> None:
    spelled = "%7B" + customer.id.upper() + "%7D"
    assert link_for(product, spelled)["path"] == f"/{customer.id}/v2.0/adminconsent"


@pytest.mark.parametrize("cloud", sorted(CLOUDS))
def test_case_d6_the_link_names_a_scope_in_every_cloud(product: Driver, cloud: str) -> None:
    from shared.arrivals.consent import consent_url

    settings = dict(product.stack.settings)
    del settings["CLOUD_ENDPOINTS_FILE"]
    ours = load_settings({**settings, "CLOUD": cloud})
    url = urlsplit(consent_url(ours, "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77", "s"))
    assert f"https://{url.netloc}" == CLOUDS[cloud].login
    assert parse_qs(url.query)["scope"] == [f"{CLOUDS[cloud].graph}/.default"]
