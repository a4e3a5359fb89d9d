"""How azure-core clients connect: one session with our TLS context, and no retries of their own.

Left to itself, azure-core reads the authorities anew for every request as soon as one more is to be
trusted, and aiohttp then keeps no connection: some forty milliseconds of reading and a handshake
each time. A session of ours around the shared context does without both. Retries are switched off
because the waiting is done by durable timers (see `shared.azure_failures`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.config import Settings
from shared.tls import client_context

if TYPE_CHECKING:
    import aiohttp


def open_session(settings: Settings) -> aiohttp.ClientSession:
    """A session as azure-core makes it, around the shared context. Call it inside the loop."""
    # A fifth of a second to import, together with azure-core: a matter of cold start.
    import aiohttp

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=client_context(settings)),
        # Proxies of the environment, no cookies, bodies as they are.
        trust_env=True,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


def client_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments for an asynchronous azure-core client, which then owns the session.

    Call it inside the event loop that will use the client.
    """
    # As above.
    from azure.core.pipeline.transport import AioHttpTransport

    transport = AioHttpTransport(session=open_session(settings))
    return {"transport": transport, "retry_total": 0}
