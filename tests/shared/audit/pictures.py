"""Observations made by hand: a tenant that is as it should be, but for what a test says."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.audit.comparison import compare, deviations
from shared.audit.deviations import Deviation
from shared.audit.observation import Observation
from shared.entra.app_role_assignments import Grant
from shared.entra.applications import Application
from shared.entra.directory_roles import RoleAssignment
from shared.entra.inventory import (
    AuditedApplication,
    AuditedPrincipal,
    Inventory,
    OfferedRole,
    ResourcePrincipal,
)
from shared.entra.key_credentials import thumbprint_of
from shared.entra.service_principals import ServicePrincipal
from shared.manifest import AppRoleKey, Manifest, load_manifest
from shared.models import MARK, MARK_LABEL, CertificateReference, Finding, TenantRecord
from shared.mondoo.integrations import THUMBPRINT_LABEL, Integration
from shared.transitions import TenantState
from shared.vault.certificates import StoredCertificate

NOW = datetime(2026, 9, 10, 8, tzinfo=UTC)
TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
APP_ID = "b7d9a0c2-3f64-4f3c-8d8e-6c2a91f0e5d4"
OURSELVES = "0d3a1f52-6a0e-4a6b-9f0c-77c1f2b0a9ce"
DER = b"not parsed, only counted"
THUMBPRINT = thumbprint_of(DER)
GLOBAL_READER = "f2ef992c-3afb-46b9-b7cf-a126ee74c451"
MANIFEST = load_manifest("2026-09")
EXTRA_ROLE = "19dbc75e-c2e2-444c-a770-ec69d8559fc7"
GRAPH = "00000003-0000-0000-c000-000000000000"

KEY = {
    "keyId": "11111111-1111-4111-8111-111111111111",
    "displayName": "mondoo-onboarding mondoo-ms365",
    "key": base64.b64encode(DER).decode(),
    "endDateTime": "2027-09-01T00:00:00Z",
}
CERTIFICATE = CertificateReference(
    vault="https://vault.example",
    name="mondoo-ms365",
    version="1",
    thumbprint=THUMBPRINT,
    not_before=NOW - timedelta(days=9),
    not_after=NOW + timedelta(days=356),
)
STORED = StoredCertificate(CERTIFICATE, marked=True, enabled=True)
RECORD = TenantRecord(
    tenant_id=TENANT,
    state=TenantState.ONBOARDED,
    operation_id=f"{TENANT}.20260901T000000000000Z",
    updated_at=NOW,
    manifest=MANIFEST.name,
    application_name="mondoo-ms365",
    app_id=APP_ID,
    application_object_id="app-object",
    service_principal_id="principal-object",
    certificate=CERTIFICATE,
    integration="//integration.api.mondoo.app/spaces/demo/integrations/one",
)


def _resources(manifest: Manifest) -> dict[str, ResourcePrincipal]:
    return {
        f"object-of-{resource.service}": ResourcePrincipal(
            f"object-of-{resource.service}",
            resource.app_id,
            resource.name,
            enabled=True,
            roles={
                permission.id: OfferedRole(permission.name, usable=True)
                for permission in manifest.permissions
                if permission.resource == resource.service
            }
            | ({EXTRA_ROLE: OfferedRole("Directory.ReadWrite.All", usable=True)}),
        )
        for resource in manifest.resources
    }


def access(keys: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """``requiredResourceAccess`` that declares these app roles."""
    grouped: dict[str, list[dict[str, str]]] = {}
    for app_id, role_id in keys:
        grouped.setdefault(app_id, []).append({"id": role_id, "type": "Role"})
    return [{"resourceAppId": app_id, "resourceAccess": each} for app_id, each in grouped.items()]


@dataclass(frozen=True)
class Picture:
    """What a test looks at; everything is right unless it says otherwise.

    ``declared`` and ``granted`` are sets of (resource app id, app role id).
    """

    record: TenantRecord = RECORD
    manifest: Manifest = MANIFEST
    declared: frozenset[AppRoleKey] = frozenset(MANIFEST.by_key())
    granted: frozenset[AppRoleKey] = frozenset(MANIFEST.by_key())
    roles: tuple[RoleAssignment, ...] = (RoleAssignment("assignment", GLOBAL_READER, "/"),)
    principal: Mapping[str, Any] = field(default_factory=dict)
    application: Mapping[str, Any] = field(default_factory=dict)
    keys: tuple[Mapping[str, Any], ...] = (KEY,)
    inventory: Mapping[str, Any] = field(default_factory=dict)
    stored: StoredCertificate | None = STORED
    integration: Mapping[str, Any] | None = field(default_factory=dict)
    tags: tuple[str, ...] = (MARK,)
    principal_tags: tuple[str, ...] = (MARK,)

    def seen(self) -> Observation:
        """The observation."""
        resources = _resources(self.manifest)
        by_app_id = {each.app_id: each.object_id for each in resources.values()}
        application = AuditedApplication(
            application=Application(
                "app-object",
                APP_ID,
                "mondoo-ms365",
                "mondoo-ms365",
                self.tags,
                NOW,
                access(sorted(self.declared)),
                [dict(key) for key in self.keys],
                complete=True,
            ),
            audience="AzureADMyOrg",
            disabled=None,
            disabled_by_microsoft=None,
            passwords=(),
            redirect_uris=(),
            owners=(),
            federated=(),
        )
        principal = AuditedPrincipal(
            principal=ServicePrincipal(
                "principal-object", APP_ID, "mondoo-ms365", True, self.principal_tags
            ),
            sign_in_disabled=False,
            switched_off=False,
            owners=(),
            grants=tuple(
                Grant(f"grant-{number}", by_app_id[key.resource_app_id], key.app_role_id)
                for number, key in enumerate(sorted(self.granted))
            ),
            delegated=(),
            roles=self.roles,
            eligible=(),
            timed=(),
        )
        inventory = Inventory(
            tenant_id=TENANT,
            display_name="Fabrikam",
            initial_domain="fabrikam.onmicrosoft.com",
            our_object_id=None,
            application=replace(application, **self.application),
            deleted=None,
            principal=replace(principal, **self.principal),
            resources=resources,
            role_ids={GLOBAL_READER: frozenset({GLOBAL_READER})},
            role_names={GLOBAL_READER: "Global Reader"},
            unread={},
        )
        return Observation(replace(inventory, **self.inventory), self.stored, self._integration())

    def _integration(self) -> Integration | None:
        if self.integration is None:
            return None
        right = Integration(
            mrn=self.record.integration or "",
            name="Microsoft 365 Fabrikam",
            status="ACTIVE",
            tenant_id=TENANT,
            client_id=APP_ID,
            labels={MARK_LABEL[0]: MARK_LABEL[1], THUMBPRINT_LABEL: THUMBPRINT},
            created=NOW - timedelta(days=9),
            scan_started=NOW - timedelta(hours=2),
            scan_finished=NOW - timedelta(hours=1),
        )
        return replace(right, **self.integration)

    def compared(self) -> list[Finding]:
        """The findings."""
        return compare(self.seen(), self.record, self.manifest, now=NOW)

    def deviations(self) -> list[Deviation]:
        """The findings with their targets."""
        return deviations(self.seen(), self.record, self.manifest, now=NOW)
