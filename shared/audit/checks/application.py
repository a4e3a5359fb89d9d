"""The application and its service principal: there, ours, switched on, and closed to outsiders."""

from __future__ import annotations

from collections.abc import Iterator

from shared.audit.deviations import (
    BrokenPrincipal,
    DeletedApplication,
    Deviation,
    WideAudience,
    deviation,
)
from shared.entra.corrections import SINGLE_TENANT
from shared.entra.inventory import AuditedApplication, AuditedPrincipal, Inventory, Owner
from shared.models import MARK


def application(inventory: Inventory, app_id: str) -> Iterator[Deviation]:
    """What is wrong with the application itself."""
    audited = inventory.application
    subject = f"application {app_id}"
    if audited is None:
        yield _gone(inventory, subject)
        return
    if not audited.application.ours:
        yield deviation("application_not_ours", subject, f"{subject} lacks the tag {MARK}")
    if audited.disabled:
        yield deviation("application_disabled", subject, f"{subject} is disabled")
    if audited.disabled_by_microsoft is not None:
        yield deviation(
            "application_disabled_by_microsoft",
            subject,
            f"{subject} is disabled by Microsoft ({audited.disabled_by_microsoft})",
        )
    if audited.audience != SINGLE_TENANT:
        yield deviation(
            "audience_too_wide",
            subject,
            f"the audience of {subject} is {audited.audience or 'not set'}, not {SINGLE_TENANT}",
            target=WideAudience(audited.audience),
        )
    for redirect in audited.redirect_uris:
        yield deviation(
            "redirect_uri",
            redirect.uri,
            f"{subject} has the redirect URI {redirect.uri} ({redirect.platform})",
            identity=f"{redirect.platform}:{redirect.uri}",
            target=redirect,
        )


def _gone(inventory: Inventory, subject: str) -> Deviation:
    deleted = inventory.deleted
    if deleted is None:
        return deviation("application_missing", subject, f"{subject} does not exist")
    return deviation(
        "application_deleted",
        subject,
        f"{subject} was deleted and can be restored",
        target=DeletedApplication(deleted),
    )


def principal(audited: AuditedPrincipal | None, app_id: str) -> Iterator[Deviation]:
    """What is wrong with the service principal; the application exists."""
    subject = f"service principal of application {app_id}"
    if audited is None:
        yield deviation(
            "principal_missing",
            subject,
            f"application {app_id} has no service principal",
            target=BrokenPrincipal(None),
        )
        return
    found = audited.principal
    if not found.ours:
        yield deviation("principal_not_ours", subject, f"the {subject} lacks the tag {MARK}")
    if audited.sign_in_disabled:
        yield deviation(
            "principal_disabled",
            subject,
            f"the {subject} is disabled in the tenant",
            target=BrokenPrincipal(found),
        )
    if audited.switched_off:
        yield deviation("principal_switched_off", subject, f"the {subject} is deactivated")


def owners(
    app: AuditedApplication, principal: AuditedPrincipal | None, our_object_id: str | None
) -> Iterator[Deviation]:
    """Who else could change the application, and whether we can."""
    if our_object_id is None:
        return
    for thing, found in (
        ("application", app.owners),
        ("principal", principal.owners if principal is not None else None),
    ):
        if found is None:
            continue
        shown = "the application" if thing == "application" else "the service principal"
        for owner in found:
            if owner.id != our_object_id:
                yield _stranger(owner, shown)
        if all(owner.id != our_object_id for owner in found):
            yield deviation(
                "automation_not_owner",
                our_object_id,
                f"our automation ({our_object_id}) is no owner of {shown}",
                identity=thing,
            )


def _stranger(owner: Owner, shown: str) -> Deviation:
    name = owner.name or owner.id
    return deviation(
        "owner_unknown",
        name,
        f"{name} ({owner.kind} {owner.id}) is an owner of {shown}",
        identity=f"{owner.of}:{owner.id}",
        target=owner,
    )
