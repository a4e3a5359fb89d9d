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
from enum import Enum, auto
from typing import TYPE_CHECKING

from shared.azure_transport import open_session
from shared.certificates import read_bundle
from shared.context import Context
from shared.coverage.statement import credential_refused
from shared.entra.identity import OurCredential, authority_options, certificate_credential
from shared.errors import NotYet, OutcomeUnknown, Refused
from shared.models import MARK_LABEL, CertificateReference, Finding, Severity, SubscriptionScope
from shared.mondoo import azure_integrations
from shared.mondoo.azure_integrations import AzureIntegration
from shared.mondoo.integrations import THUMBPRINT_LABEL
from shared.outcomes import look_again
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

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

OPERATION_LABEL = "onboarding-operation"


@dataclass
class Access:
    """What became of Reader: scopes by what was done, and what is left to do.

    Our own assignment is there, or would be, on ``ours``, and is not on ``free``; ``closed`` are
    those to be scanned where we may not look. ``visible`` are the subscriptions that we see;
    ``everything``: Reader is on the root management group.
    """

    held: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    ours: set[str] = field(default_factory=set)
    free: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    visible: list[Subscription] = field(default_factory=list)
    everything: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is no subscription in the tenant, as far as the root group shows."""
        return self.everything and not self.visible

    @property
    def missing(self) -> list[Finding]:
        """Findings on what is certainly missing, since we could look."""
        return [
            each
            for each in self.findings
            if each.code == "subscription_reader_missing" and each.subject not in self.closed
        ]

    @property
    def readable(self) -> list[Subscription]:
        """Subscriptions that we see and that the application may read."""
        scopes = {*self.held, *self.made}
        return [each for each in self.visible if self.everything or each.scope in scopes]


class Mode(Enum):
    """What is done about Reader that is missing or too much."""

    GRANT = auto()
    REHEARSE = auto()  # nothing, and it is told as done
    LOOK = auto()  # nothing, and it is told as left to do


async def grant_access(
    azure: ResourceManager, wanted: SubscriptionScope, principal_id: str, mode: Mode = Mode.GRANT
) -> Access:
    """Reader on what shall be scanned, and on nothing else of our making.

    ``principal_id`` is the object id of the application's service principal.

    Raises:
        NotYet: Azure is busy, or does not know the principal yet.
    """
    access = Access()
    seen = access.visible = await _visible(azure)
    known = {each.id for each in seen}
    root = root_scope(azure.tenant_id)
    for missing in sorted({*wanted.allow, *wanted.deny} - known):
        access.findings.append(_unknown(missing, principal_id, allowed=missing in wanted.allow))
    if wanted.allow:
        targets = [scope_of(each) for each in wanted.allow if each in known]
    else:
        targets = [each.scope for each in seen if each.id not in wanted.deny]
    everything = not wanted.allow and not wanted.deny
    if everything and await _ensure(azure, root, principal_id, access, (), mode):
        targets, access.everything = [root], True
    names = {root: "the root management group"} | {each.scope: each.name for each in seen}
    # First away, then new: what is inherited from a scope that goes does not count.
    stale = [scope for scope in names if scope not in targets]
    await _remove(azure, stale, principal_id, access, mode)
    for scope in targets:
        if scope != root and not await _ensure(azure, scope, principal_id, access, stale, mode):
            access.findings.append(_left(scope, names[scope], principal_id))
    if not targets and not access.findings:
        access.findings.append(_left(root, names[root], principal_id))
    return access


async def await_effect(
    context: Context,
    access: Access,
    *,
    tenant_id: str,
    app_id: str,
    certificate: CertificateReference,
) -> None:
    """See whether Azure honours what was assigned, signed in as the application.

    Raises:
        NotYet: ``azure_reader_not_effective``, and as the sign-in.
        Refused: the sign-in is refused for good.
    """
    if not access.readable:
        return
    stored, proven = await context.vault.pem(certificate), certificate.thumbprint
    pem = read_bundle(stored, now=context.now(), proven=proven).pem()

    async with open_session(context.settings) as session:
        options = authority_options(context.settings, session)

        async def build() -> AsyncTokenCredential:
            return certificate_credential(tenant_id, app_id, pem, options)

        what = f"application {app_id}, signing in to Azure Resource Manager"
        credential = OurCredential(build, tenant_id=tenant_id, what=what)
        azure = ResourceManager(context.settings, credential, tenant_id)
        try:
            seen = {each.id for each in await subscriptions(azure)}
        finally:
            await azure.aclose()
            await credential.close()
    unseen = [each for each in access.readable if each.id not in seen]
    if unseen:
        raise NotYet(
            "azure_reader_not_effective",
            "Reader is assigned, and the application does not see yet:"
            f" {', '.join(each.name or each.id for each in unseen)}",
            remediation="Azure takes some minutes for a role, up to half an hour on a management"
            " group. Send the request again later.",
            tenant_id=tenant_id,
        )


async def find_integrations(
    context: Context, space: str, *, tenant_id: str, app_id: str
) -> list[AzureIntegration]:
    """The Azure integrations of the tenant and application, those with our mark first; usually
    none or one."""
    found = await azure_integrations.find(context.mondoo, space, tenant_id=tenant_id, app_id=app_id)
    return sorted(found, key=lambda each: not marked(each))


async def find_integration(
    context: Context, space: str, *, tenant_id: str, app_id: str
) -> AzureIntegration | None:
    """The one of several that is used here."""
    found = await find_integrations(context, space, tenant_id=tenant_id, app_id=app_id)
    return found[0] if found else None


def is_right(integration: AzureIntegration, wanted: SubscriptionScope, thumbprint: str) -> bool:
    """Whether it scans what it should, with the certificate that is in use."""
    labelled = integration.labels.get(THUMBPRINT_LABEL) == thumbprint
    return (
        marked(integration)
        and labelled
        and integration.covers(wanted)
        and not credential_refused(integration)
    )


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
    # Key first, whatever order the vault keeps them in.
    stored, proven = await context.vault.pem(certificate), certificate.thumbprint
    pem = read_bundle(stored, now=context.now(), proven=proven).pem()
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
        raise look_again(error) from error


async def renew_certificate(
    context: Context,
    *,
    space: str,
    tenant_id: str,
    app_id: str,
    certificate: CertificateReference,
    operation_id: str,
) -> AzureIntegration | None:
    """Give an Azure integration of ours this certificate, and nothing else; read it back.

    None where there is none of ours. May be repeated.

    Raises:
        NotYet: no answer came, or it cannot be read back as written.
    """
    current = await find_integration(context, space, tenant_id=tenant_id, app_id=app_id)
    if current is None or not marked(current):
        return None
    wanted = SubscriptionScope(allow=list(current.allowed), deny=list(current.denied))
    if is_right(current, wanted, certificate.thumbprint):
        return current
    await write_integration(
        context,
        current,
        wanted,
        space=space,
        name=current.name,
        tenant_id=tenant_id,
        app_id=app_id,
        certificate=certificate,
        operation_id=operation_id,
    )
    written = await find_integration(context, space, tenant_id=tenant_id, app_id=app_id)
    if written is None or not is_right(written, wanted, certificate.thumbprint):
        raise not_readable(tenant_id)
    return written


def not_readable(tenant_id: str) -> NotYet:
    """The integration was written, and Mondoo does not show it as written."""
    return NotYet(
        "integration_not_readable",
        "the Azure integration was written but cannot be read back as written",
        remediation="Send the request again; look at it in the Mondoo Console.",
        tenant_id=tenant_id,
    )


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
    mode: Mode,
) -> bool:
    """Whether Reader is there, or is now; False where Azure does not let us."""
    try:
        found = await held(azure, scope, principal_id, but_for=stale)
        (access.ours if found.ours else access.free).add(scope)
        if found.reader:
            access.held.append(scope)
            return True
        if mode is Mode.LOOK:
            return False
        if mode is Mode.GRANT:
            await assign_reader(azure, scope, principal_id)
    except Refused:
        access.closed.add(scope)
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
    mode: Mode,
) -> None:
    for scope in scopes:
        try:
            found = await held(azure, scope, principal_id)
            (access.ours if found.ours else access.free).add(scope)
            if not found.ours:
                continue
            if mode is Mode.LOOK:
                continue
            if mode is Mode.GRANT:
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
