"""Resolvers of the schema's mutations.

What the platform accepts without a look is accepted here too: the text of a certificate, and a
second integration for the same tenant. Both show only later, in the messages of a scan or in a
list with two entries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from local.simulators.mondoo import mrn, views
from local.simulators.mondoo.estate import (
    ROLES,
    Binding,
    Integration,
    certificate_pem,
    private_key_pem,
)
from local.simulators.mondoo.permissions import Permission
from local.simulators.mondoo.queries import Context, scope_of
from local.simulators.mondoo.status import Code, StatusError
from local.simulators.mondoo.views import View

MAX_NAME = 250
_OPTIONS = {"MS365": "ms365ConfigurationOptions", "AZURE": "azureConfigurationOptions"}
BINDING_LIFETIME = 3600
_SPACE_ID = re.compile(r"[a-z0-9_-]{4,64}")
_SPACE_NAME = re.compile(r"[A-Za-z0-9 \-'_]{2,64}")


def create_space(context: Context, *, input: Mapping[str, Any]) -> View:
    """A new space; needs Owner on the organization."""
    context.require(input["orgMrn"], Permission.ADMINISTER)
    owner = context.estate.organization(input["orgMrn"])
    name, wanted = input["name"], input.get("id")
    if not _SPACE_NAME.fullmatch(name):
        raise _invalid("space name must have 2 to 64 letters, digits, spaces, - ' or _")
    space_id = wanted or mrn.new_id().lower()
    if not _SPACE_ID.fullmatch(space_id):
        raise _invalid("space id must have 4 to 64 lower-case letters, digits, - or _")
    made = context.estate.add_space(space_id, owner, name)
    made.description = input.get("description") or ""
    made.annotations = _pairs(input.get("annotations"))
    return views.space(context.estate, made, context.may_see)


def update_space(context: Context, *, input: Mapping[str, Any]) -> View:
    """Name, description or annotations of a space."""
    context.require(input["mrn"], Permission.CHANGE_SCOPE)
    found = context.estate.space(input["mrn"])
    if input.get("name") is not None:
        if not _SPACE_NAME.fullmatch(input["name"]):
            raise _invalid("space name must have 2 to 64 letters, digits, spaces, - ' or _")
        found.name = input["name"]
    if input.get("description") is not None:
        found.description = input["description"]
    if input.get("annotations") is not None:
        found.annotations = _pairs(input["annotations"])
    return {"space": views.space(context.estate, found, context.may_see)}


def delete_space(context: Context, *, spaceMrn: str) -> str:  # noqa: N803
    """Remove a space with everything in it; needs Owner on the organization."""
    found = context.estate.space(spaceMrn)
    context.require(found.organization.mrn, Permission.ADMINISTER)
    context.estate.remove_space(found)
    return spaceMrn


def create_service_account(context: Context, *, input: Mapping[str, Any]) -> View:
    """A new service account; the one time that its private key is shown."""
    scope_mrn = input["scopeMrn"]
    context.require(scope_mrn, Permission.ADMINISTER)
    until = input.get("validUntil")
    try:
        valid_until = None if until is None else datetime.fromisoformat(until)
    except ValueError as error:
        raise _invalid("validUntil must be an RFC 3339 time") from error
    made = context.estate.add_service_account(
        scope_mrn,
        _roles(input.get("roles"), default={"agent"}),
        name=input.get("name") or "",
        description=input.get("description") or "",
        valid_until=valid_until,
    )
    return {
        "mrn": made.mrn,
        "certificate": certificate_pem(made),
        "privateKey": private_key_pem(made),
        "scopeMrn": scope_mrn,
        "spaceMrn": scope_mrn if scope_mrn in context.estate.spaces else None,
        "apiEndpoint": context.endpoint,
    }


def delete_service_accounts(context: Context, *, input: Mapping[str, Any]) -> View:
    """Remove service accounts of a scope."""
    context.require(input["scopeMrn"], Permission.ADMINISTER)
    accounts = context.estate.service_accounts
    for account_mrn in input["mrns"]:
        known = accounts.get(account_mrn)
        if known is None or known.scope_mrn != input["scopeMrn"]:
            raise StatusError(Code.NOT_FOUND, f"service account {account_mrn} not found")
    for account_mrn in input["mrns"]:
        del accounts[account_mrn]
    return {"mrns": list(input["mrns"])}


def create_wif_auth_binding(context: Context, *, input: Mapping[str, Any]) -> View:
    """Trust an outside issuer's subject."""
    context.require(input["scopeMrn"], Permission.ADMINISTER)
    if not input["issuerUri"].startswith("https://") or not input["subject"]:
        raise _invalid("issuerUri must be an https URL and subject must not be empty")
    made = Binding(
        mrn=mrn.binding(input["scopeMrn"]),
        name=input["name"],
        scope_mrn=input["scopeMrn"],
        issuer=input["issuerUri"],
        subject=input["subject"],
        roles=_roles(input.get("roles"), default={"viewer"}),
        expiration=input.get("expiration") or BINDING_LIFETIME,
        allowed_audiences=tuple(input.get("allowedAudiences") or ()),
    )
    context.estate.bindings[made.mrn] = made
    return views.binding(made)


