"""The body of a bulk request: JSON array or CSV, each line of which is good or bad by itself.

CSV has a header row with the names of `COLUMNS`, in any order; UTF-8 with or without byte order
mark, fields in quotes where they need them, LF or CRLF; empty fields count as left out, blank lines
are passed over. What concerns the whole (no header, an unknown column, too many lines) refuses the
whole, since no line could be trusted then. A tenant's existence is not asked for here: a thousand
answers would take longer than a request may; a line that names nobody ends as such in its turn.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.arrivals.fields import refused_field
from shared.entra.tenants import parse_tenant
from shared.errors import InvalidRequest, RequestError, UnknownContentType
from shared.manifest import load_manifest
from shared.models import OnboardingRequest

LARGEST_BODY = 2 * 1024 * 1024
"""Bytes."""
MOST_LINES = 1000
LONGEST_SHOWN = 255

COLUMNS = (
    "tenant",
    "space",
    "organization",
    "spaceName",
    "manifest",
    "applicationName",
    "policies",
    "authentication",
    "adopt",
)
"""Columns of a CSV file. ``organization`` (and ``spaceName``) ask for a space of the tenant's own;
``policies`` are separated by spaces or semicolons."""


@dataclass(frozen=True)
class BulkLine:
    """One line: where it was, the tenant as it was written, and the request or what is wrong."""

    number: int
    tenant: str
    request: OnboardingRequest | None = None
    problem: RequestError | None = None


def read_lines(body: bytes, content_type: str) -> list[BulkLine]:
    """The lines of a bulk request, in their order.

    ``number`` counts from 1: elements of the JSON array, lines of the CSV file (the header is 1).

    Raises:
        InvalidRequest: the whole cannot be read, is empty or too long.
        UnknownContentType: it is neither JSON nor CSV.
    """
    if len(body) > LARGEST_BODY:
        raise _refused("body_too_large", f"the body has {len(body)} bytes", f"{LARGEST_BODY} bytes")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/csv":
        found = list(_csv_lines(body))
    elif kind in ("", "application/json"):
        found = list(_json_lines(body))
    else:
        raise UnknownContentType(
            "content_type_unknown",
            "the body is neither application/json nor text/csv",
            remediation="Send a JSON array or a CSV file, and say which in Content-Type.",
            field="Content-Type",
        )
    if not found:
        raise InvalidRequest(
            "batch_empty",
            "the request has no lines",
            remediation="Send at least one tenant.",
            field="(body)",
        )
    if len(found) > MOST_LINES:
        raise _refused("batch_too_long", f"there are {len(found)} lines", f"{MOST_LINES} lines")
    return _without_repeats(found)


def _without_repeats(lines: list[BulkLine]) -> list[BulkLine]:
    first: dict[str, int] = {}
    kept: list[BulkLine] = []
    for line in lines:
        if line.request is not None:
            tenant = parse_tenant(line.request.tenant)
            before = first.setdefault(tenant, line.number)
            if before != line.number:
                problem = InvalidRequest(
                    "line_repeated",
                    f"the tenant is in line {before} already",
                    remediation="Remove one of the two lines.",
                    field="tenant",
                )
                kept.append(BulkLine(line.number, line.tenant, problem=problem))
                continue
        kept.append(line)
    return kept


# --- JSON ----------------------------------------------------------------------------------------


def _json_lines(body: bytes) -> Iterator[BulkLine]:
    try:
        elements = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidRequest(
            "body_not_json",
            "the body is not JSON",
            remediation="Send a JSON array in UTF-8, or a CSV file with Content-Type text/csv.",
            field="(body)",
        ) from error
    if not isinstance(elements, list):
        raise InvalidRequest(
            "body_not_array",
            "the body is no JSON array",
            remediation='Send an array of requests, such as [{"tenant": "fabrikam.example"}].',
            field="(body)",
        )
    for number, element in enumerate(elements, 1):
        yield _line(number, element)


def _line(number: int, fields: Any) -> BulkLine:
    written = fields.get("tenant") if isinstance(fields, dict) else None
    tenant = written[:LONGEST_SHOWN] if isinstance(written, str) else ""
    try:
        try:
            request = msgspec.convert(fields, OnboardingRequest)
        except msgspec.ValidationError as error:
            raise refused_field(str(error), whole="(line)") from error
        parse_tenant(request.tenant)
        if isinstance(request.manifest, str):
            load_manifest(request.manifest)
    except RequestError as problem:
        return BulkLine(number, tenant, problem=problem)
    return BulkLine(number, tenant, request=request)


# --- CSV -----------------------------------------------------------------------------------------


def _csv_lines(body: bytes) -> Iterator[BulkLine]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _bad_csv("the file is not UTF-8") from error
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        header = next(rows, None)
        names = _columns(header or [])
        before = rows.line_num
        for row in rows:
            number, before = before + 1, rows.line_num
            if row:
                yield _row(number, names, row)
    except csv.Error as error:
        raise _bad_csv(f"line {rows.line_num} cannot be read ({error})") from error


def _columns(header: list[str]) -> list[str]:
    known = {name.lower(): name for name in COLUMNS}
    names = [known.get(name.strip().lower(), "") for name in header]
    if "tenant" not in names:
        raise _bad_csv("the first line has no column tenant")
    unknown = [name.strip()[:80] for name, found in zip(header, names, strict=True) if not found]
    if unknown:
        raise _bad_csv(f"the first line has unknown columns: {', '.join(map(repr, unknown))}")
    if len(set(names)) != len(names):
        raise _bad_csv("the first line names a column twice")
    return names


def _row(number: int, names: list[str], row: list[str]) -> BulkLine:
    values = dict(zip(names, (field.strip() for field in row), strict=False))
    tenant = values.get("tenant", "")[:LONGEST_SHOWN]
    if len(row) != len(names):
        problem = _bad_line(f"the line has {len(row)} fields, the header {len(names)}", "(line)")
        return BulkLine(number, tenant, problem=problem)
    for name, value in values.items():
        if "\n" in value or "\r" in value:
            problem = _bad_line(f"{name} holds a line break: a quote was not closed?", name)
            return BulkLine(number, tenant.split("\n")[0].strip(), problem=problem)
    try:
        fields = _fields({name: value for name, value in values.items() if value})
    except InvalidRequest as error:
        return BulkLine(number, tenant, problem=error)
    return _line(number, fields)


def _fields(values: dict[str, str]) -> dict[str, Any]:
    """The fields of a request, from columns that are not empty."""
    fields: dict[str, Any] = dict(values)
    if "policies" in values:
        fields["policies"] = values["policies"].replace(";", " ").split()
    organization, name = fields.pop("organization", None), fields.pop("spaceName", None)
    if name is not None and organization is None:
        raise _bad_line("spaceName without organization", "spaceName")
    if organization is not None:
        if "space" in fields:
            raise _bad_line("space and organization exclude each other", "space")
        fields["space"] = {"create": True, "organization": organization}
        if name is not None:
            fields["space"]["name"] = name
    return fields


def _bad_line(message: str, field: str) -> InvalidRequest:
    return InvalidRequest(
        "line_malformed",
        message,
        remediation="Correct the line; the columns are in the README.",
        field=field,
    )


def _bad_csv(message: str) -> InvalidRequest:
    return InvalidRequest(
        "csv_malformed",
        message,
        remediation=f"Send UTF-8 with a header row; columns are {', '.join(COLUMNS)}.",
        field="(body)",
    )


def _refused(code: str, message: str, limit: str) -> InvalidRequest:
    return InvalidRequest(
        code, f"{message}; {limit} are allowed", remediation="Send several batches.", field="(body)"
    )
