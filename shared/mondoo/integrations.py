"""Microsoft 365 integrations of a Mondoo space.

Mondoo does not refuse a second integration of the same tenant and checks neither ids nor
certificate when one is made, so callers look first (`find`) and prove the certificate themselves. A
certificate is write-only: it is sent with every update, and labels are what tells which one was
sent. Status and messages say how the newest scan went.

`create` and `trigger_scan` are not repeatable: a lost answer is `OutcomeUnknown`, and the caller
looks again before asking a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from shared.models import Federation
from shared.mondoo.client import MondooClient

THUMBPRINT_LABEL = "certificate-thumbprint"
"""The label that says which certificate Mondoo was given, since that cannot be read back."""

LONGEST_NAME = 250
"""Characters; what Mondoo's own Terraform provider allows."""


@dataclass(frozen=True)
class Message:
    """What the newest scan reported: ``status`` is INFO, WARNING or ERROR."""

    text: str
    status: str
    identifier: str
    timestamp: datetime | None = None
    suppressed: bool = False

    @property
    def matters(self) -> bool:
        """Whether it is a complaint that nobody has put aside."""
        return self.status != "INFO" and not self.suppressed


@dataclass(frozen=True)
class Integration:
    """An integration as Mondoo shows it.

    ``status`` is Mondoo's own word (ACTIVE, ERROR, WARNING, WAITING_FOR_SETUP, …; others may
    come). Times are UTC and None until they happened. Ids are lower-case. ``keyless``: it signs in
    by federation, without a certificate; its tokens then have this ``issuer`` and ``subject``,
    which Mondoo derives from the integration, so that they are known once it is there.
    """

    mrn: str
    name: str
    status: str
    tenant_id: str
    client_id: str
    keyless: bool = False
    issuer: str | None = None
    subject: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    created: datetime | None = None
    last_modified: datetime | None = None
    scan_attempted: datetime | None = None
    scan_started: datetime | None = None
    scan_finished: datetime | None = None

    @property
    def paused(self) -> bool:
        """Whether somebody stopped its scans."""
        return self.status == "PAUSED"

    def federation(self, audience: str) -> Federation | None:
        """Whose tokens it signs in with; None where it has a key, or where Mondoo does not say."""
        if not self.keyless or self.issuer is None or self.subject is None:
            return None
        return Federation(self.issuer, self.subject, audience)


async def find(
    client: MondooClient, space: str, *, tenant_id: str, app_id: str
) -> list[Integration]:
    """All integrations of a tenant and application in a space; usually none or one."""
    answer = await client.execute("list_integrations", {"scope": space})
    found = [integration_of(shown) for shown in answer["listClientIntegrations"]["integrations"]]
    wanted = (tenant_id.lower(), app_id.lower())
    return [one for one in found if (one.tenant_id, one.client_id) == wanted]


async def of_tenant(client: MondooClient, space: str, tenant_id: str) -> list[Integration]:
    """All integrations of a tenant in a space, whatever application they sign in with."""
    answer = await client.execute("list_integrations", {"scope": space})
    found = [integration_of(shown) for shown in answer["listClientIntegrations"]["integrations"]]
    return [one for one in found if one.tenant_id == tenant_id.lower()]


async def read(client: MondooClient, mrn: str) -> Integration:
    """One integration.

    Raises:
        Refused: ``mondoo_not_found``, and as `MondooClient.execute`.
    """
    answer = await client.execute("read_integration", {"mrn": mrn})
    return integration_of(answer["clientIntegration"]["integration"])


async def create(
    client: MondooClient,
    space: str,
    *,
    name: str,
    tenant_id: str,
    app_id: str,
    pem: str | None,
    labels: Mapping[str, str],
) -> str:
    """Make an integration and return its MRN. ``pem`` is key and certificate, in this order; None
    makes it keyless.

    Raises:
        OutcomeUnknown: it may exist now; `find` tells.
    """
    answer = await client.execute(
        "create_integration",
        {
            "name": name[:LONGEST_NAME],
            "scope": space,
            "options": _options(tenant_id, app_id, pem),
            "labels": _pairs(labels),
        },
    )
    return str(answer["createClientIntegration"]["integration"]["mrn"])


async def update(
    client: MondooClient,
    integration: Integration,
    *,
    name: str,
    pem: str | None,
    labels: Mapping[str, str],
) -> None:
    """Give an integration this certificate (None makes it keyless), name and labels (all of them).
    May be repeated."""
    await client.execute(
        "update_integration",
        {
            "mrn": integration.mrn,
            "name": name[:LONGEST_NAME],
            "options": _options(integration.tenant_id, integration.client_id, pem),
            "labels": _pairs(labels),
        },
        repeatable=True,
    )


async def delete(client: MondooClient, mrn: str) -> None:
    """Remove an integration. Its assets stay in the space until they age out.

    Raises:
        Refused: ``mondoo_not_found`` when it is gone already.
    """
    await client.execute("delete_integration", {"mrn": mrn}, repeatable=True)


async def trigger_scan(client: MondooClient, mrn: str) -> None:
    """Ask for a scan.

    Raises:
        OutcomeUnknown: it may have been asked for; the scan times of `read` tell.
    """
    # Mondoo made this a query, yet each call queues a scan.
    await client.execute("trigger_scan", {"mrn": mrn}, repeatable=False)


def _options(tenant_id: str, app_id: str, pem: str | None) -> dict[str, Any]:
    # Never both: Mondoo refuses a certificate beside useWif.
    credential = {"useWif": True} if pem is None else {"certificate": pem}
    return {"ms365ConfigurationOptions": {"tenantId": tenant_id, "clientId": app_id, **credential}}


def _pairs(labels: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in labels.items()]


def integration_of(shown: Mapping[str, Any]) -> Integration:
    """An integration as a document of ours asks for it."""
    options = shown.get("configurationOptions") or {}
    return Integration(
        mrn=shown["mrn"],
        name=shown["name"],
        status=shown["status"],
        tenant_id=(options.get("tenantId") or "").lower(),
        client_id=(options.get("clientId") or "").lower(),
        keyless=bool(options.get("useWif")),
        issuer=options.get("wifIssuerURL") or None,
        subject=options.get("wifSubject") or None,
        labels={pair["key"]: pair.get("value") or "" for pair in shown.get("labels") or ()},
        messages=tuple(_message(message) for message in shown.get("messages") or ()),
        created=_time(shown.get("created")),
        last_modified=_time(shown.get("lastModified")),
        scan_attempted=_time(shown.get("scanJobAttempted")),
        scan_started=_time(shown.get("scanJobStarted")),
        scan_finished=_time(shown.get("scanJobFinished")),
    )


def _message(shown: Mapping[str, Any]) -> Message:
    return Message(
        text=shown["message"],
        status=shown["status"],
        identifier=shown.get("identifier") or "",
        timestamp=_time(shown.get("timestamp")),
        suppressed=bool(shown.get("suppressedByUser")),
    )


def _time(text: str | None) -> datetime | None:
    """A time of the platform; its zero (year 1, as Go writes it) means never."""
    if not text or text.startswith("0001-"):
        return None
    return msgspec.convert(text, datetime)
