"""Mondoo's API: GraphQL, one POST for each operation and one document a file; and its RPC methods.

Operations are static documents (``documents/*.graphql``), checked against the schema in tests, so
nothing of GraphQL is needed at run time. What came of a request is decided in `answers`; nothing is
repeated here, waiting is done by durable timers. A request counts as repeatable when it is a query,
or when its caller says that doing it twice does no harm; triggering a scan is a query that is not.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import httpx
import msgspec

from shared.config import Settings
from shared.errors import OnboardingError, Refused
from shared.mondoo.account import ServiceAccount, read_account
from shared.mondoo.answers import (
    Request,
    error_in,
    no_answer,
    rpc_error,
    status_error,
    unreachable,
    unreadable,
)
from shared.tls import client_context

USER_AGENT = "mondoo-m365-onboarding"
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""Seconds."""

LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=100)
"""Audits of many tenants share the connections; those above the limit take a handshake each."""

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class MondooClient:
    """Mondoo's API as a service account. ``account`` reads the account's JSON (from the vault); it
    is read once, and again after Mondoo did not accept it.

    ``lifetime`` is for accounts that do not last (keyless login): one is replaced when it is that
    old, and a request that Mondoo did not accept any more is sent once again with a new one.
    """

    def __init__(
        self,
        settings: Settings,
        account: Callable[[], Awaitable[str]],
        *,
        lifetime: timedelta | None = None,
    ) -> None:
        self._settings = settings
        self._read_account = account
        self._lifetime = lifetime
        self._account: ServiceAccount | None = None
        self._account_since = 0.0

    @property
    def endpoint(self) -> str:
        """The API's base URL. Known once a request was made."""
        if self._account is None:
            raise RuntimeError("the service account has not been read yet")
        return self._account.endpoint

    async def account(self) -> ServiceAccount:
        """Who we are. Raises what `read_account` and the reading of the vault raise."""
        if self._account is None or self._is_old():
            self._account = read_account(await self._read_account())
            self._account_since = time.monotonic()
        return self._account

    def _is_old(self) -> bool:
        age = time.monotonic() - self._account_since
        return self._lifetime is not None and age >= self._lifetime.total_seconds()

    async def ping(self) -> str:
        """Ask who we are; returns our MRN as Mondoo sees it."""
        answer = await self.execute("viewer", {})
        return str(answer["viewer"]["mrn"])

    async def execute(
        self, document: str, variables: Mapping[str, Any], *, repeatable: bool | None = None
    ) -> dict[str, Any]:
        """Run a document and return its ``data``.

        Raises:
            NotYet: ``mondoo_busy``, ``mondoo_unreachable``.
            OutcomeUnknown: ``mondoo_no_answer``, only when not repeatable.
            Refused: ``mondoo_not_found``, ``mondoo_forbidden``, ``mondoo_unauthenticated`` and the
                others of `answers`; ``mondoo_untrusted`` when TLS fails; codes of `account`.
        """
        text = _document(document)
        if repeatable is None:
            repeatable = re.search(r"^mutation\b", text, re.MULTILINE) is None
        request = Request(document.replace("_", " "), repeatable)
        content = {"query": text, "variables": variables}
        response = await self._ask("query", content, request)
        request = replace(request, request_id=response.headers.get("x-request-id"))
        error, body = _judged(response, request)
        if error is None:
            return dict(body["data"])
        self._forget_if_unknown(error)
        raise error

    async def call(self, method: str, message: Mapping[str, Any], *, what: str) -> dict[str, Any]:
        """Call an RPC method (``Service/Method``) that may be called twice; return its answer.

        ``what`` completes "could not …".

        Raises:
            NotYet: ``mondoo_busy``, ``mondoo_unreachable``.
            Refused: as `execute`.
        """
        request = Request(what, repeatable=True)
        response = await self._ask(method, message, request)
        request = replace(request, request_id=response.headers.get("x-request-id"))
        if response.status_code != 200:
            error = rpc_error(
                response.status_code,
                response.content,
                response.headers.get("retry-after"),
                request,
            )
            self._forget_if_unknown(error)
            raise error
        try:
            return msgspec.json.decode(response.content, type=dict[str, Any])
        except msgspec.DecodeError:
            raise unreadable(request) from None  # the cause would quote what was sent

    async def aclose(self) -> None:
        """Close the connections."""
        if "_http" in self.__dict__:
            await self.__dict__.pop("_http").aclose()

    async def _ask(self, path: str, content: Mapping[str, Any], request: Request) -> httpx.Response:
        """Send a request; once more if an account that does not last was not accepted."""
        response = await self._post(await self.account(), path, content, request)
        if self._lifetime is not None and _unauthenticated(response, request):
            # Nothing was done, so that sending it again does no harm whatever it is.
            self._account = None
            response = await self._post(await self.account(), path, content, request)
        return response

    async def _post(
        self,
        account: ServiceAccount,
        path: str,
        content: Mapping[str, Any],
        request: Request,
    ) -> httpx.Response:
        try:
            return await self._http.post(
                f"{account.endpoint}/{path}",
                json=content,
                headers={
                    "Authorization": f"Bearer {account.token(datetime.now(UTC))}",
                    "Accept": "application/json",
                },
            )
        except _NEVER_SENT as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise Refused(
                    "mondoo_untrusted",
                    f"could not {request.what}: the certificate of Mondoo's host is not trusted",
                    remediation="If this network inspects TLS, name its CA in TRUSTED_CA_FILE.",
                ) from error
            raise unreachable(request) from error
        except httpx.TransportError as error:
            raise (unreachable if request.repeatable else no_answer)(request) from error

    def _forget_if_unknown(self, error: OnboardingError) -> None:
        if error.code == "mondoo_unauthenticated":
            self._account = None  # a new one may be in the vault by now

    @cached_property
    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=client_context(self._settings),
            timeout=TIMEOUT,
            limits=LIMITS,
            headers={"User-Agent": USER_AGENT},
        )


def _unauthenticated(response: httpx.Response, request: Request) -> bool:
    if response.status_code != 200:
        return response.status_code == 401
    error, _ = _judged(response, request)
    return error is not None and error.code == "mondoo_unauthenticated"


def _judged(
    response: httpx.Response, request: Request
) -> tuple[OnboardingError | None, dict[str, Any]]:
    if response.status_code != 200:
        retry_after = response.headers.get("retry-after")
        return status_error(response.status_code, retry_after, request), {}
    try:
        body = msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.DecodeError:
        return unreadable(request), {}
    return error_in(body, request), body


@cache
def _document(name: str) -> str:
    return (files("shared.mondoo") / "documents" / f"{name}.graphql").read_text("utf-8")
