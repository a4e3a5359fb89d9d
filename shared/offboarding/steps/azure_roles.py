"""Azure roles: Reader in Azure taken away again, where we assigned it and are let to.

Only assignments that our automation made are removed; what others assigned stays. It may have been
let into Azure to assign and not be let in any more. Whatever then cannot be seen or removed is
named with what somebody with more rights has to do, and the step fails: it is never taken for gone.
The service principal goes all the same, since a role without it opens nothing.
"""

from __future__ import annotations

import msgspec

from shared.context import Context
from shared.errors import Refused
from shared.models import Fate, ObjectKind, Outcome, ReceiptEntry, StepResult, to_json
from shared.offboarding.calls import OffboardingCall
from shared.offboarding.entries import concluded, looked_at, present
from shared.resource_manager.reader import held, remove_reader, scope_of_assignment

_KIND = ObjectKind.AZURE_ROLE


async def run(context: Context, call: OffboardingCall) -> StepResult:
    """Remove every assignment of ours, and read that it is gone."""
    principal_id, still = call.facts.principal_id, set()
    refused: list[str] = []
    for entry in present(call.facts, _KIND):
        assert principal_id is not None  # assignments were found of it
        azure, scope = context.azure(call.order.tenant_id), scope_of_assignment(entry.id)
        try:
            await remove_reader(azure, scope, principal_id)
            if (await held(azure, scope, principal_id)).ours:
                still.add(entry.id)
        except Refused as error:
            still.add(entry.id)
            refused.append(error.message)
    entries = [
        msgspec.structs.replace(each, message=by_hand(each.id))
        if refused and each.kind is _KIND and each.fate is Fate.PRESENT
        else each
        for each in looked_at(call.facts, _KIND, still, context.now())
    ]
    unseen = [each for each in entries if each.kind is _KIND and each.fate is Fate.UNKNOWN]
    if not refused and not unseen:
        return concluded(_KIND, entries, "Reader assignments")
    return _left(entries, refused, unseen)


def by_hand(assignment: str) -> str:
    """What somebody who may has to do, for a receipt."""
    return (
        "an Owner or User Access Administrator has to run:"
        f" az role assignment delete --ids {assignment}"
    )


def _left(
    entries: list[ReceiptEntry], refused: list[str], unseen: list[ReceiptEntry]
) -> StepResult:
    todo = [each for each in entries if each.kind is _KIND and each.fate is Fate.PRESENT]
    told = [*refused, *(f"{each.name} could not be looked at" for each in unseen)]
    return StepResult(
        outcome=Outcome.FAILED,
        code="azure_roles_left",
        message=f"Reader in Azure is not known to be gone: {'; '.join(told)}",
        remediation="Do in Azure what the receipt says of each, then send the request again: "
        + "; ".join(dict.fromkeys(each.message or each.id for each in (*todo, *unseen)))
        + ".",
        facts={"entries": [to_json(each) for each in entries]},
    )
