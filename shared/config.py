"""Settings: the only reader of the environment.

`load_settings` reads everything once, when the app starts, and refuses to start on anything missing
or malformed, with one message that lists every problem. `SETTINGS` is the table that the README
shows, in the same order.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from shared.clouds import CLOUDS, Cloud
from shared.errors import InvalidRequest, SettingsError
from shared.manifest import DEFAULT_MANIFEST, load_manifest
from shared.models import (
    ApplicationName,
    Guid,
    PolicyMrn,
    RepairPolicy,
    ScopeMrn,
    SpaceMrn,
    WaitPolicy,
)
from shared.schedule import problem_with

DEFAULT_POLICY = "//policy.api.mondoo.app/policies/mondoo-m365-security"
LONGEST_CERTIFICATE_DAYS = 730


class IdentityKind(StrEnum):
    """Who we are in a tenant; see `shared.entra.identity`."""

    MANAGED_IDENTITY = "managed-identity"
    FEDERATED = "federated"
    CERTIFICATE = "certificate"
    AZURE_CLI = "azure-cli"


class Authentication(StrEnum):
    """What callers of the HTTP interface bring; see `shared.triggers.access`."""

    KEYS = "keys"
    ENTRA = "entra"


class MondooLogin(StrEnum):
    """Who we are towards Mondoo; see `shared.mondoo.account` and `shared.mondoo.keyless`."""

    SERVICE_ACCOUNT = "service-account"
    KEYLESS = "keyless"


class AuditNotify(StrEnum):
    """When the end of an audit is announced."""

    CHANGES = "changes"
    ALWAYS = "always"


@dataclass(frozen=True)
class Settings:
    """Every setting, checked. Urls have no trailing slash. ``platform_authenticates``: App Service
    says that its authentication stands in front (its own variable, not a setting of ours)."""

    cloud: Cloud
    trusted_ca_file: Path | None
    identity: IdentityKind
    home_tenant_id: str | None
    managed_identity_client_id: str | None
    onboarding_client_id: str | None
    onboarding_certificate: str | None
    key_vault_url: str
    mondoo_login: MondooLogin
    mondoo_service_account: str
    mondoo_api_endpoint: str | None
    mondoo_keyless_scope: str | None
    mondoo_space: str | None
    mondoo_policies: tuple[str, ...]
    tenant_records: str
    manifest: str
    application_name: str
    certificate_validity_days: int
    rotation_before_days: int
    rotation_overlap_hours: float
    waits: WaitPolicy
    batch_in_flight: int
    consent_redirect_url: str | None
    consent_validity_hours: int
    partner_center_ca_file: Path | None
    partner_center_certificate_hosts: frozenset[str]
    event_topic_endpoint: str | None
    authentication: Authentication
    platform_authenticates: bool
    audit_schedule: str
    audit_policy: RepairPolicy
    audit_concurrency: int
    audit_history: int
    audit_notify: AuditNotify
    audit_webhook_url: str | None
    audit_webhook_secret: str | None
    mondoo_findings_upload: bool


@dataclass(frozen=True)
class Setting:
    """One environment variable: its default (None: there is none) and what it means."""

    name: str
    meaning: str
    default: str | None = None


SETTINGS: tuple[Setting, ...] = (
    Setting("CLOUD", f"Microsoft cloud: {', '.join(CLOUDS)}", "global"),
    Setting("CLOUD_ENDPOINTS_FILE", "JSON file with the endpoints of a cloud that is not listed"),
    Setting("TRUSTED_CA_FILE", "PEM file of a certificate authority to trust besides the public"),
    Setting(
        "IDENTITY",
        "who acts in tenants: `managed-identity` (own tenant only), `federated` (multi-tenant"
        " application, no secret), `certificate` (multi-tenant application), `azure-cli`",
        "managed-identity",
    ),
    Setting(
        "HOME_TENANT_ID",
        "our own tenant; needed unless `IDENTITY` is `azure-cli` and `AUTHENTICATION` `keys`",
    ),
    Setting("MANAGED_IDENTITY_CLIENT_ID", "user-assigned managed identity; `federated` needs it"),
    Setting("ONBOARDING_CLIENT_ID", "multi-tenant application; `federated`, `certificate` need it"),
    Setting("ONBOARDING_CERTIFICATE", "its certificate in the vault; `certificate` needs it"),
    Setting(
        "AUTHENTICATION",
        "what callers bring: `keys` (a function key), or `entra` (a token with the role Operator or"
        " Reader, checked by App Service in front of the app)",
        "keys",
    ),
    Setting("KEY_VAULT_URL", "vault that holds the tenants' certificates (required)"),
    Setting(
        "MONDOO_LOGIN",
        "who we are towards Mondoo: `service-account` (from the vault), `keyless` (the managed"
        " identity's token, exchanged)",
        "service-account",
    ),
    Setting("MONDOO_API_ENDPOINT", "base URL of Mondoo's API; `keyless` needs it"),
    Setting(
        "MONDOO_KEYLESS_SCOPE",
        "MRN of the space or organization that trusts the managed identity; `keyless` needs it",
    ),
    Setting(
        "MONDOO_SERVICE_ACCOUNT",
        "vault secret with the Mondoo service account (JSON, plain or base64)",
        "mondoo-service-account",
    ),
    Setting("MONDOO_SPACE_MRN", "space for requests that name none"),
    Setting("MONDOO_POLICIES", "policy MRNs to activate, separated by commas", DEFAULT_POLICY),
    Setting(
        "TENANT_RECORDS",
        "where tenant records are kept: a Table Storage endpoint, or `sqlite:<file>` (required)",
    ),
    Setting("MANIFEST", "permission manifest for requests that name none", DEFAULT_MANIFEST),
    Setting("APPLICATION_NAME", "name of the application made in each tenant", "mondoo-ms365"),
    Setting("CERTIFICATE_VALIDITY_DAYS", "longest life of a certificate, 1 to 730 days", "365"),
    Setting(
        "ROTATION_BEFORE_DAYS",
        "days before its end that a certificate is rotated, or in its last third if that is later",
        "30",
    ),
    Setting(
        "ROTATION_OVERLAP_HOURS",
        "hours that the old certificate stays registered beside the new one, 0 to 720",
        "24",
    ),
    Setting("POLL_FIRST_SECONDS", "first pause between attempts, doubled each time", "5"),
    Setting("POLL_LONGEST_SECONDS", "longest pause between attempts", "60"),
    Setting("PROPAGATION_DEADLINE_SECONDS", "how long to wait for replication", "900"),
    Setting("SCAN_DEADLINE_SECONDS", "how long to wait for Mondoo's first scan", "3600"),
    Setting("BATCH_IN_FLIGHT", "tenants of a batch that are onboarded at once, 1 to 100", "10"),
    Setting(
        "CONSENT_REDIRECT_URL",
        "public address of `/api/consent/callback`, as registered on the multi-tenant application",
    ),
    Setting("CONSENT_VALIDITY_HOURS", "how long a consent link works, 1 to 720 hours", "72"),
    Setting(
        "PARTNER_CENTER_CA_FILE",
        "PEM file of the authorities (root and intermediates) of Partner Center's signatures;"
        " without it Partner Center is not listened to",
    ),
    Setting(
        "PARTNER_CENTER_CERTIFICATE_HOSTS",
        "hosts that the signing certificate may be fetched from, separated by commas",
        "3psostorageacct.blob.core.windows.net",
    ),
    Setting("EVENT_TOPIC_ENDPOINT", "Event Grid topic that is told of results"),
    Setting("AUDIT_SCHEDULE", "when all tenants are audited: NCRONTAB, UTC", "0 0 5 * * *"),
    Setting(
        "AUDIT_POLICY",
        "what audits put right where a request said nothing: `report` (nothing), `repair` (what is"
        " missing), `enforce` (also what is too much)",
        "report",
    ),
    Setting("AUDIT_CONCURRENCY", "tenants that are audited at the same time, 1 to 200", "20"),
    Setting("AUDIT_HISTORY", "reports that are kept of each tenant, 2 to 365", "30"),
    Setting("AUDIT_NOTIFY", "announce audits only on `changes`, or `always`", "changes"),
    Setting("AUDIT_WEBHOOK_URL", "https webhook that is told of audits, [signed](docs/webhook.md)"),
    Setting("AUDIT_WEBHOOK_SECRET", "vault secret that signs for the webhook, which needs it"),
    Setting(
        "MONDOO_FINDINGS_UPLOAD",
        "`true` uploads findings to Mondoo, by an interface that Mondoo calls experimental",
        "false",
    ),
)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read and check all settings.

    Raises:
        SettingsError: listing every problem there is, not only the first.
    """
    return _Reader(environ).settings()


