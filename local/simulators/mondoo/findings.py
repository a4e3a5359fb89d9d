"""Findings in the exchange format: what a finding must have to be taken.

Proto JSON in camelCase; every finding is one of `fex` or `vex`. Required members are those of the
command line tool's own validator; enumerations have their prefixes. A finding with an error is
refused with its place, and nothing of the batch is taken.

Source: mondoohq/cnspec upload/report_conversion/validate.go; mondoohq/mql fex.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from local.simulators.mondoo.status import Code, StatusError

STATUSES = frozenset(
    f"STATUS_{name}"
    for name in (
        "AFFECTED",
        "NOT_AFFECTED",
        "FIXED",
        "UNDER_INVESTIGATION",
        "FALSE_POSITIVE",
        "WONT_FIX",
    )
)
CATEGORIES = frozenset(
    f"CATEGORY_{name}"
    for name in (
        "SECURITY",
        "VULNERABILITY",
        "ADVISORY",
        "THREAT",
        "MALWARE",
        "INFORMATIONAL",
        "SECRET",
    )
)
RATINGS = frozenset(
    f"SEVERITY_RATING_{name}" for name in ("CRITICAL", "HIGH", "MEDIUM", "LOW", "NONE")
)
_REQUEST = frozenset(
    {"findings", "source", "mondooEnrichment", "spaceMrn", "createAssets", "importStartedAt"}
)
_FINDING = frozenset(
    {
        "id",
        "ref",
        "groupId",
        "summary",
        "source",
        "status",
        "details",
        "affects",
        "firstSeenAt",
        "lastSeenAt",
        "remediatedAt",
        "evidences",
        "remediations",
    }
)
_DETAILS = frozenset(
    {"category", "severity", "confidence", "description", "references", "properties"}
)
_COMPONENT = frozenset({"id", "identifiers", "properties", "file", "cloudResource"})


def read_findings(document: object, scope_mrn: str) -> list[Mapping[str, Any]]:
    """The findings of an upload for a space, all of them good.

    Raises:
        StatusError: `InvalidArgument`, with the path of the first member that is wrong.
    """
    request = _object(document, "request", _REQUEST)
    if request.get("spaceMrn") != scope_mrn:
        raise _wrong("spaceMrn", "is not the space that the upload was opened for")
    for name in ("mondooEnrichment", "createAssets"):
        if name in request and not isinstance(request[name], bool):
            raise _wrong(name, "must be true or false")
    if "importStartedAt" in request:
        _time(request["importStartedAt"], "importStartedAt")
    source = request.get("source")
    if not isinstance(source, str | dict) or not source:
        raise _wrong("source", "is required")
    entries = request.get("findings")
    if not isinstance(entries, list) or not entries:
        raise _wrong("findings", "must be a list that is not empty")
    found = []
    for number, entry in enumerate(entries):
        place = f"findings[{number}]"
        kinds = _object(entry, place, frozenset({"fex", "vex"}))
        if len(kinds) != 1:
            raise _wrong(place, "must have exactly one of fex, vex")
        kind = next(iter(kinds))
        found.append(_finding(kinds[kind], f"{place}.{kind}"))
    return found


def _finding(value: object, place: str) -> Mapping[str, Any]:
    finding = _object(value, place, _FINDING)
    for name in ("id", "summary"):
        _text(finding.get(name), f"{place}.{name}")
    source = _object(finding.get("source"), f"{place}.source", None)
    _text(source.get("name"), f"{place}.source.name")
    if finding.get("status") not in STATUSES:
        raise _wrong(f"{place}.status", "is required and must be a STATUS_ value")
    details = _object(finding.get("details"), f"{place}.details", _DETAILS)
    if details.get("category") not in CATEGORIES:
        raise _wrong(f"{place}.details.category", "is required and must be a CATEGORY_ value")
    if "severity" in details:
        severity = _object(
            details["severity"],
            f"{place}.details.severity",
            frozenset({"rating", "score", "vector", "method"}),
        )
        if severity.get("rating") not in RATINGS:
            raise _wrong(f"{place}.details.severity.rating", "must be a SEVERITY_RATING_ value")
    for name in ("firstSeenAt", "lastSeenAt", "remediatedAt"):
        if name in finding:
            _time(finding[name], f"{place}.{name}")
    affects = finding.get("affects", [])
    if not isinstance(affects, list):
        raise _wrong(f"{place}.affects", "must be a list")
    for number, entry in enumerate(affects):
        where = f"{place}.affects[{number}]"
        affected = _object(entry, where, frozenset({"component", "subComponents"}))
        component = _object(affected.get("component"), f"{where}.component", _COMPONENT)
        if "file" in component and "cloudResource" in component:
            raise _wrong(f"{where}.component", "must not have both file and cloudResource")
    return finding


def _object(value: object, place: str, members: frozenset[str] | None) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(place, "must be an object")
    if members is not None and set(value) - members:
        raise _wrong(f"{place}.{min(set(value) - members)}", "is not known")
    return value


def _text(value: object, place: str) -> None:
    if not isinstance(value, str) or not value:
        raise _wrong(place, "is required")


def _time(value: object, place: str) -> None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise _wrong(place, "must be an RFC 3339 time") from error
    if moment.tzinfo is None:
        raise _wrong(place, "must have a time zone")


def _wrong(place: str, problem: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, f"{place} {problem}")
