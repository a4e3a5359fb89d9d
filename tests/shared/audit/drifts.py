"""Every drift that the simulators can be put into, with the finding that it must lead to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from local.simulators.catalogue import EXCHANGE, GRAPH, AppRole
from local.simulators.mondoo.estate import Message
from local.simulators.objects import KeyCredential, ServicePrincipal
from local.simulators.tenant import new_id
from shared.audit.catalogue import Repairable
from shared.entra.key_credentials import key_name
from shared.manifest import load_manifest
from shared.models import MARK
from tests.shared.audit.conftest import NEWEST, AuditedTenant
from tests.shared.entra.certificates import pair

EXCHANGE_ADMINISTRATOR = "29232cdf-9323-42fd-ade2-1d097af3e4de"
SECURITY_READER = "5d6b6bb7-de71-4623-b4af-96380a352509"
AUDIENCE = "api://AzureADTokenExchange"
GUEST_API = "11111111-2222-4333-8444-555555555555"
WANTED = next(iter(load_manifest(NEWEST).by_key()))


@dataclass(frozen=True)
class Drift:
    """``put`` runs on the simulators' thread; ``code`` is what an audit finds."""

    code: str
    put: Callable[[AuditedTenant], None]
    corrected: Repairable

    @property
    def name(self) -> str:
        """What pytest shows."""
        return f"{self.code}-{self.put.__name__.strip('_')}"


def _revoke(here: AuditedTenant) -> None:
    for grant in here.tenant.grants_of(here.principal.id):
        if grant.app_role_id == WANTED.app_role_id:
            here.tenant.revoke(grant)


def _undeclare(here: AuditedTenant) -> None:
    here.app.required_resource_access = [
        {
            **entry,
            "resourceAccess": [
                each for each in entry["resourceAccess"] if each["id"] != WANTED.app_role_id
            ],
        }
        for entry in here.app.required_resource_access
    ]


def _lose_permission(here: AuditedTenant) -> None:
    _revoke(here)
    _undeclare(here)


def _undeclare_everything(here: AuditedTenant) -> None:
    here.app.required_resource_access = []


def _revoke_everything(here: AuditedTenant) -> None:
    for grant in here.tenant.grants_of(here.principal.id):
        here.tenant.revoke(grant)


def _grant_more(here: AuditedTenant) -> None:
    here.tenant.grant(here.app, "Directory.ReadWrite.All")


def _declare(here: AuditedTenant, kind: str, permission: str, resource: str = GRAPH) -> None:
    entries = [dict(entry) for entry in here.app.required_resource_access]
    entry = next((each for each in entries if each["resourceAppId"] == resource), None)
    if entry is None:
        entry = {"resourceAppId": resource, "resourceAccess": []}
        entries.append(entry)
    entry["resourceAccess"] = [*entry["resourceAccess"], {"id": permission, "type": kind}]
    here.app.required_resource_access = entries


def _grant_and_declare_more(here: AuditedTenant) -> None:
    grant = here.tenant.grant(here.app, "RoleManagement.ReadWrite.Directory")
    _declare(here, "Role", grant.app_role_id)


def _grant_on_another_api(here: AuditedTenant) -> None:
    # The id of a wanted role, under a resource where nothing is wanted.
    role = AppRole(WANTED.app_role_id, "Guest.Manage")
    api = here.tenant.service_principal_by_app_id(GUEST_API)
    if api is None:
        here.tenant.add_resource(GUEST_API, "Guest API", [role])
    here.tenant.grant(here.app, role.id, GUEST_API)


def _declare_more(here: AuditedTenant) -> None:
    _declare(here, "Role", "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9")


def _declare_a_scope(here: AuditedTenant) -> None:
    _declare(here, "Scope", "e1fe6dd8-ba31-4d61-89e7-88639da4683d")


def _delegate(here: AuditedTenant) -> None:
    here.tenant.grant_delegated(here.app, "User.Read Mail.Read")


def _delegate_for_one(here: AuditedTenant) -> None:
    user = here.tenant.add_user("Alice")
    here.tenant.grant_delegated(here.app, "Mail.Send", GRAPH, user)


def _unassign(here: AuditedTenant) -> None:
    here.tenant.role_assignments.clear()


def _scope_role(here: AuditedTenant) -> None:
    _unassign(here)
    here.tenant.assign_role(here.app, directory_scope=f"/administrativeUnits/{new_id()}")


def _make_role_eligible(here: AuditedTenant) -> None:
    _unassign(here)
    here.tenant.schedule_role(here.app, eligible=True)


def _limit_role(here: AuditedTenant) -> None:
    _unassign(here)
    end = here.tenant.clock.now() + timedelta(days=3)
    here.tenant.schedule_role(here.app, eligible=False, end=end)


def _assign_more(here: AuditedTenant) -> None:
    here.tenant.assign_role(here.app, EXCHANGE_ADMINISTRATOR)