def remove_wif_auth_binding(context: Context, *, mrn: str) -> View:
    """Remove a binding."""
    found = context.estate.bindings.get(mrn)
    if found is None:
        raise StatusError(Code.NOT_FOUND, f"binding {mrn} not found")
    context.require(found.scope_mrn, Permission.ADMINISTER)
    del context.estate.bindings[mrn]
    return {"mrn": mrn}


def create_client_integration(context: Context, *, input: Mapping[str, Any]) -> View:
    """A new integration. Nothing looks at the certificate, nothing looks for a twin."""
    scope_mrn = scope_of(input)
    context.require(scope_mrn, Permission.CHANGE_INTEGRATIONS)
    options = _options(input)
    now = context.estate.clock.now()
    made = Integration(
        mrn=mrn.integration(scope_mrn),
        name=_name(input["name"]),
        type=input["type"],
        scope_mrn=scope_mrn,
        creator=context.account.name,
        created=now,
        modified=now,
        tenant_id=options["tenantId"],
        client_id=options["clientId"],
        certificate=options.get("certificate"),
        use_wif=bool(options.get("useWif")),
        allowed_subscriptions=list(options.get("subscriptionsWhitelist") or ()),
        denied_subscriptions=list(options.get("subscriptionsBlacklist") or ()),
        annotations=_pairs(input.get("annotations")),
        labels=_pairs(input.get("labels")),
    )
    context.estate.integrations[made.mrn] = made
    return {"integration": context.integration_view(made)}


def update_client_integration_configuration(context: Context, *, input: Mapping[str, Any]) -> View:
    """Change an integration. A certificate that is left out stays as it was."""
    found = context.integration(input["mrn"], Permission.CHANGE_INTEGRATIONS)
    if input["type"] != found.type:
        raise _invalid(f"integration is of type {found.type}, not {input['type']}")
    options = _options(input)
    if input.get("name") is not None:
        found.name = _name(input["name"])
    found.tenant_id, found.client_id = options["tenantId"], options["clientId"]
    if options.get("useWif"):
        found.use_wif, found.certificate = True, None
    elif options.get("certificate") is not None:
        found.use_wif, found.certificate = False, options["certificate"]
    found.allowed_subscriptions = list(options.get("subscriptionsWhitelist") or ())
    found.denied_subscriptions = list(options.get("subscriptionsBlacklist") or ())
    if input.get("labels") is not None:
        found.labels = _pairs(input["labels"])
    if input.get("annotations") is not None:
        found.annotations = _pairs(input["annotations"])
    found.modified = context.estate.clock.now()
    return {"name": found.name}


def delete_client_integration(context: Context, *, input: Mapping[str, Any]) -> View:
    """Remove an integration; its assets stay until they age out."""
    found = context.integration(input["mrn"], Permission.CHANGE_INTEGRATIONS)
    del context.estate.integrations[found.mrn]
    return {"mrn": found.mrn}


