"""After `azd provision`: give our automation its rights in Microsoft Graph, in our own tenant.

The list is ``infra/identity/graph-rights.json``: `onboarding`, or `audit` (nothing can be changed)
when AUDIT_ONLY is true. Runs any number of times: what is granted already stays, what is missing is
granted, and every right is printed with what became of it, as read back at the end. A right that is
held beside the list is printed too, and left for a person to remove.

Not a Bicep resource: Graph refuses grants to a principal that is minutes old ("not a valid
reference update"), and a deployment cannot be told to try only that again.

Whoever runs it must be allowed to grant: Privileged Role Administrator or Global Administrator.
GRANT_GRAPH_RIGHTS=yes does not ask; no only prints what is missing.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from azure_cli import CallFailed, agreed, az, chosen, needed

MICROSOFT_GRAPH = "00000003-0000-0000-c000-000000000000"
RIGHTS = Path(__file__).parents[1] / "identity" / "graph-rights.json"


def main() -> int:
    """The exit code: 1 when a right that should be there is not."""
    variant = "audit" if chosen("AUDIT_ONLY") else "onboarding"
    wanted = {each["name"]: each["id"] for each in json.loads(RIGHTS.read_text("utf-8"))[variant]}
    client = needed("AUTOMATION_CLIENT_ID")
    graph = az("cloud", "show")["endpoints"]["microsoftGraphResourceId"].rstrip("/") + "/v1.0"
    principal = _read(f"{graph}/servicePrincipals(appId='{client}')?$select=id,displayName")
    resource = _read(f"{graph}/servicePrincipals(appId='{MICROSOFT_GRAPH}')?$select=id,appRoles")
    names = {role["id"]: role["value"] for role in resource["appRoles"]}

    before = _held(graph, principal["id"], resource["id"])
    missing = {name: id_ for name, id_ in wanted.items() if id_ not in before}
    print(f"Rights in Microsoft Graph of {principal['displayName']} ({client}), for {variant}:")
    refusals: dict[str, str] = {}
    if missing and _allowed(missing):
        for name, id_ in missing.items():
            try:
                _grant(graph, principal["id"], resource["id"], id_)
            except CallFailed as error:
                refusals[name] = str(error).splitlines()[-1]
    after = _held(graph, principal["id"], resource["id"])

    for name, id_ in wanted.items():
        if id_ in before:
            told = "was granted already"
        elif id_ in after:
            told = "granted"
        else:
            told = f"MISSING. {refusals.get(name, 'Not granted, as you chose.')}"
        print(f"  {name:<36} {told}")
    for id_ in sorted(after - set(wanted.values())):
        print(f"  {names.get(id_, id_):<36} not on the list; remove it if nothing else needs it")
    lacking = [name for name, id_ in wanted.items() if id_ not in after]
    if lacking and refusals:
        print("Right after a first deployment, try again in a minute: azd hooks run postprovision")
    return 1 if refusals and lacking else 0


def _allowed(missing: dict[str, str]) -> bool:
    answer = os.environ.get("GRANT_GRAPH_RIGHTS", "").strip().lower()
    if answer:
        return answer in ("yes", "true", "1")
    return agreed(f"Grant {', '.join(missing)}?")


def _read(url: str) -> Any:
    return az("rest", "--method", "get", "--url", url)


def _held(graph: str, principal: str, resource: str) -> set[str]:
    """Ids of Graph's app roles that the principal holds; all pages."""
    url: str | None = f"{graph}/servicePrincipals/{principal}/appRoleAssignments?$top=999"
    held: set[str] = set()
    while url:
        page = _read(url)
        held |= {each["appRoleId"] for each in page["value"] if each["resourceId"] == resource}
        url = page.get("@odata.nextLink")
    return held


def _grant(graph: str, principal: str, resource: str, role: str) -> None:
    body = {"principalId": principal, "resourceId": resource, "appRoleId": role}
    url = f"{graph}/servicePrincipals/{resource}/appRoleAssignedTo"
    header = "Content-Type=application/json"
    az(
        *("rest", "--method", "post", "--url", url),
        *("--headers", header, "--body", json.dumps(body)),
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CallFailed as error:
        sys.exit(f"The rights in Microsoft Graph could not be looked at: {error}")
