"""The whole life of a tenant in simulated time: onboarded, rotated, offboarded, onboarded again.

As `tests.shared.onboarding.rehearsal`, whose parts it uses, for the other orchestrators: real
steps and clients, no host, and a durable timer moves the simulators' clock.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from typing import Any

import pytest

from local.simulators.tenant import SimulatedTenant
from local.stack import LocalStack
from shared.errors import NotYet, OutcomeUnknown, Refused
from shared.models import StepCall, TenantRecord, WaitPolicy, from_json, to_json
from shared.offboarding import steps as offboarding
from shared.offboarding.calls import OffboardingCall, OffboardingRecordCall, OffboardingStart
from shared.offboarding.orchestrator import RECEIPT_ACTIVITY, begun, offboard
from shared.offboarding.start import order_for
from shared.offboarding.steps import receipt
from shared.outcomes import outcome_of
from shared.rotation import orchestrator as rotation_orchestrator
from shared.rotation import start as rotation_start
from shared.rotation import steps as rotation
from shared.rotation.steps import record as rotation_record
from tests.shared.onboarding.rehearsal import (
    WAITS,
    Hook,
    Rehearsal,
    _Durable,
    _First,
    _Timer,
)

SHORT = WaitPolicy(first=1, longest=2, propagation_deadline=5, scan_deadline=900)

Activity = Callable[[Any], Awaitable[Any]]


class Died(Exception):
    """The process ended in the middle of an activity."""


class Life(Rehearsal):
    """A rehearsal that goes on after the onboarding."""

    async def offboard(
        self,
        tenant: SimulatedTenant,
        *,
        purge: bool = False,
        waits: WaitPolicy = WAITS,
        before: Mapping[str, Hook] | None = None,
        after: Mapping[str, Hook] | None = None,
    ) -> dict[str, Any]:
        """Offboard a tenant; the ended operation as JSON.

        ``before`` and ``after`` hold what happens around the first attempt of a step.
        """
        record = await self.context.records.get(tenant.id)
        order = order_for(self.context, tenant.id, record, purge=purge)
        operation = begun(order, self.simulators.clock.now())
        start = OffboardingStart(operation=operation, order=order, waits=waits)
        activities: dict[str, Activity] = {
            each.activity: self._offboarding_step(each) for each in offboarding.STEPS
        }
        activities[RECEIPT_ACTIVITY] = self._receipt
        return await self._drive(offboard, start, activities, tenant.id, before, after)

    async def rotate(
        self,
        tenant: SimulatedTenant,
        *,
        waits: WaitPolicy = WAITS,
        before: Mapping[str, Hook] | None = None,
        after: Mapping[str, Hook] | None = None,
    ) -> dict[str, Any]:
        """Rotate a tenant's certificate; the ended operation as JSON.

        After every attempt of every step that changed a credential anywhere a scan is tried: it
        must succeed at any moment.
        """
        order = rotation_start.order_for(self.context, await self.record(tenant))
        operation = rotation_orchestrator.begun(order, self.simulators.clock.now())
        start = rotation_orchestrator.RotationStart(operation=operation, order=order, waits=waits)
        activities: dict[str, Activity] = {
            each.activity: self._rotation_step(each)
            for each in (*rotation.STEPS, rotation.WITHDRAW)
        }
        activities[rotation_orchestrator.RECORD_ACTIVITY] = self._rotation_record

        seen: set[object] = set()

        def scan_now() -> None:
            credentials = self.simulators.run(self._credentials, tenant)
            if credentials not in seen:
                seen.add(credentials)
                assert set(self.scan(tenant)) <= {"ACTIVE"}, "a scan at this moment fails"

        rotate = rotation_orchestrator.rotate
        return await self._drive(
            rotate, start, activities, tenant.id, before, after, between=scan_now
        )

    def scan(self, tenant: SimulatedTenant) -> list[str]:
        """The status that a scan at this moment would give each integration of the tenant.

        Scripted faults are for the product, not for the scanner.
        """
        mondoo, faults = self.simulators.mondoo, self.simulators.faults

        async def look() -> list[str]:
            armed, faults._armed = faults._armed, []
            try:
                return [
                    (await mondoo.scanner.rehearse(one)).status
                    for one in mondoo.integrations.values()
                    if one.tenant_id == tenant.id
                ]
            finally:
                faults._armed = armed

        return self.simulators.run(look)

    def _credentials(self, tenant: SimulatedTenant) -> object:
        """All that decides whether a scanner can sign in."""
        integrations = self.simulators.mondoo.integrations.values()
        return (
            tuple(
                (app.id, each.key_id, each.sha1)
                for app in tenant.applications.values()
                for each in app.key_credentials
            ),
            tuple(
                (app.id, each.subject)
                for app in tenant.applications.values()
                for each in app.federated_credentials.values()
            ),
            tuple(
                (one.mrn, one.client_id, one.certificate, one.use_wif)
                for one in integrations
                if one.tenant_id == tenant.id
            ),
        )

    def _rotation_step(self, step: rotation.RotationStep) -> Activity:
        async def run(call: Any) -> Any:
            return to_json(await rotation.run_step(step, self.context, from_json(call, StepCall)))

        return run

    async def _rotation_record(self, call: Any) -> Any:
        known = from_json(call, rotation_orchestrator.RotationRecordCall)
        try:
            result = await rotation_record.run(self.context, known.order, known.operation)
        except (NotYet, OutcomeUnknown, Refused) as error:
            result = outcome_of(error)
        return to_json(result)

    async def record(self, tenant: SimulatedTenant) -> TenantRecord:
        """The record of a tenant."""
        found = await self.context.records.get(tenant.id)
        assert found is not None
        return found

    def _offboarding_step(self, step: offboarding.RemovalStep) -> Activity:
        async def run(call: Any) -> Any:
            given = from_json(call, OffboardingCall)
            return to_json(await offboarding.run_step(step, self.context, given))

        return run

    async def _receipt(self, call: Any) -> Any:
        known = from_json(call, OffboardingRecordCall)
        try:
            result = await receipt.run(self.context, known.order, known.facts, known.operation)
        except (NotYet, OutcomeUnknown, Refused) as error:
            result = outcome_of(error)
        return to_json(result)

    async def _drive(
        self,
        orchestrator: Callable[[Any], Generator[Any, Any, Any]],
        start: Any,
        activities: Mapping[str, Activity],
        tenant_id: str,
        before: Mapping[str, Hook] | None = None,
        after: Mapping[str, Hook] | None = None,
        between: Hook = lambda: None,
    ) -> dict[str, Any]:
        given = json.loads(json.dumps(to_json(start)))
        hooks = {"before": dict(before or {}), "after": dict(after or {})}
        running = orchestrator(_Durable(given, self.simulators.clock))
        task, answer, death = next(running), None, None
        while True:
            if isinstance(task, _First):
                answer = await self._first(task, tenant_id)
            elif isinstance(task, _Timer):
                await self._pass_time(task.fire_at, tenant_id)
                answer = None
            else:
                name = task.name.split("_", 1)[1].replace("_", "-")
                try:
                    _strike(hooks["before"].pop(name, None))
                    answer = json.loads(json.dumps(await activities[task.name](task.call)))
                    _strike(hooks["after"].pop(name, None))
                except Died as error:
                    death = error
                between()
            try:
                if death is None:
                    task = running.send(answer)
                else:
                    dead, death = death, None
                    task = running.throw(dead)
            except StopIteration as end:
                assert not any(hooks.values()), f"never came to {hooks}"
                return json.loads(json.dumps(end.value))


def _strike(hook: Hook | None) -> None:
    if hook is not None:
        hook()


def die() -> None:
    """A hook that ends the process."""
    raise Died


# --- fixtures, for the conftest of a package ------------------------------------------------------


@pytest.fixture
async def life(stack: LocalStack) -> AsyncIterator[Life]:
    """One process's worth of clients, with no faults left over from another test."""
    one = Life(stack)
    yield one
    await one.aclose()
    stack.simulators.run(stack.simulators.faults.clear)


@pytest.fixture
def tenant(life: Life) -> SimulatedTenant:
    """A tenant with every service, in which nothing was done yet."""
    return life.add_tenant()
