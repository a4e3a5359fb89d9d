"""Announcements as CloudEvents on the simulated topic."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Literal, NoReturn

import pytest

from local.simulators import Simulators
from local.simulators.faults import Fault
from shared.config import Settings
from shared.entra.identity import Identity
from shared.errors import NotYet, Refused
from shared.notifications import (
    TENANT_FAILED,
    TENANT_ONBOARDED,
    EventGridTopic,
    Notifications,
    open_notifications,
)

TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
TIME = datetime(2026, 11, 24, 13, 0, tzinfo=timezone(timedelta(hours=1)))


@pytest.fixture
async def topic(
    settings: Settings, identity: Identity, simulators: Simulators
) -> AsyncIterator[Notifications]:
    """The topic of the settings, on which nothing was published yet."""
    simulators.run(simulators.events.published.clear)
    ours = open_notifications(settings, identity.own_credential)
    yield ours
    await ours.aclose()


async def announce(topic: Notifications, kind: str = TENANT_ONBOARDED) -> None:
    await topic.publish(kind, TENANT, {"tenantId": TENANT, "state": "onboarded"}, id="1", time=TIME)


async def test_an_event_arrives_as_a_cloud_event(
    topic: Notifications, simulators: Simulators
) -> None:
    await announce(topic)
    (event,) = simulators.events.published
    assert event == {
        "specversion": "1.0",
        "id": "1",
        "source": "/mondoo/microsoft365-onboarding",
        "type": "io.mondoo.onboarding.tenant.onboarded",
        "subject": TENANT,
        "time": "2026-11-24T12:00:00Z",
        "datacontenttype": "application/json",
        "data": {"tenantId": TENANT, "state": "onboarded"},
    }


async def test_a_repeated_announcement_has_the_same_source_and_id(
    topic: Notifications, simulators: Simulators
) -> None:
    await announce(topic, TENANT_FAILED)
    await announce(topic, TENANT_FAILED)
    first, second = simulators.events.published
    assert (first["source"], first["id"]) == (second["source"], second["id"])


async def test_without_a_topic_nothing_is_announced_and_nobody_signs_in(
    settings: Settings, simulators: Simulators
) -> None:
    def no_credential() -> NoReturn:
        raise AssertionError("a credential was asked for")

    silence = open_notifications(replace(settings, event_topic_endpoint=None), no_credential)
    since = len(simulators.journal.calls)
    await announce(silence)
    await silence.aclose()
    assert len(simulators.journal.calls) == since


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_topic_is_asked_again_later(
    topic: Notifications, simulators: Simulators, status: int
) -> None:
    fault = Fault("events", status=status, headers={"Retry-After": "9"})
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(NotYet) as caught:
        await announce(topic)
    assert (caught.value.code, caught.value.retry_after) == ("events_busy", 9.0)


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_an_announcement_without_an_answer_may_be_repeated(
    topic: Notifications, simulators: Simulators, drop: Literal["before", "after"]
) -> None:
    simulators.run(simulators.faults.add, Fault("events", drop=drop))
    with pytest.raises(NotYet) as caught:
        await announce(topic)
    assert caught.value.code == "events_unreachable"


async def test_a_topic_that_refuses_us_names_the_role(
    topic: Notifications, simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulators.events, "senders", set())
    with pytest.raises(Refused) as caught:
        await announce(topic)
    assert caught.value.code == "events_forbidden"
    assert "EventGrid Data Sender" in caught.value.remediation


async def test_an_event_that_the_topic_does_not_take_is_refused(
    topic: Notifications, simulators: Simulators
) -> None:
    fault = Fault("events", status=400, code="BadRequest", message="schema")
    simulators.run(simulators.faults.add, fault)
    with pytest.raises(Refused) as caught:
        await announce(topic)
    assert caught.value.code == "events_refused"


async def test_a_topic_whose_certificate_is_not_trusted_is_refused(
    settings: Settings, identity: Identity
) -> None:
    endpoint = settings.event_topic_endpoint or ""
    stranger = EventGridTopic(
        replace(settings, trusted_ca_file=None), endpoint, identity.own_credential
    )
    with pytest.raises(Refused) as caught:
        await announce(stranger)
    assert caught.value.code == "events_untrusted"
    await stranger.aclose()
