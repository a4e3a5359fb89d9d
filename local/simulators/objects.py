"""The objects of a simulated directory.

Writable properties that no rule looks at live in `values` as the JSON that was sent; what rules
depend on has a field of its own. Times at which an object becomes readable, referable or effective
are fixed when it is made, from the tenant's lag at that moment.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from local.simulators.catalogue import AppRole

ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)
"""For seeded objects: readable and effective from the start."""


def instant(moment: datetime) -> str:
    """A time as the directory writes it: whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class Lag:
    """Replication lag of a tenant, in seconds, for what is made from now on.

    objects: until a new object can be read (404 before).
    references: until others can refer to it (400 before), counted from its creation.
    grants: until a new grant is in the `roles` of tokens.
    roles: until a directory role has an effect.
    credentials: until a new key or federated credential is accepted (AADSTS700027, 70021 before).
    first_token: until a new service principal is given a token (AADSTS700016 before).
    """

    objects: float = 0.0
    references: float = 0.0
    grants: float = 0.0
    roles: float = 0.0
    credentials: float = 0.0
    first_token: float = 0.0


@dataclass(eq=False)
class KeyCredential:
    """A certificate on an application. Dates are kept as the strings that are shown."""

    key_id: str
    der: bytes
    display_name: str | None
    custom_key_identifier: str
    start: str
    end: str
    accepted_at: datetime = ALWAYS

    @cached_property
    def certificate(self) -> x509.Certificate:
        """The parsed certificate."""
        return x509.load_der_x509_certificate(self.der)

    @cached_property
    def sha1(self) -> bytes:
        """The thumbprint that `x5t` carries."""
        return hashlib.sha1(self.der, usedforsecurity=False).digest()

    @cached_property
    def sha256(self) -> bytes:
        """The thumbprint that `x5t#S256` carries."""
        return hashlib.sha256(self.der).digest()

    @classmethod
    def of(
        cls,
        certificate: x509.Certificate,
        key_id: str,
        *,
        display_name: str | None = None,
        custom_key_identifier: str | None = None,
        start: str | None = None,
        end: str | None = None,
        accepted_at: datetime = ALWAYS,
    ) -> KeyCredential:
        """A credential for a certificate; what is left out is read from the certificate."""
        der = certificate.public_bytes(Encoding.DER)
        thumbprint = hashlib.sha1(der, usedforsecurity=False).digest()
        return cls(
            key_id=key_id,
            der=der,
            display_name=(display_name or str(certificate.subject.rfc4514_string()))[:90],
            custom_key_identifier=custom_key_identifier or b64encode(thumbprint).decode(),
            start=start or instant(certificate.not_valid_before_utc),
            end=end or instant(certificate.not_valid_after_utc),
            accepted_at=accepted_at,
        )

    def as_json(self, *, with_key: bool) -> dict[str, Any]:
        """The entry of `keyCredentials`; the key only where it was selected on one object."""
        return {
            "customKeyIdentifier": self.custom_key_identifier,
            "displayName": self.display_name,
            "endDateTime": self.end,
            "key": b64encode(self.der).decode() if with_key else None,
            "keyId": self.key_id,
            "startDateTime": self.start,
            "type": "AsymmetricX509Cert",
            "usage": "Verify",
        }


@dataclass(slots=True)
class PasswordCredential:
    """A client secret; `secret` is compared at sign-in and never shown."""

    key_id: str
    secret: str = field(repr=False)
    display_name: str | None
    start: str
    end: str
    expires: datetime

    def as_json(self) -> dict[str, Any]:
        """The entry of `passwordCredentials`."""
        return {
            "customKeyIdentifier": None,
            "displayName": self.display_name,
            "endDateTime": self.end,
            "hint": self.secret[:3],
            "keyId": self.key_id,
            "secretText": None,
            "startDateTime": self.start,
        }


@dataclass(slots=True)
class FederatedCredential:
    """A trust in tokens of another issuer; matched exactly, letter case included."""

    id: str
    name: str
    issuer: str
    subject: str
    audiences: list[str]
    description: str | None = None
    accepted_at: datetime = ALWAYS

    def as_json(self) -> dict[str, Any]:
        """The `federatedIdentityCredential` entity."""
        return {
            "id": self.id,
            "name": self.name,
            "issuer": self.issuer,
            "subject": self.subject,
            "description": self.description,
            "audiences": list(self.audiences),
        }


