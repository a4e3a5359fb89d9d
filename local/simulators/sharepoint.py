"""SharePoint Online: the admin site of each tenant, as far as reading its title goes.

The real site is `https://{name}-admin.sharepoint.com`; here it is `/{name}` of one origin, and that
address is the audience of its tokens. App-only access wants a token that was got with a
certificate: one that was got with a client secret is refused with "Unsupported app only token."
(sp-dev-docs#3711, #8713). Keyless tokens count as certificate ones at Entra (`appidacr` 2); it is
the scanner that refuses those.
"""

from __future__ import annotations

from typing import ClassVar, Final

from aiohttp import web

from local.simulators.entra import TokenRejected, bearer
from local.simulators.faults import Fault
from local.simulators.service import CallDescription, Service, request_id_of
from local.simulators.tenant import SimulatedTenant

ROLE: Final = "Sites.FullControl.All"
CERTIFICATE: Final = "2"
_FIELDS: Final = ("Id", "Title", "Url")


class SharePointService(Service):
    """All admin sites."""

    name: ClassVar[str] = "sharepoint"

    def routes(self) -> list[web.RouteDef]:
        """The web of a tenant's admin site."""
        return [web.get("/{name}/_api/web", self._web)]

    def describe(self, request: web.Request) -> CallDescription:
        """The tenant is the one whose site it is."""
        tenant = self._tenant(request.match_info.get("name", ""))
        try:
            claims = self.simulators.entra.mint.read(bearer(request))
        except TokenRejected:
            claims = None
        return CallDescription(
            super().describe(request).operation,
            tenant=tenant.id if tenant else None,
            caller=claims.app_id if claims else None,
        )

    def fault_body(self, fault: Fault, request: web.Request) -> object:
        """SharePoint's OData envelope, in the form that the request asked for."""
        return _envelope(request, fault.code, fault.message)

    async def _web(self, request: web.Request) -> web.Response:
        tenant = self._tenant(request.match_info["name"])
        if tenant is None:
            return web.Response(status=404, text="404 FILE NOT FOUND")
        site = f"{self.url}/{tenant.name}"
        try:
            claims = self.simulators.entra.verify(bearer(request), site)
        except TokenRejected as error:
            return self._unauthorized(request, "invalid_token", error.reason)
        if claims.tenant_id != tenant.id:
            return self._unauthorized(request, "invalid_token", "Invalid issuer.")
        if claims.raw.get("appidacr") != CERTIFICATE:
            return self._unauthorized(request, "invalid_request", "Unsupported app only token.")
        if ROLE not in claims.roles:
            return self._answer(
                request,
                _envelope(
                    request,
                    "-2147024891, System.UnauthorizedAccessException",
                    "Attempted to perform an unauthorized operation.",
                ),
                403,
            )
        selected = request.query.get("$select")
        names = selected.split(",") if selected else list(_FIELDS)
        unknown = [name for name in names if name not in _FIELDS]
        if unknown:
            return self._answer(
                request,
                _envelope(
                    request,
                    "-1, Microsoft.SharePoint.Client.InvalidClientQueryException",
                    f"The field or property '{unknown[0]}' does not exist.",
                ),
                400,
            )
        values = {"Id": tenant.id, "Title": f"{tenant.display_name} Administration", "Url": site}
        shown: dict[str, object] = {name: values[name] for name in names}
        return self._answer(request, shown if _plain(request) else {"d": shown}, 200)

    def _tenant(self, name: str) -> SimulatedTenant | None:
        """The tenant whose initial domain starts with the name."""
        for tenant in self.simulators.world.tenants.values():
            if tenant.name == name:
                return tenant
        return None

    def _unauthorized(self, request: web.Request, error: str, text: str) -> web.Response:
        return web.json_response(
            {"error": error, "error_description": text},
            status=401,
            headers={
                "SPRequestGuid": request_id_of(request),
                "WWW-Authenticate": (
                    f'Bearer realm="", client_id="00000003-0000-0ff1-ce00-000000000000", '
                    f'error="{error}", error_description="{text}"'
                ),
            },
        )

    def _answer(self, request: web.Request, body: object, status: int) -> web.Response:
        return web.json_response(
            body, status=status, headers={"SPRequestGuid": request_id_of(request)}
        )


def _plain(request: web.Request) -> bool:
    """Whether the answer is wanted without metadata, hence without the `d` around it."""
    return "odata=verbose" not in request.headers.get("Accept", "").replace(" ", "") and (
        "odata=nometadata" in request.headers.get("Accept", "").replace(" ", "")
    )


def _envelope(request: web.Request, code: str, message: str) -> dict[str, object]:
    error = {"code": code, "message": {"lang": "en-US", "value": message}}
    return {"odata.error": error} if _plain(request) else {"error": error}
