"""The managed identity endpoint of App Service and Functions (api-version 2019-08-01).

Plain http on loopback, as in reality, guarded by a header that only the app's environment knows.
One user-assigned identity: the world's. There is no system-assigned one, so a request without
`client_id` finds nothing.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, ClassVar

from aiohttp import web

from local.simulators.faults import Fault
from local.simulators.refusals import SignInRefused
from local.simulators.service import CallDescription, Service, request_id_of

if TYPE_CHECKING:
    from local.simulators import Simulators

API_VERSION = "2019-08-01"
PATH = "/msi/token"


class ManagedIdentityService(Service):
    """What `IDENTITY_ENDPOINT` points to."""

    name: ClassVar[str] = "managed-identity"
    scheme: ClassVar[str] = "http"

    def __init__(self, simulators: Simulators) -> None:
        super().__init__(simulators)
        self.identity_header = secrets.token_hex(16).upper()

    def environment(self) -> dict[str, str]:
        """The variables that the platform sets for the app."""
        return {"IDENTITY_ENDPOINT": self.url + PATH, "IDENTITY_HEADER": self.identity_header}

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self._token)]

    def describe(self, request: web.Request) -> CallDescription:
        return CallDescription(
            f"{request.method} {request.path}",
            tenant=self.simulators.world.home.id,
            caller=request.query.get("client_id"),
        )

    def fault_body(self, fault: Fault, request: web.Request) -> object:
        return _body(fault.status or 500, fault.message, request)

    async def _token(self, request: web.Request) -> web.Response:
        given = request.headers.get("X-IDENTITY-HEADER", "")
        if not hmac.compare_digest(given.encode(), self.identity_header.encode()):
            return _refuse(401, "The X-IDENTITY-HEADER is missing or wrong.", request)
        if request.query.get("api-version") != API_VERSION:
            return _refuse(400, f"The api-version is not supported; use {API_VERSION}.", request)
        resource = request.query.get("resource")
        if not resource:
            return _refuse(400, "The required parameter 'resource' is missing.", request)
        world = self.simulators.world
        identity = world.managed_identity
        if request.query.get("client_id", "").lower() != identity.app_id:
            return _refuse(
                400,
                "No User Assigned or Delegated Managed Identity found for specified"
                " ClientId/ResourceId/PrincipalId.",
                request,
            )
        if not identity.enabled:
            return _refuse(
                400, f"AADSTS7000112: Application '{identity.app_id}' is disabled.", request
            )
        try:
            token = self.simulators.entra.issue(world.home, identity, resource)
        except SignInRefused as refusal:
            return _refuse(400, str(refusal), request)
        claims = self.simulators.entra.mint.read(token)
        if claims is None:
            raise RuntimeError("a token just made cannot be read")
        return web.json_response(
            {
                "access_token": token,
                "client_id": identity.app_id,
                "expires_on": str(int(claims.expires.timestamp())),
                "resource": resource,
                "token_type": "Bearer",
            }
        )


def _body(status: int, message: str, request: web.Request) -> dict[str, object]:
    return {"statusCode": status, "message": message, "correlationId": request_id_of(request)}


def _refuse(status: int, message: str, request: web.Request) -> web.Response:
    return web.json_response(_body(status, message, request), status=status)
