"""What an answer of Microsoft Graph means for us: one table.

Graph's documentation says to branch on ``error.code``, but several Entra errors share one generic
code (``Request_BadRequest``), so some rows look at the text: case-insensitive, part of it, and only
here. The first row that matches decides; an error that no row knows is never repeated.

Rows come from ``microsoft-graph-docs`` "errors" and from the issues named beside them
(azuread: terraform-provider-azuread, bicep: msgraph-bicep-types).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from shared.errors import NotYet, OnboardingError, Refused

LONGEST_QUOTE = 300


class GraphError(Exception):
    """A failed answer of Graph, still uninterpreted; `react` makes one of the family from it.

    ``code`` and ``message`` are Graph's own, empty when the body was none of Graph's (a gateway's
    page). ``retry_after`` is in seconds.
    """

    def __init__(
        self,
        status: int,
        code: str = "",
        message: str = "",
        *,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id
        self.retry_after = retry_after


class Gone(Refused):
    """The object does not exist (any more)."""


class AlreadyExists(Refused):
    """What we asked to make is there already, or its name is taken."""


class Reaction(Enum):
    """What to do about an answer."""

    WAIT = auto()
    EXISTS = auto()
    GONE = auto()
    REFUSE = auto()


@dataclass(frozen=True)
class Row:
    """``status``, ``code`` and ``text`` must all match where they are given.

    ``young`` rows count only while the object we asked about was made moments ago, when a strange
    answer means replication and nothing else.
    """

    reaction: Reaction
    ours: str
    remediation: str
    status: int | None = None
    code: str | None = None
    text: str | None = None
    young: bool = False

    def matches(self, error: GraphError, *, young: bool) -> bool:
        """Whether this row is about ``error``."""
        return (
            (young or not self.young)
            and (self.status is None or self.status == error.status)
            and (self.code is None or self.code.lower() == error.code.lower())
            and (self.text is None or self.text.lower() in error.message.lower())
        )


_WAIT, _EXISTS, _GONE, _REFUSE = Reaction.WAIT, Reaction.EXISTS, Reaction.GONE, Reaction.REFUSE
_REPLICATION = (
    "Entra ID is still replicating what was just made. Nothing needs to be done; if it lasts for"
    " hours, open a support case with the request id."
)
_EXISTS_NOTE = "Nothing needs to be done; the object that is there is used."

TABLE: tuple[Row, ...] = (
    Row(
        _WAIT,
        "graph_throttled",
        "Microsoft Graph limits how many requests a tenant may send; the operation goes on later.",
        status=429,
    ),
    # 409 in azurerator#448, 503 in azure-cli#23081: the code counts, not the status.
    Row(
        _WAIT,
        "directory_busy",
        "Another change of the same object was under way; it is tried again.",
        code="Directory_ConcurrencyViolation",
    ),
    Row(_WAIT, "reference_not_replicated", _REPLICATION, text="not a valid reference update"),
    Row(
        _WAIT,
        "application_not_replicated",
        _REPLICATION,
        text="does not reference a valid application object",
    ),
    # azuread#581: a 403 that means replication when the application is a young one of ours.
    Row(
        _WAIT,
        "application_not_replicated",
        _REPLICATION,
        status=403,
        text="backing application",
        young=True,
    ),
    Row(
        _REFUSE,
        "application_not_in_tenant",
        "The application belongs to another tenant. Making its service principal takes the"
        " permission Application.ReadWrite.All, or an administrator's consent.",
        status=403,
        text="backing application",
    ),
    # azuread#1764
    Row(_WAIT, "application_not_replicated", _REPLICATION, code="Error_MsaAppDoesNotExist"),
    # 400, not 409 (bicep#137); a soft-deleted application keeps its unique name for 30 days.
    Row(
        _EXISTS,
        "unique_name_taken",
        "Another application, perhaps a deleted one, holds this unique name. Restore it or delete"
        " it for good, or choose another application name.",
        text="another object with the same value for property",
    ),
    Row(_EXISTS, "already_exists", _EXISTS_NOTE, code="Request_MultipleObjectsWithSameKeyValue"),
    Row(_EXISTS, "already_granted", _EXISTS_NOTE, text="permission being assigned already exists"),
    Row(_EXISTS, "already_granted", _EXISTS_NOTE, text="permission entry already exists"),
    Row(_EXISTS, "already_granted", _EXISTS_NOTE, text="entitlementgrant entry already exists"),
    Row(_EXISTS, "already_assigned", _EXISTS_NOTE, code="RoleAssignmentExists"),
    Row(_EXISTS, "already_assigned", _EXISTS_NOTE, text="conflicting object with one or more"),
    Row(
        _WAIT,
        "key_dates_refused",
        "Entra ID does not accept the certificate's dates yet, which happens while clocks differ by"
        " seconds. If it lasts, check the certificate's validity.",
        code="KeyCredentialsInvalidEndDate",
    ),
    Row(
        _WAIT,
        "key_dates_refused",
        "Entra ID does not accept the certificate's dates yet, which happens while clocks differ by"
        " seconds. If it lasts, check the certificate's validity.",
        code="KeyCredentialsInvalidStartDate",
    ),
    Row(
        _REFUSE,
        "key_credential_changed",
        "A certificate of the application was changed by someone else at the same moment. Repeat"
        " the operation.",
        text="update to existing credential with keyid",
    ),
    Row(
        _REFUSE,
        "certificate_too_long_for_policy",
        "The tenant's application management policy wants a shorter certificate. Lower"
        " CERTIFICATE_VALIDITY_DAYS, or have the policy changed.",
        code="CredentialInvalidLifetimeAsPerAppPolicy",
    ),
    Row(
        _REFUSE,
        "certificate_forbidden_by_policy",
        "The tenant's application management policy forbids this kind of certificate. Use one from"
        " an authority that the policy trusts, or have the policy changed.",
        code="CredentialTypeNotAllowedAsPerAppPolicy",
    ),
    Row(
        _REFUSE,
        "application_full",
        "The application holds too many items. Remove certificates and tags that are not used.",
        code="Directory_ResourceSizeExceeded",
    ),
    Row(
        _REFUSE,
        "directory_quota_exceeded",
        "The tenant, or our identity in it, owns too many objects. Delete unused ones, or have the"
        " quota raised.",
        code="Directory_QuotaExceeded",
    ),
    Row(
        _REFUSE,
        "graph_token_rejected",
        "Microsoft Graph did not accept our token. Check that CLOUD matches the tenant's cloud.",
        status=401,
    ),
    Row(
        _REFUSE,
        "graph_permission_missing",
        "Grant our identity the application permission for this call in the tenant (see the list"
        " of permissions), or make it owner of the object again.",
        status=403,
    ),
    Row(_WAIT, "not_replicated", _REPLICATION, status=404, young=True),
    Row(_GONE, "not_found", "Check whether someone removed the object.", status=404),
    *(
        Row(
            _WAIT,
            "graph_unavailable",
            "Microsoft Graph had a fault of its own; it is tried again.",
            status=status,
        )
        for status in (500, 502, 503, 504)
    ),
)

_UNKNOWN = Row(
    _REFUSE,
    "graph_refused",
    "Microsoft Graph refused for a reason that we do not know. Look the code up, or open a support"
    " case with the request id.",
)


def row_of(error: GraphError, *, young: bool = False) -> Row:
    """The row that decides about ``error``."""
    return next((row for row in TABLE if row.matches(error, young=young)), _UNKNOWN)


def react(
    error: GraphError, *, what: str, tenant_id: str | None, young: bool = False
) -> OnboardingError:
    """The family's member for a failed answer: `NotYet`, `AlreadyExists`, `Gone` or `Refused`.

    ``what`` names the object. ``young``: it was made moments ago, by us.
    """
    row = row_of(error, young=young)
    code = f" {error.code}" if error.code else ""
    quote = f": {error.message[:LONGEST_QUOTE]}" if error.message else ""
    message = f"{what} in tenant {tenant_id}: Microsoft Graph answered {error.status}{code}{quote}"
    if row.reaction is Reaction.WAIT:
        return NotYet(
            row.ours,
            message,
            remediation=row.remediation,
            retry_after=error.retry_after,
            tenant_id=tenant_id,
            request_id=error.request_id,
        )
    kind = {Reaction.EXISTS: AlreadyExists, Reaction.GONE: Gone}.get(row.reaction, Refused)
    return kind(
        row.ours,
        message,
        remediation=row.remediation,
        tenant_id=tenant_id,
        request_id=error.request_id,
    )
