"""Route templates, as far as the next target needs them.

The local host has the whole rules, but cannot be imported here: it stands on the 1.x SDK.
"""

from __future__ import annotations

import re
from urllib.parse import unquote


def matches(template: str, path: str) -> dict[str, str] | None:
    """Parameters of a path by a template such as `api/tenants/{tenant}`, or None."""
    pattern = ""
    for part in template.strip("/").split("/"):
        found = re.fullmatch(r"\{(\*?)(\w+)[^{}]*\}", part)
        if found is None:
            pattern += "/" + re.escape(part)
        else:
            pattern += f"/(?P<{found[2]}>{'.*' if found[1] else '[^/]+'})"
    fit = re.fullmatch(pattern, path.rstrip("/"), re.IGNORECASE)
    return {name: unquote(value) for name, value in fit.groupdict().items()} if fit else None
