"""The application in a tenant: found by identity, changed with care, never somebody else's."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.simulators import Simulators
from local.simulators.objects import Application as SimulatedApplication
from local.simulators.objects import KeyCredential, Lag
from local.simulators.tenant import SimulatedTenant, new_id
from shared.entra.applications import (
    Application,
    create_application,
    declared_access,
    find_application,
    find_deleted,
    read_application,
    read_object,
    restore,
    update_application,
)
from shared.entra.graph import GraphClient
from shared.entra.key_credentials import key_name
from shared.entra.reactions import AlreadyExists
from shared.errors import NotYet, Refused
from shared.manifest import Manifest
from shared.models import MARK
from tests.shared.entra.certificates import pair
from tests.shared.entra.conftest import NAME, Watch

OURS = pair()
SUPPLIED = pair("supplier", key=1)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def create(graph: GraphClient, manifest: Manifest, present: set[str]) -> Callable[..., Any]:
    async def call(name: str = NAME) -> Application:
        return await create_application(
            graph,
            name=name,
            manifest=manifest,
            present=present,
            certificate_der=OURS.der,
            key_display_name="2026-11-25",
        )

    return call


@pytest.fixture
def update(graph: GraphClient, manifest: Manifest, present: set[str]) -> Callable[..., Any]:
    async def call(application: Application, der: bytes | None = OURS.der) -> Application:
        return await update_application(
            graph,
            application,
            manifest=manifest,
            present=present,
            unique_name=NAME,
            certificate_der=der,
            key_display_name="2026-11-25",
            now=now(),
        )

    return call


@pytest.fixture
def add(simulators: Simulators, tenant: SimulatedTenant) -> Callable[..., SimulatedApplication]:
    """Seeds an application that our automation may write to."""

    def call(*args: Any, **kwargs: Any) -> SimulatedApplication:
        home = simulators.world.home_app.app_id
        ours = tenant.service_principal_by_app_id(home)
        assert ours is not None
        kwargs.setdefault("owners", [ours.id])
        return simulators.run(tenant.add_application, *args, **kwargs)

    return call


# --- making --------------------------------------------------------------------------------------


async def test_an_application_is_made_with_permissions_and_certificate(
    create: Callable[..., Any],
    tenant: SimulatedTenant,
    manifest: Manifest,
    present: set[str],
    watch: Watch,
) -> None:
    made = await create()
    assert made.is_right(manifest, present)
    assert made.thumbprints() == [OURS.thumbprint]
    app = tenant.application_by_unique_name(NAME)
    assert app is not None
    assert app.audience == "AzureADMyOrg"
    assert app.tags == [MARK]
    assert app.required_resource_access == declared_access(manifest, present)
    assert len(watch.requests) == 2


async def test_only_resources_that_the_tenant_has_are_declared(manifest: Manifest) -> None:
    first = manifest.resources[0].app_id
    assert [each["resourceAppId"] for each in declared_access(manifest, {first})] == [first]


async def test_case_a1_a_name_that_is_taken_by_what_cannot_be_read_yet_is_waited_for(
    create: Callable[..., Any],
    graph: GraphClient,
    simulators: Simulators,
    tenant: SimulatedTenant,
    watch: Watch,
) -> None:
    simulators.run(setattr, tenant, "lag", Lag(objects=120, references=120))
    with pytest.raises(NotYet):
        await create()
    assert await find_application(graph, NAME) is None
    with pytest.raises(NotYet, match="application_not_replicated"):
        await create()
    simulators.clock.advance(121)
    found = await find_application(graph, NAME)
    assert found is not None
    assert found.ours
    assert len(tenant.applications) == 1
    assert not [each for each in watch.writes if each.startswith("DELETE")]


async def test_case_a1_a_lost_answer_makes_no_second_application(
    create: Callable[..., Any],
    graph: GraphClient,
    fault: Callable[..., None],
    tenant: SimulatedTenant,
) -> None:
    fault("PATCH /applications(uniqueName='{uniqueName}')", drop="after")
    with pytest.raises(NotYet):
        await create()
    assert await find_application(graph, NAME) is not None
    await create()
    assert len(tenant.applications) == 1


async def test_case_a2_a_deleted_application_of_ours_is_restored(
    create: Callable[..., Any],
    graph: GraphClient,
    simulators: Simulators,
    tenant: SimulatedTenant,
) -> None:
    first = await create()
    simulators.run(tenant.delete_application, tenant.applications[first.object_id])
    assert await find_application(graph, NAME) is None
    with pytest.raises(AlreadyExists) as taken:
        await create()
    assert taken.value.code == "unique_name_taken"
    deleted = await find_deleted(graph, NAME)
    assert deleted is not None
    assert deleted.ours
    restored = await restore(graph, deleted.object_id)
    assert (restored.app_id, restored.complete) == (first.app_id, True)
    assert await find_deleted(graph, NAME) is None


async def test_case_a2_a_strangers_deleted_application_shows_that_it_is_a_strangers(
    graph: GraphClient, add: Callable[..., Any], simulators: Simulators, tenant: SimulatedTenant
) -> None:
    app = add(NAME, NAME)
    simulators.run(tenant.delete_application, app)
    deleted = await find_deleted(graph, NAME)
    assert deleted is not None
    assert not deleted.ours


async def test_a_restore_that_was_done_already_reads_the_application(
    graph: GraphClient, add: Callable[..., Any]
) -> None:
    app = add(NAME, NAME, tags=[MARK])
    assert (await restore(graph, app.id)).app_id == app.app_id


async def test_case_a10_the_odd_conflict_right_after_creation_is_waited_for(
    create: Callable[..., Any], fault: Callable[..., None]
) -> None:
    fault(
        "PATCH /applications(uniqueName='{uniqueName}')",
        status=409,
        code="Error_MsaAppDoesNotExist",
    )
    with pytest.raises(NotYet, match="application_not_replicated"):
        await create()
    assert (await create()).ours


async def test_case_b3_an_application_that_shows_after_five_minutes_is_found(
    create: Callable[..., Any], graph: GraphClient, simulators: Simulators, tenant: SimulatedTenant
) -> None:
    simulators.run(setattr, tenant, "lag", Lag(objects=300))
    with pytest.raises(NotYet):
        await create()
    simulators.clock.advance(299)
    assert await find_application(graph, NAME) is None
    simulators.clock.advance(2)
    assert await find_application(graph, NAME) is not None


async def test_case_b10_an_application_that_never_shows_is_no_success_and_nothing_follows(
    create: Callable[..., Any], fault: Callable[..., None], watch: Watch
) -> None:
    fault("GET /applications/{id}", times=None, status=404, code="Request_ResourceNotFound")
    with pytest.raises(NotYet) as wait:
        await create()
    assert "Request_ResourceNotFound" in wait.value.message
    assert wait.value.request_id
    assert watch.writes == ["PATCH /applications(uniqueName='{uniqueName}')"]


async def test_case_b1_a_fresh_application_that_cannot_be_changed_yet_is_waited_for(
    create: Callable[..., Any], update: Callable[..., Any], fault: Callable[..., None]
) -> None:
    made = await create()
    fault("PATCH /applications/{id}", status=404, code="Request_ResourceNotFound", times=2)
    for _ in range(2):
        with pytest.raises(NotYet):
            await update(made, SUPPLIED.der)
    assert SUPPLIED.thumbprint in (await update(made, SUPPLIED.der)).thumbprints()


# --- finding -------------------------------------------------------------------------------------


async def test_ours_is_found_by_its_unique_name_in_one_request(
    graph: GraphClient, add: Callable[..., Any], watch: Watch
) -> None:
    app = add("renamed by somebody", NAME, tags=[MARK])
    found = await find_application(graph, NAME)
    assert found is not None
    assert (found.object_id, found.complete) == (app.id, True)
    assert watch.requests == ["POST /$batch"]


async def test_case_a4_ours_without_a_unique_name_is_found_and_given_one(
    graph: GraphClient,
    add: Callable[..., Any],
    update: Callable[..., Any],
    tenant: SimulatedTenant,
) -> None:
    app = add(NAME, tags=[MARK])
    found = await find_application(graph, NAME)
    assert found is not None
    assert found.complete
    await update(found)
    assert tenant.application_by_unique_name(NAME) is app
    assert len(tenant.applications) == 1


async def test_case_a4_an_unmarked_application_of_this_name_is_not_ours(
    graph: GraphClient, add: Callable[..., Any]
) -> None:
    add(NAME)
    assert await find_application(graph, NAME) is None


async def test_case_a5_a_strangers_namesake_is_left_byte_for_byte_as_it_was(
    graph: GraphClient,
    add: Callable[..., Any],
    create: Callable[..., Any],
    update: Callable[..., Any],
    tenant: SimulatedTenant,
) -> None:
    app = add(NAME, key_credentials=[SUPPLIED.certificate, pair("other").certificate])
    before = tenant.snapshot(app.id)
    made = await create()
    await update(made, SUPPLIED.der)
    assert made.object_id != app.id
    assert tenant.snapshot(app.id) == before


async def test_a_unique_name_held_without_our_mark_is_reported(
    graph: GraphClient, add: Callable[..., Any], watch: Watch
) -> None:
    app = add("theirs", NAME)
    with pytest.raises(Refused, match="application_name_taken") as refused:
        await find_application(graph, NAME)
    assert app.app_id in refused.value.remediation
    assert not watch.writes


async def test_case_a6_several_of_ours_are_listed_and_none_is_picked(
    graph: GraphClient, add: Callable[..., Any]
) -> None:
    apps = [add(NAME, tags=[MARK]) for _ in range(2)]
    with pytest.raises(Refused, match="application_ambiguous") as refused:
        await find_application(graph, NAME)
    assert all(app.app_id in refused.value.message for app in apps)


async def test_case_a8_names_that_only_begin_alike_or_differ_in_case_are_others(
    graph: GraphClient, add: Callable[..., Any]
) -> None:
    for name in (f"{NAME}-test", "Mondoo-MS365", "MONDOO-MS365"):
        add(name, tags=[MARK])
    assert await find_application(graph, NAME) is None


async def test_an_application_is_adopted_by_its_app_id(
    graph: GraphClient,
    add: Callable[..., Any],
    update: Callable[..., Any],
    manifest: Manifest,
    present: set[str],
    tenant: SimulatedTenant,
) -> None:
    app = add("Set up by hand", tags=["theirs"], key_credentials=[SUPPLIED.certificate])
    found = await find_application(graph, NAME, adopt=app.app_id)
    assert found is not None
    taken_over = await update(found)
    assert taken_over.is_right(manifest, present)
    assert (app.display_name, app.unique_name) == (NAME, NAME)
    assert app.tags == ["theirs", MARK]
    assert set(taken_over.thumbprints()) == {SUPPLIED.thumbprint, OURS.thumbprint}


async def test_adopting_what_does_not_exist_is_refused(graph: GraphClient) -> None:
    with pytest.raises(Refused, match="adopt_not_found"):
        await find_application(graph, NAME, adopt=new_id())


async def test_case_c5_an_object_id_in_the_place_of_an_app_id_is_refused(
    graph: GraphClient, add: Callable[..., Any]
) -> None:
    app = add("Set up by hand")
    with pytest.raises(Refused, match="adopt_not_found"):
        await find_application(graph, NAME, adopt=app.id)


async def test_adopting_another_than_ours_is_refused(
    graph: GraphClient, add: Callable[..., Any]
) -> None:
    add(NAME, NAME, tags=[MARK])
    other = add("Set up by hand")
    with pytest.raises(Refused, match="adopt_conflict"):
        await find_application(graph, NAME, adopt=other.app_id)


async def test_a_failed_search_is_not_the_same_as_nothing_found(
    graph: GraphClient, fault: Callable[..., None]
) -> None:
    fault("GET /applications", status=403, code="Authorization_RequestDenied")
    with pytest.raises(Refused):
        await find_application(graph, NAME)


async def test_an_application_that_does_not_exist_is_none(graph: GraphClient) -> None:
    assert await read_application(graph, NAME) is None


# --- changing ------------------------------------------------------------------------------------


async def test_what_is_right_is_not_written_again(
    create: Callable[..., Any], update: Callable[..., Any], watch: Watch
) -> None:
    made = await create()
    writes = len(watch.writes)
    assert await update(made) == made
    assert len(watch.writes) == writes


async def test_case_e1_the_certificate_is_added_beside_foreign_ones(
    graph: GraphClient,
    add: Callable[..., Any],
    update: Callable[..., Any],
    watch: Watch,
) -> None:
    foreign = [SUPPLIED.certificate, pair("second", key=1).certificate]
    app = add(NAME, NAME, tags=[MARK], key_credentials=foreign)
    before = [(key.key_id, key.der) for key in app.key_credentials]
    updated = await update(await read_object(graph, app.id))
    assert [(key.key_id, key.der) for key in app.key_credentials][:2] == before
    assert updated.thumbprints()[-1] == OURS.thumbprint
    assert watch.writes == ["PATCH /applications/{id}"]


async def test_case_e3_dates_with_seven_digits_survive_an_update(
    graph: GraphClient, add: Callable[..., Any], update: Callable[..., Any]
) -> None:
    end = f"{now() + timedelta(days=20):%Y-%m-%dT%H:%M:%S}.1234567Z"
    key = KeyCredential.of(SUPPLIED.certificate, new_id(), end=end)
    app = add(NAME, NAME, tags=[MARK], key_credentials=[key])
    await update(await read_object(graph, app.id))
    assert app.key_credentials[0].end == end


async def test_case_e6_an_application_from_a_list_is_never_written(
    update: Callable[..., Any],
) -> None:
    listed = Application.from_graph({"id": "1", "appId": "2", "displayName": NAME})
    with pytest.raises(ValueError, match="from a list"):
        await update(listed)


async def test_case_e7_a_certificate_made_a_second_ago_is_taken(
    create: Callable[..., Any], update: Callable[..., Any]
) -> None:
    fresh = pair("fresh", age=timedelta(seconds=1))
    assert fresh.thumbprint in (await update(await create(), fresh.der)).thumbprints()


@pytest.mark.parametrize("code", ["KeyCredentialsInvalidEndDate", "KeyCredentialsInvalidStartDate"])
async def test_case_e8_dates_that_are_not_accepted_yet_are_waited_for(
    code: str, create: Callable[..., Any], update: Callable[..., Any], fault: Callable[..., None]
) -> None:
    made = await create()
    fault("PATCH /applications/{id}", status=400, code=code)
    with pytest.raises(NotYet, match="key_dates_refused"):
        await update(made, SUPPLIED.der)
    assert SUPPLIED.thumbprint in (await update(made, SUPPLIED.der)).thumbprints()


async def test_case_e10_an_expired_certificate_of_ours_does_not_stand_in_the_way(
    graph: GraphClient,
    add: Callable[..., Any],
    update: Callable[..., Any],
    simulators: Simulators,
    tenant: SimulatedTenant,
) -> None:
    old = KeyCredential.of(
        pair("old", days=-1).certificate, new_id(), display_name=key_name("2025")
    )
    app = add(NAME, NAME, tags=[MARK], key_credentials=[old, SUPPLIED.certificate])
    simulators.run(setattr, tenant.switches, "reject_expired_keys", True)
    updated = await update(await read_object(graph, app.id))
    assert updated.thumbprints() == [SUPPLIED.thumbprint, OURS.thumbprint]


async def test_case_e10_an_expired_certificate_of_others_is_reported_and_stays(
    graph: GraphClient,
    add: Callable[..., Any],
    update: Callable[..., Any],
    simulators: Simulators,
    tenant: SimulatedTenant,
) -> None:
    old = KeyCredential.of(pair("old", days=-1).certificate, new_id(), display_name="Supplier")
    app = add(NAME, NAME, tags=[MARK], key_credentials=[old])
    simulators.run(setattr, tenant.switches, "reject_expired_keys", True)
    before = tenant.snapshot(app.id)
    with pytest.raises(Refused, match="foreign_certificate_expired") as refused:
        await update(await read_object(graph, app.id))
    assert old.key_id in refused.value.message
    assert "Supplier" in refused.value.message
    assert tenant.snapshot(app.id) == before


async def test_case_e11_expired_certificates_of_ours_are_pruned(
    graph: GraphClient, add: Callable[..., Any], update: Callable[..., Any]
) -> None:
    old = pair("old", days=-1).certificate
    entries = [
        KeyCredential.of(old, new_id(), display_name=key_name(f"old {n}")) for n in range(30)
    ]
    app = add(NAME, NAME, tags=[MARK], key_credentials=entries)
    await update(await read_object(graph, app.id))
    assert [key.der for key in app.key_credentials] == [OURS.der]


async def test_case_e14_a_certificate_too_long_for_the_policy_is_refused_with_advice(
    create: Callable[..., Any], simulators: Simulators, tenant: SimulatedTenant
) -> None:
    simulators.run(tenant.restrict_keys, max_lifetime="P30D")
    with pytest.raises(Refused, match="certificate_too_long_for_policy"):
        await create()
    assert tenant.application_by_unique_name(NAME) is None


async def test_a_change_that_cannot_be_seen_yet_is_no_success(
    create: Callable[..., Any], update: Callable[..., Any], fault: Callable[..., None]
) -> None:
    made = await create()
    fault("PATCH /applications/{id}", status=204, body=b"")
    with pytest.raises(NotYet, match="application_not_replicated"):
        await update(made, SUPPLIED.der)


async def test_a_certificate_of_others_that_vanishes_meanwhile_is_reported(
    graph: GraphClient,
    add: Callable[..., Any],
    update: Callable[..., Any],
    manifest: Manifest,
    present: set[str],
    fault: Callable[..., None],
) -> None:
    theirs = KeyCredential.of(SUPPLIED.certificate, new_id(), display_name="Supplier")
    app = add(NAME, NAME, tags=[MARK], key_credentials=[theirs])
    read = await read_object(graph, app.id)
    ours = KeyCredential.of(OURS.certificate, new_id(), display_name=key_name("x"))
    read_back = {
        "id": app.id,
        "appId": app.app_id,
        "displayName": NAME,
        "uniqueName": NAME,
        "tags": [MARK],
        "requiredResourceAccess": declared_access(manifest, present),
        "keyCredentials": [ours.as_json(with_key=True)],
    }
    fault("GET /applications/{id}", status=200, body=json.dumps(read_back).encode())
    with pytest.raises(Refused, match="foreign_certificate_lost") as refused:
        await update(read)
    assert theirs.key_id in refused.value.message


async def test_an_entry_that_is_gone_when_it_is_sent_again_stops_the_change(
    graph: GraphClient,
    add: Callable[..., Any],
    update: Callable[..., Any],
    simulators: Simulators,
) -> None:
    app = add(NAME, NAME, tags=[MARK], key_credentials=[SUPPLIED.certificate])
    read = await read_object(graph, app.id)
    simulators.run(app.key_credentials.clear)
    with pytest.raises(Refused):
        await update(read)
    assert app.key_credentials == []


async def test_permissions_that_are_declared_beyond_the_manifest_are_corrected(
    graph: GraphClient,
    add: Callable[..., Any],
    update: Callable[..., Any],
    manifest: Manifest,
    present: set[str],
) -> None:
    extra = {"resourceAppId": new_id(), "resourceAccess": [{"id": new_id(), "type": "Role"}]}
    app = add(NAME, NAME, tags=[MARK], required_resource_access=[extra])
    assert (await update(await read_object(graph, app.id), None)).is_right(manifest, present)
    assert app.key_credentials == []
