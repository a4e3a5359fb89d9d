"""The OpenAPI document: valid, complete, and true to the code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from local.documents.runbook import conditions
from local.stack import APP_FILE, LocalStack
from shared.config import load_settings
from shared.triggers.access import OPEN_ROUTES, Role
from shared.triggers.descriptions import DESCRIPTIONS
from shared.triggers.openapi import Registered, document, registered
from tests.schemas import Interface
from tests.shared.triggers.test_access import SETTINGS


@pytest.fixture(scope="module")
def interface(stack: LocalStack) -> Interface:
    answer = httpx.get(f"{stack.host.url}/api/openapi.json", timeout=30)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    return Interface(answer.json())


def test_it_is_a_valid_openapi_document(interface: Interface) -> None:
    assert interface.document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(interface.document).validate()


def test_it_has_every_route_of_the_app_and_nothing_else(
    interface: Interface, stack: LocalStack
) -> None:
    routes = {
        (method, f"/{function.route.template}")
        for function in stack.host.functions
        if function.route is not None
        for method in function.route.methods
    }
    assert interface.routes == routes


def test_nothing_is_described_that_the_app_does_not_have(stack: LocalStack) -> None:
    assert set(DESCRIPTIONS) == {f.name for f in stack.host.functions if f.route is not None}


def test_a_function_that_nobody_described_is_not_passed_over() -> None:
    forgotten = Registered("forgotten", "forgotten", ("GET",), frozenset({Role.READER}))
    with pytest.raises(KeyError, match="forgotten"):
        document([forgotten], load_settings(SETTINGS))


def bodies(interface: Interface) -> Iterator[tuple[str, Any]]:
    """Every schema with an example, with where it is."""
    for route in interface.routes:
        operation = interface.operation(route)
        for parameter in operation.get("parameters", []):
            yield f"{route} {parameter['name']}", parameter
        contents = [operation.get("requestBody", {}), *operation["responses"].values()]
        for each in contents:
            for media_type, content in each.get("content", {}).items():
                yield f"{route} {media_type}", content


def test_every_example_is_what_its_schema_asks_for(interface: Interface) -> None:
    shown = [(where, body) for where, body in bodies(interface) if "example" in body]
    assert len(shown) > 30
    for where, body in shown:
        try:
            interface.validate(body["example"], body["schema"])
        except Exception as error:
            raise AssertionError(where) from error


def test_every_parameter_of_a_path_is_described_and_nothing_else_is_required(
    interface: Interface,
) -> None:
    for route in interface.routes:
        told = interface.operation(route).get("parameters", [])
        required = {each["name"] for each in told if each["required"]}
        assert required == {part[1:-1] for part in route[1].split("/") if part.startswith("{")}
        assert all(each["description"] for each in told), route


def test_every_request_that_may_be_refused_says_so_with_our_problem(interface: Interface) -> None:
    for route in interface.routes:
        for status, answer in interface.operation(route)["responses"].items():
            if int(status) >= 400 and "content" in answer and "text/html" not in answer["content"]:
                assert list(answer["content"]) == ["application/problem+json"], (route, status)


def test_every_code_that_it_names_is_one_that_the_product_has() -> None:
    known = {condition.code for condition in conditions()}
    named = {
        code
        for description in DESCRIPTIONS.values()
        for codes in description.refusals.values()
        for code in codes
    }
    assert named <= known


def test_with_keys_it_asks_for_a_key_everywhere_but_at_the_open_routes(
    interface: Interface,
) -> None:
    for route in interface.routes:
        is_open = route[1].removeprefix("/api/") in OPEN_ROUTES
        assert interface.operation(route)["security"] == ([] if is_open else [{"functionKey": []}])


@pytest.fixture(scope="module")
def behind_entra(stack: LocalStack) -> Interface:
    told = {**stack.settings, "AUTHENTICATION": "entra", "WEBSITE_AUTH_ENABLED": "True"}
    settings = load_settings(told)
    return Interface(document(registered(stack.host.module.blueprints, settings), settings))


def test_behind_entra_each_operation_names_the_roles_that_it_lets_through(
    behind_entra: Interface,
) -> None:
    OpenAPIV31SpecValidator(behind_entra.document).validate()
    scheme = behind_entra.document["components"]["securitySchemes"]["entra"]
    assert scheme["openIdConnectUrl"].endswith("/v2.0/.well-known/openid-configuration")
    for route in behind_entra.routes:
        security = behind_entra.operation(route)["security"]
        if route[1].removeprefix("/api/") in OPEN_ROUTES:
            assert security == []
            continue
        reads = route[0] == "GET" or route[1] == "/api/plan"
        reads = reads and route[1] != "/api/consent/{tenant}"
        either = [{"entra": ["Operator"]}, {"entra": ["Reader"]}]
        assert security == (either if reads else [{"entra": ["Operator"]}]), route


def test_a_start_of_the_app_does_not_pay_for_it(stack: LocalStack) -> None:
    script = (
        f"import runpy, sys; runpy.run_path({str(APP_FILE)!r})\n"
        "late = 'triggers.openapi', 'triggers.descriptions', 'permissions', 'dashboard', 'overview'"
        "\nprint([name for name in sys.modules if name.startswith(tuple('shared.' + each"
        " for each in late)) and name != 'shared.triggers.permissions'])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**stack.settings, "PATH": ""},
        cwd=APP_FILE.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.strip() == "[]"
