"""Events of Key Vault: a certificate nears its end, or got a new version.

An event is a hint and nothing more: what is true is read from our own record and the vault, so a
repeated, late or forged one does no harm. An event about a version that we made ourselves, or about
an old one, is absorbed. What events miss, the daily look finds.

Several tenants may use one certificate of the administrator's, and certificates of one name may be
in several vaults.

Source: Azure Key Vault, "event schema for Event Grid" (Id, ObjectName, Version).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from shared.context import Context
from shared.errors import InvalidRequest
from shared.models import CertificateReference, TenantRecord
from shared.rotation.due import can_rotate

NEAR_EXPIRY = "Microsoft.KeyVault.CertificateNearExpiry"
NEW_VERSION = "Microsoft.KeyVault.CertificateNewVersionCreated"

PAGE = 500

_TENANT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


class CertificateEvent(Struct, frozen=True):
    """What we read of an event's data; the names are Key Vault's."""

    ObjectName: str
    Version: str
    Id: str | None = None


def read_event(data: Mapping[str, Any]) -> CertificateEvent:
    """The data of an event.

    Raises:
        InvalidRequest: ``event_invalid``.
    """
    try:
        return msgspec.convert(data, CertificateEvent)
    except msgspec.ValidationError as error:
        raise InvalidRequest(
            "event_invalid",
            f"the event is not one of a Key Vault certificate: {error}",
            remediation="Subscribe this function to certificate events of the vault only.",
        ) from error


async def tenants_to_rotate(context: Context, kind: str, event: CertificateEvent) -> list[str]:
    """The tenants whose certificate the event wants rotated."""
    return [
        record.tenant_id
        for record in await _records(context, event)
        if can_rotate(record) and _news(record, kind, event.Version)
    ]


def _news(record: TenantRecord, kind: str, version: str) -> bool:
    """Whether the event tells something that the record does not know."""
    current, rotation = record.certificate, record.rotation
    in_use = current is not None and current.version == version
    if kind == NEAR_EXPIRY:
        return in_use
    known: list[CertificateReference | None] = [current]
    if rotation is not None:
        known += [rotation.old, rotation.new]
    return kind == NEW_VERSION and version not in {each.version for each in known if each}


async def _records(context: Context, event: CertificateEvent) -> list[TenantRecord]:
    """The tenants with this certificate. Ours end in the tenant's id; others are looked for in all
    records."""
    match = _TENANT.search(event.ObjectName.lower())
    if match is not None:
        known = await context.records.get(match[0])
        if known is not None and _holds(known, event):
            return [known]
    found: list[TenantRecord] = []
    after: str | None = None
    while True:
        records, after = await context.records.page(after=after, limit=PAGE)
        found += [record for record in records if _holds(record, event)]
        if after is None:
            return found


def _holds(record: TenantRecord, event: CertificateEvent) -> bool:
    # Key Vault ignores case in names.
    held, name = record.certificate, event.ObjectName.lower()
    if held is None or held.name.lower() != name:
        return False
    return event.Id is None or event.Id.lower().startswith(f"{held.vault.lower()}/")
