"""A change at Mondoo is seen: the live schema against the one that we work from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files

import pytest
from graphql import build_schema, print_schema

from local.schema_diff import differences, our_schema, schema_diff
from local.simulators import Simulators
from local.simulators.faults import Fault
from shared.mondoo.account import read_account


@pytest.fixture(scope="module")
def simulators() -> Iterator[Simulators]:
    with Simulators() as running:
        yield running


def environ(simulators: Simulators) -> dict[str, str]:
    account = read_account(json.dumps(simulators.mondoo.service_account_json()))
    return {
        "MONDOO_API_TOKEN": account.token(datetime.now(UTC)),
        "MONDOO_API_ENDPOINT": account.endpoint,
    }


def test_a_platform_with_our_schema_does_not_differ(
    simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    assert schema_diff(environ(simulators), ca_file=simulators.ca_file) == 0
    assert capsys.readouterr().out.startswith("0 differences")


def test_without_a_token_there_is_nothing_to_ask_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert schema_diff({}) == 2
    assert "MONDOO_API_TOKEN" in capsys.readouterr().err


def test_a_token_that_is_not_accepted_is_no_schema(
    simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {**environ(simulators), "MONDOO_API_TOKEN": "not-a-token"}
    assert schema_diff(given, ca_file=simulators.ca_file) == 2
    assert "not-a-token" not in capsys.readouterr().err


def test_an_answer_without_a_schema_is_none(simulators: Simulators) -> None:
    fault = Fault("mondoo", status=200, code="PermissionDenied", message="no")
    simulators.run(simulators.faults.add, fault)
    assert schema_diff(environ(simulators), ca_file=simulators.ca_file) == 2


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        ("  useWif: Boolean\n  wifSubject", "  wifSubject", "Cannot query field 'useWif'"),
        ("  scanJobFinished: String\n", "", "scanJobFinished: gone"),
        ("  RUN_SCAN\n", "", "value RUN_SCAN is gone"),
        ("  longLivedToken: Boolean!\n", "  longLivedToken: Boolean!\n  plan: String!\n", "plan"),
        ("  assetMrn: String!", "  assetMrn: Int!", "String has become Int"),
        (
            "  description: String\n  tags",
            "  description: String!\n  tags",
            "description: has become required",
        ),
    ],
)
def test_what_we_use_and_the_platform_changed_is_told(ours: str, theirs: str, told: str) -> None:
    text = files("local.simulators.mondoo").joinpath("schema.graphql").read_text("utf-8")
    assert ours in text
    found = list(differences(our_schema(), build_schema(text.replace(ours, theirs, 1))))
    assert any(told in difference for difference in found)


def test_what_the_platform_offers_beyond_is_no_difference() -> None:
    more = print_schema(our_schema()).replace("  viewer: Viewer!", "  viewer: Viewer!\n  n: Int")
    assert list(differences(our_schema(), build_schema(more))) == []


def test_a_payload_that_has_another_name_there_is_no_difference() -> None:
    renamed = print_schema(our_schema()).replace("TriggerActionPayload", "ActionResult")
    assert list(differences(our_schema(), build_schema(renamed))) == []
