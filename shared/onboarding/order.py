"""From a request to an order: every choice made, by the request or else by the settings."""

from __future__ import annotations

from datetime import datetime

from msgspec import UNSET

from shared.config import Settings
from shared.errors import InvalidRequest
from shared.manifest import load_manifest
from shared.models import OnboardingOrder, OnboardingRequest, operation_id


def make_order(
    settings: Settings, request: OnboardingRequest, tenant_id: str, started_at: datetime
) -> OnboardingOrder:
    """The order for a tenant whose id is known.

    Raises:
        InvalidRequest: the manifest is unknown, or there is no space in request and settings.
    """
    manifest = settings.manifest if request.manifest is UNSET else request.manifest
    load_manifest(manifest)
    space = settings.mondoo_space if request.space is UNSET else request.space
    if space is None:
        raise InvalidRequest(
            "space_missing",
            "the request names no Mondoo space and there is no default space",
            remediation='Send "space" (an MRN), or set MONDOO_SPACE_MRN.',
            field="space",
        )
    return OnboardingOrder(
        operation_id=operation_id(tenant_id, started_at),
        tenant_id=tenant_id,
        space=space,
        manifest=manifest,
        application_name=(
            settings.application_name
            if request.application_name is UNSET
            else request.application_name
        ),
        policies=(
            list(settings.mondoo_policies) if request.policies is UNSET else request.policies
        ),
        adopt=None if request.adopt is UNSET else request.adopt.lower(),
    )
