"""One look at everything that an audit compares: the tenant, the vault, the Mondoo integration.

All are asked side by side; a tenant without drift takes one Graph request, one of the vault and one
of Mondoo (two where its Azure subscriptions are scanned). If any of them cannot be read the audit
has failed: a read that fails is never taken for "there is none".
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from shared.context import Context
from shared.entra.inventory import Inventory, KnownIds, own_object_id, take_inventory
from shared.errors import Refused
from shared.manifest import Manifest
from shared.models import Federation, TenantRecord
from shared.mondoo import integrations
from shared.mondoo.integrations import Integration
from shared.vault.certificates import StoredCertificate, is_own


@dataclass(frozen=True)
class Observation:
    """What was seen. ``certificate`` is what the vault holds under the recorded name; it and
    ``integration`` are None where the record names none, or where there is none any more; likewise
    ``azure``, the integration for subscriptions. ``own_certificate``: it is the administrator's
    own. ``federation``: whose tokens a keyless integration signs in with."""

    inventory: Inventory
    certificate: StoredCertificate | None
    integration: Integration | None
    federation: Federation | None = None
    own_certificate: bool = False
    azure: Integration | None = None


async def observe(context: Context, record: TenantRecord, manifest: Manifest) -> Observation:
    """Look at everything.

    Raises:
        OnboardingError: something could not be read; a refusal goes before a mere wait.
    """
    answers = await asyncio.gather(
        _inventory(context, record, manifest),
        _certificate(context, record),
        _integration(context, record.integration),
        _integration(context, record.azure_integration),
        return_exceptions=True,
    )
    failures = [answer for answer in answers if isinstance(answer, BaseException)]
    if failures:
        raise next((each for each in failures if isinstance(each, Refused)), failures[0])
    inventory, certificate, integration, azure = answers
    assert isinstance(inventory, Inventory)
    assert certificate is None or isinstance(certificate, StoredCertificate)
    assert integration is None or isinstance(integration, Integration)
    assert azure is None or isinstance(azure, Integration)
    federation = None
    if integration is not None:
        federation = integration.federation(context.settings.cloud.federation_audience)
    return Observation(
        inventory, certificate, integration, federation, _own(context, record), azure
    )


async def _inventory(context: Context, record: TenantRecord, manifest: Manifest) -> Inventory:
    graph = context.graph(record.tenant_id)
    ours = await own_object_id(context.identity.credential_for(record.tenant_id), graph.scope)
    known = KnownIds(record.app_id, record.application_object_id, record.service_principal_id)
    return await take_inventory(graph, manifest, known, our_object_id=ours)


async def _certificate(context: Context, record: TenantRecord) -> StoredCertificate | None:
    if record.certificate is None:
        return None
    return await context.vault.at(record.certificate.vault).read(record.certificate.name)


def _own(context: Context, record: TenantRecord) -> bool:
    name = record.application_name or context.settings.application_name
    used = record.certificate
    return used is not None and is_own(used, context.vault.url, name, record.tenant_id)


async def _integration(context: Context, mrn: str | None) -> Integration | None:
    if mrn is None:
        return None
    try:
        # By its MRN: a list of a space with thousands of tenants would be read for each of them.
        return await integrations.read(context.mondoo, mrn)
    except Refused as error:
        if error.code != "mondoo_not_found":
            raise
        return None
