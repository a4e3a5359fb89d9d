"""The permission lists as a page that a security team can read: ``docs/permissions.md``.

python -m shared.manifest.document docs/permissions.md
"""

from __future__ import annotations

from shared.manifest import Manifest, load_manifest, manifest_names

_INTRODUCTION = """\
# What Mondoo's application is granted, permission by permission

*Generated from `shared/manifest/` by `make docs`; do not edit.*

Each list is one that Mondoo has published. All of it reads; where the name of a permission says
more (`Sites.FullControl.All`, `Exchange.ManageAsApp`), the service offers nothing narrower for what
the scanner asks. What our own automation needs to grant this is in `administrator.md`.
"""


def as_markdown() -> str:
    """The page."""
    return "\n".join([_INTRODUCTION, *(_chapter(load_manifest(name)) for name in manifest_names())])


def _chapter(manifest: Manifest) -> str:
    lines = [f"## {manifest.title} (`{manifest.name}`)\n"]
    lines.append(f"Published {manifest.published}: {manifest.source}\n")
    lines.append("| permission | of | why | without it | seen |")
    lines.append("|---|---|---|---|---|")
    for permission in manifest.permissions:
        resource = manifest.resource(permission.resource)
        lines.append(
            f"| `{permission.name}` | {resource.name} | {permission.reason}"
            f" | {permission.without_it} | {permission.evidence} |"
        )
    for role in manifest.directory_roles:
        lines.append(f"| {role.name} | directory role | {role.reason} | {role.without_it} | read |")
    return "\n".join(lines) + "\n"