class _Reader:
    """Collects problems instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._defaults = {setting.name: setting.default for setting in SETTINGS}
        self._problems: list[str] = []

    def settings(self) -> Settings:
        identity = self._choice("IDENTITY", {kind.value: kind for kind in IdentityKind})
        federated = identity in (IdentityKind.FEDERATED, IdentityKind.CERTIFICATE)
        ours = identity is not None and identity is not IdentityKind.AZURE_CLI
        authentication = self._choice(
            "AUTHENTICATION", {kind.value: kind for kind in Authentication}
        )
        entra = authentication is Authentication.ENTRA
        login = self._choice("MONDOO_LOGIN", {kind.value: kind for kind in MondooLogin})
        keyless = login is MondooLogin.KEYLESS and "MONDOO_LOGIN"
        policies = self._read("MONDOO_POLICIES") or ""
        settings = Settings(
            cloud=self._cloud(),
            trusted_ca_file=self._file("TRUSTED_CA_FILE"),
            identity=identity or IdentityKind.MANAGED_IDENTITY,
            home_tenant_id=self._typed("HOME_TENANT_ID", Guid, needed_by=ours or entra),
            managed_identity_client_id=self._typed(
                "MANAGED_IDENTITY_CLIENT_ID",
                Guid,
                needed_by=identity is IdentityKind.FEDERATED and "IDENTITY",
            ),
            onboarding_client_id=self._typed(
                "ONBOARDING_CLIENT_ID", Guid, needed_by=federated and "IDENTITY"
            ),
            onboarding_certificate=self._vault_name(
                "ONBOARDING_CERTIFICATE",
                needed_by=identity is IdentityKind.CERTIFICATE and "IDENTITY",
            ),
            key_vault_url=self._url("KEY_VAULT_URL", required=True) or "",
            mondoo_login=login or MondooLogin.SERVICE_ACCOUNT,
            mondoo_api_endpoint=self._url("MONDOO_API_ENDPOINT", needed_by=keyless),
            mondoo_keyless_scope=self._typed("MONDOO_KEYLESS_SCOPE", ScopeMrn, needed_by=keyless),
            mondoo_service_account=self._vault_name("MONDOO_SERVICE_ACCOUNT") or "",
            mondoo_space=self._typed("MONDOO_SPACE_MRN", SpaceMrn),
            mondoo_policies=tuple(
                self._converted("MONDOO_POLICIES", mrn.strip(), PolicyMrn)
                for mrn in policies.split(",")
            ),
            tenant_records=self._tenant_records(),
            manifest=self._manifest(),
            application_name=self._typed("APPLICATION_NAME", ApplicationName) or "",
            certificate_validity_days=int(
                self._number("CERTIFICATE_VALIDITY_DAYS", 1, LONGEST_CERTIFICATE_DAYS, whole=True)
            ),
            rotation_before_days=int(self._number("ROTATION_BEFORE_DAYS", 1, 365, whole=True)),
            rotation_overlap_hours=self._number("ROTATION_OVERLAP_HOURS", 0, 720),
            waits=WaitPolicy(
                first=self._number("POLL_FIRST_SECONDS", 0.01, 300),
                longest=self._number("POLL_LONGEST_SECONDS", 0.01, 600),
                propagation_deadline=self._number("PROPAGATION_DEADLINE_SECONDS", 1, 86_400),
                scan_deadline=self._number("SCAN_DEADLINE_SECONDS", 1, 86_400),
            ),
            batch_in_flight=int(self._number("BATCH_IN_FLIGHT", 1, 100, whole=True)),
            consent_redirect_url=self._url("CONSENT_REDIRECT_URL"),
            consent_validity_hours=int(self._number("CONSENT_VALIDITY_HOURS", 1, 720, whole=True)),
            partner_center_ca_file=self._file("PARTNER_CENTER_CA_FILE"),
            partner_center_certificate_hosts=self._hosts("PARTNER_CENTER_CERTIFICATE_HOSTS"),
            event_topic_endpoint=self._url("EVENT_TOPIC_ENDPOINT"),
            authentication=authentication or Authentication.KEYS,
            platform_authenticates=self._environ.get("WEBSITE_AUTH_ENABLED", "").lower() == "true",
            audit_schedule=self._schedule("AUDIT_SCHEDULE"),
            audit_policy=self._choice("AUDIT_POLICY", {p.value: p for p in RepairPolicy})
            or RepairPolicy.REPORT,
            audit_concurrency=int(self._number("AUDIT_CONCURRENCY", 1, 200, whole=True)),
            audit_history=int(self._number("AUDIT_HISTORY", 2, 365, whole=True)),
            audit_notify=self._choice("AUDIT_NOTIFY", {n.value: n for n in AuditNotify})
            or AuditNotify.CHANGES,
            audit_webhook_url=self._url("AUDIT_WEBHOOK_URL"),
            audit_webhook_secret=self._vault_name(
                "AUDIT_WEBHOOK_SECRET", needed_by=bool(self._environ.get("AUDIT_WEBHOOK_URL"))
            ),
            mondoo_findings_upload=self._choice(
                "MONDOO_FINDINGS_UPLOAD", {"true": True, "false": False}
            )
            or False,
        )
        if settings.waits.longest < settings.waits.first:
            self._problems.append("POLL_LONGEST_SECONDS is shorter than POLL_FIRST_SECONDS")
        if self._problems:
            raise SettingsError(self._problems)
        return settings

    def _read(
        self, name: str, *, required: bool = False, needed_by: str | bool = False
    ) -> str | None:
        value = self._environ.get(name, "").strip() or self._defaults[name]
        if value is None and required:
            self._problems.append(f"{name} is missing: {self._meaning(name)}")
        if value is None and needed_by:
            self._problems.append(f"{name} is missing: {self._meaning(name)}")
        return value

    def _meaning(self, name: str) -> str:
        return next(setting.meaning for setting in SETTINGS if setting.name == name)

    def _converted(self, name: str, value: str, kind: Any) -> str:
        try:
            return str(msgspec.convert(value, kind))
        except msgspec.ValidationError:
            self._problems.append(f"{name} is not {_described(kind)}: {value[:80]!r}")
            return value

    def _typed(self, name: str, kind: Any, *, needed_by: str | bool = False) -> str | None:
        value = self._read(name, needed_by=needed_by)
        if value is None:
            return None
        converted = self._converted(name, value, kind)
        return converted.lower() if kind is Guid else converted

    def _choice(self, name: str, choices: Mapping[str, Any]) -> Any | None:
        value = self._read(name) or ""
        if value not in choices:
            self._problems.append(f"{name} is {value[:80]!r}, not one of {', '.join(choices)}")
        return choices.get(value)

    def _cloud(self) -> Cloud:
        path = self._file("CLOUD_ENDPOINTS_FILE")
        if path is None:
            return self._choice("CLOUD", CLOUDS) or CLOUDS["global"]
        try:
            return msgspec.json.decode(path.read_bytes(), type=Cloud)
        except (OSError, msgspec.MsgspecError) as error:
            self._problems.append(f"CLOUD_ENDPOINTS_FILE cannot be used: {error}")
            return CLOUDS["global"]

    def _file(self, name: str) -> Path | None:
        value = self._read(name)
        if value is None:
            return None
        path = Path(value)
        if not path.is_file():
            self._problems.append(f"{name} is not a file: {value[:200]!r}")
        return path

    def _url(
        self, name: str, *, required: bool = False, needed_by: str | bool = False
    ) -> str | None:
        value = self._read(name, required=required, needed_by=needed_by)
        if value is None:
            return None
        if not re.fullmatch(r"https://[A-Za-z0-9.-]+(:\d{1,5})?(/[\w./-]*)?", value):
            self._problems.append(f"{name} is not an https URL: {value[:80]!r}")
        return value.rstrip("/")

    def _hosts(self, name: str) -> frozenset[str]:
        hosts = {host.strip().lower() for host in (self._read(name) or "").split(",")}
        for host in sorted(hosts):
            if not re.fullmatch(r"(?=.*[a-z])[a-z0-9.-]+(:\d{1,5})?", host):
                self._problems.append(f"{name} has no host name: {host[:80]!r}")
        return frozenset(hosts)

    def _vault_name(self, name: str, *, needed_by: str | bool = False) -> str | None:
        value = self._read(name, needed_by=needed_by)
        if value is not None and not re.fullmatch(r"[0-9A-Za-z-]{1,127}", value):
            self._problems.append(f"{name} is not a name that Key Vault allows: {value[:80]!r}")
        return value

    def _schedule(self, name: str) -> str:
        value = self._read(name) or ""
        problem = problem_with(value)
        if problem is not None:
            self._problems.append(f"{name} {problem}: {value[:80]!r}")
        return value

    def _tenant_records(self) -> str:
        value = self._read("TENANT_RECORDS", required=True)
        if value is None or re.fullmatch(r"sqlite:[^\x00]+", value):
            return value or ""
        return self._url("TENANT_RECORDS") or ""

    def _manifest(self) -> str:
        name = self._read("MANIFEST") or ""
        try:
            load_manifest(name)
        except InvalidRequest as error:
            self._problems.append(f"MANIFEST: {error.message}. {error.remediation}")
        return name

    def _number(self, name: str, low: float, high: float, *, whole: bool = False) -> float:
        value = self._read(name) or ""
        convert: Callable[[str], float] = int if whole else float
        try:
            number = convert(value)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            kind = "a whole number" if whole else "a number"
            self._problems.append(f"{name} is {value[:80]!r}, not {kind} from {low} to {high}")
            return low
        return number


def _described(kind: Any) -> str:
    if kind is Guid:
        return "a GUID"
    metadata = getattr(kind, "__metadata__", ())
    return f"a {metadata[0].description}" if metadata else "valid"
