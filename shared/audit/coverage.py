"""What Mondoo's newest scan covers, as an audit sees it: the same statement as at onboarding.

The scan's messages are weighed against what the audit itself has just read of grants and roles, so
the statement follows a repair at once, though the scan is older.
"""

from __future__ import annotations

from shared.audit.observation import Observation
from shared.coverage.azure import azure_statement
from shared.coverage.statement import Access, statement
from shared.entra.directory_roles import holds
from shared.entra.inventory import Inventory
from shared.manifest import Manifest
from shared.models import ResourcePrincipal, ServiceCoverage


def coverage(
    observation: Observation, manifest: Manifest, *, keyless: bool
) -> list[ServiceCoverage]:
    """The statement for every service, and for Azure where that is scanned; empty before there was
    a scan."""
    integration, azure = observation.integration, observation.azure
    services: list[ServiceCoverage] = []
    if integration is not None and integration.scan_finished is not None:
        access = access_in(observation.inventory, manifest, keyless=keyless)
        services += statement(integration.messages, manifest, access).services
    if azure is not None and azure.scan_finished is not None:
        services += azure_statement(azure, (), (), empty=False).services
    return services


def access_in(inventory: Inventory, manifest: Manifest, *, keyless: bool) -> Access:
    """What the application has in the tenant; ``keyless`` as in `Access`."""
    principal, services = inventory.principal, {r.app_id: r.service for r in manifest.resources}
    granted = {
        f"{inventory.resources[grant.resource_id].app_id}/{grant.app_role_id}"
        for grant in (principal.grants if principal is not None else ())
        if grant.resource_id in inventory.resources
    }
    resources = tuple(
        ResourcePrincipal(
            service=services[found.app_id],
            app_id=found.app_id,
            object_id=found.object_id,
            enabled=found.enabled,
            roles_missing=[
                permission.id
                for permission in manifest.permissions
                if permission.resource == services[found.app_id] and not found.offers(permission.id)
            ],
        )
        for found in inventory.resources.values()
        if found.app_id in services
    )
    role = manifest.directory_roles[0]
    held = principal is not None and holds(principal.roles, inventory.role_ids[role.template_id])
    return Access(frozenset(granted), resources, directory_role=held, keyless=keyless)
