"""Results announced to a webhook of the operator's own, signed so that they can be trusted.

The body is the same CloudEvent that a topic gets. It is signed as Standard Webhooks 1.0.0 says,
with three headers, so that a receiver can use that standard's libraries instead of code of its own:

``webhook-id``
    The event's id (dots made hyphens, since a dot separates what is signed). It stays the same when
    a delivery is repeated: a receiver acts once for each id.
``webhook-timestamp``
    Seconds since 1970 of this attempt. A receiver refuses one that is minutes away from its clock,
    so that a delivery that was overheard cannot be played again later.
``webhook-signature``
    ``v1,`` and the base64 of HMAC-SHA256 over ``<webhook-id>.<webhook-timestamp>.<raw body>``.

The secret is ``whsec_`` and the base64 of 24 to 64 random bytes; the key is those bytes. It is read
from the vault at the first delivery, and again after a receiver did not accept a signature.

Each call makes one attempt; durable timers do the waiting. Redirects are not followed and answers
are not read: only their status counts. An address of a webhook is often a secret by itself, so only
its host is ever named. Left out: the handshake of the CloudEvents webhook specification, which
protects receivers of senders that anybody can point at them; here the operator sets the address.

Source: Standard Webhooks 1.0.0, "Verifying webhook authenticity"; CloudEvents 1.0, HTTP binding.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import httpx

from shared.cloud_events import MEDIA_TYPE, cloud_event
from shared.config import Settings
from shared.errors import NotYet, Refused
from shared.tls import client_context

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
SECRET_PREFIX = "whsec_"  # noqa: S105  # the public mark of a secret, not one
SECRET_BYTES = range(24, 65)
"""How long the key may be."""
TIMEOUT = httpx.Timeout(15.0, connect=10.0)
"""Seconds."""

_HEALS = frozenset({408, 425, 429})


def read_secret(text: str) -> bytes:
    """The key in a secret of the form ``whsec_<base64>``.

    Raises:
        Refused: ``webhook_secret_unusable``, which does not quote it.
    """
    encoded = text.strip().removeprefix("\ufeff")
    try:
        key = base64.b64decode(encoded.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""  # without the cause, which may quote the secret
    if not encoded.startswith(SECRET_PREFIX) or len(key) not in SECRET_BYTES:
        raise Refused(
            "webhook_secret_unusable",
            f"the webhook's secret is not {SECRET_PREFIX} and the base64 of"
            f" {SECRET_BYTES.start} to {SECRET_BYTES.stop - 1} bytes",
            remediation=(
                "Store a new secret in the vault, and give it to the receiver as well, such as the"
                f' output of: printf "{SECRET_PREFIX}%s" "$(openssl rand -base64 32)"'
            ),
        )
    return key


def signature(key: bytes, *, id: str, timestamp: int, body: bytes) -> str:
    """The value of the signature header."""
    signed = f"{id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


class Webhook:
    """A webhook at ``url``, used like a topic (see `shared.notifications.Notifications`).

    ``secret`` reads the secret's text from the vault.
    """

    def __init__(
        self,
        settings: Settings,
        url: str,
        secret: Callable[[], Awaitable[str]],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._url = url
        self._read_secret = secret
        self._now = now
        self._key: bytes | None = None
        self._host = httpx.URL(url).host

    async def publish(
        self, kind: str, subject: str, data: Mapping[str, Any], *, id: str, time: datetime
    ) -> None:
        """Deliver an event once.

        Raises:
            NotYet: ``webhook_unreachable``, ``webhook_busy``: it may be delivered again.
            Refused: ``webhook_forbidden``, ``webhook_refused``, ``webhook_untrusted``,
                ``webhook_secret_unusable``, and what reading the vault raises.
        """
        if self._key is None:
            self._key = read_secret(await self._read_secret())
        body = cloud_event(kind, subject, data, id=id, time=time)
        # "." separates the parts that are signed.
        message_id, timestamp = id.replace(".", "-"), int(self._now().timestamp())
        headers = {
            "Content-Type": MEDIA_TYPE,
            ID_HEADER: message_id,
            TIMESTAMP_HEADER: str(timestamp),
            SIGNATURE_HEADER: signature(self._key, id=message_id, timestamp=timestamp, body=body),
        }
        try:
            async with self._http.stream(
                "POST", self._url, content=body, headers=headers
            ) as response:
                self._judge(response)
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise Refused(
                    "webhook_untrusted",
                    f"the certificate of the webhook at {self._host} is not trusted",
                    remediation="Name its authority in TRUSTED_CA_FILE, or correct the address.",
                ) from error
            raise NotYet(
                "webhook_unreachable",
                f"the webhook at {self._host} does not answer",
                remediation="Check the webhook's address and the network.",
            ) from error

    async def aclose(self) -> None:
        """Close the connections."""
        if "_http" in self.__dict__:
            await self.__dict__.pop("_http").aclose()

    def _judge(self, response: httpx.Response) -> None:
        status = response.status_code
        if response.is_success:
            return
        if status in _HEALS or status >= 500:
            seconds = response.headers.get("retry-after", "")
            raise NotYet(
                "webhook_busy",
                f"the webhook at {self._host} answered {status}",
                remediation="Send the request again later.",
                retry_after=float(seconds) if seconds.isdecimal() else None,
            )
        if status in (401, 403):
            self._key = None  # a new one may be in the vault by now
            raise Refused(
                "webhook_forbidden",
                f"the webhook at {self._host} does not accept our signature ({status})",
                remediation="Give the receiver the secret that is in the vault; check its clock.",
            )
        raise Refused(
            "webhook_refused",
            f"the webhook at {self._host} answered {status}",
            remediation="Check the webhook's address; redirects are not followed.",
        )

    @cached_property
    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=client_context(self._settings), timeout=TIMEOUT)
