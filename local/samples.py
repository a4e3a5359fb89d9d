"""Five tenants that show what onboarding does, each with the end it should come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509

from local.simulators import Simulators
from local.simulators.catalogue import ALL_AUTOMATION_RIGHTS
from local.simulators.objects import Lag
from local.simulators.picture import picture
from local.simulators.resource_manager import OWNER
from local.simulators.tenant import SimulatedTenant
from shared.certificates import make_bundle


@dataclass
class Sample:
    """A tenant and what must become of it; ``choices`` are what its request asks for besides.

    ``holds`` is asked at the end, with the operation as JSON, and says what is wrong, if anything.
    """

    domain: str
    story: str
    status: str
    tenant: SimulatedTenant
    holds: Callable[[dict], str | None] = field(default=lambda operation: None)  # type: ignore[type-arg]
    choices: dict[str, str] = field(default_factory=dict)


def sample_tenants(simulators: Simulators) -> list[Sample]:
    """Seed the five tenants."""
    return simulators.run(_seed, simulators)


def _seed(simulators: Simulators) -> list[Sample]:
    world = simulators.world
    clean = world.add_tenant("contoso.onmicrosoft.com", display_name="Contoso")

    strangers = world.add_tenant("fabrikam.onmicrosoft.com", display_name="Fabrikam")
    stranger = strangers.add_application(
        "mondoo-ms365", key_credentials=[_certificate("first"), _certificate("second")]
    )
    before = strangers.snapshot(stranger.id)

    without_exchange = world.add_tenant(
        "litware.onmicrosoft.com", display_name="Litware", services=frozenset({"sharepoint"})
    )

    _give_azure(simulators, without_exchange)

    missing = "RoleManagement.ReadWrite.Directory"
    lacking = world.add_tenant(
        "northwind.onmicrosoft.com",
        display_name="Northwind Traders",
        rights=ALL_AUTOMATION_RIGHTS - {missing},
    )
    untouched = picture(lacking)

    slow = world.add_tenant("tailspin.onmicrosoft.com", display_name="Tailspin Toys")
    slow.lag = Lag(
        objects=1.5, references=2.0, grants=2.0, roles=2.0, credentials=1.5, first_token=1.5
    )

    def stranger_unchanged(_: dict) -> str | None:  # type: ignore[type-arg]
        same = simulators.run(strangers.snapshot, stranger.id) == before
        return None if same else "the stranger's application was changed"

    def exchange_named(operation: dict) -> str | None:  # type: ignore[type-arg]
        step = _step(operation, "permissions")
        named = step["outcome"] == "warning" and any(
            "Exchange" in finding["subject"] and finding.get("notScanned")
            for finding in step["findings"]
        )
        return None if named else "no warning names what cannot be scanned"

    def refused_untouched(operation: dict) -> str | None:  # type: ignore[type-arg]
        step = _step(operation, "preflight")
        if missing not in step["message"] or missing not in step["remediation"]:
            return "the missing right is not named"
        same = simulators.run(picture, lacking) == untouched
        return None if same else "something was changed in the tenant"

    def waited(operation: dict) -> str | None:  # type: ignore[type-arg]
        calls = sum(step.get("attempts", 0) for step in operation["steps"])
        return None if calls > len(operation["steps"]) else "nothing had to be waited for"

    return [
        Sample("contoso.onmicrosoft.com", "clean", "succeeded", clean),
        Sample(
            "fabrikam.onmicrosoft.com",
            "holds a stranger's mondoo-ms365",
            "succeeded",
            strangers,
            stranger_unchanged,
        ),
        Sample(
            "litware.onmicrosoft.com",
            "no Exchange Online, scans Azure",
            "succeeded",
            without_exchange,
            exchange_named,
            {"subscriptions": "all"},
        ),
        Sample(
            "northwind.onmicrosoft.com",
            "lacks RoleManagement right",
            "refused",
            lacking,
            refused_untouched,
        ),
        Sample("tailspin.onmicrosoft.com", "replicates slowly", "succeeded", slow, waited),
    ]


def _give_azure(simulators: Simulators, tenant: SimulatedTenant) -> None:
    """Two subscriptions, on which our automation may assign roles."""
    estate = simulators.resource_manager.of(tenant)
    for name in ("production", "test"):
        estate.add_subscription(name)
    automation = tenant.service_principal_by_app_id(simulators.world.home_app.app_id)
    assert automation is not None
    estate.assign(automation.id, OWNER, estate.root)


def _certificate(subject: str) -> x509.Certificate:
    bundle = make_bundle(subject, days=90, now=datetime.now(UTC))
    return x509.load_der_x509_certificate(bundle.certificate_der)


def _step(operation: dict, name: str) -> dict:  # type: ignore[type-arg]
    found: dict = next(step for step in operation["steps"] if step["name"] == name)  # type: ignore[type-arg]
    return found
