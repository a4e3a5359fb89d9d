"""The tenant-added event: what it may hold, in which schemas it comes, and which version.

CloudEvents 1.0 with type ``io.mondoo.onboarding.tenant.added``, or Event Grid's own schema with the
same name as ``eventType``. The data is version 1, whose JSON Schema is published in
``docs/events/tenant-added-1.schema.json``; a sender may say so in ``dataschema`` (``dataVersion``
in Event Grid's schema), and an event of a version that is not known here is refused, not guessed.
Unknown fields are refused as they are over HTTP: a misspelt field must not be silently dropped.
``adopt`` is left out on purpose: taking over somebody's application is decided by a person.

Sources: CloudEvents 1.0; Event Grid event schema.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from shared.arrivals.fields import refused_field
from shared.cloud_events import cloud_event
from shared.entra.tenants import parse_tenant
from shared.errors import InvalidRequest
from shared.models import ApplicationName, NewSpace, OnboardingRequest, PolicyMrn, SpaceMrn

TENANT_ADDED = "io.mondoo.onboarding.tenant.added"
VERSION_1 = "urn:mondoo:onboarding:tenant-added:1"
LONGEST_ID = 1024


class TenantAdded(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """The data of the event, version 1. Fields that are left out take their value from the
    settings of the app; ``displayName`` is for people only."""

    tenant: Annotated[
        str,
        Meta(min_length=1, max_length=255, description="Tenant id, or any domain of the tenant"),
    ]
    display_name: Annotated[str, Meta(max_length=256)] | UnsetType = UNSET
    space: SpaceMrn | NewSpace | UnsetType = UNSET
    manifest: Annotated[str, Meta(max_length=60)] | UnsetType = UNSET
    application_name: ApplicationName | UnsetType = UNSET
    policies: Annotated[list[PolicyMrn], Meta(min_length=1, max_length=50)] | UnsetType = UNSET

    def request(self) -> OnboardingRequest:
        """The same as a request over HTTP."""
        return OnboardingRequest(
            tenant=self.tenant,
            space=self.space,
            manifest=self.manifest,
            application_name=self.application_name,
            policies=self.policies,
        )


@dataclass(frozen=True)
class Event:
    """An event that can be acted on. ``source`` and ``id`` together tell a repeated one."""

    id: str
    source: str
    time: datetime | None
    added: TenantAdded

    @property
    def key(self) -> str:
        """The event as a key of the ledger."""
        return event_key(self.source, self.id)


def event_key(source: str, id: str) -> str:
    """Source and id, of any letters and length, as a key of the ledger."""
    return hashlib.sha256(f"{source}\n{id}".encode("utf-8", "surrogatepass")).hexdigest()[:40]


def tenant_added(added: TenantAdded, *, id: str, time: datetime) -> bytes:
    """The event that we send ourselves: a customer consented, a partner's customer was found."""
    return cloud_event(TENANT_ADDED, added.tenant, msgspec.to_builtins(added), id=id, time=time)


def read_message(text: str) -> Any:
    """The JSON document in a queue message.

    Raises:
        InvalidRequest: ``event_not_json``.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidRequest(
            "event_not_json",
            "the message is not JSON",
            remediation="Send a CloudEvent in JSON, UTF-8.",
            field="(message)",
        ) from error


def read_event(document: Any) -> Event:
    """The event in a JSON document, in either schema.

    Raises:
        InvalidRequest: naming the attribute or the field of the data that is wrong.
    """
    if not isinstance(document, Mapping):
        raise _refused("event_malformed", "the event is no JSON object", "(message)")
    if "specversion" in document:
        return _cloud_event(document)
    if "eventType" in document:
        return _event_grid_event(document)
    raise _refused(
        "event_malformed",
        "the event has neither specversion (CloudEvents) nor eventType (Event Grid)",
        "specversion",
    )


def _cloud_event(document: Mapping[str, Any]) -> Event:
    if document["specversion"] != "1.0":
        raise _refused("event_malformed", "specversion is not 1.0", "specversion")
    identifier, source = _text(document, "id"), _text(document, "source")
    _check_type(document, "type")
    if document.get("dataschema") not in (None, VERSION_1):
        raise _version(document["dataschema"], "dataschema", VERSION_1)
    return Event(identifier, source, _time(document, "time"), _data(document))


def _event_grid_event(document: Mapping[str, Any]) -> Event:
    _check_type(document, "eventType")
    identifier = _text(document, "id")
    if document.get("dataVersion") not in (None, "", "1", "1.0"):
        raise _version(document["dataVersion"], "dataVersion", "1")
    # Inside Event Grid the topic tells events of different senders apart.
    source = str(document.get("topic") or document.get("subject") or "")[:LONGEST_ID]
    return Event(identifier, source, _time(document, "eventTime"), _data(document))


def _data(document: Mapping[str, Any]) -> TenantAdded:
    data = document.get("data")
    if not isinstance(data, Mapping):
        raise _refused("event_malformed", "data is no JSON object", "data")
    try:
        added = msgspec.convert(dict(data), TenantAdded)
    except msgspec.ValidationError as error:
        raise refused_field(str(error), within="data") from error
    parse_tenant(added.tenant)
    return added


def _check_type(document: Mapping[str, Any], name: str) -> None:
    if document.get(name) != TENANT_ADDED:
        raise _refused("event_type_unknown", f"{name} is not {TENANT_ADDED}", name)


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value or len(value) > LONGEST_ID:
        raise _refused(
            "event_malformed", f"{name} is no text of 1 to {LONGEST_ID} characters", name
        )
    return value


def _time(document: Mapping[str, Any], name: str) -> datetime | None:
    value = document.get(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _refused("event_malformed", f"{name} is no RFC 3339 time", name)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise _refused("event_malformed", f"{name} is out of range", name) from error


def _version(found: Any, name: str, known: str) -> InvalidRequest:
    return _refused(
        "event_version_unknown", f"{name} is {str(found)[:80]!r}; known here is {known!r}", name
    )


def _refused(code: str, message: str, field: str) -> InvalidRequest:
    return InvalidRequest(
        code,
        message,
        remediation="Send the event as docs/events/tenant-added.md describes it.",
        field=field,
    )
