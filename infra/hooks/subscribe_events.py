"""After `azd deploy`: subscribe the app's Event Grid functions to their events.

The subscriptions are Bicep (``infra/subscriptions.bicep``); they come after the code, because Event
Grid refuses one whose function does not exist. Runs any number of times.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from azure_cli import CallFailed, az, needed

TEMPLATE = Path(__file__).parents[1] / "subscriptions.bicep"


def main() -> None:
    """Ask the app for its functions, then deploy the subscriptions of those."""
    group, app = needed("AZURE_RESOURCE_GROUP"), needed("FUNCTION_APP_NAME")
    listed = az("functionapp", "function", "list", "--resource-group", group, "--name", app)
    functions = sorted(each["name"].rsplit("/", 1)[-1] for each in listed)
    az(
        *("deployment", "group", "create", "--resource-group", group),
        *("--template-file", str(TEMPLATE), "--parameters"),
        f"functionAppName={app}",
        f"topicName={needed('EVENT_TOPIC_NAME')}",
        f"vaultEventsName={needed('VAULT_EVENTS_NAME')}",
        f"storageName={needed('STORAGE_NAME')}",
        f"functions={json.dumps(functions)}",
    )
    print(f"Event subscriptions are up to date for {app} ({len(functions)} functions).")


if __name__ == "__main__":
    try:
        main()
    except CallFailed as error:
        sys.exit(f"Events are not subscribed to: {error}")
