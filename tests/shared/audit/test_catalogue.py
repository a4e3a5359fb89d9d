"""The catalogue of findings: complete, well-formed, and documented as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.audit import catalogue
from shared.audit.catalogue import Repairable, as_markdown, entries, entry_of, groups
from shared.manifest import load_manifest, manifest_names
from shared.models import RepairPolicy
from tests.shared.audit.drifts import DRIFTS

ROOT = Path(__file__).parents[3]
AUDIT = ROOT / "shared" / "audit"


def test_the_page_of_documentation_is_current() -> None:
    page = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    assert page == as_markdown(), "run: python -m shared.audit.catalogue docs/findings.md"


def test_every_code_is_there_once() -> None:
    listed = [entry.code for group in groups() for entry in group.entries]
    assert len(listed) == len(set(listed)) == len(entries())


def test_every_code_of_the_catalogue_is_used_by_a_check_and_no_other_is() -> None:
    coverage = ROOT / "shared" / "coverage"  # what a scan's messages mean
    sources = [*(AUDIT / "checks").glob("*.py"), *coverage.glob("*.py"), AUDIT / "comparison.py"]
    written = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    quoted = set(re.findall(r'"([a-z]+(?:_[a-z]+)*)"', written))
    assert set(entries()) <= quoted
    assert set(re.findall(r'deviation\(\s*"([a-z_]+)"', written)) <= set(entries())


@pytest.mark.parametrize("entry", entries().values(), ids=lambda entry: entry.code)
def test_an_entry_is_made_of_whole_sentences(entry: catalogue.Entry) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", entry.code)
    assert not entry.title.endswith(".")
    for text in (entry.reason, entry.fix):
        assert text[0].isupper()
        assert text.endswith(".")


@pytest.mark.parametrize(
    ("repairable", "corrected_under"),
    [
        (Repairable.NONE, set()),
        (Repairable.REPAIR, {RepairPolicy.REPAIR, RepairPolicy.ENFORCE}),
        (Repairable.ENFORCE, {RepairPolicy.ENFORCE}),
    ],
)
def test_a_policy_corrects_what_it_allows_and_the_milder_ones_allow(
    repairable: Repairable, corrected_under: set[RepairPolicy]
) -> None:
    assert {policy for policy in RepairPolicy if repairable.under(policy)} == corrected_under


def test_the_drifts_of_these_tests_lead_to_nearly_every_finding() -> None:
    covered = {drift.code for drift in DRIFTS}
    # The others depend on dates, on the vault, on the record or on the words of a scan;
    # `test_comparison` and `test_azure` have them.
    assert set(entries()) - covered == {
        "never_onboarded",
        "manifest_outdated",
        "not_checked",
        "certificate_unrecorded",
        "certificate_expired",
        "certificate_expiring",
        "vault_certificate_missing",
        "vault_certificate_disabled",
        "vault_certificate_not_ours",
        "vault_certificate_differs",
        "azure_integration_certificate_differs",
        "permission_not_effective",
        "permission_not_in_manifest",
        "certificate_revoked",
        "federated_credential_missing",
        "integration_certificate_unusable",
        "integration_tenant_wrong",
        "sharepoint_needs_certificate",
        "blocked_by_conditional_access",
        "licence_missing",
        "scan_interrupted",
        "azure_integration_missing",
        "azure_integration_paused",
        "azure_scan_overdue",
        "subscriptions_not_seen",
        "subscriptions_absent",
    }


def test_an_unknown_code_is_a_defect() -> None:
    with pytest.raises(KeyError):
        entry_of("no_such_code")


def test_no_text_of_a_manifest_falls_apart_where_gaps_are_joined() -> None:
    for name in manifest_names():
        manifest = load_manifest(name)
        texts = [each.without_it for each in (*manifest.permissions, *manifest.directory_roles)]
        assert not [text for text in texts if "; " in text]
