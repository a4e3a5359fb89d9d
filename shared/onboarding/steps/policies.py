"""Policies: the chosen ones assigned to the space, active or in preview.

Without an active policy an integration yields an inventory and no findings. Policies that nobody
chose here are left as somebody else assigned them, and one that is active is never put back into
preview; the result lists both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from shared.context import Context
from shared.models import (
    Finding,
    OnboardingOrder,
    Outcome,
    PolicyAction,
    Severity,
    StepCall,
    StepResult,
)
from shared.mondoo import policies
from shared.outcomes import ended, not_yet

MOST_FOUND = 20
"""A search that finds more is no choice."""


async def run(context: Context, call: StepCall, *, dry_run: bool = False) -> StepResult:
    """Assign what is not assigned, then list again."""
    order = call.order
    if dry_run and order.new_space is not None and call.facts.integration is None:
        # Most likely the space is still to be made; what is assigned in it cannot be read.
        scope = order.new_space.organization
        chosen, _ = await choose(context, msgspec.structs.replace(order, space=scope))
        return ended(Outcome.PLANNED, f"would be assigned: {_listed(chosen)}")
    chosen, findings = await choose(context, order)
    if findings:  # seen in preflight, unless the space has changed since
        return StepResult(
            outcome=Outcome.FAILED,
            message=findings[0].message,
            code=findings[0].code,
            remediation=findings[0].remediation,
            findings=findings,
        )
    assigned = await policies.assigned(context.mondoo, order.space)
    missing = [mrn for mrn in chosen if not _enough(assigned.get(mrn), order.policy_action)]
    word = "active" if order.policy_action is PolicyAction.ACTIVE else "in preview"
    rest = _rest(assigned, chosen)
    if not missing:
        return ended(Outcome.PASSED, f"{_by_action(assigned, chosen)}{rest}")
    if dry_run:
        return ended(Outcome.PLANNED, f"would be made {word}: {_listed(missing)}{rest}")
    await policies.activate(context.mondoo, order.space, missing, order.policy_action)
    assigned = await policies.assigned(context.mondoo, order.space)
    unseen = [mrn for mrn in missing if not _enough(assigned.get(mrn), order.policy_action)]
    if unseen:
        return not_yet(
            "policy_not_active",
            f"assigned, but not listed as {word} yet: {_listed(unseen)}",
            remediation="Send the request again; look at the policies of the space.",
        )
    return ended(Outcome.CHANGED, f"made {word}: {_listed(missing)}{rest}")


async def unknown(context: Context, order: OnboardingOrder) -> list[Finding]:
    """A finding for each policy that was named and does not exist."""
    if not order.policies:
        return []
    known = await policies.known(context.mondoo, order.space, order.policies)
    return [
        Finding(
            code="mondoo_policy_unknown",
            severity=Severity.HIGH,
            subject=mrn,
            message=f"there is no policy {mrn} that {order.space} could use",
            remediation="Correct the MRN; GET /api/policies lists what there is.",
        )
        for mrn in sorted(set(order.policies) - known)
    ]


async def choose(context: Context, order: OnboardingOrder) -> tuple[list[str], list[Finding]]:
    """The chosen policies by MRN, and what is wrong with the search for them."""
    space = order.space
    findings: list[Finding] = []
    chosen = list(order.policies)
    if order.policy_search is not None:
        found = await policies.search(context.mondoo, space, order.policy_search)
        if not 0 < len(found) <= MOST_FOUND:
            names = ", ".join(policy.name for policy in found[:5])
            findings.append(
                Finding(
                    code="mondoo_policy_search_empty" if not found else "mondoo_policy_search_wide",
                    severity=Severity.HIGH,
                    subject=order.policy_search,
                    message=f"the search {order.policy_search!r} finds {len(found)} policies in"
                    f" {space}" + (f": {names}, …" if names else ""),
                    remediation=f"Search for words that 1 to {MOST_FOUND} policies have, or name"
                    " policies by MRN; GET /api/policies?search= shows what is found.",
                )
            )
        chosen += [policy.mrn for policy in found]
    return list(dict.fromkeys(chosen)), findings


def _enough(action: PolicyAction | None, wanted: PolicyAction) -> bool:
    return action is not None and (wanted is PolicyAction.PREVIEW or action is wanted)


def _by_action(assigned: Mapping[str, PolicyAction], chosen: Iterable[str]) -> str:
    parts = []
    for action, word in ((PolicyAction.ACTIVE, "active"), (PolicyAction.PREVIEW, "in preview")):
        listed = [mrn for mrn in chosen if assigned.get(mrn) is action]
        if listed:
            parts.append(f"{word}: {_listed(listed)}")
    return "; ".join(parts)


def _rest(assigned: Mapping[str, PolicyAction], chosen: list[str]) -> str:
    """What somebody else assigned."""
    others = _by_action(assigned, [mrn for mrn in assigned if mrn not in chosen])
    return f"; assigned otherwise and left alone, {others}" if others else ""


def _listed(mrns: Iterable[str]) -> str:
    return ", ".join(mrn.rsplit("/", 1)[-1] for mrn in mrns)
