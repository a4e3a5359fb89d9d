"""The administrator's own certificate, which is in Key Vault already: in our vault or another one.

It is looked at and used as it is: every check of `shared.certificates` must pass, and the tenant's
policy must accept its life. It carries no mark of ours, so it is neither renewed nor removed from
here; a new version of it is taken over by a rotation. Preflight reads it once as well, so that a
vault that does not let us in is told together with everything else that is missing.
"""

from __future__ import annotations

from shared.certificates import read_bundle
from shared.context import Context
from shared.errors import Refused
from shared.models import CertificateReference, Finding, OnboardingOrder
from shared.outcomes import finding_of
from shared.vault.certificates import StoredCertificate


async def own_certificate(context: Context, order: OnboardingOrder) -> CertificateReference:
    """The current version of the order's own certificate, if it may be used.

    Raises:
        Refused: ``vault_certificate_missing``, ``vault_disabled``, and as `Vault.read`.
        Unusable: as `read_bundle`.
    """
    stored = await _read(context, order)
    if not stored.enabled:
        raise Refused(
            "vault_disabled",
            f"the newest version of certificate {order.certificate} is disabled in the vault",
            remediation="Enable it, or make a new version.",
            tenant_id=order.tenant_id,
        )
    read_bundle(await context.vault.pem(stored.reference), now=context.now())
    return stored.reference


async def look(context: Context, order: OnboardingOrder) -> list[Finding]:
    """What keeps us from reading the order's own certificate and its key; nothing without one.

    Whether it may be used is for the step ``certificate``: a rotation that is half done goes on
    with the version it has, whatever was put beside it.

    Raises:
        NotYet: as `Vault.read`.
    """
    if order.certificate is None:
        return []
    vault = context.vault.at(order.certificate_vault)
    try:
        stored = await _read(context, order)
        await context.vault.pem(stored.reference)
    except Refused as error:
        if error.code == "vault_disabled":
            return []
        return [finding_of(error, f"certificate {order.certificate} in {vault.url}")]
    return []


async def _read(context: Context, order: OnboardingOrder) -> StoredCertificate:
    name, vault = order.certificate or "", context.vault.at(order.certificate_vault)
    stored = await vault.read(name)
    if stored is None:
        raise Refused(
            "vault_certificate_missing",
            f"the vault {vault.url} has no certificate {name}",
            remediation='Correct "certificate", or put the certificate into the vault.',
            tenant_id=order.tenant_id,
        )
    return stored


def refuse_too_long(reference: CertificateReference, tenant_id: str) -> Refused:
    """The tenant's policy does not accept the life of an own certificate."""
    days = (reference.not_after - reference.not_before).days
    return Refused(
        "certificate_too_long_for_policy",
        f"certificate {reference.name} lives {days} days, longer than the policy of tenant"
        f" {tenant_id} allows",
        remediation="Make a version with a shorter life, or have the policy changed.",
        tenant_id=tenant_id,
    )
