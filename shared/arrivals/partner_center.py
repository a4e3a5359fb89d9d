"""Customers of a Microsoft partner: which relationship is whose, and what follows from it.

An event of Partner Center names a relationship and no tenant. Its id is taken from ``ResourceUri``
(nothing is fetched from there, nor from ``AuditUri``, which is absent in the documented samples)
and the relationship is read from Graph in our own tenant. An active one is a tenant that was added;
Microsoft-led relationships (``MLT_…``) are not ours to act on.

Events get lost, so a timer lists all active relationships and lets arrive those whose tenant has no
record. Both make the same event out of the same relationship, so that it counts once. Relationships
that end soon and do not extend themselves are findings: with them goes our way into the tenant.

Sources: Partner Center webhook events; Graph, ``delegatedAdminRelationship``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from shared.arrivals.tenant_added import TenantAdded, tenant_added
from shared.context import Context
from shared.entra.graph import GraphClient, segment
from shared.entra.reactions import Gone
from shared.errors import InvalidRequest, NotFound, Refused
from shared.models import Finding, Severity

SHELF = "partner-center"
REPORT = "report"
ENDS_SOON = timedelta(days=30)
MOST_FINDINGS = 400
"""Findings that one report keeps."""

_GUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_RELATIONSHIP = re.compile(
    rf"https://[^/?#]+/(?:[\w.-]+/)*(?:granular|delegated)AdminRelationships/"
    rf"(?P<id>{_GUID}(?:-{_GUID})?)/?",
    re.IGNORECASE,
)
_EVENTS = re.compile(r"granular-admin-relationship-[a-z-]+")
_BASE = "/tenantRelationships/delegatedAdminRelationships"


class PartnerEvent(Struct, frozen=True, rename="pascal"):
    """An event of Partner Center. What else Microsoft sends with it is passed over."""

    event_name: str
    resource_uri: str


@dataclass(frozen=True)
class Relationship:
    """A delegated admin relationship with a customer."""

    id: str
    name: str
    status: str
    tenant_id: str
    customer: str
    ends_at: datetime | None
    extends_itself: bool

    @property
    def microsoft_led(self) -> bool:
        """Whether Microsoft made it, for support; it is not ours."""
        return self.name.upper().startswith("MLT_")


class Answer(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What was made of an event: arrived, excluded (Microsoft-led), not-active or ignored."""

    outcome: str
    relationship: str | None = None
    tenant_id: str | None = None


