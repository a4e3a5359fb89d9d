"""The scanner's messages in our words: one table from what it says to what that means.

Mondoo publishes no list of these texts. The rows come from the scanner's sources and from field
reports (named beside them); the sign-in rows go by Entra's AADSTS numbers, which are published. A
message's identifier is taken as a hint only, since its spelling is Mondoo's own. A text that no row
knows has no meaning here and is passed on as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.models import CauseKind
from shared.mondoo.integrations import Message

SERVICES = {
    "entra": "Entra ID",
    "exchange": "Exchange Online",
    "sharepoint": "SharePoint Online",
    "teams": "Teams",
    "intune": "Intune",
}
"""The services of the statement, with the names that people know."""

EVERYTHING = tuple(SERVICES)
AZURE = "azure"
NAMES = {**SERVICES, AZURE: "Azure"}
"""All that a statement may tell of; Azure only where its subscriptions are to be scanned."""


@dataclass(frozen=True)
class Meaning:
    """What a message means.

    ``permission`` names the one that is missing, on ``resource`` (a service of the manifests).
    ``refused``: a service said no without saying why; who knows the grants can tell.
    ``whole``: nothing of the services was scanned.
    """

    services: tuple[str, ...]
    kind: CauseKind
    code: str
    text: str = ""
    remediation: str = ""
    permission: str | None = None
    resource: str = "graph"
    refused: bool = False
    whole: bool = True


@dataclass(frozen=True)
class _Row:
    pattern: str
    kind: CauseKind
    code: str
    text: str
    remediation: str


ABSENT = (
    "If the tenant has no licence for it, nothing is wrong. Otherwise open the service once as an"
    " administrator of the tenant, then onboard the tenant again."
)
"""What to do where a tenant has no principal of a service; audits say the same."""
_LICENCE = (
    "If the tenant has no licence for it, nothing is wrong. Otherwise assign a licence, or enable"
    " the service under Enterprise applications, and send the request again."
)
_AGAIN = "Send the request again; if it persists, look at the service's status page."
_GIVEN_AGAIN = (
    "Send the request again: Mondoo is given the certificate from the vault anew. If somebody"
    " changed the integration in the Mondoo Console, ask them to leave it."
)

_ROWS = (
    _Row(
        "AADSTS700027",
        CauseKind.CREDENTIAL,
        "certificate_not_registered",
        "the certificate that Mondoo signs in with is not registered on the application",
        "Send the request again: the vault's certificate is added to the application and given to"
        " Mondoo.",
    ),
    _Row(
        "AADSTS(700024|1000502)|certificate has expired",
        CauseKind.CREDENTIAL,
        "certificate_expired",
        "the certificate that Mondoo signs in with is outside its validity",
        "Send the request again: a new certificate is issued, added to the application and given"
        " to Mondoo.",
    ),
    _Row(
        "AADSTS700021[34]",
        CauseKind.CREDENTIAL,
        "certificate_revoked",
        "the certificate that Mondoo signs in with is revoked, or its chain is not trusted",
        "Delete the certificate in the vault and send the request again: a new one is issued.",
    ),
    _Row(
        "AADSTS70021(1|2|3|37|38)?(?!\\d)",
        CauseKind.CREDENTIAL,
        "federated_credential_missing",
        "the integration signs in without a key, and the application does not trust Mondoo's"
        " issuer for it",
        "Send the request again: the integration is given the certificate, which all services"
        " accept.",
    ),
    _Row(
        "AADSTS7000112|application .* is disabled",
        CauseKind.APPLICATION,
        "application_disabled",
        "the application is disabled in the tenant",
        "Have an administrator of the tenant enable it (Entra admin center, Enterprise"
        " applications, Properties), or send the request again, which enables what is ours.",
    ),
    _Row(
        "AADSTS(700016|7000229)",
        CauseKind.APPLICATION,
        "application_missing",
        "the application does not exist in the tenant any more",
        "Send the request again: the application is made anew.",
    ),
    _Row(
        "AADSTS(90002|900023)|invalid tenant id",
        CauseKind.CREDENTIAL,
        "integration_tenant_wrong",
        "the tenant of the integration does not exist",
        "Compare the tenant id of the integration in the Mondoo Console; a deleted tenant cannot"
        " be scanned.",
    ),
    _Row(
        "AADSTS53003",
        CauseKind.APPLICATION,
        "blocked_by_conditional_access",
        "a Conditional Access policy for workload identities blocks the scanner",
        "Have an administrator of the tenant exclude the application from the policy, or allow"
        " the addresses that Mondoo publishes.",
    ),
    _Row(
        "AADSTS(500011|650052)",
        CauseKind.LICENCE,
        "resource_absent",
        "the tenant does not have the service",
        ABSENT,
    ),
    _Row(
        "AADSTS500014",
        CauseKind.LICENCE,
        "resource_disabled",
        "the service is disabled in the tenant",
        _LICENCE,
    ),
    # mondoohq/mql#1113, #1162, #2572 and the provider's README: a PEM that cannot be used.
    _Row(
        "found no (private key|certificate)|found multiple private keys|not an RSA key"
        "|error reading P12 data|unknown digest algorithm|could not parse provided certificate",
        CauseKind.CREDENTIAL,
        "integration_certificate_unusable",
        "Mondoo holds a certificate or key that it cannot use",
        _GIVEN_AGAIN,
    ),
    # mql: ms365_sharepoint.go refuses every credential but a certificate.
    _Row(
        "only certificate authentication is supported",
        CauseKind.CREDENTIAL,
        "sharepoint_needs_certificate",
        "the integration signs in without a key, which SharePoint Online does not accept from the"
        " scanner",
        "Send the request again: the integration is given the certificate.",
    ),
    _Row(
        r"\blicen[cs]e|not licensed",
        CauseKind.LICENCE,
        "licence_missing",
        "the tenant has no licence for it",
        _LICENCE,
    ),
    _Row(
        r"did not answer|status (429|5\d\d)\b|could not connect to Microsoft Graph"
        r"|: (Connect|Read|Write|Pool|Remote|Service)\w*(Error|Timeout)$",
        CauseKind.OTHER,
        "scan_interrupted",
        "a service gave the scanner no answer",
        _AGAIN,
    ),
)

_SCOPE = re.compile(r"missing permission scope ([\w.-]+)(?: of ([\w ]+?))? \(")
_PROTECTION = "exchange-protection"
_REFUSED = re.compile(
    r"status 40[13]\b|access denied|unauthorized|isn't supported in this scenario", re.IGNORECASE
)


def meaning(message: Message) -> Meaning | None:
    """What a message means; None for one that no row knows."""
    text = message.text
    scope = _SCOPE.search(text)
    if scope:
        return _permission(scope[1], _PROTECTION if scope[2] else _resource(message.identifier))
    if "Auth token does not contain valid permissions" in text:  # mondoohq/cnspec#1728
        return _permission("SecurityEvents.Read.All", "graph")
    services = services_of(message)
    for row in _ROWS:
        if re.search(row.pattern, text, re.IGNORECASE):
            return Meaning(
                services, row.kind, row.code, row.text, row.remediation, whole=_whole(message)
            )
    if "Insufficient privileges" in text:
        return Meaning(EVERYTHING, CauseKind.PERMISSION, "graph_refused", refused=True)
    if services and "entra" not in services and _REFUSED.search(text):
        return Meaning(services, CauseKind.PERMISSION, "service_refused", refused=True)
    return None


def services_of(message: Message) -> tuple[str, ...]:
    """The services that a message is about; empty when it does not say."""
    said = f"{message.identifier} {message.text}".lower()
    if message.identifier == "connection" or said.strip().startswith("authentication failed"):
        return EVERYTHING
    # The identifier first: a text about one service may quote another's.
    for source in (message.identifier.lower(), message.text.lower()):
        for words, service in _WORDS:
            if any(word in source for word in words):
                return (service,)
    return ()


def service_of_permission(name: str, resource: str) -> str:
    """The service of the statement that a permission serves."""
    if resource in ("exchange", _PROTECTION):
        return "exchange"
    if resource == "sharepoint":
        return "sharepoint"
    if name.startswith("DeviceManagement"):
        return "intune"
    # Teams PowerShell asks for it when an application signs in (CIS 8.x).
    return "teams" if name == "Organization.Read.All" else "entra"


_WORDS = (
    (("exchange", "outlook"), "exchange"),
    (("sharepoint", "onedrive", "pnp"), "sharepoint"),
    (("teams",), "teams"),
    (("intune", "devicemanagement"), "intune"),
    (("graph", "entra", "conditional access", "policies"), "entra"),
)


def _permission(name: str, resource: str) -> Meaning:
    return Meaning(
        (service_of_permission(name, resource),),
        CauseKind.PERMISSION,
        "permission_refused",
        permission=name,
        resource=resource,
        whole=False,
    )


def _resource(identifier: str) -> str:
    known = identifier.lower()
    return known if known in ("exchange", "sharepoint", _PROTECTION) else "graph"


def _whole(message: Message) -> bool:
    """Of Graph's many reports one may fail; the compliance session is a part of Exchange."""
    return message.identifier not in ("graph", _PROTECTION)
