"""Sign-in, with azure-identity as the client."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
)
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from local.simulators import Simulators
from local.simulators.catalogue import ALL_AUTOMATION_RIGHTS, GRAPH
from local.simulators.objects import Application, Lag
from local.simulators.tenant import SimulatedTenant
from local.simulators.tokens import TokenRejected
from tests.local.simulators.conftest import Graph
from tests.local.simulators.material import certificate, ec_certificate, entry, pem, rsa_key

GRAPH_SCOPE = "https://graph.microsoft.com/.default"


class SignIn:
    """Signs in as a real client does."""

    def __init__(self, simulators: Simulators) -> None:
        self.simulators = simulators
        self.opened: list[Any] = []

    def options(self) -> dict[str, Any]:
        return {
            "authority": self.simulators.urls["entra"],
            "disable_instance_discovery": True,
            "connection_verify": str(self.simulators.ca_file),
            "retry_total": 0,
        }

    def token(self, credential: Any, scope: str = GRAPH_SCOPE) -> str:
        self.opened.append(credential)
        return str(credential.get_token(scope).token)

    def with_certificate(
        self, tenant: str, app: Application, content: bytes, scope: str = GRAPH_SCOPE, **more: Any
    ) -> str:
        credential = CertificateCredential(
            tenant, app.app_id, certificate_data=content, **self.options(), **more
        )
        return self.token(credential, scope)

    def with_assertion(
        self, tenant: str, app: Application, make: Callable[[], str], scope: str = GRAPH_SCOPE
    ) -> str:
        credential = ClientAssertionCredential(tenant, app.app_id, make, **self.options())
        return self.token(credential, scope)

    def assertion(self, tenant: SimulatedTenant, app: Application, cert: Any, **claims: Any) -> str:
        """An assertion of the documented, newer kind: PS256 and x5t#S256."""
        now = int(time.time())
        thumbprint = urlsafe_b64encode(cert.fingerprint(SHA256())).rstrip(b"=").decode()
        token: str = jwt.encode(
            {
                "aud": f"{self.simulators.urls['entra']}/{tenant.id}/oauth2/v2.0/token",
                "iss": app.app_id,
                "sub": app.app_id,
                "jti": str(uuid4()),
                "nbf": now,
                "exp": now + 300,
                **claims,
            },
            rsa_key(1),
            algorithm="PS256",
            headers={"x5t#S256": thumbprint},
        )
        return token


@pytest.fixture
def sign_in(simulators: Simulators) -> Iterator[SignIn]:
    client = SignIn(simulators)
    yield client
    for credential in client.opened:
        credential.close()


def refused(attempt: Callable[[], object]) -> str:
    with pytest.raises(ClientAuthenticationError) as caught:
        attempt()
    return str(caught.value)


def test_a_certificate_on_the_application_signs_in_and_the_token_carries_granted_roles(
    sign_in: SignIn, simulators: Simulators, tenant: SimulatedTenant
) -> None:
    cert = certificate()
    app = tenant.add_application("scanner", key_credentials=[cert])
    tenant.grant(app, "Policy.Read.All")
    token = sign_in.with_certificate(tenant.id, app, pem(cert))
    claims = simulators.entra.verify(token, "https://graph.microsoft.com")
    principal = tenant.service_principal_by_app_id(app.app_id)
    assert principal is not None
    assert claims.roles == {"Policy.Read.All"}
    assert claims.app_id == app.app_id
    assert claims.object_id == principal.id
    assert claims.raw["iss"] == f"https://sts.windows.net/{tenant.id}/"


def test_a_token_without_grants_has_no_roles_claim(
    sign_in: SignIn, simulators: Simulators, tenant: SimulatedTenant
) -> None:
    cert = certificate()
    app = tenant.add_application("scanner", key_credentials=[cert])
    token = sign_in.with_certificate(tenant.id, app, pem(cert))
    assert "roles" not in jwt.decode(token, options={"verify_signature": False})


def test_a_tenant_is_found_by_any_of_its_domains(
    sign_in: SignIn, simulators: Simulators, tenant: SimulatedTenant
) -> None:
    cert = certificate()
    app = tenant.add_application("scanner", key_credentials=[cert])
    for domain in tenant.domains:
        token = sign_in.with_certificate(domain, app, pem(cert))
        assert simulators.entra.verify(token, "https://graph.microsoft.com").tenant_id == tenant.id