class Report(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What the timer saw: how many customers there are, the tenants that no event had told of, and
    relationships that end soon."""

    checked_at: datetime
    customers: int
    arrived: list[str] = []
    findings: list[Finding] = []


def read_partner_event(body: bytes) -> PartnerEvent:
    """The event in a body.

    Raises:
        InvalidRequest: ``partner_event_malformed``.
    """
    try:
        return msgspec.json.decode(body, type=PartnerEvent)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise _malformed("the body is no event of Partner Center") from error


async def act_on(context: Context, event: PartnerEvent) -> tuple[Answer, bytes | None]:
    """What an event amounts to, and the tenant-added event where a tenant arrived.

    Raises:
        InvalidRequest: ``partner_event_malformed``: it names no relationship.
        NotFound: ``relationship_unknown``.
        NotYet, Refused: as Graph answers.
    """
    if not _EVENTS.fullmatch(event.event_name):
        return Answer("ignored"), None
    named = _RELATIONSHIP.fullmatch(event.resource_uri)
    if named is None:
        raise _malformed("ResourceUri names no relationship")
    identifier = named["id"].lower()
    try:
        found = await _graph(context).get(
            f"{_BASE}/{segment(identifier)}", what=f"the reading of relationship {identifier}"
        )
    except Gone as error:
        raise NotFound(
            "relationship_unknown",
            f"our tenant has no relationship {identifier}",
            remediation="Check that HOME_TENANT_ID is the partner's tenant.",
            field="ResourceUri",
        ) from error
    relationship = _read(found)
    if relationship is None or relationship.status != "active":
        return Answer("not-active", identifier), None
    if relationship.microsoft_led:
        return Answer("excluded", identifier), None
    return Answer("arrived", identifier, relationship.tenant_id), _event(context, relationship)


async def look_for_customers(context: Context) -> tuple[Report, list[bytes]]:
    """List all customers, write the report down, and return events for those without a record.

    Raises:
        NotYet, Refused: as Graph and the records answer.
    """
    listed = await _graph(context).get_all(
        _BASE,
        params={"$filter": "status eq 'active'", "$top": "300"},
        what="the list of relationships",
    )
    read = [relationship for each in listed if (relationship := _read(each)) is not None]
    ours = [relationship for relationship in read if not relationship.microsoft_led]
    by_tenant: dict[str, list[Relationship]] = {}
    for relationship in ours:
        by_tenant.setdefault(relationship.tenant_id, []).append(relationship)
    new = [
        relationships[0]
        for tenant_id, relationships in by_tenant.items()
        if await context.records.get(tenant_id) is None
    ]
    findings = [
        _ending(relationships[-1])
        for relationships in (
            sorted(each, key=lambda one: _lasts(one, context.now())) for each in by_tenant.values()
        )
        if _lasts(relationships[-1], context.now()) < ENDS_SOON
    ]
    report = Report(
        checked_at=context.now(),
        customers=len(by_tenant),
        arrived=[relationship.tenant_id for relationship in new][:MOST_FINDINGS],
        findings=findings[:MOST_FINDINGS],
    )
    await _keep(context, report)
    return report, [_event(context, relationship) for relationship in new]


async def newest_report(context: Context) -> Report:
    """What the timer saw last.

    Raises:
        NotFound: ``partner_report_missing``: it has not run yet.
    """
    entry = await context.ledger.read(SHELF, REPORT)
    if entry is None:
        raise NotFound(
            "partner_report_missing",
            "the partner's customers have not been listed yet",
            remediation="Set PARTNER_CENTER_CA_FILE, and wait for the timer (every six hours).",
        )
    return msgspec.json.decode(entry.text, type=Report)


def _graph(context: Context) -> GraphClient:
    home = context.settings.home_tenant_id
    if home is None:
        raise Refused(
            "partner_tenant_missing",
            "the partner's own tenant is not known",
            remediation="Set HOME_TENANT_ID to the partner's tenant.",
        )
    return context.graph(home)


def _read(found: Mapping[str, Any]) -> Relationship | None:
    """A relationship; None before it has a customer."""
    customer = found.get("customer") or {}
    tenant_id = str(customer.get("tenantId") or "").lower()
    if not re.fullmatch(_GUID, tenant_id):
        return None
    ends = found.get("endDateTime")
    return Relationship(
        id=str(found["id"]),
        name=str(found.get("displayName") or ""),
        status=str(found.get("status") or ""),
        tenant_id=tenant_id,
        customer=str(customer.get("displayName") or tenant_id),
        ends_at=datetime.fromisoformat(ends) if ends else None,
        extends_itself=str(found.get("autoExtendDuration") or "PT0S") != "PT0S",
    )


def _lasts(relationship: Relationship, now: datetime) -> timedelta:
    if relationship.ends_at is None or relationship.extends_itself:
        return timedelta.max
    return relationship.ends_at - now


def _ending(relationship: Relationship) -> Finding:
    ends = "" if relationship.ends_at is None else f"{relationship.ends_at:%Y-%m-%d}"
    return Finding(
        code="partner_relationship_ends",
        severity=Severity.MEDIUM,
        subject=relationship.tenant_id,
        message=(
            f"the relationship {relationship.name!r} with {relationship.customer} ends on {ends}"
            " and does not extend itself"
        ),
        remediation="Ask the customer for a new relationship, or set it to extend itself.",
    )


def _event(context: Context, relationship: Relationship) -> bytes:
    added = TenantAdded(tenant=relationship.tenant_id, display_name=relationship.customer[:256])
    return tenant_added(added, id=f"partner-{relationship.id.lower()}", time=context.now())


async def _keep(context: Context, report: Report) -> None:
    text = msgspec.json.encode(report).decode()
    entry = await context.ledger.read(SHELF, REPORT)
    if entry is None:
        await context.ledger.add(SHELF, REPORT, text)
    else:
        await context.ledger.replace(entry, text)


def _malformed(message: str) -> InvalidRequest:
    return InvalidRequest(
        "partner_event_malformed",
        message,
        remediation="Register this address as the webhook of Partner Center, for its events only.",
        field="(body)",
    )