def _assign_scoped_besides(here: AuditedTenant) -> None:
    here.tenant.assign_role(here.app, directory_scope="/administrativeUnits/one")


def _make_more_eligible(here: AuditedTenant) -> None:
    here.tenant.schedule_role(here.app, SECURITY_READER, eligible=True)


def _own_application(here: AuditedTenant) -> None:
    here.app.owners.append(here.tenant.add_user("Mallory"))


def _own_principal(here: AuditedTenant) -> None:
    stranger = here.tenant.add_managed_identity("pipeline")
    here.principal.owners.append(stranger.id)


def _add_key(here: AuditedTenant, name: str, days: float) -> None:
    stranger = pair("stranger", days=days, key=1).certificate
    here.app.key_credentials = [
        *here.app.key_credentials,
        KeyCredential.of(stranger, new_id(), display_name=name),
    ]


def _add_strange_key(here: AuditedTenant) -> None:
    _add_key(here, "backdoor", 200)


def _keep_old_key(here: AuditedTenant) -> None:
    _add_key(here, key_name("mondoo-ms365 2026-01-01"), 20)


def _keep_expired_key(here: AuditedTenant) -> None:
    _add_key(here, "last year", -30)


def _lose_key(here: AuditedTenant) -> None:
    here.app.key_credentials = here.app.key_credentials[1:]


def _add_secret(here: AuditedTenant) -> None:
    here.tenant.add_secret(here.app, f"s3cret-{new_id()}")


def _keep_expired_secret(here: AuditedTenant) -> None:
    here.tenant.add_secret(here.app, f"s3cret-{new_id()}", valid_for=timedelta(days=-2))


def _trust(here: AuditedTenant) -> None:
    here.tenant.add_federated_credential(
        here.app,
        f"ci-{new_id()}",
        "https://token.actions.githubusercontent.com",
        f"repo:{new_id()}",
        "api://AzureADTokenExchange",
    )


def _widen(here: AuditedTenant) -> None:
    here.app.audience = "AzureADMultipleOrgs"


def _redirect(here: AuditedTenant) -> None:
    here.app.values["web"] = {"redirectUris": ["https://localhost", "https://evil.example/cb"]}
    here.app.values["publicClient"] = {"redirectUris": ["http://localhost"]}


def _disable_principal(here: AuditedTenant) -> None:
    here.principal.enabled = False


def _delete_principal(here: AuditedTenant) -> None:
    if here.principal.id in here.tenant.service_principals:
        here.tenant.delete_service_principal(here.principal)


def _delete_application(here: AuditedTenant) -> None:
    here.tenant.delete_application(here.app)


def _purge_application(here: AuditedTenant) -> None:
    here.tenant.delete_application(here.app)
    here.tenant.purge(here.app)


def _switch_application_off(here: AuditedTenant) -> None:
    here.app.is_disabled = True


def _switch_principal_off(here: AuditedTenant) -> None:
    here.principal.is_disabled = True


def _block_application(here: AuditedTenant) -> None:
    here.app.values["disabledByMicrosoftStatus"] = "DisabledDueToViolationOfServicesAgreement"


def _unmark_application(here: AuditedTenant) -> None:
    here.app.tags.clear()


def _unmark_principal(here: AuditedTenant) -> None:
    here.principal.tags.clear()


def _disown(here: AuditedTenant) -> None:
    here.app.owners.remove(here.our_object_id)


def _exchange(here: AuditedTenant) -> ServicePrincipal:
    """Exchange Online's principal, deleted or not."""
    everywhere = [*here.tenant.service_principals.values(), *here.tenant.deleted.values()]
    return next(
        each
        for each in everywhere
        if isinstance(each, ServicePrincipal) and each.app_id == EXCHANGE
    )


def _remove_service(here: AuditedTenant) -> None:
    here.tenant.delete_service_principal(_exchange(here))


def _disable_service(here: AuditedTenant) -> None:
    _exchange(here).enabled = False


def _withdraw_role(here: AuditedTenant) -> None:
    _exchange(here).app_roles = ()


def _delete_integration(here: AuditedTenant) -> None:
    del here.stand.simulators.mondoo.integrations[here.integration.mrn]


def _unlabel(here: AuditedTenant) -> None:
    here.integration.labels.pop("managed-by")


def _break_scan(here: AuditedTenant) -> None:
    here.integration.status = "ERROR"


def _complain(status: str, text: str = "what is this?") -> Callable[[AuditedTenant], None]:
    def put(here: AuditedTenant) -> None:
        now = here.tenant.clock.now()
        here.integration.messages.append(Message(text, status, "exchange", now))

    put.__name__ = f"complain_{status.lower()}"
    return put


def _pause(here: AuditedTenant) -> None:
    here.integration.paused = True


def _stall(here: AuditedTenant) -> None:
    here.integration.status = "WAITING_FOR_SETUP"


