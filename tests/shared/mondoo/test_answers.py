"""What answers of Mondoo's API mean: one table, without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.errors import NotYet, OutcomeUnknown, Refused
from shared.mondoo.answers import Request, error_in, rpc_error, status_error

READ = Request("read integration", repeatable=True, request_id="r-1")
WRITE = Request("create integration", repeatable=False, request_id="r-2")


def grpc(code: str, text: str = "some reason") -> dict[str, Any]:
    return {"errors": [{"message": f"rpc error: code = {code} desc = {text}"}], "data": None}


def listed(code: str) -> dict[str, Any]:
    return {"errors": [{"message": "some reason", "extensions": {"code": code}}], "data": None}


@pytest.mark.parametrize(
    ("spellings", "kind", "code"),
    [
        (("NotFound", "NOT_FOUND"), Refused, "mondoo_not_found"),
        (("PermissionDenied", "PERMISSION_DENIED"), Refused, "mondoo_forbidden"),
        (("Unauthenticated", "UNAUTHENTICATED"), Refused, "mondoo_unauthenticated"),
        (("AlreadyExists", "ALREADY_EXISTS"), Refused, "mondoo_already_exists"),
        (("InvalidArgument", "INVALID_ARGUMENT"), Refused, "mondoo_invalid_argument"),
        (("OutOfRange", "OUT_OF_RANGE"), Refused, "mondoo_invalid_argument"),
        (("FailedPrecondition", "FAILED_PRECONDITION"), Refused, "mondoo_precondition"),
        (("Unimplemented", "UNIMPLEMENTED"), Refused, "mondoo_unsupported"),
        (("ResourceExhausted", "RESOURCE_EXHAUSTED"), NotYet, "mondoo_busy"),
        (("Unavailable", "UNAVAILABLE"), NotYet, "mondoo_busy"),
        (("Aborted", "ABORTED"), NotYet, "mondoo_busy"),
        (("Internal", "INTERNAL"), NotYet, "mondoo_busy"),
        (("DeadlineExceeded", "DEADLINE_EXCEEDED"), NotYet, "mondoo_busy"),
        (("Unknown", "UNKNOWN"), Refused, "mondoo_refused"),
        (("SomethingNew", "SOMETHING_NEW"), Refused, "mondoo_refused"),
    ],
)
def test_a_code_means_the_same_in_both_spellings_and_places(
    spellings: tuple[str, str], kind: type[Exception], code: str
) -> None:
    for spelling in spellings:
        for body in (grpc(spelling), listed(spelling)):
            error = error_in(body, READ)
            assert type(error) is kind
            assert error is not None
            assert error.code == code
            assert error.remediation
            assert error.request_id == "r-1"
            assert error.message == "could not read integration: some reason"


@pytest.mark.parametrize("code", ["Internal", "DeadlineExceeded", "Cancelled"])
def test_a_write_that_may_have_been_done_is_unknown(code: str) -> None:
    assert isinstance(error_in(grpc(code), WRITE), OutcomeUnknown)


@pytest.mark.parametrize("code", ["Unavailable", "ResourceExhausted", "Aborted"])
def test_a_write_that_was_surely_not_done_may_wait(code: str) -> None:
    assert isinstance(error_in(grpc(code), WRITE), NotYet)


def test_a_gateways_own_code_does_not_hide_the_one_in_the_text() -> None:
    body = grpc("NotFound")
    body["errors"][0]["extensions"] = {"code": "DOWNSTREAM_SERVICE_ERROR"}
    error = error_in(body, READ)
    assert error is not None
    assert error.code == "mondoo_not_found"


def test_partial_data_is_a_failure() -> None:
    body = {**grpc("Unavailable"), "data": {"space": {"mrn": "x"}, "viewer": None}}
    assert isinstance(error_in(body, READ), NotYet)


def test_data_without_errors_is_no_error() -> None:
    assert error_in({"data": {"viewer": {"mrn": "x"}}}, READ) is None
    assert error_in({"data": {"assignPolicy": True}, "errors": []}, WRITE) is None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("NotFoundError", "mondoo_not_found"),
        ("AuthenticationRequired", "mondoo_unauthenticated"),
        ("RequestError", "mondoo_invalid_argument"),
    ],
)
def test_an_error_type_of_a_union_is_an_error(name: str, code: str) -> None:
    body = {"data": {"findings": {"__typename": name, "message": "no", "code": "x"}}}
    error = error_in(body, READ)
    assert error is not None
    assert error.code == code


def test_errors_inside_a_payload_are_errors() -> None:
    body = {"data": {"remove": {"errors": [{"message": "in use", "code": "FAILED_PRECONDITION"}]}}}
    error = error_in(body, WRITE)
    assert error is not None
    assert error.code == "mondoo_precondition"


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": []}, {"data": "x", "errors": None}])
def test_an_answer_that_is_none_of_graphql_is_a_failure(body: dict[str, Any]) -> None:
    read, written = error_in(body, READ), error_in(body, WRITE)
    assert isinstance(read, Refused)
    assert read.code == "mondoo_unreadable"
    assert isinstance(written, OutcomeUnknown)


@pytest.mark.parametrize(
    ("status", "request_", "kind"),
    [
        (401, READ, Refused),
        (403, READ, Refused),
        (404, READ, Refused),
        (418, READ, Refused),
        (429, READ, NotYet),
        (429, WRITE, NotYet),
        (503, WRITE, NotYet),
        (500, READ, NotYet),
        (504, READ, NotYet),
        (500, WRITE, OutcomeUnknown),
        (502, WRITE, OutcomeUnknown),
        (504, WRITE, OutcomeUnknown),
    ],
)
def test_a_status_other_than_200_is_an_error(
    status: int, request_: Request, kind: type[Exception]
) -> None:
    error = status_error(status, None, request_)
    assert type(error) is kind
    assert str(status) in error.message


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("17", 17.0), ("1.5", 1.5), (None, None), ("Tue, 24 Nov 2026 12:00:00 GMT", None)],
)
def test_a_wish_to_wait_is_passed_on(text: str | None, seconds: float | None) -> None:
    error = status_error(429, text, READ)
    assert isinstance(error, NotYet)
    assert error.retry_after == seconds


def test_a_message_that_repeats_the_certificate_is_cut_before_it() -> None:
    text = (
        "Variable '$options' got invalid value {certificate: '-----BEGIN PRIVATE KEY-----\\nMIIB"
        "secret'}; field missing"
    )
    for body in ({"errors": [{"message": text}]}, grpc("InvalidArgument", text)):
        error = error_in(body, WRITE)
        assert error is not None
        assert "MIIB" not in f"{error!r} {error} {error.message}"


@pytest.mark.parametrize(
    ("number", "status", "kind", "code"),
    [
        (3, 400, Refused, "mondoo_invalid_argument"),
        (11, 400, Refused, "mondoo_invalid_argument"),
        (16, 401, Refused, "mondoo_unauthenticated"),
        (7, 403, Refused, "mondoo_forbidden"),
        (5, 404, Refused, "mondoo_not_found"),
        (6, 409, Refused, "mondoo_already_exists"),
        (10, 409, NotYet, "mondoo_busy"),
        (9, 412, Refused, "mondoo_precondition"),
        (8, 429, NotYet, "mondoo_busy"),
        (12, 501, Refused, "mondoo_unsupported"),
        (14, 503, NotYet, "mondoo_busy"),
        (4, 504, NotYet, "mondoo_busy"),
        (13, 500, NotYet, "mondoo_busy"),
        (2, 500, NotYet, "mondoo_busy"),
    ],
)
def test_a_refusal_of_an_rpc_means_what_its_number_says(
    number: int, status: int, kind: type[Exception], code: str
) -> None:
    content = json.dumps({"code": number, "message": "some reason", "details": []}).encode()
    error = rpc_error(status, content, None, READ)
    assert type(error) is kind
    assert error.code == code


@pytest.mark.parametrize("content", [b"", b"<html>", b"{}", b'{"code": "seven"}'])
def test_an_rpc_answer_that_is_no_status_is_told_by_its_http_status(content: bytes) -> None:
    assert isinstance(rpc_error(502, content, None, READ), NotYet)
    assert isinstance(rpc_error(502, content, None, WRITE), OutcomeUnknown)
    assert rpc_error(403, content, None, READ).code == "mondoo_forbidden"
