"""The simulated world: our own tenant, everybody else's, and who knows whom.

Seeded by code, with our managed identity and our multi-tenant onboarding application in place, so
that a test adds the tenants it is about and says how they differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID, uuid4

from cryptography import x509

from local.simulators.catalogue import (
    ALL_AUTOMATION_RIGHTS,
    EVENT_GRID,
    GRAPH,
    SERVICE_APP_IDS,
    SERVICES,
    STORAGE,
    TOKEN_EXCHANGE,
    TOKEN_EXCHANGE_AUDIENCE,
    VAULT,
)
from local.simulators.clock import Clock
from local.simulators.objects import Application, KeyCredential, ServicePrincipal
from local.simulators.tenant import SimulatedTenant, new_id

HOME_DOMAIN = "onboarding.example"


def issuer(tenant_id: str) -> str:
    """Issuer of v2 tokens: what federated credentials on managed identities name."""
    return f"https://login.microsoftonline.com/{tenant_id}/v2.0"


class World:
    """All tenants. `home` is ours: managed identity, onboarding application, vault, storage."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.tenants: dict[str, SimulatedTenant] = {}
        self.partner_customers: list[SimulatedTenant] = []
        self.partner_relationships: list[dict[str, object]] = []
        self._by_domain: dict[str, SimulatedTenant] = {}
        self._home_of_app: dict[str, SimulatedTenant] = {}
        self.home = self._new_tenant(HOME_DOMAIN, "Onboarding", SERVICES)
        for resource in (VAULT, STORAGE, EVENT_GRID, TOKEN_EXCHANGE):
            self.home.add_resource(resource)
        self.managed_identity: ServicePrincipal = self.home.add_managed_identity("onboarding")
        self.home_app: Application = self.home.add_application(
            "Mondoo onboarding", audience="AzureADMultipleOrgs"
        )
        self.home.add_federated_credential(
            self.home_app,
            "managed-identity",
            issuer(self.home.id),
            self.managed_identity.id,
            TOKEN_EXCHANGE_AUDIENCE,
        )
        for right in sorted(ALL_AUTOMATION_RIGHTS):
            self.home.grant(self.managed_identity, right)
            self.home.grant(self.home_app, right)

    def add_tenant(
        self,
        domain: str,
        display_name: str = "",
        services: Iterable[str] = SERVICES,
        rights: Iterable[str] = ALL_AUTOMATION_RIGHTS,
        *,
        consented: bool = True,
    ) -> SimulatedTenant:
        """A customer's tenant that has consented to our onboarding application.

        `domain` is a vanity domain (the initial one follows from its first label) or an initial
        domain (`….onmicrosoft.com`, `….onmicrosoft.us`). `services` beside Graph that are licensed;
        `rights` are app roles of Graph. Without consent there is no service principal of ours.
        """
        unknown = set(services) - SERVICES
        if unknown:
            raise ValueError(f"unknown services: {', '.join(sorted(unknown))}")
        tenant = self._new_tenant(domain, display_name or domain, services)
        if consented:
            self.consent(tenant, rights)
        return tenant

    def consent(
        self, tenant: SimulatedTenant, rights: Iterable[str] = ALL_AUTOMATION_RIGHTS
    ) -> ServicePrincipal:
        """What an administrator's consent does: our service principal, with these rights.

        A second consent adds what is missing; consent never takes anything away.
        """
        principal = tenant.service_principal_by_app_id(self.home_app.app_id)
        if principal is None:
            principal = tenant.add_service_principal(self.home_app)
        graph = tenant.service_principal_by_app_id(GRAPH)
        held = set() if graph is None else set(tenant.token_roles(principal.id, graph))
        for right in sorted(set(rights) - held):
            tenant.grant(principal, right)
        return principal

    def add_partner_relationship(
        self, tenant: SimulatedTenant, relationship_id: str, **changes: object
    ) -> None:
        """A delegated admin relationship of ours with a customer, as Graph shows it."""
        self.partner_customers.append(tenant)
        self.partner_relationships.append(
            {
                "id": relationship_id,
                "displayName": f"Support of {tenant.display_name}",
                "status": "active",
                "customer": {"tenantId": tenant.id, "displayName": tenant.display_name},
                "duration": "P730D",
                "endDateTime": (self.clock.now() + timedelta(days=700)).isoformat(),
                "autoExtendDuration": "PT0S",
                **changes,
            }
        )

    def add_home_certificate(self, certificate: x509.Certificate) -> KeyCredential:
        """A key credential on our onboarding application, beside the federation."""
        credential = KeyCredential.of(certificate, new_id(), display_name="onboarding")
        self.home_app.key_credentials.append(credential)
        return credential

    def vault_principals(self) -> list[str]:
        """Object ids of the principals that the vault's access control lets in: our identity."""
        return [self.managed_identity.id]

    def find(self, tenant: str) -> SimulatedTenant | None:
        """A tenant by GUID or by any of its domains, letter case aside."""
        wanted = tenant.strip().lower()
        return self.tenants.get(wanted) or self._by_domain.get(wanted)

    def tenant_of(self, tenant_id: str) -> SimulatedTenant:
        """A tenant by its id; `KeyError` for a stranger."""
        return self.tenants[tenant_id]

    def home_of(self, app_id: str) -> Application | None:
        """The application of that client id, in whichever tenant is its home."""
        known = self._home_of_app.get(app_id)
        if known is not None:
            app = known.application_by_app_id(app_id)
            if app is not None:
                return app
        for tenant in self.tenants.values():
            app = tenant.application_by_app_id(app_id)
            if app is not None:
                self._home_of_app[app_id] = tenant
                return app
        return None

    def summary(self) -> dict[str, object]:
        """What is in the world, without secrets, for the control origin."""
        return {
            "now": self.clock.now().isoformat(),
            "home": {
                "tenant": self.home.id,
                "managedIdentity": {
                    "clientId": self.managed_identity.app_id,
                    "principalId": self.managed_identity.id,
                },
                "onboardingApplication": self.home_app.app_id,
            },
            "tenants": [
                {
                    "id": tenant.id,
                    "displayName": tenant.display_name,
                    "domains": tenant.domains,
                    "applications": [
                        {
                            "id": app.id,
                            "appId": app.app_id,
                            "displayName": app.display_name,
                            "uniqueName": app.unique_name,
                        }
                        for app in tenant.applications.values()
                    ],
                    "servicePrincipals": len(tenant.service_principals),
                    "appRoleAssignments": len(tenant.app_role_assignments),
                    "roleAssignments": len(tenant.role_assignments),
                    "deletedItems": len(tenant.deleted),
                }
                for tenant in self.tenants.values()
            ],
        }

    def _new_tenant(self, domain: str, name: str, services: Iterable[str]) -> SimulatedTenant:
        domain = domain.lower()
        initial = domain
        domains = [domain]
        if ".onmicrosoft." not in domain:
            initial = f"{domain.partition('.')[0]}.onmicrosoft.com"
            domains = [initial, domain]
        taken = [known for known in domains if known in self._by_domain]
        if taken:
            raise ValueError(f"domain {taken[0]} belongs to another tenant")
        tenant = SimulatedTenant(self.clock, str(uuid4()), initial, domains, name)
        self.tenants[tenant.id] = tenant
        self._by_domain.update(dict.fromkeys(domains, tenant))
        tenant.add_resource(GRAPH)
        for service in sorted(services):
            tenant.add_resource(SERVICE_APP_IDS[service])
        return tenant


def is_guid(text: str) -> bool:
    """Whether a text is a GUID in the form with hyphens."""
    try:
        return len(text) == 36 and str(UUID(text)) == text.lower()
    except ValueError:
        return False
