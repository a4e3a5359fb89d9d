"""Route templates."""

from __future__ import annotations

import pytest

from local.host.routing import Route, TemplateError, find


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("api/health", "/API/Health/", {}),
        ("api/{x}", "/api/a%2Fb", {"x": "a/b"}),
        ("api/{x:int}", "/api/-5", {"x": "-5"}),
        ("api/{x:int}", "/api/five", None),
        (
            "api/{x:guid}",
            "/api/7f3b2b5e-0000-4000-8000-000000000000",
            {"x": "7f3b2b5e-0000-4000-8000-000000000000"},
        ),
        ("api/{x:guid}", "/api/contoso.com", None),
        ("api/{x?}", "/api", {}),
        ("api/{x?}", "/api/a", {"x": "a"}),
        ("api/{*rest}", "/api/a/b", {"rest": "a/b"}),
        ("api/{*rest}", "/api", {"rest": ""}),
        ("api/{x}", "/api", None),
        ("api/{x}", "/api/a/b", None),
        ("api/{x}/y", "/api/a/y", {"x": "a"}),
    ],
)
def test_a_template_takes_a_path_apart(
    template: str, path: str, values: dict[str, str] | None
) -> None:
    assert Route(template).match(path) == values


def test_the_more_specific_of_several_wins() -> None:
    routes = [Route("a/{*x}"), Route("a/{x}"), Route("a/{x:int}"), Route("a/b")]

    def chosen(path: str) -> str:
        found = find(routes, "GET", path)
        return found[0].template if found else ""

    assert [chosen(path) for path in ("a/b", "a/7", "a/c", "a/c/d", "b")] == [
        "a/b",
        "a/{x:int}",
        "a/{x}",
        "a/{*x}",
        "",
    ]


def test_the_method_is_part_of_the_route() -> None:
    routes = [Route("a", frozenset({"GET"})), Route("{x}", frozenset({"POST"}))]

    assert find(routes, "get", "a") is not None
    assert find(routes, "POST", "a") == (routes[1], {"x": "a"})
    assert find(routes, "DELETE", "a") is None


@pytest.mark.parametrize("template", ["a/{x:odd}", "a/{x}.json", "a/{"])
def test_what_is_not_understood_is_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        Route(template)
