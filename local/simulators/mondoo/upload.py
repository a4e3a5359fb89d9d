"""Uploads of findings: a signed address for a while, a body, and a word that it is there.

The three calls of `cnspec upload`: GetUploadURL (a session and where to put it), PUT without the
platform's bearer token but with the headers that came along, ReportUploadCompleted. An address
expires, and is good for one body.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from local.simulators.mondoo import mrn
from local.simulators.mondoo.estate import Estate, ServiceAccount, rfc3339
from local.simulators.mondoo.findings import read_findings
from local.simulators.mondoo.permissions import Permission, require
from local.simulators.mondoo.status import Code, StatusError

KIND = "UPLOAD_URL_KIND_THIRD_PARTY_FINDINGS"
KIND_NUMBER = 3
HEADER = "x-mondoo-upload"


@dataclass(slots=True, repr=False)
class Session:
    """An upload in the making."""

    id: str
    scope_mrn: str
    account_mrn: str
    signature: str
    expires: datetime
    findings: list[Mapping[str, Any]] | None = None
    completed: bool = False


class Uploads:
    """All uploads, and the findings that came of them, by scope and id.

    `lifetime` is how long an address is good, in seconds of the simulators' clock.
    """

    def __init__(self, estate: Estate) -> None:
        self.lifetime = 300.0
        self.findings: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._estate = estate
        self._sessions: dict[str, Session] = {}

    def of(self, scope_mrn: str) -> list[Mapping[str, Any]]:
        """The findings of a scope."""
        return [finding for (scope, _), finding in self.findings.items() if scope == scope_mrn]

    def open(
        self, account: ServiceAccount, request: Mapping[str, Any], base: str
    ) -> dict[str, Any]:
        """GetUploadURL."""
        if request.get("kind") not in (KIND, KIND_NUMBER):
            raise StatusError(Code.INVALID_ARGUMENT, "kind is not supported")
        scope_mrn = _text(request, "scope_mrn")
        require(self._estate, account, scope_mrn, Permission.REPORT)
        session = Session(
            mrn.new_id(),
            scope_mrn,
            account.mrn,
            secrets.token_urlsafe(24),
            self._estate.clock.now() + timedelta(seconds=self.lifetime),
        )
        self._sessions[session.id] = session
        return {
            "upload_session_id": session.id,
            "upload_url": {
                "url": f"{base}/uploads/{session.id}?sig={session.signature}",
                "headers": {HEADER: session.id},
                "expires_at": rfc3339(session.expires),
            },
        }

    def put(self, session_id: str, signature: str, header: str, body: bytes) -> None:
        """The body at the signed address.

        Raises:
            StatusError: `PermissionDenied` for an address that is wrong, used or expired, or
                without its header; `InvalidArgument` for a body that is not good.
        """
        session = self._sessions.get(session_id)
        if session is None or not secrets.compare_digest(
            session.signature.encode(), signature.encode()
        ):
            raise StatusError(Code.PERMISSION_DENIED, "the signature does not match")
        if session.expires <= self._estate.clock.now():
            raise StatusError(Code.PERMISSION_DENIED, "the upload URL has expired")
        if header != session.id:
            raise StatusError(Code.PERMISSION_DENIED, f"header {HEADER} is required")
        if session.findings is not None:
            raise StatusError(Code.PERMISSION_DENIED, "the upload URL was used")
        try:
            document = json.loads(body)
        except ValueError as error:
            raise StatusError(Code.INVALID_ARGUMENT, "the body is not JSON") from error
        session.findings = read_findings(document, session.scope_mrn)

    def complete(self, account: ServiceAccount, request: Mapping[str, Any]) -> dict[str, Any]:
        """ReportUploadCompleted: now the findings count; one with a known id replaces it."""
        session = self._sessions.get(_text(request, "upload_session_id"))
        scope_mrn = _text(request, "scope_mrn")
        if session is None or session.account_mrn != account.mrn:
            raise StatusError(Code.NOT_FOUND, "upload session not found")
        if session.scope_mrn != scope_mrn:
            raise StatusError(Code.INVALID_ARGUMENT, "scope_mrn is not that of the session")
        if session.findings is None:
            raise StatusError(Code.FAILED_PRECONDITION, "nothing was uploaded")
        for finding in session.findings:
            self.findings[scope_mrn, finding["id"]] = finding
        session.completed = True
        return {}


def _text(request: Mapping[str, Any], name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not value:
        raise StatusError(Code.INVALID_ARGUMENT, f"{name} is required")
    return value
