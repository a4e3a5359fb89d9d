"""What the simulated platform holds: organizations, spaces, identities, integrations, results.

Plain state with look-ups; who may do what is in `permissions`, how it is asked for in `queries` and
`mutations`. The certificate of an integration is kept for the scanner alone and appears in no
representation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from local.simulators.clock import Clock
from local.simulators.mondoo import mrn
from local.simulators.mondoo.status import Code, StatusError

ROLES = frozenset(
    {
        "viewer",
        "editor",
        "owner",
        "agent",
        "integrations-manager",
        "policy-manager",
        "policy-editor",
        "query-pack-manager",
        "query-pack-editor",
        "sla-manager",
        "ticket-manager",
        "ticket-creator",
        "exceptions-requester",
    }
)
M365_PLATFORM = "microsoft365"
AZURE_PLATFORM = "azure"
T = TypeVar("T")


def rfc3339(moment: datetime) -> str:
    """A time as the platform writes it: microseconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(slots=True)
class Organization:
    """An organization: spaces and identities hang on it."""

    id: str
    name: str

    @property
    def mrn(self) -> str:
        """MRN of the organization."""
        return mrn.organization(self.id)


@dataclass(slots=True)
class Space:
    """A space of an organization: where integrations, assets and policies are."""

    id: str
    name: str
    organization: Organization
    description: str = ""
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def mrn(self) -> str:
        """MRN of the space."""
        return mrn.space(self.id)


@dataclass(slots=True, repr=False)
class ServiceAccount:
    """A service account. The platform keeps the public half; the private half is for seeding."""

    mrn: str
    name: str
    scope_mrn: str
    roles: set[str]
    private_key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    created: datetime
    description: str = ""
    last_used: datetime | None = None
    valid_until: datetime | None = None


@dataclass(slots=True)
class Message:
    """One message of an integration's last scan; `status` is INFO, WARNING or ERROR."""

    message: str
    status: str
    identifier: str
    timestamp: datetime
    suppressed: bool = False


@dataclass(slots=True, repr=False)
class Integration:
    """A client integration. MS365 and AZURE can be made by API here; others are seeded as
    bystanders. The lists of subscriptions are of AZURE."""

    mrn: str
    name: str
    type: str
    scope_mrn: str
    creator: str
    created: datetime
    modified: datetime
    status: str = "WAITING_FOR_SETUP"
    tenant_id: str = ""
    client_id: str = ""
    certificate: str | None = None
    use_wif: bool = False
    allowed_subscriptions: list[str] = field(default_factory=list)
    denied_subscriptions: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    paused: bool = False
    last_checkin: datetime | None = None
    last_state_info: datetime | None = None
    scan_attempted: datetime | None = None
    scan_started: datetime | None = None
    scan_finished: datetime | None = None


@dataclass(slots=True)
class Asset:
    """A discovered asset; for Microsoft 365 the tenant itself."""

    mrn: str
    name: str
    space_mrn: str
    platform: str
    platform_ids: list[str]
    integration_mrn: str
    created: datetime
    updated: datetime
    scored: datetime | None = None
    grade: str = "U"
    score: int = 0
    completion: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """A published policy (or query pack)."""

    mrn: str
    name: str
    version: str
    platforms: tuple[str, ...]
    pack: bool = False

    @property
    def uid(self) -> str:
        """The last part of the MRN."""
        return mrn.last_part(self.mrn)


@dataclass(slots=True)
class Binding:
    """Trust in an outside issuer: its subject may have a short-lived service account."""

    mrn: str
    name: str
    scope_mrn: str
    issuer: str
    subject: str
    roles: set[str]
    expiration: int
    allowed_audiences: tuple[str, ...]


