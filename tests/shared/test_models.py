"""The models hold references, never secrets, and read strictly."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from shared import models
from shared.models import (
    Facts,
    OnboardingRequest,
    Operation,
    Outcome,
    from_json,
    operation_id,
    tenant_of_operation,
    to_json,
)

TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"


def test_an_operation_id_names_its_tenant() -> None:
    moment = datetime(2026, 9, 10, 8, 0, 0, 123456, tzinfo=UTC)
    identifier = operation_id(TENANT, moment)
    assert identifier == f"{TENANT}.20260910T080000123456Z"
    assert tenant_of_operation(identifier) == TENANT


@pytest.mark.parametrize("text", ["", TENANT, f"{TENANT}.", f"../{TENANT}.20260910T080000123456Z"])
def test_anything_else_is_no_operation_id(text: str) -> None:
    assert tenant_of_operation(text) is None


def test_only_failed_and_unknown_steps_stop_an_operation() -> None:
    assert {outcome for outcome in Outcome if outcome.stops} == {Outcome.FAILED, Outcome.UNKNOWN}


def test_no_model_has_a_field_for_a_secret() -> None:
    structs = [
        value
        for value in vars(models).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct)
    ]
    names = {field.name for struct in structs for field in msgspec.structs.fields(struct)}
    assert Operation in structs
    assert not {
        name for name in names if {"pem", "private", "secret", "token"} & set(name.split("_"))
    }


@pytest.mark.parametrize("domain", ["o'brien.example", "x" * 255])
def test_a_request_keeps_what_was_asked_and_leaves_the_rest_open(domain: str) -> None:
    request = msgspec.json.decode(msgspec.json.encode({"tenant": domain}), type=OnboardingRequest)
    assert request.tenant == domain
    assert request.space is msgspec.UNSET


def test_facts_survive_the_way_through_json() -> None:
    facts = Facts(display_name="Söhne & Co", granted=["a/b"], scan_before=datetime.now(UTC))
    assert from_json(to_json(facts), Facts) == facts
