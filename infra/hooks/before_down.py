"""Before `azd down`: say what stays behind, and ask.

What azd removes is the resource group. What was made in tenants is not in it: applications, grants,
role assignments, and the integrations in Mondoo go on working, with certificates that nothing will
renew any more. Offboarding removes them, and needs the app that is about to go.

CONFIRM_DOWN=<name of the environment> answers in advance, for a pipeline.
"""

from __future__ import annotations

import os
import sys

from azure_cli import needed

STAYS = """\
azd down removes the function app with its records, logs and events, and the managed identity.
It does NOT remove:
  - in each onboarded tenant: the application, its grants and its Global Reader role
  - in Azure, where subscriptions are scanned: the application's role Reader
  - in Mondoo: the integrations
  - in our own tenant: the multi-tenant application and the API application, where they were made
  - the Key Vault: it stays, deleted and restorable, for 90 days (purge protection)
Offboard every tenant first (DELETE /api/tenants/{tenant}); afterwards it is work by hand."""


def main() -> int:
    """The exit code: 1 stops azd."""
    name = needed("AZURE_ENV_NAME")
    print(STAYS)
    answer = os.environ.get("CONFIRM_DOWN", "")
    if not answer and sys.stdin.isatty():
        answer = input(f"Type {name} to go on: ")
    if answer.strip() == name:
        return 0
    print("Nothing was removed.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