class Estate:
    """Everything on the platform, by MRN."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.organizations: dict[str, Organization] = {}
        self.spaces: dict[str, Space] = {}
        self.service_accounts: dict[str, ServiceAccount] = {}
        self.integrations: dict[str, Integration] = {}
        self.assets: dict[str, Asset] = {}
        self.content: dict[str, Content] = {}
        self.bindings: dict[str, Binding] = {}
        self.assignments: dict[str, dict[str, str]] = {}

    def organization(self, organization_mrn: str) -> Organization:
        """An organization, or `NotFound`."""
        return _found(self.organizations, organization_mrn, "organization")

    def space(self, space_mrn: str) -> Space:
        """A space, or `NotFound`."""
        return _found(self.spaces, space_mrn, "space")

    def integration(self, integration_mrn: str) -> Integration:
        """An integration; `InvalidArgument` for what is no MRN of one, else `NotFound`."""
        if mrn.scope_of_integration(integration_mrn) is None:
            raise StatusError(Code.INVALID_ARGUMENT, "invalid integration mrn")
        return _found(self.integrations, integration_mrn, "integration")

    def check_scope(self, scope_mrn: str) -> None:
        """`NotFound` unless a space or an organization has this MRN."""
        if scope_mrn not in self.spaces and scope_mrn not in self.organizations:
            raise StatusError(Code.NOT_FOUND, f"scope {scope_mrn} not found")

    def integrations_of(self, scope_mrn: str) -> list[Integration]:
        """Integrations of exactly this scope, oldest first."""
        return [entry for entry in self.integrations.values() if entry.scope_mrn == scope_mrn]

    def assets_of(self, scope_mrn: str) -> list[Asset]:
        """Assets of a space, or of all spaces of an organization."""
        return [
            asset
            for asset in self.assets.values()
            if asset.space_mrn == scope_mrn
            or self.spaces[asset.space_mrn].organization.mrn == scope_mrn
        ]

    def assigned(self, space: Space) -> dict[str, tuple[str, str]]:
        """Policies assigned to a space or its organization: MRN to (action, assigned scope)."""
        found: dict[str, tuple[str, str]] = {}
        for scope_mrn in (space.organization.mrn, space.mrn):
            for policy_mrn, action in self.assignments.get(scope_mrn, {}).items():
                found[policy_mrn] = (action, scope_mrn)
        return found

    def roles_on(self, account: ServiceAccount, scope_mrn: str) -> set[str]:
        """Roles that an account has on a scope: its own, or those of its organization."""
        if account.scope_mrn == scope_mrn:
            return account.roles
        space = self.spaces.get(scope_mrn)
        if space is not None and space.organization.mrn == account.scope_mrn:
            return account.roles
        return set()

    def add_organization(self, organization_id: str, name: str | None = None) -> Organization:
        """A new organization."""
        organization = Organization(organization_id, name or organization_id)
        self.organizations[organization.mrn] = organization
        return organization

    def add_space(
        self, space_id: str, organization: Organization, name: str | None = None
    ) -> Space:
        """A new space; ids are unique over the whole platform."""
        space = Space(space_id, name or space_id, organization)
        if space.mrn in self.spaces:
            raise StatusError(Code.ALREADY_EXISTS, f"space with id {space_id} already exists")
        self.spaces[space.mrn] = space
        return space

    def remove_space(self, space: Space) -> None:
        """Remove a space with everything in it."""
        del self.spaces[space.mrn]
        self.assignments.pop(space.mrn, None)
        for held in (self.integrations, self.service_accounts, self.bindings):
            for key in [key for key, item in held.items() if item.scope_mrn == space.mrn]:
                del held[key]
        for key in [key for key, item in self.assets.items() if item.space_mrn == space.mrn]:
            del self.assets[key]

    def add_service_account(
        self,
        scope_mrn: str,
        roles: set[str],
        name: str = "",
        description: str = "",
        valid_until: datetime | None = None,
    ) -> ServiceAccount:
        """A new service account with a new P-384 key."""
        account_mrn = mrn.service_account(scope_mrn)
        key = ec.generate_private_key(ec.SECP384R1())
        now = self.clock.now()
        account = ServiceAccount(
            mrn=account_mrn,
            name=name or mrn.last_part(account_mrn),
            scope_mrn=scope_mrn,
            roles=set(roles),
            private_key=key,
            certificate=_certificate(key, account_mrn, now),
            created=now,
            description=description,
            valid_until=valid_until,
        )
        self.service_accounts[account_mrn] = account
        return account

    def add_content(
        self,
        uid: str,
        name: str,
        version: str = "1.0.0",
        platforms: tuple[str, ...] = (M365_PLATFORM,),
        *,
        pack: bool = False,
    ) -> Content:
        """A published policy or query pack."""
        content = Content(mrn.policy(uid), name, version, platforms, pack)
        self.content[content.mrn] = content
        return content


def private_key_pem(account: ServiceAccount) -> str:
    """The private key of an account, PKCS#8."""
    return account.private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode("ascii")


def certificate_pem(account: ServiceAccount) -> str:
    """The certificate of an account."""
    return account.certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _certificate(
    key: ec.EllipticCurvePrivateKey, account_mrn: str, now: datetime
) -> x509.Certificate:
    """The self-made certificate that accompanies an account's key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, mrn.last_part(account_mrn))])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA384())
    )


def _found(held: Mapping[str, T], key: str, kind: str) -> T:
    try:
        return held[key]
    except KeyError as error:
        raise StatusError(Code.NOT_FOUND, f"{kind} {key} not found") from error
