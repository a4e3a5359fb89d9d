"""Events of Key Vault, and the daily look: which of them start a rotation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from local.stack import LocalStack
from shared.config import load_settings
from shared.context import Context
from shared.errors import InvalidRequest, TenantBusy
from shared.models import CertificateReference, Rotation, TenantRecord
from shared.rotation.events import NEAR_EXPIRY, NEW_VERSION
from shared.transitions import RotationState, TenantState
from shared.triggers import rotation as trigger

NOW = datetime.now(UTC)
TENANTS = [f"8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c{number:02d}" for number in range(5)]


class Client:
    """A durable client that takes everything, or says that an operation is running."""

    def __init__(self) -> None:
        self.started: list[str] = []

    async def start_new(self, name: str, instance_id: str, client_input: Any) -> str:
        self.started.append(instance_id.removeprefix("tenant-"))
        return instance_id

    async def get_status(self, instance_id: str, *, show_input: bool = False) -> Any:
        return None


@pytest.fixture
async def context(stack: LocalStack, tmp_path: Path) -> AsyncIterator[Context]:
    """A context with records of its own."""
    records = {"TENANT_RECORDS": f"sqlite:{tmp_path / 'records.db'}"}
    one = Context(load_settings({**stack.settings, **records}))
    yield one
    await one.aclose()


def record(
    tenant_id: str, *, name: str | None = None, days: int = 200, **changes: Any
) -> TenantRecord:
    reference = CertificateReference(
        vault="https://vault.example",
        name=name or f"mondoo-ms365-{tenant_id}",
        version="current",
        thumbprint="A" * 40,
        not_before=NOW - timedelta(days=365 - days),
        not_after=NOW + timedelta(days=days),
    )
    return TenantRecord(
        tenant_id=tenant_id,
        state=TenantState.ONBOARDED,
        operation_id="an-operation",
        updated_at=NOW,
        certificate=reference,
        integration="an-integration",
        onboarded_at=NOW,
        **changes,
    )


def data(name: str, version: str) -> dict[str, Any]:
    """The data of an event as Key Vault sends it."""
    return {
        "Id": f"https://vault.example/certificates/{name}/{version}",
        "VaultName": "vault",
        "ObjectType": "Certificate",
        "ObjectName": name,
        "Version": version,
        "NBF": 1757462400,
        "EXP": 1788998400,
    }


OURS = f"mondoo-ms365-{TENANTS[0]}"


@pytest.mark.parametrize(
    ("kind", "name", "version", "starts"),
    [
        (NEAR_EXPIRY, OURS, "current", True),
        (NEAR_EXPIRY, OURS.upper(), "current", True),
        (NEAR_EXPIRY, OURS, "an-old-one", False),
        (NEW_VERSION, OURS, "somebody-made-it", True),
        (NEW_VERSION, OURS, "current", False),
        (NEW_VERSION, OURS, "the-new-one", False),
        (NEW_VERSION, OURS, "the-old-one", False),
        ("Microsoft.KeyVault.CertificateExpired", OURS, "current", False),
        (NEAR_EXPIRY, "a-certificate-of-theirs", "current", True),
        (NEAR_EXPIRY, "a-stranger", "current", False),
        (NEAR_EXPIRY, f"mondoo-ms365-{TENANTS[2]}", "current", False),
    ],
)
async def test_an_event_starts_a_rotation_only_when_it_tells_something_new(
    context: Context, kind: str, name: str, version: str, starts: bool
) -> None:
    ours = record(TENANTS[0])
    assert ours.certificate is not None
    changed = {"version": "the-new-one"}
    new = CertificateReference(**{f: getattr(ours.certificate, f) for f in FIELDS} | changed)
    old = CertificateReference(
        **{f: getattr(ours.certificate, f) for f in FIELDS} | {"version": "the-old-one"}
    )
    rotation = Rotation(RotationState.PROVEN, "an-operation", NOW, old, new)
    await context.records.put(record(TENANTS[0], rotation=rotation))
    await context.records.put(record(TENANTS[1], name="a-certificate-of-theirs"))
    client = Client()
    operations = await trigger.rotate_for_event(
        context, cast(Any, client), kind, data(name, version)
    )
    assert len(operations) == int(starts)
    assert len(client.started) == int(starts)


FIELDS = ("vault", "name", "thumbprint", "not_before", "not_after")


async def test_an_event_of_something_else_is_refused_and_so_delivered_again(
    context: Context,
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await trigger.rotate_for_event(context, cast(Any, Client()), NEAR_EXPIRY, {"Id": "x"})
    assert refused.value.code == "event_invalid"


async def test_case_g4_an_event_for_a_busy_tenant_is_absorbed(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: Any) -> str:
        raise TenantBusy(TENANTS[0], "an-operation")

    monkeypatch.setattr(trigger, "start_rotation", busy)
    await context.records.put(record(TENANTS[0]))
    event = data(OURS, "current")
    assert await trigger.rotate_for_event(context, cast(Any, Client()), NEAR_EXPIRY, event) == []


async def test_a_certificate_that_several_tenants_use_is_taken_over_by_all_in_its_own_vault(
    context: Context,
) -> None:
    for tenant_id in TENANTS[:3]:
        await context.records.put(record(tenant_id, name="theirs"))
    used = record(TENANTS[2], name="theirs").certificate
    assert used is not None
    elsewhere = msgspec.structs.replace(used, vault="https://another.example")
    namesake = msgspec.structs.replace(record(TENANTS[2]), certificate=elsewhere)
    await context.records.put(namesake)
    client = Client()
    event = data("theirs", "somebody-made-it")
    operations = await trigger.rotate_for_event(context, cast(Any, client), NEW_VERSION, event)
    assert client.started == TENANTS[:2]
    assert len(operations) == 2


async def test_the_daily_look_finds_every_tenant_that_events_missed(context: Context) -> None:
    for tenant_id, days in zip(TENANTS, (200, 29, 3, -1, 31), strict=True):
        await context.records.put(record(tenant_id, days=days))
    client = Client()
    operations = await trigger.rotate_due(context, cast(Any, client))
    assert client.started == TENANTS[1:4]
    assert [each.partition(".")[0] for each in operations] == TENANTS[1:4]
