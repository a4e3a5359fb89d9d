"""From a request to an order: every choice made, by the request, or else by what the tenant has
(`shared.onboarding.standing`), or else by the settings."""

from __future__ import annotations

from msgspec import UNSET

from shared.config import Settings
from shared.context import Context
from shared.entra.tenants import resolve_tenant
from shared.errors import InvalidRequest, Refused
from shared.manifest import load_manifest
from shared.models import (
    CertificateChoice,
    NewSpace,
    OnboardingOrder,
    OnboardingRequest,
    ScannerAuthentication,
    SubscriptionScope,
    TenantRecord,
    operation_id,
)
from shared.mondoo import azure_integrations
from shared.mondoo.tenant_spaces import find_tenant_space, space_to_be
from shared.onboarding import standing


async def take_order(context: Context, request: OnboardingRequest) -> OnboardingOrder:
    """The order that a request amounts to. What needs no service to be asked is checked first.

    Raises:
        Conflict: the tenant has another application, or is scanned in another space.
        InvalidRequest: no such manifest, no space in request and settings, not a tenant's name, not
            a Key Vault of this cloud, fields that exclude each other.
        NotFound: there is no such tenant.
        NotYet: the sign-in service or our records cannot be reached, or Mondoo, when a space is to
            be found.
        Refused: Mondoo says no, when a space is to be found or an integration to be looked at.
    """
    settings = context.settings
    if request.manifest is not UNSET:
        load_manifest(request.manifest)
    own = None if request.certificate is UNSET else request.certificate
    own_vault = None if own is None else _vault(settings, own)
    new_space = _new_space(request)
    tenant_id = await resolve_tenant(settings, context.http, request.tenant)
    record = await context.records.get(tenant_id)
    name = standing.application_name(settings, request, record)
    if new_space is None:
        space = standing.space(settings, request, record)
    else:
        found = await find_tenant_space(context.mondoo, new_space.organization, tenant_id)
        space = found or space_to_be(tenant_id)
    await standing.check_space(context, record, space)
    authentication = _authentication(request, record)
    scanned = await _scanned(context, record)
    if (
        record is not None
        and scanned is not None
        and authentication is ScannerAuthentication.FEDERATED
    ):
        raise _azure_conflict(record)
    return OnboardingOrder(
        operation_id=operation_id(tenant_id, context.now()),
        tenant_id=tenant_id,
        space=space,
        manifest=standing.manifest(settings, request, record),
        application_name=name,
        policies=_policies(settings, request),
        policy_search=None if request.policy_search is UNSET else request.policy_search,
        policy_action=request.policy_action,
        subscriptions=_subscriptions(request, scanned),
        adopt=None if request.adopt is UNSET else request.adopt.lower(),
        new_space=new_space,
        authentication=authentication,
        certificate=None if own is None else own.name,
        certificate_vault=own_vault,
        retires=record is not None and _retires(record, authentication),
        repair=standing.repair(settings, request, record),
    )


def _authentication(
    request: OnboardingRequest, record: TenantRecord | None
) -> ScannerAuthentication:
    """What the request says, or what the tenant has; a certificate that is named settles it.

    Raises:
        InvalidRequest: ``authentication_conflict``: without a key there is no certificate to
            choose, and none that Azure could be scanned with.
    """
    chosen = request.authentication
    if chosen is UNSET and (record is None or request.certificate is not UNSET):
        return ScannerAuthentication.CERTIFICATE
    if chosen is UNSET:
        assert record is not None
        chosen = record.authentication
    if chosen is ScannerAuthentication.CERTIFICATE:
        return chosen
    for field, given in (
        ("certificate", request.certificate),
        ("subscriptions", request.subscriptions),
    ):
        if given is not UNSET:
            raise InvalidRequest(
                "authentication_conflict",
                f"{field} needs a certificate, and authentication is {chosen}",
                remediation=f'Leave {field} out, or send "authentication": "certificate".',
                field=field,
            )
    return chosen


async def _scanned(context: Context, record: TenantRecord | None) -> SubscriptionScope | None:
    """The subscriptions that Mondoo scans so far, by its own word; None once somebody deleted the
    integration."""
    if record is None or record.azure_integration is None or record.space is None:
        return None
    try:
        listed = await azure_integrations.of_tenant(context.mondoo, record.space, record.tenant_id)
    except Refused as error:
        if error.code != "mondoo_not_found":
            raise
        return None  # with its whole space
    for one in listed:
        if one.mrn == record.azure_integration:
            return SubscriptionScope(allow=list(one.allowed), deny=list(one.denied))
    return None


def _azure_conflict(record: TenantRecord) -> InvalidRequest:
    """Without a certificate Azure would not be scanned any more, and nobody would have said so."""
    return InvalidRequest(
        "authentication_conflict",
        f"the tenant's subscriptions are scanned with its certificate ({record.azure_integration})",
        remediation="To give that up, delete this Azure integration in the Mondoo Console; then"
        " send the request again.",
        field="authentication",
    )


def _retires(record: TenantRecord, authentication: ScannerAuthentication) -> bool:
    """Whether the application may hold a credential of the other kind; one that an offboarding
    deleted comes back with what it held."""
    if record.receipt is not None and record.onboarded_at is None:
        return True
    if authentication is ScannerAuthentication.FEDERATED:
        return record.certificate is not None
    return record.federated_credential is not None


def _subscriptions(
    request: OnboardingRequest, scanned: SubscriptionScope | None
) -> SubscriptionScope | None:
    chosen = request.subscriptions
    if chosen is UNSET:
        return scanned
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


def _new_space(request: OnboardingRequest) -> NewSpace | None:
    if not isinstance(request.space, NewSpace):
        return None
    if not request.space.create:
        raise InvalidRequest(
            "field_invalid",
            "space.create is not true",
            remediation='Send the MRN of a space, or "create": true with an organization.',
            field="space.create",
        )
    return request.space


def _policies(settings: Settings, request: OnboardingRequest) -> list[str]:
    if request.policies is not UNSET:
        return request.policies
    # Who searches has chosen; the default is for those who have not.
    return list(settings.mondoo_policies) if request.policy_search is UNSET else []


def _vault(settings: Settings, chosen: CertificateChoice) -> str | None:
    """The address of the vault that holds an own certificate; None for ours."""
    if chosen.vault is UNSET:
        return None
    ours, text = settings.key_vault_url.lower(), chosen.vault.strip().lower().rstrip("/")
    url = ours if text == ours else settings.cloud.vault_url(text)
    if url is None:
        raise InvalidRequest(
            "vault_unknown",
            "certificate.vault is neither a name nor an address of a Key Vault in the cloud"
            f" {settings.cloud.name}",
            remediation=f"Send the vault's name, or {settings.cloud.vault.format(name='<name>')}.",
            field="certificate.vault",
        )
    return None if url == ours else url
