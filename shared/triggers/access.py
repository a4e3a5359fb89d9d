"""Who may call the HTTP interface.

Two ways, chosen by the setting ``AUTHENTICATION``:

    keys   the host asks for a function key before our code runs; whoever has one may do everything
    entra  the platform's built-in authentication stands in front: it checks the caller's token and
           hands us a description of the caller in headers. An Operator may do everything, a Reader
           may look, and nobody else may do anything

With ``entra`` no key is asked for, so everything hangs on those headers being the platform's. The
platform removes a caller's own and sets its own, but only while it is switched on; an app whose
authentication was switched off by hand would believe anyone. So nothing is believed unless the
platform itself says, by its environment variable ``WEBSITE_AUTH_ENABLED``, that it is on: such an
app refuses everyone. The description must also fit the platform's other headers, and our tenant.

What is deliberately left out: reading the token again. The platform has checked its signature,
audience and age; a second check would need the signing keys of the cloud at every start.

Source: App Service, "Work with user identities in authentication" (names of headers and claims).
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping
from enum import StrEnum
from functools import wraps
from typing import Any

import azure.functions as func
import msgspec
from msgspec import Struct

from shared.config import Authentication, Settings
from shared.errors import Forbidden, Unauthenticated
from shared.telemetry import request_admitted
from shared.triggers.problems import Handler

OPEN_ROUTES: dict[str, str] = {
    "health": "monitors have no key, and the answer holds no secret",
    "dashboard": "a page that holds nothing of any tenant: it asks the interface with the key or"
    " the token of whoever looks at it, and a browser that opens a page can send neither",
    "consent/callback": "an administrator's browser arrives there from Microsoft's sign-in page;"
    " a single-use state proves that we sent it",
    "partner-center/events": "Partner Center sends no key; it signs each event, and the signature"
    " is checked",
}
"""The routes that ask for nothing, and why."""

_log = logging.getLogger(__name__)

_OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
_TENANT_ID = "http://schemas.microsoft.com/identity/claims/tenantid"
_ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
_NAME_ID = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
_ADMITTED = "__admitted_roles__"
_SIGN_IN = "Get a token for the application in front of this interface and send it as bearer token."


class Role(StrEnum):
    """The app roles of the interface, by their value in a token."""

    OPERATOR = "Operator"
    READER = "Reader"


class _Claim(Struct, frozen=True):
    typ: str
    val: str


class _Principal(Struct, frozen=True):
    """The platform's description of the caller (header ``X-MS-CLIENT-PRINCIPAL``)."""

    auth_typ: str
    claims: list[_Claim]
    role_typ: str = _ROLE

    def values(self, *types: str) -> set[str]:
        return {claim.val for claim in self.claims if claim.typ in types}


def roles_of(handler: object) -> frozenset[Role]:
    """The roles that a gate lets through to a handler; empty for one that has no gate."""
    roles: frozenset[Role] = getattr(handler, _ADMITTED, frozenset())
    return roles


def auth_level(settings: Settings) -> func.AuthLevel:
    """What the host itself asks for: a key, or nothing when the platform stands in front."""
    if settings.authentication is Authentication.ENTRA:
        return func.AuthLevel.ANONYMOUS
    return func.AuthLevel.FUNCTION


class Gate:
    """Lets callers through to handlers. Stands inside of `answering`, which tells the refusal."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def reads(self, handler: Handler) -> Handler:
        """For a handler that changes nothing: Reader or Operator."""
        return self._admitting(handler, {Role.READER, Role.OPERATOR})

    def changes(self, handler: Handler) -> Handler:
        """For a handler that starts, changes or removes something: Operator only."""
        return self._admitting(handler, {Role.OPERATOR})

    def _admitting(self, handler: Handler, allowed: set[Role]) -> Handler:
        @wraps(handler)
        async def admitted(*args: Any, **kwargs: Any) -> func.HttpResponse:
            if self._settings.authentication is Authentication.ENTRA:
                # By name in one version of the worker, by place in another.
                request: func.HttpRequest = kwargs["req"] if "req" in kwargs else args[0]
                caller = self._caller(request.headers)
                held = caller.values("roles", caller.role_typ)
                if not held & allowed:
                    raise _refused(held, allowed)
                request_admitted(handler.__name__, min(caller.values("oid", _OBJECT_ID)))
            return await handler(*args, **kwargs)

        # Wrappers around this one take it over, as `functools.wraps` does.
        setattr(admitted, _ADMITTED, frozenset(allowed))
        return admitted

    def _caller(self, headers: Mapping[str, str]) -> _Principal:
        """The caller, as the platform describes them.

        Raises:
            Unauthenticated: nobody is described, or not by the platform, or not of our tenant.
        """
        if not self._settings.platform_authenticates:
            _log.error("AUTHENTICATION is entra, but the platform's authentication is off")
            raise Unauthenticated(
                "authentication_not_in_front",
                "the platform's authentication is switched off, so callers cannot be told apart",
                remediation="An administrator must switch it on again (azd provision does).",
            )
        described = headers.get("x-ms-client-principal")
        if not described:
            raise Unauthenticated(
                "not_signed_in", "the request carries no sign-in", remediation=_SIGN_IN
            )
        principal = _decoded(described)
        identifier = headers.get("x-ms-client-principal-id", "")
        known = principal.values("oid", _OBJECT_ID)
        if (
            principal.auth_typ != "aad"
            or headers.get("x-ms-client-principal-idp") != "aad"
            or not known
            or identifier not in known | principal.values("sub", _NAME_ID)
        ):
            raise Unauthenticated(
                "principal_not_from_platform",
                "the description of the caller does not fit what the platform says besides",
                remediation=_SIGN_IN,
            )
        if principal.values("tid", _TENANT_ID) != {self._settings.home_tenant_id}:
            raise Unauthenticated(
                "principal_of_another_tenant",
                "the caller signed in to another tenant than ours",
                remediation="Sign in to the tenant that this interface belongs to.",
            )
        return principal


def _decoded(described: str) -> _Principal:
    try:
        return msgspec.json.decode(base64.b64decode(described, validate=True), type=_Principal)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unauthenticated(
            "principal_unreadable",
            "the description of the caller cannot be read",
            remediation=_SIGN_IN,
        ) from error


def _refused(held: set[str], allowed: set[Role]) -> Forbidden:
    needed = " or ".join(sorted(allowed))
    if held & set(Role):
        return Forbidden(
            "role_insufficient",
            f"this takes the role {needed}; the caller has {', '.join(sorted(held & set(Role)))}",
            remediation=f"Ask an administrator to assign you {needed} on the application.",
        )
    return Forbidden(
        "role_missing",
        f"this takes the role {needed}; the caller has none of ours",
        remediation=f"Ask an administrator to assign you {needed} on the application.",
    )