def test_the_managed_identity_signs_in_as_the_home_application_in_a_customers_tenant(
    sign_in: SignIn,
    simulators: Simulators,
    tenant: SimulatedTenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in simulators.managed_identity.environment().items():
        monkeypatch.setenv(name, value)
    identity = ManagedIdentityCredential(client_id=simulators.world.managed_identity.app_id)
    sign_in.opened.append(identity)
    token = sign_in.with_assertion(
        tenant.id,
        simulators.world.home_app,
        lambda: identity.get_token("api://AzureADTokenExchange/.default").token,
    )
    claims = simulators.entra.verify(token, "https://graph.microsoft.com")
    assert claims.tenant_id == tenant.id
    assert claims.roles == ALL_AUTOMATION_RIGHTS


def test_a_ps256_assertion_with_a_sha256_thumbprint_is_accepted(
    sign_in: SignIn, tenant: SimulatedTenant
) -> None:
    cert = certificate()
    app = tenant.add_application("scanner", key_credentials=[cert])
    assert sign_in.with_assertion(tenant.id, app, lambda: sign_in.assertion(tenant, app, cert))


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"nbf": 1, "exp": 300}, "AADSTS700024"),
        ({"aud": "https://somewhere.example/token"}, "AADSTS700023"),
        ({"sub": "somebody else"}, "AADSTS700021"),
        ({"jti": ""}, "AADSTS50027"),
    ],
)
def test_an_assertion_with_wrong_claims_is_refused(
    sign_in: SignIn, tenant: SimulatedTenant, claims: dict[str, Any], code: str
) -> None:
    cert = certificate()
    app = tenant.add_application("scanner", key_credentials=[cert])
    text = refused(
        lambda: sign_in.with_assertion(
            tenant.id, app, lambda: sign_in.assertion(tenant, app, cert, **claims)
        )
    )
    assert code in text


def test_a_certificate_that_is_not_registered_is_refused_with_its_thumbprint(
    sign_in: SignIn, tenant: SimulatedTenant
) -> None:
    registered, other = certificate(), certificate()
    app = tenant.add_application("scanner", key_credentials=[registered])
    text = refused(lambda: sign_in.with_certificate(tenant.id, app, pem(other)))
    assert "AADSTS700027" in text
    assert other.fingerprint(SHA1()).hex().upper() in text


def test_a_key_that_does_not_match_the_registered_certificate_is_refused(
    sign_in: SignIn, tenant: SimulatedTenant
) -> None:
    cert = certificate(key=1)
    app = tenant.add_application("scanner", key_credentials=[cert])
    text = refused(lambda: sign_in.with_certificate(tenant.id, app, pem(cert, key=2)))
    assert "AADSTS700027" in text


def test_an_elliptic_curve_certificate_is_stored_but_never_signs_in(
    sign_in: SignIn, tenant: SimulatedTenant
) -> None:
    cert = ec_certificate()
    app = tenant.add_application("scanner", key_credentials=[cert])
    text = refused(
        lambda: sign_in.with_assertion(tenant.id, app, lambda: sign_in.assertion(tenant, app, cert))
    )
    assert "AADSTS700027" in text


def test_an_expired_certificate_has_its_own_code(sign_in: SignIn, tenant: SimulatedTenant) -> None:
    cert = certificate(starts=timedelta(days=-10), lasts=timedelta(days=9))
    app = tenant.add_application("scanner", key_credentials=[cert])
    text = refused(lambda: sign_in.with_certificate(tenant.id, app, pem(cert)))
    assert "AADSTS1000502" in text


def test_a_certificate_chain_in_the_assertion_is_refused(
    sign_in: SignIn, tenant: SimulatedTenant
) -> None:
    cert = certificate()
    app = tenant.add_application("scanner", key_credentials=[cert])
    text = refused(
        lambda: sign_in.with_certificate(tenant.id, app, pem(cert), send_certificate_chain=True)
    )
    assert "AADSTS7000213" in text


def test_an_application_without_principal_in_the_tenant(
    sign_in: SignIn, simulators: Simulators, new_tenant: Callable[..., SimulatedTenant]
) -> None:
    cert = certificate()
    simulators.run(simulators.world.add_home_certificate, cert)
    stranger = new_tenant(consented=False)
    text = refused(
        lambda: sign_in.with_certificate(stranger.id, simulators.world.home_app, pem(cert))
    )
    assert "AADSTS7000229" in text


