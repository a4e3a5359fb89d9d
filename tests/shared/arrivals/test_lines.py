"""The body of a bulk request, line by line."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from shared.arrivals.lines import BulkLine, read_lines
from shared.errors import InvalidRequest
from shared.models import NewSpace, ScannerAuthentication

SPACE = "//captain.api.mondoo.app/spaces/fabrikam"
ORGANIZATION = "//captain.api.mondoo.app/organizations/msp"
POLICY = "//policy.api.mondoo.app/policies/mondoo-m365-security"


def csv(text: str, encoding: str = "utf-8") -> list[BulkLine]:
    return read_lines(text.encode(encoding), "text/csv; charset=utf-8")


def tenants(lines: list[BulkLine]) -> list[str | None]:
    return [None if line.request is None else line.request.tenant for line in lines]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_may_have_a_byte_order_mark_and_any_line_ends(encoding: str, end: str) -> None:
    text = end.join(["tenant,space", "a.example,", f'"b.example","{SPACE}"', "", "c.example,"])
    lines = csv(text, encoding)
    assert tenants(lines) == ["a.example", "b.example", "c.example"]
    assert [line.number for line in lines] == [2, 3, 5]
    assert lines[0].request is not None
    assert lines[0].request.space is UNSET
    assert lines[1].request is not None
    assert lines[1].request.space == SPACE


def test_every_column_has_its_place_in_the_request() -> None:
    adopt = "0d3a1f52-6a0e-4a6b-9f0c-77c1f2b0a9ce"
    header = "applicationName,policies,organization,spaceName,adopt,manifest,authentication,TENANT"
    row = (
        f'"O\'Brien, ""Ltd""",{POLICY};{POLICY}-2,{ORGANIZATION},Fabrikam,{adopt},'
        "2026-09,federated,a.example"
    )
    (line,) = csv(f"{header}\n{row}\n")
    assert line.problem is None
    assert line.request is not None
    assert line.request.application_name == 'O\'Brien, "Ltd"'
    assert line.request.policies == [POLICY, f"{POLICY}-2"]
    assert line.request.space == NewSpace(True, ORGANIZATION, "Fabrikam")
    assert (line.request.adopt, line.request.manifest) == (adopt, "2026-09")
    assert line.request.authentication is ScannerAuthentication.FEDERATED


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (",,,", "tenant"),
        ("common,,,", "tenant"),
        ("a b,,,", "tenant"),
        (f"{'a' * 256}.example,,,", "tenant"),
        ("a.example,nowhere,,", "space"),
        (f"a.example,{SPACE},{ORGANIZATION},", "space"),
        ("a.example,,,Name", "spaceName"),
        (f"a.example,,{ORGANIZATION},abc", "space.name"),
        ("a.example", "(line)"),
        ("a.example,,,,", "(line)"),
        ('"a.example\nb.example",,,', "tenant"),
        ('"a.example,,,', "(line)"),
    ],
)
def test_a_bad_line_names_its_field_and_leaves_the_others_alone(row: str, field: str) -> None:
    lines = csv(f"tenant,space,organization,spaceName\ngood.example,,,\n{row}\n")
    assert tenants(lines) == ["good.example", None]
    assert lines[1].number == 3
    assert isinstance(lines[1].problem, InvalidRequest)
    assert lines[1].problem.field == field
    assert lines[1].problem.remediation


@pytest.mark.parametrize("second", ["A.Example", " a.example "])
def test_a_tenant_that_is_named_twice_is_taken_once(second: str) -> None:
    lines = csv(f"tenant\na.example\n{second}\n")
    assert tenants(lines) == ["a.example", None]
    assert lines[1].problem is not None
    assert "line 2" in lines[1].problem.message


def test_two_spellings_of_one_tenant_id_are_one_tenant() -> None:
    tenant = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
    lines = csv(f"tenant\n{tenant}\n{{{tenant.upper()}}}\n")
    assert [line.problem is None for line in lines] == [True, False]


def test_json_elements_are_judged_each_by_itself() -> None:
    body = b'[{"tenant": "a.example"}, 7, {"tenant": "b.example", "colour": 1}, {"tenant": ""}]'
    lines = read_lines(body, "application/json")
    assert tenants(lines) == ["a.example", None, None, None]
    assert [line.problem.field for line in lines if line.problem] == ["(line)", "colour", "tenant"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"tenant,tenant\na,b\n",
        b"name\na.example\n",
        b"tenant,\na.example,\n",
        b"tenant\n" + b"x" * 200_000,
    ],
)
def test_a_file_that_is_no_table_of_tenants_is_refused_whole(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_lines(body, "text/csv")
