"""Findings of an audit, uploaded to a Mondoo space as third-party findings.

Three calls: GetUploadURL names a session and a signed address, PUT brings the findings there,
ReportUploadCompleted says that they are there. An address is short-lived and good for one body, so
an upload that fails begins again at the first call: nothing is repeated here, a durable timer calls
`send` anew, and each attempt at PUT has an address of its own. Repeating does no harm, because a
finding replaces the one with its id.

Ids are made from the tenant and the finding's key: the same trouble has the same id in every audit,
whatever its message says, and once it is gone it is sent as fixed (`shared.audit.ledger` knows).
Severities are mapped by a table that names every one of ours; there is no default to fall back to.

Mondoo calls this interface experimental, and Editors and Owners may not report: the service account
needs the role Agent in addition. Nothing is uploaded unless the settings say so. Assets are not
made: an audit describes a tenant, which has its asset from its first scan.

Source: Mondoo's command line tool (`cnspec upload`, findings), its finding exchange format (fex),
and its RPC server's error model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from shared.config import Settings
from shared.errors import NotYet, Refused
from shared.models import Finding, Severity
from shared.mondoo.client import USER_AGENT, MondooClient
from shared.tls import client_context

SOURCE = "mondoo-onboarding"
"""Who found it, as the space shows it."""
PLATFORM_ID = "//platformid.api.mondoo.app/runtime/ms365/tenant/{tenant_id}"
"""What the scanner calls a tenant; it ties a finding to the tenant's asset."""
KIND = "UPLOAD_URL_KIND_THIRD_PARTY_FINDINGS"
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
"""Seconds."""

RATINGS = {
    Severity.HIGH: "SEVERITY_RATING_HIGH",
    Severity.MEDIUM: "SEVERITY_RATING_MEDIUM",
    Severity.LOW: "SEVERITY_RATING_LOW",
    Severity.INFO: "SEVERITY_RATING_NONE",
}
CATEGORIES = {
    Severity.HIGH: "CATEGORY_SECURITY",
    Severity.MEDIUM: "CATEGORY_SECURITY",
    Severity.LOW: "CATEGORY_SECURITY",
    Severity.INFO: "CATEGORY_INFORMATIONAL",
}

_AGAIN = "Send the request again later."


@dataclass(frozen=True)
class Reported:
    """A finding as it is reported: when it was seen first and last, and when it was seen gone."""

    finding: Finding
    first_seen: datetime
    last_seen: datetime
    fixed_at: datetime | None = None


def finding_id(tenant_id: str, finding: Finding) -> str:
    """The id of a finding: the same in every audit for as long as it stands."""
    key = finding.key or f"{finding.code}:{finding.subject}"
    # Hashed, since a key may hold anything and be of any length.
    return f"{SOURCE}/{tenant_id}/{finding.code}/{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def exchange(tenant_id: str, reported: Reported) -> dict[str, Any]:
    """A finding in Mondoo's exchange format."""
    finding = reported.finding
    description = [finding.message]
    if finding.reason is not None:
        description.append(finding.reason)
    if finding.not_scanned is not None:
        description.append(f"Not scanned because of it: {finding.not_scanned}")
    platform = PLATFORM_ID.format(tenant_id=tenant_id)
    shown: dict[str, Any] = {
        "id": finding_id(tenant_id, finding),
        "ref": f"{finding.code}: {finding.subject}",
        "summary": f"{finding.subject}: {finding.message}",
        "source": {"name": SOURCE},
        "status": "STATUS_AFFECTED" if reported.fixed_at is None else "STATUS_FIXED",
        "firstSeenAt": _rfc3339(reported.first_seen),
        "lastSeenAt": _rfc3339(reported.last_seen),
        "details": {
            "category": CATEGORIES[finding.severity],
            "severity": {"rating": RATINGS[finding.severity]},
            "description": "\n\n".join(description),
            "properties": {
                "code": finding.code,
                "subject": finding.subject,
                "tenantId": tenant_id,
            },
        },
        "affects": [
            {"component": {"id": platform, "identifiers": {"platform-id": platform}}},
        ],
        "remediations": [{"summary": finding.remediation}],
    }
    if reported.fixed_at is not None:
        shown["remediatedAt"] = _rfc3339(reported.fixed_at)
    return shown


