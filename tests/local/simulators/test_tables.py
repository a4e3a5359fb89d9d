"""The simulated table service, asked by the real client."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import EdmType, EntityProperty, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient
from hypothesis import given
from hypothesis import strategies as st

from local.simulators import Simulators
from local.simulators.faults import Fault
from local.simulators.tables_filter import FilterRefused, parse_filter
from tests.local.simulators.callers import Caller, bearer, stranger, web


def client_for(simulators: Simulators, name: str, caller: Caller | None = None) -> TableClient:
    return TableClient(
        simulators.urls["tables"],
        name,
        credential=caller or Caller(simulators),
        connection_verify=str(simulators.ca_file),
        retry_total=0,
    )


@pytest.fixture
async def table(simulators: Simulators) -> AsyncIterator[TableClient]:
    async with client_for(simulators, f"t{uuid.uuid4().hex[:12]}") as client:
        await client.create_table()
        yield client


def entity(row: str = "r", partition: str = "p", **values: Any) -> dict[str, Any]:
    return {"PartitionKey": partition, "RowKey": row, **values}


async def found(table: TableClient, filter_: str, **kwargs: Any) -> list[str]:
    return [each["RowKey"] async for each in table.query_entities(filter_, **kwargs)]


async def test_a_table_is_made_once(simulators: Simulators, table: TableClient) -> None:
    with pytest.raises(ResourceExistsError) as refusal:
        await table.create_table()
    assert refusal.value.error_code == "TableAlreadyExists"  # type: ignore[attr-defined]
    async with TableServiceClient(
        simulators.urls["tables"],
        credential=Caller(simulators),
        connection_verify=str(simulators.ca_file),
    ) as service:
        await service.create_table_if_not_exists(table.table_name)
        assert table.table_name in [each.name async for each in service.list_tables()]
    await table.delete_table()
    with pytest.raises(ResourceNotFoundError) as missing:
        await table.get_entity("p", "r")
    assert missing.value.error_code == "TableNotFound"  # type: ignore[attr-defined]


async def test_an_entity_comes_back_with_the_types_it_was_given(table: TableClient) -> None:
    values: dict[str, Any] = {
        "text": "grüß 'Gott'",
        "number": 7,
        "long": EntityProperty(2**40, EdmType.INT64),
        "ratio": 0.5,
        "yes": True,
        "when": datetime(2026, 9, 10, 8, tzinfo=UTC),
        "who": uuid.UUID("8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"),
        "raw": b"\x00\xff",
        "nothing": None,
    }
    await table.create_entity(entity(**values))
    read = await table.get_entity("p", "r")
    assert "nothing" not in read
    for name in ("text", "number", "ratio", "yes", "who", "raw"):
        assert read[name] == values[name], name
    assert read["long"].value == 2**40
    assert read["when"] == values["when"]
    assert read.metadata["timestamp"] is not None


async def test_keys_with_quotes_and_spaces_are_keys_like_others(table: TableClient) -> None:
    await table.create_entity(entity("it's a row", "a 'part'", v=1))
    assert (await table.get_entity("a 'part'", "it's a row"))["v"] == 1
    await table.delete_entity("a 'part'", "it's a row")
    with pytest.raises(ResourceNotFoundError) as refusal:
        await table.get_entity("a 'part'", "it's a row")
    assert refusal.value.error_code == "ResourceNotFound"  # type: ignore[attr-defined]


async def test_an_entity_is_inserted_once_and_upserted_any_time(table: TableClient) -> None:
    await table.create_entity(entity(a=1, b=1))
    with pytest.raises(ResourceExistsError) as refusal:
        await table.create_entity(entity(a=2))
    assert "EntityAlreadyExists" in str(refusal.value)
    await table.upsert_entity(entity(a=2), mode=UpdateMode.MERGE)
    merged = await table.get_entity("p", "r")
    assert (merged["a"], merged["b"]) == (2, 1)
    await table.upsert_entity(entity(a=3), mode=UpdateMode.REPLACE)
    replaced = await table.get_entity("p", "r")
    assert replaced["a"] == 3
    assert "b" not in replaced
    await table.upsert_entity(entity("new", a=4))
    assert (await table.get_entity("p", "new"))["a"] == 4


@pytest.mark.parametrize("mode", [UpdateMode.MERGE, UpdateMode.REPLACE])
async def test_an_update_needs_the_entity_and_its_tag(table: TableClient, mode: UpdateMode) -> None:
    with pytest.raises(ResourceNotFoundError):
        await table.update_entity(entity(a=1), mode=mode)
    first = await table.create_entity(entity(a=1))
    read = await table.get_entity("p", "r")
    assert read.metadata["etag"] == first["etag"]
    unchanged = {"etag": first["etag"], "match_condition": MatchConditions.IfNotModified}
    second = await table.update_entity(entity(a=2), mode=mode, **unchanged)
    assert second["etag"] != first["etag"]
    for change in (
        table.update_entity(entity(a=3), mode=mode, **unchanged),
        table.delete_entity("p", "r", **unchanged),
    ):
        with pytest.raises(ResourceModifiedError) as refusal:
            await change
        assert refusal.value.status_code == 412
        assert refusal.value.error_code == "UpdateConditionNotSatisfied"  # type: ignore[attr-defined]
    assert (await table.get_entity("p", "r"))["a"] == 2


async def test_every_write_has_a_tag_of_its_own(table: TableClient) -> None:
    tags = {(await table.upsert_entity(entity(a=n)))["etag"] for n in range(50)}
    assert len(tags) == 50


async def test_queries_compare_keys_and_properties(table: TableClient) -> None:
    for number in range(6):
        await table.create_entity(
            entity(f"r{number}", "p" if number < 4 else "q", n=number, even=number % 2 == 0)
        )
    assert await found(table, "PartitionKey eq 'p'") == ["r0", "r1", "r2", "r3"]
    assert await found(table, "PartitionKey eq 'p' and RowKey gt 'r1'") == ["r2", "r3"]
    assert await found(table, "RowKey ge 'r1' and RowKey lt 'r3'") == ["r1", "r2"]
    assert await found(table, "n gt 3 or even eq true") == ["r0", "r2", "r4", "r5"]
    assert await found(table, "not (n le 4)") == ["r5"]
    assert await found(table, "n eq @n", parameters={"n": 2}) == ["r2"]
    assert await found(table, "missing eq 'x'") == []
    assert await found(table, "missing ne 'x'") == []
    assert await found(table, "n eq '2'") == []
    later = "Timestamp gt datetime'2020-01-01T00:00:00Z'"
    assert len(await found(table, later)) == 6
    selected = [each async for each in table.query_entities("n eq 2", select=["n"])]
    assert dict(selected[0]) == {"n": 2}
    with pytest.raises(HttpResponseError) as refusal:
        await found(table, "n equals 2")
    assert refusal.value.error_code == "InvalidInput"  # type: ignore[attr-defined]


async def test_long_answers_come_in_pages_of_1000_at_most(
    simulators: Simulators, table: TableClient
) -> None:
    for number in range(1003):
        simulators.run(
            simulators.tables.put_entity,
            table.table_name,
            entity(f"r{number:04}", f"p{number % 2}"),
        )
    pages = [[e["RowKey"] async for e in page] async for page in table.list_entities().by_page()]
    assert [len(page) for page in pages] == [1000, 3]
    assert len({row for page in pages for row in page}) == 1003
    small = table.query_entities("PartitionKey eq 'p1'", results_per_page=200).by_page()
    assert [len([e async for e in page]) async for page in small] == [200, 200, 101]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"text": "x" * 32_769}, "PropertyValueTooLarge"),
        ({"raw": b"x" * 65_537}, "PropertyValueTooLarge"),
        ({f"n{number}": "x" * 32_000 for number in range(17)}, "EntityTooLarge"),
        ({f"n{number}": 1 for number in range(253)}, "TooManyProperties"),
        ({"n" * 256: 1}, "PropertyNameTooLong"),
        ({"with-hyphen": 1}, "PropertyNameInvalid"),
        ({"RowKey": "a/b"}, "OutOfRangeInput"),
        ({"RowKey": "k" * 513}, "KeyValueTooLarge"),
        ({"when": EntityProperty("yesterday", EdmType.DATETIME)}, "InvalidInput"),
    ],
)
async def test_limits_of_an_entity_are_kept(
    table: TableClient, values: dict[str, Any], code: str
) -> None:
    with pytest.raises(HttpResponseError) as refusal:
        await table.create_entity(entity() | values)
    assert refusal.value.status_code == 400
    assert code in str(refusal.value)


async def test_just_inside_the_limits_is_fine(table: TableClient) -> None:
    many = {f"n{number}": number for number in range(251)}
    await table.create_entity(entity(text="x" * 32_768) | many)
    assert len((await table.get_entity("p", "r"))["text"]) == 32_768


async def test_callers_need_a_token_for_storage_and_a_role(simulators: Simulators) -> None:
    url = f"{simulators.urls['tables']}/Tables"
    async with web(simulators) as client:
        answer = await client.get(url)
    assert answer.status_code == 401
    assert "resource_id=https://storage.azure.com" in answer.headers["WWW-Authenticate"]
    async with client_for(
        simulators, "anything", Caller(simulators, stranger(simulators))
    ) as other:
        with pytest.raises(HttpResponseError) as refusal:
            await other.create_table()
    assert refusal.value.status_code == 403
    assert "AuthorizationPermissionMismatch" in str(refusal.value)


@pytest.mark.parametrize("name", ["ab", "1abc", "with-hyphen", "Tables"])
async def test_table_names_are_letters_and_digits(simulators: Simulators, name: str) -> None:
    token = Caller(simulators).token("https://storage.azure.com")
    headers = bearer(token) | {"x-ms-version": "2019-02-02"}
    async with web(simulators, headers=headers) as client:
        answer = await client.post(f"{simulators.urls['tables']}/Tables", json={"TableName": name})
    assert answer.status_code == 400
    assert answer.json()["odata.error"]["code"] == "InvalidResourceName"


async def test_faults_strike_by_kind_of_call(simulators: Simulators, table: TableClient) -> None:
    simulators.faults.add(
        Fault(
            "tables",
            "PATCH /{table}(PartitionKey,RowKey)",
            status=503,
            code="ServerBusy",
            message="busy",
        )
    )
    with pytest.raises(HttpResponseError) as refusal:
        await table.upsert_entity(entity(a=1))
    assert refusal.value.error_code == "ServerBusy"  # type: ignore[attr-defined]


@given(
    row=st.dictionaries(st.sampled_from("abc"), st.integers(-3, 3), max_size=3),
    left=st.sampled_from("abc"),
    right=st.sampled_from("abc"),
    one=st.integers(-3, 3),
    two=st.integers(-3, 3),
)
def test_and_binds_closer_than_or(
    row: dict[str, int], left: str, right: str, one: int, two: int
) -> None:
    def part(name: str, value: int) -> bool:
        return name in row and row[name] > value

    text = f"{left} gt {one} or {right} gt {two} and {left} gt {two}"
    expected = part(left, one) or (part(right, two) and part(left, two))
    assert parse_filter(text)(row) is expected


@pytest.mark.parametrize(
    "text", ["", "a", "a eq", "a eq 1 and", "(a eq 1", "a eq 1)", "1 eq a", "a eq guid'x'", "a ~ 1"]
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(FilterRefused):
        parse_filter(text)
