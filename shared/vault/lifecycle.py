"""The later life of a certificate in Key Vault: switched off, deleted, purged.

Only what carries our mark is touched; callers look first (`Vault.read`), and everything here may be
repeated. A deletion is soft: the vault keeps the name for as long as it is set up to, and with
purge protection nobody can shorten that. A version that is switched off cannot be read until it is
switched on again, which is the gentlest way of taking a key out of use.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from shared.azure_failures import asking
from shared.errors import NotYet
from shared.models import MARK_LABEL, CertificateReference
from shared.vault.certificates import PATIENCE_SECONDS, Vault

PURGEABLE = "purgeable"


@dataclass(frozen=True)
class DeletedCertificate:
    """A soft-deleted certificate. ``purgeable``: the vault lets it be deleted for good before
    ``purged_at``, when it goes by itself."""

    name: str
    marked: bool
    purgeable: bool
    purged_at: datetime | None


async def read_deleted(vault: Vault, name: str) -> DeletedCertificate | None:
    """The soft-deleted certificate of that name; None when there is none. Raises as `Vault.read`"""
    from azure.core.exceptions import ResourceNotFoundError

    with asking(vault.certificates_service, f"look for a deleted certificate {name}"):
        try:
            deleted = await vault.certificates.get_deleted_certificate(name)
        except ResourceNotFoundError:
            return None
    properties = deleted.properties
    tags = (properties.tags if properties else None) or {}
    level = (properties.recovery_level if properties else None) or ""
    return DeletedCertificate(
        name=name,
        marked=tags.get(MARK_LABEL[0]) == MARK_LABEL[1],
        purgeable=PURGEABLE in level.lower(),
        purged_at=deleted.scheduled_purge_date,
    )


async def delete(vault: Vault, name: str) -> None:
    """Delete a certificate with all its versions, softly. Nothing happens when there is none.

    Raises:
        NotYet: ``vault_certificate_pending`` while the vault is still at it, and as `Vault.read`.
    """
    from azure.core.exceptions import ResourceNotFoundError

    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            with asking(vault.certificates_service, f"delete certificate {name}"):
                try:
                    await vault.certificates.delete_certificate(name)
                except ResourceNotFoundError:
                    return
    except TimeoutError as error:
        raise NotYet(
            "vault_certificate_pending",
            f"certificate {name} is still being deleted",
            remediation="Send the request again; see the certificate in the Azure portal.",
        ) from error


async def purge(vault: Vault, name: str) -> None:
    """Delete a soft-deleted certificate for good. Nothing happens when there is none."""
    from azure.core.exceptions import ResourceNotFoundError

    with asking(vault.certificates_service, f"purge certificate {name}"):
        try:
            await vault.certificates.purge_deleted_certificate(name)
        except ResourceNotFoundError:
            return


async def disable(vault: Vault, reference: CertificateReference) -> bool:
    """Switch one version off; False when the vault has no such version (any more).

    Raises as `Vault.read`.
    """
    from azure.core.exceptions import ResourceNotFoundError

    name, version = reference.name, reference.version
    with asking(vault.certificates_service, f"disable version {version} of certificate {name}"):
        try:
            await vault.certificates.update_certificate_properties(name, version, enabled=False)
        except ResourceNotFoundError:
            return False
    return True
