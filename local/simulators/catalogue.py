"""First-party resources, their app roles and the built-in directory roles.

One table, shared by all tenants: an app role has the same id everywhere, only the object id of the
resource's service principal differs. It holds what is met in onboarding, not all of Microsoft's
permissions. Ids are the published ones (Microsoft Graph permissions reference).
"""

from __future__ import annotations

from dataclasses import dataclass, field

GRAPH = "00000003-0000-0000-c000-000000000000"
EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
SHAREPOINT = "00000003-0000-0ff1-ce00-000000000000"
EXCHANGE_PROTECTION = "00000007-0000-0ff1-ce00-000000000000"
VAULT = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"
STORAGE = "e406a681-f3d4-42a8-90b6-c2b029497af1"
EVENT_GRID = "4962773b-9cdb-44cf-a8bf-237846a00ab7"
TOKEN_EXCHANGE = "fb60f99c-7a34-4190-8149-302f77469936"
RESOURCE_MANAGER = "797f4846-ba00-4fd7-ba43-dac1f8f63013"

MICROSOFT_TENANT = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
"""Owner organization of first-party applications."""

TOKEN_EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"
"""Audience of tokens that are used as federated client assertions."""

SERVICES = frozenset({"exchange", "sharepoint", "exchange-protection"})
"""What a tenant can be licensed for beside Microsoft Graph, which is always there."""


@dataclass(frozen=True, slots=True)
class AppRole:
    """An application permission of a resource."""

    id: str
    value: str
    enabled: bool = True
    member_types: tuple[str, ...] = ("Application",)

    def as_json(self) -> dict[str, object]:
        """The entry of `appRoles`."""
        return {
            "id": self.id,
            "value": self.value,
            "displayName": self.value,
            "description": f"Allows the app {self.value}.",
            "isEnabled": self.enabled,
            "allowedMemberTypes": list(self.member_types),
            "origin": "Application",
        }


