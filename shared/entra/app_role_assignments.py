"""App role assignments: granting application permissions, which is admin consent by program.

Grants are read from the client's side (``appRoleAssignments``, to the end, never expanded: an
expansion stops at twenty) and made on the resource's side (``appRoleAssignedTo``), as Graph
recommends. Many are made in one batch. What is granted already counts as done, whichever of the
three sentences says so; what has not replicated is tried again later, after all others were tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.entra.graph import BatchRequest, BatchResponse, GraphClient, segment
from shared.entra.reactions import AlreadyExists
from shared.errors import NotYet, OnboardingError, OutcomeUnknown, Refused


@dataclass(frozen=True)
class Grant:
    """An app role of a resource, granted to a principal. Ids of objects in the tenant."""

    id: str
    resource_id: str
    app_role_id: str


@dataclass(frozen=True)
class GrantOutcome:
    """``made`` is false when the grant was there already."""

    resource_id: str
    app_role_id: str
    made: bool


def grants_path(principal_id: str) -> str:
    """The list of a principal's grants; 999 a page is the most."""
    return f"servicePrincipals/{segment(principal_id)}/appRoleAssignments?$top=999"


def grant_from_graph(entity: dict[str, Any]) -> Grant:
    """From Graph's JSON."""
    return Grant(
        id=str(entity["id"]),
        resource_id=str(entity["resourceId"]).lower(),
        app_role_id=str(entity["appRoleId"]).lower(),
    )


async def list_grants(graph: GraphClient, principal_id: str) -> list[Grant]:
    """Everything granted to a service principal of ours.

    Raises:
        NotYet: the service principal has not replicated.
    """
    items = await graph.get_all(
        grants_path(principal_id), what=f"the grants of principal {principal_id}", young=True
    )
    return [grant_from_graph(item) for item in items]


async def grant(
    graph: GraphClient, principal_id: str, wanted: Sequence[tuple[str, str]]
) -> list[GrantOutcome]:
    """Grant each (resource object id, app role id) to a service principal of ours.

    Raises:
        Refused: some were refused; the others were tried all the same.
        NotYet: some were not taken yet; the others were tried all the same.
    """
    requests = [
        BatchRequest(
            id=str(number),
            method="POST",
            path=f"servicePrincipals/{segment(resource_id)}/appRoleAssignedTo",
            body={
                "principalId": principal_id,
                "resourceId": resource_id,
                "appRoleId": app_role_id,
            },
        )
        for number, (resource_id, app_role_id) in enumerate(wanted)
    ]
    # A repeated grant is refused as a duplicate, so a lost answer does no harm.
    answers = await graph.batch(
        requests, what=f"granting permissions to principal {principal_id}", repeatable=True
    )
    outcomes: list[GrantOutcome] = []
    failures: list[OnboardingError] = []
    for (resource_id, app_role_id), answer in zip(wanted, answers, strict=True):
        failure = _failure(answer, f"app role {app_role_id} for principal {principal_id}")
        if failure is None or isinstance(failure, AlreadyExists):
            outcomes.append(GrantOutcome(resource_id, app_role_id, made=failure is None))
        else:
            failures.append(failure)
    if failures:
        raise _summary(failures, len(wanted))
    return outcomes


def _failure(answer: BatchResponse, what: str) -> OnboardingError | None:
    try:
        answer.result(what, young=True)
    except OnboardingError as error:
        return error
    return None


def _summary(failures: list[OnboardingError], wanted: int) -> OnboardingError:
    """One error for several: the first refusal, else the first that can wait."""
    refusals = [each for each in failures if not isinstance(each, NotYet)]
    first = refusals[0] if refusals else failures[0]
    message = f"{len(failures)} of {wanted} permissions could not be granted; {first.message}"
    if isinstance(first, NotYet):
        pauses = [e.retry_after for e in failures if isinstance(e, NotYet) and e.retry_after]
        return NotYet(
            first.code,
            message,
            remediation=first.remediation,
            retry_after=max(pauses, default=None),
            tenant_id=first.tenant_id,
            request_id=first.request_id,
        )
    kind = OutcomeUnknown if isinstance(first, OutcomeUnknown) else Refused
    return kind(
        first.code,
        message,
        remediation=first.remediation,
        tenant_id=first.tenant_id,
        request_id=first.request_id,
    )
