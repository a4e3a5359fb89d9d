"""The event's schema: what is published, and what is understood of what is sent."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.arrivals.tenant_added import (
    TENANT_ADDED,
    VERSION_1,
    TenantAdded,
    read_event,
    read_message,
    tenant_added,
)
from shared.errors import InvalidRequest
from tests.shared.arrivals import samples

DOCS = Path(__file__).resolve().parent.parent.parent.parent / "docs" / "events"


def schema() -> dict[str, Any]:
    """The JSON Schema of the data, version 1, as the code understands it."""

    def tidy(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: inspect.cleandoc(each) if name == "description" else tidy(each)
                for name, each in value.items()
            }
        return [tidy(each) for each in value] if isinstance(value, list) else value

    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": VERSION_1}
    return draft | tidy(msgspec.json.schema(TenantAdded))


def test_the_published_schema_is_what_the_code_understands() -> None:
    published = json.loads((DOCS / "tenant-added-1.schema.json").read_text("utf-8"))
    assert published == schema()


def test_the_documented_example_is_understood() -> None:
    text = (DOCS / "tenant-added.md").read_text("utf-8")
    examples = [block.split("```")[0] for block in text.split("```json\n")[1:]]
    assert len(examples) == 2
    for example in examples:
        event = read_event(json.loads(example))
        assert event.added.tenant == "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
    assert TENANT_ADDED in text
    assert VERSION_1 in text


def test_what_we_send_ourselves_is_understood() -> None:
    added = TenantAdded(tenant="fabrikam.example", display_name="Fabrikam")
    document = read_message(tenant_added(added, id="one", time=samples.NOON))
    event = read_event(document)
    assert (event.id, event.time, event.added) == ("one", samples.NOON, added)


def test_source_and_id_together_tell_a_repeated_event() -> None:
    one = read_event(samples.cloud_event(source="/a", id="1"))
    same = read_event(samples.cloud_event(source="/a", id="1", time=None))
    others = [
        read_event(samples.cloud_event(source="/b", id="1")),
        read_event(samples.cloud_event(source="/a", id="2")),
    ]
    assert same.key == one.key
    assert len({one.key, *(other.key for other in others)}) == 3


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": None}, "id"),
        ({"id": 7}, "id"),
        ({"id": "x" * 1025}, "id"),
        ({"source": ""}, "source"),
        ({"type": "another"}, "type"),
        ({"dataschema": "urn:mondoo:onboarding:tenant-added:2"}, "dataschema"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2026-11-24T12:00:00"}, "time"),
        ({"time": 5}, "time"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "time"),
        ({"data": "text"}, "data"),
        ({"data": {}}, "data.tenant"),
        ({"data": {"tenant": 7}}, "data.tenant"),
        ({"data": {"tenant": ""}}, "data.tenant"),
        ({"data": {"tenant": "a.example", "policies": ["x"]}}, "data.policies[0]"),
        ({"data": {"tenant": "a.example", "adopt": "x"}}, "data.adopt"),
        ({"data": {"tenant": "common"}}, "tenant"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_event(samples.cloud_event(**changes))
    assert refused.value.field == field
    assert refused.value.remediation


@pytest.mark.parametrize(
    "tenant",
    [
        "{8A1F0C4E-5F0B-4B9A-8D6B-3D7F0B6F2C77}",
        " 8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77 ",
        "8a1f0c4e5f0b4b9a8d6b3d7f0b6f2c77",
        "fabrikam.onmicrosoft.us",
        "FABRIKAM.onmicrosoft.com",
    ],
)
def test_cases_c10_and_c12_a_tenant_may_be_spelled_in_many_ways(tenant: str) -> None:
    assert read_event(samples.cloud_event(data={"tenant": tenant})).added.tenant == tenant


def test_event_grids_own_schema_has_a_version_too() -> None:
    event = {
        "id": "1",
        "topic": "/topics/a",
        "subject": "x",
        "eventType": TENANT_ADDED,
        "eventTime": "2026-11-24T12:00:00.1234567Z",
        "data": {"tenant": "a.example"},
        "dataVersion": "1",
    }
    assert read_event(event).source == "/topics/a"
    with pytest.raises(InvalidRequest, match="event_version_unknown"):
        read_event(event | {"dataVersion": "2"})
