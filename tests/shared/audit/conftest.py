"""The simulators without the host, and tenants that are exactly as they should be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509

from local.simulators import Simulators
from local.simulators.catalogue import ALL_AUTOMATION_RIGHTS, GRAPH, AppRole
from local.simulators.faults import Fault
from local.simulators.mondoo.estate import Integration
from local.simulators.objects import Application, KeyCredential, ServicePrincipal
from local.simulators.tenant import SimulatedTenant, new_id
from local.stack import LocalStack
from shared.certificates import public_part
from shared.config import Settings, load_settings
from shared.context import Context
from shared.entra.applications import declared_access
from shared.entra.key_credentials import key_name
from shared.manifest import load_manifest
from shared.models import MARK, MARK_LABEL, CertificateReference, TenantRecord
from shared.mondoo.integrations import THUMBPRINT_LABEL
from shared.transitions import TenantState
from tests.shared.entra.conftest import Watch

NAME = "mondoo-ms365"
NEWEST = "2026-09"
DELEGATED_RIGHT = AppRole(
    "8e8e4742-1d95-4f68-9d56-6ee75648c72a", "DelegatedPermissionGrant.ReadWrite.All"
)


@dataclass(frozen=True)
class Stand:
    """The simulators, what a deployment would set, and one certificate in the vault for all."""

    simulators: Simulators
    settings: Settings
    reference: CertificateReference
    certificate: x509.Certificate

    def tenant(
        self,
        *,
        manifest: str = NEWEST,
        delegated_right: bool = True,
        **kwargs: Any,
    ) -> AuditedTenant:
        """A tenant in which an audit finds nothing, but perhaps that its manifest is old."""
        return self.simulators.run(self._tenant, manifest, delegated_right, kwargs)

    def _tenant(
        self, manifest_name: str, delegated_right: bool, kwargs: dict[str, Any]
    ) -> AuditedTenant:
        world, manifest = self.simulators.world, load_manifest(manifest_name)
        kwargs.setdefault("rights", ALL_AUTOMATION_RIGHTS)
        tenant = world.add_tenant(f"t{uuid4().hex[:12]}.onmicrosoft.com", "Fabrikam", **kwargs)
        ours = tenant.service_principal_by_app_id(world.home_app.app_id)
        graph = tenant.service_principal_by_app_id(GRAPH)
        assert ours is not None
        assert graph is not None
        graph.app_roles = (*graph.app_roles, DELEGATED_RIGHT)
        if delegated_right:
            tenant.grant(ours, DELEGATED_RIGHT.value)
        present = {
            r.app_id for r in manifest.resources if tenant.service_principal_by_app_id(r.app_id)
        }
        app = tenant.add_application(
            NAME,
            NAME,
            tags=[MARK],
            owners=[ours.id],
            key_credentials=[
                KeyCredential.of(self.certificate, new_id(), display_name=key_name(NAME))
            ],
            required_resource_access=declared_access(manifest, present),
        )
        for key in manifest.by_key():
            if key.resource_app_id in present:
                tenant.grant(app, key.app_role_id, key.resource_app_id)
        tenant.assign_role(app)
        principal = tenant.service_principal_by_app_id(app.app_id)
        assert principal is not None
        integration = self._integration(tenant, app)
        record = TenantRecord(
            tenant_id=tenant.id,
            state=TenantState.ONBOARDED,
            operation_id=f"{tenant.id}.20260910T080000000000Z",
            updated_at=self.simulators.clock.now(),
            manifest=manifest_name,
            space=integration.scope_mrn,
            application_name=NAME,
            app_id=app.app_id,
            application_object_id=app.id,
            service_principal_id=principal.id,
            certificate=self.reference,
            integration=integration.mrn,
        )
        return AuditedTenant(self, tenant, app, principal, integration, record, ours.id)

    def _integration(self, tenant: SimulatedTenant, app: Application) -> Integration:
        integration = self.simulators.mondoo.add_integration(
            self.settings.mondoo_space or "",
            "Microsoft 365 Fabrikam",
            tenant_id=tenant.id,
            client_id=app.app_id,
            labels={
                MARK_LABEL[0]: MARK_LABEL[1],
                THUMBPRINT_LABEL: self.reference.thumbprint,
            },
        )
        now = self.simulators.clock.now()
        integration.status = "ACTIVE"
        integration.scan_started = now - timedelta(minutes=10)
        integration.scan_finished = now - timedelta(minutes=5)
        return integration


@dataclass(frozen=True)
class AuditedTenant:
    """A tenant with our application in it, and the record of it."""

    stand: Stand
    tenant: SimulatedTenant
    app: Application
    principal: ServicePrincipal
    integration: Integration
    record: TenantRecord
    our_object_id: str

    def drift(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Change the world."""
        return self.stand.simulators.run(function, *args, **kwargs)

    def watch(self) -> Watch:
        """What Graph is asked in this tenant from now on."""
        return Watch(self.stand.simulators, self.tenant.id)

    def fault(self, operation: str, **kwargs: Any) -> None:
        """A fault of this tenant's Graph."""
        kwargs = {"service": "graph", "tenant": self.tenant.id, **kwargs}
        self.drift(self.stand.simulators.faults.add, Fault(operation=operation, **kwargs))


@pytest.fixture(scope="module")
def running() -> Iterator[Stand]:
    """The simulators of one test module."""
    with LocalStack(host=False) as local:
        settings = load_settings(local.settings)

        async def issue() -> tuple[CertificateReference, bytes]:
            context = Context(settings)
            try:
                home = local.simulators.world.home.id
                reference = await context.vault.issue("audited", days=365, tenant_id=home)
                pem = await context.vault.pem(reference)
                return reference, public_part(pem, now=context.now())
            finally:
                await context.aclose()

        reference, der = asyncio.run(issue())
        yield Stand(local.simulators, settings, reference, x509.load_der_x509_certificate(der))


@pytest.fixture
def stand(running: Stand) -> Iterator[Stand]:
    """The simulators, with no faults left over from another test."""
    yield running
    running.simulators.run(running.simulators.faults.clear)


@pytest.fixture
def here(stand: Stand) -> AuditedTenant:
    """A tenant that is as it should be, and which no other test uses."""
    return stand.tenant()


@pytest.fixture
async def context(stand: Stand) -> AsyncIterator[Context]:
    """The product's clients; closed when the test ends."""
    ours = Context(stand.settings)
    yield ours
    await ours.aclose()
