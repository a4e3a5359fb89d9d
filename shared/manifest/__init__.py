"""Permissions as data: what Mondoo's scanner needs, one file a published list, and why.

`load_manifest` reads ``quick-setup`` (the 9 permissions of Mondoo's quick setup page; the default)
or ``2026-09`` (30, current). A permission is identified by the pair (resource application id, app
role id), never by its name: two resources expose a role called ``Exchange.ManageAsApp``, and the
same id may exist under another resource. ``evidence`` says whether an entry was ``read`` in a
published source for that list or ``inferred``.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

import msgspec

from shared.errors import InvalidRequest

DEFAULT_MANIFEST = "quick-setup"

ServiceName = Literal["graph", "exchange", "sharepoint", "exchange-protection"]


class AppRoleKey(NamedTuple):
    """What identifies a permission: the application id of the resource and the id of the role."""

    resource_app_id: str
    app_role_id: str


class Resource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """An API that exposes app roles; ``service`` is our short name for it."""

    service: ServiceName
    name: str
    app_id: str


class Permission(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One application permission; ``without_it`` says what cannot be scanned if it is missing."""

    resource: ServiceName
    name: str
    id: str
    reason: str
    without_it: str
    evidence: Literal["read", "inferred"]


class DirectoryRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A directory role, by its template id, which is the same in every tenant."""

    name: str
    template_id: str
    reason: str
    without_it: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One published list."""

    name: str
    title: str
    published: str
    supersedes: str | None
    source: str
    resources: tuple[Resource, ...]
    directory_roles: tuple[DirectoryRole, ...]
    permissions: tuple[Permission, ...]

    def resource(self, service: str) -> Resource:
        """The resource that ``service`` names; KeyError when the list does not use it."""
        for resource in self.resources:
            if resource.service == service:
                return resource
        raise KeyError(service)

    def key(self, permission: Permission) -> AppRoleKey:
        """The identity of a permission of this list."""
        return AppRoleKey(self.resource(permission.resource).app_id, permission.id)

    def by_key(self) -> dict[AppRoleKey, Permission]:
        """All permissions by their identity, in the order of the list."""
        return {self.key(permission): permission for permission in self.permissions}


@cache
def manifest_names() -> tuple[str, ...]:
    """The names of the lists that are built in, oldest first."""
    listed = [
        _decode(entry.read_bytes())
        for entry in files(__name__).iterdir()
        if entry.name.endswith(".json")
    ]
    return tuple(m.name for m in sorted(listed, key=lambda manifest: manifest.published))


@cache
def load_manifest(name: str) -> Manifest:
    """The list called ``name``.

    Raises:
        InvalidRequest: ``manifest_unknown``, naming the lists there are.
    """
    if name not in manifest_names():
        raise InvalidRequest(
            "manifest_unknown",
            f"there is no permission manifest {name[:60]!r}",
            remediation=f"Use one of: {', '.join(manifest_names())}.",
            field="manifest",
        )
    return _decode((files(__name__) / f"{name}.json").read_bytes())


def _decode(content: bytes) -> Manifest:
    return msgspec.json.decode(content, type=Manifest)
