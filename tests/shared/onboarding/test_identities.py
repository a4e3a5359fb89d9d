"""Each kind of identity onboards a tenant: same steps, same end."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from local.simulators.entra import AZURE_CLI
from local.simulators.picture import picture
from local.stack import LocalStack
from tests.driving import Watch, outcomes, step
from tests.end_to_end.test_onboarding import ONCE, end_state
from tests.shared.entra.certificates import pair
from tests.shared.onboarding.rehearsal import Rehearsal

Acting = Callable[..., Rehearsal]

ADMINISTRATOR = [
    "Application.ReadWrite.All",
    "AppRoleAssignment.ReadWrite.All",
    "Directory.Read.All",
    "Policy.Read.All",
    "RoleManagement.ReadWrite.Directory",
]

AZ = """#!{python} -IS
# As much of the Azure CLI as azure-identity asks for: `az account get-access-token`.
import json, sys, time, urllib.request

given = sys.argv
resource = given[given.index("--resource") + 1]
tenant = given[given.index("--tenant") + 1]
with open({log!r}, "a") as log:
    log.write(tenant + " " + resource + "\\n")
wanted = {{"tenant": tenant, "audience": resource, "scopes": {scopes!r}}}
request = urllib.request.Request({control!r} + "/user-token", json.dumps(wanted).encode())
with urllib.request.urlopen(request) as answer:
    token = json.load(answer)["accessToken"]
expires = int(time.time()) + 3600
print(json.dumps({{"accessToken": token, "expires_on": expires, "tenant": tenant}}))
"""


@pytest.fixture
async def acting(stack: LocalStack) -> AsyncIterator[Acting]:
    """Makes rehearsals with settings of their own."""
    made: list[Rehearsal] = []

    def act(**settings: str) -> Rehearsal:
        made.append(Rehearsal(stack, settings))
        return made[-1]

    yield act
    for one in made:
        await one.aclose()
    stack.simulators.run(stack.simulators.faults.clear)


async def test_as_a_managed_identity_we_onboard_our_own_tenant(acting: Acting) -> None:
    rehearsal = acting(IDENTITY="managed-identity", ONBOARDING_CLIENT_ID="")
    home = rehearsal.simulators.world.home
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(home.domains[-1])
    assert operation["status"] == "succeeded"
    assert end_state(rehearsal, home) == ONCE
    ours = rehearsal.simulators.world.managed_identity.app_id
    assert {call.caller for call in watch.calls if call.service == "graph" and call.write} == {ours}
    assert set(outcomes(await rehearsal.onboard(home)).values()) == {"passed"}


async def test_as_a_managed_identity_we_cannot_act_in_a_customers_tenant(acting: Acting) -> None:
    rehearsal = acting(IDENTITY="managed-identity", ONBOARDING_CLIENT_ID="")
    tenant = rehearsal.add_tenant()
    before = picture(tenant)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "refused"
    told = step(operation, "preflight")
    assert [finding["code"] for finding in told["findings"]] == ["identity_own_tenant_only"]
    assert "federated" in told["remediation"]
    assert picture(tenant) == before


async def test_federated_we_onboard_a_customers_tenant_without_any_secret(acting: Acting) -> None:
    rehearsal = acting(IDENTITY="federated")
    tenant = rehearsal.add_tenant()
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded"
    assert end_state(rehearsal, tenant) == ONCE
    ours = rehearsal.simulators.world.home_app
    assert {call.caller for call in watch.calls if call.service == "graph" and call.write} == {
        ours.app_id
    }
    assert not ours.password_credentials


async def test_with_a_certificate_from_the_vault_we_onboard_a_customers_tenant(
    acting: Acting,
) -> None:
    rehearsal = acting(IDENTITY="certificate", ONBOARDING_CERTIFICATE="onboarding-certificate")
    simulators, own = rehearsal.simulators, pair("onboarding")
    simulators.run(simulators.world.add_home_certificate, own.certificate)
    simulators.run(simulators.vault.put_secret, "onboarding-certificate", own.pem)
    (federation,) = simulators.world.home_app.federated_credentials.values()
    right, federation.subject = federation.subject, "nobody"
    tenant = rehearsal.add_tenant()
    try:
        operation = await rehearsal.onboard(tenant)
    finally:
        federation.subject = right
    assert operation["status"] == "succeeded"
    assert end_state(rehearsal, tenant) == ONCE


async def test_without_the_certificate_it_is_said_where_it_belongs(acting: Acting) -> None:
    rehearsal = acting(IDENTITY="certificate", ONBOARDING_CERTIFICATE="not-there")
    tenant = rehearsal.add_tenant()
    before = picture(tenant)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "refused"
    told = step(operation, "preflight")
    assert told["code"] == "vault_secret_missing"
    assert "not-there" in told["message"]
    assert rehearsal.context.settings.key_vault_url in told["remediation"]
    assert picture(tenant) == before


async def test_a_developer_who_ran_az_login_onboards_a_tenant(
    acting: Acting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal = acting(
        IDENTITY="azure-cli",
        ONBOARDING_CLIENT_ID="",
        MANAGED_IDENTITY_CLIENT_ID="",
        EVENT_TOPIC_ENDPOINT="",
    )
    log = install_az(rehearsal, tmp_path, monkeypatch)
    tenant = rehearsal.add_tenant(consented=False)
    with Watch(rehearsal.simulators) as watch:
        operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "succeeded", operation
    assert end_state(rehearsal, tenant) == ONCE
    assert {call.caller for call in watch.calls if call.service == "graph" and call.write} == {
        AZURE_CLI
    }
    asked = {line.split()[0] for line in log.read_text().splitlines()}
    assert asked == {tenant.id, rehearsal.simulators.world.home.id}


async def test_a_developer_without_az_login_is_told_to_sign_in(
    acting: Acting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    rehearsal = acting(IDENTITY="azure-cli", ONBOARDING_CLIENT_ID="", EVENT_TOPIC_ENDPOINT="")
    tenant = rehearsal.add_tenant(consented=False)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "refused"
    assert "az login" in step(operation, "preflight")["remediation"]


async def test_a_developer_signed_in_to_another_tenant_changes_nothing_there(
    acting: Acting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal = acting(IDENTITY="azure-cli", ONBOARDING_CLIENT_ID="", EVENT_TOPIC_ENDPOINT="")
    other, tenant = rehearsal.add_tenant(consented=False), rehearsal.add_tenant(consented=False)
    install_az(rehearsal, tmp_path, monkeypatch, always=other.id)
    before = picture(other)
    operation = await rehearsal.onboard(tenant)
    assert operation["status"] == "refused"
    assert "tenant_mismatch" in {f["code"] for f in step(operation, "preflight")["findings"]}
    assert picture(other) == before


def install_az(
    rehearsal: Rehearsal, folder: Path, patch: pytest.MonkeyPatch, *, always: str | None = None
) -> Path:
    """A fake `az` first on the path; it writes down what it is asked for.

    ``always``: a tenant that it gives tokens of whatever it is asked for, as a proxy might.
    """
    log = folder / "asked"
    script = AZ.format(
        python=sys.executable,
        log=str(log),
        scopes=ADMINISTRATOR,
        control=rehearsal.simulators.urls["control"],
    )
    if always is not None:
        script = script.replace('{"tenant": tenant,', f'{{"tenant": {always!r},', 1)
    az = folder / "az"
    az.write_text(script)
    az.chmod(0o755)
    patch.setenv("PATH", str(folder), prepend=":")
    return log
