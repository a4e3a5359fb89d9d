"""Properties of applications and service principals: types, defaults, and rules on values.

A body with a property that the type does not have, or with a value of the wrong JSON type, is
refused whole; nothing of it is applied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.simulators.graph.errors import (
    bad_request,
    invalid_property,
    invalid_value,
    schema_mismatch,
)
from local.simulators.world import is_guid

MAX_ITEMS = 1000
"""Items over all collections of one object, about."""

MAX_NAME = 256
MAX_RESOURCES = 50
MAX_PERMISSIONS = 400

AUDIENCES = frozenset(
    {
        "AzureADMyOrg",
        "AzureADMultipleOrgs",
        "AzureADandPersonalMicrosoftAccount",
        "PersonalMicrosoftAccount",
    }
)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _entries(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _complex(value: object) -> bool:
    return isinstance(value, dict)


@dataclass(frozen=True, slots=True)
class Property:
    """One property: check of its JSON type, default, whether it may be null or be set at all."""

    fits: Callable[[object], bool]
    default: Any = None
    nullable: bool = True
    writable: bool = True


_API: dict[str, Any] = {
    "acceptMappedClaims": None,
    "knownClientApplications": [],
    "requestedAccessTokenVersion": None,
    "oauth2PermissionScopes": [],
    "preAuthorizedApplications": [],
}
_WEB: dict[str, Any] = {
    "homePageUrl": None,
    "logoutUrl": None,
    "redirectUris": [],
    "implicitGrantSettings": {
        "enableAccessTokenIssuance": False,
        "enableIdTokenIssuance": False,
    },
    "redirectUriSettings": [],
}
_INFO = {
    "logoUrl": None,
    "marketingUrl": None,
    "privacyStatementUrl": None,
    "supportUrl": None,
    "termsOfServiceUrl": None,
}
_VERIFIED = {"displayName": None, "verifiedPublisherId": None, "addedDateTime": None}

APPLICATION: Mapping[str, Property] = {
    "id": Property(_text, writable=False),
    "deletedDateTime": Property(_text, writable=False),
    "appId": Property(_text, writable=False),
    "applicationTemplateId": Property(_text, writable=False),
    "disabledByMicrosoftStatus": Property(_text, writable=False),
    "createdDateTime": Property(_text, writable=False),
    "displayName": Property(_text, nullable=False),
    "description": Property(_text),
    "groupMembershipClaims": Property(_text),
    "identifierUris": Property(_texts, [], nullable=False),
    "isDeviceOnlyAuthSupported": Property(_flag),
    "isFallbackPublicClient": Property(_flag),
    "nativeAuthenticationApisEnabled": Property(_text),
    "notes": Property(_text),
    "optionalClaims": Property(_complex),
    "publisherDomain": Property(_text, writable=False),
    "serviceManagementReference": Property(_text),
    "signInAudience": Property(_text, nullable=False),
    "tags": Property(_texts, [], nullable=False),
    "tokenEncryptionKeyId": Property(_text),
    "uniqueName": Property(_text),
    "samlMetadataUrl": Property(_text),
    "defaultRedirectUri": Property(_text),
    "certification": Property(_complex, writable=False),
    "requestSignatureVerification": Property(_complex),
    "servicePrincipalLockConfiguration": Property(_complex),
    "addIns": Property(_entries, [], nullable=False),
    "api": Property(_complex, _API),
    "appRoles": Property(_entries, [], nullable=False),
    "info": Property(_complex, _INFO),
    "keyCredentials": Property(_entries, [], nullable=False),
    "parentalControlSettings": Property(
        _complex, {"countriesBlockedForMinors": [], "legalAgeGroupRule": "Allow"}
    ),
    "passwordCredentials": Property(_entries, [], nullable=False),
    "publicClient": Property(_complex, {"redirectUris": []}),
    "requiredResourceAccess": Property(_entries, [], nullable=False),
    "verifiedPublisher": Property(_complex, _VERIFIED, writable=False),
    "web": Property(_complex, _WEB),
    "spa": Property(_complex, {"redirectUris": []}),
}

SERVICE_PRINCIPAL: Mapping[str, Property] = {
    "id": Property(_text, writable=False),
    "deletedDateTime": Property(_text, writable=False),
    "accountEnabled": Property(_flag, True),
    "alternativeNames": Property(_texts, [], nullable=False),
    "appDisplayName": Property(_text, writable=False),
    "appDescription": Property(_text, writable=False),
    "appId": Property(_text, writable=False),
    "applicationTemplateId": Property(_text, writable=False),
    "appOwnerOrganizationId": Property(_text, writable=False),
    "appRoleAssignmentRequired": Property(_flag, False),
    "createdDateTime": Property(_text, writable=False),
    "description": Property(_text),
    "disabledByMicrosoftStatus": Property(_text, writable=False),
    "displayName": Property(_text),
    "homepage": Property(_text),
    "loginUrl": Property(_text),
    "logoutUrl": Property(_text),
    "notes": Property(_text),
    "notificationEmailAddresses": Property(_texts, [], nullable=False),
    "preferredSingleSignOnMode": Property(_text),
    "preferredTokenSigningKeyThumbprint": Property(_text),
    "replyUrls": Property(_texts, [], nullable=False),
    "servicePrincipalNames": Property(_texts, [], nullable=False),
    "servicePrincipalType": Property(_text, writable=False),
    "signInAudience": Property(_text, writable=False),
    "tags": Property(_texts, [], nullable=False),
    "tokenEncryptionKeyId": Property(_text),
    "samlSingleSignOnSettings": Property(_complex),
    "addIns": Property(_entries, [], nullable=False),
    "appRoles": Property(_entries, [], writable=False),
    "info": Property(_complex, _INFO, writable=False),
    "keyCredentials": Property(_entries, [], writable=False),
    "oauth2PermissionScopes": Property(_entries, [], writable=False),
    "passwordCredentials": Property(_entries, [], writable=False),
    "resourceSpecificApplicationPermissions": Property(_entries, [], writable=False),
    "verifiedPublisher": Property(_complex, _VERIFIED, writable=False),
}

ON_SELECT = "isDisabled"
"""Returned only where it is selected; set through the world, not through this API."""


def check_body(body: Mapping[str, Any], properties: Mapping[str, Property], kind: str) -> None:
    """400 for unknown or read-only properties and for values of the wrong type."""
    for name, value in body.items():
        known = properties.get(name)
        if known is None:
            raise invalid_property(name)
        if not known.writable:
            raise bad_request(f"Property '{name}' is read-only and cannot be set.")
        if value is None:
            if not known.nullable:
                raise invalid_value(name, kind)
        elif not known.fits(value):
            raise schema_mismatch(name)


def check_display_name(value: str, kind: str) -> None:
    """Not empty, not too long."""
    if not value.strip() or len(value) > MAX_NAME:
        raise invalid_value("displayName", kind)


def check_tags(tags: list[str], kind: str) -> None:
    """1 to 256 characters, no whitespace, no duplicates."""
    if len(set(tags)) != len(tags) or any(
        not 1 <= len(tag) <= 256 or any(char.isspace() for char in tag) for tag in tags
    ):
        raise invalid_value("tags", kind)


def check_required_access(entries: list[dict[str, Any]]) -> None:
    """`requiredResourceAccess`: shape, ids, no duplicates, limits."""
    seen: set[str] = set()
    total = 0
    for entry in entries:
        _fields(entry, {"resourceAppId", "resourceAccess"}, "requiredResourceAccess")
        resource, accesses = entry["resourceAppId"], entry["resourceAccess"]
        if not isinstance(resource, str) or not is_guid(resource):
            raise schema_mismatch("requiredResourceAccess")
        if not _entries(accesses):
            raise schema_mismatch("requiredResourceAccess")
        if resource.lower() in seen:
            raise invalid_value("requiredResourceAccess", "Application")
        seen.add(resource.lower())
        ids: set[tuple[str, str]] = set()
        for access in accesses:
            _fields(access, {"id", "type"}, "requiredResourceAccess")
            if not isinstance(access["id"], str) or not is_guid(access["id"]):
                raise schema_mismatch("requiredResourceAccess")
            if access["type"] not in ("Role", "Scope"):
                raise invalid_value("requiredResourceAccess", "Application")
            key = (access["id"].lower(), access["type"])
            if key in ids:
                raise invalid_value("requiredResourceAccess", "Application")
            ids.add(key)
        total += len(ids)
    if len(seen) > MAX_RESOURCES or total > MAX_PERMISSIONS:
        raise bad_request("Number of resources or permissions exceeds the limit.")


def _fields(entry: Mapping[str, Any], wanted: set[str], name: str) -> None:
    """Exactly these fields, annotations aside."""
    given = {field for field in entry if not field.startswith("@odata.")}
    if given - wanted:
        raise invalid_property(sorted(given - wanted)[0])
    if wanted - given:
        raise schema_mismatch(name)
