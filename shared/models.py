"""The shapes that travel: requests, operations with their steps, facts, tenant records.

Everything here is JSON on the wire, in the durable history and in the tenant records, in camelCase,
and holds references only (vault, name, version): a private key, a PEM or a token has no field to
sit in. Decoding is strict: unknown fields and wrong types are refused with the path of the field.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from shared.transitions import RotationState, TenantState

MARK = "managed-by:mondoo-onboarding"
"""The tag that says an object is ours. Nothing without it is ever changed or removed."""

MARK_LABEL = ("managed-by", "mondoo-onboarding")
"""The same mark where tags are pairs: vault objects and integration labels."""


class Outcome(StrEnum):
    """How a step ended. Only `PASSED`, `CHANGED`, `SKIPPED` and `WARNING` allow success."""

    PASSED = "passed"  # was right already
    CHANGED = "changed"
    PLANNED = "planned"
    SKIPPED = "skipped"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def stops(self) -> bool:
        """Whether the steps after this one must not run."""
        return self in (Outcome.FAILED, Outcome.UNKNOWN)


class OperationKind(StrEnum):
    """What an operation does to a tenant."""

    ONBOARD = "onboard"
    ROTATE = "rotate"
    OFFBOARD = "offboard"
    PLAN = "plan"  # onboarding without a write
    AUDIT = "audit"


class OperationStatus(StrEnum):
    """Where an operation is. Everything but `RUNNING` is final."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PLANNED = "planned"  # the end of a plan: nothing stands in the way
    WAITING = "waiting"  # a wait was exhausted; nothing was undone, the operation can be repeated
    REFUSED = "refused"  # before anything was changed
    CANCELLED = "cancelled"  # stopped on request; nothing was undone, it can be repeated
    FAILED = "failed"


class Severity(StrEnum):
    """How much a finding matters."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class PolicyAction(StrEnum):
    """What a policy does in a Mondoo space."""

    ACTIVE = "active"
    PREVIEW = "preview"  # shown, and counts nothing


class RepairPolicy(StrEnum):
    """What an audit may put right by itself."""

    REPORT = "report"  # nothing
    REPAIR = "repair"  # what is missing or switched off
    ENFORCE = "enforce"  # also what is too much


class ScannerAuthentication(StrEnum):
    """What Mondoo signs in with: a certificate, or tokens of its own that the application trusts
    (keyless), with which SharePoint Online cannot be scanned."""

    CERTIFICATE = "certificate"
    FEDERATED = "federated"


class Finding(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One thing that is not as it should be, and what to do about it.

    ``subject`` names the object (a permission, a resource, a credential); ``not_scanned`` says what
    Mondoo cannot scan because of it. An audit also says why it matters (``reason``), and by which
    ``key`` the same finding is known again in the same tenant.
    """

    code: str
    severity: Severity
    subject: str
    message: str
    remediation: str
    not_scanned: str | None = None
    reason: str | None = None
    key: str | None = None


class Counts(Struct, frozen=True, rename="camel"):
    """Findings by severity."""

    high: int = 0
    medium: int = 0
    low: int = 0
    info: int = 0


class CoverageState(StrEnum):
    """How much of a service the scan saw."""

    SCANNED = "scanned"
    PARTLY = "partly"
    NOT_SCANNED = "not-scanned"


class CauseKind(StrEnum):
    """What keeps a service, or a part of it, from being scanned."""

    PERMISSION = "permission"
    ROLE = "role"
    LICENCE = "licence"
    CREDENTIAL = "credential"
    APPLICATION = "application"  # disabled, deleted or blocked
    OTHER = "other"


