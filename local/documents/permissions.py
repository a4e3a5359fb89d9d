"""The permission lists as a page that a security team can read: ``docs/permissions.md``."""

from __future__ import annotations

from shared.manifest import load_manifest, manifest_names
from shared.permissions.markdown import chapter
from shared.permissions.request import permission_request
from shared.permissions.words import READS

_INTRODUCTION = f"""\
# What Mondoo's application is granted, permission by permission

*Generated from `shared/manifest/` by `make docs`; do not edit.*

Each list is one that Mondoo has published. {READS}
What our own automation needs to grant this is in `administrator.md`. `GET /api/permissions` is one
list as a request to be signed.
"""


def as_markdown() -> str:
    """The page."""
    return "\n".join([_INTRODUCTION, *(_chapter(name) for name in manifest_names())])


def _chapter(name: str) -> str:
    return chapter(permission_request(load_manifest(name), ""))
