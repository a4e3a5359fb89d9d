"""The Graph client: raw JSON, one family of errors, and a token that stays at home."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import shared.entra
from local.simulators import Simulators
from local.simulators.catalogue import ALL_AUTOMATION_RIGHTS
from local.simulators.tenant import SimulatedTenant
from shared.config import Settings
from shared.entra.graph import BatchRequest, GraphClient, literal, quoted, relative, roles_of
from shared.entra.identity import Identity
from shared.entra.reactions import Gone
from shared.errors import NotYet, OutcomeUnknown, Refused
from tests.shared.entra.conftest import Watch

AWKWARD = [
    'O\'Brien & Söhne "Ltd" #1 +50%',
    "''",
    "%27",
    "trailing\\",
    "a/b?c=d",
    "日本",
]


async def test_an_object_is_read_as_raw_json(graph: GraphClient, tenant: SimulatedTenant) -> None:
    answer = await graph.get("organization", select=("id", "displayName"))
    assert answer["value"] == [{"id": tenant.id, "displayName": "Fabrikam"}]


async def test_case_d3_the_roles_of_our_token_are_those_that_were_granted(
    add_tenant: Callable[..., SimulatedTenant],
    graph_of: Callable[[SimulatedTenant], GraphClient],
) -> None:
    some = {"Application.ReadWrite.All", "Directory.ReadWrite.All"}
    assert await graph_of(add_tenant(rights=some)).token_roles() == some
    assert await graph_of(add_tenant()).token_roles() == ALL_AUTOMATION_RIGHTS


async def test_roles_given_later_show_after_forgetting(
    graph: GraphClient,
    identity: Identity,
    simulators: Simulators,
    tenant: SimulatedTenant,
) -> None:
    before = await graph.token_roles()
    ours = tenant.service_principal_by_app_id(simulators.world.home_app.app_id)
    assert ours is not None
    simulators.run(tenant.grant, ours, "AuditLog.Read.All")
    assert await graph.token_roles() == before
    await identity.forget(tenant.id)
    assert await graph.token_roles() == before | {"AuditLog.Read.All"}


def test_an_opaque_token_names_no_roles() -> None:
    assert roles_of("opaque") == frozenset()
    assert roles_of("a.b!.c") == frozenset()
    assert roles_of("") == frozenset()


@pytest.mark.parametrize("name", AWKWARD)
async def test_case_c1_any_name_can_be_looked_up_by_key_and_by_filter(
    name: str, graph: GraphClient, tenant: SimulatedTenant, simulators: Simulators
) -> None:
    app = simulators.run(tenant.add_application, name, name)
    by_key = await graph.get(f"applications(uniqueName={quoted(name)})", select=("id",))
    assert by_key["id"] == app.id
    query = {"$filter": f"displayName eq {literal(name)}"}
    by_filter = await graph.get_all("applications", params=query)
    assert [each["id"] for each in by_filter] == [app.id]
    path = relative("applications", params=query)
    in_batch = await graph.batch([BatchRequest("1", path)])
    assert [each["id"] for each in in_batch[0].body["value"]] == [app.id]


@given(st.text(max_size=60))
def test_a_quoted_name_stays_inside_its_quotes(name: str) -> None:
    encoded = quoted(name)
    assert set(encoded[1:-1]).isdisjoint("'/?#&()\" ")
    assert unquote(encoded) == literal(name)
    assert literal(name)[1:-1].replace("''", "'") == name


async def test_case_c2_a_list_is_read_to_its_end(
    graph: GraphClient, tenant: SimulatedTenant, simulators: Simulators, watch: Watch
) -> None:
    def fill() -> None:
        for number in range(101):
            tenant.add_application(f"filler {number}", service_principal=False)

    simulators.run(fill)
    names = {each["displayName"] for each in await graph.get_all("applications")}
    assert {f"filler {number}" for number in range(101)} <= names
    assert len(watch.requests) == 2


async def test_a_next_page_on_another_host_is_not_followed(
    graph: GraphClient, fault: Callable[..., None], watch: Watch
) -> None:
    page = b'{"value": [], "@odata.nextLink": "https://127.0.0.2/v1.0/applications?$skiptoken=x"}'
    fault("GET /applications", status=200, body=page)
    with pytest.raises(Refused) as refused:
        await graph.get_all("applications")
    assert refused.value.code == "graph_foreign_link"
    assert len(watch.requests) == 1


async def test_a_next_page_without_tls_is_not_followed(
    graph: GraphClient, settings: Settings, fault: Callable[..., None]
) -> None:
    link = settings.cloud.graph.replace("https", "http") + "/v1.0/applications"
    fault("GET /applications", status=200, body=f'{{"@odata.nextLink": "{link}"}}'.encode())
    with pytest.raises(Refused, match="graph_foreign_link"):
        await graph.get_all("applications")


def test_case_c4_nothing_is_ever_expanded() -> None:
    folder = Path(shared.entra.__file__).parent
    assert not [path.name for path in folder.glob("*.py") if "$expand" in path.read_text()]


async def test_an_object_is_deleted_and_is_gone_the_second_time(
    graph: GraphClient, watch: Watch
) -> None:
    made = await graph.post("applications", {"displayName": "short-lived"})
    await graph.delete(f"applications/{made['id']}")
    with pytest.raises(Gone):
        await graph.delete(f"applications/{made['id']}")
    assert watch.writes == [
        "POST /applications",
        "DELETE /applications/{id}",
        "DELETE /applications/{id}",
    ]


# --- what goes wrong -----------------------------------------------------------------------------


async def test_case_b11_a_refusal_costs_one_request_and_keeps_its_cause(
    graph: GraphClient, fault: Callable[..., None], watch: Watch
) -> None:
    fault(
        "GET /organization",
        times=None,
        status=403,
        code="Authorization_RequestDenied",
        message="Insufficient privileges to complete the operation.",
    )
    with pytest.raises(Refused) as refused:
        await graph.get("organization", what="the organization")
    assert refused.value.code == "graph_permission_missing"
    assert "Authorization_RequestDenied" in refused.value.message
    assert refused.value.request_id
    assert len(watch.requests) == 1


async def test_case_b13_endless_throttling_ends_after_a_few_requests(
    graph: GraphClient, fault: Callable[..., None], watch: Watch
) -> None:
    fault("GET /organization", times=None, status=429, code="TooManyRequests")
    with pytest.raises(NotYet) as wait:
        await graph.get("organization")
    assert wait.value.code == "graph_throttled"
    assert len(watch.requests) == 3


async def test_a_long_retry_after_is_left_to_the_durable_timer(
    graph: GraphClient, fault: Callable[..., None], watch: Watch
) -> None:
    fault("GET /organization", times=None, status=429, headers={"Retry-After": "120"})
    with pytest.raises(NotYet) as wait:
        await graph.get("organization")
    assert wait.value.retry_after == 120
    assert len(watch.requests) == 1


async def test_a_short_outage_is_ridden_out(
    graph: GraphClient, fault: Callable[..., None], watch: Watch
) -> None:
    fault("GET /organization", times=2, status=503, headers={"Retry-After": "0"})
    assert (await graph.get("organization"))["value"]
    assert len(watch.requests) == 3


async def test_a_gateways_page_counts_as_an_outage(
    graph: GraphClient, fault: Callable[..., None]
) -> None:
    fault("GET /organization", times=None, status=502, body=b"<html>Bad gateway</html>")
    with pytest.raises(NotYet, match="graph_unavailable"):
        await graph.get("organization")


async def test_a_page_in_the_place_of_json_is_no_answer(
    graph: GraphClient, fault: Callable[..., None]
) -> None:
    fault("GET /organization", status=200, body=b"<html>Please log in to the proxy</html>")
    with pytest.raises(Refused, match="graph_answer_unreadable"):
        await graph.get("organization")


async def test_a_lost_answer_to_a_read_can_be_repeated(
    graph: GraphClient, fault: Callable[..., None]
) -> None:
    fault("GET /organization", drop="before", times=3)
    with pytest.raises(NotYet, match="service_unreachable"):
        await graph.get("organization")


async def test_a_lost_answer_to_a_write_is_an_unknown_outcome(
    graph: GraphClient, fault: Callable[..., None]
) -> None:
    fault("POST /applications", drop="after")
    with pytest.raises(OutcomeUnknown, match="no_answer"):
        await graph.post("applications", {"displayName": "once"})


async def test_a_lost_answer_to_an_idempotent_write_can_be_repeated(
    graph: GraphClient, fault: Callable[..., None]
) -> None:
    fault("PATCH /applications(uniqueName='{uniqueName}')", drop="after")
    with pytest.raises(NotYet, match="service_unreachable"):
        await graph.patch(
            "applications(uniqueName='x')",
            {"displayName": "x"},
            headers={"Prefer": "create-if-missing"},
        )


async def test_a_refused_connection_is_waited_for(
    settings: Settings, identity: Identity, tenant: SimulatedTenant
) -> None:
    nobody = "https://127.0.0.1:9"
    away = replace(settings, cloud=replace_graph(settings, nobody))
    client = GraphClient(away, Token(), tenant.id)
    with pytest.raises(NotYet, match="service_unreachable"):
        await client.post("applications", {"displayName": "x"})
    await client.aclose()


async def test_an_untrusted_certificate_is_refused_with_advice(
    settings: Settings, tenant: SimulatedTenant
) -> None:
    client = GraphClient(replace(settings, trusted_ca_file=None), Token(), tenant.id)
    with pytest.raises(Refused, match="tls_untrusted") as refused:
        await client.get("organization")
    assert "TRUSTED_CA_FILE" in refused.value.remediation
    await client.aclose()


# --- batches -------------------------------------------------------------------------------------


async def test_answers_of_a_batch_come_in_the_order_of_the_requests(
    graph: GraphClient, watch: Watch
) -> None:
    requests = [BatchRequest(str(n), "organization") for n in range(45)]
    answers = await graph.batch(requests)
    assert [answer.id for answer in answers] == [str(n) for n in range(45)]
    assert watch.requests == ["POST /$batch"] * 3


async def test_only_what_was_throttled_inside_a_batch_is_repeated(
    graph: GraphClient, fault: Callable[..., None], watch: Watch
) -> None:
    fault("GET /organization", status=429, headers={"Retry-After": "0"})
    answers = await graph.batch(
        [
            BatchRequest("org", "organization"),
            BatchRequest("none", "applications(uniqueName='none')"),
            BatchRequest("apps", "applications"),
        ]
    )
    assert [answer.status for answer in answers] == [200, 404, 200]
    assert watch.inner.count("GET /organization") == 2
    assert watch.inner.count("GET /applications") == 1
    assert answers[1].result_or_none("application none") is None


async def test_a_batch_gives_up_on_endless_throttling_inside(
    graph: GraphClient, fault: Callable[..., None], watch: Watch
) -> None:
    fault("GET /organization", times=None, status=429, headers={"Retry-After": "0"})
    (answer,) = await graph.batch([BatchRequest("org", "organization")])
    with pytest.raises(NotYet, match="graph_throttled"):
        answer.result("the organization")
    assert len(watch.requests) == 3


async def test_a_batch_does_not_sleep_through_a_long_retry_after(
    graph: GraphClient, fault: Callable[..., None], watch: Watch
) -> None:
    fault("GET /organization", times=None, status=429, headers={"Retry-After": "300"})
    (answer,) = await graph.batch([BatchRequest("org", "organization")])
    with pytest.raises(NotYet) as wait:
        answer.result("the organization")
    assert wait.value.retry_after == 300
    assert len(watch.requests) == 1


async def test_an_answer_that_a_batch_leaves_out_is_no_success(
    graph: GraphClient, fault: Callable[..., None]
) -> None:
    fault("POST /$batch", status=200, body=b'{"responses": []}')
    with pytest.raises(OutcomeUnknown, match="graph_batch_incomplete"):
        await graph.batch([BatchRequest("org", "organization")])


async def test_a_lost_answer_to_a_batch_of_writes_is_an_unknown_outcome(
    graph: GraphClient, fault: Callable[..., None]
) -> None:
    write = BatchRequest("1", "applications", method="POST", body={"displayName": "x"})
    fault("POST /$batch", drop="after", times=2)
    with pytest.raises(OutcomeUnknown):
        await graph.batch([write])
    with pytest.raises(NotYet):
        await graph.batch([BatchRequest("1", "organization")])


# --- stand-ins -----------------------------------------------------------------------------------


class Token:
    """A credential for hosts that are never asked."""

    async def get_token(self, *scopes: str, **kwargs: Any) -> Any:
        from azure.core.credentials import AccessToken

        return AccessToken("token", 4_000_000_000)

    async def close(self) -> None:
        return None

    async def __aenter__(self) -> Token:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


def replace_graph(settings: Settings, url: str) -> Any:
    import msgspec

    return msgspec.structs.replace(settings.cloud, graph=url)
