"""HTTP functions: what they get, what their answers become, and what no function answers."""

from __future__ import annotations

import httpx
import pytest

from local.host import FunctionsHost


def test_a_function_gets_the_request_as_the_worker_hands_it_over(
    host: FunctionsHost, client: httpx.Client
) -> None:
    answer = client.post(
        "/api/tenants/Contoso%20Ltd/items/5?a=1&a=2&b=x%26y",
        content=b"body",
        headers={"User-Agent": "tests"},
    )

    assert answer.status_code == 200
    seen = answer.json()
    assert seen.pop("invocation")
    assert seen == {
        "greeting": "hi",
        "method": "POST",
        "url": f"{host.url}/api/tenants/Contoso%20Ltd/items/5?a=1&a=2&b=x%26y",
        "tenant": "Contoso Ltd",
        "number": "5",
        "query": {"a": "1,2", "b": "x&y"},
        "agent": "tests",
        "body": "body",
        "function": "item",
    }


def test_status_headers_and_cookies_of_a_response_are_rendered(client: httpx.Client) -> None:
    answer = client.get("/api/tenants/t/items/1")

    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-own"] == "yes"
    assert answer.headers["set-cookie"] == "a=1; Path=/"


def test_text_becomes_a_plain_answer_and_the_more_specific_route_wins(
    client: httpx.Client,
) -> None:
    answer = client.get("/API/tenants/special/items/1")

    assert (answer.status_code, answer.text) == (200, "special")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/nowhere"),
        ("GET", "/tenants/t/items/1"),
        ("GET", "/api/tenants/t/items/five"),
        ("GET", "/api/tenants/t/items/1/more"),
        ("DELETE", "/api/tenants/t/items/1"),
        ("GET", "/"),
    ],
)
def test_what_fits_no_route_or_no_method_is_not_found(
    client: httpx.Client, method: str, path: str
) -> None:
    answer = client.request(method, path)

    assert (answer.status_code, answer.text) == (404, "")


@pytest.mark.parametrize("name", ["fails", "nothing"])
def test_a_function_that_raises_or_answers_nothing_is_a_500_without_details(
    host: FunctionsHost, client: httpx.Client, name: str
) -> None:
    answer = client.get(f"/api/{name}")

    assert (answer.status_code, answer.text) == (500, "")
    assert any(f"'{name}' gave no answer" in line for line in host.logs.lines())


def test_the_cause_of_a_500_is_in_the_log(host: FunctionsHost, client: httpx.Client) -> None:
    client.get("/api/fails")

    assert any("RuntimeError: broken on purpose" in line for line in host.logs.lines())


def test_without_keys_every_level_is_open(client: httpx.Client) -> None:
    assert client.get("/api/master").text == "for the master"


def test_the_host_tells_its_state_and_its_functions(client: httpx.Client) -> None:
    assert client.get("/admin/host/status").json()["state"] == "Running"
    names = {each["name"] for each in client.get("/admin/functions").json()}
    assert {"item", "nightly", "on_order", "greet_all", "greet"} <= names
