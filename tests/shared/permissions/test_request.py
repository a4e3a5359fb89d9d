"""The permission request: everything that is asked for is in it, in every format."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import msgspec
import pytest

from shared.errors import InvalidRequest
from shared.manifest import load_manifest, manifest_names
from shared.permissions.formats import Format, chosen, written
from shared.permissions.request import PermissionRequest, permission_request
from shared.permissions.words import SIGNED_BY, SIGNED_WITH
from shared.rights import ONBOARDING_RIGHTS

HOSTILE = 'x"><script>alert(1)</script>'


class Page(HTMLParser):
    """The text of a page, its elements, and every attribute."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.elements, self.attributes = "", list[str](), list[tuple[str, str]]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def told(name: str, wanted: Format, application: str = "mondoo-ms365") -> str:
    request = permission_request(load_manifest(name), application)
    return written(request, wanted).body.decode()


@pytest.mark.parametrize("wanted", Format)
@pytest.mark.parametrize("name", manifest_names())
def test_everything_that_is_asked_for_is_told_with_api_id_reason_and_loss(
    name: str, wanted: Format
) -> None:
    text = told(name, wanted)
    if wanted is Format.HTML:
        text = Page(text).text
    manifest = load_manifest(name)
    for permission in manifest.permissions:
        resource = manifest.resource(permission.resource)
        for what in (permission.name, permission.id, permission.reason, permission.without_it):
            assert what in text, what
        assert resource.name in text
    for role in manifest.directory_roles:
        for what in (role.name, role.template_id, role.reason, role.without_it):
            assert what in text, what
    for right in ONBOARDING_RIGHTS:
        assert right.name in text
        assert right.reason in text


@pytest.mark.parametrize("name", manifest_names())
def test_what_was_inferred_is_marked_in_every_format(name: str) -> None:
    manifest = load_manifest(name)
    inferred = [each for each in manifest.permissions if each.evidence == "inferred"]
    request = msgspec.json.decode(told(name, Format.JSON), type=PermissionRequest)
    assert [each.name for each in request.permissions if each.evidence == "inferred"] == [
        each.name for each in inferred
    ]
    assert told(name, Format.MARKDOWN).count("| inferred |") == len(inferred)
    assert told(name, Format.HTML).count(">inferred<") == len(inferred)


@pytest.mark.parametrize("wanted", [Format.MARKDOWN, Format.HTML])
def test_it_has_a_place_to_sign_for_everybody_who_must(wanted: Format) -> None:
    text = told("quick-setup", wanted)
    for who in SIGNED_BY:
        assert who in text
    for blank in SIGNED_WITH:
        assert text.count(blank) >= (len(SIGNED_BY) if wanted is Format.HTML else 1)


def test_the_page_loads_nothing_runs_nothing_and_sends_nothing() -> None:
    page = Page(told("2026-09", Format.HTML))
    assert not {"script", "img", "iframe", "form", "object", "embed"} & set(page.elements)
    addresses = [value for name, value in page.attributes if name in ("href", "src")]
    assert all(re.fullmatch(r"#[\w-]+|data:,", address) for address in addresses)
    sent = written(permission_request(load_manifest("2026-09"), "a"), Format.HTML).headers
    assert sent["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert sent["X-Content-Type-Options"] == "nosniff"


def test_a_hostile_name_of_the_application_is_only_text() -> None:
    page = Page(told("quick-setup", Format.HTML, HOSTILE))
    assert "script" not in page.elements
    assert HOSTILE in page.text


@pytest.mark.parametrize(
    ("asked", "accept", "wanted"),
    [
        (None, None, Format.JSON),
        (None, "*/*", Format.JSON),
        ("md", "text/html", Format.MARKDOWN),
        ("HTML", None, Format.HTML),
        (None, "text/html,application/xhtml+xml,*/*;q=0.8", Format.HTML),
        (None, "text/markdown", Format.MARKDOWN),
    ],
)
def test_the_format_is_what_was_asked_for_or_is_liked_best(
    asked: str | None, accept: str | None, wanted: Format
) -> None:
    assert chosen(asked, accept) is wanted


@pytest.mark.parametrize(("asked", "accept"), [("pdf", None), (None, "image/png")])
def test_another_format_is_refused_with_those_there_are(
    asked: str | None, accept: str | None
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        chosen(asked, accept)
    assert refused.value.code == "format_unknown"
    assert "html" in refused.value.remediation
