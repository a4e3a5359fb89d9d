"""Results announced to an Event Grid topic, as CloudEvents 1.0.

One POST for each event, with a token of our own identity. A receiver knows a repeated event by its
source and id, so publishing again does no harm, and an announcement without an answer is simply
made again. Without a topic in the settings nothing is announced, and nothing else changes.

Source: CloudEvents 1.0 (JSON format, HTTP binding); Event Grid, "publish CloudEvents to a topic".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from shared.cloud_events import MEDIA_TYPE, cloud_event
from shared.config import Settings
from shared.errors import NotYet, Refused
from shared.tls import client_context

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

TENANT_ONBOARDED = "io.mondoo.onboarding.tenant.onboarded"
TENANT_FAILED = "io.mondoo.onboarding.tenant.failed"
AUDIT_COMPLETED = "io.mondoo.onboarding.audit.completed"
AUDIT_STOPPED = "io.mondoo.onboarding.audit.stopped"
TENANT_OFFBOARDED = "io.mondoo.onboarding.tenant.offboarded"
CERTIFICATE_ROTATED = "io.mondoo.onboarding.certificate.rotated"
CERTIFICATE_NOT_ROTATED = "io.mondoo.onboarding.certificate.not-rotated"
API_VERSION = "2018-01-01"
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""Seconds."""


class Notifications(Protocol):
    """Where results are announced."""

    async def publish(
        self, kind: str, subject: str, data: Mapping[str, Any], *, id: str, time: datetime
    ) -> None:
        """Announce that ``kind`` happened to ``subject`` at ``time``; ``id`` tells repeats.

        Raises:
            NotYet: ``events_unreachable``, ``events_busy``.
            Refused: ``events_forbidden``, ``events_refused``, ``events_untrusted``.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


def open_notifications(
    settings: Settings, credential: Callable[[], AsyncTokenCredential]
) -> Notifications:
    """The topic that ``EVENT_TOPIC_ENDPOINT`` names, or silence."""
    if settings.event_topic_endpoint is None:
        return Silence()
    return EventGridTopic(settings, settings.event_topic_endpoint, credential)


class Silence:
    """No topic is set: nothing is announced."""

    async def publish(
        self, kind: str, subject: str, data: Mapping[str, Any], *, id: str, time: datetime
    ) -> None:
        """See `Notifications`."""

    async def aclose(self) -> None:
        """See `Notifications`."""


class EventGridTopic:
    """An Event Grid topic that takes CloudEvents."""

    def __init__(
        self,
        settings: Settings,
        endpoint: str,
        credential: Callable[[], AsyncTokenCredential],
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._credential = credential

    async def publish(
        self, kind: str, subject: str, data: Mapping[str, Any], *, id: str, time: datetime
    ) -> None:
        """See `Notifications`."""
        scope = f"{self._settings.cloud.events_resource}/.default"
        token = await self._credential().get_token(scope)
        try:
            response = await self._http.post(
                self._endpoint,
                params={"api-version": API_VERSION},
                content=cloud_event(kind, subject, data, id=id, time=time),
                headers={
                    "Authorization": f"Bearer {token.token}",
                    "Content-Type": MEDIA_TYPE,
                },
            )
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise Refused(
                    "events_untrusted",
                    f"the certificate of the topic {self._endpoint} is not trusted",
                    remediation="Name its authority in TRUSTED_CA_FILE, or correct the address.",
                ) from error
            raise NotYet(
                "events_unreachable",
                f"the topic {self._endpoint} does not answer",
                remediation="Check EVENT_TOPIC_ENDPOINT and the network.",
            ) from error
        self._judge(response)

    async def aclose(self) -> None:
        """See `Notifications`."""
        if "_http" in self.__dict__:
            await self.__dict__.pop("_http").aclose()

    def _judge(self, response: httpx.Response) -> None:
        status, request_id = response.status_code, response.headers.get("x-ms-request-id")
        if status == 200:
            return
        if status == 429 or status >= 500:
            seconds = response.headers.get("retry-after", "")
            raise NotYet(
                "events_busy",
                f"the topic {self._endpoint} answered {status}",
                remediation="Send the request again later.",
                retry_after=float(seconds) if seconds.isdecimal() else None,
                request_id=request_id,
            )
        if status in (401, 403):
            raise Refused(
                "events_forbidden",
                f"the topic {self._endpoint} refuses us ({status})",
                remediation="Assign our identity the role EventGrid Data Sender on the topic.",
                request_id=request_id,
            )
        raise Refused(
            "events_refused",
            f"the topic {self._endpoint} answered {status}",
            remediation=(
                "Check that EVENT_TOPIC_ENDPOINT is the endpoint of a topic whose input schema is"
                " CloudEvents 1.0."
            ),
            request_id=request_id,
        )

    @cached_property
    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=client_context(self._settings), timeout=TIMEOUT)