def test_a_single_tenant_application_is_unknown_elsewhere(
    sign_in: SignIn, new_tenant: Callable[..., SimulatedTenant]
) -> None:
    cert = certificate()
    app = new_tenant().add_application("scanner", key_credentials=[cert])
    other = new_tenant()
    text = refused(lambda: sign_in.with_certificate(other.id, app, pem(cert)))
    assert "AADSTS700016" in text


def test_a_disabled_principal_and_a_disabled_application(
    sign_in: SignIn, tenant: SimulatedTenant
) -> None:
    cert = certificate()
    app = tenant.add_application("scanner", key_credentials=[cert], enabled=False)
    assert "AADSTS7000112" in refused(lambda: sign_in.with_certificate(tenant.id, app, pem(cert)))
    principal = tenant.service_principal_by_app_id(app.app_id)
    assert principal is not None
    principal.enabled = True
    app.is_disabled = True
    assert "AADSTS7000112" in refused(lambda: sign_in.with_certificate(tenant.id, app, pem(cert)))


def test_a_resource_that_is_missing_or_disabled(
    sign_in: SignIn, simulators: Simulators, new_tenant: Callable[..., SimulatedTenant]
) -> None:
    tenant = new_tenant(services=frozenset())
    cert = certificate()
    app = tenant.add_application("scanner", key_credentials=[cert])
    scope = f"{simulators.urls['exchange']}/.default"
    assert "AADSTS500011" in refused(
        lambda: sign_in.with_certificate(tenant.id, app, pem(cert), scope)
    )
    resource = tenant.service_principal_by_app_id(GRAPH)
    assert resource is not None
    resource.enabled = False
    assert "AADSTS500014" in refused(lambda: sign_in.with_certificate(tenant.id, app, pem(cert)))


def test_each_simulated_resource_has_its_audience(
    sign_in: SignIn, simulators: Simulators, tenant: SimulatedTenant
) -> None:
    cert = certificate()
    app = tenant.add_application("scanner", key_credentials=[cert])
    urls = simulators.urls
    for audience in (
        urls["graph"],
        urls["exchange"],
        f"{urls['sharepoint']}/{tenant.name}",
        "https://ps.compliance.protection.outlook.com",
    ):
        token = sign_in.with_certificate(tenant.id, app, pem(cert), f"{audience}/.default")
        assert simulators.entra.verify(token, audience).audience == audience
    other = f"{urls['sharepoint']}/somebody-else/.default"
    assert "AADSTS500011" in refused(
        lambda: sign_in.with_certificate(tenant.id, app, pem(cert), other)
    )


def test_a_scope_that_is_not_default_is_refused(sign_in: SignIn, tenant: SimulatedTenant) -> None:
    cert = certificate()
    app = tenant.add_application("scanner", key_credentials=[cert])
    scope = "https://graph.microsoft.com/User.Read"
    text = refused(lambda: sign_in.with_certificate(tenant.id, app, pem(cert), scope))
    assert "AADSTS1002012" in text


def test_a_federated_token_must_match_issuer_subject_and_audience_exactly(
    sign_in: SignIn, simulators: Simulators, tenant: SimulatedTenant
) -> None:
    issuer = "https://issuer.example/Scanner"
    simulators.run(simulators.entra.register_issuer, issuer, rsa_key(1).public_key())
    app = tenant.add_application("scanner")
    tenant.add_federated_credential(
        app, "mondoo", issuer, "//subject/One", "api://AzureADTokenExchange"
    )

    def token(**claims: str) -> str:
        now = int(simulators.clock.now().timestamp())
        made: str = jwt.encode(
            {
                "iss": issuer,
                "sub": "//subject/One",
                "aud": "api://AzureADTokenExchange",
                "nbf": now,
                "exp": now + 300,
                **claims,
            },
            rsa_key(1),
            algorithm="RS256",
        )
        return made

    assert sign_in.with_assertion(tenant.id, app, token)
    for wrong in (
        {"iss": issuer.lower()},
        {"sub": "//subject/one"},
        {"aud": "api://AzureADTokenExchangeUSGov"},
    ):
        text = refused(lambda: sign_in.with_assertion(tenant.id, app, lambda: token(**wrong)))  # noqa: B023 - called in the loop
        assert "AADSTS70021" in text
        assert next(iter(wrong.values())) in text


