"""How what is in the estate looks through the API: one function for each GraphQL type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from local.simulators.mondoo import mrn
from local.simulators.mondoo.estate import (
    Asset,
    Binding,
    Content,
    Estate,
    Integration,
    Organization,
    ServiceAccount,
    Space,
    rfc3339,
)
from local.simulators.mondoo.status import Code, StatusError

MAX_PAGE = 100
View = dict[str, Any]

_PENDING = frozenset({"NOT_READY", "WAITING_FOR_SETUP"})


def pairs(values: Mapping[str, str]) -> list[View]:
    """Labels or annotations as a list of key and value."""
    return [{"key": key, "value": value} for key, value in values.items()]


def moment(value: datetime | None) -> str | None:
    """A time, or null."""
    return None if value is None else rfc3339(value)


def page(
    entries: Sequence[View], first: int | None, after: str | None, *, limit: int = MAX_PAGE
) -> View:
    """A connection over all entries: the page after a cursor.

    Raises:
        StatusError: `InvalidArgument` for a page that is too large or a cursor of someone else.
    """
    size = limit if first is None else first
    if not 0 < size <= MAX_PAGE:
        raise StatusError(Code.INVALID_ARGUMENT, f"page size must be between 1 and {MAX_PAGE}")
    start = 0
    if after:
        if not after.startswith("c") or not after[1:].isdecimal():
            raise StatusError(Code.INVALID_ARGUMENT, "invalid cursor")
        start = int(after[1:])
    shown = entries[start : start + size]
    edges = [
        {"cursor": f"c{number}", "node": entry} for number, entry in enumerate(shown, start + 1)
    ]
    return {
        "totalCount": len(entries),
        "nodes": list(shown),
        "edges": edges,
        "pageInfo": {
            "startCursor": edges[0]["cursor"] if edges else None,
            "endCursor": edges[-1]["cursor"] if edges else None,
            "hasNextPage": start + size < len(entries),
        },
    }


def organization(estate: Estate, found: Organization, may_see: Callable[[str], bool]) -> View:
    """Type `Organization`; its spaces are those that the caller may see."""

    def spaces(
        _: object, first: int | None = None, after: str | None = None, query: str = ""
    ) -> View:
        shown = [
            space(estate, entry, may_see)
            for entry in estate.spaces.values()
            if entry.organization is found
            and may_see(entry.mrn)
            and query.lower() in entry.name.lower()
        ]
        return page(shown, first, after)

    return {
        "__typename": "Organization",
        "id": found.id,
        "mrn": found.mrn,
        "name": found.name,
        "description": "",
        "spacesList": spaces,
    }


def space(estate: Estate, found: Space, may_see: Callable[[str], bool]) -> View:
    """Type `Space`."""
    return {
        "id": found.id,
        "mrn": found.mrn,
        "name": found.name,
        "description": found.description,
        "organization": lambda _: organization(estate, found.organization, may_see),
        "annotations": pairs(found.annotations),
        "stats": lambda _: {"integrationsStatistics": _statistics(estate, found)},
    }


def _statistics(estate: Estate, found: Space) -> list[View]:
    by_type: dict[str, list[Integration]] = {}
    for entry in estate.integrations_of(found.mrn):
        by_type.setdefault(entry.type, []).append(entry)
    return [
        {
            "type": kind,
            "total": len(entries),
            "active": sum(entry.status == "ACTIVE" for entry in entries),
            "pending": sum(entry.status in _PENDING for entry in entries),
            "errored": sum(entry.status == "ERROR" for entry in entries),
        }
        for kind, entries in by_type.items()
    ]


def service_account(found: ServiceAccount) -> View:
    """Type `ServiceAccount`."""
    return {
        "id": mrn.last_part(found.mrn),
        "mrn": found.mrn,
        "name": found.name,
        "description": found.description,
        "roles": [
            {"mrn": mrn.role(name), "title": name.replace("-", " ").title()}
            for name in sorted(found.roles)
        ],
        "createdAt": rfc3339(found.created),
        "lastUsed": moment(found.last_used),
    }


def binding(found: Binding) -> View:
    """Type `WIFAuthBindingPayload`."""
    return {
        "binding": {
            "mrn": found.mrn,
            "name": found.name,
            "scope": found.scope_mrn,
            "roles": [mrn.role(name) for name in sorted(found.roles)],
            "expiration": found.expiration,
            "issuerURI": found.issuer,
            "subject": found.subject,
        },
        "config": {
            "universeDomain": "api.mondoo.app",
            "type": "external_account",
            "audience": found.scope_mrn,
            "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt",
            "scopes": [],
            "issuerURI": found.issuer,
        },
    }


def integration(estate: Estate, found: Integration, wif_issuer: str) -> View:
    """Type `ClientIntegration`. There is no certificate in it, as there is none on the platform."""
    options: View | None = None
    if found.type == "MS365":
        options = {
            "__typename": "Ms365ConfigurationOptions",
            "tenantId": found.tenant_id,
            "clientId": found.client_id,
            "useWif": found.use_wif,
            "wifSubject": wif_subject(found) if found.use_wif else None,
            "wifIssuerURL": wif_issuer if found.use_wif else None,
        }
    elif found.type == "AZURE":
        options = {
            "__typename": "AzureConfigurationOptions",
            "tenantId": found.tenant_id,
            "clientId": found.client_id,
            "subscriptionsWhitelist": list(found.allowed_subscriptions),
            "subscriptionsBlacklist": list(found.denied_subscriptions),
            "scanVms": False,
        }
    return {
        "mrn": found.mrn,
        "name": found.name,
        "status": "PAUSED" if found.paused else found.status,
        "type": found.type,
        "created": rfc3339(found.created),
        "lastModified": rfc3339(found.modified),
        "lastCheckin": moment(found.last_checkin),
        "lastStateInfo": moment(found.last_state_info),
        "scanJobAttempted": moment(found.scan_attempted),
        "scanJobStarted": moment(found.scan_started),
        "scanJobFinished": moment(found.scan_finished),
        "token": "",
        "createdBy": {"name": found.creator, "email": None},
        "labels": pairs(found.labels),
        "messages": [
            {
                "message": entry.message,
                "status": entry.status,
                "identifier": entry.identifier,
                "timestamp": rfc3339(entry.timestamp),
                "suppressedByUser": entry.suppressed,
            }
            for entry in found.messages
        ],
        "evaluatedConfigurations": [],
        "assetCounts": lambda _: _asset_counts(estate, found),
        "configurationOptions": options,
    }


def _asset_counts(estate: Estate, found: Integration) -> list[View]:
    owned = [entry for entry in estate.assets.values() if entry.integration_mrn == found.mrn]
    return [{"assetType": "ms365", "total": len(owned)}] if owned else []


def wif_subject(found: Integration) -> str:
    """The subject of the scanner's tokens for an integration: its own MRN, whatever its name."""
    return found.mrn


