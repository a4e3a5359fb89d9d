"""Which application permissions a call needs.

From Microsoft's published permission table (application column). A route names the permissions of
which the caller must hold one; what depends on the object, ownership above all, is checked here by
the handler. `Application.ReadWrite.OwnedBy` writes only what the caller owns: the application and,
where there is one, its service principal too.
"""

from __future__ import annotations

from local.simulators.catalogue import GRAPH
from local.simulators.graph.calls import GraphCall
from local.simulators.graph.errors import denied, not_local
from local.simulators.objects import Application, ServicePrincipal

OWNED_BY = "Application.ReadWrite.OwnedBy"
_WRITE_ALL = "Application.ReadWrite.All"
_DIRECTORY = frozenset({"Directory.Read.All", "Directory.ReadWrite.All"})

READ_APPLICATIONS = frozenset({"Application.Read.All", _WRITE_ALL, OWNED_BY}) | _DIRECTORY
WRITE_APPLICATIONS = frozenset({_WRITE_ALL, OWNED_BY})
WRITE_PRINCIPALS = WRITE_APPLICATIONS | {"Directory.ReadWrite.All"}
READ_GRANTS = READ_APPLICATIONS
WRITE_GRANTS = frozenset({"AppRoleAssignment.ReadWrite.All", _WRITE_ALL})
READ_DELEGATED = (
    frozenset({"DelegatedPermissionGrant.Read.All", "DelegatedPermissionGrant.ReadWrite.All"})
    | _DIRECTORY
)
WRITE_DELEGATED = frozenset({"DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All"})
READ_ROLES = (
    frozenset(
        {
            "RoleManagement.Read.Directory",
            "RoleManagement.ReadWrite.Directory",
            "RoleManagement.Read.All",
        }
    )
    | _DIRECTORY
)
WRITE_ROLES = frozenset({"RoleManagement.ReadWrite.Directory"})
READ_ELIGIBILITIES = frozenset(
    {
        "RoleEligibilitySchedule.Read.Directory",
        "RoleEligibilitySchedule.ReadWrite.Directory",
        "RoleManagement.Read.Directory",
        "RoleManagement.ReadWrite.Directory",
        "RoleManagement.Read.All",
    }
)
READ_TIMED_ROLES = frozenset(
    {
        "RoleAssignmentSchedule.Read.Directory",
        "RoleAssignmentSchedule.ReadWrite.Directory",
        "RoleManagement.Read.Directory",
        "RoleManagement.ReadWrite.Directory",
        "RoleManagement.Read.All",
    }
)
READ_DELETED = frozenset({"Application.Read.All", _WRITE_ALL}) | _DIRECTORY
WRITE_DELETED = WRITE_APPLICATIONS
READ_ORGANIZATION = (
    frozenset(
        {
            "DeviceManagementConfiguration.Read.All",
            "DeviceManagementServiceConfig.Read.All",
            "Organization.Read.All",
            "Organization.ReadWrite.All",
            "User.Read.All",
        }
    )
    | _DIRECTORY
)
READ_POLICIES = frozenset({"Policy.Read.All", "Policy.ReadWrite.ApplicationConfiguration"})
READ_POLICY_TARGETS = READ_POLICIES | {"Application.Read.All"}
READ_OTHER_TENANTS = frozenset({"CrossTenantInformation.ReadBasic.All"})
READ_CUSTOMERS = frozenset(
    {"DelegatedAdminRelationship.Read.All", "DelegatedAdminRelationship.ReadWrite.All"}
)


def may_write_application(call: GraphCall, app: Application) -> None:
    """403 unless the caller may change this application."""
    if _WRITE_ALL in call.rights:
        return
    principal = call.tenant.service_principal_by_app_id(app.app_id)
    if not _owns(call, app) or (principal is not None and not _owns(call, principal)):
        raise denied()


def may_write_principal(call: GraphCall, principal: ServicePrincipal) -> None:
    """403 unless the caller may change this service principal.

    Of an application of another tenant only the service principal can be owned here.
    """
    if call.rights & {_WRITE_ALL, "Directory.ReadWrite.All"}:
        return
    app = call.tenant.application_by_app_id(principal.app_id)
    if not _owns(call, principal) or (app is not None and not _owns(call, app)):
        raise denied()


def may_write_deleted(call: GraphCall, item: Application | ServicePrincipal) -> None:
    """403 unless the caller may restore or purge this object."""
    if _WRITE_ALL not in call.rights and not _owns(call, item):
        raise denied()


def may_create_principal(call: GraphCall, app: Application | None) -> None:
    """403 unless the caller may make a service principal for this application.

    `app` is `None` where the application is not in the tenant.
    """
    if call.rights & {_WRITE_ALL, "Directory.ReadWrite.All"}:
        return
    if app is None:
        raise not_local()
    if not _owns(call, app):
        raise denied()


def may_write_grant(call: GraphCall, resource: ServicePrincipal, *, create: bool) -> None:
    """403 unless the caller may grant or revoke app roles of this resource.

    Creating needs a right to read applications beside AppRoleAssignment.ReadWrite.All; and
    Application.ReadWrite.All alone never reaches the roles of Microsoft Graph itself.
    """
    if "AppRoleAssignment.ReadWrite.All" in call.rights:
        readers = {"Application.Read.All", _WRITE_ALL} | _DIRECTORY
        if create and not call.rights & readers:
            raise denied()
        return
    if resource.app_id == GRAPH:
        raise denied()


def _owns(call: GraphCall, item: Application | ServicePrincipal) -> bool:
    return call.claims.object_id in item.owners
