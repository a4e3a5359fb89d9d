"""Onboardings in simulated time: the real orchestrator, steps and clients, and no host.

A durable timer moves the simulators' clock instead of waiting, so that a test plays a quarter of an
hour of replication in a moment. Everything that is passed on between steps goes through JSON, as it
does in the durable engine. Left out: the engine itself and HTTP, which the end-to-end tests use.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from local.simulators import Simulators
from local.simulators.clock import Clock
from local.simulators.faults import Fault
from local.simulators.journal import Call
from local.simulators.tenant import SimulatedTenant
from local.stack import LocalStack
from shared.config import Settings, load_settings
from shared.context import Context
from shared.errors import NotYet, OutcomeUnknown, Refused
from shared.models import (
    Facts,
    OnboardingOrder,
    OnboardingRequest,
    StepCall,
    WaitPolicy,
    from_json,
    to_json,
)
from shared.onboarding.orchestrator import (
    RECORD_ACTIVITY,
    OnboardingStart,
    RecordCall,
    begun,
    onboard,
)
from shared.onboarding.order import take_order
from shared.onboarding.plan import plan
from shared.onboarding.steps import STEPS, record, run_step
from shared.outcomes import outcome_of
from tests.driving import eventually
from tests.shared.entra.certificates import some_keys

NAME = "mondoo-ms365"
WAITS = WaitPolicy(first=5, longest=60, propagation_deadline=900, scan_deadline=900)
"""As in the cloud, but for a scan: tokens live an hour, and no test needs that much."""

ACTIVITIES = {definition.activity: definition for definition in STEPS}
Hook = Callable[[], object]


class SimulatedTime(Context):
    """A context that lives by the simulators' clock."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        super().__init__(settings)
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()


@dataclass(frozen=True)
class _Activity:
    name: str
    call: Any


@dataclass(frozen=True)
class _Timer:
    fire_at: datetime


class _First:
    """The first of several tasks to end; the first of the list wins."""

    def __init__(self, winner: Any) -> None:
        self.winner = winner


class _Durable:
    """The part of the durable context that the orchestrator uses."""

    def __init__(self, start: Any, clock: Clock) -> None:
        self._start = start
        self._clock = clock

    @property
    def current_utc_datetime(self) -> datetime:
        return self._clock.now()

    def get_input(self) -> Any:
        return self._start

    def set_custom_status(self, status: Any) -> None:
        json.dumps(status)

    def call_activity(self, name: str, input_: Any) -> _Activity:
        return _Activity(name, json.loads(json.dumps(input_)))

    def create_timer(self, fire_at: datetime) -> _Timer:
        return _Timer(fire_at)

    def wait_for_external_event(self, name: str) -> object:
        return object()  # nobody cancels here

    def task_any(self, activities: list[Any]) -> _First:
        return _First(activities[0])


