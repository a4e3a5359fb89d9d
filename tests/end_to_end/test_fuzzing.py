"""Whatever comes in by event, queue, CSV or callback: never a 500, never an operation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.event_grid import TENANT_ADDED, deliver
from shared.arrivals.lines import read_lines
from shared.arrivals.tenant_added import Event, read_event, read_message
from shared.entra.tenants import parse_tenant
from shared.errors import InvalidRequest
from tests.driving import Driver

PURE = settings(max_examples=300, deadline=None, derandomize=True)
THROUGH = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
# Names that no tenant of the simulators has, and everything that is no name at all.
tenants = st.one_of(
    json_values,
    st.sampled_from(
        ["", "common", "x", "{}", "nobody.example", "\ud800", "a\x00b.example", "-" * 36]
    ),
)
data = st.dictionaries(
    st.sampled_from(["tenant", "space", "manifest", "policies", "adopt", "applicationName", ""]),
    tenants,
    max_size=5,
)


def attributes(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Some attributes of an event, good ones and anything."""
    good: dict[str, Any] = {
        "specversion": "1.0",
        "id": "fuzz",
        "source": "/fuzz",
        "type": TENANT_ADDED,
        "eventType": TENANT_ADDED,
        "dataVersion": "1",
    }
    return st.fixed_dictionaries(
        {},
        optional={name: json_values | st.just(good.get(name, "x")) for name in names}
        | {"data": data | json_values},
    )


events = attributes("specversion", "id", "source", "type", "subject", "dataschema") | attributes(
    "id", "topic", "subject", "eventType", "dataVersion"
)
lines = st.lists(st.lists(st.text(max_size=12), max_size=4).map(",".join), max_size=6)
files = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")),
    lines.map(lambda found: "\r\n".join(["tenant,space", *found]).encode("utf-8", "replace")),
)


@PURE
@given(events | json_values)
def test_a_document_is_an_event_or_is_refused(document: Any) -> None:
    try:
        event = read_event(document)
    except InvalidRequest:
        return
    assert isinstance(event, Event)
    assert parse_tenant(event.added.tenant)


@PURE
@given(st.text() | st.binary().map(lambda content: content.decode(errors="replace")))
def test_a_message_is_json_or_is_refused(text: str) -> None:
    try:
        document = read_message(text)
    except InvalidRequest:
        return
    assert document == json.loads(text)


@PURE
@given(files, st.sampled_from(["text/csv", "application/json", ""]))
def test_a_file_is_lines_each_with_a_verdict_or_is_refused(body: bytes, kind: str) -> None:
    try:
        found = read_lines(body, kind)
    except InvalidRequest:
        return
    assert found
    for line in found:
        assert (line.request is None) != (line.problem is None)
        if line.request is not None:
            assert parse_tenant(line.request.tenant)


@pytest.fixture
def instances(product: Driver) -> list[str]:
    """Operations that were there before."""
    return tenant_instances(product)


def tenant_instances(product: Driver) -> list[str]:
    found = [str(each["instanceId"]) for each in product.stack.host.instances()]
    return [each for each in found if each.startswith("tenant-")]


@THROUGH
@given(events)
def test_any_event_is_answered_and_starts_nothing(
    product: Driver, instances: list[str], document: dict[str, Any]
) -> None:
    answer = deliver(product.http, {"id": "fuzz", **document})
    assert answer.status_code < 500
    assert tenant_instances(product) == instances


@THROUGH
@given(events.map(json.dumps) | st.text(max_size=100))
def test_any_message_leaves_the_queue_and_starts_nothing(
    product: Driver, instances: list[str], text: str
) -> None:
    queue = product.stack.host.queue("tenant-additions")
    poison = product.stack.host.queue("tenant-additions-poison")
    known = len(poison.texts)
    queue.put(text.encode("utf-8", "replace"))
    assert queue.wait_until_empty()
    assert "reason" in json.loads(poison.texts[known])
    assert tenant_instances(product) == instances


@THROUGH
@given(files, st.sampled_from(["text/csv", "application/json"]))
def test_any_file_is_answered_and_starts_nothing(
    product: Driver, instances: list[str], body: bytes, kind: str
) -> None:
    headers = {"Content-Type": kind}
    answer = product.http.post("/api/tenants/batch", content=body, headers=headers)
    assert answer.status_code in (202, 400)
    assert tenant_instances(product) == instances


queries = st.dictionaries(
    st.sampled_from(["state", "tenant", "admin_consent", "error", "error_description", "scope"]),
    st.text(max_size=60) | st.sampled_from(["True", "A" * 43, "common"]),
)


@THROUGH
@given(queries)
def test_any_callback_is_answered_with_a_page_and_starts_nothing(
    product: Driver, instances: list[str], query: dict[str, str]
) -> None:
    query = {name: value.encode("utf-8", "replace").decode() for name, value in query.items()}
    answer = product.get("/api/consent/callback", params=query)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/html")
    assert product.stack.host.queue("tenant-additions").texts == []
    assert tenant_instances(product) == instances