def test_a_federated_token_signed_by_somebody_else_is_refused(
    sign_in: SignIn, simulators: Simulators, tenant: SimulatedTenant
) -> None:
    issuer = f"https://issuer.example/{uuid4()}"
    simulators.run(simulators.entra.register_issuer, issuer, rsa_key(1).public_key())
    app = tenant.add_application("scanner")
    tenant.add_federated_credential(app, "mondoo", issuer, "s", "api://AzureADTokenExchange")
    now = int(simulators.clock.now().timestamp())
    forged = jwt.encode(
        {
            "iss": issuer,
            "sub": "s",
            "aud": "api://AzureADTokenExchange",
            "nbf": now,
            "exp": now + 300,
        },
        rsa_key(2),
        algorithm="RS256",
    )
    assert "AADSTS700027" in refused(lambda: sign_in.with_assertion(tenant.id, app, lambda: forged))


def test_client_secrets_right_wrong_and_expired(sign_in: SignIn, tenant: SimulatedTenant) -> None:
    app = tenant.add_application("portal-made")
    tenant.add_secret(app, "right-one")
    tenant.add_secret(app, "old-one", valid_for=timedelta(days=-1))

    def attempt(secret: str) -> str:
        return sign_in.token(
            ClientSecretCredential(tenant.id, app.app_id, secret, **sign_in.options())
        )

    assert attempt("right-one")
    assert "AADSTS7000215" in refused(lambda: attempt("wrong-one"))
    assert "AADSTS7000222" in refused(lambda: attempt("old-one"))


def test_a_new_grant_reaches_tokens_after_its_lag_and_old_tokens_never(
    sign_in: SignIn, simulators: Simulators, tenant: SimulatedTenant
) -> None:
    cert = certificate()
    app = tenant.add_application("scanner", key_credentials=[cert])
    principal = tenant.service_principal_by_app_id(app.app_id)
    resource = tenant.service_principal_by_app_id(GRAPH)
    assert principal is not None
    assert resource is not None
    grant = tenant.grant(app, "Policy.Read.All")
    tenant.revoke(grant)
    tenant.lag = Lag(grants=60)
    late = type(grant)(
        grant.id,
        grant.principal_id,
        grant.resource_id,
        grant.app_role_id,
        grant.created,
        effective_at=tenant.due(tenant.lag.grants),
    )
    tenant.store_grant(late)
    before = sign_in.with_certificate(tenant.id, app, pem(cert))
    simulators.run(simulators.clock.advance, 61)
    after = sign_in.with_certificate(tenant.id, app, pem(cert))
    audience = "https://graph.microsoft.com"
    assert not simulators.entra.verify(before, audience).roles
    assert simulators.entra.verify(after, audience).roles == {"Policy.Read.All"}


def test_what_is_made_through_graph_signs_in_only_after_its_lags(
    sign_in: SignIn, simulators: Simulators, graph: Graph
) -> None:
    tenant, cert = graph.tenant, certificate()
    tenant.lag = Lag(credentials=60, first_token=30)
    made, _ = graph.application_with_principal()
    one = f"/applications/{made['id']}"
    assert graph.ask("PATCH", one, {"keyCredentials": [entry(cert)]}).status_code == 204
    app = tenant.applications[made["id"]]

    def attempt() -> str:
        return sign_in.with_certificate(tenant.id, app, pem(cert))

    assert "AADSTS700016" in refused(attempt)
    simulators.run(simulators.clock.advance, 31)
    assert "AADSTS700027" in refused(attempt)
    simulators.run(simulators.clock.advance, 30)
    assert attempt()


def test_a_federated_credential_is_unknown_until_it_has_replicated(
    sign_in: SignIn, simulators: Simulators, graph: Graph
) -> None:
    tenant = graph.tenant
    issuer = f"https://issuer.example/{uuid4()}"
    simulators.run(simulators.entra.register_issuer, issuer, rsa_key(1).public_key())
    tenant.lag = Lag(credentials=60)
    made, _ = graph.application_with_principal()
    graph.post(
        f"/applications/{made['id']}/federatedIdentityCredentials",
        {
            "name": "mondoo",
            "issuer": issuer,
            "subject": "integration",
            "audiences": ["api://AzureADTokenExchange"],
        },
    )

    def token() -> str:
        now = int(simulators.clock.now().timestamp())
        claims = {"iss": issuer, "sub": "integration", "aud": "api://AzureADTokenExchange"}
        lifetime = {"nbf": now, "exp": now + 300}
        made: str = jwt.encode({**claims, **lifetime}, rsa_key(1), algorithm="RS256")
        return made

    app = tenant.applications[made["id"]]
    assert "AADSTS70021" in refused(lambda: sign_in.with_assertion(tenant.id, app, token))
    simulators.run(simulators.clock.advance, 61)
    assert sign_in.with_assertion(tenant.id, app, token)


