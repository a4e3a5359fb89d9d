"""What refused sign-ins mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
)
from azure.identity import CredentialUnavailableError

from shared.entra.sign_in_errors import TABLE, classify, codes_of
from shared.errors import NotYet, OnboardingError, Refused

TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"


class Answer:
    """As much of an HTTP response as an SDK error carries."""

    def __init__(self, status: int, body: str) -> None:
        self.status_code = status
        self.reason = "refused"
        self.headers: dict[str, str] = {}
        self._body = body

    def text(self, encoding: str | None = None) -> str:
        return self._body


def refusal(code: int, description: str = "", status: int = 400) -> ClientAuthenticationError:
    body = {
        "error": "invalid_client",
        "error_description": f"AADSTS{code}: {description}",
        "error_codes": [code],
        "trace_id": "5d0c1c4e",
    }
    answer: Any = Answer(status, json.dumps(body))
    return ClientAuthenticationError(message=body["error_description"], response=answer)


def meaning(error: Any, *, young: bool = False) -> OnboardingError:
    return classify(error, tenant_id=TENANT, what="application mondoo-ms365", young=young)


@pytest.mark.parametrize("code", sorted(TABLE))
def test_every_known_code_is_told_with_its_number_and_advice(code: int) -> None:
    got = meaning(refusal(code))
    assert got.code == TABLE[code].ours
    assert f"AADSTS{code}" in got.message
    assert TENANT in got.message
    assert got.remediation
    assert got.request_id == "5d0c1c4e"


@pytest.mark.parametrize("code", [700016, 7000229, 700027])
def test_what_is_young_is_waited_for_and_what_is_old_is_refused(code: int) -> None:
    assert isinstance(meaning(refusal(code), young=True), NotYet)
    assert isinstance(meaning(refusal(code)), Refused)


@pytest.mark.parametrize("code", [70021, 650051])
def test_what_replicates_at_any_age_is_always_waited_for(code: int) -> None:
    assert isinstance(meaning(refusal(code)), NotYet)


@pytest.mark.parametrize(
    "code",
    [7000112, 500011, 500014, 650052, 65001, 90002, 53003, 7000215, 7000222, 1000502, 700024],
)
def test_what_an_administrator_must_mend_is_never_waited_for(code: int) -> None:
    assert isinstance(meaning(refusal(code), young=True), Refused)


def test_case_d5_a_missing_licence_is_told_apart_from_missing_consent() -> None:
    assert meaning(refusal(650052)).code == "resource_not_licensed"
    assert "licence" in meaning(refusal(650052)).remediation
    assert meaning(refusal(65001)).code == "consent_missing"


def test_case_d12_an_absent_resource_is_found_in_the_error_codes() -> None:
    got = meaning(refusal(500011, "The resource principal named x was not found"))
    assert got.code == "resource_not_in_tenant"
    assert "CLOUD" in got.remediation


def test_case_d13_a_disabled_application_gets_no_advice_on_certificates() -> None:
    got = meaning(refusal(7000112), young=True)
    assert got.code == "application_disabled"
    assert "enable it" in got.remediation
    assert "issue" not in got.remediation.lower()


def test_a_federated_credential_that_does_not_match_shows_what_was_presented() -> None:
    text = "No matching federated identity record found for presented assertion subject 'abc'."
    assert "subject 'abc'" in meaning(refusal(70021, text)).message


def test_the_codes_of_the_answer_count_not_those_in_its_text() -> None:
    error = refusal(700027)
    error.message = "AADSTS90002: something else"
    assert codes_of(error) == [700027]


def test_without_an_answer_the_text_is_searched() -> None:
    error = ClientAuthenticationError(message="ERROR: AADSTS50194: the application is not ...")
    assert meaning(error).code == "application_single_tenant"


def test_an_unknown_code_is_never_repeated_and_shows_the_answer() -> None:
    got = meaning(refusal(424242, "A thing nobody has met"), young=True)
    assert type(got) is Refused
    assert got.code == "sign_in_refused"
    assert "AADSTS424242" in got.message


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_outage_of_the_sign_in_host_is_waited_for(status: int) -> None:
    answer: Any = Answer(status, "<html>oops</html>")
    assert isinstance(meaning(HttpResponseError("oops", response=answer)), NotYet)


def test_a_host_that_cannot_be_reached_is_waited_for() -> None:
    assert meaning(ServiceRequestError("Cannot connect")).code == "sign_in_unavailable"


def test_an_untrusted_certificate_is_refused_with_advice() -> None:
    got = meaning(ServiceRequestError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"))
    assert got.code == "tls_untrusted"
    assert "TRUSTED_CA_FILE" in got.remediation


def test_no_identity_at_all_tells_what_to_set_up() -> None:
    got = meaning(CredentialUnavailableError(message="No managed identity endpoint found."))
    assert got.code == "identity_unavailable"
    assert "az login" in got.remediation


def test_an_assertion_that_is_echoed_is_left_out() -> None:
    assertion = "eyJ" + "a" * 900
    got = meaning(refusal(424242, f"The assertion {assertion} is malformed"))
    assert assertion not in got.message
    assert "malformed" in got.message
