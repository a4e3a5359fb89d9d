"""The request as a page to be read, printed and signed: the frame of the reports, no script, and
nothing loaded from anywhere."""

from __future__ import annotations

from shared.audit.rendering.html_page import code, facts, page, section, table
from shared.audit.rendering.markup import Child, Markup, element
from shared.permissions.request import PermissionRequest, RequestedPermission
from shared.permissions.words import (
    AUTOMATION,
    CREDENTIAL,
    READS,
    SIGNED_BY,
    SIGNED_WITH,
    asked,
    evidence,
)


def as_page(request: PermissionRequest) -> bytes:
    """The page, in UTF-8."""
    return page(
        f"Permission request: {request.title}",
        standing="asked",
        header=[
            element("p", "Mondoo for Microsoft 365", class_="over"),
            element("h1", "Permission request"),
            element("p", asked(request), class_="standing"),
            facts(
                [
                    ("List", [code(request.manifest), f", published {request.published}"]),
                    ("Source", code(request.source)),
                    ("Replaces", code(request.supersedes) if request.supersedes else None),
                    ("Evidence", evidence(request)),
                ]
            ),
        ],
        main=[
            element("p", READS, class_="said"),
            element("p", CREDENTIAL, class_="said"),
            [
                section(
                    f"api-{permissions[0].api_id}",
                    f"{api}: {_many(len(permissions))}",
                    table(
                        f"api-{permissions[0].api_id}",
                        ("Permission", "Why", "Without it", "Evidence"),
                        [_permission(each) for each in permissions],
                        kind="asked-for",
                    ),
                    intro=["Application id ", code(permissions[0].api_id)],
                )
                for api, permissions in _by_api(request)
            ],
            section(
                "roles",
                "Directory role",
                table(
                    "roles",
                    ("Role", "Why", "Without it", "Evidence"),
                    [
                        (
                            [element("b", role.name), _id(role.template_id)],
                            role.reason,
                            role.without_it,
                            "read",
                        )
                        for role in request.directory_roles
                    ],
                    kind="asked-for",
                ),
            ),
            section(
                "automation",
                "What our own automation needs",
                table(
                    "automation",
                    ("Permission", "Of", "Why"),
                    [(code(each.name), each.api, each.reason) for each in request.automation],
                ),
                intro=AUTOMATION,
            ),
            section("signatures", "Signatures", [_signature(who) for who in SIGNED_BY]),
        ],
        footer=element("p", f"Made from the list {request.manifest} of the onboarding service."),
        skip_to="Skip to the request",
    )


def _by_api(request: PermissionRequest) -> list[tuple[str, list[RequestedPermission]]]:
    """The permissions of each API, those with the most first."""
    found: dict[str, list[RequestedPermission]] = {}
    for permission in request.permissions:
        found.setdefault(permission.api, []).append(permission)
    return sorted(found.items(), key=lambda each: -len(each[1]))


def _many(count: int) -> str:
    return "1 permission" if count == 1 else f"{count} permissions"


def _permission(permission: RequestedPermission) -> tuple[Child, ...]:
    inferred = permission.evidence == "inferred"
    return (
        [element("b", permission.name), _id(permission.id)],
        permission.reason,
        permission.without_it,
        element("span", "inferred", class_="badge medium") if inferred else "read",
    )


def _id(identifier: str) -> Markup:
    return element("span", code(identifier), class_="line quiet")


def _signature(who: str) -> Markup:
    blanks = [element("div", element("dt", name), element("dd", " ")) for name in SIGNED_WITH]
    return element("div", element("h3", who), element("dl", blanks), class_="signature")
