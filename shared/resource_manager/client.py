"""Requests to Azure Resource Manager in one tenant, as ourselves.

Everything asked for here may be asked for twice: reads, assignments whose name follows from their
content, and removals. So an answer that is lost is a reason to wait and ask again, never an unknown
outcome. Waiting is done by durable timers.

Source: Azure REST API, "async operations and errors"; Azure RBAC REST troubleshooting.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from shared.config import Settings
from shared.errors import NotYet, OnboardingError, Refused
from shared.tls import client_context

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""Seconds."""
LONGEST_QUOTE = 300


class ResourceManager:
    """Azure Resource Manager in one tenant. Close it with `aclose`."""

    def __init__(
        self, settings: Settings, credential: AsyncTokenCredential, tenant_id: str
    ) -> None:
        self._settings = settings
        self._credential = credential
        self.tenant_id = tenant_id

    async def get_all(self, path: str, params: Mapping[str, str], *, what: str) -> list[Any]:
        """A list to its end. Raises as `send`."""
        base = self._settings.cloud.resource_manager
        found: list[Any] = []
        url, query = base + path, dict(params)
        while True:
            page = await self.send("GET", url, query, what=what)
            found += page.get("value", [])
            following = page.get("nextLink")
            if not isinstance(following, str) or not following.startswith(f"{base}/"):
                return found
            url, query = following, {}

    async def put(self, path: str, version: str, body: Mapping[str, Any], *, what: str) -> None:
        """Make or replace. Raises as `send`."""
        url = self._settings.cloud.resource_manager + path
        await self.send("PUT", url, {"api-version": version}, body, what=what)

    async def delete(self, path: str, version: str, *, what: str) -> None:
        """Remove what may be gone already. Raises as `send`."""
        url = self._settings.cloud.resource_manager + path
        await self.send("DELETE", url, {"api-version": version}, what=what)

    async def send(
        self,
        method: str,
        url: str,
        params: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        *,
        what: str,
    ) -> dict[str, Any]:
        """One request; ``what`` completes "could not …".

        Raises:
            NotYet: ``azure_busy``, ``azure_unreachable``, ``azure_principal_not_found``.
            Refused: ``azure_forbidden``, ``azure_not_found``, ``azure_exists``,
                ``azure_refused``, and as the identity raises.
        """
        token = await self._credential.get_token(
            f"{self._settings.cloud.resource_manager}/.default"
        )
        try:
            answer = await self._http.request(
                method,
                url,
                # httpx takes empty parameters for "drop the query of the address".
                params=params or None,
                json=body,
                headers={"Authorization": f"Bearer {token.token}"},
            )
        except httpx.TransportError as error:
            raise NotYet(
                "azure_unreachable",
                f"could not {what}: Azure Resource Manager does not answer",
                remediation="Check the network; it is tried again.",
                tenant_id=self.tenant_id,
            ) from error
        if answer.status_code >= 300:
            raise self._refusal(answer, what)
        if not answer.content:
            return {}
        try:
            return msgspec.json.decode(answer.content, type=dict[str, Any])
        except msgspec.DecodeError:
            raise Refused(
                "azure_refused",
                f"could not {what}: the answer is not that of Azure Resource Manager",
                remediation="Check proxies on the way, and that CLOUD is the tenant's cloud.",
                tenant_id=self.tenant_id,
            ) from None

    async def aclose(self) -> None:
        """Close the connections."""
        if "_http" in self.__dict__:
            await self.__dict__.pop("_http").aclose()

    def _refusal(self, answer: httpx.Response, what: str) -> OnboardingError:
        code, text = _error(answer)
        message = f"could not {what}: {code or answer.status_code} {text}".rstrip()
        known: dict[str, Any] = {
            "tenant_id": self.tenant_id,
            "request_id": answer.headers.get("x-ms-request-id"),
        }
        status = answer.status_code
        if status == 429 or status >= 500:
            after = answer.headers.get("retry-after", "")
            return NotYet(
                "azure_busy",
                message,
                remediation="Send the request again later.",
                retry_after=float(after) if after.isdecimal() else None,
                **known,
            )
        if code == "PrincipalNotFound":
            return NotYet(
                "azure_principal_not_found",
                message,
                remediation="A new service principal is known to Azure after some minutes.",
                **known,
            )
        ours = {401: "azure_forbidden", 403: "azure_forbidden", 404: "azure_not_found"}.get(status)
        if code == "RoleAssignmentExists":
            ours = "azure_exists"
        return Refused(
            ours or "azure_refused",
            message,
            remediation="See what is left to do in the findings of the step.",
            **known,
        )

    @cached_property
    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=client_context(self._settings), timeout=TIMEOUT)


def _error(answer: httpx.Response) -> tuple[str, str]:
    """Code and text of a refusal."""
    try:
        body = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        return "", ""
    error = body.get("error")
    if not isinstance(error, dict):
        return "", ""
    text = " ".join(str(error.get("message", "")).split())[:LONGEST_QUOTE]
    return str(error.get("code", "")), text
