"""Integration: Mondoo's side of the connection, one for each tenant and application.

Mondoo does not refuse a second integration of one tenant and accepts any text as a certificate, so
we look before we make one, check the certificate beforehand (it has signed in by now), and label
what we make with our mark and the certificate's thumbprint. The certificate is write-only at
Mondoo; the label tells which one was given, and the newest scan whether it could be used. One that
signs in without a key is given the certificate, since SharePoint Online takes nothing else from the
scanner. A paused integration stays paused.

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
from shared.models import MARK_LABEL, Finding, Outcome, Severity, StepCall, StepResult
from shared.mondoo import integrations
from shared.mondoo.integrations import THUMBPRINT_LABEL, Integration
from shared.mondoo.tenant_spaces import find_tenant_space, make_tenant_space
from shared.outcomes import ended, look_again

OPERATION_LABEL = "onboarding-operation"


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Find, make or correct the integration, then read it back."""
    order, facts = call.order, call.facts
    there = order.new_space is None or await _has_space(context, call, dry_run=dry_run)
    if dry_run and not there:
        return ended(Outcome.PLANNED, f"{order.space} and an integration in it would be made")
    if dry_run and facts.app_id is None:
        return ended(Outcome.PLANNED, f"an integration would be made in {order.space}")
    assert facts.app_id is not None
    found = await integrations.find(
        context.mondoo, order.space, tenant_id=order.tenant_id, app_id=facts.app_id
    )
    findings = duplicates(found)
    certificate = facts.certificate
    current = _chosen(found)
    if (
        current is not None
        and certificate is not None
        and _is_right(current, certificate.thumbprint)
    ):
        return ended(
            Outcome.PASSED,
            f"integration {current.mrn} has the certificate",
            findings=findings,
            facts={"integration": current.mrn},
        )
    if dry_run:
        deed = "made" if current is None else f"given the certificate ({current.mrn})"
        return ended(
            Outcome.PLANNED,
            f"an integration would be {deed}",
            findings=findings,
            facts={} if current is None else {"integration": current.mrn},
        )
    assert certificate is not None  # an earlier step passed
    pem = read_bundle(await context.vault.pem(certificate), now=context.now()).pem()
    labels = {
        MARK_LABEL[0]: MARK_LABEL[1],
        THUMBPRINT_LABEL: certificate.thumbprint,
        OPERATION_LABEL: order.operation_id,
    }
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
                labels={**current.labels, **labels},
            )
    except OutcomeUnknown as error:
        raise look_again(error) from error
    written = await integrations.read(context.mondoo, mrn)
    if not _is_right(written, certificate.thumbprint):
        raise NotYet(
            "integration_not_readable",
            f"integration {mrn} was written but cannot be read back as written",
            remediation="Send the request again; look at the integration in the Mondoo Console.",
            tenant_id=order.tenant_id,
        )
    return ended(
        Outcome.CHANGED,
        f"integration {mrn} was {'made' if current is None else 'given the certificate'}",
        findings=findings,
        facts={"integration": mrn},
    )


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


def _is_right(integration: Integration, thumbprint: str) -> bool:
    labelled = integration.labels.get(THUMBPRINT_LABEL) == thumbprint
    return (
        _marked(integration)
        and labelled
        and not integration.keyless
        and not credential_refused(integration)
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