class CoverageCause(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Why a service is not scanned in full; a finding of the same ``code`` holds the remedy.

    ``subjects`` names the permissions, the role or the resource.
    """

    kind: CauseKind
    code: str
    message: str
    subjects: list[str] = []


class ServiceCoverage(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What the newest scan covers of ``entra``, ``exchange``, ``sharepoint``, ``teams``, ``intune``
    or ``azure``; without causes it is all of it."""

    service: str
    state: CoverageState
    causes: list[CoverageCause] = []


class Step(Struct, omit_defaults=True, rename="camel"):
    """One step of an operation. ``outcome`` is absent until it ended; ``attempts`` counts calls;
    ``coverage`` is what the first scan says of each service."""

    name: str
    outcome: Outcome | None = None
    message: str = ""
    code: str | None = None
    remediation: str | None = None
    findings: list[Finding] = []
    coverage: list[ServiceCoverage] = []
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: int = 0


class Operation(Struct, omit_defaults=True, rename="camel"):
    """A run on one tenant: its steps are known from the start.

    ``id`` is ``<tenant id>.<start, UTC, to the microsecond>``, so the tenant can be read from it.
    ``cancel_requested_at`` is when it learned that it shall stop; it runs until it has stopped.
    """

    id: str
    kind: OperationKind
    tenant_id: str
    status: OperationStatus
    started_at: datetime
    steps: list[Step]
    finished_at: datetime | None = None
    cancel_requested_at: datetime | None = None

    def step(self, name: str) -> Step:
        """The step called ``name``; KeyError when there is none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)


_OPERATION_ID = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.\d{8}T\d{12}Z")


def operation_id(tenant_id: str, started_at: datetime) -> str:
    """The id of an operation that starts now on this tenant."""
    return f"{tenant_id}.{started_at:%Y%m%dT%H%M%S%f}Z"


def tenant_of_operation(identifier: str) -> str | None:
    """The tenant id inside an operation id; None when it is not an operation id."""
    match = _OPERATION_ID.fullmatch(identifier)
    return match[1] if match else None


def cancel_event(identifier: str) -> str:
    """The durable event that stops an operation. It has the operation in its name, so that one
    which comes too late is not taken for the next operation of the tenant."""
    return f"cancel.{identifier}"


# --- requests ------------------------------------------------------------------------------------

SpaceMrn = Annotated[
    str,
    Meta(
        pattern=r"^//captain\.api\.mondoo\.app/spaces/[a-z0-9_-]{4,64}$",
        description="MRN of a Mondoo space, such as //captain.api.mondoo.app/spaces/my-space",
    ),
]
OrganizationMrn = Annotated[
    str,
    Meta(
        pattern=r"^//captain\.api\.mondoo\.app/organizations/[A-Za-z0-9_-]{1,64}(?!\n)$",
        description="MRN of a Mondoo organization, such as"
        " //captain.api.mondoo.app/organizations/my-organization",
    ),
]
SpaceName = Annotated[
    str,
    Meta(
        # The narrower of the two rules that Mondoo publishes: its documentation's.
        pattern=r"^[A-Za-z0-9 '_-]{4,29}(?!\n)$",
        description="Name of a Mondoo space: 4 to 29 letters, digits, spaces, - ' or _",
    ),
]
ScopeMrn = Annotated[
    str,
    Meta(
        pattern=r"^//captain\.api\.mondoo\.app/(spaces|organizations)/[a-z0-9_-]{4,64}$",
        description="MRN of a Mondoo space or organization",
    ),
]
PolicyMrn = Annotated[
    str,
    Meta(
        pattern=r"^//policy\.api\.mondoo\.app/(spaces/[\w-]+/)?policies/[A-Za-z0-9_.-]{1,200}$",
        description="MRN of a Mondoo policy, such as"
        " //policy.api.mondoo.app/policies/mondoo-m365-security",
    ),
]
ApplicationName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=90,
        # No control characters, and nothing that reads as a PEM or spans lines.
        pattern=r"^(?!.*-----)[^\x00-\x1f\x7f]+$",
        description="Display name and unique name of the application in the tenant: on one line,"
        " without -----",
    ),
]
Guid = Annotated[
    str,
    Meta(
        pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
        max_length=36,
        description="A GUID, such as 8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77",
    ),
]


class NewSpace(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """In the place of a space's MRN: the tenant's own space in this organization, which is made
    unless it is there already. ``create`` must be true; without a ``name`` it gets the tenant's."""

    create: bool
    organization: OrganizationMrn
    name: SpaceName | None = None


VaultName = Annotated[
    str,
    Meta(
        pattern=r"^[0-9A-Za-z-]{1,127}$",
        description="Name of a certificate in Key Vault: letters, digits and hyphens",
    ),
]


class CertificateChoice(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A certificate that is in Key Vault already: the vault (its name or its address; without it,
    the one of the settings) and the certificate's name."""

    name: VaultName
    vault: Annotated[str, Meta(min_length=1, max_length=300)] | UnsetType = UNSET


class SubscriptionChoice(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Subscriptions to scan, or to leave out; exactly one of the two lists."""

    allow: Annotated[list[Guid], Meta(min_length=1, max_length=500)] | UnsetType = UNSET
    deny: Annotated[list[Guid], Meta(min_length=1, max_length=500)] | UnsetType = UNSET


class SubscriptionScope(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The Azure subscriptions that Mondoo scans: those of ``allow``, or all but those of ``deny``;
    all where both are empty. Ids are lower-case and sorted."""

    allow: list[str] = []
    deny: list[str] = []


class OnboardingRequest(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The body of ``POST /api/tenants`` and ``POST /api/plan``.

    ``tenant`` is a tenant id (any case, with or without braces) or any domain of the tenant.
    ``adopt`` is the appId of an existing application that carries no mark of ours and shall be
    taken over; without it such an application is only reported. ``policySearch`` chooses policies
    by words instead of, or besides, MRNs. ``subscriptions`` (``"all"``, an ``allow`` or a ``deny``
    list) has Mondoo scan Azure as well; leaving it out leaves that as it is.
    ``authentication`` is what Mondoo signs in with: another than before moves the tenant; a new one
    gets a certificate. ``repair`` is what audits may put right by themselves later. What is left
    out stays as the tenant has it; for a new tenant it is taken from the settings.
    """

    tenant: Annotated[str, Meta(min_length=1, max_length=255)]
    space: SpaceMrn | NewSpace | UnsetType = UNSET
    manifest: Annotated[str, Meta(max_length=60)] | UnsetType = UNSET
    application_name: ApplicationName | UnsetType = UNSET
    policies: Annotated[list[PolicyMrn], Meta(min_length=1, max_length=50)] | UnsetType = UNSET
    policy_search: Annotated[str, Meta(min_length=2, max_length=100)] | UnsetType = UNSET
    policy_action: PolicyAction = PolicyAction.ACTIVE
    subscriptions: Literal["all"] | SubscriptionChoice | UnsetType = UNSET
    adopt: Guid | UnsetType = UNSET
    authentication: ScannerAuthentication | UnsetType = UNSET
    certificate: CertificateChoice | UnsetType = UNSET
    repair: RepairPolicy | UnsetType = UNSET


class OnboardingOrder(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A request with every choice made: what the orchestrator and each step are given.

    ``new_space`` is there when ``space`` is to be made, unless it exists by then.
    ``certificate`` names one that is the administrator's own: it is used as it is, and neither
    renewed nor removed by us; ``certificate_vault`` is the address of the vault that holds it, None
    means ours. ``retires``: the application may hold a credential of ours of the other
    ``authentication``, which goes once this one is proven.
    """

    operation_id: str
    tenant_id: str
    space: str
    manifest: str
    application_name: str
    policies: list[str]
    policy_search: str | None = None
    policy_action: PolicyAction = PolicyAction.ACTIVE
    subscriptions: SubscriptionScope | None = None
    adopt: str | None = None
    new_space: NewSpace | None = None
    authentication: ScannerAuthentication = ScannerAuthentication.CERTIFICATE
    certificate: str | None = None
    certificate_vault: str | None = None
    retires: bool = False
    repair: RepairPolicy = RepairPolicy.REPORT

    @property
    def keyless(self) -> bool:
        """Whether Mondoo is to sign in without a certificate."""
        return self.authentication is ScannerAuthentication.FEDERATED


class WaitPolicy(Struct, frozen=True, rename="camel"):
    """How an orchestrator waits: seconds between attempts (doubling from first to longest), and
    the deadlines for replication and for a scan."""

    first: float
    longest: float
    propagation_deadline: float
    scan_deadline: float


# --- facts: what steps learn and pass on ---------------------------------------------------------


class CertificateReference(Struct, frozen=True, rename="camel"):
    """A certificate in Key Vault. ``thumbprint`` is SHA-1, upper-case hex, as the portal shows."""

    vault: str
    name: str
    version: str
    thumbprint: str
    not_before: datetime
    not_after: datetime


class Federation(Struct, frozen=True, rename="camel"):
    """Whose tokens an application is to trust: ``issuer`` (a URL) and ``subject``, letter by letter
    as the tokens have them, for the ``audience`` of the cloud."""

    issuer: str
    subject: str
    audience: str


class ResourcePrincipal(Struct, frozen=True, rename="camel"):
    """The service principal of an API in the tenant; ``roles_missing`` are app role ids that the
    manifest wants and this principal does not offer to applications."""

    service: str
    app_id: str
    object_id: str
    enabled: bool
    roles_missing: list[str] = []


class ObservedApplication(Struct, frozen=True, rename="camel"):
    """Our application as preflight saw it. ``declared_right``: it carries our mark and declares
    exactly the manifest's permissions; ``thumbprints``: of its key credentials."""

    object_id: str
    app_id: str
    declared_right: bool
    thumbprints: list[str]


class ObservedPrincipal(Struct, frozen=True, rename="camel"):
    """Our application's service principal as preflight saw it.

    ``granted`` holds "<resource app id>/<app role id>" of every grant on a known resource;
    ``global_reader`` says whether the role is assigned for the whole tenant.
    """

    object_id: str
    enabled: bool
    marked: bool
    granted: list[str]
    global_reader: bool


class Facts(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What the steps of one operation have learned so far; later steps build on it.

    ``observed_*`` is what preflight read: a step that finds its goal in there has nothing to do. A
    step that must write reads again first. ``scan_before`` is when the newest scan had started, by
    Mondoo's clock, at the moment we asked for ours; ``azure_*`` is likewise of Azure's scan.
    ``reader_scopes`` is where Reader in Azure is assigned by us. ``federated_credential`` is the id
    of ours on the application, which was right at ``federated_since``.
    """

    display_name: str | None = None
    initial_domain: str | None = None
    resources: list[ResourcePrincipal] = []
    longest_certificate_days: int | None = None
    observed_application: ObservedApplication | None = None
    observed_principal: ObservedPrincipal | None = None
    certificate: CertificateReference | None = None
    application_object_id: str | None = None
    app_id: str | None = None
    service_principal_id: str | None = None
    granted: list[str] = []
    integration: str | None = None
    azure_integration: str | None = None
    reader_scopes: list[str] | None = None
    federated_credential: str | None = None
    federated_since: datetime | None = None
    scan_requested: bool = False
    scan_before: datetime | None = None
    azure_scan_requested: bool = False
    azure_scan_before: datetime | None = None
    scanned_at: datetime | None = None
    asset: str | None = None
    grade: str | None = None
    console: str | None = None
    coverage: list[ServiceCoverage] = []


class StepResult(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What an activity returns. ``wait`` set means: not finished, call again after that many
    seconds (0 leaves the pace to the wait policy); ``outcome`` then is what an exhausted wait
    becomes. ``facts`` replaces the fields it names."""

    outcome: Outcome
    message: str
    code: str | None = None
    remediation: str | None = None
    findings: list[Finding] = []
    coverage: list[ServiceCoverage] = []
    facts: dict[str, Any] = {}
    wait: float | None = None


class StepCall(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What an activity is given. ``changed``: an earlier step of this operation made a change."""

    order: OnboardingOrder
    facts: Facts
    changed: bool = False


class Rotation(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The rotation of a tenant's certificate, as far as it has come; references only.

    ``overlap_until``: when the old certificate may go, once Mondoo has scanned with the new one.
    """

    state: RotationState
    operation_id: str
    changed_at: datetime
    old: CertificateReference
    new: CertificateReference | None = None
    overlap_until: datetime | None = None

    @property
    def thumbprints(self) -> frozenset[str]:
        """The certificates that may be registered side by side for now: none once it is over."""
        both = [] if self.state.over else [self.old, self.new]
        return frozenset(each.thumbprint for each in both if each is not None)


# --- receipts ------------------------------------------------------------------------------------


class ObjectKind(StrEnum):
    """What an onboarding makes, in the order in which an offboarding removes it."""

    INTEGRATION = "integration"
    AZURE_INTEGRATION = "azure-integration"
    AZURE_ROLE = "azure-role"
    DIRECTORY_ROLE = "directory-role"
    PERMISSION = "permission"
    DELEGATED_GRANT = "delegated-grant"  # made by others, and goes with the service principal
    SERVICE_PRINCIPAL = "service-principal"
    APPLICATION = "application"
    CERTIFICATE = "certificate"


class Fate(StrEnum):
    """What became of an object. Only `PRESENT` and `UNKNOWN` keep a tenant from being offboarded,
    but for delegated grants, which are nothing without the service principal.

    `PRESENT`: it was there when last looked at. `REMOVED`: it was there, and was read back as gone.
    `ABSENT`: it was gone before. `KEPT`: it is not ours to remove.
    """

    PRESENT = "present"
    REMOVED = "removed"
    ABSENT = "absent"
    KEPT = "kept"
    UNKNOWN = "unknown"


class ReceiptEntry(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One object of a receipt. ``message`` says why, where it was not simply removed;
    ``recoverable_until`` is when a soft-deleted object goes for good."""

    kind: ObjectKind
    id: str
    name: str
    fate: Fate
    checked_at: datetime
    message: str | None = None
    recoverable_until: datetime | None = None


class Receipt(Struct, frozen=True, rename="camel"):
    """What an offboarding left behind. ``complete``: nothing of ours is there, as far as it can
    be known; ``purged``: it was asked to delete for good, not softly."""

    operation_id: str
    tenant_id: str
    made_at: datetime
    purged: bool
    complete: bool
    entries: list[ReceiptEntry]


# --- records -------------------------------------------------------------------------------------


class TenantRecord(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What we keep of a tenant. ``manifest`` is the list that it was proven to be on, and
    ``manifest_target`` the one it is moved to, from the first write until that is proven;
    ``operation_id`` the newest operation; ``onboarded_at`` when it was last proven; ``asset`` the
    tenant in Mondoo, with its ``grade`` (A to F) and ``coverage`` as of the newest scan; ``repair``
    what audits may put right; ``audit_status`` how it stood at the newest audit, with its
    ``findings`` unless it failed; ``receipt`` that of its newest offboarding; ``rotation`` its
    newest one, ended or not. ``authentication`` is what Mondoo was last proven to sign in with;
    ``certificate`` and ``federated_credential`` (its id) are those of ours on the application, both
    of them only where a move from one to the other did not end.

    ``subscriptions`` is there once Azure was touched, and then ``reader_scopes`` is where Reader is
    assigned by us: None when an attempt ended without telling."""

    tenant_id: str
    state: TenantState
    operation_id: str
    updated_at: datetime
    display_name: str | None = None
    initial_domain: str | None = None
    manifest: str | None = None
    manifest_target: str | None = None
    space: str | None = None
    application_name: str | None = None
    app_id: str | None = None
    application_object_id: str | None = None
    service_principal_id: str | None = None
    authentication: ScannerAuthentication = ScannerAuthentication.CERTIFICATE
    certificate: CertificateReference | None = None
    federated_credential: str | None = None
    integration: str | None = None
    azure_integration: str | None = None
    subscriptions: SubscriptionScope | None = None
    reader_scopes: list[str] | None = None
    console: str | None = None
    asset: str | None = None
    grade: str | None = None
    coverage: list[ServiceCoverage] = []
    onboarded_at: datetime | None = None
    scanned_at: datetime | None = None
    repair: RepairPolicy = RepairPolicy.REPORT
    audited_at: datetime | None = None
    audit_status: str | None = None
    findings: Counts | None = None
    receipt: Receipt | None = None
    rotation: Rotation | None = None

    @property
    def keyless(self) -> bool:
        """Whether Mondoo signs in without a certificate."""
        return self.authentication is ScannerAuthentication.FEDERATED


# --- JSON ----------------------------------------------------------------------------------------

T = TypeVar("T")


def to_json(value: Struct) -> Any:
    """Plain JSON values (dict, list, str, …) of a model, for the durable SDK."""
    return msgspec.to_builtins(value)


def from_json(value: Any, kind: type[T]) -> T:
    """A model from plain JSON values.

    Raises:
        msgspec.ValidationError: with the path of the field.
    """
    return msgspec.convert(value, kind)
