"""What is asked for: each permission with its API, its id, its reason and what it is worth."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from shared.manifest import Manifest
from shared.rights import ONBOARDING_RIGHTS


class RequestedPermission(Struct, frozen=True, rename="camel"):
    """An application permission that the application gets, which Mondoo signs in with.

    ``evidence``: whether it was ``read`` in a published source for this list, or ``inferred``.
    """

    name: str
    id: str
    api: str
    api_id: str
    reason: str
    without_it: str
    evidence: Literal["read", "inferred"]


class RequestedRole(Struct, frozen=True, rename="camel"):
    """A directory role that the application gets."""

    name: str
    template_id: str
    reason: str
    without_it: str


class AutomationRight(Struct, frozen=True, rename="camel"):
    """An application permission of Microsoft Graph that our own automation needs to set it up. The
    application that Mondoo signs in with does not get it."""

    name: str
    api: str
    reason: str


class PermissionRequest(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """All that a tenant is asked for. ``source`` is where Mondoo published the list."""

    manifest: str
    title: str
    published: str
    source: str
    application: str
    permissions: list[RequestedPermission]
    directory_roles: list[RequestedRole]
    automation: list[AutomationRight]
    supersedes: str | None = None

    @property
    def inferred(self) -> int:
        """How many entries were not read in a published source."""
        return sum(permission.evidence == "inferred" for permission in self.permissions)


def permission_request(manifest: Manifest, application: str) -> PermissionRequest:
    """The request for a list; ``application`` is the name of the application in the tenant."""
    return PermissionRequest(
        manifest=manifest.name,
        title=manifest.title,
        published=manifest.published,
        source=manifest.source,
        application=application,
        permissions=[
            RequestedPermission(
                name=permission.name,
                id=permission.id,
                api=manifest.resource(permission.resource).name,
                api_id=manifest.resource(permission.resource).app_id,
                reason=permission.reason,
                without_it=permission.without_it,
                evidence=permission.evidence,
            )
            for permission in manifest.permissions
        ],
        directory_roles=[
            RequestedRole(role.name, role.template_id, role.reason, role.without_it)
            for role in manifest.directory_roles
        ],
        automation=[
            AutomationRight(right.name, "Microsoft Graph", right.reason)
            for right in ONBOARDING_RIGHTS
        ],
        supersedes=manifest.supersedes,
    )
