"""Proof that the application works: signing in as it, and reading once from each service.

Each run starts with fresh tokens, since a token keeps the permissions it was issued with
(microsoft-graph-docs#4765). For every service the ``roles`` of its token must include what was
granted there; then one harmless read must succeed:

* Graph: ``GET /organization``, which is also the scanner's own connection test;
* Exchange Online: ``Get-OrganizationConfig`` through the admin API of its PowerShell module, which
  wants the permission ``Exchange.ManageAsApp`` and a directory role;
* SharePoint Online: the title of the admin site;
* Exchange Online Protection: the token only; its PowerShell has no single read to try.

A service that refuses may not have heard of the grant or the role yet, so 401 and 403 are `NotYet`.
The PEM stays in this module and reaches no exception.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from shared.azure_transport import open_session
from shared.config import Settings
from shared.entra.graph import API_VERSION, no_answer, roles_of, seconds
from shared.entra.identity import authority_options, certificate_credential
from shared.entra.sign_in_errors import classify
from shared.errors import NotYet, OnboardingError, Refused
from shared.manifest import ServiceName

ANCHOR_MAILBOX = "SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}"
"""Exchange's organization mailbox, the same in every tenant; it routes the call."""

LONGEST_QUOTE = 200


@dataclass(frozen=True)
class Probe:
    """A service to try: its display name, and the roles that its token must carry."""

    service: ServiceName
    name: str
    roles: frozenset[str]


@dataclass(frozen=True)
class ProbeResult:
    """A service that answered."""

    service: ServiceName
    message: str


@dataclass(frozen=True)
class _Read:
    """Where a service is: the audience of its tokens, and the one read, if it has one."""

    audience: str
    request: Callable[[], httpx.Request] | None


async def prove(
    settings: Settings,
    http: httpx.AsyncClient,
    *,
    tenant_id: str,
    initial_domain: str,
    app_id: str,
    pem: str,
    probes: Sequence[Probe],
) -> list[ProbeResult]:
    """Sign in as the application with its certificate and try every probe.

    All probes are tried even when one fails, so that everything wrong is told at once.

    Raises:
        NotYet: a service does not know the certificate, a grant or the role yet.
        Refused: a service, or the sign-in, refused for good.
    """
    if not probes:
        raise Refused(
            "nothing_to_prove",
            f"application {app_id} was granted nothing in tenant {tenant_id}, so no sign-in can"
            " prove anything",
            remediation="Grant the manifest's permissions first.",
            tenant_id=tenant_id,
        )
    reads = _reads(settings, http, tenant_id, initial_domain)
    results: list[ProbeResult] = []
    failures: list[OnboardingError] = []
    async with open_session(settings) as session:
        options = authority_options(settings, session)
        credential: Any = certificate_credential(tenant_id, app_id, pem, options)
        for probe in probes:
            try:
                results.append(
                    await _try(http, credential, reads[probe.service], probe, app_id, tenant_id)
                )
            except OnboardingError as error:
                failures.append(error)
    if failures:
        raise _worst(failures)
    return results


async def _try(
    http: httpx.AsyncClient,
    credential: Any,
    read: _Read,
    probe: Probe,
    app_id: str,
    tenant_id: str,
) -> ProbeResult:
    from azure.core.exceptions import AzureError

    what = f"application {app_id}, signing in to {probe.name}"
    try:
        token = (await credential.get_token(f"{read.audience}/.default")).token
    except AzureError as error:
        raise classify(error, tenant_id=tenant_id, what=what, young=True) from error
    missing = sorted(probe.roles - roles_of(token))
    if missing:
        raise NotYet(
            f"{_code(probe)}_roles_missing",
            f"{what} in tenant {tenant_id}: the token does not carry {', '.join(missing)} yet",
            remediation="Grants take minutes to reach tokens. If it lasts, check under Enterprise"
            " applications that the permissions are granted.",
            tenant_id=tenant_id,
        )
    if read.request is not None:
        await _read(http, read.request(), token, probe, tenant_id, what)
    verb = "answered" if read.request is not None else "gave a token"
    return ProbeResult(probe.service, f"{probe.name} {verb} with {_roles(probe)}")


