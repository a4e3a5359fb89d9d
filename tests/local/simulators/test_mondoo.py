"""The simulated Mondoo platform: sign-in, integrations, spaces, policies, refusals."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from graphql import get_introspection_query

from local.simulators import Simulators
from local.simulators.faults import Fault
from tests.local.simulators.callers import Caller, bearer, key_pem, mondoo_token
from tests.local.simulators.mondoo_client import CREATE, GET, SPACE, TRIGGER, Mondoo

ORGANIZATION = "//captain.api.mondoo.app/organizations/demo-org"
VIEWER = "query { viewer { mrn name } }"


@pytest.fixture(scope="module")
def simulators() -> Iterator[Simulators]:
    with Simulators() as running:
        yield running


@pytest.fixture(autouse=True)
def no_switch_left_over(simulators: Simulators) -> Iterator[None]:
    yield
    simulators.mondoo.unauthenticated_as = "http"
    simulators.mondoo.code_spelling = "PermissionDenied"


@pytest.fixture
async def mondoo(simulators: Simulators) -> AsyncIterator[Mondoo]:
    async with Mondoo(simulators) as client:
        yield client


async def with_roles(simulators: Simulators, *roles: str) -> Mondoo:
    """A client whose account has these roles on the demo space."""
    estate = simulators.mondoo.estate
    account = simulators.run(estate.add_service_account, SPACE, set(roles))
    return Mondoo(simulators, simulators.mondoo.service_account_json(account.mrn))


# --------------------------------------------------------------------------- sign-in


async def test_the_credential_file_signs_in(simulators: Simulators, mondoo: Mondoo) -> None:
    account = simulators.mondoo.service_account_json()
    assert set(account) == {"mrn", "private_key", "certificate", "scope_mrn", "api_endpoint"}
    assert account["api_endpoint"] == simulators.urls["mondoo"]
    assert account["mrn"].startswith("//agents.api.mondoo.app/spaces/demo-space/serviceaccounts/")
    assert (await mondoo.ask(VIEWER))["viewer"] == {"mrn": account["mrn"], "name": "onboarding"}


def bad_tokens() -> dict[str, dict[str, Any]]:
    now = datetime.now(UTC)
    stranger = key_pem(ec.generate_private_key(ec.SECP384R1()))
    p256 = key_pem(ec.generate_private_key(ec.SECP256R1()))
    return {
        "another algorithm": {"alg": "ES256", "key": p256},
        "no signature": {"alg": "none", "key": None},
        "a stranger's key": {"key": stranger},
        "an unknown key id": {"kid": "//agents.api.mondoo.app/spaces/x/serviceaccounts/y"},
        "another type": {"typ": "at+jwt"},
        "another subject": {"sub": "//agents.api.mondoo.app/spaces/x/serviceaccounts/y"},
        "another issuer": {"iss": "mondoo"},
        "an audience": {"aud": "https://us.api.mondoo.com"},
        "no expiry": {"exp": None},
        "no start": {"nbf": None},
        "too long a life": {"exp": now + timedelta(seconds=90)},
        "expired": {
            "iat": now - timedelta(seconds=70),
            "nbf": now - timedelta(seconds=70),
            "exp": now - timedelta(seconds=10),
        },
        "not valid yet": {
            "iat": now + timedelta(seconds=30),
            "nbf": now + timedelta(seconds=30),
            "exp": now + timedelta(seconds=60),
        },
        "a hash of another body": {"chash": hashlib.sha256(b"else").hexdigest()},
    }


@pytest.mark.parametrize("what", list(bad_tokens()))
async def test_a_token_that_is_not_exactly_right_is_unauthenticated(
    mondoo: Mondoo, what: str
) -> None:
    answer = await mondoo.post("/query", {"query": VIEWER}, **bad_tokens()[what])
    assert answer.status_code == 401
    assert answer.json()["code"] == 16


async def test_no_token_is_unauthenticated_even_for_a_look_at_the_schema(mondoo: Mondoo) -> None:
    answer = await mondoo.client.post(
        f"{mondoo.url}/query", json={"query": "{ __schema { queryType { name } } }"}
    )
    assert answer.status_code == 401


async def test_the_refusal_can_come_in_an_answer_with_status_200(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    simulators.mondoo.unauthenticated_as = "graphql"
    answer = await mondoo.post("/query", {"query": VIEWER}, iss="x")
    assert answer.status_code == 200
    message = answer.json()["errors"][0]["message"]
    assert message.startswith("rpc error: code = Unauthenticated desc = ")


async def test_a_hash_of_the_body_is_accepted(mondoo: Mondoo) -> None:
    body = b"{}"
    token = mondoo_token(mondoo.account, chash=hashlib.sha256(body).hexdigest())
    answer = await mondoo.client.post(
        f"{mondoo.url}/AgentManager/PingPong",
        content=body,
        headers=bearer(token) | {"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()) == (200, {})


async def test_an_external_token_becomes_a_short_lived_service_account(
    simulators: Simulators,
) -> None:
    world = simulators.world
    issuer = f"https://sts.windows.net/{world.home.id}"
    simulators.run(
        simulators.mondoo.add_binding,
        SPACE,
        issuer,
        world.managed_identity.id,
        allowed_audiences=("api://AzureADTokenExchange", "https://vault.azure.net"),
        expiration=600,
    )
    request = {
        "audience": SPACE,
        "issuer_uri": issuer,
        "jwt_token": Caller(simulators).token("https://vault.azure.net"),
    }
    path = "/SecureTokenService/ExchangeExternalToken"
    async with Mondoo(simulators) as plain:
        answer = await plain.client.post(plain.url + path, json=request)
        assert answer.status_code == 200
        account = json.loads(base64.b64decode(answer.json()["base64_credential"]))
        other = request | {"jwt_token": Caller(simulators).token("https://storage.azure.com")}
        assert (await plain.client.post(plain.url + path, json=other)).status_code == 401
        unbound = request | {"audience": ORGANIZATION}
        assert (await plain.client.post(plain.url + path, json=unbound)).status_code == 403
        forged = request | {"jwt_token": request["jwt_token"][:-4] + "AAAA"}
        assert (await plain.client.post(plain.url + path, json=forged)).status_code == 401
    async with Mondoo(simulators, account) as keyless:
        assert (await keyless.ask(VIEWER))["viewer"]["mrn"] == account["mrn"]
        simulators.run(simulators.clock.advance, 601.0)
        refused = await keyless.post("/query", {"query": VIEWER})
    assert refused.status_code == 401


# ---------------------------------------------------------------------- integrations


async def test_an_integration_is_made_read_listed_and_deleted(mondoo: Mondoo) -> None:
    made = await mondoo.create(
        tenantId="T-1",
        clientId="C-1",
        certificate="secret text",
        labels=[{"key": "managed-by", "value": "us"}],
    )
    assert made["mrn"].startswith("//integration.api.mondoo.app/spaces/demo-space/integrations/")
    assert made["status"] == "WAITING_FOR_SETUP"
    assert made["labels"] == [{"key": "managed-by", "value": "us"}]
    assert made["configurationOptions"] == {
        "__typename": "Ms365ConfigurationOptions",
        "tenantId": "T-1",
        "clientId": "C-1",
        "useWif": False,
        "wifSubject": None,
        "wifIssuerURL": None,
    }
    assert datetime.fromisoformat(made["created"]).tzinfo is not None
    assert await mondoo.read(made["mrn"]) == made
    listing = (
        "query ($input: ListClientIntegrationsInput!)"
        " { listClientIntegrations(input: $input) { integrations { mrn } } }"
    )
    for scope in ({"scopeMrn": SPACE}, {"spaceMrn": SPACE}):
        data = await mondoo.ask(listing, input={**scope, "filterQuery": {"types": ["MS365"]}})
        assert {"mrn": made["mrn"]} in data["listClientIntegrations"]["integrations"]
        data = await mondoo.ask(listing, input={**scope, "filterQuery": {"types": ["AWS"]}})
        assert data["listClientIntegrations"]["integrations"] == []
    delete = "mutation ($m: String!) { deleteClientIntegration(input: {mrn: $m}) { mrn } }"
    await mondoo.ask(delete, m=made["mrn"])
    assert "code = NotFound" in await mondoo.refused(GET, mrn=made["mrn"])
    assert "code = NotFound" in await mondoo.refused(delete, m=made["mrn"])


async def test_nothing_keeps_a_second_integration_for_the_same_tenant_away(mondoo: Mondoo) -> None:
    tenant = str(uuid4())
    one = await mondoo.create(tenantId=tenant, certificate="abcd1234567890")
    two = await mondoo.create(tenantId=tenant, certificate="abcd1234567890")
    assert one["mrn"] != two["mrn"]


async def test_a_certificate_is_written_and_never_read(mondoo: Mondoo) -> None:
    await mondoo.create(certificate="secret text")
    schema = json.dumps(await mondoo.ask(get_introspection_query()))
    types = json.loads(schema)["__schema"]["types"]
    options = next(each for each in types if each["name"] == "Ms365ConfigurationOptions")
    assert "certificate" not in [field["name"] for field in options["fields"]]


async def test_keyless_and_certificate_exclude_each_other(mondoo: Mondoo) -> None:
    given = {
        "name": "x",
        "type": "MS365",
        "longLivedToken": False,
        "scopeMrn": SPACE,
        "configurationOptions": {
            "ms365ConfigurationOptions": {
                "tenantId": "t",
                "clientId": "c",
                "useWif": True,
                "certificate": "x",
            }
        },
    }
    assert "code = InvalidArgument" in await mondoo.refused(CREATE, input=given)


async def test_a_keyless_integration_says_whom_to_trust_and_a_rename_keeps_it(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    made = await mondoo.create(useWif=True)
    options = made["configurationOptions"]
    assert options["wifSubject"]
    assert options["wifIssuerURL"].startswith("https://")
    update = (
        "mutation ($input: UpdateClientIntegrationConfigurationInput!)"
        " { updateClientIntegrationConfiguration(input: $input) { name } }"
    )
    await mondoo.ask(
        update,
        input={
            "mrn": made["mrn"],
            "type": "MS365",
            "name": "renamed",
            "configurationOptions": {
                "ms365ConfigurationOptions": {"tenantId": "t", "clientId": "c", "useWif": True}
            },
        },
    )
    read = await mondoo.read(made["mrn"])
    assert (read["name"], read["configurationOptions"]) == ("renamed", options)
    other = await mondoo.create(useWif=True)
    assert other["configurationOptions"]["wifSubject"] != options["wifSubject"]


async def test_an_update_without_certificate_keeps_the_stored_one(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    made = await mondoo.create(certificate="first")
    update = (
        "mutation ($input: UpdateClientIntegrationConfigurationInput!)"
        " { updateClientIntegrationConfiguration(input: $input) { name } }"
    )
    given: dict[str, Any] = {
        "mrn": made["mrn"],
        "type": "MS365",
        "labels": [{"key": "operation", "value": "2"}],
        "configurationOptions": {"ms365ConfigurationOptions": {"tenantId": "t", "clientId": "d"}},
    }
    await mondoo.ask(update, input=given)
    stored = simulators.mondoo.integrations[made["mrn"]]
    assert (stored.certificate, stored.client_id) == ("first", "d")
    assert stored.labels == {"operation": "2"}
    given["configurationOptions"]["ms365ConfigurationOptions"]["certificate"] = "second"
    await mondoo.ask(update, input=given)
    assert stored.certificate == "second"
    assert (await mondoo.read(made["mrn"]))["lastModified"] > made["lastModified"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"scopeMrn": None}, "InvalidArgument"),
        ({"scopeMrn": "//captain.api.mondoo.app/spaces/none"}, "NotFound"),
        ({"name": ""}, "InvalidArgument"),
        ({"name": "x" * 251}, "InvalidArgument"),
        ({"type": "AWS"}, "Unimplemented"),
        ({"configurationOptions": {}}, "InvalidArgument"),
    ],
)
async def test_a_create_that_cannot_be_met_is_refused_in_grpc_words(
    mondoo: Mondoo, change: dict[str, Any], code: str
) -> None:
    given = {
        "name": "x",
        "type": "MS365",
        "longLivedToken": False,
        "scopeMrn": SPACE,
        "configurationOptions": {
            "ms365ConfigurationOptions": {"tenantId": "t", "clientId": "c", "certificate": "x"}
        },
        **change,
    }
    message = await mondoo.refused(CREATE, input=given)
    assert message.startswith(f"rpc error: code = {code} desc = ")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("query { viewer { nothing } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query { viewer", "GRAPHQL_PARSE_FAILED"),
        (
            'mutation { createClientIntegration(input: {name: "x"}) { integration { mrn } } }',
            "GRAPHQL_VALIDATION_FAILED",
        ),
    ],
)
async def test_a_request_that_does_not_fit_the_schema_is_unprocessable(
    mondoo: Mondoo, query: str, code: str
) -> None:
    answer = await mondoo.post("/query", {"query": query})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["extensions"]["code"] == code


async def test_unknown_input_fields_in_variables_are_refused(mondoo: Mondoo) -> None:
    answer = await mondoo.post(
        "/query",
        {
            "query": "query ($input: ListClientIntegrationsInput!)"
            " { listClientIntegrations(input: $input) { integrations { mrn } } }",
            "variables": {"input": {"scopeMrn": SPACE, "surprise": 1}},
        },
    )
    assert answer.status_code == 422
    assert "surprise" in answer.json()["errors"][0]["message"]


async def test_pausing_shows_in_the_status(mondoo: Mondoo) -> None:
    made = await mondoo.create(certificate="x")
    await mondoo.ask(TRIGGER, mrn=made["mrn"], type="PAUSE")
    assert (await mondoo.read(made["mrn"]))["status"] == "PAUSED"
    await mondoo.ask(TRIGGER, mrn=made["mrn"], type="UNPAUSE")
    assert (await mondoo.read(made["mrn"]))["status"] == "WAITING_FOR_SETUP"
    message = await mondoo.refused(TRIGGER, mrn=made["mrn"], type="SYNC_REPOS")
    assert "code = InvalidArgument" in message


async def test_summaries_count_by_type(simulators: Simulators, mondoo: Mondoo) -> None:
    account = simulators.run(simulators.mondoo.add_space, "counted-space")
    space = account.scope_mrn
    simulators.run(simulators.mondoo.add_integration, space, "theirs", kind="AZURE")
    simulators.run(simulators.mondoo.add_integration, space, "ours")
    async with Mondoo(simulators, simulators.mondoo.service_account_json(account.mrn)) as client:
        data = await client.ask(
            "query ($s: String!) {"
            " integrationsSummary(input: {spaceMrn: $s})"
            " { total integrationSummaries { type totalCount } }"
            " space(mrn: $s) { stats { integrationsStatistics { type total pending } } } }",
            s=space,
        )
    assert data["integrationsSummary"] == {
        "total": 2,
        "integrationSummaries": [
            {"type": "AZURE", "totalCount": 1},
            {"type": "MS365", "totalCount": 1},
        ],
    }
    assert {"type": "MS365", "total": 1, "pending": 1} in data["space"]["stats"][
        "integrationsStatistics"
    ]


# ------------------------------------------------------------------------------ roles


ACTS = {
    "create": (
        'mutation { createClientIntegration(input: {name: "x", type: MS365, longLivedToken: false,'
        f' scopeMrn: "{SPACE}", configurationOptions: {{ms365ConfigurationOptions:'
        ' {tenantId: "t", clientId: "c"}}}) { integration { mrn } } }'
    ),
    "assign": (
        f'mutation {{ assignPolicy(input: {{assetMrn: "{SPACE}", policyMrn:'
        ' "//policy.api.mondoo.app/policies/mondoo-m365-security"}) }'
    ),
    "read": f'query {{ space(mrn: "{SPACE}") {{ id }} }}',
}


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("viewer", {"read"}),
        ("agent", {"read"}),
        ("editor", {"read", "create", "assign"}),
        ("owner", {"read", "create", "assign"}),
        ("integrations-manager", {"read", "create"}),
        ("policy-manager", {"read", "assign"}),
    ],
)
async def test_a_role_allows_what_it_is_for(
    simulators: Simulators, role: str, may: set[str]
) -> None:
    async with await with_roles(simulators, role) as client:
        for act, query in ACTS.items():
            body = (await client.post("/query", {"query": query})).json()
            if act in may:
                assert "errors" not in body, (act, body)
            else:
                assert "code = PermissionDenied" in body["errors"][0]["message"], act


async def test_an_account_sees_no_other_space(simulators: Simulators, mondoo: Mondoo) -> None:
    account = simulators.run(simulators.mondoo.add_space, "foreign-space")
    query = "query ($m: String!) { space(mrn: $m) { id } }"
    assert "code = PermissionDenied" in await mondoo.refused(query, m=account.scope_mrn)
    missing = "//captain.api.mondoo.app/spaces/no-such-space"
    assert "code = NotFound" in await mondoo.refused(query, m=missing)


@pytest.mark.parametrize(
    ("spelling", "shown"),
    [
        ("PermissionDenied", {"code": "NotFound"}),
        ("PERMISSION_DENIED", {"code": "NOT_FOUND"}),
        (None, None),
    ],
)
async def test_the_code_of_a_refusal_is_spelled_as_told(
    simulators: Simulators, mondoo: Mondoo, spelling: Any, shown: Any
) -> None:
    simulators.mondoo.code_spelling = spelling
    answer = await mondoo.post(
        "/query",
        {"query": 'query { space(mrn: "//captain.api.mondoo.app/spaces/none") { id } }'},
    )
    body = answer.json()
    assert body["data"] == {"space": None}
    assert body["errors"][0].get("extensions") == shown
    assert body["errors"][0]["path"] == ["space"]


async def test_what_an_account_may_do_can_be_asked(simulators: Simulators) -> None:
    actions = [
        "mondoo.captain.Captain.CreateIntegration",
        "mondoo.policy.PolicyResolver.AssignPolicy",
        "made.up",
    ]
    query = (
        "query ($i: String!, $s: String!, $a: [String!]!) {"
        " testIamActions(resourceMrn: $s, actions: $a)"
        " getRoles(identity: $i, scopeMrn: $s) { identity_mrn scope_mrn roles }"
        " serviceAccount(mrn: $i) { mrn roles { mrn title } createdAt lastUsed } }"
    )
    async with await with_roles(simulators, "integrations-manager") as client:
        data = await client.ask(query, i=client.account["mrn"], s=SPACE, a=actions)
    assert data["testIamActions"] == actions[:1]
    assert data["getRoles"]["roles"] == ["//iam.api.mondoo.app/roles/integrations-manager"]
    assert data["serviceAccount"]["lastUsed"] is not None


# ------------------------------------------------------------- organizations, spaces


async def test_an_organizations_owner_makes_spaces_and_lists_them_in_pages(
    simulators: Simulators,
) -> None:
    account = simulators.mondoo.organization_account
    create = (
        "mutation ($input: CreateSpaceInput!)"
        " { createSpace(input: $input) { id mrn name organization { mrn } } }"
    )
    listing = (
        "query ($m: String!, $after: String) { organization(mrn: $m) {"
        " spacesList(first: 2, after: $after)"
        " { totalCount edges { node { id mrn } } pageInfo { endCursor hasNextPage } } } }"
    )
    async with Mondoo(simulators, simulators.mondoo.service_account_json(account.mrn)) as client:
        for number in range(3):
            given = {"name": f"Tenant {number}", "orgMrn": ORGANIZATION, "id": f"paged-{number}"}
            made = (await client.ask(create, input=given))["createSpace"]
            assert made["mrn"] == f"//captain.api.mondoo.app/spaces/paged-{number}"
        taken = {"name": "Again", "orgMrn": ORGANIZATION, "id": "paged-0"}
        assert "code = AlreadyExists" in await client.refused(create, input=taken)
        wrong = {"name": "Again", "orgMrn": ORGANIZATION, "id": "UPPER"}
        assert "code = InvalidArgument" in await client.refused(create, input=wrong)
        seen: list[str] = []
        after = None
        while True:
            page = (await client.ask(listing, m=ORGANIZATION, after=after))["organization"][
                "spacesList"
            ]
            assert len(page["edges"]) <= 2
            seen += [edge["node"]["id"] for edge in page["edges"]]
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
    assert {"demo-space", "paged-0", "paged-1", "paged-2"} <= set(seen)
    assert len(seen) == len(set(seen)) == page["totalCount"]


async def test_a_space_account_makes_no_spaces(mondoo: Mondoo) -> None:
    message = await mondoo.refused(
        "mutation ($input: CreateSpaceInput!) { createSpace(input: $input) { id } }",
        input={"name": "Mine", "orgMrn": ORGANIZATION},
    )
    assert "code = PermissionDenied" in message


async def test_a_new_service_account_can_sign_in_until_it_is_deleted(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    created = await mondoo.ask(
        "mutation ($input: CreateServiceAccountInput!) { createServiceAccount(input: $input)"
        " { mrn certificate privateKey scopeMrn apiEndpoint } }",
        input={"scopeMrn": SPACE, "roles": [{"mrn": "//iam.api.mondoo.app/roles/viewer"}]},
    )
    made = created["createServiceAccount"]
    account = {"mrn": made["mrn"], "private_key": made["privateKey"]}
    async with Mondoo(simulators, account) as client:
        assert (await client.ask(VIEWER))["viewer"]["mrn"] == made["mrn"]
        await mondoo.ask(
            "mutation ($input: DeleteServiceAccountsInput!)"
            " { deleteServiceAccounts(input: $input) { mrns } }",
            input={"scopeMrn": SPACE, "mrns": [made["mrn"]]},
        )
        assert (await client.post("/query", {"query": VIEWER})).status_code == 401


async def test_a_workload_identity_is_bound_read_and_removed(mondoo: Mondoo) -> None:
    made = await mondoo.ask(
        "mutation ($input: CreateWIFAuthBindingInput!) { createWIFAuthBinding(input: $input)"
        " { binding { mrn scope roles issuerURI subject expiration } config { audience } } }",
        input={
            "scopeMrn": SPACE,
            "name": "functions",
            "issuerUri": "https://sts.windows.net/x",
            "subject": "s",
        },
    )
    binding = made["createWIFAuthBinding"]["binding"]
    read = "query ($m: String!) { getWIFAuthBinding(mrn: $m) { binding { subject } } }"
    assert (await mondoo.ask(read, m=binding["mrn"]))["getWIFAuthBinding"]["binding"] == {
        "subject": "s"
    }
    await mondoo.ask(
        "mutation ($m: String!) { removeWIFAuthBinding(mrn: $m) { mrn } }", m=binding["mrn"]
    )
    assert "code = NotFound" in await mondoo.refused(read, m=binding["mrn"])


async def test_a_space_is_renamed_and_removed_with_what_is_in_it(simulators: Simulators) -> None:
    account = simulators.run(simulators.mondoo.add_space, "short-lived")
    inside = simulators.run(simulators.mondoo.add_integration, account.scope_mrn, "inside")
    owner = simulators.mondoo.organization_account
    update = (
        "mutation ($input: UpdateSpaceInput!)"
        " { updateSpace(input: $input) { space { name description annotations { key value } } } }"
    )
    delete = "mutation ($m: String!) { deleteSpace(spaceMrn: $m) }"
    free = 'query { spaceIDSuggestion(input: {id: "short-lived"}) { available } }'
    async with Mondoo(simulators, simulators.mondoo.service_account_json(account.mrn)) as client:
        assert "code = PermissionDenied" in await client.refused(delete, m=account.scope_mrn)
    async with Mondoo(simulators, simulators.mondoo.service_account_json(owner.mrn)) as client:
        given = {
            "mrn": account.scope_mrn,
            "name": "Renamed",
            "description": "for a test",
            "annotations": [{"key": "tenant", "value": "t"}],
        }
        assert (await client.ask(update, input=given))["updateSpace"]["space"] == {
            "name": "Renamed",
            "description": "for a test",
            "annotations": [{"key": "tenant", "value": "t"}],
        }
        assert (await client.ask(free))["spaceIDSuggestion"] == {"available": False}
        await client.ask(delete, m=account.scope_mrn)
        assert (await client.ask(free))["spaceIDSuggestion"] == {"available": True}
    assert inside.mrn not in simulators.mondoo.integrations
    assert account.mrn not in simulators.mondoo.service_accounts


# --------------------------------------------------------------------------- policies


async def test_policies_are_found_assigned_listed_and_taken_away(simulators: Simulators) -> None:
    account = simulators.run(simulators.mondoo.add_space, "policy-space")
    space = account.scope_mrn
    search = (
        "query ($input: ContentSearchInput!) { content(input: $input) { totalCount edges { node"
        " { __typename ... on Policy { mrn name assigned action } } } } }"
    )
    active = (
        "query ($s: String!) { activePolicies(input: {scopeMrn: $s})"
        " { edges { node { mrn name action assignedScope } } } }"
    )
    assign = "mutation ($input: PolicyAssignmentInput!) { assignPolicy(input: $input) }"
    unassign = "mutation ($input: PolicyAssignmentInput!) { unassignPolicy(input: $input) }"
    async with Mondoo(simulators, simulators.mondoo.service_account_json(account.mrn)) as client:
        found = await client.ask(
            search,
            input={"scopeMrn": space, "catalogType": "POLICY", "query": "CIS Microsoft 365"},
        )
        names = [edge["node"]["name"] for edge in found["content"]["edges"]]
        assert len(names) == 2
        assert all(name.startswith("CIS Microsoft 365 Foundations Benchmark") for name in names)
        assert not any(edge["node"]["assigned"] for edge in found["content"]["edges"])
        assert (await client.ask(active, s=space))["activePolicies"]["edges"] == []
        mrns = [
            "//policy.api.mondoo.app/policies/mondoo-m365-security",
            found["content"]["edges"][0]["node"]["mrn"],
        ]
        assert await client.ask(
            assign, input={"assetMrn": space, "policyMrns": mrns, "action": "ACTIVE"}
        ) == {"assignPolicy": True}
        listed = (await client.ask(active, s=space))["activePolicies"]["edges"]
        assert [edge["node"]["mrn"] for edge in listed] == mrns
        assert {edge["node"]["action"] for edge in listed} == {"ACTIVE"}
        await client.ask(
            assign, input={"assetMrn": space, "policyMrn": mrns[1], "action": "IGNORE"}
        )
        await client.ask(unassign, input={"assetMrn": space, "policyMrn": mrns[0]})
        listed = (await client.ask(active, s=space))["activePolicies"]["edges"]
        assert [(edge["node"]["mrn"], edge["node"]["action"]) for edge in listed] == [
            (mrns[1], "IGNORE")
        ]
        unknown = {"assetMrn": space, "policyMrn": "//policy.api.mondoo.app/policies/none"}
        assert "code = NotFound" in await client.refused(assign, input=unknown)


# ----------------------------------------------------------------------------- faults


async def test_a_lost_answer_leaves_the_integration_behind(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    tenant = str(uuid4())
    simulators.faults.add(Fault("mondoo", "createClientIntegration", tenant=tenant, drop="after"))
    with pytest.raises(Exception, match=r"disconnected|closed|reset|EOF"):
        await mondoo.create(tenantId=tenant, certificate="x")
    left = [i for i in simulators.mondoo.integrations.values() if i.tenant_id == tenant]
    assert len(left) == 1


async def test_faults_come_in_every_form_of_the_platform(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    simulators.faults.add(
        Fault("mondoo", "viewer", status=200, code="ResourceExhausted", message="too many requests")
    )
    simulators.faults.add(Fault("mondoo", "viewer", status=503, code="Unavailable", message="down"))
    partial = {"data": {"viewer": None}, "errors": [{"message": "rpc error: code = Internal"}]}
    simulators.faults.add(Fault("mondoo", "viewer", body=json.dumps(partial).encode()))
    answers = [await mondoo.post("/query", {"query": VIEWER}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 503, 200, 200]
    assert answers[0].json()["errors"][0]["message"] == (
        "rpc error: code = ResourceExhausted desc = too many requests"
    )
    assert answers[1].json() == {"code": 14, "message": "down", "details": []}
    assert answers[2].json() == partial
    assert "errors" not in answers[3].json()


async def test_the_journal_names_calls_after_their_fields(
    simulators: Simulators, mondoo: Mondoo
) -> None:
    tenant = str(uuid4())
    made = await mondoo.create(tenantId=tenant, certificate="-----BEGIN secret")
    await mondoo.read(made["mrn"])
    calls = [
        (call.operation, call.write) for call in simulators.journal.select("mondoo", tenant=tenant)
    ]
    assert calls == [("createClientIntegration", True), ("clientIntegration", False)]
    assert "BEGIN" not in repr(simulators.journal.calls)