class FindingsUpload:
    """Uploads to any space that the service account may report to."""

    def __init__(self, settings: Settings, client: MondooClient) -> None:
        self._settings = settings
        self._client = client

    async def send(
        self, space: str, tenant_id: str, findings: Sequence[Reported], *, at: datetime
    ) -> None:
        """Upload the findings of the audit at ``at``; does nothing where there are none.

        Raises:
            NotYet: ``mondoo_busy``, ``mondoo_unreachable``, ``mondoo_upload_busy``,
                ``mondoo_upload_unreachable``, ``mondoo_upload_expired``: send all of it again.
            Refused: ``mondoo_may_not_report``, ``mondoo_upload_refused``,
                ``mondoo_upload_address``, and as `MondooClient.call`.
        """
        if not findings:
            return
        body = msgspec.json.encode(
            {
                "findings": [{"fex": exchange(tenant_id, one)} for one in findings],
                "source": SOURCE,
                "mondooEnrichment": True,
                "createAssets": False,
                "spaceMrn": space,
                "importStartedAt": _rfc3339(at),
            }
        )
        opened = await self._open(space)
        await self._put(opened.upload_url, body)
        await self._client.call(
            "PolicyResolver/ReportUploadCompleted",
            {"upload_session_id": opened.upload_session_id, "scope_mrn": space},
            what="report that the findings were uploaded",
        )

    async def aclose(self) -> None:
        """Close the connections."""
        if "_http" in self.__dict__:
            await self.__dict__.pop("_http").aclose()

    async def _open(self, space: str) -> _Opened:
        what = "ask where to upload findings"
        try:
            answer = await self._client.call(
                "PolicyResolver/GetUploadURL", {"kind": KIND, "scope_mrn": space}, what=what
            )
        except Refused as error:
            if error.code != "mondoo_forbidden":
                raise
            raise Refused(
                "mondoo_may_not_report",
                error.message,
                remediation=(
                    "Give the Mondoo service account the role Agent on the space, in addition:"
                    " Editors and Owners may not report. Or switch off MONDOO_FINDINGS_UPLOAD."
                ),
                request_id=error.request_id,
            ) from error
        try:
            opened = msgspec.convert(answer, _Opened)
        except msgspec.ValidationError as error:
            # The cause names the field and its type, never the signed address.
            raise _bad_address(f"the answer is not as expected: {error}") from error
        _check_address(opened.upload_url.url)
        return opened

    async def _put(self, where: _UploadUrl, body: bytes) -> None:
        """One attempt. The address is signed: whoever has it may write, so it is never named."""
        headers = httpx.Headers({"Content-Type": "application/json"})
        headers.update(where.headers)  # these have the last word
        try:
            response = await self._http.put(where.url, content=body, headers=headers)
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise Refused(
                    "mondoo_untrusted",
                    "could not upload findings: the certificate of the storage is not trusted",
                    remediation="If this network inspects TLS, name its CA in TRUSTED_CA_FILE.",
                ) from error
            raise NotYet(
                "mondoo_upload_unreachable",
                "could not upload findings: the storage that Mondoo names does not answer",
                remediation="Check that this network lets us reach Mondoo's storage.",
            ) from error
        if response.is_success:
            return
        status = response.status_code
        if status == 429 or status >= 500:
            seconds = response.headers.get("retry-after", "")
            raise NotYet(
                "mondoo_upload_busy",
                f"could not upload findings: the storage answered {status}",
                remediation=_AGAIN,
                retry_after=float(seconds) if seconds.isdecimal() else None,
            )
        if where.expires_at is not None and where.expires_at <= datetime.now(UTC):
            raise NotYet(
                "mondoo_upload_expired",
                f"could not upload findings: the address had expired ({status})",
                remediation=_AGAIN,
            )
        raise Refused(
            "mondoo_upload_refused",
            f"could not upload findings: the storage answered {status}",
            remediation=(
                "Mondoo calls this interface experimental. Switch off MONDOO_FINDINGS_UPLOAD, and"
                " look for a newer version of this app."
            ),
        )

    @cached_property
    def _http(self) -> httpx.AsyncClient:
        # Not the client of the API: what it sends by itself is not for the storage.
        return httpx.AsyncClient(
            verify=client_context(self._settings),
            timeout=TIMEOUT,
            headers={"User-Agent": USER_AGENT},
        )


class _UploadUrl(Struct):
    url: str
    headers: Mapping[str, str] = {}
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return "<signed address>"


class _Opened(Struct):
    upload_session_id: str
    upload_url: _UploadUrl


def _check_address(url: str) -> None:
    """Refuse what is not an https URL; without the cause, which would quote the address."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme != "https" or not parsed.host:
        raise _bad_address("the address is not an https URL")


def _bad_address(problem: str) -> Refused:
    return Refused(
        "mondoo_upload_address",
        f"could not upload findings: {problem}",
        remediation="Switch off MONDOO_FINDINGS_UPLOAD, and look for a newer version of this app.",
    )


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
