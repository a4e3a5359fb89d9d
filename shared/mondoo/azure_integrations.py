"""Azure integrations: which subscriptions Mondoo scans, with the application of Microsoft 365.

Mondoo's Microsoft 365 integration has no field for subscriptions, its Azure integration has: a list
of those to scan, or of those to leave out, never both. Otherwise it is an integration like the
other (`shared.mondoo.integrations`): found by tenant and application, never made twice, its
certificate write-only.

Source: Mondoo's Terraform provider, resource ``mondoo_integration_azure``, and its Go client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.models import SubscriptionScope
from shared.mondoo.client import MondooClient
from shared.mondoo.integrations import LONGEST_NAME, Integration, integration_of


@dataclass(frozen=True)
class AzureIntegration(Integration):
    """An Azure integration as Mondoo shows it; lists of subscriptions are lower-case and sorted."""

    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()

    def covers(self, scope: SubscriptionScope) -> bool:
        """Whether it scans exactly these subscriptions."""
        return (self.allowed, self.denied) == (tuple(scope.allow), tuple(scope.deny))


async def find(
    client: MondooClient, space: str, *, tenant_id: str, app_id: str
) -> list[AzureIntegration]:
    """All Azure integrations of a tenant and application in a space, oldest first."""
    found = await of_tenant(client, space, tenant_id)
    return [one for one in found if one.client_id == app_id.lower()]


async def of_tenant(client: MondooClient, space: str, tenant_id: str) -> list[AzureIntegration]:
    """All Azure integrations of a tenant in a space, whatever application they sign in with; oldest
    first."""
    answer = await client.execute("list_azure_integrations", {"scope": space})
    shown = [_integration(each) for each in answer["listClientIntegrations"]["integrations"]]
    found = [one for one in shown if one.tenant_id == tenant_id.lower()]
    return sorted(found, key=lambda one: (one.created is None, one.created))


async def create(
    client: MondooClient,
    space: str,
    *,
    name: str,
    tenant_id: str,
    app_id: str,
    scope: SubscriptionScope,
    pem: str,
    labels: Mapping[str, str],
) -> str:
    """Make one and return its MRN.

    Raises:
        OutcomeUnknown: it may exist now; `find` tells.
    """
    answer = await client.execute(
        "create_azure_integration",
        {
            "name": name[:LONGEST_NAME],
            "scope": space,
            "options": _options(tenant_id, app_id, scope, pem),
            "labels": _pairs(labels),
        },
    )
    return str(answer["createClientIntegration"]["integration"]["mrn"])


async def update(
    client: MondooClient,
    integration: AzureIntegration,
    *,
    scope: SubscriptionScope,
    pem: str,
    labels: Mapping[str, str],
) -> None:
    """Give it these subscriptions, this certificate and these labels. May be repeated."""
    await client.execute(
        "update_azure_integration",
        {
            "mrn": integration.mrn,
            "name": integration.name,
            "options": _options(integration.tenant_id, integration.client_id, scope, pem),
            "labels": _pairs(labels),
        },
        repeatable=True,
    )


def _options(tenant_id: str, app_id: str, scope: SubscriptionScope, pem: str) -> dict[str, Any]:
    return {
        "azureConfigurationOptions": {
            "tenantId": tenant_id,
            "clientId": app_id,
            "certificate": pem,
            # Empty lists, not absent ones: a change of mode must empty the other list.
            "subscriptionsWhitelist": list(scope.allow),
            "subscriptionsBlacklist": list(scope.deny),
            "scanVms": False,
        }
    }


def _pairs(labels: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in labels.items()]


def _integration(shown: Mapping[str, Any]) -> AzureIntegration:
    options = shown.get("configurationOptions") or {}
    return AzureIntegration(
        **vars(integration_of(shown)),
        allowed=_ids(options.get("subscriptionsWhitelist")),
        denied=_ids(options.get("subscriptionsBlacklist")),
    )


def _ids(listed: list[str] | None) -> tuple[str, ...]:
    return tuple(sorted(each.lower() for each in listed or ()))
