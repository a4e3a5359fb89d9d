"""What a request leaves out, or would change, of a tenant that is known already.

What is left out stays as the tenant has it, and only a new tenant takes it from the settings: the
same request sent again must not take a roll-out back, nor what audits may put right. Application
and space cannot be changed by a request. A second one would be made, and the first go on scanning,
unseen by audits and by offboarding, which know one of each.
"""

from __future__ import annotations

from msgspec import UNSET

from shared.config import Settings
from shared.context import Context
from shared.errors import Conflict, InvalidRequest, Refused
from shared.models import OnboardingRequest, RepairPolicy, TenantRecord
from shared.mondoo import integrations

_OFFBOARD = "To change it, offboard the tenant first (DELETE /api/tenants/{tenant})"


def application_name(
    settings: Settings, request: OnboardingRequest, record: TenantRecord | None
) -> str:
    """The name of the tenant's application.

    Raises:
        Conflict: ``application_differs``: it has another one.
    """
    made = record if record is not None and record.app_id is not None else None
    has = made.application_name if made is not None else None
    chosen = request.application_name
    name = (has or settings.application_name) if chosen is UNSET else chosen
    other = request.adopt is not UNSET and made is not None and made.app_id != request.adopt.lower()
    if made is not None and has is not None and (name != has or other):
        raise Conflict(
            "application_differs",
            f"tenant {made.tenant_id} has the application {has!r} ({made.app_id})",
            remediation=f"Leave {'adopt' if other else 'applicationName'} out. {_OFFBOARD}.",
            field="adopt" if other else "applicationName",
            tenant_id=made.tenant_id,
        )
    return name


def manifest(settings: Settings, request: OnboardingRequest, record: TenantRecord | None) -> str:
    """The name of the tenant's permission list; the one that it is moved to, if that has begun."""
    if request.manifest is not UNSET:
        return request.manifest
    target = record.manifest_target if record is not None else None
    proven = _proven(record)
    return target or (proven.manifest if proven is not None else None) or settings.manifest


def repair(
    settings: Settings, request: OnboardingRequest, record: TenantRecord | None
) -> RepairPolicy:
    """What audits of the tenant may put right."""
    if request.repair is not UNSET:
        return request.repair
    proven = _proven(record)
    return settings.audit_policy if proven is None else proven.repair


def space(settings: Settings, request: OnboardingRequest, record: TenantRecord | None) -> str:
    """The tenant's space, where the request does not want one to be made.

    Raises:
        InvalidRequest: ``space_missing``: neither request, tenant nor settings name one.
    """
    has = record.space if record is not None and record.integration is not None else None
    chosen = (has or settings.mondoo_space) if request.space is UNSET else request.space
    if not isinstance(chosen, str):
        raise InvalidRequest(
            "space_missing",
            "the request names no Mondoo space and there is no default space",
            remediation='Send "space" (an MRN), or set MONDOO_SPACE_MRN.',
            field="space",
        )
    return chosen


async def check_space(context: Context, record: TenantRecord | None, wanted: str) -> None:
    """Whether the tenant may be onboarded into this space.

    Raises:
        Conflict: ``space_differs``: it has an integration in another one.
        NotYet, Refused: Mondoo does not say.
    """
    if record is None or record.integration is None or record.space in (None, wanted):
        return
    try:
        await integrations.read(context.mondoo, record.integration)
    except Refused as error:
        if error.code != "mondoo_not_found":
            raise
        return  # deleted by somebody, perhaps with its space: nothing is left behind
    raise Conflict(
        "space_differs",
        f"tenant {record.tenant_id} is scanned in {record.space} ({record.integration})",
        remediation=f"Leave space out. {_OFFBOARD}.",
        field="space",
        tenant_id=record.tenant_id,
    )


def _proven(record: TenantRecord | None) -> TenantRecord | None:
    """The record, if the tenant was ever proven: before that its choices are only attempts."""
    return record if record is not None and record.onboarded_at is not None else None
