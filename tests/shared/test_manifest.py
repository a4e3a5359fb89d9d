"""The permission manifests hold the published lists, with the ids exactly as published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.errors import InvalidRequest
from shared.manifest import DEFAULT_MANIFEST, AppRoleKey, load_manifest, manifest_names

PUBLISHED = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "published-permissions.json").read_text("utf-8")
)


@pytest.mark.parametrize(("name", "count"), [("quick-setup", 9), ("2026-09", 30)])
def test_a_manifest_is_the_published_list(name: str, count: int) -> None:
    manifest = load_manifest(name)
    published = {AppRoleKey(app_id, role): value for app_id, role, value in PUBLISHED[name]}
    ours = {key: permission.name for key, permission in manifest.by_key().items()}
    assert ours == published
    assert len(ours) == count


@pytest.mark.parametrize("name", manifest_names())
def test_every_permission_says_why_and_what_is_lost_without_it(name: str) -> None:
    for permission in load_manifest(name).permissions:
        assert permission.reason
        assert permission.without_it


def test_the_default_is_the_list_of_the_quick_setup_page() -> None:
    assert DEFAULT_MANIFEST == manifest_names()[0] == "quick-setup"
    assert load_manifest("2026-09").supersedes == "quick-setup"


def test_two_resources_expose_a_role_of_the_same_name_under_different_keys() -> None:
    same = [
        k for k, p in load_manifest("2026-09").by_key().items() if p.name == "Exchange.ManageAsApp"
    ]
    assert len(same) == len({key.app_role_id for key in same}) == 2


def test_the_newer_list_lacks_nothing_of_the_older_one() -> None:
    assert set(load_manifest("quick-setup").by_key()) < set(load_manifest("2026-09").by_key())


def test_an_unknown_manifest_names_those_there_are() -> None:
    with pytest.raises(InvalidRequest) as caught:
        load_manifest("../../etc/passwd")
    assert caught.value.field == "manifest"
    assert "quick-setup, 2026-09" in caught.value.remediation
