"""What the OpenAPI document says of each HTTP function, by its name: what code does not tell.

The shapes are the models themselves; examples are made of them, so they cannot be wrong. Codes of
refusals are named where they are the caller's; those of services that we ask are in the runbook.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec
from msgspec import Struct

from shared.arrivals.consent import ConsentLink
from shared.arrivals.lines import COLUMNS, MOST_LINES
from shared.arrivals.partner_center import Answer as PartnerAnswer
from shared.arrivals.partner_center import PartnerEvent
from shared.arrivals.partner_center import Report as PartnerReport
from shared.arrivals.reception import Reception
from shared.audit.fleet_report import FleetReport
from shared.audit.report import AuditReport
from shared.manifest import manifest_names
from shared.models import (
    OnboardingRequest,
    Operation,
    OperationKind,
    OperationStatus,
    Outcome,
    Step,
    operation_id,
)
from shared.overview import Overview
from shared.permissions.request import PermissionRequest
from shared.transitions import TenantState
from shared.triggers.audits import AuditRequest, FleetRequest
from shared.triggers.batches import BatchView
from shared.triggers.certificates import Stored
from shared.triggers.events import Events
from shared.triggers.health import Health
from shared.triggers.policies import PolicyList
from shared.triggers.tenants import (
    MOST_ASKED,
    Accepted,
    OperationList,
    TenantPage,
    TenantView,
)

JSON = "application/json"

_TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
_BEGUN = datetime(2026, 9, 10, 8, tzinfo=UTC)
_ID = operation_id(_TENANT, _BEGUN)


class FleetView(Struct, omit_defaults=True, rename="camel"):
    """A run over all tenants, and how far it is.

    Counters count tenants: ``audited`` is ``clean`` + ``withFindings`` + ``failing`` + ``refused``,
    each tenant by its newest audit in the run. ``failing``: the audit did not succeed; ``refused``:
    nothing was put right for want of rights; ``wouldChange``: the look found something to put
    right; ``mended``: that was done, and the audit that did it succeeded; ``busy``: left out for
    another operation. ``notice`` says what is left to do.
    """

    phase: Literal["look", "mend", "done", "stopped", "cancelled", "failed"]
    id: str
    started_at: datetime
    confirmed: bool
    tenants: int
    audited: int
    clean: int
    with_findings: int
    failing: int
    refused: int
    mended: int
    busy: int
    in_flight: int
    would_change: int
    manifest: str | None = None
    notice: str | None = None
    finished_at: datetime | None = None


# --- the parts of a description ------------------------------------------------------------------


@dataclass(frozen=True)
class Content:
    """A body in one media type: a model, or a schema where it is no JSON of ours."""

    model: Any = None
    schema: Mapping[str, Any] | None = None
    example: Any = None


@dataclass(frozen=True)
class Answer:
    """An answer that is no refusal; ``location`` and ``retry_after``: it has these headers."""

    description: str
    content: Mapping[str, Content]
    location: bool = False
    retry_after: bool = False


@dataclass(frozen=True)
class Parameter:
    """A parameter of the path or of the query. Those of paths are described by their name."""

    name: str
    place: Literal["path", "query"] = "query"
    description: str = ""
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    example: Any = None

    def told(self) -> dict[str, Any]:
        """Description, schema and example."""
        description, example = self.description, self.example
        if self.place == "path":
            description, example = _IN_PATHS[self.name]
        told: dict[str, Any] = {"description": description, "schema": dict(self.schema)}
        return told if example is None else {**told, "example": example}


@dataclass(frozen=True)
class Description:
    """What a route is for. ``refusals``: codes by status; an empty tuple: see the runbook."""

    tag: str
    summary: str
    answers: Mapping[int, Answer]
    refusals: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    details: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Mapping[str, Content] | None = None
    body_required: bool = True

    def models(self) -> Iterator[Any]:
        """The models of its bodies."""
        contents = [*(self.body or {}).values()]
        for answer in self.answers.values():
            contents += answer.content.values()
        yield from (content.model for content in contents if content.model is not None)


def _json(model: Any, example: Any = None) -> dict[str, Content]:
    """A JSON body; the example is a model, or JSON that is one."""
    shown = None if example is None else msgspec.to_builtins(example)
    return {JSON: Content(model, example=shown)}


def _text(*media_types: str) -> dict[str, Content]:
    return {media_type: Content(schema={"type": "string"}) for media_type in media_types}


def _ok(model: Any, description: str, example: Any = None) -> dict[int, Answer]:
    return {200: Answer(description, _json(model, example))}


# --- what comes again ----------------------------------------------------------------------------

_IN_PATHS: dict[str, tuple[str, Any]] = {
    "tenant": ("A tenant id in any spelling, or any domain of the tenant.", "fabrikam.example"),
    "id": ("The id of the operation or the batch, from the link of the answer that began it.", _ID),
    "name": (f"A permission manifest: {', '.join(manifest_names())}.", manifest_names()[-1]),
}

_BODY = ("body_too_large", "body_empty", "body_not_json", "field_invalid")
_OPTIONAL_BODY = ("body_too_large", "body_not_json", "field_invalid")
_TENANT_CODES = ("tenant_missing", "tenant_not_one", "tenant_invalid")
_ORDER = (
    *_BODY,
    *_TENANT_CODES,
    "space_missing",
    "manifest_unknown",
    "subscriptions_ambiguous",
    "vault_unknown",
    "authentication_conflict",
)
_STANDING = ("application_differs", "space_differs")
"""What a request would change of a tenant, and cannot."""
_SERVICES: dict[int, tuple[str, ...]] = {502: (), 503: ()}
"""A service that we ask said no, or cannot be asked for now."""

_ACCEPTED = {
    202: Answer(
        "The operation has begun.",
        _json(
            Accepted,
            Accepted(
                _ID,
                _TENANT,
                {"operation": f"/api/operations/{_ID}", "tenant": f"/api/tenants/{_TENANT}"},
            ),
        ),
        location=True,
        retry_after=True,
    )
}
_OPERATION = Operation(
    id=_ID,
    kind=OperationKind.ONBOARD,
    tenant_id=_TENANT,
    status=OperationStatus.RUNNING,
    started_at=_BEGUN,
    steps=[
        Step(
            name="preflight",
            outcome=Outcome.PASSED,
            message="nothing is missing",
            started_at=_BEGUN,
            finished_at=_BEGUN + timedelta(seconds=2),
            attempts=1,
        ),
        Step(name="certificate", started_at=_BEGUN + timedelta(seconds=2), attempts=1),
    ],
)
_REPORT_FORMATS = ("json", "csv", "html", "junit")


def _format(names: tuple[str, ...]) -> Parameter:
    return Parameter(
        "format",
        description="Goes before the header Accept.",
        schema={"type": "string", "enum": list(names)},
        example=names[0],
    )


def _report(model: Any) -> dict[int, Answer]:
    content = {**_json(model), **_text("text/csv", "text/html", "application/xml")}
    return {200: Answer("The report.", content)}


_FLEET = {202: Answer("The run has begun.", _json(FleetView), location=True, retry_after=True)}
_BATCH = {
    202: Answer("The batch, with its lines.", _json(BatchView), location=True, retry_after=True)
}
_BATCH_REFUSALS = {404: ("batch_unknown",), **_SERVICES}

# --- the routes ----------------------------------------------------------------------------------

DESCRIPTIONS: dict[str, Description] = {
    "onboard_tenant_request": Description(
        "Tenants",
        "Onboard a tenant",
        _ACCEPTED,
        {400: _ORDER, 404: ("tenant_not_found",), 409: ("tenant_busy", *_STANDING), **_SERVICES},
        details="Everything is looked at first and changed only where it is not right yet, so the"
        " request may be sent again at any time.",
        body=_json(OnboardingRequest, {"tenant": "fabrikam.example", "manifest": "quick-setup"}),
    ),
    "plan_request": Description(
        "Tenants",
        "What onboarding would do; nothing is written",
        _ok(Operation, "The steps, with what each would do.", _OPERATION),
        {400: _ORDER, 404: ("tenant_not_found",), 409: _STANDING, **_SERVICES},
        body=_json(OnboardingRequest, {"tenant": "fabrikam.example"}),
    ),
    "list_tenants": Description(
        "Tenants",
        "Tenant records, paged",
        _ok(TenantPage, "A page; `next` is the link to the following one.", TenantPage([], None)),
        {400: ("field_invalid",), **_SERVICES},
        parameters=(
            Parameter(
                "state",
                description="Only tenants in this state.",
                schema={"type": "string", "enum": [str(state) for state in TenantState]},
                example="onboarded",
            ),
            Parameter(
                "limit",
                description="Records of a page; 100 without it.",
                schema={"type": "integer", "minimum": 1, "maximum": 1000},
                example=50,
            ),
            Parameter("after", description="From the link `next` of the page before."),
        ),
    ),
    "get_tenant": Description(
        "Tenants",
        "A tenant with its newest operation",
        _ok(TenantView, "The record and the operation.", TenantView(_TENANT, None, _OPERATION)),
        {400: _TENANT_CODES, 404: ("tenant_not_found", "tenant_unknown"), **_SERVICES},
    ),
    "offboard_tenant_request": Description(
        "Tenants",
        "Remove everything of ours from a tenant",
        _ACCEPTED,
        {
            400: ("field_invalid", *_TENANT_CODES),
            404: ("tenant_not_found", "tenant_unknown"),
            409: ("tenant_busy",),
            **_SERVICES,
        },
        details="The receipt is in the tenant's record once the operation has ended.",
        parameters=(
            Parameter(
                "purge",
                description="`true` deletes for good, not softly.",
                schema={"type": "string", "enum": ["true", "false"]},
                example="false",
            ),
        ),
    ),
    "get_operation": Description(
        "Operations",
        "An operation with its steps, running or ended",
        {200: Answer("The operation.", _json(Operation, _OPERATION), retry_after=True)},
        {404: ("operation_unknown",), **_SERVICES},
    ),
    "list_operations": Description(
        "Operations",
        "The newest operation of each of some tenants",
        _ok(OperationList, "Those of tenants that have one.", OperationList([_OPERATION])),
        {400: ("field_invalid", *_TENANT_CODES), **_SERVICES},
        parameters=(
            Parameter(
                "tenants",
                description=f"Tenant ids, separated by commas; {MOST_ASKED} at most. Required.",
                example=_TENANT,
            ),
        ),
    ),
    "cancel_operation_request": Description(
        "Operations",
        "Stop an operation at the next safe point",
        _ACCEPTED,
        {404: ("operation_unknown",), 409: ("operation_ended",), **_SERVICES},
        details="A step that runs comes to its end, a pause ends at once, the steps after it are"
        " skipped. Nothing is undone; the same request may be sent again.",
    ),
    "rotate_tenant_request": Description(
        "Certificates",
        "Give a tenant a new certificate beside its old one",
        _ACCEPTED,
        {
            400: _TENANT_CODES,
            404: ("tenant_not_found", "tenant_unknown"),
            409: ("tenant_busy", "nothing_to_rotate"),
            **_SERVICES,
        },
    ),
    "put_certificate": Description(
        "Certificates",
        "Store your own RSA key and certificate in the vault",
        _ok(Stored, "Where it is now."),
        {400: (), 404: ("tenant_not_found",), **_SERVICES},
        details="The body is the PEM itself. It enters no record, no log and no answer.",
        body={
            "application/x-pem-file": Content(schema={"type": "string"}),
            "text/plain": Content(schema={"type": "string"}),
        },
    ),
    "audit_request": Description(
        "Audits",
        "Audit a tenant now",
        _ACCEPTED,
        {
            400: (*_OPTIONAL_BODY, *_TENANT_CODES),
            404: ("tenant_not_found", "tenant_unknown"),
            409: ("tenant_busy", "nothing_to_audit"),
            **_SERVICES,
        },
        body=_json(AuditRequest, {"repair": "report"}),
        body_required=False,
    ),
    "tenant_report": Description(
        "Audits",
        "The newest audit of a tenant, or that of an operation",
        _report(AuditReport),
        {
            400: ("format_unknown", *_TENANT_CODES),
            404: ("tenant_not_found", "tenant_unknown", "report_unknown"),
            **_SERVICES,
        },
        parameters=(
            _format(_REPORT_FORMATS),
            Parameter("operation", description="The id of an audit.", example=_ID),
        ),
    ),
    "fleet_report": Description(
        "Audits",
        "The newest audit of every tenant",
        _report(FleetReport),
        {400: ("format_unknown",), **_SERVICES},
        parameters=(_format(_REPORT_FORMATS),),
    ),
    "fleet_audit_request": Description(
        "Audits",
        "Start a run over all tenants",
        _FLEET,
        {400: _OPTIONAL_BODY, 409: ("fleet_running",), **_SERVICES},
        body=_json(FleetRequest, FleetRequest(confirm=False)),
        body_required=False,
    ),
    "fleet_audit_status": Description(
        "Audits",
        "The newest run over all tenants",
        _ok(FleetView, "How far it is; every counter is there from the start."),
        {404: ("fleet_run_unknown",), **_SERVICES},
    ),
    "fleet_cancel_request": Description(
        "Audits",
        "Have the run over all tenants start no more audits",
        {202: Answer("It was asked to stop.", _json(FleetView), location=True, retry_after=True)},
        {409: ("fleet_not_running",), **_SERVICES},
        details="Audits that run come to their end, and what was put right stays so. A run that has"
        " nothing left to do by then ends as done.",
    ),
    "rollout_request": Description(
        "Audits",
        "Bring all tenants to a newer permission manifest",
        _FLEET,
        {400: (*_OPTIONAL_BODY, "manifest_unknown"), 409: ("fleet_running",), **_SERVICES},
        body=_json(FleetRequest, FleetRequest(confirm=True)),
        body_required=False,
    ),
    "onboard_batch_request": Description(
        "Batches",
        "Onboard many tenants",
        _BATCH,
        {
            400: (
                "body_too_large",
                "body_not_json",
                "body_not_array",
                "batch_empty",
                "batch_too_long",
                "csv_malformed",
            ),
            415: ("content_type_unknown",),
            **_SERVICES,
        },
        details=f"At most {MOST_LINES} lines. Each gets a verdict of its own; good lines start"
        " though others are bad.",
        body={
            JSON: Content(
                schema={
                    "type": "array",
                    "items": {"$ref": "#/components/schemas/OnboardingRequest"},
                    "minItems": 1,
                    "maxItems": MOST_LINES,
                },
                example=[{"tenant": "fabrikam.example"}],
            ),
            "text/csv": Content(
                schema={"type": "string", "description": f"Columns: {', '.join(COLUMNS)}."},
                example="tenant\nfabrikam.example\n",
            ),
        },
    ),
    "get_batch": Description(
        "Batches",
        "A batch with its lines",
        {200: Answer("The batch.", _json(BatchView), retry_after=True)},
        _BATCH_REFUSALS,
    ),
    "cancel_batch": Description("Batches", "Start no more lines", _BATCH, _BATCH_REFUSALS),
    "retry_batch": Description(
        "Batches", "Failed and cancelled lines again", _BATCH, _BATCH_REFUSALS
    ),
    "list_events": Description(
        "Arrivals",
        "The newest tenant-added events and what became of each",
        _ok(Events, "Newest first."),
        {400: ("field_invalid",), **_SERVICES},
        parameters=(
            Parameter(
                "reception",
                description="Only events of which this became.",
                schema={"type": "string", "enum": [str(each) for each in Reception]},
                example="rejected",
            ),
        ),
    ),
    "make_consent_link": Description(
        "Arrivals",
        "A consent link for a customer's administrator; works once",
        _ok(ConsentLink, "The link."),
        {400: _TENANT_CODES, 404: ("tenant_not_found",), **_SERVICES},
    ),
    "consent_callback": Description(
        "Arrivals",
        "Where Microsoft sends the administrator back",
        {
            200: Answer("The consent was proven.", _text("text/html")),
            400: Answer("It was not; the page says why.", _text("text/html")),
            502: Answer("We cannot sign in to the tenant.", _text("text/html")),
            503: Answer("Not yet; the page says what to do.", _text("text/html")),
        },
        details="Needs no key: a state that works once proves that we sent the administrator.",
        parameters=tuple(
            Parameter(name, description="As Microsoft sends it.")
            for name in ("state", "tenant", "admin_consent", "error", "error_description")
        ),
    ),
    "partner_center_event": Description(
        "Arrivals",
        "A signed event of Partner Center",
        _ok(PartnerAnswer, "What was made of it."),
        {400: ("body_too_large", "partner_event_malformed"), 401: ("signature_invalid",)}
        | {404: ("relationship_unknown",)}
        | _SERVICES,
        details="Needs no key: the signature over the body is checked.",
        body=_json(PartnerEvent),
    ),
    "partner_center_report": Description(
        "Arrivals",
        "Customers without a record and relationships that end",
        _ok(PartnerReport, "As last listed."),
        {404: ("partner_report_missing",), **_SERVICES},
    ),
    "list_policies": Description(
        "Mondoo",
        "The policies of a space, with what is assigned",
        _ok(PolicyList, "The policies."),
        {400: ("space_missing", "field_invalid"), **_SERVICES},
        parameters=(
            Parameter(
                "space",
                description="The MRN of a space; that of the settings without it.",
                example="//captain.api.mondoo.app/spaces/acme",
            ),
            Parameter("search", description="Words.", example="CIS Microsoft 365"),
        ),
    ),
    "read_overview": Description(
        "Interface",
        "How all tenants stand: counted, and those named that need somebody",
        _ok(Overview, "All tenants."),
        _SERVICES,
    ),
    "dashboard": Description(
        "Interface",
        "The same as a page that asks this interface",
        {200: Answer("The page, which holds nothing of any tenant.", _text("text/html"))},
    ),
    "permission_request": Description(
        "Interface",
        "The permission request that a security team can sign",
        {
            200: Answer(
                "The request.", {**_json(PermissionRequest), **_text("text/markdown", "text/html")}
            )
        },
        {400: ("manifest_unknown", "format_unknown")},
        parameters=(
            Parameter(
                "manifest",
                description="The list; that of the settings without it.",
                schema={"type": "string", "enum": list(manifest_names())},
                example=manifest_names()[0],
            ),
            _format(("json", "md", "html")),
        ),
    ),
    "openapi_document": Description(
        "Interface",
        "This document",
        {200: Answer("The document.", {JSON: Content(schema={"type": "object"})})},
    ),
    "health": Description(
        "Interface",
        "Whether the app is up; asks no other service",
        _ok(Health, "It is.", Health("up", list(manifest_names()))),
    ),
}
