"""One family of errors: what happened, a stable code, and what to do next.

    OnboardingError
    ├── SettingsError             the app must not start
    ├── RequestError              the caller's fault; nothing was changed
    │   ├── InvalidRequest        400
    │   ├── Unauthenticated       401
    │   ├── Forbidden             403
    │   ├── NotFound              404
    │   ├── UnknownContentType    415
    │   ├── Conflict              409
    │   ├── TenantBusy            409
    │   └── OperationEnded        409
    ├── NotYet                    true soon, perhaps: wait with a durable timer, then ask again
    ├── OutcomeUnknown            the request left, the answer did not arrive: look before repeating
    └── Refused                   a service, or a check of ours, said no: waiting will not help
        └── Unusable              a certificate or key that must not be used

A service client raises one of the last three (`NotYet`, `OutcomeUnknown`, `Refused`) with the code
of the condition. A step turns them into outcomes in one place (`shared.outcomes`),
and HTTP triggers turn any error of the family into RFC 9457 problem details in one place
(`shared.triggers.problems`). No text in here ever holds a key, a PEM or a token: errors are built
from names, codes and ids only.
"""

from __future__ import annotations

from typing import ClassVar


class OnboardingError(Exception):
    """Base of the family.

    ``code`` is stable and documented; ``message`` tells the operator what happened;
    ``remediation`` tells what to do next. ``tenant_id`` and ``request_id`` (the service's own
    correlation id) are there when they are known.
    """

    status: ClassVar[int] = 500

    def __init__(
        self,
        code: str,
        message: str,
        *,
        remediation: str,
        tenant_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.remediation = remediation
        self.tenant_id = tenant_id
        self.request_id = request_id


class SettingsError(OnboardingError):
    """Settings are missing or malformed; ``problems`` names every one of them."""

    def __init__(self, problems: list[str]) -> None:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(
            "settings_invalid",
            f"the app was not started, because of its settings:\n{listed}",
            remediation="Correct these application settings and start again.",
        )
        self.problems = problems


class RequestError(OnboardingError):
    """The request cannot be carried out as it was sent. Nothing was changed."""

    status = 400

    def __init__(
        self,
        code: str,
        message: str,
        *,
        remediation: str,
        field: str | None = None,
        tenant_id: str | None = None,
    ) -> None:
        super().__init__(code, message, remediation=remediation, tenant_id=tenant_id)
        self.field = field


class InvalidRequest(RequestError):
    """A field of the request, named by ``field``, is not what it must be."""


class Unauthenticated(RequestError):
    """It is not known who calls, or the request is not from whom it says it is."""

    status = 401


class Forbidden(RequestError):
    """The caller is known, and may not do this."""

    status = 403


class NotFound(RequestError):
    """What the request names does not exist."""

    status = 404


class UnknownContentType(RequestError):
    """The body is in a media type that is not taken here."""

    status = 415


class Conflict(RequestError):
    """What the tenant has, or the state it is in, does not allow it."""

    status = 409


class TenantBusy(RequestError):
    """Another operation is running on this tenant; ``operation_id`` says which."""

    status = 409

    def __init__(self, tenant_id: str, operation_id: str) -> None:
        super().__init__(
            "tenant_busy",
            f"operation {operation_id} is still running on tenant {tenant_id}",
            remediation="Follow the running operation, and send the request again when it ended.",
            tenant_id=tenant_id,
        )
        self.operation_id = operation_id


class OperationEnded(RequestError):
    """The operation ``operation_id`` has ended, so it cannot be stopped."""

    status = 409

    def __init__(self, tenant_id: str, operation_id: str, how: str) -> None:
        super().__init__(
            "operation_ended",
            f"operation {operation_id} has ended: {how}",
            remediation="Look at the operation. Nothing was stopped, and nothing was undone.",
            tenant_id=tenant_id,
        )
        self.operation_id = operation_id


class NotYet(OnboardingError):
    """A condition that usually heals by waiting: replication, throttling, an outage, a scan.

    ``retry_after`` (seconds) is the service's own wish, when it had one.
    """

    status = 503

    def __init__(
        self,
        code: str,
        message: str,
        *,
        remediation: str,
        retry_after: float | None = None,
        tenant_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(
            code, message, remediation=remediation, tenant_id=tenant_id, request_id=request_id
        )
        self.retry_after = retry_after


class OutcomeUnknown(OnboardingError):
    """A change was asked for and no answer came: it may or may not have been made."""

    status = 502


class Refused(OnboardingError):
    """A service, or a check of ours, said no. Waiting will not change the answer."""

    status = 502


class Unusable(Refused):
    """A certificate or a private key that must not be used, with the reason as ``code``."""

    status = 400
