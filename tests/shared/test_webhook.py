"""Signed deliveries to a simulated webhook that checks the signature for itself."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pytest

from local.simulators import Simulators
from local.simulators.faults import Fault
from shared.config import Settings
from shared.errors import NotYet, Refused
from shared.webhook import Webhook, read_secret, signature

TENANT = "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77"
KIND = "io.mondoo.onboarding.audit.completed"
TIME = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


class Receiver:
    """A webhook of its own for each test, and ourselves as its sender."""

    def __init__(self, settings: Settings, simulators: Simulators) -> None:
        self.name = uuid4().hex
        self.simulators = simulators
        self.settings = settings
        self.secret = SECRET
        self.reads = 0
        self.late = timedelta()
        simulators.events.webhook_keys[self.name] = KEY
        self.ours = self.sender(settings)

    def sender(self, settings: Settings) -> Webhook:
        url = f"{self.simulators.urls['events']}/webhook/{self.name}"
        return Webhook(settings, url, self._read, now=lambda: datetime.now(UTC) - self.late)

    async def _read(self) -> str:
        self.reads += 1
        return self.secret

    async def deliver(self, id: str = f"{TENANT}.20261124T120000000000Z") -> None:
        await self.ours.publish(KIND, TENANT, {"findings": 2, "name": "Söhne"}, id=id, time=TIME)

    @property
    def received(self) -> list[dict[str, object]]:
        return self.simulators.events.received.get(self.name, [])


@pytest.fixture
async def receiver(settings: Settings, simulators: Simulators) -> AsyncIterator[Receiver]:
    made = Receiver(settings, simulators)
    yield made
    await made.ours.aclose()


def test_the_signature_is_that_of_the_standards_own_example() -> None:
    key = read_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature(
        key,
        id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_signature_covers_id_time_and_body() -> None:
    made = {
        signature(KEY, id="a", timestamp=1, body=b"x"),
        signature(KEY, id="b", timestamp=1, body=b"x"),
        signature(KEY, id="a", timestamp=2, body=b"x"),
        signature(KEY, id="a", timestamp=1, body=b"y"),
        signature(KEY[::-1], id="a", timestamp=1, body=b"x"),
    }
    assert len(made) == 5


async def test_a_delivery_is_the_topics_event_and_the_receiver_accepts_its_signature(
    receiver: Receiver,
) -> None:
    await receiver.deliver()
    (event,) = receiver.received
    assert event == {
        "specversion": "1.0",
        "id": f"{TENANT}.20261124T120000000000Z",
        "source": "/mondoo/microsoft365-onboarding",
        "type": KIND,
        "subject": TENANT,
        "time": "2026-11-24T12:00:00Z",
        "datacontenttype": "application/json",
        "data": {"findings": 2, "name": "Söhne"},
    }


async def test_the_secret_is_read_once_and_again_when_the_receiver_does_not_accept_it(
    receiver: Receiver,
) -> None:
    receiver.secret = f"whsec_{base64.b64encode(KEY[::-1]).decode()}"
    with pytest.raises(Refused) as caught:
        await receiver.deliver()
    assert caught.value.code == "webhook_forbidden"
    receiver.secret = SECRET
    await receiver.deliver()
    await receiver.deliver()
    assert receiver.reads == 2
    assert len(receiver.received) == 2


async def test_an_old_delivery_is_not_accepted(receiver: Receiver) -> None:
    receiver.late = timedelta(minutes=6)
    with pytest.raises(Refused) as caught:
        await receiver.deliver()
    assert caught.value.code == "webhook_forbidden"
    assert receiver.received == []


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
async def test_a_busy_receiver_is_asked_again_later(receiver: Receiver, status: int) -> None:
    fault = Fault("events", status=status, headers={"Retry-After": "9"})
    receiver.simulators.run(receiver.simulators.faults.add, fault)
    with pytest.raises(NotYet) as caught:
        await receiver.deliver()
    assert (caught.value.code, caught.value.retry_after) == ("webhook_busy", 9.0)
    await receiver.deliver()
    assert len(receiver.received) == 1


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_a_delivery_without_an_answer_may_be_repeated(
    receiver: Receiver, drop: Literal["before", "after"]
) -> None:
    receiver.simulators.run(receiver.simulators.faults.add, Fault("events", drop=drop))
    with pytest.raises(NotYet) as caught:
        await receiver.deliver()
    assert caught.value.code == "webhook_unreachable"


@pytest.mark.parametrize("status", [301, 307, 400, 404, 410])
async def test_any_other_answer_is_a_refusal_and_a_redirect_is_not_followed(
    receiver: Receiver, status: int
) -> None:
    elsewhere = {"Location": f"{receiver.simulators.urls['events']}/webhook/elsewhere"}
    fault = Fault("events", status=status, headers=elsewhere)
    receiver.simulators.run(receiver.simulators.faults.add, fault)
    with pytest.raises(Refused) as caught:
        await receiver.deliver()
    assert caught.value.code == "webhook_refused"
    assert "elsewhere" not in receiver.simulators.events.received


async def test_a_receiver_whose_certificate_is_not_trusted_is_refused(receiver: Receiver) -> None:
    await receiver.ours.aclose()
    receiver.ours = receiver.sender(replace(receiver.settings, trusted_ca_file=None))
    with pytest.raises(Refused) as caught:
        await receiver.deliver()
    assert caught.value.code == "webhook_untrusted"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "whsec_",
        "whsec_not base64!",
        f"whsec_{base64.b64encode(b'x' * 23).decode()}",
        f"whsec_{base64.b64encode(b'x' * 65).decode()}",
        base64.b64encode(KEY).decode(),
    ],
)
def test_a_secret_of_another_form_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(Refused) as caught:
        read_secret(text)
    assert caught.value.code == "webhook_secret_unusable"
    assert len(text) < 7 or text not in f"{caught.value} {caught.value.remediation}"
    assert caught.value.__cause__ is None


def test_a_secret_may_be_stored_with_a_line_end() -> None:
    assert read_secret(f"{SECRET}\r\n") == KEY


async def test_neither_path_nor_secret_gets_into_an_error(receiver: Receiver) -> None:
    fault = Fault("events", status=404)
    receiver.simulators.run(receiver.simulators.faults.add, fault)
    with pytest.raises(Refused) as caught:
        await receiver.deliver()
    told = f"{caught.value} {caught.value.remediation} {receiver.ours!r}"
    assert receiver.name not in told
    assert SECRET not in told


def test_the_check_in_the_documentation_accepts_what_we_sign_and_nothing_else() -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhook.md").read_text("utf-8")
    example: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], example)
    sent = int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": "a",
        "webhook-timestamp": str(sent),
        "webhook-signature": signature(KEY, id="a", timestamp=sent, body=b"{}"),
    }
    assert example["is_ours"](SECRET, headers, b"{}")
    assert not example["is_ours"](SECRET, headers, b"{ }")
    old = headers | {
        "webhook-timestamp": str(sent - 600),
        "webhook-signature": signature(KEY, id="a", timestamp=sent - 600, body=b"{}"),
    }
    assert not example["is_ours"](SECRET, old, b"{}")