def _stop_scanning(here: AuditedTenant) -> None:
    here.integration.scan_finished = here.tenant.clock.now() - timedelta(days=3)


def _give_another_certificate(here: AuditedTenant) -> None:
    here.integration.labels["certificate-thumbprint"] = "0" * 40


def _take_the_key_away(here: AuditedTenant) -> None:
    here.integration.use_wif, here.integration.certificate = True, None


def _leave_the_trust(here: AuditedTenant) -> None:
    credential = here.tenant.add_federated_credential(
        here.app, "mondoo-onboarding", "https://issuer.example", "a subject", AUDIENCE
    )
    credential.description = MARK


_NONE, _REPAIR, _ENFORCE = Repairable.NONE, Repairable.REPAIR, Repairable.ENFORCE

DRIFTS: tuple[Drift, ...] = (
    Drift("permission_missing", _lose_permission, _REPAIR),
    Drift("permission_not_granted", _revoke, _REPAIR),
    Drift("permission_not_granted", _revoke_everything, _REPAIR),
    Drift("permission_not_declared", _undeclare, _REPAIR),
    Drift("permission_not_declared", _undeclare_everything, _REPAIR),
    Drift("grant_not_declared", _grant_more, _ENFORCE),
    Drift("grant_not_declared", _grant_on_another_api, _ENFORCE),
    Drift("grant_not_wanted", _grant_and_declare_more, _ENFORCE),
    Drift("declaration_not_wanted", _declare_more, _ENFORCE),
    Drift("declaration_not_wanted", _declare_a_scope, _ENFORCE),
    Drift("delegated_grant", _delegate, _ENFORCE),
    Drift("delegated_grant", _delegate_for_one, _ENFORCE),
    Drift("directory_role_missing", _unassign, _REPAIR),
    Drift("directory_role_scoped", _scope_role, _REPAIR),
    Drift("directory_role_eligible", _make_role_eligible, _REPAIR),
    Drift("directory_role_temporary", _limit_role, _NONE),
    Drift("directory_role_not_wanted", _assign_more, _ENFORCE),
    Drift("directory_role_not_wanted", _assign_scoped_besides, _ENFORCE),
    Drift("directory_role_scheduled_not_wanted", _make_more_eligible, _NONE),
    Drift("owner_unknown", _own_application, _ENFORCE),
    Drift("owner_unknown", _own_principal, _ENFORCE),
    Drift("automation_not_owner", _disown, _NONE),
    Drift("certificate_unknown", _add_strange_key, _ENFORCE),
    Drift("certificate_superseded", _keep_old_key, _ENFORCE),
    Drift("certificate_clutter", _keep_expired_key, _ENFORCE),
    Drift("certificate_not_registered", _lose_key, _REPAIR),
    Drift("secret", _add_secret, _ENFORCE),
    Drift("secret_expired", _keep_expired_secret, _ENFORCE),
    Drift("federated_credential", _trust, _ENFORCE),
    Drift("federated_credential_superseded", _leave_the_trust, _ENFORCE),
    Drift("audience_too_wide", _widen, _ENFORCE),
    Drift("redirect_uri", _redirect, _ENFORCE),
    Drift("principal_disabled", _disable_principal, _REPAIR),
    Drift("principal_missing", _delete_principal, _REPAIR),
    Drift("principal_not_ours", _unmark_principal, _NONE),
    Drift("principal_switched_off", _switch_principal_off, _NONE),
    Drift("application_deleted", _delete_application, _REPAIR),
    Drift("application_missing", _purge_application, _NONE),
    Drift("application_not_ours", _unmark_application, _NONE),
    Drift("application_disabled", _switch_application_off, _NONE),
    Drift("application_disabled_by_microsoft", _block_application, _NONE),
    Drift("resource_absent", _remove_service, _NONE),
    Drift("resource_disabled", _disable_service, _NONE),
    Drift("app_role_absent", _withdraw_role, _NONE),
    Drift("integration_missing", _delete_integration, _NONE),
    Drift("integration_not_ours", _unlabel, _NONE),
    Drift("integration_error", _break_scan, _NONE),
    Drift("integration_paused", _pause, _NONE),
    Drift("integration_not_active", _stall, _NONE),
    Drift("integration_certificate_differs", _give_another_certificate, _NONE),
    Drift("integration_authentication_differs", _take_the_key_away, _NONE),
    Drift("scan_overdue", _stop_scanning, _NONE),
    Drift("scan_message", _complain("ERROR"), _NONE),
    Drift("scan_message", _complain("WARNING"), _NONE),
    Drift("exchange_not_ready", _complain("ERROR", "access denied"), _NONE),
)

REPAIRABLE = tuple(drift for drift in DRIFTS if drift.corrected is not Repairable.NONE)
"""Those that an audit corrects by itself under `enforce`."""
