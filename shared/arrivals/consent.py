"""Customers' consent: the link that we make, and what comes back with it.

The link leads the customer's administrator to Microsoft's consent page for our multi-tenant
application, and from there to our callback. Nothing in the callback's address is believed: whoever
can send somebody a link can write one. What counts is

    1. ``state``: random, ours, for one tenant, for some days, and used up by its first success
    2. our own sign-in to that tenant, and that the tenant we then read is the one the state is for

The state is kept as a digest only, so that who reads the ledger can finish no consent. It is
claimed before the sign-in is tried (of two clicks one goes on) and given back when consent has not
reached every server yet, so that opening the link again is all that is ever asked of the customer.

Sources: Microsoft identity platform, "admin consent"; AADSTS900144 when the scope is missing
(CIPP issues 1357 and 1384); ``admin_consent=True`` is present beside an error too.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from shared.arrivals.tenant_added import TenantAdded, tenant_added
from shared.config import Settings
from shared.context import Context
from shared.entra.tenants import parse_tenant, resolve_tenant
from shared.errors import InvalidRequest, NotYet, OnboardingError, Refused
from shared.ledger.entries import Entry

SHELF = "consents"
_STATE = re.compile(r"[A-Za-z0-9_-]{43}")


class ConsentLink(Struct, frozen=True, rename="camel"):
    """A link for the administrator of one tenant. It works once, until it expires."""

    tenant_id: str
    link: str
    expires_at: datetime


class Pending(Struct, frozen=True, rename="camel"):
    """What is kept under a state's digest; ``claimed``: somebody is finishing it, or has."""

    tenant_id: str
    expires_at: datetime
    claimed: bool = False


@dataclass(frozen=True)
class Consented:
    """A consent that was proven: the tenant's name, and the event that starts its onboarding."""

    display_name: str
    event: bytes


async def make_link(context: Context, tenant: str) -> ConsentLink:
    """A consent link for a tenant (id or domain).

    Raises:
        Refused: ``consent_not_set_up``.
        InvalidRequest, NotFound, NotYet: as `resolve_tenant`.
    """
    settings = context.settings
    if settings.consent_redirect_url is None or settings.onboarding_client_id is None:
        raise Refused(
            "consent_not_set_up",
            "this app has no consent callback for customers' tenants",
            remediation=(
                "Set CONSENT_REDIRECT_URL to the public address of /api/consent/callback, register"
                " it as redirect URI of the application in ONBOARDING_CLIENT_ID, and set IDENTITY"
                " to federated or certificate."
            ),
        )
    tenant_id = await resolve_tenant(settings, context.http, tenant)
    state = secrets.token_urlsafe(32)
    expires_at = context.now() + timedelta(hours=settings.consent_validity_hours)
    pending = Pending(tenant_id=tenant_id, expires_at=expires_at)
    await context.ledger.add(SHELF, _digest(state), _text(pending))
    return ConsentLink(tenant_id, consent_url(settings, tenant_id, state), expires_at)


def consent_url(settings: Settings, tenant_id: str, state: str) -> str:
    """Microsoft's consent page for our application in a tenant of this cloud."""
    query = {
        "client_id": settings.onboarding_client_id or "",
        "scope": f"{settings.cloud.graph}/.default",
        "redirect_uri": settings.consent_redirect_url or "",
        "state": state,
    }
    return f"{settings.cloud.login}/{tenant_id}/v2.0/adminconsent?{urlencode(query)}"


async def finish(context: Context, query: Mapping[str, str]) -> Consented:
    """What the callback's address amounts to.

    Raises:
        InvalidRequest: ``consent_declined`` (an error came, whatever else came), ``consent_link``
            (state unknown, used or expired), ``consent_other_tenant``, ``consent_not_given``.
        Refused: ``consent_not_proven``: we cannot sign in to the tenant.
        NotYet: ``consent_not_there_yet``: open the link again in some minutes.
    """
    if "error" in query:
        raise _declined(query)
    entry, pending = await _claim(context, query)
    claimed = msgspec.structs.replace(pending, claimed=True)
    entry = await _replace(context, entry, claimed)
    try:
        name = await _prove(context, pending.tenant_id)
    except (NotYet, Refused) as error:
        await context.ledger.replace(entry, _text(pending))
        raise _not_proven(error) from error
    added = TenantAdded(tenant=pending.tenant_id, display_name=name[:256])
    event = tenant_added(added, id=f"consent-{entry.key}", time=context.now())
    return Consented(name, event)


