"""Where the services of each Microsoft cloud are.

Hosts differ between clouds and tokens are not exchangeable, so one `Cloud` is chosen at start and
passed to every client. A cloud that is not in the table (an air-gapped one, or a test stand) comes
from a JSON file with the same fields, named by the setting ``CLOUD_ENDPOINTS_FILE``; for such a
cloud the SDKs are told not to look the authority up at Microsoft (`Cloud.published` is false).

Sources: Microsoft Graph "national cloud deployments"; Exchange Online PowerShell connection
endpoints; SharePoint admin hosts; Entra "managed identity as federated credential" (audiences).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

_VAULT_NAME = "[0-9A-Za-z-]{3,24}"


class Cloud(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Endpoints of one cloud; every value is an https URL without a trailing slash.

    ``sharepoint`` holds ``{name}``, the first label of the tenant's initial domain, and is the
    SharePoint admin site, which is also the audience of its tokens, as ``resource_manager`` is of
    Azure Resource Manager's. ``vault`` holds ``{name}``, the name of a Key Vault;
    ``vault_resource`` is the audience of Key Vault tokens, ``federation_audience`` that of a
    managed identity's assertion.
    """

    name: str
    login: str
    graph: str
    portal: str
    exchange: str
    sharepoint: str
    compliance: str
    resource_manager: str = "https://management.azure.com"
    vault: str = "https://{name}.vault.azure.net"
    vault_resource: str = "https://vault.azure.net"
    storage_resource: str = "https://storage.azure.com"
    events_resource: str = "https://eventgrid.azure.net"
    federation_audience: str = "api://AzureADTokenExchange"
    published: bool = True

    def sharepoint_of(self, initial_domain: str) -> str:
        """The SharePoint admin site of a tenant, as the scanner itself derives it."""
        return self.sharepoint.format(name=initial_domain.split(".", 1)[0])

    def vault_url(self, vault: str) -> str | None:
        """The address of a Key Vault, from its name or its address; None when it is neither, or of
        another cloud. Our token goes to no other host."""
        text = vault.strip().lower().rstrip("/")
        url = self.vault.format(name=text) if re.fullmatch(_VAULT_NAME, text) else text
        before, after = (re.escape(part) for part in self.vault.split("{name}"))
        if re.fullmatch(f"{before}{_VAULT_NAME}{after}", url) is None:
            return None
        try:
            # Where there is no cloud a name is a port.
            port = urlsplit(url).port
        except ValueError:
            return None
        return None if port == 0 else url


CLOUDS: dict[str, Cloud] = {
    cloud.name: cloud
    for cloud in (
        Cloud(
            name="global",
            login="https://login.microsoftonline.com",
            graph="https://graph.microsoft.com",
            portal="https://portal.azure.com",
            exchange="https://outlook.office365.com",
            sharepoint="https://{name}-admin.sharepoint.com",
            compliance="https://ps.compliance.protection.outlook.com",
        ),
        Cloud(
            name="usgov",
            login="https://login.microsoftonline.us",
            graph="https://graph.microsoft.us",
            portal="https://portal.azure.us",
            exchange="https://outlook.office365.us",
            sharepoint="https://{name}-admin.sharepoint.us",
            compliance="https://ps.compliance.protection.office365.us",
            resource_manager="https://management.usgovcloudapi.net",
            vault="https://{name}.vault.usgovcloudapi.net",
            vault_resource="https://vault.usgovcloudapi.net",
            federation_audience="api://AzureADTokenExchangeUSGov",
        ),
        Cloud(
            name="usgov-dod",
            login="https://login.microsoftonline.us",
            graph="https://dod-graph.microsoft.us",
            portal="https://portal.azure.us",
            exchange="https://webmail.apps.mil",
            sharepoint="https://{name}-admin.sharepoint-mil.us",
            compliance="https://l5.ps.compliance.protection.office365.us",
            resource_manager="https://management.usgovcloudapi.net",
            vault="https://{name}.vault.usgovcloudapi.net",
            vault_resource="https://vault.usgovcloudapi.net",
            federation_audience="api://AzureADTokenExchangeUSGov",
        ),
        Cloud(
            name="china",
            login="https://login.chinacloudapi.cn",
            graph="https://microsoftgraph.chinacloudapi.cn",
            portal="https://portal.azure.cn",
            exchange="https://partner.outlook.cn",
            sharepoint="https://{name}-admin.sharepoint.cn",
            compliance="https://ps.compliance.protection.partner.outlook.cn",
            resource_manager="https://management.chinacloudapi.cn",
            vault="https://{name}.vault.azure.cn",
            vault_resource="https://vault.azure.cn",
            federation_audience="api://AzureADTokenExchangeChina",
        ),
    )
}
