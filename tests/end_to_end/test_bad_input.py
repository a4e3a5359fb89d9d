"""Bad input gets a clear answer naming the field and the remedy, and starts nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.driving import Driver

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
TENANT = "contoso.example"

BAD: list[tuple[str, bytes | dict[str, Any] | list[Any], str]] = [
    ("not JSON", b"tenant=contoso", "(body)"),
    ("not UTF-8", b"\xff\xfe{}", "(body)"),
    ("an empty body", b"", "(body)"),
    ("white space only", b"  \n", "(body)"),
    ("one megabyte", b'{"tenant": "' + b"a" * 1_000_000 + b'"}', "(body)"),
    ("an array", [], "(body)"),
    ("no tenant", {}, "tenant"),
    ("a number as tenant", {"tenant": 42}, "tenant"),
    ("null as tenant", {"tenant": None}, "tenant"),
    ("an unknown field", {"tenant": TENANT, "tenants": []}, "tenants"),
    ("tenant common", {"tenant": "common"}, "tenant"),
    ("tenant organizations", {"tenant": "organizations"}, "tenant"),
    ("tenant consumers", {"tenant": "Consumers"}, "tenant"),
    ("an empty tenant", {"tenant": ""}, "tenant"),
    ("a blank tenant", {"tenant": "   "}, "tenant"),
    ("SQL as tenant", {"tenant": "x'; DROP TABLE tenants;--"}, "tenant"),
    ("a path as tenant", {"tenant": "../../etc/passwd"}, "tenant"),
    ("a GUID cut short", {"tenant": "8a1f0c4e-5f0b-4b9a-8d6b"}, "tenant"),
    ("a PEM as tenant", {"tenant": PEM}, "tenant"),
    ("an unknown manifest", {"tenant": TENANT, "manifest": "2019"}, "manifest"),
    ("a list as manifest", {"tenant": TENANT, "manifest": ["quick-setup"]}, "manifest"),
    ("a long name", {"tenant": TENANT, "applicationName": "x" * 91}, "applicationName"),
    ("an empty name", {"tenant": TENANT, "applicationName": ""}, "applicationName"),
    ("a PEM as name", {"tenant": TENANT, "applicationName": PEM}, "applicationName"),
    ("a one-line PEM as name", {"tenant": TENANT, "applicationName": PEM[:30]}, "applicationName"),
    ("a space by name", {"tenant": TENANT, "space": "my-space"}, "space"),
    (
        "an organization as space",
        {"tenant": TENANT, "space": "//captain.api.mondoo.app/organizations/acme"},
        "space",
    ),
    ("a PEM as space", {"tenant": TENANT, "space": PEM}, "space"),
    ("a policy by name", {"tenant": TENANT, "policies": ["cis"]}, "policies[0]"),
    ("no policies", {"tenant": TENANT, "policies": []}, "policies"),
    ("adopting a name", {"tenant": TENANT, "adopt": "mondoo-ms365"}, "adopt"),
]


@pytest.mark.parametrize("path", ["/api/tenants", "/api/plan"])
@pytest.mark.parametrize(("what", "body", "field"), BAD, ids=[row[0] for row in BAD])
def test_bad_input_is_answered_with_the_field_and_the_remedy(
    product: Driver, what: str, body: Any, field: str, path: str
) -> None:
    before = product.stack.host.instances()
    if isinstance(body, bytes):
        answer = product.post(path, content=body)
    else:
        answer = product.post(path, body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["field"] == field
    assert problem["remediation"]
    assert problem["status"] == 400
    assert "BEGIN" not in answer.text
    assert "regex" not in problem["detail"]
    assert product.stack.host.instances() == before


@pytest.mark.parametrize(
    "tenant", ["unknown-domain.example", "00000000-1111-4222-8333-444444444444"]
)
def test_a_tenant_that_does_not_exist_is_not_found(product: Driver, tenant: str) -> None:
    before = product.stack.host.instances()
    answer = product.post("/api/tenants", {"tenant": tenant})
    assert answer.status_code == 404
    problem = answer.json()
    assert (problem["code"], problem["field"]) == ("tenant_not_found", "tenant")
    assert problem["remediation"]
    assert product.stack.host.instances() == before


@pytest.mark.parametrize(
    "identifier",
    [
        "nonsense",
        "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77",
        "8a1f0c4e-5f0b-4b9a-8d6b-3d7f0b6f2c77.20260910T080000000000Z",
        "%27%3B--",
    ],
)
def test_an_operation_that_does_not_exist_is_not_found(product: Driver, identifier: str) -> None:
    answer = product.get(f"/api/operations/{identifier}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "operation_unknown"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=ten", "limit"),
        ("limit=1001", "limit"),
        ("state=good", "state"),
    ],
)
def test_a_bad_filter_names_its_parameter(product: Driver, query: str, field: str) -> None:
    answer = product.get(f"/api/tenants?{query}")
    assert answer.status_code == 400
    assert answer.json()["field"] == field
