"""The Mondoo service: GraphQL at `/query`, RPC at `/{Service}/{Method}`, uploads, and the issuer of
keyless scans.

Switches for tests: `unauthenticated_as` (`http`: status 401; `graphql`: an error in a 200 answer,
both are met in the field), `code_spelling` (how `extensions.code` is written, if at all),
`scanner.delay`, `uploads.lifetime`. A caller whose token is refused gets nothing else, not even an
answer about the schema.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import jwt
from aiohttp import web
from graphql import OperationType

from local.simulators.faults import Fault
from local.simulators.mondoo import mrn, sign_in
from local.simulators.mondoo.estate import (
    Binding,
    Estate,
    Integration,
    Organization,
    ServiceAccount,
    Space,
    certificate_pem,
    private_key_pem,
)
from local.simulators.mondoo.execution import (
    GraphQLRequest,
    Spelling,
    error_entry,
    load_schema,
    read_request,
    root_fields,
    run,
)
from local.simulators.mondoo.mutations import MUTATIONS
from local.simulators.mondoo.queries import QUERIES, Context
from local.simulators.mondoo.scanner import SCANNED, Scanner
from local.simulators.mondoo.status import Code, StatusError
from local.simulators.mondoo.upload import HEADER, Uploads
from local.simulators.service import CallDescription, Service, body_of

if TYPE_CHECKING:
    from local.simulators import Simulators

SPACE_ID = "demo-space"
ORGANIZATION_ID = "demo-org"
_ACTING_QUERIES = frozenset({"triggerAction", "pingIntegration"})

Rpc = Callable[[ServiceAccount, Mapping[str, Any]], dict[str, Any]]


class MondooService(Service):
    """The platform, with organization `demo-org`, space `demo-space` and an account in it.

    `account` is that account: Editor and Owner of the space. `organization_account` is Owner of the
    organization.
    """

    name: ClassVar[str] = "mondoo"

    def __init__(self, simulators: Simulators) -> None:
        super().__init__(simulators)
        self.estate = Estate(simulators.clock)
        self.scanner = Scanner(simulators, self.estate)
        self.uploads = Uploads(self.estate)
        self.unauthenticated_as: Literal["http", "graphql"] = "http"
        self.code_spelling: Spelling = "PermissionDenied"
        self._schema = load_schema(QUERIES, MUTATIONS)
        organization = self.estate.add_organization(ORGANIZATION_ID, "Demo organization")
        space = self.estate.add_space(SPACE_ID, organization, "Demo space")
        self.account = self.estate.add_service_account(space.mrn, {"editor", "owner"}, "onboarding")
        self.organization_account = self.estate.add_service_account(
            organization.mrn, {"owner"}, "administration"
        )
        self._publish_content()

    # ------------------------------------------------------------- for tests, demo

    @property
    def spaces(self) -> dict[str, Space]:
        """Spaces by MRN."""
        return self.estate.spaces

    @property
    def organizations(self) -> dict[str, Organization]:
        """Organizations by MRN."""
        return self.estate.organizations

    @property
    def service_accounts(self) -> dict[str, ServiceAccount]:
        """Service accounts by MRN."""
        return self.estate.service_accounts

    @property
    def integrations(self) -> dict[str, Integration]:
        """Integrations by MRN."""
        return self.estate.integrations

    @property
    def findings(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """Uploaded findings by scope MRN and finding id."""
        return self.uploads.findings

    @property
    def wif_issuer(self) -> str:
        """Issuer of the tokens with which keyless scans sign in."""
        return f"{self.url}/wif"

    def add_space(
        self,
        space_id: str,
        *,
        name: str | None = None,
        organization_id: str = ORGANIZATION_ID,
        roles: frozenset[str] = frozenset({"editor", "owner"}),
    ) -> ServiceAccount:
        """A new space (and organization, where new) with a service account; returns the account."""
        organization = self.organizations.get(mrn.organization(organization_id))
        if organization is None:
            organization = self.estate.add_organization(organization_id)
        space = self.estate.add_space(space_id, organization, name)
        return self.estate.add_service_account(space.mrn, set(roles))

    def add_binding(
        self,
        scope_mrn: str,
        issuer: str,
        subject: str,
        *,
        roles: frozenset[str] = frozenset({"editor"}),
        allowed_audiences: tuple[str, ...] = (),
        expiration: int = 3600,
    ) -> Binding:
        """Trust an outside issuer's subject with a scope (keyless login)."""
        binding = Binding(
            mrn.binding(scope_mrn),
            "seeded",
            scope_mrn,
            issuer,
            subject,
            set(roles),
            expiration,
            allowed_audiences,
        )
        self.estate.bindings[binding.mrn] = binding
        return binding

    def add_integration(
        self,
        scope_mrn: str,
        name: str,
        *,
        kind: str = "MS365",
        tenant_id: str = "",
        client_id: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Integration:
        """An integration that somebody else made, to be found and left alone."""
        now = self.simulators.clock.now()
        integration = Integration(
            mrn=mrn.integration(scope_mrn),
            name=name,
            type=kind,
            scope_mrn=scope_mrn,
            creator="somebody",
            created=now,
            modified=now,
            tenant_id=tenant_id,
            client_id=client_id,
            labels=dict(labels or {}),
        )
        self.integrations[integration.mrn] = integration
        return integration

    def service_account_json(self, account_mrn: str | None = None) -> dict[str, str]:
        """The credential file of a service account; that of `account` if none is named."""
        account = self.service_accounts[account_mrn or self.account.mrn]
        return {
            "mrn": account.mrn,
            "private_key": private_key_pem(account),
            "certificate": certificate_pem(account),
            "scope_mrn": account.scope_mrn,
            "api_endpoint": self.url,
        }

    def _publish_content(self) -> None:
        add = self.estate.add_content
        add("mondoo-m365-security", "Mondoo Microsoft 365 Security", "2.4.3")
        for level in (1, 2):
            add(
                f"cis-microsoft-365--level-{level}",
                f"CIS Microsoft 365 Foundations Benchmark - Level {level}",
                "5.0.0",
            )
        add("mondoo-m365-inventory", "Mondoo Microsoft 365 Inventory Pack", pack=True)
        add("mondoo-aws-security", "Mondoo AWS Security", platforms=("aws",))

    # ---------------------------------------------------------------------- service

    def routes(self) -> list[web.RouteDef]:
        """GraphQL, RPC, uploads, and the issuer's own pages."""
        return [
            web.post("/query", self._query),
            web.put("/uploads/{session}", self._put_upload),
            web.post("/SecureTokenService/ExchangeExternalToken", self._exchange),
            web.post("/AgentManager/PingPong", self._rpc(lambda account, request: {})),
            web.post("/PolicyResolver/GetUploadURL", self._rpc(self._open_upload)),
            web.post("/PolicyResolver/ReportUploadCompleted", self._rpc(self.uploads.complete)),
        ]

    def describe(self, request: web.Request) -> CallDescription:
        """GraphQL calls are named after their root fields, RPC calls after service and method."""
        caller = _claimed_caller(request)
        if request.path != "/query":
            call = super().describe(request)
            name = request.path.strip("/") if request.method == "POST" else call.operation
            write = name != "AgentManager/PingPong"
            return CallDescription(name, caller=caller, write=write)
        graphql = read_request(body_of(request))
        found = root_fields(graphql) if graphql is not None else None
        if graphql is None or found is None:
            return CallDescription("POST /query", caller=caller)
        kind, names = found
        return CallDescription(
            ",".join(names),
            tenant=self._tenant_of(graphql),
            caller=caller,
            write=kind is OperationType.MUTATION or bool(_ACTING_QUERIES & set(names)),
        )

    def fault_body(self, fault: Fault, request: web.Request) -> object:
        """gRPC text in a GraphQL answer with status 200; google.rpc.Status in every other."""
        error = StatusError(Code.named(fault.code), fault.message)
        if request.path == "/query" and fault.status == 200:
            return {"data": None, "errors": [error_entry(error, self.code_spelling)]}
        return error.rpc_body()

    async def close(self) -> None:
        """End running scans."""
        await self.scanner.close()

    async def _query(self, request: web.Request) -> web.Response:
        try:
            account = self._authenticated(request)
        except StatusError as error:
            if self.unauthenticated_as == "http":
                return _refusal(error)
            entry = error_entry(error, self.code_spelling)
            return web.json_response({"data": None, "errors": [entry]})
        graphql = read_request(body_of(request))
        if request.content_type != "application/json" or graphql is None:
            return web.json_response(
                {"errors": [{"message": "json request body could not be decoded"}], "data": None},
                status=400,
            )
        context = Context(
            estate=self.estate,
            account=account,
            endpoint=self.url,
            wif_issuer=self.wif_issuer,
            scan=self._scan,
            findings=self.uploads.of,
        )
        status, body = run(self._schema, graphql, context, self.code_spelling)
        return web.json_response(body, status=status)

    def _rpc(self, call: Rpc) -> Callable[[web.Request], Any]:
        """An RPC method for authenticated callers."""

        async def handle(request: web.Request) -> web.Response:
            try:
                account = self._authenticated(request)
                return web.json_response(call(account, _rpc_request(request)))
            except StatusError as error:
                return _refusal(error)

        return handle

    def _open_upload(self, account: ServiceAccount, request: Mapping[str, Any]) -> dict[str, Any]:
        return self.uploads.open(account, request, self.url)

    async def _put_upload(self, request: web.Request) -> web.Response:
        try:
            _check_upload(request)
            self.uploads.put(
                request.match_info["session"],
                request.query.get("sig", ""),
                request.headers.get(HEADER, ""),
                body_of(request),
            )
        except StatusError as error:
            return _refusal(error)
        return web.Response(status=200)

    async def _exchange(self, request: web.Request) -> web.Response:
        try:
            account = sign_in.exchange(
                self.estate, self.simulators.entra.mint, **_exchange_request(request)
            )
        except StatusError as error:
            return _refusal(error)
        credential = json.dumps(self.service_account_json(account.mrn)).encode()
        return web.json_response({"base64_credential": base64.b64encode(credential).decode()})

    def _authenticated(self, request: web.Request) -> ServiceAccount:
        return sign_in.authenticate(
            self.estate, request.headers.get("Authorization", ""), body_of(request)
        )

    def _scan(self, integration: Integration) -> None:
        if integration.type not in SCANNED:
            raise StatusError(Code.UNIMPLEMENTED, f"scans of type {integration.type}")
        self.scanner.trust(self.wif_issuer)
        self.scanner.request(integration)

    def _tenant_of(self, graphql: GraphQLRequest) -> str | None:
        """The tenant that a request is about: in its variables, or behind an integration's MRN."""
        for key, value in _texts(graphql.variables):
            if key == "tenantId":
                return value.lower()
        for _, value in _texts(graphql.variables):
            integration = self.integrations.get(value)
            if integration is not None:
                return integration.tenant_id or None
        return None


def _texts(value: object, key: str = "") -> list[tuple[str, str]]:
    """All texts in a JSON value, with the name of the member that holds each."""
    if isinstance(value, str):
        return [(key, value)]
    if isinstance(value, dict):
        return [pair for name, inner in value.items() for pair in _texts(inner, name)]
    if isinstance(value, list):
        return [pair for inner in value for pair in _texts(inner, key)]
    return []


def _rpc_request(request: web.Request) -> Mapping[str, Any]:
    """The JSON object of an RPC call; fields that are not known are ignored, as by the platform."""
    if request.content_type != "application/json":
        raise StatusError(Code.INVALID_ARGUMENT, "content type is not supported")
    try:
        document = json.loads(body_of(request))
    except ValueError as error:
        raise StatusError(Code.INVALID_ARGUMENT, "the body is not JSON") from error
    if not isinstance(document, dict):
        raise StatusError(Code.INVALID_ARGUMENT, "the body is not a JSON object")
    return document


def _check_upload(request: web.Request) -> None:
    """`StatusError` unless the request is a plain JSON body for a signed address."""
    if request.content_type != "application/json":
        raise StatusError(Code.INVALID_ARGUMENT, "content type must be application/json")
    if "Authorization" in request.headers:
        raise StatusError(Code.INVALID_ARGUMENT, "the signed address takes no Authorization header")


def _exchange_request(request: web.Request) -> dict[str, str]:
    """Audience, issuer and token of a keyless login, all of them given."""
    given = _rpc_request(request)
    names = {"audience": "audience", "issuer": "issuer_uri", "token": "jwt_token"}
    values = {name: given.get(field) for name, field in names.items()}
    if not all(isinstance(value, str) and value for value in values.values()):
        raise StatusError(Code.INVALID_ARGUMENT, "audience, issuer_uri and jwt_token are required")
    return {name: str(value) for name, value in values.items()}


def _refusal(error: StatusError) -> web.Response:
    return web.json_response(error.rpc_body(), status=error.code.http_status)


def _claimed_caller(request: web.Request) -> str | None:
    """Who the caller says it is; for the journal, which does not decide anything."""
    token = request.headers.get("Authorization", "").partition(" ")[2]
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except jwt.InvalidTokenError:
        return None
    return str(kid) if kid is not None else None
