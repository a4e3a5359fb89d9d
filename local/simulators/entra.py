"""Entra ID sign-in: the token endpoint for client credentials, and tenant discovery.

Only what an unattended application needs; no users sign in, no consent page. Strict where clients
go wrong: assertions are verified, a service principal must exist in the tenant, tokens carry a role
only after its grant has propagated. Errors have the STS envelope with `error_codes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl
from uuid import uuid4

from aiohttp import web

from local.simulators.assertions import AssertionCheck
from local.simulators.catalogue import (
    EXCHANGE,
    GRAPH,
    RESOURCE_MANAGER,
    RESOURCES,
    SHAREPOINT,
    TOKEN_EXCHANGE,
)
from local.simulators.faults import Fault
from local.simulators.objects import Application, ServicePrincipal
from local.simulators.refusals import SignInRefused
from local.simulators.service import CallDescription, Service, body_of, request_id_of
from local.simulators.tenant import SimulatedTenant, new_id
from local.simulators.tokens import LIFETIME, Claims, TokenMint, TokenRejected, bearer
from local.simulators.world import is_guid, issuer

if TYPE_CHECKING:
    from local.simulators import Simulators

__all__ = ["Claims", "EntraService", "TokenRejected", "bearer"]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
"""Client id in tokens that users get through the Azure CLI."""

TOKEN = "POST /{tenant}/oauth2/v2.0/token"

_AUDIENCES = {
    audience: resource.app_id for resource in RESOURCES.values() for audience in resource.audiences
}


class EntraService(Service):
    """`login.microsoftonline.com`."""

    name: ClassVar[str] = "entra"

    def __init__(self, simulators: Simulators) -> None:
        super().__init__(simulators)
        self.mint = TokenMint(simulators.clock)
        self._assertions = AssertionCheck(simulators.clock)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/{tenant}/oauth2/v2.0/token", self._token),
            web.get("/{tenant}/v2.0/.well-known/openid-configuration", self._configuration),
            web.get("/{tenant}/discovery/v2.0/keys", self._keys),
            web.get("/discovery/v2.0/keys", self._keys),
        ]

    def describe(self, request: web.Request) -> CallDescription:
        resource = request.match_info.route.resource
        template = resource.canonical if resource is not None else request.path
        caller = None
        if request.method == "POST":
            caller = _form(request).get("client_id")
        tenant = self.simulators.world.find(request.match_info.get("tenant", ""))
        return CallDescription(
            f"{request.method} {template}",
            tenant=tenant.id if tenant else None,
            caller=caller,
            write=False,
        )

    def fault_body(self, fault: Fault, request: web.Request) -> object:
        """`code` of the fault: `AADSTS700016`, `700016`, or an OAuth error name."""
        digits = fault.code.removeprefix("AADSTS")
        if digits.isdecimal():
            return self._envelope("invalid_client", int(digits), fault.message, request)
        return self._envelope(fault.code or "server_error", None, fault.message, request)

    # For the other simulators.

    def verify(self, token: str, audience: str | Iterable[str]) -> Claims:
        """Check a bearer token for a resource; raises `TokenRejected`."""
        return self.mint.verify(token, audience)

    def register_issuer(self, url: str, public_key: Any) -> None:
        """Trust an issuer's signatures, for federated credentials that name it.

        `public_key` is a `cryptography` RSA or EC public key.
        """
        self._assertions.issuers[url] = public_key

    def issue_user_token(
        self,
        tenant: str,
        audience: str,
        scopes: Iterable[str] = (),
        roles: Iterable[str] = (),
        user: str | None = None,
    ) -> str:
        """A token as a developer gets it from the Azure CLI; `user` is an object id.

        Raises `SignInRefused` for an unknown tenant or audience.
        """
        known = self._tenant(tenant)
        resource = self._resource(known, audience)
        return self.mint.mint(
            {
                "aud": audience,
                "iss": f"https://sts.windows.net/{known.id}/",
                "appid": AZURE_CLI,
                "idtyp": "user",
                "oid": user or known.add_user("developer"),
                "sub": uuid4().hex,
                "tid": known.id,
                "ver": "1.0",
                "scp": " ".join(scopes) or "user_impersonation",
                "rid": resource.app_id,
                **({"roles": sorted(roles)} if roles else {}),
            }
        )

    def issue(
        self,
        tenant: SimulatedTenant,
        principal: ServicePrincipal,
        audience: str,
        *,
        by_secret: bool = False,
    ) -> str:
        """A token for a service principal; raises `SignInRefused` if the resource is not there."""
        resource = self._resource(tenant, audience)
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{tenant.id}/",
            "appid": principal.app_id,
            "appidacr": "1" if by_secret else "2",
            "idp": f"https://sts.windows.net/{tenant.id}/",
            "idtyp": "app",
            "oid": principal.id,
            "sub": principal.id,
            "tid": tenant.id,
            "ver": "1.0",
        }
        if resource.app_id == TOKEN_EXCHANGE:
            claims |= {"iss": issuer(tenant.id), "azp": principal.app_id, "ver": "2.0"}
            # The tenant's own v2 issuer signs with the same key as everything else here.
            self._assertions.issuers.setdefault(issuer(tenant.id), self.mint.public_key)
        roles = tenant.token_roles(principal.id, resource)
        if roles:
            claims["roles"] = roles
        return self.mint.mint(claims)

    # Endpoints.

    async def _token(self, request: web.Request) -> web.Response:
        form = _form(request)
        try:
            token = self._sign_in(request.match_info["tenant"], form)
        except SignInRefused as refusal:
            return self._refuse(refusal, request)
        return self._answer(
            {
                "token_type": "Bearer",
                "expires_in": LIFETIME,
                "ext_expires_in": LIFETIME,
                "access_token": token,
            },
            request,
        )

    def _sign_in(self, tenant_name: str, form: dict[str, str]) -> str:
        tenant = self._tenant(tenant_name)
        for name in ("grant_type", "client_id", "scope"):
            if not form.get(name):
                raise SignInRefused(
                    900144, f"The request body must contain the following parameter: '{name}'."
                )
        if form["grant_type"] != "client_credentials":
            raise SignInRefused(
                70003, f"The app requested an unsupported grant type '{form['grant_type']}'."
            )
        audience = _audience(form["scope"])
        app, principal = self._client(tenant, form["client_id"].lower())
        self._authenticate(app, tenant, tenant_name, form)
        return self.issue(tenant, principal, audience, by_secret="client_secret" in form)

    def _client(self, tenant: SimulatedTenant, app_id: str) -> tuple[Application, ServicePrincipal]:
        """The application and its service principal in the tenant, both able to sign in."""
        app = self.simulators.world.home_of(app_id)
        now = self.simulators.clock.now()
        if (
            app is None
            or app.referable_at > now
            or (app.home != tenant.id and not app.multi_tenant)
        ):
            raise _unknown_client(app_id, tenant)
        principal = tenant.service_principal_by_app_id(app_id)
        if principal is None:
            raise SignInRefused(
                7000229,
                f"The client application {app_id} is missing service principal in the tenant"
                f" {tenant.id}.",
            )
        if principal.token_at > now:
            raise _unknown_client(app_id, tenant)
        if not principal.enabled or principal.is_disabled or app.is_disabled:
            raise SignInRefused(7000112, f"Application '{app_id}'({app.display_name}) is disabled.")
        return app, principal

    def _authenticate(
        self, app: Application, tenant: SimulatedTenant, tenant_name: str, form: dict[str, str]
    ) -> None:
        secret = form.get("client_secret")
        if secret is not None:
            self._check_secret(app, secret)
            return
        assertion = form.get("client_assertion")
        if assertion is None or form.get("client_assertion_type") != ASSERTION_TYPE:
            raise SignInRefused(
                7000216,
                "'client_assertion', 'client_secret' or 'request' is required for the"
                " 'client_credentials' grant type.",
            )
        audiences = {f"https://sts.windows.net/{tenant.id}/", issuer(tenant.id)}
        for name in (tenant.id, tenant_name):
            audiences |= {f"{self.url}/{name}/oauth2/v2.0/token", f"{self.url}/{name}/v2.0"}
        self._assertions.check(assertion, app, frozenset(audiences))

    def _check_secret(self, app: Application, secret: str) -> None:
        for credential in app.password_credentials:
            if credential.secret == secret:
                if credential.expires <= self.simulators.clock.now():
                    raise SignInRefused(
                        7000222,
                        f"The provided client secret keys for app '{app.app_id}' are expired.",
                    )
                return
        raise SignInRefused(
            7000215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the"
            f" client secret value, not the client secret ID, for a secret added to app"
            f" '{app.app_id}'.",
        )

    def _tenant(self, name: str) -> SimulatedTenant:
        tenant = self.simulators.world.find(name)
        if tenant is not None:
            return tenant
        if not is_guid(name) and "." not in name:
            raise SignInRefused(
                900023,
                f"Specified tenant identifier '{name}' is neither a valid DNS name, nor a valid"
                " external domain.",
            )
        raise SignInRefused(
            90002,
            f"Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are"
            " signing into the correct cloud.",
        )

    def _resource(self, tenant: SimulatedTenant, audience: str) -> ServicePrincipal:
        """The service principal in the tenant that an audience stands for."""
        wanted = audience.rstrip("/")
        principal = None
        app_id = self._resource_app_id(tenant, wanted)
        if app_id is not None:
            principal = tenant.service_principal_by_app_id(app_id)
        if principal is None:
            raise SignInRefused(
                500011,
                f"The resource principal named {audience} was not found in the tenant named"
                f" {tenant.display_name}. This can happen if the application has not been installed"
                " by the administrator of the tenant or consented to by any user in the tenant.",
            )
        if not principal.enabled or principal.is_disabled:
            raise SignInRefused(
                500014,
                f"The service principal for resource '{audience}' is disabled. This indicate that"
                " a subscription within the tenant has lapsed, or that the administrator for this"
                " tenant has disabled the application.",
            )
        return principal

    def _resource_app_id(self, tenant: SimulatedTenant, audience: str) -> str | None:
        urls = self.simulators.urls
        if audience == urls.get("graph"):
            return GRAPH
        if audience == urls.get("exchange"):
            return EXCHANGE
        if audience == f"{urls.get('sharepoint')}/{tenant.name}":
            return SHAREPOINT
        if audience == urls.get("resource-manager"):
            return RESOURCE_MANAGER
        if audience in _AUDIENCES:
            return _AUDIENCES[audience]
        for principal in tenant.service_principals.values():
            if audience in principal.names:
                return principal.app_id
        return None

    async def _configuration(self, request: web.Request) -> web.Response:
        try:
            tenant = self._tenant(request.match_info["tenant"])
        except SignInRefused as refusal:
            refusal.error = "invalid_tenant" if refusal.code == 90002 else refusal.error
            return self._refuse(refusal, request)
        return self._answer(
            {
                "token_endpoint": f"{self.url}/{tenant.id}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "private_key_jwt",
                    "client_secret_basic",
                ],
                "jwks_uri": f"{self.url}/{tenant.id}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": issuer(tenant.id),
                "authorization_endpoint": f"{self.url}/{tenant.id}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{self.url}/{tenant.id}/oauth2/v2.0/devicecode",
                "tenant_region_scope": "EU",
                "cloud_instance_name": "microsoftonline.com",
                "cloud_graph_host_name": "graph.windows.net",
                "msgraph_host": "graph.microsoft.com",
                "rbac_url": "https://pas.windows.net",
            },
            request,
        )

    async def _keys(self, request: web.Request) -> web.Response:
        return self._answer(self.mint.key_set(), request)

    # Answers.

    def _refuse(self, refusal: SignInRefused, request: web.Request) -> web.Response:
        return self._answer(
            self._envelope(refusal.error, refusal.code, refusal.message, request),
            request,
            refusal.status,
        )

    def _envelope(
        self, error: str, code: int | None, message: str, request: web.Request
    ) -> dict[str, object]:
        trace = request_id_of(request)
        correlation = request.headers.get("client-request-id") or new_id()
        at = self.simulators.clock.now()
        timestamp = at.strftime("%Y-%m-%d %H:%M:%SZ")
        prefix = f"AADSTS{code}: " if code is not None else ""
        return {
            "error": error,
            "error_description": f"{prefix}{message} Trace ID: {trace} Correlation ID:"
            f" {correlation} Timestamp: {timestamp}",
            "error_codes": [] if code is None else [code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            **({} if code is None else {"error_uri": f"{self.url}/error?code={code}"}),
        }

    def _answer(self, body: object, request: web.Request, status: int = 200) -> web.Response:
        return web.json_response(
            body,
            status=status,
            headers={
                "Cache-Control": "no-store, no-cache",
                "x-ms-request-id": request_id_of(request),
            },
        )


def _form(request: web.Request) -> dict[str, str]:
    if request.content_type != "application/x-www-form-urlencoded":
        return {}
    return dict(parse_qsl(body_of(request).decode("utf-8", "replace"), keep_blank_values=True))


def _audience(scope: str) -> str:
    """The audience in a v2 scope; exactly one `<audience>/.default`."""
    scopes = scope.split()
    if len(scopes) != 1:
        raise SignInRefused(
            70011,
            "The provided request must include a 'scope' input parameter. The provided value for"
            f" the input parameter 'scope' is not valid. The scope {scope} is not valid.",
        )
    audience, slash, tail = scopes[0].rpartition("/")
    if not slash or tail != ".default" or not audience:
        raise SignInRefused(
            1002012,
            f"The provided value for scope {scope} is not valid. Client credential flows must have"
            " a scope value with /.default suffixed to the resource identifier (application ID"
            " URI).",
        )
    return audience


def _unknown_client(app_id: str, tenant: SimulatedTenant) -> SignInRefused:
    return SignInRefused(
        700016,
        f"Application with identifier '{app_id}' was not found in the directory"
        f" '{tenant.display_name}'. This can happen if the application has not been installed by"
        " the administrator of the tenant or consented to by any user in the tenant.",
    )
