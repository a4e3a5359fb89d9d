"""The coverage statement: for each service scanned, partly scanned or not, and because of what.

Three things are weighed: what the scan's messages say, what the application was granted, and what
the tenant does not have. Mondoo's scanner need not name every permission that it misses, so grants
are compared with the newest list of permissions as well, whether or not a message mentions one. A
service counts as scanned only if nothing speaks against it.

A cause is ``high`` when it stands in the way of what onboarding promised (the chosen manifest, a
working credential); the tenant is then not called onboarded. A service that the tenant does not
have, and a permission that only a newer list wants, are told and do no harm.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from shared.coverage.messages import (
    ABSENT,
    EVERYTHING,
    NAMES,
    SERVICES,
    Meaning,
    meaning,
    service_of_permission,
    services_of,
)
from shared.manifest import Manifest, Permission, load_manifest, manifest_names
from shared.models import (
    CauseKind,
    CoverageCause,
    CoverageState,
    Finding,
    ResourcePrincipal,
    ServiceCoverage,
    Severity,
)
from shared.mondoo.integrations import Integration, Message

_NEEDS_ROLE = ("exchange", "teams")
"""Services that answer an application only if it holds a directory role."""
FEW = 3
"""So many permissions are told one by one; more than that are summed up."""
_EFFECT = (
    "Tokens that were made before a grant live for an hour: wait, then send the request again."
)


LOST_KEYLESS = "sharepoint_needs_certificate"
"""The code of what a tenant without a certificate gives up, as it was told beforehand."""

_KEYLESS = {
    LOST_KEYLESS: 'Nothing, if that is wanted. Else send "authentication": "certificate".',
    "federated_credential_missing": "Send the request again: the application is made to trust the"
    " issuer and the subject that the integration signs in with.",
}
"""What to do where keyless is what was asked for."""


@dataclass(frozen=True)
class Access:
    """What the application has in the tenant.

    ``granted`` holds "<resource app id>/<app role id>"; ``resources`` are the services' principals
    that the tenant has; ``directory_role``: Global Reader is assigned for the whole tenant;
    ``keyless``: Mondoo is meant to sign in without a certificate.
    """

    granted: frozenset[str]
    resources: tuple[ResourcePrincipal, ...]
    directory_role: bool
    keyless: bool = False


@dataclass(frozen=True)
class Statement:
    """The coverage of every service, and a finding for each cause and each unknown message."""

    services: list[ServiceCoverage]
    findings: list[Finding]

    @property
    def broken(self) -> bool:
        """Whether something that onboarding promised is not scanned."""
        return any(finding.severity is Severity.HIGH for finding in self.findings)

    @property
    def summary(self) -> str:
        """One line for people."""
        parts = []
        for state, words in _WORDS.items():
            names = [NAMES[each.service] for each in self.services if each.state is state]
            if names:
                parts.append(f"{words}: {', '.join(names)}")
        return "; ".join(parts)


_WORDS = {
    CoverageState.SCANNED: "scanned",
    CoverageState.PARTLY: "partly",
    CoverageState.NOT_SCANNED: "not scanned",
}


def needs_a_look(messages: Iterable[Message]) -> bool:
    """Whether the messages complain of access, so that grants and roles should be read anew."""
    found = [meaning(message) for message in messages if message.matters]
    return any(each is not None and each.kind is CauseKind.PERMISSION for each in found)


def credential_refused(integration: Integration) -> bool:
    """Whether a scan since the last change could not use the credential that Mondoo holds."""
    scanned, changed = integration.scan_finished, integration.last_modified
    if scanned is None or (changed is not None and scanned < changed):
        return False
    found = [meaning(message) for message in integration.messages if message.matters]
    return any(each is not None and each.kind is CauseKind.CREDENTIAL for each in found)


def trust_refused(messages: Iterable[Message]) -> bool:
    """Whether the newest scan was refused because the application does not trust its tokens."""
    found = [meaning(message) for message in messages if message.matters]
    return any(each is not None and each.code == "federated_credential_missing" for each in found)


def statement(messages: Iterable[Message], manifest: Manifest, access: Access) -> Statement:
    """What the scan that left these messages covers."""
    book = _Book(manifest, access)
    for message in messages:
        if message.suppressed:
            continue
        known = meaning(message)
        if message.matters or (known is not None and known.permission is not None):
            book.read(message)
    book.compare_grants()
    return book.closed()


def complaints(messages: Iterable[Message], manifest: Manifest, access: Access) -> list[Finding]:
    """What the messages alone complain of. For an audit, which has looked at grants and roles
    itself: what follows from those is not in it."""
    book = _Book(manifest, access)
    for message in messages:
        if message.matters:
            book.read(message)
    return book.closed().findings


@dataclass(frozen=True)
class _Cause:
    """A cause on its way into the statement; ``whole`` blinds the services altogether."""

    kind: CauseKind
    code: str
    severity: Severity
    services: tuple[str, ...]
    message: str
    remediation: str
    subjects: tuple[str, ...] = ()
    not_scanned: str | None = None
    whole: bool = False


@dataclass
class _Book:
    """Collects causes; each has its place once, however often and in whatever words it is told."""

    manifest: Manifest
    access: Access
    causes: list[_Cause] = field(default_factory=list)
    unknown: list[Finding] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    """The scanner's own words on a service that refused it."""

    def read(self, message: Message) -> None:
        """What a message means, given what we know of the tenant."""
        known = meaning(message)
        if known is None:
            self._pass_on(message)
        elif known.permission is not None:
            self._named(known)
        elif known.refused:
            for service in known.services:
                self._refused(service, message)
        else:
            keyless = _KEYLESS.get(known.code) if self.access.keyless else None
            # What the tenant has no licence for, or was told it would lose, breaks no promise.
            lost = self.access.keyless and known.code == LOST_KEYLESS
            bearable = known.kind is CauseKind.LICENCE or lost
            self._add(
                _Cause(
                    known.kind,
                    known.code,
                    Severity.MEDIUM if bearable else Severity.HIGH,
                    known.services,
                    f"{known.text} ({message.text})",
                    keyless or known.remediation,
                    whole=known.whole,
                )
            )

    def _pass_on(self, message: Message) -> None:
        """A message that nobody has explained to us."""
        finding = passed_on(message)
        if finding not in self.unknown:
            self.unknown.append(finding)
        if finding.severity is Severity.HIGH:
            services = services_of(message) or EVERYTHING
            self.causes.append(
                _Cause(
                    CauseKind.OTHER,
                    "scan_message",
                    Severity.HIGH,
                    services,
                    message.text,
                    finding.remediation,
                )
            )

    def compare_grants(self) -> None:
        """Permissions of the chosen list and of the newest one, and the directory role."""
        newest = load_manifest(manifest_names()[-1])
        chosen = self.manifest.by_key()
        for key, permission in {**newest.by_key(), **chosen}.items():
            if "/".join(key) not in self.access.granted:
                self._lacking(permission, wanted=key in chosen)
        if not self.access.directory_role:
            role = self.manifest.directory_roles[0]
            self._add(
                _Cause(
                    CauseKind.ROLE,
                    "directory_role_missing",
                    Severity.HIGH,
                    _NEEDS_ROLE,
                    f"the application does not hold {role.name}" + self._quoted("exchange"),
                    f"Send the request again: {role.name} is assigned.",
                    subjects=(role.name,),
                    not_scanned=role.without_it,
                    whole=True,
                )
            )

    def closed(self) -> Statement:
        """The statement, with the findings that matter most first."""
        found = [_finding(cause) for cause in self.causes if cause.code != "scan_message"]
        order = list(Severity)
        return Statement(
            [self._service(service) for service in SERVICES],
            sorted(found + self.unknown, key=lambda each: order.index(each.severity)),
        )

    def _named(self, known: Meaning) -> None:
        """The scanner misses a permission by name. Where it is granted, it is not effective."""
        found = next(
            (
                permission
                for permission in self._permissions()
                if (permission.name, permission.resource) == (known.permission, known.resource)
            ),
            None,
        )
        if found is None:
            self._add(
                _Cause(
                    CauseKind.PERMISSION,
                    "permission_not_in_manifest",
                    Severity.INFO,
                    known.services,
                    "asked for by the scanner, and in no published list",
                    "Nothing to do here until a published list has what the scanner asks for.",
                    subjects=(self._name(known.permission or "", known.resource),),
                )
            )
        elif self._granted(found):
            self._ineffective(found, known.services[0])
        # Else `compare_grants` tells of it, with the reason why it is not granted.

    def _refused(self, service: str, message: Message) -> None:
        """A service said no, and not why: the grants decide."""
        self.said.setdefault(service, message.text)
        if service in _NEEDS_ROLE and not self.access.directory_role:
            return  # told by `compare_grants`
        wanted = [
            permission
            for permission in self.manifest.permissions
            if service_of_permission(permission.name, permission.resource) == service
        ]
        if not all(self._granted(permission) for permission in wanted):
            return  # likewise
        if service == "exchange":
            self._add(
                _Cause(
                    CauseKind.ROLE,
                    "exchange_not_ready",
                    Severity.HIGH,
                    ("exchange",),
                    "permission and directory role are there, and Exchange Online does not honour"
                    f" them yet ({message.text})",
                    "Exchange Online takes up to a few hours for a new role: wait, then send the"
                    " request again.",
                    whole=True,
                )
            )
            return
        self._add(
            _Cause(
                CauseKind.PERMISSION,
                "permission_not_effective",
                Severity.HIGH,
                (service,),
                f"granted, and refused to the scanner nevertheless ({message.text})",
                _EFFECT,
                subjects=tuple(
                    self._name(permission.name, permission.resource) for permission in wanted
                ),
                whole=True,
            )
        )

    def _ineffective(self, permission: Permission, service: str) -> None:
        self._add(
            _Cause(
                CauseKind.PERMISSION,
                "permission_not_effective",
                Severity.HIGH,
                (service,),
                "granted, and not in the scanner's token",
                _EFFECT,
                subjects=(self._name(permission.name, permission.resource),),
                not_scanned=permission.without_it,
            )
        )

    def _lacking(self, permission: Permission, *, wanted: bool) -> None:
        service = service_of_permission(permission.name, permission.resource)
        present = {each.service: each for each in self.access.resources if each.enabled}
        resource = present.get(permission.resource)
        # Without its own permission nothing of a service is read, but for the compliance session.
        whole = permission.resource != "exchange-protection"
        cause = _Cause(
            CauseKind.PERMISSION,
            "permission_missing",
            Severity.HIGH,
            (service,),
            "not granted to the application" + self._quoted(service),
            "Send the request again: what is missing is granted, with admin consent.",
            subjects=(self._name(permission.name, permission.resource),),
            not_scanned=permission.without_it,
            whole=whole and (permission.resource != "graph" or self._last_of(service)),
        )
        if not wanted:
            cause = replace(
                cause,
                code="permission_not_in_manifest",
                severity=Severity.INFO,
                message=f"not in the list {self.manifest.name}",
                remediation=f'Send the request with "manifest": "{manifest_names()[-1]}" to have'
                " all of that list granted.",
            )
        elif resource is None:
            cause = replace(
                cause,
                kind=CauseKind.LICENCE,
                code="resource_absent",
                severity=Severity.MEDIUM,
                message=f"{self.manifest.resource(permission.resource).name} is not in use here",
                remediation=ABSENT,
                subjects=(self.manifest.resource(permission.resource).name,),
            )
        elif permission.id in resource.roles_missing:
            cause = replace(
                cause,
                code="app_role_absent",
                severity=Severity.MEDIUM,
                message="not offered in this tenant",
                remediation="Send the request again once Microsoft offers what is missing.",
            )
        self._add(cause)

    def _quoted(self, service: str) -> str:
        return f" ({self.said[service]})" if service in self.said else ""

    def _last_of(self, service: str) -> bool:
        """Whether no permission of the service is granted at all."""
        return not any(
            self._granted(permission)
            for permission in self._permissions()
            if service_of_permission(permission.name, permission.resource) == service
        )

    def _name(self, permission: str, service: str) -> str:
        """A permission, with its API where that is not Microsoft Graph: two APIs have a role
        called Exchange.ManageAsApp."""
        if service == "graph":
            return permission
        newest = load_manifest(manifest_names()[-1])
        return f"{permission} of {newest.resource(service).name}"

    def _permissions(self) -> list[Permission]:
        newest = load_manifest(manifest_names()[-1])
        return list({**newest.by_key(), **self.manifest.by_key()}.values())

    def _granted(self, permission: Permission) -> bool:
        newest = load_manifest(manifest_names()[-1])
        keys = {**newest.by_key(), **self.manifest.by_key()}
        return any(
            known == permission and "/".join(key) in self.access.granted
            for key, known in keys.items()
        )

    def _add(self, cause: _Cause) -> None:
        """Causes of one code are one cause with several subjects, service by service."""
        for number, known in enumerate(self.causes):
            same_place = known.services == cause.services or known.kind is CauseKind.CREDENTIAL
            same_remedy = known.remediation == cause.remediation
            if known.code == cause.code and same_place and same_remedy:
                self.causes[number] = replace(
                    known,
                    subjects=tuple(dict.fromkeys(known.subjects + cause.subjects)),
                    not_scanned="; ".join(
                        dict.fromkeys(
                            text for text in (known.not_scanned, cause.not_scanned) if text
                        )
                    )
                    or None,
                    whole=known.whole or cause.whole,
                )
                return
        self.causes.append(cause)

    def _service(self, service: str) -> ServiceCoverage:
        causes = [cause for cause in self.causes if service in cause.services]
        state = CoverageState.SCANNED
        if causes:
            blind = any(cause.whole for cause in causes)
            state = CoverageState.NOT_SCANNED if blind else CoverageState.PARTLY
        return ServiceCoverage(
            service,
            state,
            [
                CoverageCause(cause.kind, cause.code, cause.message, list(cause.subjects))
                for cause in causes
            ],
        )


def passed_on(message: Message) -> Finding:
    """A message in its own words."""
    return Finding(
        code="scan_message",
        severity=Severity.HIGH if message.status == "ERROR" else Severity.MEDIUM,
        subject=message.identifier or "scan",
        message=message.text,
        remediation="See what the message names; the scanner reported it in its own words.",
    )


def _finding(cause: _Cause) -> Finding:
    names = ", ".join(cause.subjects)
    services = ", ".join(SERVICES[service] for service in cause.services)
    whole = len(cause.services) == len(SERVICES)
    few = len(cause.subjects) <= FEW
    place = "connection" if whole else services
    return Finding(
        code=cause.code,
        severity=cause.severity,
        subject=names if names and few else place,
        message=f"{names}: {cause.message}" if names else cause.message,
        remediation=cause.remediation,
        not_scanned=(few and cause.not_scanned)
        or ("the whole tenant" if whole else services if cause.whole else f"parts of {services}"),
    )
