"""The administrator's own certificate, which is in Key Vault already.

It is looked at and used as it is: every check of `shared.certificates` must pass, and the tenant's
policy must accept its life. It carries no mark of ours, so it is neither renewed nor removed from
here; a new version of it is taken over by a rotation.
"""

from __future__ import annotations

from shared.certificates import read_bundle
from shared.context import Context
from shared.errors import Refused
from shared.models import CertificateReference, StepCall


async def own_certificate(context: Context, call: StepCall, name: str) -> CertificateReference:
    """The current version of certificate ``name``, if it may be used.

    Raises:
        Refused: ``vault_certificate_missing``, ``vault_disabled``.
        Unusable: as `read_bundle`.
    """
    tenant_id = call.order.tenant_id
    stored = await context.vault.read(name)
    if stored is None:
        raise Refused(
            "vault_certificate_missing",
            f"the vault has no certificate {name}",
            remediation='Correct "certificate", or put the certificate into the vault.',
            tenant_id=tenant_id,
        )
    if not stored.enabled:
        raise Refused(
            "vault_disabled",
            f"the newest version of certificate {name} is disabled in the vault",
            remediation="Enable it, or make a new version.",
            tenant_id=tenant_id,
        )
    read_bundle(await context.vault.pem(stored.reference), now=context.now())
    return stored.reference


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
