"""A customer's tenant with an application that Mondoo could scan with, seeded for these tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from local.simulators import Simulators
from local.simulators.catalogue import (
    EXCHANGE,
    EXCHANGE_PROTECTION,
    GRAPH,
    SERVICES,
    SHAREPOINT,
)
from local.simulators.objects import Application, ServicePrincipal
from local.simulators.tenant import SimulatedTenant
from tests.local.simulators.callers import certificate_for, certificate_pem, key_pem

BASIC = (
    "DeviceManagementConfiguration.Read.All",
    "IdentityProvider.Read.All",
    "Policy.Read.All",
    "Policy.Read.ConditionalAccess",
    "Policy.Read.PermissionGrant",
    "SecurityActions.Read.All",
    "SecurityEvents.Read.All",
)
FURTHER = (
    "AccessReview.Read.All",
    "AuditLog.Read.All",
    "DeviceManagementApps.Read.All",
    "DeviceManagementManagedDevices.Read.All",
    "DeviceManagementRBAC.Read.All",
    "DeviceManagementServiceConfig.Read.All",
    "Directory.Read.All",
    "Domain.Read.All",
    "IdentityRiskEvent.Read.All",
    "IdentityRiskyUser.Read.All",
    "InformationProtectionPolicy.Read.All",
    "OrgSettings-AppsAndServices.Read.All",
    "OrgSettings-Forms.Read.All",
    "Organization.Read.All",
    "RoleEligibilitySchedule.Read.Directory",
    "RoleManagement.Read.All",
    "RoleManagementPolicy.Read.Directory",
    "SecurityAlert.Read.All",
    "SecurityIncident.Read.All",
    "UserAuthenticationMethod.Read.All",
)
_RESOURCES = {
    "exchange": (EXCHANGE, "Exchange.ManageAsApp"),
    "sharepoint": (SHAREPOINT, "Sites.FullControl.All"),
    "exchange-protection": (EXCHANGE_PROTECTION, "Exchange.ManageAsApp"),
}


@dataclass(frozen=True, slots=True)
class Scannable:
    """A tenant, the application in it, and the PEM that signs in as it."""

    simulators: Simulators
    tenant: SimulatedTenant
    app: Application
    principal: ServicePrincipal
    pem: str

    def token(self, audience: str) -> str:
        """A token of the application."""
        return self.simulators.run(
            self.simulators.entra.issue, self.tenant, self.principal, audience
        )

    def altered_token(self, audience: str, **claims: Any) -> str:
        """A genuine token with other claims in it."""
        known = self.simulators.entra.mint.read(self.token(audience))
        assert known is not None
        return self.simulators.entra.mint.mint({**known.raw, **claims})


def add_scannable(
    simulators: Simulators,
    *,
    services: Iterable[str] = SERVICES,
    graph: Iterable[str] = BASIC + FURTHER,
    granted: Iterable[str] = SERVICES,
    global_reader: bool = True,
) -> Scannable:
    """A tenant with these services, and an application with these rights on them."""

    def add() -> Scannable:
        tenant = simulators.world.add_tenant(f"t{uuid4().hex[:10]}.example", services=services)
        key, certificate = certificate_for()
        app = tenant.add_application("mondoo-ms365", key_credentials=[certificate])
        for right in graph:
            tenant.grant(app, right, GRAPH)
        for service in set(granted) & set(services):
            resource, right = _RESOURCES[service]
            tenant.grant(app, right, resource)
        if global_reader:
            tenant.assign_role(app)
        principal = tenant.service_principal_by_app_id(app.app_id)
        assert principal is not None
        pem = key_pem(key) + certificate_pem(certificate)
        return Scannable(simulators, tenant, app, principal, pem)

    return simulators.run(add)