async def _read(
    http: httpx.AsyncClient,
    request: httpx.Request,
    token: str,
    probe: Probe,
    tenant_id: str,
    what: str,
) -> None:
    request.headers["Authorization"] = f"Bearer {token}"
    try:
        answer = await http.send(request)
    except httpx.TransportError as error:
        raise no_answer(error, probe.name, what=what, tenant_id=tenant_id, safe=True) from error
    if answer.is_success:
        return
    code, text = _complaint(answer)
    message = f"{what} in tenant {tenant_id}: {answer.status_code} {code} {text}".rstrip()
    request_id = answer.headers.get("request-id") or answer.headers.get("sprequestguid")
    if answer.status_code in (401, 403):
        raise NotYet(
            f"{_code(probe)}_access_not_effective",
            message,
            remediation=_propagation(probe),
            retry_after=seconds(answer.headers.get("retry-after")),
            tenant_id=tenant_id,
            request_id=request_id,
        )
    if answer.status_code == 429 or answer.status_code >= 500:
        raise NotYet(
            f"{_code(probe)}_unavailable",
            message,
            remediation=f"{probe.name} is busy or has a fault of its own; it is tried again.",
            retry_after=seconds(answer.headers.get("retry-after")),
            tenant_id=tenant_id,
            request_id=request_id,
        )
    raise Refused(
        f"{_code(probe)}_refused",
        message,
        remediation=f"Look the message up, or open a support case for {probe.name} with the"
        " request id.",
        tenant_id=tenant_id,
        request_id=request_id,
    )


def _reads(
    settings: Settings, http: httpx.AsyncClient, tenant_id: str, initial_domain: str
) -> dict[ServiceName, _Read]:
    cloud = settings.cloud
    site = cloud.sharepoint_of(initial_domain)
    return {
        "graph": _Read(
            cloud.graph,
            lambda: http.build_request(
                "GET", f"{cloud.graph}/{API_VERSION}/organization", params={"$select": "id"}
            ),
        ),
        "exchange": _Read(
            cloud.exchange,
            lambda: http.build_request(
                "POST",
                f"{cloud.exchange}/adminapi/beta/{tenant_id}/InvokeCommand",
                json={"CmdletInput": {"CmdletName": "Get-OrganizationConfig", "Parameters": {}}},
                headers={"X-AnchorMailbox": f"APP:{ANCHOR_MAILBOX}@{initial_domain}"},
            ),
        ),
        "sharepoint": _Read(
            site,
            lambda: http.build_request(
                "GET",
                f"{site}/_api/web",
                params={"$select": "Title"},
                headers={"Accept": "application/json;odata=nometadata"},
            ),
        ),
        "exchange-protection": _Read(cloud.compliance, None),
    }


def _propagation(probe: Probe) -> str:
    if probe.service == "exchange":
        return (
            "Exchange Online wants the permission Exchange.ManageAsApp and the directory role"
            " Global Reader, and learns of both with a delay. If it lasts, check that both are"
            " there."
        )
    return (
        f"{probe.name} learns of new permissions with a delay. If it lasts, check the grants, and"
        " Conditional Access policies for workload identities."
    )


def _complaint(answer: httpx.Response) -> tuple[str, str]:
    """Code and text of an error, in any of the three services' envelopes."""
    try:
        body = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        return "", ""
    error = body.get("error") or body.get("odata.error")
    if not isinstance(error, dict):
        return str(error or ""), str(body.get("error_description") or "")[:LONGEST_QUOTE]
    message = error.get("message")
    text = message.get("value") if isinstance(message, dict) else message
    return str(error.get("code") or ""), str(text or "")[:LONGEST_QUOTE]


def _worst(failures: list[OnboardingError]) -> OnboardingError:
    """The failure to report: one that waiting cannot heal, else the first, with all told."""
    final = [each for each in failures if not isinstance(each, NotYet)]
    if final:
        return final[0]
    first = failures[0]
    if len(failures) == 1:
        return first
    return NotYet(
        first.code,
        "; ".join(each.message for each in failures),
        remediation=" ".join(dict.fromkeys(each.remediation for each in failures)),
        retry_after=max(
            (e.retry_after for e in failures if isinstance(e, NotYet) and e.retry_after),
            default=None,
        ),
        tenant_id=first.tenant_id,
        request_id=first.request_id,
    )


def _code(probe: Probe) -> str:
    return probe.service.replace("-", "_")


def _roles(probe: Probe) -> str:
    count = len(probe.roles)
    return f"{count} role" if count == 1 else f"{count} roles"
