"""Subscriptions: Azure is scanned too, where the request says so.

Runs only for requests with ``subscriptions``. Mondoo's Azure integration is made or brought up to
date with the allow or deny list, and Reader is assigned where we may. What is left to do for
somebody with more rights is a finding with the command, and the step a warning; whether Mondoo sees
what it should is told by the step ``azure-scan``. Where Reader is ours is written down, so that an
offboarding knows what to look for even where it may not look any more.
"""

from __future__ import annotations

from shared.context import Context
from shared.models import Outcome, StepCall, StepResult
from shared.onboarding.steps.integration import duplicates
from shared.outcomes import ended
from shared.subscriptions import (
    Mode,
    find_integration,
    find_integrations,
    grant_access,
    is_right,
    not_readable,
    write_integration,
)


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Grant access, then make or correct the integration, and read it back."""
    order, facts = call.order, call.facts
    wanted = order.subscriptions
    assert wanted is not None  # else the step is not in the operation
    if dry_run and (facts.app_id is None or facts.service_principal_id is None):
        return ended(Outcome.PLANNED, "an Azure integration would be made, with Reader in Azure")
    assert facts.app_id is not None
    assert facts.service_principal_id is not None
    access = await grant_access(
        context.azure(order.tenant_id),
        wanted,
        facts.service_principal_id,
        Mode.REHEARSE if dry_run else Mode.GRANT,
    )
    found = await find_integrations(
        context, order.space, tenant_id=order.tenant_id, app_id=facts.app_id
    )
    current = found[0] if found else None
    access.findings += duplicates(found)
    certificate = facts.certificate
    right = (
        current is not None
        and certificate is not None
        and is_right(current, wanted, certificate.thumbprint)
    )
    scopes = "; ".join(
        f"Reader {word} on {', '.join(listed)}"
        for word, listed in (
            ("held", access.held),
            ("to be assigned" if dry_run else "assigned", access.made),
            ("to be removed" if dry_run else "removed", access.removed),
        )
        if listed
    )
    said = f" ({scopes})" if scopes else ""
    unchanged = right and not access.made and not access.removed
    if dry_run and not unchanged:
        return ended(
            Outcome.PLANNED,
            f"the Azure integration would be {'kept' if right else 'written'}{said}",
            findings=access.findings,
        )
    if not right:
        assert certificate is not None
        await write_integration(
            context,
            current,
            wanted,
            space=order.space,
            name=f"Azure {facts.display_name or facts.initial_domain or order.tenant_id}",
            tenant_id=order.tenant_id,
            app_id=facts.app_id,
            certificate=certificate,
            operation_id=order.operation_id,
        )
        current = await find_integration(
            context, order.space, tenant_id=order.tenant_id, app_id=facts.app_id
        )
        if current is None or not is_right(current, wanted, certificate.thumbprint):
            raise not_readable(order.tenant_id)
    assert current is not None
    good = Outcome.PASSED if unchanged else Outcome.CHANGED
    told = "; ".join(finding.message for finding in access.findings)
    known = await context.records.get(order.tenant_id)
    before = set(known.reader_scopes or ()) if known is not None else set()
    return ended(
        Outcome.WARNING if access.findings else good,
        f"Azure integration {current.mrn} is right{said}" + (f"; {told}" if told else ""),
        findings=access.findings,
        facts={
            "azure_integration": current.mrn,
            "reader_scopes": sorted(access.ours | (before - access.free)),
        },
    )
