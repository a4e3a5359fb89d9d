"""The rules of `keyCredentials`: a PATCH replaces the whole array.

An entry with a known `keyId` keeps the stored certificate if it comes without key or with the very
same one; anything that differs, dates included, is refused. Dates are compared as text, because a
client has to echo them as it read them. Dates of a new entry are read from its certificate when
left out, and may not reach beyond it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from local.simulators.assertions import parse_instant
from local.simulators.graph.app_management import check_new_key
from local.simulators.graph.calls import GraphCall
from local.simulators.graph.errors import (
    GraphError,
    bad_request,
    invalid_property,
    invalid_value,
    schema_mismatch,
)
from local.simulators.objects import Application, KeyCredential
from local.simulators.tenant import new_id
from local.simulators.world import is_guid

_FIELDS = frozenset(
    {
        "customKeyIdentifier",
        "displayName",
        "endDateTime",
        "key",
        "keyId",
        "startDateTime",
        "type",
        "usage",
    }
)
_TYPE = "AsymmetricX509Cert"
_USAGE = "Verify"


def replaced(
    call: GraphCall, app: Application, entries: list[dict[str, Any]]
) -> list[KeyCredential]:
    """What the application's key credentials would be; the application is not touched."""
    stored = {key.key_id: key for key in app.key_credentials}
    result: list[KeyCredential] = []
    for entry in entries:
        _check_shape(entry)
        key_id = entry.get("keyId")
        if key_id is not None:
            key_id = key_id.lower()
        if key_id in {key.key_id for key in result}:
            raise invalid_value("keyCredentials", "Application")
        kept = stored.get(key_id) if key_id is not None else None
        result.append(
            _kept(call, kept, entry)
            if kept is not None
            else _new(call, app, key_id or new_id(), entry)
        )
    return result


def _check_shape(entry: dict[str, Any]) -> None:
    for name, value in entry.items():
        if name.startswith("@odata."):
            continue
        if name not in _FIELDS:
            raise invalid_property(name)
        if value is not None and not isinstance(value, str):
            raise schema_mismatch("keyCredentials")
    key_id = entry.get("keyId")
    if key_id is not None and not is_guid(key_id):
        raise schema_mismatch("keyCredentials")
    for name in ("startDateTime", "endDateTime"):
        if entry.get(name) is not None:
            try:
                parse_instant(entry[name])
            except ValueError as error:
                raise schema_mismatch("keyCredentials") from error


def _kept(call: GraphCall, stored: KeyCredential, entry: dict[str, Any]) -> KeyCredential:
    key = entry.get("key")
    same = (
        (key is None or _decoded(key) == stored.der)
        and entry.get("startDateTime") in (None, stored.start)
        and entry.get("endDateTime") in (None, stored.end)
        and entry.get("customKeyIdentifier") in (None, stored.custom_key_identifier)
        and entry.get("type") in (None, _TYPE)
        and entry.get("usage") in (None, _USAGE)
    )
    if not same:
        raise GraphError(
            400,
            "KeyNotUpdatable",
            f"Update to existing credential with KeyId '{stored.key_id}' is not allowed.",
        )
    if call.tenant.switches.reject_expired_keys and parse_instant(stored.end) <= call.now:
        raise _invalid_end()
    name = entry.get("displayName")
    if name is None or name == stored.display_name:
        return stored
    return KeyCredential(
        key_id=stored.key_id,
        der=stored.der,
        display_name=name[:90],
        custom_key_identifier=stored.custom_key_identifier,
        start=stored.start,
        end=stored.end,
        accepted_at=stored.accepted_at,
    )


def _new(call: GraphCall, app: Application, key_id: str, entry: dict[str, Any]) -> KeyCredential:
    if entry.get("type") != _TYPE:
        raise bad_request('The value for the property "type" in keyCredentials is invalid.')
    if entry.get("usage") != _USAGE:
        raise bad_request('The value for the property "usage" in keyCredentials is invalid.')
    if entry.get("key") is None:
        raise invalid_value("keyCredentials", "Application")
    certificate = _certificate(entry["key"])
    credential = KeyCredential.of(
        certificate,
        key_id,
        display_name=entry.get("displayName"),
        custom_key_identifier=_identifier(entry.get("customKeyIdentifier")),
        start=entry.get("startDateTime"),
        end=entry.get("endDateTime"),
        accepted_at=call.tenant.due(call.tenant.lag.credentials),
    )
    _check_dates(certificate, credential, call.now)
    check_new_key(call.tenant, app, credential)
    return credential


def _check_dates(certificate: x509.Certificate, key: KeyCredential, now: datetime) -> None:
    start, end = parse_instant(key.start), parse_instant(key.end)
    if end > certificate.not_valid_after_utc or end <= now or end <= start:
        raise _invalid_end()
    if start < certificate.not_valid_before_utc:
        raise GraphError(
            400, "KeyCredentialsInvalidStartDate", "Key credential start date is invalid."
        )


def _invalid_end() -> GraphError:
    return GraphError(400, "KeyCredentialsInvalidEndDate", "Key credential end date is invalid.")


def _identifier(value: str | None) -> str | None:
    """`customKeyIdentifier` is binary: base64 on the wire."""
    if value is None:
        return None
    try:
        return b64encode(b64decode(value, validate=True)).decode()
    except Base64Error as error:
        raise schema_mismatch("keyCredentials") from error


def _decoded(key: str) -> bytes | None:
    """The DER of a key value that may hold PEM text; `None` if it is no certificate."""
    try:
        return _certificate(key).public_bytes(Encoding.DER)
    except GraphError:
        return None


def _certificate(key: str) -> x509.Certificate:
    """The certificate in base64 of DER or of PEM text."""
    try:
        content = b64decode(key, validate=True)
        if content.lstrip().startswith(b"-----BEGIN CERTIFICATE-----"):
            return x509.load_pem_x509_certificate(content)
        return x509.load_der_x509_certificate(content)
    except (Base64Error, ValueError) as error:
        raise invalid_value("keyCredentials", "Application") from error
