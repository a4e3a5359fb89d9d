"""What an Azure SDK raises, as one of our family: for Key Vault and Table Storage alike.

`asking` wraps a call of an azure-core client. What it decides, it decides by how far the request
came: a request that never left (no connection, no token yet) may be repeated; one that left and got
no answer may be repeated only if repeating it does no harm; an answer is judged by its status, and
a status that is not known to heal is a refusal. The SDKs' own retries are switched off (see
`shared.azure_transport`), since the waiting is done by durable timers.

Errors that only one service has (a soft-deleted name, a missing table) are handled where that
service is called, before this. Failed sign-ins never come this far as such: the credentials of
`shared.entra.identity` raise our family themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import NotYet, OnboardingError, OutcomeUnknown, Refused

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError, HttpResponseError

LONGEST_QUOTE = 300
"""Characters of a service's own message that are passed on."""


@dataclass(frozen=True)
class AzureService:
    """How a service is named in codes and messages, and which role opens it.

    ``code`` is the prefix of its error codes, ``name`` says which instance, ``role`` is what an
    administrator must assign when it answers 403.
    """

    code: str
    name: str
    role: str


@contextmanager
def asking(service: AzureService, what: str, *, repeatable: bool = True) -> Iterator[None]:
    """Turn whatever the SDK raises inside into an `OnboardingError`.

    ``what`` completes "could not …". ``repeatable`` is false for a request that must not be sent
    twice without looking.
    """
    # azure.core costs a tenth of a second to import; a process that asks nothing need not pay.
    from azure.core.exceptions import AzureError

    try:
        yield
    except AzureError as error:
        raise failure(error, service, what, repeatable=repeatable) from error


def failure(
    error: AzureError, service: AzureService, what: str, *, repeatable: bool = True
) -> OnboardingError:
    """The member of our family for ``error``: `NotYet`, `OutcomeUnknown` or `Refused`."""
    # Late for the same reason as above.
    from azure.core.exceptions import (
        DecodeError,
        HttpResponseError,
        ServiceRequestError,
        ServiceResponseError,
    )

    unread = isinstance(error, DecodeError)
    if isinstance(error, HttpResponseError) and error.response is not None and not unread:
        return answer(error, service, what, repeatable=repeatable)
    if isinstance(error, ServiceRequestError) and _untrusted(error):
        return Refused(
            f"{service.code}_untrusted",
            f"could not {what}: the certificate of {service.name} is not trusted",
            remediation="Name its authority in TRUSTED_CA_FILE, or correct the address.",
        )
    if isinstance(error, ServiceRequestError) and _never_left(error):
        return _not_reached(service, what)
    if isinstance(error, ServiceRequestError | ServiceResponseError | DecodeError):
        if repeatable:
            return _not_reached(service, what)
        return OutcomeUnknown(
            f"{service.code}_no_answer",
            f"{service.name} was asked to {what} and did not answer",
            remediation="Send the request again: it looks first at what was done.",
        )
    return Refused(
        f"{service.code}_failed",
        f"could not {what}: {type(error).__name__}",
        remediation=f"Check the settings that name {service.name}.",
    )


def answer(
    error: HttpResponseError, service: AzureService, what: str, *, repeatable: bool = True
) -> OnboardingError:
    """What an answer with an error status means."""
    status, request_id = error.status_code or 0, request_id_of(error)
    if status == 429 or (status in (408, 500, 502, 503, 504) and (repeatable or status == 503)):
        return NotYet(
            f"{service.code}_busy",
            f"could not {what}: {service.name} answered {status}",
            remediation="Send the request again later.",
            retry_after=retry_after_of(error),
            request_id=request_id,
        )
    if status in (408, 500, 502, 504):
        return OutcomeUnknown(
            f"{service.code}_no_answer",
            f"{service.name} was asked to {what} and answered {status}",
            remediation="Send the request again: it looks first at what was done.",
            request_id=request_id,
        )
    if status == 403:
        return Refused(
            f"{service.code}_forbidden",
            f"could not {what}: {service.name} refuses us: {quoted(error)}",
            remediation=(
                f"Assign our identity the role {service.role} on {service.name}, and if the message"
                " speaks of a firewall or of public access, let the function app's network in."
            ),
            request_id=request_id,
        )
    if status == 401:
        return Refused(
            f"{service.code}_unauthenticated",
            f"could not {what}: {service.name} does not accept our token: {quoted(error)}",
            remediation=f"Check that {service.name} belongs to our own tenant and to this cloud.",
            request_id=request_id,
        )
    return Refused(
        f"{service.code}_refused",
        f"could not {what}: {service.name} answered {status}: {quoted(error)}",
        remediation="See the message; the request id helps Azure support to find the call.",
        request_id=request_id,
    )


def request_id_of(error: HttpResponseError) -> str | None:
    """The service's own id of the call."""
    return _headers(error).get("x-ms-request-id")


def retry_after_of(error: HttpResponseError) -> float | None:
    """Seconds that the service asks us to wait; None when it names none, or a date."""
    text = _headers(error).get("Retry-After", "")
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else None


def quoted(error: HttpResponseError) -> str:
    """The service's message on one line, shortened."""
    return " ".join((error.message or "no message").split())[:LONGEST_QUOTE]


def _headers(error: HttpResponseError) -> Mapping[str, str]:
    # Every transport's answer has headers; azure-core's protocol does not say so.
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    return headers


def _not_reached(service: AzureService, what: str) -> NotYet:
    return NotYet(
        f"{service.code}_unreachable",
        f"could not {what}: {service.name} does not answer",
        remediation="Check the address in the settings and the network, then send it again.",
    )


def _never_left(error: AzureError) -> bool:
    # The SDK says "request error" also of connections that broke while we waited for the answer.
    from aiohttp import ClientConnectorError

    return isinstance(error.__cause__, ClientConnectorError)


def _untrusted(error: AzureError) -> bool:
    from aiohttp import ClientConnectorCertificateError

    return isinstance(error.__cause__, ClientConnectorCertificateError)
