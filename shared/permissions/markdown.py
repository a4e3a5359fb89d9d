"""The request in Markdown, and the chapter that ``docs/permissions.md`` is made of."""

from __future__ import annotations

from shared.permissions.request import PermissionRequest
from shared.permissions.words import (
    AUTOMATION,
    CREDENTIAL,
    READS,
    SIGNED_BY,
    SIGNED_WITH,
    asked,
    evidence,
)


def as_markdown(request: PermissionRequest) -> str:
    """The whole request, with a place to sign."""
    return "\n".join(
        [
            "# Permission request: Mondoo for Microsoft 365\n",
            f"{asked(request)} {READS} {evidence(request)}\n",
            f"{CREDENTIAL}\n",
            chapter(request),
            "## What our own automation needs\n",
            f"{AUTOMATION}\n",
            "| permission | of | why |",
            "|---|---|---|",
            *(f"| `{each.name}` | {each.api} | {each.reason} |" for each in request.automation),
            "\n## Signatures\n",
            f"|  | {' | '.join(SIGNED_WITH)} |",
            "|---" * (len(SIGNED_WITH) + 1) + "|",
            *(f"| {who} |{'  |' * len(SIGNED_WITH)}" for who in SIGNED_BY),
            "",
        ]
    )


def chapter(request: PermissionRequest) -> str:
    """The list as a table."""
    lines = [f"## {request.title} (`{request.manifest}`)\n"]
    lines.append(f"Published {request.published}: {request.source}\n")
    lines.append("| permission | of | id | why | without it | seen |")
    lines.append("|---|---|---|---|---|---|")
    lines += [
        f"| `{each.name}` | {each.api} | `{each.id}` | {each.reason} | {each.without_it}"
        f" | {each.evidence} |"
        for each in request.permissions
    ]
    lines += [
        f"| {role.name} | directory role | `{role.template_id}` | {role.reason}"
        f" | {role.without_it} | read |"
        for role in request.directory_roles
    ]
    return "\n".join(lines) + "\n"