async def forget_old_consents(context: Context) -> None:
    """Remove what has expired."""
    for entry in await context.ledger.entries(SHELF):
        if msgspec.json.decode(entry.text, type=Pending).expires_at < context.now():
            await context.ledger.remove(entry)


async def _claim(context: Context, query: Mapping[str, str]) -> tuple[Entry, Pending]:
    """The pending consent that the state stands for, if this callback may finish it."""
    state = query.get("state", "")
    entry = None
    if _STATE.fullmatch(state):
        entry = await context.ledger.read(SHELF, _digest(state))
    if entry is None:
        raise _bad_link()
    pending = msgspec.json.decode(entry.text, type=Pending)
    if pending.claimed or pending.expires_at <= context.now():
        raise _bad_link()
    if _named_tenant(query) != pending.tenant_id:
        # Somebody put a state of one tenant and the name of another together: no more of it.
        await context.ledger.remove(entry)
        raise InvalidRequest(
            "consent_other_tenant",
            "the consent is for another tenant than the link",
            remediation="Ask for a new link, and open it as administrator of your own tenant.",
            field="tenant",
        )
    if query.get("admin_consent", "").lower() != "true":
        raise InvalidRequest(
            "consent_not_given",
            "Microsoft's page did not say that consent was given",
            remediation="Open the link again and accept.",
            field="admin_consent",
        )
    return entry, pending


async def _replace(context: Context, entry: Entry, pending: Pending) -> Entry:
    written = await context.ledger.replace(entry, _text(pending))
    if written is None:
        raise _bad_link()
    return written


async def _prove(context: Context, tenant_id: str) -> str:
    """Sign in to the tenant anew and read it; its name.

    Raises:
        Refused, NotYet: as the sign-in and Graph answer; ``consent_other_tenant``.
    """
    await context.identity.forget(tenant_id)
    graph = context.graph(tenant_id)
    organizations = await graph.get_all(
        "/organization", select=("id", "displayName"), what="the reading of the tenant"
    )
    if [str(found.get("id", "")).lower() for found in organizations] != [tenant_id]:
        raise Refused(
            "consent_other_tenant",
            "the tenant that was read is not the one that the link is for",
            remediation="Ask for a new link.",
            tenant_id=tenant_id,
        )
    return str(organizations[0].get("displayName") or tenant_id)


def _not_proven(error: OnboardingError) -> OnboardingError:
    if isinstance(error, NotYet) or error.code == "application_not_in_tenant":
        return NotYet(
            "consent_not_there_yet",
            f"consent was given, but has not reached every server yet ({error.code})",
            remediation="Open the link again in some minutes.",
            retry_after=120,
            tenant_id=error.tenant_id,
        )
    return Refused(
        "consent_not_proven",
        f"we cannot sign in to the tenant ({error.code})",
        remediation="Open the link again and accept as Global Administrator.",
        tenant_id=error.tenant_id,
    )


def _named_tenant(query: Mapping[str, str]) -> str | None:
    try:
        return parse_tenant(query.get("tenant", ""))
    except InvalidRequest:
        return None


def _declined(query: Mapping[str, str]) -> InvalidRequest:
    told = " ".join(query.get(name, "") for name in ("error", "error_description"))
    codes = re.findall(r"AADSTS\d{4,8}", told)
    reason = f" ({codes[0]})" if codes else ""
    return InvalidRequest(
        "consent_declined",
        f"consent was not given{reason}",
        remediation="Open the link again and accept as Global Administrator.",
        field="error",
    )


def _bad_link() -> InvalidRequest:
    return InvalidRequest(
        "consent_link",
        "the link was used already, has expired, or is not one of ours",
        remediation="Ask for a new link.",
        field="state",
    )


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


def _text(pending: Pending) -> str:
    return msgspec.json.encode(pending).decode()
