"""The documents that are made from the code are up to date, and complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local.documents import documents
from local.documents.runbook import CALLER, LOOK, STOPS, WAITS, conditions
from shared.audit.catalogue import entries
from shared.manifest import load_manifest, manifest_names

ROOT = Path(__file__).parents[3]
INSTRUCTION = re.compile(r'[A-Z"].*(\.|: .+)|….*\.', re.DOTALL)
"""A remedy begins like a sentence, and is one or ends with a command."""
TOLD_BY_TESTS = re.compile(r"""code"?\]? == "([a-z]+(?:_[a-z0-9]+)+)\"""")

ELSEWHERE = {
    # A code that depends on the service: told as `<service>_roles_missing`.
    "graph_roles_missing",
    # Made up by a test of the orchestrator.
    "replication_pending",
}


@pytest.mark.parametrize("name", sorted(documents()))
def test_a_document_is_what_the_code_says_today(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == documents()[name], "run: make docs"


def test_every_code_that_a_test_of_the_product_expects_is_documented() -> None:
    known = {condition.code for condition in conditions()} | set(entries())
    expected: dict[str, str] = {}
    for folder in ("shared", "end_to_end"):
        for path in (ROOT / "tests" / folder).rglob("test_*.py"):
            for code in TOLD_BY_TESTS.findall(path.read_text(encoding="utf-8")):
                expected[code] = path.name
    assert len(expected) > 30
    assert {code: name for code, name in expected.items() if code not in known | ELSEWHERE} == {}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("graph_throttled", WAITS),
        ("mondoo_no_answer", LOOK),
        ("tenant_not_found", CALLER),
        ("role_insufficient", CALLER),
        ("certificate_expired", STOPS),
        ("vault_forbidden", STOPS),
    ],
)
def test_the_runbook_says_whether_waiting_helps(code: str, kind: str) -> None:
    assert kind in {condition.kind for condition in conditions() if condition.code == code}


def test_every_code_has_a_remedy_and_is_told_where_it_comes_from() -> None:
    for condition in conditions():
        assert " " in condition.remedy, condition.code
        assert (ROOT / condition.module).with_suffix(".py").is_file()


def test_a_remedy_is_an_instruction_and_not_what_happened() -> None:
    messages: dict[str, set[str]] = {}
    for condition in conditions():
        messages.setdefault(condition.code, set()).add(condition.message)
    for condition in conditions():
        assert condition.remedy not in messages[condition.code], condition.code
        assert INSTRUCTION.fullmatch(condition.remedy), (condition.code, condition.remedy)


def test_what_only_an_audit_finds_is_on_the_page_of_findings_alone() -> None:
    page = documents()["docs/runbook.md"]
    findings = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    reported = {condition.code for condition in conditions()}
    for code in entries():
        assert f"### `{code}`" in findings
        assert (f"## `{code}`" in page) == (code in reported)
    assert "## `application_deleted`" not in page
    # What operations report too is told with both remedies, each from its own source.
    told = page.partition("## `application_missing`")[2].partition("\n## ")[0]
    assert "What to do: Onboard the tenant again with POST /api/tenants" in told
    assert f"(findings.md#application_missing)): {entries()['application_missing'].title}." in told


def test_a_constant_from_another_module_and_a_function_that_adds_the_remedy_are_followed() -> None:
    remedies = {(each.code, each.module): each.remedy for each in conditions()}
    absent = entries()["resource_absent"].fix
    assert remedies["resource_absent", "shared/onboarding/steps/permissions"] == absent
    assert remedies["batch_too_long", "shared/arrivals/lines"] == "Send several batches."


@pytest.mark.parametrize("name", manifest_names())
def test_the_page_of_permissions_has_each_of_them(name: str) -> None:
    page = documents()["docs/permissions.md"]
    for permission in load_manifest(name).permissions:
        assert f"| `{permission.name}` |" in page