def test_consent_makes_our_application_known_and_never_takes_rights_away(
    sign_in: SignIn, simulators: Simulators, new_tenant: Callable[..., SimulatedTenant]
) -> None:
    tenant = new_tenant(consented=False)
    world = simulators.world
    first = simulators.run(world.consent, tenant, {"Policy.Read.All"})
    second = simulators.run(world.consent, tenant, {"Application.Read.All"})
    assert first is second
    token = simulators.entra.issue(tenant, first, "https://graph.microsoft.com")
    claims = simulators.entra.verify(token, "https://graph.microsoft.com")
    assert claims.roles == {"Policy.Read.All", "Application.Read.All"}


def test_a_token_is_rejected_for_another_audience_and_after_its_lifetime(
    sign_in: SignIn, simulators: Simulators, tenant: SimulatedTenant
) -> None:
    cert = certificate()
    app = tenant.add_application("scanner", key_credentials=[cert])
    token = sign_in.with_certificate(tenant.id, app, pem(cert))
    with pytest.raises(TokenRejected, match="Invalid audience"):
        simulators.entra.verify(token, "https://vault.azure.net")
    with pytest.raises(TokenRejected, match="Invalid signature"):
        simulators.entra.verify(token[:-8] + "AAAAAAAA", "https://graph.microsoft.com")
    simulators.run(simulators.clock.advance, 3700)
    with pytest.raises(TokenRejected, match="expired"):
        simulators.entra.verify(token, "https://graph.microsoft.com")


def test_tenant_discovery(simulators: Simulators, tenant: SimulatedTenant, trust: Any) -> None:
    base = simulators.urls["entra"]
    with httpx.Client(verify=trust, base_url=base) as client:
        known = client.get(f"/{tenant.domains[-1].upper()}/v2.0/.well-known/openid-configuration")
        assert known.json()["issuer"] == f"https://login.microsoftonline.com/{tenant.id}/v2.0"
        assert known.json()["token_endpoint"] == f"{base}/{tenant.id}/oauth2/v2.0/token"
        keys = client.get(known.json()["jwks_uri"]).json()["keys"]
        assert keys[0]["kid"] == simulators.entra.mint.key_id
        missing = client.get(f"/{uuid4()}/v2.0/.well-known/openid-configuration")
        assert missing.status_code == 400
        assert missing.json()["error"] == "invalid_tenant"
        assert missing.json()["error_codes"] == [90002]
        malformed = client.get("/contoso/v2.0/.well-known/openid-configuration")
        assert malformed.json()["error_codes"] == [900023]


def test_errors_have_the_envelope_of_the_sign_in_service(
    simulators: Simulators, tenant: SimulatedTenant, trust: Any
) -> None:
    with httpx.Client(verify=trust, base_url=simulators.urls["entra"]) as client:
        answer = client.post(f"/{tenant.id}/oauth2/v2.0/token", data={"client_id": "x"})
    body = answer.json()
    assert answer.status_code == 400
    assert body["error_codes"] == [900144]
    assert body["error_description"].startswith("AADSTS900144: ")
    for name in ("timestamp", "trace_id", "correlation_id"):
        assert body[name] in body["error_description"]


def test_the_managed_identity_endpoint_is_guarded(simulators: Simulators, trust: Any) -> None:
    environment = simulators.managed_identity.environment()
    query = {
        "api-version": "2019-08-01",
        "resource": "https://vault.azure.net",
        "client_id": simulators.world.managed_identity.app_id,
    }
    header = {"X-IDENTITY-HEADER": environment["IDENTITY_HEADER"]}
    with httpx.Client() as client:
        endpoint = environment["IDENTITY_ENDPOINT"]
        assert client.get(endpoint, params=query).status_code == 401
        assert client.get(endpoint, params=query, headers=header).status_code == 200
        unknown = {**query, "client_id": str(uuid4())}
        assert client.get(endpoint, params=unknown, headers=header).status_code == 400
        old = {**query, "api-version": "2017-09-01"}
        assert client.get(endpoint, params=old, headers=header).status_code == 400


def test_a_users_token_for_the_fake_azure_cli(
    simulators: Simulators, tenant: SimulatedTenant
) -> None:
    token = simulators.run(
        simulators.entra.issue_user_token, tenant.id, simulators.urls["graph"], ["User.Read"]
    )
    claims = simulators.entra.verify(token, simulators.urls["graph"])
    assert claims.scopes == {"User.Read"}
    assert not claims.roles
