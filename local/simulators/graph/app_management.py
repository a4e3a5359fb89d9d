"""App management policies: what a tenant allows in new key credentials, and how it is read.

The policy that is applied to an application replaces the tenant's default for it. A restriction
counts only if it is enabled and the application is not older than its start date. Existing
credentials keep working.

A trusted authority is one of a `certificateBasedApplicationConfiguration` that the restriction
names, and must have signed the certificate itself: what is registered is a leaf without a chain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from local.simulators.assertions import parse_instant
from local.simulators.graph.calls import Answer, GraphCall
from local.simulators.graph.errors import GraphError, not_found
from local.simulators.graph.permissions import READ_POLICIES, READ_POLICY_TARGETS
from local.simulators.graph.query import PAGED, page, picker
from local.simulators.graph.routing import Route
from local.simulators.objects import Application, KeyCredential
from local.simulators.tenant import SimulatedTenant

DEFAULT_ID = "00000000-0000-0000-0000-000000000000"

_DURATION = re.compile(
    r"^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$"
)


def routes() -> Iterator[Route]:
    """The policies, to read."""
    yield Route("GET", "/policies/defaultAppManagementPolicy", _default, READ_POLICIES)
    yield Route("GET", "/policies/appManagementPolicies", _list, READ_POLICIES, PAGED)
    yield Route("GET", "/policies/appManagementPolicies/{id}", _get, READ_POLICIES)
    yield Route(
        "GET",
        "/policies/appManagementPolicies/{id}/appliesTo",
        _applies_to,
        READ_POLICY_TARGETS,
        PAGED,
    )
    for key in ("/{id}", "(appId='{appId}')", "(uniqueName='{uniqueName}')"):
        yield Route(
            "GET",
            f"/applications{key}/appManagementPolicies",
            _of_application,
            READ_POLICY_TARGETS,
            PAGED,
        )


def check_new_key(tenant: SimulatedTenant, app: Application, key: KeyCredential) -> None:
    """400 if the policy in force for the application forbids this new key credential."""
    policy_id, restrictions = _in_force(tenant, app)
    for restriction in restrictions:
        if restriction.get("state", "enabled") != "enabled":
            continue
        start = restriction.get("restrictForAppsCreatedAfterDateTime")
        if start and app.created < parse_instant(start):
            continue
        kind = restriction.get("restrictionType")
        if kind == "asymmetricKeyLifetime":
            lifetime = parse_instant(key.end) - parse_instant(key.start)
            if lifetime > duration(restriction["maxLifetime"]):
                raise GraphError(
                    400,
                    "CredentialInvalidLifetimeAsPerAppPolicy",
                    "Credential lifetime exceeds the max value allowed as per assigned policy"
                    f" '{policy_id}'.",
                )
        elif kind == "trustedCertificateAuthority":
            trusted = [
                authority
                for configuration in restriction["certificateBasedApplicationConfigurationIds"]
                for authority in tenant.trusted_authorities.get(configuration, ())
            ]
            if not any(_issued(key.certificate, authority) for authority in trusted):
                raise GraphError(
                    400,
                    "CredentialTypeNotAllowedAsPerAppPolicy",
                    "Credential type not allowed as per assigned policy"
                    f" '{policy_id}': the certificate is not issued by a trusted authority.",
                )


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def duration(text: str) -> timedelta:
    """An ISO 8601 duration; a month counts 30 days, a year 365. `ValueError` for other text."""
    found = _DURATION.match(text)
    if found is None or not any(found.groups()):
        raise ValueError(f"not a duration: {text}")
    years, months, weeks, days, hours, minutes, seconds = (int(n or 0) for n in found.groups())
    return timedelta(
        days=years * 365 + months * 30 + weeks * 7 + days,
        hours=hours,
        minutes=minutes,
        seconds=seconds,
    )


def _in_force(tenant: SimulatedTenant, app: Application) -> tuple[str, list[dict[str, Any]]]:
    for policy in tenant.app_policies.values():
        if app.id in policy.applies_to:
            entity = policy.entity
            rules = entity["restrictions"]["keyCredentials"] if entity["isEnabled"] else []
            return str(entity["id"]), rules
    default = default_policy(tenant)
    if not default["isEnabled"]:
        return DEFAULT_ID, []
    return DEFAULT_ID, default["applicationRestrictions"].get("keyCredentials", [])


def default_policy(tenant: SimulatedTenant) -> dict[str, Any]:
    """The tenant's default policy as an entity."""
    return {
        "id": DEFAULT_ID,
        "displayName": "Default app management tenant policy",
        "description": "Default tenant policy that enforces app management restrictions.",
        "isEnabled": False,
        "applicationRestrictions": {"passwordCredentials": [], "keyCredentials": []},
        "servicePrincipalRestrictions": {"passwordCredentials": [], "keyCredentials": []},
        **tenant.default_policy,
    }


def _default(call: GraphCall) -> Answer:
    context = call.context("policies/defaultAppManagementPolicy/$entity")
    return Answer(200, {"@odata.context": context, **default_policy(call.tenant)})


def _list(call: GraphCall) -> Answer:
    policies = [policy.entity for policy in call.tenant.app_policies.values()]
    return page(call, policies, picker(call), "policies/appManagementPolicies")


def _get(call: GraphCall) -> Answer:
    policy = call.tenant.app_policies.get(call.object_id())
    if policy is None:
        raise not_found(call.params["id"])
    context = call.context("policies/appManagementPolicies/$entity")
    return Answer(200, {"@odata.context": context, **policy.entity})


def _applies_to(call: GraphCall) -> Answer:
    policy = call.tenant.app_policies.get(call.object_id())
    if policy is None:
        raise not_found(call.params["id"])
    targets = [
        {
            "@odata.type": "#microsoft.graph.application",
            "id": app.id,
            "appId": app.app_id,
            "displayName": app.display_name,
        }
        for app in call.tenant.applications.values()
        if app.id in policy.applies_to
    ]
    return page(call, targets, picker(call), "directoryObjects")


def _of_application(call: GraphCall) -> Answer:
    app = call.application()
    policies = [
        policy.entity for policy in call.tenant.app_policies.values() if app.id in policy.applies_to
    ]
    return page(call, policies, picker(call), "policies/appManagementPolicies")
