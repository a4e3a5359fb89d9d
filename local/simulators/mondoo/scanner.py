"""The scanner's queue: scans that were asked for are run, and what they report is written down.

A scan leaves status, messages and times on its integration, and an asset for each thing that it
read: the Microsoft 365 tenant, or each Azure subscription.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import rsa

from local.simulators.mondoo import mrn
from local.simulators.mondoo.azure_scan import SubscriptionsScan
from local.simulators.mondoo.estate import (
    AZURE_PLATFORM,
    M365_PLATFORM,
    Asset,
    Estate,
    Integration,
)
from local.simulators.mondoo.scan import Report, Scan, SiteDomain, TenantScan

if TYPE_CHECKING:
    from local.simulators import Simulators

_KINDS: dict[str, type[Scan]] = {"MS365": TenantScan, "AZURE": SubscriptionsScan}
SCANNED = frozenset(_KINDS)
"""The types of integrations that can be scanned."""


class Scanner:
    """Runs scans one after the other for each integration, on the simulators' loop.

    `delay` is the real time in seconds that a scan waits in the queue.
    """

    def __init__(self, simulators: Simulators, estate: Estate) -> None:
        self.delay = 0.2
        self.site_domain: SiteDomain = "initial"
        self._simulators = simulators
        self._estate = estate
        self._issuer_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._queued: set[str] = set()
        self._running: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def request(self, integration: Integration) -> None:
        """Queue a scan; a paused integration, or one that waits already, gets no second one."""
        if integration.paused or integration.mrn in self._queued:
            return
        integration.scan_attempted = self._estate.clock.now()
        self._queued.add(integration.mrn)
        task = asyncio.get_running_loop().create_task(self._run(integration))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def rehearse(self, integration: Integration) -> Report:
        """What a scan at this very moment would report; nothing of it is kept."""
        kind = _KINDS[integration.type]
        return await kind(self._simulators, integration, self._issuer_key, self.site_domain).run()

    async def close(self) -> None:
        """End scans that are still queued or running."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def trust(self, issuer: str) -> None:
        """Make Entra know the issuer of keyless scans."""
        self._simulators.entra.register_issuer(issuer, self._issuer_key.public_key())

    async def _run(self, integration: Integration) -> None:
        await asyncio.sleep(self.delay)
        async with self._running.setdefault(integration.mrn, asyncio.Lock()):
            self._queued.discard(integration.mrn)
            if integration.paused or integration.mrn not in self._estate.integrations:
                return
            integration.scan_started = self._estate.clock.now()
            self._record(integration, await self.rehearse(integration))

    def _record(self, integration: Integration, report: Report) -> None:
        now = self._estate.clock.now()
        integration.messages = report.messages
        integration.status = report.status
        integration.scan_finished = now
        integration.last_checkin = integration.last_state_info = now
        if not report.connected:
            return
        if integration.type == "MS365":
            name = f"Microsoft 365 tenant {integration.tenant_id}"
            runtime = f"ms365/tenant/{integration.tenant_id}"
            self._record_asset(integration, report, M365_PLATFORM, name, runtime)
        for identifier, name in report.subscriptions.items():
            runtime = f"azure/subscriptions/{identifier}"
            shown = f"Azure subscription {name}"
            self._record_asset(integration, report, AZURE_PLATFORM, shown, runtime)

    def _record_asset(
        self, integration: Integration, report: Report, platform: str, name: str, runtime: str
    ) -> None:
        """What was scanned as an asset; it gets a score where a policy is there to give one."""
        estate, now = self._estate, self._estate.clock.now()
        platform_id = f"//platformid.api.mondoo.app/runtime/{runtime}"
        space = estate.spaces.get(integration.scope_mrn)
        if space is None:
            return
        known = [
            entry for entry in estate.assets_of(space.mrn) if platform_id in entry.platform_ids
        ]
        if known:
            asset = known[0]
            asset.updated = now
        else:
            asset = Asset(
                mrn=mrn.asset(space.mrn),
                name=name,
                space_mrn=space.mrn,
                platform=platform,
                platform_ids=[platform_id],
                integration_mrn=integration.mrn,
                created=now,
                updated=now,
                labels={"azure.com/tenant": integration.tenant_id},
            )
            estate.assets[asset.mrn] = asset
        asset.integration_mrn = integration.mrn
        asset.annotations.update(integration.annotations)
        active = [
            policy_mrn
            for policy_mrn, (action, _) in estate.assigned(space).items()
            if action == "ACTIVE" and platform in estate.content[policy_mrn].platforms
        ]
        if not active:
            asset.scored, asset.grade, asset.score, asset.completion = None, "U", 0, 0
            return
        asset.scored = now
        asset.completion = max(0, 100 - 3 * len(report.messages))
        asset.score = max(0, 100 - 20 * report.count("ERROR") - 5 * report.count("WARNING"))
        asset.grade = next(
            grade
            for grade, least in (("A", 90), ("B", 70), ("C", 50), ("D", 30), ("F", 0))
            if asset.score >= least
        )
