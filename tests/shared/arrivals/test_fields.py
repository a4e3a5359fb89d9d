"""A wrong field is told in words, with where the right shape is to be found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from shared.arrivals.fields import refused_field
from shared.arrivals.tenant_added import TenantAdded
from shared.models import OnboardingRequest

SHAPES = "the shapes are in GET /api/openapi.json."


def refusal(body: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(msgspec.ValidationError) as wrong:
        msgspec.convert({"tenant": "a.example", **body}, OnboardingRequest)
    error = refused_field(str(wrong.value))
    return error.message, error.remediation


@pytest.mark.parametrize(
    ("body", "message", "remedy"),
    [
        (
            {"space": "my-space"},
            "space is not the MRN of a Mondoo space",
            "Write it as //captain.api.mondoo.app/spaces/<id>.",
        ),
        (
            {"policies": ["cis"]},
            "field policies[0]: expected: MRN of a Mondoo policy, such as"
            " //policy.api.mondoo.app/policies/mondoo-m365-security",
            f"Correct policies[0]; {SHAPES}",
        ),
        (
            {"adopt": "mondoo-ms365"},
            "field adopt: expected: A GUID, such as 8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77",
            f"Correct adopt; {SHAPES}",
        ),
        (
            {"tenant": ""},
            "field tenant: Expected `str` of length >= 1",
            f"Correct tenant; {SHAPES}",
        ),
        (
            {"tenants": []},
            "field tenants: Object contains unknown field `tenants`",
            f"Correct tenants; {SHAPES}",
        ),
    ],
)
def test_the_rule_is_told_in_words(body: dict[str, Any], message: str, remedy: str) -> None:
    assert refusal(body) == (message, remedy)


def patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for value in schema.values():
            yield from patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from patterns(value)


def test_there_are_words_for_every_regular_expression_of_a_request_and_an_event() -> None:
    found = set(patterns([msgspec.json.schema(kind) for kind in (OnboardingRequest, TenantAdded)]))
    assert len(found) >= 7
    for pattern in found:
        error = refused_field(f"Expected `str` matching regex {pattern!r} - at `$.it`")
        assert pattern not in error.message
        assert error.field == "it"
