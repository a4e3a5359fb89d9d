"""What a refused sign-in means for us: one table over the token endpoint's error codes.

The endpoint's text is for people and changes; its ``error_codes`` are read instead. Sources: Entra
"reference-error-codes", Microsoft.Identity.Web's reload rules, and the issues named beside the
rows. Some codes mean replication while an object is young, and a real fault later: ``young`` says
which. A code that no row knows is never repeated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from shared.errors import NotYet, OnboardingError, Refused

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError

LONGEST_QUOTE = 300


@dataclass(frozen=True)
class SignInRow:
    """``waits``: NotYet, always. ``waits_young``: NotYet while what signs in is young."""

    ours: str
    meaning: str
    remediation: str
    waits: bool = False
    waits_young: bool = False


_CONSENT = (
    "Have an administrator of the tenant consent to the onboarding application, with Privileged"
    " Role Administrator or Global Administrator."
)
_LICENCE = (
    "The tenant has no such service, or never used it. Assign a licence that includes it, or leave"
    " the service out."
)
_EXPIRED = SignInRow(
    "certificate_outside_validity",
    "the certificate, or the assertion signed with it, is outside its validity",
    "Issue a new certificate; if it is valid, check this machine's clock.",
)
_CHAIN = SignInRow(
    "certificate_chain_rejected",
    "the certificate's chain is invalid, or the certificate is revoked",
    "Use a certificate that is not revoked, and upload only the leaf.",
)
_SECRET = SignInRow(
    "client_secret_rejected",
    "a client secret is wrong or expired",
    "Secrets are not used here: set IDENTITY to `federated` or `certificate`.",
)
_FEDERATION = SignInRow(
    "federated_credential_not_found",
    "no federated credential matches the managed identity, or not yet",
    "Compare issuer, subject and audience of the federated credential on the onboarding"
    " application with those in the message. New credentials take some minutes.",
    waits=True,
)
_ABSENT = SignInRow(
    "application_not_in_tenant",
    "the application has no service principal in the tenant",
    _CONSENT,
    waits_young=True,
)
_NO_TENANT = SignInRow(
    "tenant_not_found",
    "the tenant does not exist in this cloud",
    "Check the tenant's id or domain, and that CLOUD is the tenant's cloud.",
)
_DECLARED = SignInRow(
    "resource_misconfigured",
    "the application declares a permission or resource that no longer exists",
    "Remove what was retired from the application's declared permissions.",
)

TABLE: dict[int, SignInRow] = {
    700016: _ABSENT,
    7000229: _ABSENT,
    # After an upload the new key is unknown for a while; later it means a wrong certificate.
    700027: SignInRow(
        "certificate_not_registered",
        "the certificate is not registered on the application, or not yet",
        "Check that the application holds the certificate with the thumbprint that is used.",
        waits_young=True,
    ),
    700024: _EXPIRED,
    1000502: _EXPIRED,
    7000213: _CHAIN,
    7000214: _CHAIN,
    7000215: _SECRET,
    7000222: _SECRET,
    # Identity federation replicates for minutes, even after a first success. Newer codes name what
    # does not match: issuer, audience, subject, its letter case (Azure/login#517, microsoft/Agents
    # #202, azure-workload-identity#1200).
    **dict.fromkeys((70021, 700211, 700212, 700213, 7002137, 7002138), _FEDERATION),
    7000112: SignInRow(
        "application_disabled",
        "the application is disabled in the tenant",
        "Have an administrator enable it: Entra admin center, Enterprise applications, Properties,"
        " `Enabled for users to sign in`. The certificate is not the cause.",
    ),
    500011: SignInRow(
        "resource_not_in_tenant",
        "the service to sign in to does not exist in the tenant",
        _LICENCE + " Check also that CLOUD is the tenant's cloud.",
    ),
    500014: SignInRow(
        "resource_disabled",
        "the service to sign in to is disabled in the tenant",
        "Renew the subscription, or have an administrator enable the service's enterprise"
        " application.",
    ),
    650052: SignInRow(
        "resource_not_licensed",
        "the tenant has no service principal for a service that the application asks for",
        _LICENCE,
    ),
    650051: SignInRow(
        "consent_in_progress",
        "the application is being added to the tenant",
        "Try again in a minute.",
        waits=True,
    ),
    650054: _DECLARED,
    650056: _DECLARED,
    65005: _DECLARED,
    65001: SignInRow(
        "consent_missing", "the tenant has not consented to the application", _CONSENT
    ),
    65004: SignInRow("consent_declined", "the consent was declined", _CONSENT),
    50194: SignInRow(
        "application_single_tenant",
        "the onboarding application is for one tenant only",
        "Make it multi-tenant: `Accounts in any organizational directory`.",
    ),
    90002: _NO_TENANT,
    900023: _NO_TENANT,
    53003: SignInRow(
        "blocked_by_conditional_access",
        "a Conditional Access policy for workload identities blocked the sign-in",
        "Have an administrator exclude the application, or allow the addresses it comes from.",
    ),
    90033: SignInRow(
        "sign_in_unavailable",
        "Entra ID had a fault of its own",
        "Nothing needs to be done; it is tried again.",
        waits=True,
    ),
}

RELOADS_CERTIFICATE = frozenset({700027, 700024, 7000214, 1000502, 7000274})
"""Codes after which the certificate is read from the vault again (Microsoft.Identity.Web)."""


def codes_of(error: AzureError) -> list[int]:
    """The ``AADSTS`` numbers of a failure: of the answer where there is one, else of the text."""
    answered = _answer(error).get("error_codes")
    if isinstance(answered, list) and answered:
        return [int(code) for code in answered]
    return [int(code) for code in re.findall(r"AADSTS(\d+)", str(error.message))]


def classify(
    error: AzureError, *, tenant_id: str | None, what: str, young: bool = False
) -> OnboardingError:
    """The family's member for a failure of azure-identity.

    ``what`` names who signed in where. ``young``: the application, its service principal or its
    certificate was made moments ago, by us.
    """
    from azure.core.exceptions import (
        ClientAuthenticationError,
        HttpResponseError,
        ServiceRequestError,
        ServiceResponseError,
    )
    from azure.identity import CredentialUnavailableError

    request_id = _answer(error).get("trace_id")
    request_id = str(request_id) if request_id else None
    subject = f"{what} in tenant {tenant_id}"
    status = getattr(error, "status_code", None)
    known = [TABLE[code] for code in codes_of(error) if code in TABLE]
    if known:
        row = known[0]
        shown = ", ".join(f"AADSTS{code}" for code in codes_of(error))
        kind = NotYet if row.waits or (row.waits_young and young) else Refused
        return kind(
            row.ours,
            f"{subject}: {row.meaning} ({shown}){_federation(error, row)}",
            remediation=row.remediation,
            tenant_id=tenant_id,
            request_id=request_id,
        )
    if isinstance(error, CredentialUnavailableError):
        return Refused(
            "identity_unavailable",
            f"{subject}: there is no identity here to sign in with: {_quote(error)}",
            remediation="In Azure, assign the managed identity to the function app. On your own"
            " machine, set IDENTITY to `azure-cli` and run `az login`.",
            tenant_id=tenant_id,
        )
    unreached = isinstance(error, ServiceRequestError | ServiceResponseError)
    # A gateway's page instead of JSON counts as an outage, like any 5xx and 429.
    strained = isinstance(status, int) and (status == 429 or status >= 500)
    if (unreached and "CERTIFICATE_VERIFY_FAILED" not in str(error)) or strained:
        return NotYet(
            "sign_in_unavailable",
            f"{subject}: Entra ID gave no answer ({type(error).__name__})",
            remediation="Check that the sign-in host can be reached; it is tried again.",
            tenant_id=tenant_id,
            request_id=request_id,
        )
    if unreached:
        return Refused(
            "tls_untrusted",
            f"{subject}: the certificate of the sign-in host is not trusted",
            remediation="If this network inspects TLS, name its authority in TRUSTED_CA_FILE.",
            tenant_id=tenant_id,
        )
    rejected = isinstance(error, ClientAuthenticationError | HttpResponseError)
    return Refused(
        "sign_in_refused",
        f"{subject}: the sign-in was refused: {_quote(error) if rejected else 'no reason given'}",
        remediation="Look the code up in Entra ID's list of error codes, or open a support case"
        " with the trace id.",
        tenant_id=tenant_id,
        request_id=request_id,
    )


def _answer(error: AzureError) -> dict[str, object]:
    response = getattr(error, "response", None)
    if response is None:
        return {}
    try:
        return msgspec.json.decode(response.text(), type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _quote(error: AzureError) -> str:
    text = " ".join(str(error.message).split())
    # An assertion or a key would be a long unbroken word; error texts have none.
    return re.sub(r"\S{200,}", "…", text)[:LONGEST_QUOTE]


def _federation(error: AzureError, row: SignInRow) -> str:
    """What was presented, for a federated credential that does not match: Entra's text says it."""
    if row.ours != "federated_credential_not_found":
        return ""
    return f": {_quote(error)}"
