"""From what an operator types to a tenant id.

A tenant id in any of its spellings, or any domain of the tenant, becomes a GUID in lower case;
comparisons of tokens and records fail on any other form (msal-python#304). That the tenant exists
is asked of the public OpenID metadata, which takes no sign-in. The names that stand for many
tenants (``common``, ``organizations``, ``consumers``) are refused.
"""

from __future__ import annotations

import re
from uuid import UUID

import httpx
import msgspec

from shared.config import Settings
from shared.entra.graph import no_answer, seconds
from shared.errors import InvalidRequest, NotFound, NotYet, Refused

_MANY = frozenset({"common", "organizations", "consumers"})
_GUID = re.compile(r"\{?([0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12})\}?")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{4,253}}$)(?:{_LABEL}\.)+{_LABEL}")

_ADVICE = (
    "Use the tenant id, or one of the tenant's verified domains, such as fabrikam.onmicrosoft.com."
)


class _Metadata(msgspec.Struct):
    """The part of the OpenID metadata that names the tenant."""

    token_endpoint: str


class _Refusal(msgspec.Struct):
    """The error envelope of the login host."""

    error: str = ""
    error_codes: list[int] = []
    error_description: str = ""


def parse_tenant(text: str) -> str:
    """A tenant id (lower case, with hyphens) or a domain (lower case), from what was typed.

    Raises:
        InvalidRequest: field ``tenant``; it can be neither.
    """
    name = text.strip().lower()
    if match := _GUID.fullmatch(name):
        return str(UUID(match[1]))
    if not name:
        raise _invalid("tenant_missing", "no tenant is named")
    if name in _MANY:
        raise _invalid("tenant_not_one", f"{name!r} stands for many tenants, not for one")
    try:
        # Domains with other letters are looked up in their ASCII form.
        domain = name.encode("idna").decode()
    except UnicodeError as error:
        raise _invalid("tenant_invalid", f"{name[:80]!r} is no tenant id or domain") from error
    if not _DOMAIN.fullmatch(domain):
        raise _invalid("tenant_invalid", f"{name[:80]!r} is neither a tenant id nor a domain")
    return domain


async def resolve_tenant(settings: Settings, http: httpx.AsyncClient, name: str) -> str:
    """The id of the tenant that ``name`` (id or domain) means, after checking that it exists.

    Raises:
        InvalidRequest: field ``tenant``.
        NotFound: ``tenant_not_found`` in this cloud.
        NotYet: the login host cannot be reached, or is throttling.
    """
    wanted = parse_tenant(name)
    url = f"{settings.cloud.login}/{wanted}/v2.0/.well-known/openid-configuration"
    try:
        answer = await http.get(url)
    except httpx.TransportError as error:
        raise no_answer(
            error, "the sign-in host", what="the lookup of the tenant", tenant_id=wanted, safe=True
        ) from error
    if answer.status_code == 429 or answer.status_code >= 500:
        raise NotYet(
            "sign_in_unavailable",
            f"the sign-in host answered {answer.status_code} to the lookup of tenant {wanted}",
            remediation="Nothing needs to be done; it is tried again.",
            retry_after=seconds(answer.headers.get("retry-after")),
        )
    if not answer.is_success:
        raise _refusal(wanted, answer)
    return _tenant_of(settings, wanted, answer)


def _tenant_of(settings: Settings, wanted: str, answer: httpx.Response) -> str:
    try:
        endpoint = msgspec.json.decode(answer.content, type=_Metadata).token_endpoint
    except msgspec.MsgspecError as error:
        raise _unreadable(settings, wanted) from error
    match = re.search(r"/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/", endpoint.lower())
    if match is None:
        raise _unreadable(settings, wanted)
    return match[1]


def _unreadable(settings: Settings, wanted: str) -> Refused:
    return Refused(
        "tenant_metadata_unreadable",
        f"what {settings.cloud.login} says about tenant {wanted} is no OpenID metadata",
        remediation="Check CLOUD, and whether a proxy answers in the place of the sign-in host.",
    )


def _refusal(wanted: str, answer: httpx.Response) -> NotFound | InvalidRequest | Refused:
    try:
        refusal = msgspec.json.decode(answer.content, type=_Refusal)
    except msgspec.MsgspecError:
        refusal = _Refusal()
    codes = set(refusal.error_codes) or {
        int(code) for code in re.findall(r"AADSTS(\d+)", refusal.error_description)
    }
    if codes & {900023, 900021}:
        return _invalid("tenant_invalid", f"{wanted!r} is neither a tenant id nor a domain")
    if 90002 in codes or refusal.error == "invalid_tenant":
        return NotFound(
            "tenant_not_found",
            f"there is no tenant {wanted} in this cloud",
            remediation=_ADVICE + " Check also that CLOUD is the tenant's cloud.",
            field="tenant",
        )
    return Refused(
        "tenant_lookup_refused",
        f"the sign-in host answered {answer.status_code} {refusal.error[:60]} to the lookup of"
        f" tenant {wanted}",
        remediation=_ADVICE,
    )


def _invalid(code: str, message: str) -> InvalidRequest:
    return InvalidRequest(code, message, remediation=_ADVICE, field="tenant")
