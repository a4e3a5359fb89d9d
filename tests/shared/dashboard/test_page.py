"""The page of the dashboard: complete in itself, held to a policy, and never a parser of names."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from shared.config import Authentication
from shared.dashboard import headers, page


@pytest.fixture(params=Authentication)
def html(request: pytest.FixtureRequest) -> str:
    return page(request.param)


def between(html: str, tag: str) -> str:
    (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    return str(content)


def test_the_policy_allows_exactly_the_script_and_the_style_of_the_page(html: str) -> None:
    policy = dict(
        directive.strip().split(" ", 1)
        for directive in headers()["Content-Security-Policy"].split(";")
    )
    for directive, tag in (("script-src", "script"), ("style-src", "style")):
        digest = base64.b64encode(hashlib.sha256(between(html, tag).encode()).digest()).decode()
        assert policy[directive] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"


def test_nothing_is_loaded_from_anywhere(html: str) -> None:
    assert not re.search(r"https?://|//[a-z]|url\(|@import|\bimport\b", html.split("<body", 1)[1])
    outside = re.findall(r'(?:src|href|action)="([^"]*)"', html)
    assert set(outside) == {"data:,", "#main"}


def test_the_page_has_no_code_or_style_but_in_its_two_elements(html: str) -> None:
    markup = html.replace(between(html, "script"), "").replace(between(html, "style"), "")
    assert not re.search(r"\son\w+=|\sstyle=|javascript:", markup)


def test_the_script_has_no_way_to_make_markup_of_text(html: str) -> None:
    script = between(html, "script")
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser"):
        assert way not in script
    for way in (r"\beval\(", r"new Function", r"createContextualFragment", r"\.srcdoc", r"setHTML"):
        assert not re.search(way, script)


def test_what_a_caller_proves_themselves_with_is_kept_no_longer_than_the_tab(html: str) -> None:
    script = between(html, "script")
    assert "localStorage" not in script
    assert "document.cookie" not in script
    assert "indexedDB" not in script
    assert 'history.replaceState(null, "", location.pathname)' in script


def test_every_heading_control_and_message_has_a_name_for_those_who_do_not_see(html: str) -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', html))
    for attribute in ("aria-labelledby", "aria-describedby", "for"):
        assert set(re.findall(rf'\b{attribute}="([^"]+)"', html)) <= ids
    fields = set(re.findall(r'<(?:input|select) id="([^"]+)"', html))
    assert fields <= set(re.findall(r'<label for="([^"]+)"', html))
    assert '<html lang="en">' in html
    assert 'aria-live="polite"' in html
    assert 'role="alert"' in html


def test_it_knows_how_callers_prove_who_they_are() -> None:
    for authentication in Authentication:
        assert f'data-authentication="{authentication}"' in page(authentication)
