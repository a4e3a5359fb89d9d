"""Federated credential: the application trusts the tokens that Mondoo's scanner signs in with.

Only for an integration without a key. Issuer and subject come from the integration itself, so this
step follows it: they are read, never guessed, and an integration that was made anew has others. The
sign-in is proven by the first scan, the only one who can make such a token.
"""

from __future__ import annotations

from shared.context import Context
from shared.entra.federated_credentials import list_credentials, trust, trusting
from shared.errors import NotYet
from shared.models import Outcome, StepCall, StepResult
from shared.mondoo import integrations
from shared.outcomes import ended


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Find, make or correct the federated credential, then read it back.

    Raises:
        NotYet: ``integration_federation_unknown`` while Mondoo does not tell issuer and subject.
        Refused, NotYet: as `shared.entra.federated_credentials.trust`.
    """
    facts = call.facts
    planned = ended(Outcome.PLANNED, "the application would trust the tokens of Mondoo's scanner")
    if dry_run and (facts.integration is None or facts.application_object_id is None):
        return planned
    assert facts.integration is not None  # earlier steps passed
    assert facts.application_object_id is not None
    integration = await integrations.read(context.mondoo, facts.integration)
    federation = integration.federation(context.settings.cloud.federation_audience)
    if federation is None:
        if dry_run:
            return planned
        raise NotYet(
            "integration_federation_unknown",
            f"Mondoo does not tell issuer and subject of integration {integration.mrn}",
            remediation="Look at the integration in the Mondoo Console; to do without, send"
            ' "authentication": "certificate".',
            tenant_id=call.order.tenant_id,
        )
    graph = context.graph(call.order.tenant_id)
    present = await list_credentials(graph, facts.application_object_id)
    found = trusting(present, federation)
    if found is None and dry_run:
        return planned
    made = found is None
    if found is None:
        found = await trust(graph, facts.application_object_id, federation, present)
    return ended(
        Outcome.CHANGED if made else Outcome.PASSED,
        f"the application trusts {federation.issuer} for the subject {federation.subject}",
        facts={"federated_credential": found.id, "federated_since": context.now()},
    )
