"""From a request to an order: every choice made, by the request or else by the settings."""

from __future__ import annotations

from msgspec import UNSET

from shared.config import Settings
from shared.context import Context
from shared.entra.tenants import resolve_tenant
from shared.errors import InvalidRequest
from shared.manifest import load_manifest
from shared.models import (
    CertificateChoice,
    OnboardingOrder,
    OnboardingRequest,
    SubscriptionScope,
    operation_id,
)


async def take_order(context: Context, request: OnboardingRequest) -> OnboardingOrder:
    """The order that a request amounts to. What needs no service to be asked is checked first.

    Raises:
        InvalidRequest: no such manifest, no space in request and settings, not a tenant's name.
        NotFound: there is no such tenant.
        NotYet: the sign-in service cannot be reached.
    """
    settings = context.settings
    manifest = settings.manifest if request.manifest is UNSET else request.manifest
    load_manifest(manifest)
    space = _space(settings, request)
    tenant_id = await resolve_tenant(settings, context.http, request.tenant)
    return OnboardingOrder(
        operation_id=operation_id(tenant_id, context.now()),
        tenant_id=tenant_id,
        space=space,
        manifest=manifest,
        application_name=(
            settings.application_name
            if request.application_name is UNSET
            else request.application_name
        ),
        policies=_policies(settings, request),
        policy_search=None if request.policy_search is UNSET else request.policy_search,
        policy_action=request.policy_action,
        subscriptions=_subscriptions(request),
        adopt=None if request.adopt is UNSET else request.adopt.lower(),
        certificate=(None if request.certificate is UNSET else _own(settings, request.certificate)),
        repair=settings.audit_policy if request.repair is UNSET else request.repair,
    )


def _subscriptions(request: OnboardingRequest) -> SubscriptionScope | None:
    chosen = request.subscriptions
    if chosen is UNSET:
        return None
    if isinstance(chosen, str):
        return SubscriptionScope()
    if (chosen.allow is UNSET) == (chosen.deny is UNSET):
        raise InvalidRequest(
            "subscriptions_ambiguous",
            "subscriptions needs an allow list or a deny list, and not both",
            remediation='Send "all", {"allow": [ids]} or {"deny": [ids]}.',
            field="subscriptions",
        )
    return SubscriptionScope(
        allow=[] if chosen.allow is UNSET else sorted({each.lower() for each in chosen.allow}),
        deny=[] if chosen.deny is UNSET else sorted({each.lower() for each in chosen.deny}),
    )


def _policies(settings: Settings, request: OnboardingRequest) -> list[str]:
    if request.policies is not UNSET:
        return request.policies
    # Who searches has chosen; the default is for those who have not.
    return list(settings.mondoo_policies) if request.policy_search is UNSET else []


def _own(settings: Settings, chosen: CertificateChoice) -> str:
    """The name of the administrator's own certificate, which must be in our vault."""
    ours = settings.key_vault_url.lower()
    names = {ours, ours.removeprefix("https://").partition(".")[0]}
    if chosen.vault is not UNSET and chosen.vault.lower().rstrip("/") not in names:
        raise InvalidRequest(
            "vault_not_ours",
            "the certificate is in another vault than the one that KEY_VAULT_URL names",
            remediation=f"Import the certificate into {settings.key_vault_url}.",
            field="certificate.vault",
        )
    return chosen.name


def _space(settings: Settings, request: OnboardingRequest) -> str:
    space = settings.mondoo_space if request.space is UNSET else request.space
    if space is None:
        raise InvalidRequest(
            "space_missing",
            "the request names no Mondoo space and there is no default space",
            remediation='Send "space" (an MRN), or set MONDOO_SPACE_MRN.',
            field="space",
        )
    return space
