"""The Azure side of a simulated tenant: subscriptions, and who may do what on them."""

from __future__ import annotations

from local.simulators.mondoo.estate import AZURE_PLATFORM, Integration
from local.simulators.resource_manager import OWNER, READER, AzureEstate, AzureRole
from local.simulators.tenant import SimulatedTenant
from tests.shared.onboarding.rehearsal import Rehearsal
from tests.shared.onboarding.test_cases_grants import principal_of


class Azure:
    """A tenant with three subscriptions, on which our automation is owner or has nothing."""

    def __init__(self, rehearsal: Rehearsal, tenant: SimulatedTenant, *, owner_of: str) -> None:
        self.rehearsal, self.tenant = rehearsal, tenant
        self.estate: AzureEstate = rehearsal.simulators.resource_manager.of(tenant)
        self.ids = [
            rehearsal.simulators.run(self.estate.add_subscription, name)
            for name in ("production", "test", "sandbox")
        ]
        automation = rehearsal.automation(tenant)
        scopes = {
            "everything": [self.estate.root],
            "each subscription": [f"/subscriptions/{each}" for each in self.ids],
            "the first": [f"/subscriptions/{self.ids[0]}"],
            "nothing": [],
        }[owner_of]
        for scope in scopes:
            rehearsal.simulators.run(self.estate.assign, automation, OWNER, scope)

    def readable(self) -> set[str]:
        """Scopes on which the application that Mondoo uses is Reader, by subscription's name."""
        ours = principal_of(self.tenant).id
        names = {f"/subscriptions/{key}": name for key, name in self.estate.subscriptions.items()}
        names[self.estate.root] = "root"
        return {
            names[role.scope]
            for role in self.estate.roles
            if (role.principal_id, role.role_id) == (ours, READER)
        }

    def granted(self) -> list[AzureRole]:
        """Assignments that the application has which Mondoo uses, now or before it was deleted."""
        automation = self.rehearsal.automation(self.tenant)
        return [role for role in self.estate.roles if role.principal_id != automation]

    def integrations(self) -> list[Integration]:
        return [
            each
            for each in self.rehearsal.simulators.mondoo.integrations.values()
            if each.type == "AZURE" and each.tenant_id == self.tenant.id
        ]

    def scanned(self) -> set[str]:
        """Names of the subscriptions that Mondoo has seen in the newest scan."""
        (one,) = self.integrations()
        return {
            asset.name.removeprefix("Azure subscription ")
            for asset in self.rehearsal.simulators.mondoo.estate.assets.values()
            if (asset.platform, asset.integration_mrn) == (AZURE_PLATFORM, one.mrn)
            and one.scan_started is not None
            and asset.updated >= one.scan_started
        }

    def lists(self) -> tuple[list[str], list[str]]:
        (one,) = self.integrations()
        return one.allowed_subscriptions, one.denied_subscriptions
