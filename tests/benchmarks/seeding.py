"""Tenants that were onboarded long ago, put straight into the simulators and the tenant records.

Onboarding a thousand tenants would be a benchmark of its own. What is put there is what an
onboarding leaves behind, so that an audit finds nothing: the application with our mark, its key
credential and its declared permissions, its service principal with grants and directory role, the
certificate in the vault, the integration with a finished scan, and the record. Making keys is slow,
so all tenants share one pair; each has a certificate object of its own in the vault.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from cryptography.hazmat.primitives.serialization import Encoding

from local.simulators import Simulators
from local.simulators.objects import KeyCredential
from local.simulators.tenant import SimulatedTenant, new_id
from local.simulators.vault_certificates import KeyAndChain, new_key, signed
from local.simulators.vault_objects import Certificate, CertificateVersion, new_version, seconds
from local.simulators.vault_policies import PEM, Policy
from local.stack import LocalStack
from shared.config import Settings, load_settings
from shared.context import Context
from shared.entra.applications import declared_access
from shared.entra.key_credentials import key_name, thumbprint_of
from shared.manifest import Manifest, load_manifest
from shared.models import MARK, MARK_LABEL, CertificateReference, TenantRecord, operation_id
from shared.mondoo.integrations import THUMBPRINT_LABEL
from shared.transitions import TenantState
from shared.vault.certificates import certificate_name

DAYS_AGO = timedelta(days=7)
SCANNED_AGO = timedelta(hours=2)


def onboarded_tenants(stack: LocalStack, number: int) -> list[TenantRecord]:
    """Put ``number`` tenants into the stack; their records, in the order of their domains."""
    settings = load_settings(stack.settings)
    made = stack.simulators.run(_Seeding(stack.simulators, settings).tenants, number)
    asyncio.run(_write(settings, made))
    return made


async def _write(settings: Settings, records: list[TenantRecord]) -> None:
    context = Context(settings)
    try:
        for record in records:
            await context.records.put(record)
    finally:
        await context.aclose()


@dataclass
class _Seeding:
    """One seeding; runs on the simulators' thread."""

    simulators: Simulators
    settings: Settings

    def tenants(self, number: int) -> list[TenantRecord]:
        self._manifest: Manifest = load_manifest(self.settings.manifest)
        self._policy = Policy(issuer="Self", subject="CN=onboarded", content_type=PEM)
        self._pair: KeyAndChain = signed(
            new_key(self._policy), self._policy, self.simulators.clock.now()
        )
        return [self._tenant(f"fleet{count:05}.onmicrosoft.com") for count in range(number)]

    def _tenant(self, domain: str) -> TenantRecord:
        name, manifest, world = (
            self.settings.application_name,
            self._manifest,
            self.simulators.world,
        )
        tenant = world.add_tenant(domain)
        ours = tenant.service_principal_by_app_id(world.home_app.app_id)
        assert ours is not None
        credential = KeyCredential.of(self._pair.leaf, new_id(), display_name=key_name(name))
        app = tenant.add_application(
            name,
            name,
            tags=[MARK],
            owners=[ours.id],
            key_credentials=[credential],
            required_resource_access=declared_access(
                manifest, {resource.app_id for resource in manifest.resources}
            ),
        )
        for key in manifest.by_key():
            tenant.grant(app, key.app_role_id, key.resource_app_id)
        tenant.assign_role(app)
        principal = tenant.service_principal_by_app_id(app.app_id)
        assert principal is not None
        certificate = self._certificate(certificate_name(name, tenant.id), tenant.id)
        began = self.simulators.clock.now() - DAYS_AGO
        return TenantRecord(
            tenant_id=tenant.id,
            state=TenantState.ONBOARDED,
            operation_id=operation_id(tenant.id, began),
            updated_at=began,
            display_name=tenant.display_name,
            initial_domain=tenant.initial_domain,
            manifest=manifest.name,
            space=self.settings.mondoo_space,
            application_name=name,
            app_id=app.app_id,
            application_object_id=app.id,
            service_principal_id=principal.id,
            certificate=certificate,
            integration=self._integration(tenant, app.app_id, certificate),
            onboarded_at=began,
            scanned_at=began,
        )

    def _certificate(self, name: str, tenant_id: str) -> CertificateReference:
        made = seconds(self.simulators.clock.now())
        version = CertificateVersion(
            new_version(),
            self._pair,
            self._policy,
            made,
            made,
            tags={MARK_LABEL[0]: MARK_LABEL[1], "tenant": tenant_id},
        )
        held = Certificate(name, self._policy, made, made, versions={version.id: version})
        self.simulators.vault.certificates.add(held)
        leaf = self._pair.leaf
        return CertificateReference(
            vault=self.settings.key_vault_url,
            name=name,
            version=version.id,
            thumbprint=thumbprint_of(leaf.public_bytes(Encoding.DER)),
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
        )

    def _integration(
        self, tenant: SimulatedTenant, app_id: str, certificate: CertificateReference
    ) -> str:
        made = self.simulators.mondoo.add_integration(
            self.settings.mondoo_space or "",
            f"Microsoft 365 {tenant.display_name}",
            tenant_id=tenant.id,
            client_id=app_id,
            labels={
                MARK_LABEL[0]: MARK_LABEL[1],
                THUMBPRINT_LABEL: certificate.thumbprint,
            },
        )
        made.status = "ACTIVE"
        made.scan_finished = self.simulators.clock.now() - SCANNED_AGO
        made.scan_started = made.scan_finished - timedelta(minutes=1)
        return made.mrn
