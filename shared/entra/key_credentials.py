"""The key credentials of an application: keeping everybody's, adding ours. No I/O.

PATCH replaces the whole array, so every entry that shall stay is sent back: exactly as it was read
(dates as strings, since a reformatted one counts as a change, azure-powershell#6855) and without
its key, which Graph then keeps (microsoft-graph-docs#3579). New entries are sent as base64 of the
DER certificate and without dates, which Graph reads from the certificate; dates of our own were
refused for differing by seconds (azure-cli#11146, terraform-provider-azuread#1582).

Only expired entries of ours are ever dropped. An entry is ours by its display name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

KEY_NAME_PREFIX = "mondoo-onboarding "
LONGEST_KEY_NAME = 90
"""Characters; Graph cuts longer display names, and then could cut the prefix's meaning off."""

KeyCredential = dict[str, Any]
"""An entry as Graph's JSON has it."""


def key_name(text: str) -> str:
    """A display name that marks an entry as ours."""
    name = text if text.startswith(KEY_NAME_PREFIX) else KEY_NAME_PREFIX + text
    return name[:LONGEST_KEY_NAME]


def is_ours(entry: Mapping[str, Any]) -> bool:
    """Whether we added this entry."""
    return str(entry.get("displayName") or "").startswith(KEY_NAME_PREFIX)


def has_expired(entry: Mapping[str, Any], now: datetime) -> bool:
    """Whether the entry's end has passed; an end that cannot be read has not."""
    # Fractions have up to seven digits, one more than Python reads; whole seconds suffice here.
    match = re.match(
        r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)?$",
        str(entry.get("endDateTime") or ""),
    )
    if match is None:
        return False
    zone = "+00:00" if match[2] in (None, "Z") else match[2]
    return datetime.fromisoformat(match[1] + zone).astimezone(UTC) <= now


def thumbprint_of(der: bytes) -> str:
    """SHA-1 of a certificate, upper-case hex, as the portal shows it."""
    return hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()


def thumbprint(entry: Mapping[str, Any]) -> str | None:
    """The thumbprint of an entry, from its ``key``; None where the answer held no key.

    ``customKeyIdentifier`` is not used: it may be hex, base64 or any name (azure-docs#32991). Some
    tools store base64 of the PEM text instead of DER.
    """
    key = entry.get("key")
    if not isinstance(key, str) or not key:
        return None
    try:
        content = base64.b64decode(key, validate=True)
        if content.lstrip().startswith(b"-----BEGIN CERTIFICATE-----"):
            body = content.split(b"-----BEGIN CERTIFICATE-----", 1)[1]
            content = base64.b64decode(b"".join(body.split(b"-----END", 1)[0].split()))
    except binascii.Error:
        return None
    return thumbprint_of(content)


def thumbprints(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """The thumbprints that can be told, in order."""
    return [found for entry in entries if (found := thumbprint(entry)) is not None]


def kept(entry: Mapping[str, Any]) -> KeyCredential:
    """An entry as it is sent back to be kept."""
    return {**entry, "key": None}


def key_credentials_with(
    existing: Sequence[Mapping[str, Any]], *, certificate_der: bytes, name: str, now: datetime
) -> list[KeyCredential] | None:
    """The whole array with this certificate in it and without expired entries of ours.

    None when nothing has to be sent: the certificate is there and nothing has expired.
    """
    staying = [entry for entry in existing if not (is_ours(entry) and has_expired(entry, now))]
    known = thumbprint_of(certificate_der) in thumbprints(staying)
    if known and len(staying) == len(existing):
        return None
    entries = [kept(entry) for entry in staying]
    return entries if known else [*entries, new_entry(certificate_der, name)]


def new_entry(certificate_der: bytes, name: str) -> KeyCredential:
    """An entry for a certificate that is not there yet."""
    return {
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
        "displayName": key_name(name),
        "key": base64.b64encode(certificate_der).decode(),
    }


def lost_entries(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], now: datetime
) -> list[str]:
    """Key ids that were there and should have stayed, and are gone."""
    present = {str(entry.get("keyId")).lower() for entry in after}
    return [
        str(entry.get("keyId"))
        for entry in before
        if str(entry.get("keyId")).lower() not in present
        and not (is_ours(entry) and has_expired(entry, now))
    ]


def expired_strangers(entries: Sequence[Mapping[str, Any]], now: datetime) -> list[str]:
    """Names of expired entries that are not ours, with their key ids."""
    return [
        f"{entry.get('displayName') or 'without a name'} ({entry.get('keyId')})"
        for entry in entries
        if has_expired(entry, now) and not is_ours(entry)
    ]
