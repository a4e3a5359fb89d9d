"""Exchange Online: the admin API behind its PowerShell module, as far as an app-only probe goes.

One cmdlet. Two preconditions, as in reality: the token carries `Exchange.ManageAsApp`, and the
service principal holds a directory role that Exchange supports, which Exchange learns of later than
the directory does (`Lag.roles` of the tenant). Without the role the call is refused with the
sentence of maester365/maester#718. Left out: sessions, anchor mailboxes, every other cmdlet.
"""

from __future__ import annotations

import json
from typing import ClassVar, Final

from aiohttp import web

from local.simulators.catalogue import GLOBAL_READER
from local.simulators.entra import TokenRejected, bearer
from local.simulators.faults import Fault
from local.simulators.service import CallDescription, Service, body_of, request_id_of
from local.simulators.tokens import Claims

ROLE: Final = "Exchange.ManageAsApp"
SUPPORTED_ROLES: Final = {
    GLOBAL_READER: "Global Reader",
    "29232cdf-9323-42fd-ade2-1d097af3e4de": "Exchange Administrator",
    "62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
    "5d6b6bb7-de71-4623-b4af-96380a352509": "Security Reader",
    "194ae4cb-b126-40b2-bd5b-6091b380977d": "Security Administrator",
    "17315797-102d-40b4-93e0-432062caca18": "Compliance Administrator",
    "88d8e3e3-8f55-4a1e-953a-9b9898b8876b": "Directory Readers",
}
"""Directory roles with which Exchange Online lets an application in (app-only authentication)."""


class ExchangeService(Service):
    """`outlook.office365.com`."""

    name: ClassVar[str] = "exchange"

    def routes(self) -> list[web.RouteDef]:
        """The one endpoint of the module."""
        return [web.post("/adminapi/beta/{tenant}/InvokeCommand", self._invoke)]

    def describe(self, request: web.Request) -> CallDescription:
        """Named by the cmdlet, which reads: the probe writes nothing."""
        tenant = self.simulators.world.find(request.match_info.get("tenant", ""))
        claims = _genuine(self, request)
        cmdlet = _cmdlet(request)
        return CallDescription(
            f"InvokeCommand {cmdlet[0]}" if cmdlet else "InvokeCommand",
            tenant=tenant.id if tenant else None,
            caller=claims.app_id if claims else None,
        )

    def fault_body(self, fault: Fault, request: web.Request) -> object:
        """The OData envelope of the admin API."""
        return _envelope(fault.code, fault.message)

    async def _invoke(self, request: web.Request) -> web.Response:
        try:
            claims = self.simulators.entra.verify(bearer(request), self.url)
        except TokenRejected as error:
            return self._refuse(request, 401, "Unauthorized", error.reason)
        tenant = self.simulators.world.find(request.match_info["tenant"])
        if tenant is None or tenant.id != claims.tenant_id:
            return self._refuse(
                request, 401, "Unauthorized", "The token is not issued for this organization."
            )
        if ROLE not in claims.roles:
            return self._refuse(
                request,
                403,
                "Forbidden",
                "The app is not authorized: Exchange.ManageAsApp is missing.",
            )
        if not any(tenant.has_directory_role(claims.object_id, role) for role in SUPPORTED_ROLES):
            return self._refuse(
                request,
                403,
                "UnsupportedRole",
                f"The role assigned to application {claims.app_id} isn't supported in this "
                "scenario. Please check online documentation for assigning correct Directory Roles "
                "to Azure AD Application for EXO App-Only Authentication.",
            )
        cmdlet = _cmdlet(request)
        if cmdlet is None:
            return self._refuse(request, 400, "BadRequest", "The CmdletInput is not valid.")
        name, parameters = cmdlet
        if name != "Get-OrganizationConfig" or set(parameters) - {"ErrorAction"}:
            return self._refuse(
                request, 400, "BadRequest", f"The command {name} is not recognized as a cmdlet."
            )
        return web.json_response(
            {
                "@odata.context": f"{self.url}/adminapi/beta/{tenant.id}/$metadata#Collection",
                "value": [
                    {
                        "Name": tenant.initial_domain,
                        "Identity": tenant.initial_domain,
                        "DisplayName": tenant.display_name,
                        "IsDehydrated": False,
                    }
                ],
            },
            headers={"request-id": request_id_of(request)},
        )

    def _refuse(self, request: web.Request, status: int, code: str, text: str) -> web.Response:
        headers = {"request-id": request_id_of(request)}
        if status == 401:
            headers["WWW-Authenticate"] = (
                'Bearer client_id="00000002-0000-0ff1-ce00-000000000000", error="invalid_token"'
            )
        return web.json_response(_envelope(code, text), status=status, headers=headers)


def _genuine(service: ExchangeService, request: web.Request) -> Claims | None:
    try:
        return service.simulators.entra.mint.read(bearer(request))
    except TokenRejected:
        return None


def _cmdlet(request: web.Request) -> tuple[str, dict[str, object]] | None:
    """Name and parameters of the cmdlet in a body, or `None` if it holds none."""
    try:
        document = json.loads(body_of(request))
    except ValueError:
        return None
    given = document.get("CmdletInput") if isinstance(document, dict) else None
    if not isinstance(given, dict) or not isinstance(given.get("CmdletName"), str):
        return None
    parameters = given.get("Parameters", {})
    return (given["CmdletName"], parameters) if isinstance(parameters, dict) else None


def _envelope(code: str, message: str) -> dict[str, object]:
    return {"error": {"code": code, "message": message}}