def assign_policy(context: Context, *, input: Mapping[str, Any]) -> bool:
    """Assign published content to a space or organization."""
    scope_mrn, policies = _assignment(context, input)
    for policy_mrn in policies:
        context.estate.assignments.setdefault(scope_mrn, {})[policy_mrn] = (
            input.get("action") or "ACTIVE"
        )
    return True


def unassign_policy(context: Context, *, input: Mapping[str, Any]) -> bool:
    """Take content away from a space or organization."""
    scope_mrn, policies = _assignment(context, input)
    for policy_mrn in policies:
        context.estate.assignments.get(scope_mrn, {}).pop(policy_mrn, None)
    return True


def set_asset_annotations(context: Context, *, input: Mapping[str, Any]) -> View:
    """Replace the annotations of an asset."""
    context.require(input["spaceMrn"], Permission.CHANGE_SCOPE)
    found = context.estate.assets.get(input["mrn"])
    if found is None or found.space_mrn != input["spaceMrn"]:
        raise StatusError(Code.NOT_FOUND, f"asset {input['mrn']} not found")
    found.annotations = _pairs(input["annotations"])
    return {"asset": views.asset(found)}


def _assignment(context: Context, input: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Scope and policies of an assignment, all of which exist."""
    scope_mrn = input["assetMrn"]
    context.require(scope_mrn, Permission.CHANGE_POLICIES)
    policies = list(input.get("policyMrns") or ())
    if input.get("policyMrn"):
        policies.append(input["policyMrn"])
    if not policies:
        raise _invalid("policyMrn or policyMrns is required")
    for policy_mrn in policies:
        if policy_mrn not in context.estate.content:
            raise StatusError(Code.NOT_FOUND, f"policy {policy_mrn} not found")
    return scope_mrn, policies


def _options(input: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of a create or update, of the integration's own type and of no other."""
    member = _OPTIONS.get(input["type"])
    if member is None:
        raise StatusError(Code.UNIMPLEMENTED, f"integrations of type {input['type']}")
    given = input["configurationOptions"]
    options = given.get(member)
    if options is None or any(value is not None for name, value in given.items() if name != member):
        raise _invalid(f"{member} is required for type {input['type']}")
    if options.get("subscriptionsWhitelist") and options.get("subscriptionsBlacklist"):
        raise _invalid("subscriptionsWhitelist and subscriptionsBlacklist are mutually exclusive")
    if not options["tenantId"] or not options["clientId"]:
        raise _invalid("tenantId and clientId must not be empty")
    if options.get("useWif") and options.get("certificate") is not None:
        raise _invalid("useWif and certificate are mutually exclusive")
    found: Mapping[str, Any] = options
    return found


def _name(name: str) -> str:
    if not 0 < len(name) <= MAX_NAME:
        raise _invalid(f"name must have 1 to {MAX_NAME} characters")
    return name


def _pairs(given: list[Mapping[str, Any]] | None) -> dict[str, str]:
    return {entry["key"]: entry.get("value") or "" for entry in given or ()}


def _roles(given: list[Mapping[str, Any]] | None, *, default: set[str]) -> set[str]:
    if not given:
        return default
    names = {mrn.role_name(entry["mrn"]) for entry in given}
    known = {name for name in names if name in ROLES}
    if known != names:
        raise _invalid("unknown role")
    return {name for name in known if name is not None}


def _invalid(description: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, description)


MUTATIONS: dict[str, Callable[..., object]] = {
    "createSpace": create_space,
    "updateSpace": update_space,
    "deleteSpace": delete_space,
    "createServiceAccount": create_service_account,
    "deleteServiceAccounts": delete_service_accounts,
    "createWIFAuthBinding": create_wif_auth_binding,
    "removeWIFAuthBinding": remove_wif_auth_binding,
    "createClientIntegration": create_client_integration,
    "updateClientIntegrationConfiguration": update_client_integration_configuration,
    "deleteClientIntegration": delete_client_integration,
    "assignPolicy": assign_policy,
    "unassignPolicy": unassign_policy,
    "setAssetAnnotations": set_asset_annotations,
}
