"""Which role may do what on the platform.

A service account's roles hold on its scope; those of an organization's account hold on its spaces
too. An Editor may do everything in a space but delete it and report scan results, an Owner
everything but report; reporting needs Agent (Mondoo documentation, "API tokens" and "service
accounts"). Narrow roles exist for integrations and policies.
"""

from __future__ import annotations

from enum import Enum

from local.simulators.mondoo.estate import ROLES, Estate, ServiceAccount
from local.simulators.mondoo.status import Code, StatusError


class Permission(Enum):
    """A right, with the roles that carry it."""

    READ = ROLES
    CHANGE_INTEGRATIONS = frozenset({"editor", "owner", "integrations-manager"})
    CHANGE_POLICIES = frozenset({"editor", "owner", "policy-manager"})
    CHANGE_SCOPE = frozenset({"editor", "owner"})
    ADMINISTER = frozenset({"owner"})
    REPORT = frozenset({"agent"})


ACTIONS = {
    "mondoo.captain.Captain.GetSpace": Permission.READ,
    "mondoo.captain.Captain.CreateIntegration": Permission.CHANGE_INTEGRATIONS,
    "mondoo.captain.Captain.UpdateIntegration": Permission.CHANGE_INTEGRATIONS,
    "mondoo.captain.Captain.DeleteIntegration": Permission.CHANGE_INTEGRATIONS,
    "mondoo.captain.Captain.CreateSpace": Permission.ADMINISTER,
    "mondoo.policy.PolicyResolver.AssignPolicy": Permission.CHANGE_POLICIES,
    "mondoo.agents.AgentManager.CreateServiceAccount": Permission.ADMINISTER,
}
"""Action names of the audit log, for `testIamActions`."""


def allowed(
    estate: Estate, account: ServiceAccount, scope_mrn: str, permission: Permission
) -> bool:
    """Whether an account has a right on a space or organization."""
    return bool(estate.roles_on(account, scope_mrn) & permission.value)


def require(
    estate: Estate, account: ServiceAccount, scope_mrn: str, permission: Permission
) -> None:
    """`NotFound` for a scope that is not there, `PermissionDenied` without the right."""
    estate.check_scope(scope_mrn)
    if not allowed(estate, account, scope_mrn, permission):
        raise StatusError(Code.PERMISSION_DENIED, "request permission unauthorized")
