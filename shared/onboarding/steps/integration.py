"""Integration: Mondoo's side of the connection, one for each tenant and application.

Mondoo does not refuse a second integration of one tenant and accepts any text as a certificate, so
we look before we make one, check the certificate beforehand (it has signed in by now), and label
what we make with our mark and the certificate's thumbprint. The certificate is write-only at
Mondoo; the label tells which one was given, and the newest scan whether it could be used. A paused
integration stays paused.

Keyless comes before the application trusts it (`shared.onboarding.steps.federated_credential`),
since only the integration tells what is to be trusted; a scan in between fails. What is lost with
it is said here, before and after: SharePoint Online takes nothing but a certificate from the
scanner.

Where the request wants a space for the tenant, it is made here, just before it is first needed:
nothing is left behind in Mondoo by an onboarding that did not get as far as signing in.

The key leaves the vault here, for the length of one request to Mondoo.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.certificates import read_bundle
from shared.context import Context
from shared.coverage.statement import credential_refused
from shared.errors import NotYet, OutcomeUnknown, Refused
from shared.models import (
    MARK_LABEL,
    Finding,
    OnboardingOrder,
    Outcome,
    Severity,
    StepCall,
    StepResult,
)
from shared.mondoo import integrations
from shared.mondoo.integrations import THUMBPRINT_LABEL, Integration
from shared.mondoo.tenant_spaces import find_tenant_space, make_tenant_space
from shared.outcomes import ended, look_again

OPERATION_LABEL = "onboarding-operation"

_LOST = Finding(
    code="sharepoint_needs_certificate",
    severity=Severity.MEDIUM,
    subject="SharePoint Online",
    message="without a certificate Mondoo cannot scan SharePoint Online",
    remediation='Nothing, if that is wanted. Else send "authentication": "certificate".',
    not_scanned="SharePoint Online",
)


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Find, make or correct the integration, then read it back."""
    order, facts = call.order, call.facts
    there = order.new_space is None or await _has_space(context, call, dry_run=dry_run)
    lost = [_LOST] if order.keyless else []
    if dry_run and (facts.app_id is None or not there):
        what = "an integration" if there else f"{order.space} and an integration in it"
        where = f" in {order.space}" if there else ""
        return ended(Outcome.PLANNED, _told(f"{what} would be made{where}", lost), findings=lost)
    assert facts.app_id is not None
    found = await integrations.find(
        context.mondoo, order.space, tenant_id=order.tenant_id, app_id=facts.app_id
    )
    findings = duplicates(found) + lost
    certificate = facts.certificate
    thumbprint = certificate.thumbprint if certificate is not None else None
    current = _chosen(found)
    if current is not None and _is_right(current, order, thumbprint):
        held = "signs in without a key" if order.keyless else "has the certificate"
        return ended(
            Outcome.PASSED,
            _told(f"integration {current.mrn} {held}", lost),
            findings=findings,
            facts={"integration": current.mrn},
        )
    given = "made keyless" if order.keyless else "given the certificate"
    if dry_run:
        deed = "made" if current is None else f"{given} ({current.mrn})"
        return ended(
            Outcome.PLANNED,
            _told(f"an integration would be {deed}", lost),
            findings=findings,
            facts={} if current is None else {"integration": current.mrn},
        )
    pem = None
    labels = {MARK_LABEL[0]: MARK_LABEL[1], OPERATION_LABEL: order.operation_id}
    if not order.keyless:
        assert certificate is not None  # an earlier step passed
        stored, proven = await context.vault.pem(certificate), certificate.thumbprint
        pem = read_bundle(stored, now=context.now(), proven=proven).pem()
        labels[THUMBPRINT_LABEL] = certificate.thumbprint
    name = f"Microsoft 365 {facts.display_name or facts.initial_domain or order.tenant_id}"[:250]
    try:
        if current is None:
            mrn = await integrations.create(
                context.mondoo,
                order.space,
                name=name,
                tenant_id=order.tenant_id,
                app_id=facts.app_id,
                pem=pem,
                labels=labels,
            )
        else:
            mrn = current.mrn
            await integrations.update(
                context.mondoo,
                current,
                name=current.name,
                pem=pem,
                labels={**_without_thumbprint(current), **labels},
            )
    except OutcomeUnknown as error:
        raise look_again(error) from error
    written = await integrations.read(context.mondoo, mrn)
    if not _is_right(written, order, thumbprint):
        raise NotYet(
            "integration_not_readable",
            f"integration {mrn} was written but cannot be read back as written",
            remediation="Send the request again; look at the integration in the Mondoo Console.",
            tenant_id=order.tenant_id,
        )
    return ended(
        Outcome.CHANGED,
        _told(f"integration {mrn} was {'made' if current is None else given}", lost),
        findings=findings,
        facts={"integration": mrn},
    )


def _told(message: str, lost: list[Finding]) -> str:
    return "; ".join((message, *(finding.message for finding in lost)))


async def _has_space(context: Context, call: StepCall, *, dry_run: bool) -> bool:
    """Whether the tenant's own space is there, which is made here unless this is a dry run."""
    order = call.order
    assert order.new_space is not None
    found = await find_tenant_space(context.mondoo, order.new_space.organization, order.tenant_id)
    if found is None and dry_run:
        return False
    if found is None:
        try:
            await make_tenant_space(
                context.mondoo, order.new_space, order.tenant_id, call.facts.display_name
            )
        except OutcomeUnknown as error:
            raise look_again(error) from error
    elif found != order.space:
        raise Refused(
            "mondoo_space_changed",
            f"the tenant's space was {order.space} when the operation began, and is {found} now",
            remediation="Send the request again.",
            tenant_id=order.tenant_id,
        )
    return True


def _chosen(found: list[Integration]) -> Integration | None:
    """Of several, one that carries our mark, the oldest first."""
    ordered = sorted(found, key=lambda one: (not _marked(one), one.created is None, one.created))
    return ordered[0] if ordered else None


def _marked(integration: Integration) -> bool:
    return integration.labels.get(MARK_LABEL[0]) == MARK_LABEL[1]


def _without_thumbprint(integration: Integration) -> dict[str, str]:
    return {key: value for key, value in integration.labels.items() if key != THUMBPRINT_LABEL}


def _is_right(integration: Integration, order: OnboardingOrder, thumbprint: str | None) -> bool:
    """Whether it is ours and signs in as it should; by label, which holds no thumbprint where it is
    keyless."""
    return (
        _marked(integration)
        and integration.keyless is order.keyless
        and integration.labels.get(THUMBPRINT_LABEL) == thumbprint
        # Whether a keyless one is let in is the next step's business.
        and (order.keyless or (thumbprint is not None and not credential_refused(integration)))
    )


def duplicates(found: Sequence[Integration]) -> list[Finding]:
    """A finding where there are several of one kind for one tenant and application."""
    if len(found) < 2:
        return []
    return [
        Finding(
            code="integration_duplicate",
            severity=Severity.MEDIUM,
            subject=", ".join(sorted(one.mrn for one in found)),
            message=f"{len(found)} integrations scan this tenant with the same application",
            remediation="Delete all but one in the Mondoo Console.",
        )
    ]
