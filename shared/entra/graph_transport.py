"""The Graph SDK's part of `shared.entra.graph`: the only module that imports it.

The SDK gives the request adapter, authentication bound to one host, telemetry headers and the retry
middleware. Left out on purpose: its typed models (key credentials must go back exactly as they
were read, and the models cost over a thousand modules at the first call) and its redirects (a
bearer token has no business on another host). Loaded with the first request, for a quick cold
start.
"""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

import httpx
from azure.core.credentials_async import AsyncTokenCredential
from kiota_abstractions.method import Method
from kiota_abstractions.native_response_handler import NativeResponseHandler
from kiota_abstractions.request_information import RequestInformation
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from kiota_http.middleware import ParametersNameDecodingHandler, RetryHandler
from kiota_http.middleware.options import ResponseHandlerOption, RetryHandlerOption
from msgraph.graph_request_adapter import GraphRequestAdapter, options
from msgraph_core import GraphClientFactory
from msgraph_core.middleware import GraphTelemetryHandler
from msgraph_core.middleware.options import GraphTelemetryHandlerOption

RETRIES = 2
LONGEST_PAUSE = 10.0
"""Seconds; longer waits are durable timers, not a sleeping activity."""

TIMEOUT = httpx.Timeout(60.0, connect=15.0)
LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=100)
"""As many tenants as are ever audited at a time, each with one request."""

USER_AGENT = "mondoo-onboarding"


class BriefRetryHandler(RetryHandler):  # type: ignore[misc]  # untyped for us
    """The SDK's retries of 429, 503 and 504, but never a long pause.

    The SDK honours any ``Retry-After`` below three minutes; here an answer that wants more than
    `LONGEST_PAUSE` is returned as it is.
    """

    def get_delay_time(
        self,
        retry_count: int,
        response: httpx.Response | None = None,
        delay: float = RetryHandlerOption.DEFAULT_DELAY,
    ) -> float:
        """Seconds until the next attempt."""
        wish = self._get_retry_after(response)
        if wish is None:
            return float(delay * 2**retry_count)
        # At or above MAX_DELAY the SDK gives up, which is how a handler says "not here".
        return float(wish if wish <= LONGEST_PAUSE else RetryHandlerOption.MAX_DELAY)


class Connections:
    """The connections to Graph of one process, whichever tenants it works for.

    The token makes the tenant, so tenants share connections: thousands of them, each with
    connections of its own, would take a handshake and leave a socket for each.
    """

    def __init__(self, base_url: str, context: ssl.SSLContext) -> None:
        client = httpx.AsyncClient(
            base_url=base_url,
            verify=context,
            timeout=TIMEOUT,
            limits=LIMITS,
            headers={"User-Agent": USER_AGENT},
        )
        # The SDK wraps these in a transport whose close does nothing, so they are kept for closing.
        self._kept = [client._transport, *filter(None, client._mounts.values())]
        self.http = GraphClientFactory.create_with_custom_middleware(
            [
                BriefRetryHandler(RetryHandlerOption(delay=0.25, max_retries=RETRIES)),
                ParametersNameDecodingHandler(),
                GraphTelemetryHandler(options[GraphTelemetryHandlerOption.get_key()]),
            ],
            client=client,
        )

    async def aclose(self) -> None:
        """Close them."""
        await self.http.aclose()
        for transport in self._kept:
            await transport.aclose()


class GraphTransport:
    """Requests to Graph, authenticated as one credential."""

    def __init__(
        self, connections: Connections, base_url: str, scope: str, credential: AsyncTokenCredential
    ) -> None:
        # Without continuous access evaluation: tokens then live an hour, and so do stale roles.
        authentication = AzureIdentityAuthenticationProvider(
            credential,
            scopes=[scope],
            allowed_hosts=[urlsplit(base_url).hostname or ""],
            is_cae_enabled=False,
        )
        self._adapter = GraphRequestAdapter(authentication, connections.http)

    async def send(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None
    ) -> httpx.Response:
        """Send one request and return the raw answer, whatever its status.

        Raises:
            httpx.TransportError: no answer came.
            OnboardingError: no token was given (from the credential).
        """
        request = RequestInformation(Method(method))
        request.url = url
        for name, value in headers.items():
            request.headers.add(name, value)
        request.content = content
        request.add_request_options([ResponseHandlerOption(NativeResponseHandler())])
        answer: Any = await self._adapter.send_primitive_async(request, "bytes", None)
        if not isinstance(answer, httpx.Response):
            raise TypeError(f"the Graph SDK returned {type(answer).__name__}, not a response")
        return answer