@dataclass(frozen=True, slots=True)
class Resource:
    """A first-party resource: what every tenant's service principal of it is made from."""

    app_id: str
    name: str
    roles: tuple[AppRole, ...] = ()
    scopes: tuple[tuple[str, str], ...] = ()
    audiences: tuple[str, ...] = ()
    by_id: dict[str, AppRole] = field(init=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.by_id.update({role.id: role for role in self.roles})


GRAPH_ROLES: dict[str, str] = {
    "AccessReview.Read.All": "d07a8cc0-3d51-4b77-b3b0-32704d1f69fa",
    "AppRoleAssignment.ReadWrite.All": "06b708a9-e830-4db3-a914-8e69da51d44f",
    "Application.Read.All": "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
    "Application.ReadWrite.All": "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
    "Application.ReadWrite.OwnedBy": "18a4783c-866b-4cc7-a460-3d5e5662c884",
    "AuditLog.Read.All": "b0afded3-3588-46d8-8b3d-9842eff778da",
    "CrossTenantInformation.ReadBasic.All": "cac88765-0581-4025-9725-5ebc13f729ee",
    "DelegatedAdminRelationship.Read.All": "f6e9e124-4586-492f-adc0-c6f96e4823fd",
    "Device.Read.All": "7438b122-aefc-4978-80ed-43db9fcc7715",
    "DeviceManagementApps.Read.All": "7a6ee1e7-141e-4cec-ae74-d9db155731ff",
    "DeviceManagementConfiguration.Read.All": "dc377aa6-52d8-4e23-b271-2a7ae04cedf3",
    "DeviceManagementManagedDevices.Read.All": "2f51be20-0bb4-4fed-bf7b-db946066c75e",
    "DeviceManagementRBAC.Read.All": "58ca0d9a-1575-47e1-a3cb-007ef2e4583b",
    "DeviceManagementServiceConfig.Read.All": "06a5fe6d-c49d-46a7-b082-56b1b14103c7",
    "Directory.Read.All": "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
    "Directory.ReadWrite.All": "19dbc75e-c2e2-444c-a770-ec69d8559fc7",
    "Domain.Read.All": "dbb9058a-0e50-45d7-ae91-66909b5d4664",
    "IdentityProvider.Read.All": "e321f0bb-e7f7-481e-bb28-e3b0b32d4bd0",
    "IdentityRiskEvent.Read.All": "6e472fd1-ad78-48da-a0f0-97ab2c6b769e",
    "IdentityRiskyUser.Read.All": "dc5007c0-2d7d-4c42-879c-2dab87571379",
    "InformationProtectionPolicy.Read.All": "19da66cb-0fb0-4390-b071-ebc76a349482",
    "OrgSettings-AppsAndServices.Read.All": "56c84fa9-ea1f-4a15-90f2-90ef41ece2c9",
    "OrgSettings-Forms.Read.All": "434d7c66-07c6-4b1f-ab21-417cf2cdaaca",
    "Organization.Read.All": "498476ce-e0fe-48b0-b801-37ba7e2685c6",
    "Policy.Read.All": "246dd0d5-5bd0-4def-940b-0421030a5b68",
    "Policy.Read.ConditionalAccess": "37730810-e9ba-4e46-b07e-8ca78d182097",
    "Policy.Read.PermissionGrant": "9e640839-a198-48fb-8b9a-013fd6f6cbcd",
    "RoleEligibilitySchedule.Read.Directory": "ff278e11-4a33-4d0c-83d2-d01dc58929a5",
    "RoleManagement.Read.All": "c7fbd983-d9aa-4fa7-84b8-17382c103bc4",
    "RoleManagement.Read.Directory": "483bed4a-2ad3-4361-a73b-c83ccdbdc53c",
    "RoleManagement.ReadWrite.Directory": "9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8",
    "RoleManagementPolicy.Read.Directory": "fdc4c997-9942-4479-bfcb-75a36d1138df",
    "SecurityActions.Read.All": "5e0edab9-c148-49d0-b423-ac253e121825",
    "SecurityAlert.Read.All": "472e4a4d-bb4a-4026-98d1-0b0d74cb74a5",
    "SecurityEvents.Read.All": "bf394140-e372-4bf9-a898-299cfc7564e5",
    "SecurityIncident.Read.All": "45cc0394-e837-488b-a098-1918f48d186c",
    "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
    "UserAuthenticationMethod.Read.All": "38d9df27-64da-44fd-b7c5-a6fbac20248f",
}

ALL_AUTOMATION_RIGHTS = frozenset(
    {
        "Application.ReadWrite.OwnedBy",
        "AppRoleAssignment.ReadWrite.All",
        "Application.Read.All",
        "RoleManagement.ReadWrite.Directory",
        "Organization.Read.All",
        "Policy.Read.All",
    }
)
"""The least rights that onboarding needs in a tenant."""

RESOURCES: dict[str, Resource] = {
    resource.app_id: resource
    for resource in (
        Resource(
            GRAPH,
            "Microsoft Graph",
            tuple(AppRole(id_, value) for value, id_ in GRAPH_ROLES.items()),
            scopes=(("e1fe6dd8-ba31-4d61-89e7-88639da4683d", "User.Read"),),
            audiences=("https://graph.microsoft.com",),
        ),
        Resource(
            EXCHANGE,
            "Office 365 Exchange Online",
            (AppRole("dc50a0fb-09a3-484d-be87-e023b12c6440", "Exchange.ManageAsApp"),),
            audiences=("https://outlook.office365.com",),
        ),
        Resource(
            SHAREPOINT,
            "Office 365 SharePoint Online",
            (AppRole("678536fe-1083-478a-9c59-b99265e6b0d3", "Sites.FullControl.All"),),
        ),
        Resource(
            EXCHANGE_PROTECTION,
            "Microsoft Exchange Online Protection",
            (AppRole("455e5cd2-84e8-4751-8344-5672145dfa17", "Exchange.ManageAsApp"),),
            audiences=("https://ps.compliance.protection.outlook.com",),
        ),
        Resource(VAULT, "Azure Key Vault", audiences=("https://vault.azure.net",)),
        Resource(STORAGE, "Azure Storage", audiences=("https://storage.azure.com",)),
        Resource(EVENT_GRID, "Microsoft.EventGrid", audiences=("https://eventgrid.azure.net",)),
        Resource(
            RESOURCE_MANAGER,
            "Windows Azure Service Management API",
            audiences=("https://management.azure.com",),
        ),
        Resource(TOKEN_EXCHANGE, "AAD Token Exchange", audiences=(TOKEN_EXCHANGE_AUDIENCE,)),
    )
}

SERVICE_APP_IDS: dict[str, str] = {
    "exchange": EXCHANGE,
    "sharepoint": SHAREPOINT,
    "exchange-protection": EXCHANGE_PROTECTION,
}

GLOBAL_READER = "f2ef992c-3afb-46b9-b7cf-a126ee74c451"

DIRECTORY_ROLES: dict[str, str] = {
    GLOBAL_READER: "Global Reader",
    "29232cdf-9323-42fd-ade2-1d097af3e4de": "Exchange Administrator",
    "62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
    "158c047a-c907-4556-b7ef-446551a6b5f7": "Cloud Application Administrator",
    "e8611ab8-c189-46e8-94e1-60213ab1f814": "Privileged Role Administrator",
    "5d6b6bb7-de71-4623-b4af-96380a352509": "Security Reader",
}
"""Built-in directory roles: template id to name."""
