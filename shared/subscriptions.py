"""The Azure side of a tenant: Reader on its subscriptions, and Mondoo's Azure integration.

Both are there for the same application and certificate as Microsoft 365. Reader is assigned where
our automation may assign it (Owner, User Access Administrator or Role Based Access Control
Administrator on the scope, which nobody has by an Entra role alone); where it may not, a finding
holds the command for somebody who may, and nothing fails. With ``all`` the root management group
comes first, since that covers subscriptions made later; with a list only what is scanned is
readable. What of our assignments is not wanted any more is removed; what others assigned stays.

Only what carries our mark is ever removed from Mondoo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.context import Context
from shared.errors import NotYet, OutcomeUnknown, Refused
from shared.models import MARK_LABEL, CertificateReference, Finding, Severity, SubscriptionScope
from shared.mondoo import azure_integrations
from shared.mondoo.azure_integrations import AzureIntegration
from shared.resource_manager.client import ResourceManager
from shared.resource_manager.reader import (
    Subscription,
    assign_reader,
    by_hand,
    held,
    remove_reader,
    root_scope,
    scope_of,
    subscriptions,
)

THUMBPRINT_LABEL = "certificate-thumbprint"
OPERATION_LABEL = "onboarding-operation"


@dataclass
class Access:
    """What became of Reader: scopes by what was done, and what is left to do. Our own assignment
    is there, or would be, on ``ours``, and is not on ``free``; other scopes could not be seen."""

    held: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    ours: set[str] = field(default_factory=set)
    free: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


async def grant_access(
    azure: ResourceManager, wanted: SubscriptionScope, principal_id: str, *, dry_run: bool
) -> Access:
    """Reader on what shall be scanned, and on nothing else of our making.

    ``principal_id`` is the object id of the application's service principal. In a dry run ``made``
    and ``removed`` are what would be.

    Raises:
        NotYet: Azure is busy, or does not know the principal yet.
    """
    access = Access()
    seen = await _visible(azure)
    known = {each.id for each in seen}
    root = root_scope(azure.tenant_id)
    for missing in sorted({*wanted.allow, *wanted.deny} - known):
        access.findings.append(_unknown(missing, principal_id, allowed=missing in wanted.allow))
    if wanted.allow:
        targets = [scope_of(each) for each in wanted.allow if each in known]
    else:
        targets = [each.scope for each in seen if each.id not in wanted.deny]
    everything = not wanted.allow and not wanted.deny
    if everything and await _ensure(azure, root, principal_id, access, (), dry_run=dry_run):
        targets = [root]
    names = {root: "the root management group"} | {each.scope: each.name for each in seen}
    # First away, then new: what is inherited from a scope that goes does not count.
    stale = [scope for scope in names if scope not in targets]
    await _remove(azure, stale, principal_id, access, dry_run=dry_run)
    for scope in targets:
        if scope != root and not await _ensure(
            azure, scope, principal_id, access, stale, dry_run=dry_run
        ):
            access.findings.append(_left(scope, names[scope], principal_id))
    if not targets and not access.findings:
        access.findings.append(_left(root, names[root], principal_id))
    return access


async def find_integration(
    context: Context, space: str, *, tenant_id: str, app_id: str
) -> AzureIntegration | None:
    """The Azure integration of the tenant and application: of several the one with our mark."""
    found = await azure_integrations.find(context.mondoo, space, tenant_id=tenant_id, app_id=app_id)
    return min(found, key=lambda each: not marked(each), default=None)


def is_right(integration: AzureIntegration, wanted: SubscriptionScope, thumbprint: str) -> bool:
    """Whether it scans what it should, with the certificate that is in use."""
    labelled = integration.labels.get(THUMBPRINT_LABEL) == thumbprint
    return marked(integration) and labelled and integration.covers(wanted)


def marked(integration: AzureIntegration) -> bool:
    """Whether it carries our mark."""
    return integration.labels.get(MARK_LABEL[0]) == MARK_LABEL[1]


async def write_integration(
    context: Context,
    current: AzureIntegration | None,
    wanted: SubscriptionScope,
    *,
    space: str,
    name: str,
    tenant_id: str,
    app_id: str,
    certificate: CertificateReference,
    operation_id: str,
) -> None:
    """Make the integration or bring it up to date; `find_integration` tells what became of it.

    Raises:
        NotYet: no answer came; the next call looks before it tries again.
    """
    pem = await context.vault.pem(certificate)
    labels = {
        MARK_LABEL[0]: MARK_LABEL[1],
        THUMBPRINT_LABEL: certificate.thumbprint,
        OPERATION_LABEL: operation_id,
    }
    try:
        if current is None:
            await azure_integrations.create(
                context.mondoo,
                space,
                name=name,
                tenant_id=tenant_id,
                app_id=app_id,
                scope=wanted,
                pem=pem,
                labels=labels,
            )
        else:
            await azure_integrations.update(
                context.mondoo,
                current,
                scope=wanted,
                pem=pem,
                labels={**current.labels, **labels},
            )
    except OutcomeUnknown as error:
        raise NotYet(
            error.code,
            error.message,
            remediation=error.remediation,
            tenant_id=tenant_id,
            request_id=error.request_id,
        ) from error


async def _visible(azure: ResourceManager) -> list[Subscription]:
    try:
        return await subscriptions(azure)
    except Refused:
        return []  # a tenant without Azure, or one that never let us in


async def _ensure(
    azure: ResourceManager,
    scope: str,
    principal_id: str,
    access: Access,
    stale: Sequence[str],
    *,
    dry_run: bool,
) -> bool:
    """Whether Reader is there, or is now; False where Azure does not let us."""
    try:
        found = await held(azure, scope, principal_id, but_for=stale)
        (access.ours if found.ours else access.free).add(scope)
        if found.reader:
            access.held.append(scope)
            return True
        if not dry_run:
            await assign_reader(azure, scope, principal_id)
    except Refused:
        return False
    access.made.append(scope)
    access.free.discard(scope)
    access.ours.add(scope)
    return True


async def _remove(
    azure: ResourceManager,
    scopes: list[str],
    principal_id: str,
    access: Access,
    *,
    dry_run: bool,
) -> None:
    for scope in scopes:
        try:
            found = await held(azure, scope, principal_id)
            (access.ours if found.ours else access.free).add(scope)
            if not found.ours:
                continue
            if not dry_run:
                await remove_reader(azure, scope, principal_id)
        except Refused:
            continue  # where we may not look we have not assigned, or may no longer remove
        access.ours.discard(scope)
        access.free.add(scope)
        access.removed.append(scope)


def _unknown(subscription_id: str, principal_id: str, *, allowed: bool) -> Finding:
    command = by_hand(scope_of(subscription_id), principal_id)
    return Finding(
        code="subscription_unknown",
        severity=Severity.MEDIUM,
        subject=subscription_id,
        message=f"there is no subscription {subscription_id} in this tenant that our automation"
        " can see",
        remediation="Check the id. "
        + (f"If it is right, somebody who may must run: {command}" if allowed else ""),
        not_scanned=f"subscription {subscription_id}" if allowed else None,
    )


def _left(scope: str, name: str, principal_id: str) -> Finding:
    return Finding(
        code="subscription_reader_missing",
        severity=Severity.MEDIUM,
        subject=scope,
        message=f"our automation may not assign Reader on {name} ({scope})",
        remediation=f"Have an Owner or User Access Administrator run:"
        f" {by_hand(scope, principal_id)}",
        not_scanned=name,
    )
