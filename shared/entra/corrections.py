"""Single corrections of what an audit found, most of them removals.

Requests that need not wait for each other travel in one batch, and each has its own answer: one
that is refused does not keep the others from being tried. What is gone already counts as removed,
what is there already as made. Whether it really is so is for the next reading to say.

An application is corrected by PATCH, in which collections replace each other as a whole, so it
takes an application that was read a moment ago. Key credentials that stay are sent back as they
were read (`shared.entra.key_credentials`).

Left out: deciding what is corrected, and whether the object is ours (`shared.audit.plan`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from shared.entra.app_role_assignments import Grant
from shared.entra.directory_roles import RoleAssignment
from shared.entra.federated_credentials import FederatedCredential
from shared.entra.graph import BatchRequest, GraphClient, segment
from shared.entra.inventory import (
    PLATFORMS,
    DelegatedGrant,
    Owner,
    PasswordCredential,
)
from shared.entra.key_credentials import KeyCredential, kept, new_entry
from shared.entra.reactions import AlreadyExists, Gone
from shared.errors import NotYet, OnboardingError, OutcomeUnknown, Refused

SINGLE_TENANT = "AzureADMyOrg"
"""The audience of an application that only its own tenant can use."""

Access = list[dict[str, Any]]
"""``requiredResourceAccess`` as Graph's JSON has it."""


# --- requests ------------------------------------------------------------------------------------


def grant_request(number: int, principal_id: str, resource_id: str, role_id: str) -> BatchRequest:
    """Grant an app role."""
    return BatchRequest(
        str(number),
        f"servicePrincipals/{segment(resource_id)}/appRoleAssignedTo",
        "POST",
        {"principalId": principal_id, "resourceId": resource_id, "appRoleId": role_id},
    )


def revoke_request(number: int, grant: Grant) -> BatchRequest:
    """Take a granted app role away."""
    resource = segment(grant.resource_id)
    path = f"servicePrincipals/{resource}/appRoleAssignedTo/{segment(grant.id)}"
    return BatchRequest(str(number), path, "DELETE")


def unassign_request(number: int, assignment: RoleAssignment) -> BatchRequest:
    """Take a directory role away."""
    path = f"roleManagement/directory/roleAssignments/{segment(assignment.id)}"
    return BatchRequest(str(number), path, "DELETE")


def undelegate_request(number: int, grant: DelegatedGrant) -> BatchRequest:
    """Take a delegated grant away."""
    return BatchRequest(str(number), f"oauth2PermissionGrants/{segment(grant.id)}", "DELETE")


def disown_request(number: int, object_id: str, owner: Owner) -> BatchRequest:
    """Take an owner off the application or service principal ``object_id``."""
    kind = "applications" if owner.of == "application" else "servicePrincipals"
    path = f"{kind}/{segment(object_id)}/owners/{segment(owner.id)}/$ref"
    return BatchRequest(str(number), path, "DELETE")


def distrust_request(
    number: int, application_id: str, credential: FederatedCredential
) -> BatchRequest:
    """Remove a federated credential."""
    application = segment(application_id)
    path = f"applications/{application}/federatedIdentityCredentials/{segment(credential.id)}"
    return BatchRequest(str(number), path, "DELETE")


def forget_request(
    number: int, application_id: str, credential: PasswordCredential
) -> BatchRequest:
    """Remove a client secret."""
    path = f"applications/{segment(application_id)}/removePassword"
    return BatchRequest(str(number), path, "POST", {"keyId": credential.key_id})


async def send(
    graph: GraphClient, requests: Sequence[BatchRequest], *, what: str
) -> list[OnboardingError | None]:
    """Send corrections; for each, None or why it was not made. None of them does harm twice."""
    try:
        answers = await graph.batch(requests, what=what, repeatable=True)
    except (NotYet, OutcomeUnknown, Refused) as error:
        return [error] * len(requests)
    outcomes: list[OnboardingError | None] = []
    for request, answer in zip(requests, answers, strict=True):
        removal = request.method == "DELETE"
        try:
            # A 404 means "done" to a removal, and "not replicated" to what is made.
            answer.result(what, young=not removal)
        except AlreadyExists:
            outcomes.append(None)
        except Gone as error:
            outcomes.append(None if removal else error)
        except (NotYet, Refused) as error:
            outcomes.append(error)
        else:
            outcomes.append(None)
    return outcomes


# --- the application -----------------------------------------------------------------------------


async def patch_application(
    graph: GraphClient, object_id: str, body: Mapping[str, Any]
) -> OnboardingError | None:
    """Change properties of an application; None, or why it was not done."""
    try:
        await graph.patch(
            f"applications/{segment(object_id)}", body, what=f"application {object_id}"
        )
    except (NotYet, OutcomeUnknown, Refused) as error:
        return error
    return None


def access_with(
    present: Access,
    *,
    added: Iterable[tuple[str, str]],
    removed: Collection[tuple[str, str, str]],
) -> Access:
    """The declared permissions, with application roles ``added`` as (resource app id, role id) and
    entries ``removed`` as (resource app id, id, type). What is neither stays as it was read."""
    entries: dict[str, list[dict[str, Any]]] = {}
    for entry in present:
        app_id = str(entry["resourceAppId"])
        staying = [
            each
            for each in entry.get("resourceAccess") or ()
            if (app_id.lower(), str(each["id"]).lower(), str(each["type"])) not in removed
        ]
        entries.setdefault(app_id, []).extend(staying)
    by_lower = {app_id.lower(): app_id for app_id in entries}
    for app_id, role_id in added:
        known = by_lower.setdefault(app_id, app_id)
        roles = entries.setdefault(known, [])
        if not any(str(e["id"]).lower() == role_id and e["type"] == "Role" for e in roles):
            roles.append({"id": role_id, "type": "Role"})
    return [
        {"resourceAppId": app_id, "resourceAccess": access}
        for app_id, access in entries.items()
        if access
    ]


def without_redirects(platforms: Collection[str]) -> dict[str, Any]:
    """A body that takes all redirect URIs off these platforms."""
    return {platform: {"redirectUris": []} for platform in PLATFORMS if platform in platforms}


def keys_with(
    present: Sequence[KeyCredential], *, removed: Collection[str], added: bytes | None, name: str
) -> list[KeyCredential]:
    """The key credentials without the key ids ``removed`` and with the certificate ``added``."""
    entries = [kept(entry) for entry in present if str(entry.get("keyId")) not in removed]
    return entries if added is None else [*entries, new_entry(added, name)]
