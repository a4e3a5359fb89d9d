"""``local.settings.example.json``: what `func start` on a workstation needs, every setting named.

The values are the defaults, but for what a workstation has instead of a deployment.
"""

from __future__ import annotations

import json

from shared.config import SETTINGS

PLATFORM = {
    "FUNCTIONS_WORKER_RUNTIME": "python",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
}
WORKSTATION = {
    "IDENTITY": "azure-cli",
    "KEY_VAULT_URL": "https://<your-vault>.vault.azure.net",
    "TENANT_RECORDS": "sqlite:tenants.db",
}


def as_json() -> str:
    """The file."""
    defaults = {setting.name: setting.default or "" for setting in SETTINGS}
    content = {"IsEncrypted": False, "Values": {**PLATFORM, **defaults, **WORKSTATION}}
    return json.dumps(content, indent=2) + "\n"
