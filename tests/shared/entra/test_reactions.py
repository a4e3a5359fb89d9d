"""What answers of Graph mean."""

from __future__ import annotations

import pytest

from shared.entra.reactions import AlreadyExists, Gone, GraphError, react
from shared.errors import NotYet, OnboardingError, Refused

TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
BAD = "Request_BadRequest"


def meaning(error: GraphError, *, young: bool = False) -> OnboardingError:
    return react(error, what="application mondoo-ms365", tenant_id=TENANT, young=young)


@pytest.mark.parametrize(
    ("error", "young", "kind", "code"),
    [
        (GraphError(429, "TooManyRequests"), False, NotYet, "graph_throttled"),
        (GraphError(400, BAD, "Not a valid reference update."), False, NotYet, None),
        (
            GraphError(400, BAD, "The appId 'x' does not reference a valid application object."),
            False,
            NotYet,
            "application_not_replicated",
        ),
        (GraphError(404, "Request_ResourceNotFound"), True, NotYet, "not_replicated"),
        (GraphError(404, "Request_ResourceNotFound"), False, Gone, "not_found"),
        (GraphError(409, "Error_MsaAppDoesNotExist"), False, NotYet, None),
        (
            GraphError(
                400,
                BAD,
                "Another object with the same value for property uniqueName already exists",
            ),
            False,
            AlreadyExists,
            "unique_name_taken",
        ),
        (
            GraphError(409, "Request_MultipleObjectsWithSameKeyValue"),
            False,
            AlreadyExists,
            "already_exists",
        ),
        (
            GraphError(400, BAD, "Permission being assigned already exists on the object"),
            False,
            AlreadyExists,
            "already_granted",
        ),
        (
            GraphError(400, BAD, "EntitlementGrant entry already exists."),
            False,
            AlreadyExists,
            "already_granted",
        ),
        (
            GraphError(400, BAD, "Permission entry already exists."),
            False,
            AlreadyExists,
            "already_granted",
        ),
        (GraphError(400, "KeyCredentialsInvalidEndDate"), False, NotYet, "key_dates_refused"),
        (GraphError(400, "KeyCredentialsInvalidStartDate"), False, NotYet, "key_dates_refused"),
        (
            GraphError(400, "CredentialInvalidLifetimeAsPerAppPolicy"),
            False,
            Refused,
            "certificate_too_long_for_policy",
        ),
        (
            GraphError(400, "CredentialTypeNotAllowedAsPerAppPolicy"),
            False,
            Refused,
            "certificate_forbidden_by_policy",
        ),
        (GraphError(400, "Directory_ResourceSizeExceeded"), False, Refused, "application_full"),
        (GraphError(403, "Directory_QuotaExceeded"), False, Refused, "directory_quota_exceeded"),
        (GraphError(401, "InvalidAuthenticationToken"), False, Refused, "graph_token_rejected"),
        (
            GraphError(403, "Authorization_RequestDenied", "Insufficient privileges"),
            True,
            Refused,
            "graph_permission_missing",
        ),
        (GraphError(503, "", ""), False, NotYet, "graph_unavailable"),
        (GraphError(500, "InternalServerError"), False, NotYet, "graph_unavailable"),
    ],
)
def test_each_known_answer_has_one_meaning(
    error: GraphError, young: bool, kind: type[OnboardingError], code: str | None
) -> None:
    got = meaning(error, young=young)
    assert type(got) is kind
    assert code is None or got.code == code


def test_texts_are_matched_whatever_their_letter_case() -> None:
    error = GraphError(400, BAD, "NOT A VALID REFERENCE UPDATE")
    assert isinstance(meaning(error), NotYet)


def test_an_unknown_answer_is_never_repeated() -> None:
    got = meaning(GraphError(400, BAD, "Something that nobody has met before"))
    assert type(got) is Refused
    assert got.code == "graph_refused"


def test_case_b2_the_local_tenant_text_means_replication_only_for_a_young_application() -> None:
    text = "the backing application of the service principal being created must in the local tenant"
    error = GraphError(403, "Authorization_RequestDenied", text)
    assert isinstance(meaning(error, young=True), NotYet)
    assert meaning(error).code == "application_not_in_tenant"
    assert isinstance(meaning(error), Refused)


@pytest.mark.parametrize("status", [409, 503])
def test_case_b7_a_concurrent_change_is_known_by_its_code_whatever_the_status(status: int) -> None:
    got = meaning(GraphError(status, "Directory_ConcurrencyViolation"))
    assert isinstance(got, NotYet)
    assert got.code == "directory_busy"


def test_case_c9_an_assignment_that_exists_is_no_failure() -> None:
    assert isinstance(meaning(GraphError(400, "RoleAssignmentExists")), AlreadyExists)


def test_what_is_reported_names_object_tenant_graphs_code_and_request_id() -> None:
    got = meaning(GraphError(400, "Odd_Code", "Odd text", request_id="5d0c1c4e"))
    assert "application mondoo-ms365" in got.message
    assert TENANT in got.message
    assert "Odd_Code" in got.message
    assert "Odd text" in got.message
    assert (got.request_id, got.tenant_id) == ("5d0c1c4e", TENANT)
    assert got.remediation


def test_a_wait_that_graph_asks_for_is_passed_on() -> None:
    got = meaning(GraphError(429, "TooManyRequests", retry_after=77.0))
    assert isinstance(got, NotYet)
    assert got.retry_after == 77.0


def test_long_texts_are_cut() -> None:
    assert len(meaning(GraphError(400, BAD, "x" * 5000)).message) < 600
