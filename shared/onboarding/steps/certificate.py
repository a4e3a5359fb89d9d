"""Certificate: a key pair for the tenant, made and kept in Key Vault.

A certificate in the vault that passes every check of `shared.certificates` and that the tenant
accepts is kept; otherwise the vault makes a new version. It lives no longer than the settings and
the tenant's own policy allow. What is passed on is a reference; the key stays where it is.
"""

from __future__ import annotations

from datetime import timedelta

from shared.certificates import read_bundle
from shared.context import Context
from shared.errors import OutcomeUnknown, Refused, Unusable
from shared.models import CertificateReference, Facts, Outcome, StepCall, StepResult
from shared.onboarding.steps.own_certificate import own_certificate, refuse_too_long
from shared.outcomes import ended, look_again
from shared.vault.certificates import certificate_name


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Find or make the certificate.

    Raises:
        Refused: ``vault_name_taken`` when the vault holds one of that name without our mark.
    """
    order, facts = call.order, call.facts
    if order.certificate is not None:
        own = await own_certificate(context, order)
        if too_long(own, facts):
            raise refuse_too_long(own, order.tenant_id)
        return ended(Outcome.PASSED, f"{_described(own)}, their own", facts={"certificate": own})
    name = certificate_name(order.application_name, order.tenant_id)
    stored = await context.vault.read(name)
    reason = "there is none yet"
    if stored is not None:
        if not stored.marked:
            raise Refused(
                "vault_name_taken",
                f"the vault holds a certificate {name} that does not carry our mark",
                remediation="Rename or remove it, or use another application name.",
                tenant_id=order.tenant_id,
            )
        if not stored.enabled:
            reason = "the present version is disabled"
        else:
            try:
                await _check(context, stored.reference)
            except Unusable as error:
                reason = f"the present version cannot be used: {error.message}"
            else:
                if not too_long(stored.reference, facts):
                    return ended(
                        Outcome.PASSED,
                        _described(stored.reference),
                        facts={"certificate": stored.reference},
                    )
                reason = "the tenant's policy does not accept the life of the present version"
    days = context.settings.certificate_validity_days
    if facts.longest_certificate_days is not None:
        days = min(days, facts.longest_certificate_days)
    if dry_run:
        return ended(
            Outcome.PLANNED, f"a certificate for at most {days} days would be made ({reason})"
        )
    try:
        reference = await context.vault.issue(name, days=days, tenant_id=order.tenant_id)
    except OutcomeUnknown as error:
        raise look_again(error) from error
    await _check(context, reference)
    return ended(
        Outcome.CHANGED,
        f"{_described(reference)}; made because {reason}",
        facts={"certificate": reference},
    )


def too_long(reference: CertificateReference, facts: Facts) -> bool:
    """Whether the tenant's policy would refuse it: a policy looks at what is new to the
    application, and `Facts.longest_certificate_days` is a day less than it says."""
    longest, observed = facts.longest_certificate_days, facts.observed_application
    if longest is None or (observed is not None and reference.thumbprint in observed.thumbprints):
        return False
    return reference.not_after - reference.not_before > timedelta(days=longest + 1)


async def _check(context: Context, reference: CertificateReference) -> None:
    read_bundle(await context.vault.pem(reference), now=context.now())


def _described(reference: CertificateReference) -> str:
    return (
        f"certificate {reference.name} (thumbprint {reference.thumbprint},"
        f" valid until {reference.not_after:%Y-%m-%d})"
    )
