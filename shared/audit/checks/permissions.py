"""Permissions: three sets, keyed by (resource app id, app role id), and delegated grants.

Declaring grants nothing, revoking undeclares nothing, and the same role id may exist under two
resources, so each combination is a finding of its own:

    wanted  declared  granted
      x        x         -      permission_not_granted
      x        -         x      permission_not_declared
      x        -         -      permission_missing
      -        x         x      grant_not_wanted
      -        -         x      grant_not_declared
      -        x         -      declaration_not_wanted

An API that is absent or disabled, or does not offer a role, is one finding; the permissions that
cannot be granted because of it are none besides. Without a service principal there is nothing that
could be granted, so only declarations are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shared.audit.deviations import (
    Declaration,
    Deviation,
    ExcessGrant,
    WantedPermission,
    deviation,
)
from shared.entra.app_role_assignments import Grant
from shared.entra.applications import Application
from shared.entra.inventory import AuditedPrincipal, Inventory, ResourcePrincipal
from shared.manifest import AppRoleKey, Manifest, Permission

ROLE = "Role"


def resources(inventory: Inventory, manifest: Manifest) -> Iterator[Deviation]:
    """APIs of the manifest that are not here, are disabled, or lack a role."""
    present = {found.app_id: found for found in inventory.resources.values()}
    for resource in manifest.resources:
        of_resource = [p for p in manifest.permissions if p.resource == resource.service]
        found = present.get(resource.app_id)
        if found is None or not found.enabled:
            yield deviation(
                "resource_absent" if found is None else "resource_disabled",
                resource.name,
                f"{resource.name} "
                + ("is not in this tenant" if found is None else "is disabled in this tenant"),
                identity=resource.app_id,
                not_scanned="; ".join(permission.without_it for permission in of_resource),
            )
            continue
        for permission in of_resource:
            if not found.offers(permission.id):
                yield deviation(
                    "app_role_absent",
                    permission.name,
                    f"{resource.name} does not offer {permission.name} in this tenant",
                    identity=f"{resource.app_id}/{permission.id}",
                    not_scanned=permission.without_it,
                )


def permissions(
    inventory: Inventory,
    manifest: Manifest,
    application: Application,
    principal: AuditedPrincipal | None,
) -> Iterator[Deviation]:
    """Every permission that is not wanted, declared and granted alike."""
    present = {found.app_id: found for found in inventory.resources.values()}
    wanted = manifest.by_key()
    declared = _declared(application)
    granted = _granted(inventory, principal)
    for key, permission in wanted.items():
        found = present.get(key.resource_app_id)
        if found is None or not found.enabled or not found.offers(key.app_role_id):
            continue
        is_granted = key in granted if principal is not None else None
        code = _shortfall(key in declared, is_granted)
        if code is not None:
            yield _short(code, key, permission, found)
    for key in sorted(granted.keys() - wanted.keys()):
        yield _excess(inventory, key, granted[key], declared.get(key))
    for key in sorted(declared.keys() - wanted.keys() - granted.keys()):
        yield _undeclare(inventory, declared[key])
    yield from (_undeclare(inventory, each) for each in _scopes(application))


def delegated(inventory: Inventory, principal: AuditedPrincipal) -> Iterator[Deviation]:
    """Scopes that the application could use for users."""
    for grant in principal.delegated:
        resource = inventory.resources.get(grant.resource_id)
        api = resource.name if resource is not None else grant.resource_id
        whom = "all users" if grant.user_id is None else f"user {grant.user_id}"
        yield deviation(
            "delegated_grant",
            f"{api}: {grant.scope}",
            f"the application may use {grant.scope or 'no scope'} of {api} for {whom}",
            identity=grant.id,
            target=grant,
        )


def _shortfall(declared: bool, granted: bool | None) -> str | None:
    """The kind of finding about a wanted permission; ``granted`` is None without a principal."""
    if granted is False:
        return "permission_not_granted" if declared else "permission_missing"
    return None if declared else "permission_not_declared"


def _short(
    code: str, key: AppRoleKey, permission: Permission, resource: ResourcePrincipal
) -> Deviation:
    missing = {
        "permission_missing": "is neither declared nor granted",
        "permission_not_granted": "is declared, but not granted",
        "permission_not_declared": "is not declared",
    }[code]
    return deviation(
        code,
        permission.name,
        f"{permission.name} of {resource.name} {missing}",
        identity="/".join(key),
        not_scanned=None if code == "permission_not_declared" else permission.without_it,
        target=WantedPermission(key, resource.object_id),
    )


def _excess(
    inventory: Inventory, key: AppRoleKey, grant: Grant, declaration: Declaration | None
) -> Deviation:
    name, api = _names(inventory, key.resource_app_id, key.app_role_id)
    return deviation(
        "grant_not_declared" if declaration is None else "grant_not_wanted",
        name,
        f"{name} of {api} is granted and not wanted"
        + (", and not declared either" if declaration is None else ""),
        identity="/".join(key),
        target=ExcessGrant(grant, declaration),
    )


def _undeclare(inventory: Inventory, declaration: Declaration) -> Deviation:
    name, api = _names(inventory, declaration.resource_app_id, declaration.id)
    kind = "" if declaration.type == ROLE else " (delegated)"
    return deviation(
        "declaration_not_wanted",
        name,
        f"{name}{kind} of {api} is declared and not wanted",
        identity="/".join(declaration.key),
        target=declaration,
    )


def _declared(application: Application) -> dict[AppRoleKey, Declaration]:
    return {
        AppRoleKey(each.resource_app_id, each.id): each
        for each in declarations(application)
        if each.type == ROLE
    }


def _scopes(application: Application) -> Iterator[Declaration]:
    return (each for each in declarations(application) if each.type != ROLE)


def declarations(application: Application) -> Iterator[Declaration]:
    """Everything that the application declares, delegated permissions too."""
    for entry in application.required_resource_access:
        for each in entry.get("resourceAccess") or ():
            yield Declaration(
                str(entry["resourceAppId"]).lower(), str(each["id"]).lower(), str(each["type"])
            )


def _granted(
    inventory: Inventory, principal: AuditedPrincipal | None
) -> Mapping[AppRoleKey, Grant]:
    """What is granted, on APIs that are here: a grant on a deleted one gives nothing, and is seen
    again if the API comes back."""
    if principal is None:
        return {}
    return {
        AppRoleKey(inventory.resources[grant.resource_id].app_id, grant.app_role_id): grant
        for grant in principal.grants
        if grant.resource_id in inventory.resources
    }


def _names(inventory: Inventory, resource_app_id: str, role_id: str) -> tuple[str, str]:
    """What people call a role and its API, where that is known."""
    for resource in inventory.resources.values():
        if resource.app_id == resource_app_id:
            role = resource.roles.get(role_id)
            return (role.name if role is not None else role_id), resource.name
    return role_id, resource_app_id