@dataclass(eq=False, slots=True)
class Application:
    """An application object, in its home tenant only."""

    id: str
    app_id: str
    display_name: str
    created: datetime
    home: str
    unique_name: str | None = None
    audience: str = "AzureADMyOrg"
    tags: list[str] = field(default_factory=list)
    required_resource_access: list[dict[str, Any]] = field(default_factory=list)
    identifier_uris: list[str] = field(default_factory=list)
    key_credentials: list[KeyCredential] = field(default_factory=list)
    password_credentials: list[PasswordCredential] = field(default_factory=list)
    federated_credentials: dict[str, FederatedCredential] = field(default_factory=dict)
    owners: list[str] = field(default_factory=list)
    is_disabled: bool | None = None
    values: dict[str, Any] = field(default_factory=dict)
    visible_at: datetime = ALWAYS
    referable_at: datetime = ALWAYS
    deleted_at: datetime | None = None

    @property
    def multi_tenant(self) -> bool:
        """Whether other tenants may use it."""
        return self.audience != "AzureADMyOrg"


@dataclass(eq=False, slots=True)
class ServicePrincipal:
    """A service principal: an application (or managed identity) as one tenant knows it."""

    id: str
    app_id: str
    display_name: str
    created: datetime
    owner_organization: str
    kind: str = "Application"
    enabled: bool = True
    tags: list[str] = field(default_factory=list)
    app_roles: tuple[AppRole, ...] = ()
    scopes: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    owners: list[str] = field(default_factory=list)
    is_disabled: bool | None = None
    values: dict[str, Any] = field(default_factory=dict)
    visible_at: datetime = ALWAYS
    referable_at: datetime = ALWAYS
    token_at: datetime = ALWAYS
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AppRoleAssignment:
    """A granted application permission."""

    id: str
    principal_id: str
    resource_id: str
    app_role_id: str
    created: datetime
    visible_at: datetime = ALWAYS
    effective_at: datetime = ALWAYS


@dataclass(frozen=True, slots=True)
class RoleAssignment:
    """A directory role given to a principal; `definition_id` is the tenant's own."""

    id: str
    principal_id: str
    definition_id: str
    directory_scope: str | None = "/"
    app_scope: str | None = None
    visible_at: datetime = ALWAYS
    effective_at: datetime = ALWAYS

    def as_json(self) -> dict[str, Any]:
        """The `unifiedRoleAssignment` entity."""
        shown: dict[str, Any] = {
            "id": self.id,
            "principalId": self.principal_id,
            "directoryScopeId": self.directory_scope,
            "roleDefinitionId": self.definition_id,
        }
        if self.app_scope is not None:
            shown["appScopeId"] = self.app_scope
        return shown


@dataclass(frozen=True, slots=True)
class ScheduleInstance:
    """A PIM schedule instance: an eligibility (not a role yet) or a timed assignment."""

    id: str
    principal_id: str
    definition_id: str
    start: str
    end: str | None
    eligible: bool

    def as_json(self) -> dict[str, Any]:
        """The `unifiedRoleEligibilityScheduleInstance` or `…AssignmentScheduleInstance`."""
        shown: dict[str, Any] = {
            "id": self.id,
            "principalId": self.principal_id,
            "roleDefinitionId": self.definition_id,
            "directoryScopeId": "/",
            "appScopeId": None,
            "startDateTime": self.start,
            "endDateTime": self.end,
            "memberType": "Direct",
        }
        if not self.eligible:
            shown["assignmentType"] = "Assigned"
        return shown


@dataclass(frozen=True, slots=True)
class DelegatedGrant:
    """An `oauth2PermissionGrant`: delegated scopes, for everyone or one user."""

    id: str
    client_id: str
    resource_id: str
    scope: str
    principal_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The `oAuth2PermissionGrant` entity."""
        return {
            "clientId": self.client_id,
            "consentType": "AllPrincipals" if self.principal_id is None else "Principal",
            "id": self.id,
            "principalId": self.principal_id,
            "resourceId": self.resource_id,
            "scope": self.scope,
        }