def content(estate: Estate, found: Content, scope_mrn: str) -> View:
    """Types `Policy` and `QueryPack`."""
    space_found = estate.spaces.get(scope_mrn)
    if space_found is not None:
        action, _ = estate.assigned(space_found).get(found.mrn, (None, None))
    else:
        action = estate.assignments.get(scope_mrn, {}).get(found.mrn)
    return {
        "__typename": "QueryPack" if found.pack else "Policy",
        "mrn": found.mrn,
        "uid": found.uid,
        "name": found.name,
        "action": action,
        "assigned": action is not None,
        "trustLevel": "MONDOO",
        "version": found.version,
    }


def asset(found: Asset) -> View:
    """Type `Asset`."""
    return {
        "id": mrn.last_part(found.mrn),
        "mrn": found.mrn,
        "name": found.name,
        "state": "ONLINE",
        "asset_type": found.platform,
        "createdAt": rfc3339(found.created),
        "updatedAt": rfc3339(found.updated),
        "lastScoredAt": moment(found.scored),
        "score": {
            "grade": found.grade,
            "value": found.score,
            "type": 2 if found.scored is not None else 8,
            "completion": found.completion,
            "weight": 1 if found.scored is not None else 0,
        },
        "labels": pairs(found.labels),
        "annotations": pairs(found.annotations),
        "platformIds": list(found.platform_ids),
    }
