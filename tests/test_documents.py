"""Documents: what they point at exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_and_make_target_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z-]+)`", text):
        assert f"\n{target}:" in makefile, target
    for name in re.findall(r"`((?:shared|infra|tests|local)/[\w./-]*)`", text):
        path = ROOT / name
        assert path.exists() or path.with_suffix(".py").exists(), name


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    for record in folder.glob("0*.md"):
        assert f"({record.name})" in listed


def test_every_choice_of_the_deployment_is_told_to_the_administrator() -> None:
    text = (ROOT / "docs" / "administrator.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    parameters = (ROOT / "infra" / "main.parameters.json").read_text(encoding="utf-8")
    by_azd = {"AZURE_ENV_NAME", "AZURE_LOCATION"}
    for name in set(re.findall(r"\$\{(\w+)", parameters)) - by_azd:
        assert f"`{name}`" in text or f"`{name}`" in readme, name