class Rehearsal:
    """Onboards tenants of a stack without a host, with one context, as one process would."""

    def __init__(self, stack: LocalStack, settings: Mapping[str, str] | None = None) -> None:
        self.stack = stack
        self.simulators: Simulators = stack.simulators
        self.context: Context = SimulatedTime(
            load_settings({**stack.settings, **(settings or {})}), stack.simulators.clock
        )

    async def aclose(self) -> None:
        """Close the clients."""
        await self.context.aclose()

    # --- the world -------------------------------------------------------------------------------

    def add_tenant(self, domain: str | None = None, **kwargs: Any) -> SimulatedTenant:
        """A tenant that no other test uses, unless a domain is named."""
        name = domain or f"t{uuid4().hex[:12]}.onmicrosoft.com"
        return self.simulators.run(
            lambda: self.simulators.world.add_tenant(name, **{"display_name": "Fabrikam", **kwargs})
        )

    def automation(self, tenant: SimulatedTenant) -> str:
        """Object id of our automation's service principal in a tenant: it owns what it made."""
        principal = tenant.service_principal_by_app_id(self.simulators.world.home_app.app_id)
        assert principal is not None
        return principal.id

    def fault(self, operation: str, tenant: SimulatedTenant | None, **kwargs: Any) -> None:
        """Script a fault, of Graph unless another service is named."""
        kwargs = {"service": "graph", "tenant": None if tenant is None else tenant.id, **kwargs}
        self.simulators.run(self.simulators.faults.add, Fault(operation=operation, **kwargs))

    def calls(self, tenant: SimulatedTenant, operation: str, **filters: Any) -> list[Call]:
        """What the product (not the scanner) asked in a tenant, by operation."""
        return self.simulators.run(
            lambda: self.simulators.journal.select(
                tenant=tenant.id, operation=operation, agent_not="mondoo-scanner", **filters
            )
        )

    # --- what is rehearsed -----------------------------------------------------------------------

    async def onboard(
        self,
        tenant: SimulatedTenant | str,
        *,
        waits: WaitPolicy = WAITS,
        before: Mapping[str, Hook] | None = None,
        **choices: Any,
    ) -> dict[str, Any]:
        """Onboard a tenant; the ended operation as JSON.

        ``before`` holds what happens just before the first attempt of a step, by its name.
        """
        order = await self.order(tenant, **choices)
        operation = begun(order, self.simulators.clock.now())
        given = OnboardingStart(operation=operation, order=order, waits=waits)
        start = json.loads(json.dumps(to_json(given)))
        hooks = dict(before or {})
        clock = self.simulators.clock
        orchestrator = onboard(_Durable(start, clock))
        task, answer = next(orchestrator), None
        while True:
            if isinstance(task, _First):
                answer = await self._first(task, order.tenant_id)
            elif isinstance(task, _Timer):
                await self._pass_time(task.fire_at, order.tenant_id)
                answer = None
            else:
                hook = hooks.pop(task.name.removeprefix("onboard_").replace("_", "-"), None)
                if hook is not None:
                    hook()
                answer = json.loads(json.dumps(await self._activity(task)))
            try:
                task = orchestrator.send(answer)
            except StopIteration as end:
                assert not hooks, f"never came to {', '.join(hooks)}"
                return json.loads(json.dumps(end.value))

    async def plan(self, tenant: SimulatedTenant | str, **choices: Any) -> dict[str, Any]:
        """The dry run of the same; the operation as JSON."""
        return to_json(await plan(self.context, await self.order(tenant, **choices)))

    async def order(self, tenant: SimulatedTenant | str, **choices: Any) -> OnboardingOrder:
        """The order that a request amounts to."""
        name = tenant if isinstance(tenant, str) else tenant.id
        request = msgspec.convert({"tenant": name, **choices}, OnboardingRequest)
        return await take_order(self.context, request)

    async def step(
        self, name: str, order: OnboardingOrder, facts: Facts | None = None
    ) -> dict[str, Any]:
        """One attempt of one step; its result as JSON."""
        call = StepCall(order=order, facts=facts or Facts())
        definition = next(each for each in STEPS if each.name == name)
        return to_json(await run_step(definition, self.context, call))

    async def _activity(self, task: _Activity) -> Any:
        if task.name != RECORD_ACTIVITY:
            call = from_json(task.call, StepCall)
            return to_json(await run_step(ACTIVITIES[task.name], self.context, call))
        known = from_json(task.call, RecordCall)
        try:
            result = await record.run(self.context, known.order, known.facts, known.operation)
        except (NotYet, OutcomeUnknown, Refused) as error:
            result = outcome_of(error)
        return to_json(result)

    async def _first(self, race: _First, tenant_id: str) -> Any:
        """What won: a timer fires now; an activity is run when its answer is asked for."""
        if isinstance(race.winner, _Timer):
            await self._pass_time(race.winner.fire_at, tenant_id)
        return race.winner

    async def _pass_time(self, fire_at: datetime, tenant_id: str) -> None:
        # Scans run in real time, so one that was asked for gets to its end first.
        ended = "the scan of the tenant has ended"
        eventually(lambda: self._scans_ended(tenant_id), ended, every=0.005)
        left = (fire_at - self.simulators.clock.now()) / timedelta(seconds=1)
        self.simulators.run(self.simulators.clock.advance, max(0.0, left))

    def _scans_ended(self, tenant_id: str) -> bool | None:
        ended = self.simulators.run(
            lambda: all(
                one.scan_attempted is None
                or (one.scan_finished is not None and one.scan_finished >= one.scan_attempted)
                for one in self.simulators.mondoo.integrations.values()
                if one.tenant_id == tenant_id
            )
        )
        return ended or None


# --- fixtures, for the conftest of a package ------------------------------------------------------


@pytest.fixture(scope="package")
def stack() -> Iterator[LocalStack]:
    """The simulated services, for tests that keep apart by their tenants."""
    with LocalStack(host=False) as running:
        running.simulators.mondoo.scanner.delay = 0.0
        running.simulators.vault.draw_keys_from(some_keys())
        yield running
