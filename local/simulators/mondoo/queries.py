"""Resolvers of the schema's queries. Each takes the context of the call and the field's arguments.

`triggerAction` is a query on the platform although it acts; so it is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.simulators.mondoo import mrn, views
from local.simulators.mondoo.estate import Estate, Integration, ServiceAccount
from local.simulators.mondoo.permissions import ACTIONS, Permission, allowed, require
from local.simulators.mondoo.status import Code, StatusError
from local.simulators.mondoo.views import View


@dataclass(frozen=True, slots=True)
class Context:
    """What a resolver knows of its call.

    `scan` asks for a scan of an integration; `findings` are the uploaded ones of a scope.
    """

    estate: Estate
    account: ServiceAccount
    endpoint: str
    wif_issuer: str
    scan: Callable[[Integration], None]
    findings: Callable[[str], list[Mapping[str, Any]]]

    def require(self, scope_mrn: str, permission: Permission) -> None:
        """Stop here without the right on the scope."""
        require(self.estate, self.account, scope_mrn, permission)

    def may_see(self, scope_mrn: str) -> bool:
        """Whether the caller may read the scope."""
        return allowed(self.estate, self.account, scope_mrn, Permission.READ)

    def integration(self, integration_mrn: str, permission: Permission) -> Integration:
        """An integration on whose scope the caller has the right."""
        found = self.estate.integration(integration_mrn)
        self.require(found.scope_mrn, permission)
        return found

    def integration_view(self, found: Integration) -> View:
        """Type `ClientIntegration`."""
        return views.integration(self.estate, found, self.wif_issuer)


def scope_of(arguments: Mapping[str, Any]) -> str:
    """The scope named by `scopeMrn` or, older, `spaceMrn`; exactly one of them.

    Raises:
        StatusError: `InvalidArgument` for none, or for two that differ.
    """
    given = {arguments[name] for name in ("scopeMrn", "spaceMrn") if arguments.get(name)}
    if len(given) != 1:
        raise StatusError(Code.INVALID_ARGUMENT, "exactly one of scopeMrn, spaceMrn is required")
    return str(given.pop())


def viewer(context: Context) -> View:
    """The caller."""
    estate, account = context.estate, context.account
    seen = [
        views.organization(estate, entry, context.may_see)
        for entry in estate.organizations.values()
        if context.may_see(entry.mrn)
    ]
    spaces = [entry for entry in estate.spaces.values() if context.may_see(entry.mrn)]
    return {
        "mrn": account.mrn,
        "email": None,
        "name": account.name,
        "state": "ACTIVE",
        "organizations": views.page(seen, None, None),
        "firstSpace": views.space(estate, spaces[0], context.may_see) if spaces else None,
    }


def space(context: Context, *, mrn: str) -> View:
    """One space."""
    context.require(mrn, Permission.READ)
    return views.space(context.estate, context.estate.space(mrn), context.may_see)


def organization(context: Context, *, mrn: str) -> View:
    """One organization."""
    context.require(mrn, Permission.READ)
    return views.organization(context.estate, context.estate.organization(mrn), context.may_see)


def space_id_suggestion(context: Context, *, input: Mapping[str, Any]) -> View:
    """Whether a space id is free."""
    taken = mrn.space(input["id"]) in context.estate.spaces
    return {"id": input["id"], "available": not taken}


def service_account(context: Context, *, mrn: str) -> View:
    """One service account; the caller may always look at itself."""
    found = context.estate.service_accounts.get(mrn)
    if found is None:
        raise StatusError(Code.NOT_FOUND, f"service account {mrn} not found")
    if found is not context.account:
        context.require(found.scope_mrn, Permission.READ)
    return views.service_account(found)


def get_roles(context: Context, *, identity: str, scopeMrn: str) -> View:  # noqa: N803
    """Roles of an identity on a scope."""
    context.require(scopeMrn, Permission.READ)
    found = context.estate.service_accounts.get(identity)
    if found is None:
        raise StatusError(Code.NOT_FOUND, f"identity {identity} not found")
    held = context.estate.roles_on(found, scopeMrn)
    return {
        "identity_mrn": identity,
        "identity_email": None,
        "scope_mrn": scopeMrn,
        "roles": [mrn.role(name) for name in sorted(held)],
    }


def test_iam_actions(
    context: Context,
    *,
    resourceMrn: str,  # noqa: N803
    actions: list[str],
) -> list[str]:
    """Those of the actions that the caller may do; unknown ones are not among them."""
    context.estate.check_scope(resourceMrn)
    return [
        action
        for action in actions
        if action in ACTIONS
        and allowed(context.estate, context.account, resourceMrn, ACTIONS[action])
    ]


def get_wif_auth_binding(context: Context, *, mrn: str) -> View:
    """One workload identity binding."""
    found = context.estate.bindings.get(mrn)
    if found is None:
        raise StatusError(Code.NOT_FOUND, f"binding {mrn} not found")
    context.require(found.scope_mrn, Permission.READ)
    return views.binding(found)


def client_integration(context: Context, *, input: Mapping[str, Any]) -> View:
    """One integration."""
    found = context.integration(input["mrn"], Permission.READ)
    return {"integration": context.integration_view(found)}


def list_client_integrations(context: Context, *, input: Mapping[str, Any]) -> View:
    """All integrations of a scope, filtered by type; the list has no pages."""
    scope_mrn = scope_of(input)
    context.require(scope_mrn, Permission.READ)
    wanted = input.get("filterQuery") or {}
    types = set(wanted.get("types") or ())
    if wanted.get("type"):
        types.add(wanted["type"])
    return {
        "integrations": [
            context.integration_view(found)
            for found in context.estate.integrations_of(scope_mrn)
            if not types or found.type in types
        ]
    }


def integrations_summary(context: Context, *, input: Mapping[str, Any]) -> View:
    """Counts of integrations by type."""
    context.require(input["spaceMrn"], Permission.READ)
    estate = context.estate
    found = estate.integrations_of(input["spaceMrn"])
    policies = len(estate.assigned(estate.space(input["spaceMrn"])))
    summaries = []
    for kind in dict.fromkeys(entry.type for entry in found):
        entries = [entry for entry in found if entry.type == kind]
        mrns = {entry.mrn for entry in entries}
        summaries.append(
            {
                "type": kind,
                "totalCount": len(entries),
                "activeCount": sum(entry.status == "ACTIVE" for entry in entries),
                "failedCount": sum(entry.status == "ERROR" for entry in entries),
                "warningCount": sum(entry.status == "WARNING" for entry in entries),
                "assetsCount": sum(
                    entry.integration_mrn in mrns for entry in estate.assets.values()
                ),
                "policiesCount": policies,
                "checksCount": 0,
            }
        )
    return {"integrationSummaries": summaries, "total": len(found)}


def trigger_action(context: Context, *, input: Mapping[str, Any]) -> View:
    """Run a scan, pause, or go on. Other actions are for other kinds of integration."""
    found = context.integration(input["mrn"], Permission.CHANGE_INTEGRATIONS)
    match input["type"]:
        case "RUN_SCAN":
            context.scan(found)
        case "PAUSE":
            found.paused = True
        case "UNPAUSE":
            found.paused = False
        case other:
            raise StatusError(
                Code.INVALID_ARGUMENT, f"action {other} is not supported by {found.type}"
            )
    return {"mrn": found.mrn}


def ping_integration(context: Context, *, input: Mapping[str, Any]) -> View:
    """Check an integration in."""
    found = context.integration(input["mrn"], Permission.CHANGE_INTEGRATIONS)
    found.last_checkin = context.estate.clock.now()
    return {"mrn": found.mrn}


def content(context: Context, *, input: Mapping[str, Any]) -> View:
    """Search published content; the terms of the query must all be in name or uid."""
    scope_mrn = input["scopeMrn"]
    context.require(scope_mrn, Permission.READ)
    kind, terms = input["catalogType"], (input.get("query") or "").lower().split()
    platforms, wanted = set(input.get("platforms") or ()), set(input.get("contentMrns") or ())
    shown = []
    for entry in context.estate.content.values():
        words = f"{entry.name} {entry.uid}".lower()
        view = views.content(context.estate, entry, scope_mrn)
        if (
            kind in ("ALL", "QUERYPACK" if entry.pack else "POLICY")
            and all(term in words for term in terms)
            and (not platforms or platforms & set(entry.platforms))
            and (not wanted or entry.mrn in wanted)
            and input.get("includePublic", True)
            and (view["assigned"] or not input.get("assignedOnly"))
        ):
            shown.append(view)
    return views.page(shown, input.get("limit"), input.get("after"))


def active_policies(context: Context, *, input: Mapping[str, Any]) -> View:
    """Policies that are assigned to a space or its organization."""
    if input["scopeMrn"] in context.estate.organizations:
        raise StatusError(Code.INVALID_ARGUMENT, "scopeMrn must be a space")
    context.require(input["scopeMrn"], Permission.READ)
    estate = context.estate
    query = (input.get("query") or "").lower()
    shown = []
    for policy_mrn, (action, scope) in estate.assigned(estate.space(input["scopeMrn"])).items():
        known = estate.content[policy_mrn]
        if query in known.name.lower():
            shown.append(
                {
                    "mrn": policy_mrn,
                    "name": known.name,
                    "action": action,
                    "assignedScope": scope,
                }
            )
    return views.page(shown, None, None)


def assets(
    context: Context,
    *,
    first: int | None = None,
    after: str | None = None,
    orderBy: Mapping[str, Any] | None = None,  # noqa: N803
    platformName: list[str] | None = None,  # noqa: N803
    queryTerms: list[str] | None = None,  # noqa: N803
    labels: list[Mapping[str, Any]] | None = None,
    **scope: Any,
) -> View:
    """Assets of a scope, a page at a time."""
    scope_mrn = scope_of(scope)
    context.require(scope_mrn, Permission.READ)
    found = [
        asset
        for asset in context.estate.assets_of(scope_mrn)
        if (not platformName or asset.platform in platformName)
        and all(term.lower() in asset.name.lower() for term in queryTerms or ())
        and all(asset.labels.get(pair["key"]) == pair.get("value") for pair in labels or ())
    ]
    if orderBy is not None:
        keys: dict[str, Callable[[Any], Any]] = {
            "NAME": lambda asset: asset.name,
            "LAST_UPDATED": lambda asset: asset.updated,
            "SCORE": lambda asset: asset.score,
        }
        found.sort(key=keys[orderBy["field"]], reverse=orderBy["direction"] == "DESC")
    return views.page([views.asset(asset) for asset in found], first, after)


def findings(
    context: Context,
    *,
    scopeMrn: str,  # noqa: N803
    first: int | None = None,
    after: str | None = None,
    filter: Mapping[str, Any] | None = None,
) -> View:
    """Uploaded findings of a scope; a refusal is a member of the union, not an error."""
    try:
        context.require(scopeMrn, Permission.READ)
    except StatusError as error:
        kind = "NotFoundError" if error.code is Code.NOT_FOUND else "RequestError"
        return {
            "__typename": kind,
            "message": error.description,
            "code": error.code.spelling,
        }
    states = set((filter or {}).get("states") or ())
    shown = [
        {
            "id": entry["id"],
            "title": entry["summary"],
            "state": entry["status"].removeprefix("STATUS_"),
        }
        for entry in context.findings(scopeMrn)
    ]
    shown = [entry for entry in shown if not states or entry["state"] in states]
    return {"__typename": "FindingsConnection"} | views.page(shown, first, after)


QUERIES: dict[str, Callable[..., object]] = {
    "viewer": viewer,
    "space": space,
    "organization": organization,
    "spaceIDSuggestion": space_id_suggestion,
    "serviceAccount": service_account,
    "getRoles": get_roles,
    "testIamActions": test_iam_actions,
    "getWIFAuthBinding": get_wif_auth_binding,
    "clientIntegration": client_integration,
    "listClientIntegrations": list_client_integrations,
    "integrationsSummary": integrations_summary,
    "triggerAction": trigger_action,
    "pingIntegration": ping_integration,
    "content": content,
    "activePolicies": active_policies,
    "assets": assets,
    "findings": findings,
}
