"""A run over all tenants: paged, a bounded number in flight, and stopped before it does harm.

    1. look   every tenant is audited; those whose policy allows changes only rehearse them
    2. judge  if more than a third of all tenants would be changed, the run stops, says why, and
              goes on only when it is asked to: a change that wide is rarely what anybody wants
    3. mend   the tenants that would be changed are audited again, with the changes made

Each audit is an operation of its tenant like any other (`shared.audit.start`), in an instance of
its own, so the engine keeps it apart from an onboarding; a busy tenant is put off and tried again
at the end of the pass. The run itself is one instance, ``fleet-audit``, which is why two never
overlap. It holds only counters, a cursor and ids; it continues as new after a few rounds, so that
its history stays small however many tenants there are.

Every tenant that was audited is counted once, by its newest audit in the run: clean, with findings,
refused or failing. It counts as put right only when the audit that was to do so succeeded.

A run is cancelled by a note in the ledger, which each round looks for: audits that run come to
their end, no more are started, and what was put right stays so. A run that has nothing left to do
by then is done like any other.

A roll-out of a newer manifest is the same run with that list in place of each tenant's own, for the
tenants that are on another one, or on the way to one.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

from shared.audit.history import recall
from shared.audit.report import AuditStatus
from shared.audit.start import start_audit
from shared.context import Context
from shared.errors import NotYet, RequestError, TenantBusy
from shared.instances import (
    RUNNING,
    DurableClient,
    find_operation,
    input_of,
    runtime_of,
    start_instance,
)
from shared.models import (
    OperationStatus,
    RepairPolicy,
    TenantRecord,
    WaitPolicy,
    from_json,
    to_json,
)
from shared.notifications import AUDIT_STOPPED
from shared.operations import OrchestrationContext, utc_now

FLEET = "audit_fleet"
"""The registered name of the orchestrator."""

ADVANCE_ACTIVITY = "audit_fleet_advance"
INSTANCE = "fleet-audit"

CANCELLATIONS = "fleet-cancellations"
"""The shelf of the ledger with the runs that shall stop, by their ids."""

ROUNDS_PER_LIFE = 20
"""Rounds until the orchestrator continues as new; a round is one activity and one timer."""

LONGEST_LIFE = 500_000
"""Characters of rounds until it does so sooner: the lists of a run grow with what is in flight."""

TROUBLES = 20
"""Rounds in a row that may fail for want of the records before the run is given up."""

BUSY_TRIES = 3
"""How often a busy tenant is tried in one pass before it is left to the next run."""


class Pending(Struct, frozen=True, rename="camel"):
    """An audit that was started and has not ended."""

    tenant_id: str
    operation_id: str


class FleetRun(Struct, rename="camel"):
    """A run and how far it is: what the orchestrator hands from round to round.

    ``confirmed``: it goes on though more than a third would be changed. ``cursor`` is where the
    page of tenants begins, ``left`` those of it that were not started yet.

    Counters count tenants: ``audited`` = ``clean`` + ``with_findings`` + ``failing`` + ``refused``.
    ``failing``: the audit did not succeed; ``refused``: nothing was put right because our
    automation may not. ``mended`` are those of the clean ones and of those with findings that the
    run put right as far as their policy goes, ``busy`` those that were not audited, or not put
    right, for another operation.
    """

    id: str
    started_at: datetime
    phase: Literal["look", "mend", "done", "stopped", "cancelled", "failed"] = "look"
    confirmed: bool = False
    manifest: str | None = None
    cursor: str | None = None
    listed: bool = False
    left: list[str] = []
    pending: list[Pending] = []
    put_off: list[str] = []
    tries: int = 1
    to_mend: list[str] = []
    tenants: int = 0
    audited: int = 0
    clean: int = 0
    with_findings: int = 0
    failing: int = 0
    refused: int = 0
    mended: int = 0
    busy: int = 0
    troubles: int = 0
    notice: str | None = None
    finished_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to do."""
        return self.phase in ("done", "stopped", "cancelled", "failed")


class FleetStart(Struct, frozen=True, rename="camel"):
    """The input of the orchestrator. ``pause``: seconds between rounds."""

    run: FleetRun
    pause: float


class FleetRunning(RequestError):
    """A run is going on, so another one is not started."""

    status = 409


class FleetEnded(RequestError):
    """No run is going on, so there is nothing to cancel."""

    status = 409


# --- the orchestrator ----------------------------------------------------------------------------


class FleetContext(OrchestrationContext, Protocol):
    """What the fleet's orchestrator needs besides."""

    def continue_as_new(self, input_: Any) -> None: ...


def audit_fleet(context: FleetContext) -> Generator[Any, Any, Any]:
    """Advance the run until it has ended; the output is the `FleetRun` as JSON."""
    start = from_json(context.get_input(), FleetStart)
    run = to_json(start.run)
    written = 0
    for _ in range(ROUNDS_PER_LIFE):
        if written > LONGEST_LIFE:
            break
        written += 2 * len(msgspec.json.encode(run))  # it goes in, and comes out much the same
        run = yield context.call_activity(ADVANCE_ACTIVITY, run)
        context.set_custom_status(summary(from_json(run, FleetRun)))
        if from_json(run, FleetRun).ended:
            return run
        yield context.create_timer(utc_now(context) + timedelta(seconds=start.pause))
    context.continue_as_new(to_json(FleetStart(from_json(run, FleetRun), start.pause)))
    return None


def summary(run: FleetRun) -> dict[str, Any]:
    """The run without its lists of ids, which may be long."""
    shown: dict[str, Any] = to_json(run)
    for name in ("left", "pending", "putOff", "toMend", "cursor", "listed", "tries", "troubles"):
        shown.pop(name, None)
    shown["inFlight"] = len(run.pending)
    shown["wouldChange"] = len(run.to_mend)
    return shown


# --- starting and looking ------------------------------------------------------------------------


async def start_fleet(
    client: DurableClient,
    waits: WaitPolicy,
    now: datetime,
    *,
    confirmed: bool = False,
    manifest: str | None = None,
) -> FleetRun:
    """Start a run.

    Raises:
        FleetRunning: one is going on.
        NotYet: ``not_started``, when the durable engine did not take it.
    """
    run = FleetRun(
        id=f"fleet.{now:%Y%m%dT%H%M%S%f}Z", started_at=now, confirmed=confirmed, manifest=manifest
    )

    async def refuse_if_running() -> None:
        if runtime_of(await client.get_status(INSTANCE, show_input=False)) in RUNNING:
            raise FleetRunning(
                "fleet_running",
                "a run over all tenants is still going on",
                remediation="Look at GET /api/audit, and start another one when it has ended.",
            )

    await start_instance(client, FLEET, INSTANCE, FleetStart(run, waits.first), refuse_if_running)
    return run


async def newest_run(client: DurableClient) -> dict[str, Any] | None:
    """The summary of the newest run; None when there was none, or none the engine remembers."""
    status = await client.get_status(INSTANCE, show_input=False)
    name = runtime_of(status)
    if name is None:
        return None
    shown: dict[str, Any] = dict(status.custom_status or await _as_begun(client))
    if name not in RUNNING and name != "Completed":
        shown["phase"] = "failed"
        shown["notice"] = "The run was lost. The next one audits all tenants."
    return shown


async def _as_begun(client: DurableClient) -> dict[str, Any]:
    """The summary of a run that has not come to the end of its first round."""
    status = await client.get_status(INSTANCE, show_input=True)
    return summary(from_json(input_of(status), FleetStart).run)


async def cancel_fleet(context: Context, client: DurableClient) -> dict[str, Any]:
    """Have the run start no more audits; its summary as it is now. May be repeated.

    Raises:
        FleetEnded: none is going on.
        NotYet, Refused: the ledger cannot be used.
    """
    run = await newest_run(client)
    if run is None or run["phase"] not in ("look", "mend"):
        raise FleetEnded(
            "fleet_not_running",
            "no run over all tenants is going on",
            remediation="Look at GET /api/audit; start a run with POST /api/audit.",
        )
    for earlier in await context.ledger.entries(CANCELLATIONS):
        if earlier.key != run["id"]:
            await context.ledger.remove(earlier)
    await context.ledger.add(CANCELLATIONS, run["id"], context.now().isoformat())
    return run


# --- one round -----------------------------------------------------------------------------------


async def advance(context: Context, client: DurableClient, run: FleetRun) -> FleetRun:
    """One round: see which audits have ended, start the next ones, and judge when all have.

    A round that dies half-way may be repeated: an audit that was started and not noted down makes
    its tenant busy, so it is put off and started again.
    """
    try:
        await _collect(context, client, run)
        cancelled = await context.ledger.read(CANCELLATIONS, run.id)
        if cancelled is None:
            await _start(context, client, run)
    except NotYet as error:
        run.troubles += 1
        run.notice = error.message
        if run.troubles >= TROUBLES:
            await _end(context, run, "failed", f"The run was given up: {error.message}.")
        return run
    run.troubles, run.notice = 0, None
    # The request stays in the ledger: a round that is repeated must find it again.
    if cancelled is not None and not run.pending and not _has_done_all(run):
        await _end(context, run, "cancelled", _said(_cancellation(run), *_left_undone(run)))
        return run
    if run.pending or run.left or not run.listed:
        return run
    if run.put_off and run.tries < BUSY_TRIES:
        run.left, run.put_off, run.tries = run.put_off, [], run.tries + 1
        return run
    run.busy += len(run.put_off)
    run.put_off, run.tries = [], 1
    await _judge(context, run)
    return run


async def _collect(context: Context, client: DurableClient, run: FleetRun) -> None:
    """Take the audits that have ended out of those in flight, and count them."""
    still: list[Pending] = []
    for pending in run.pending:
        operation = await find_operation(client, context.records, pending.operation_id)
        if operation is not None and operation.finished_at is None:
            still.append(pending)
            continue
        report = await recall(context.records, pending.operation_id)
        succeeded = operation is not None and operation.status is OperationStatus.SUCCEEDED
        if run.phase == "mend":
            run.with_findings -= 1  # as it was counted by the look; how it stands now counts
        else:
            run.audited += 1
        if report is not None and report.rights_missing:
            run.refused += 1
        elif run.phase == "look" and report is not None and report.would_change:
            run.with_findings += 1
            run.to_mend.append(pending.tenant_id)
        elif report is None or report.status is AuditStatus.FAILED or not succeeded:
            run.failing += 1
        else:
            run.mended += run.phase == "mend"
            run.clean += report.status is AuditStatus.CLEAN
            run.with_findings += report.status is AuditStatus.FINDINGS
    run.pending = still


async def _start(context: Context, client: DurableClient, run: FleetRun) -> None:
    """Start audits until enough are in flight."""
    free = context.settings.audit_concurrency - len(run.pending)
    while free > 0:
        if not run.left and not run.listed:
            await _list(context, run)
            continue
        if not run.left:
            return
        tenant_id = run.left[0]
        record = await context.records.get(tenant_id)
        if record is not None and _is_due(record, run):
            try:
                order = await start_audit(
                    client,
                    record,
                    context.settings.waits,
                    context.now(),
                    policy=_policy(record, run),
                    rehearse=run.phase == "look"
                    and _policy(record, run) is not RepairPolicy.REPORT,
                    manifest=run.manifest,
                )
            except TenantBusy:
                run.put_off.append(tenant_id)
            else:
                run.pending.append(Pending(tenant_id, order.operation_id))
                free -= 1
        run.left.pop(0)


async def _list(context: Context, run: FleetRun) -> None:
    """The next page of tenants; in the mending pass, those that would be changed."""
    if run.phase == "mend":
        run.left, run.listed = list(run.to_mend), True
        return
    page, after = await context.records.page(
        after=run.cursor, limit=context.settings.audit_concurrency, state=None
    )
    due = [record.tenant_id for record in page if _is_due(record, run)]
    run.tenants += len(due)
    run.left += due
    run.cursor, run.listed = after, after is None


def _is_due(record: TenantRecord, run: FleetRun) -> bool:
    """Whether there is something of ours to audit; in a roll-out, on another list than the new, or
    not known to be on it."""
    if record.app_id is None:
        return False
    if run.manifest is None:
        return True
    return record.manifest != run.manifest or record.manifest_target is not None


def _policy(record: TenantRecord, run: FleetRun) -> RepairPolicy:
    """A roll-out grants what the new list wants, which takes at least ``repair``."""
    if run.manifest is not None and record.repair is RepairPolicy.REPORT:
        return RepairPolicy.REPAIR
    return record.repair


async def _judge(context: Context, run: FleetRun) -> None:
    """The end of a pass: stop, go on to mend, or be done."""
    if run.phase == "mend" or not run.to_mend:
        await _end(context, run, "done", _said(*_left_undone(run)))
        return
    if len(run.to_mend) > max(1, run.tenants // 3) and not run.confirmed:
        what = f"POST /api/manifests/{run.manifest}/rollout" if run.manifest else "POST /api/audit"
        await _end(
            context,
            run,
            "stopped",
            f"The run stopped before it changed anything: {len(run.to_mend)} of {run.tenants}"
            f" tenants would be changed, which is more than a third. Look at their reports; if it"
            f' is right, send {what} with {{"confirm": true}}.',
        )
        return
    run.phase, run.listed = "mend", False


def _has_done_all(run: FleetRun) -> bool:
    """Whether a run in which nothing is in flight has nothing left to do."""
    if run.left or not run.listed or (run.put_off and run.tries < BUSY_TRIES):
        return False
    return run.phase == "mend" or not run.to_mend


def _cancellation(run: FleetRun) -> str:
    """What was done and what was not, when a run is cancelled with something left to do."""
    if run.phase == "mend":
        tried = len(run.to_mend) - len(run.left) - len(run.put_off) if run.listed else 0
        return (
            f"The run was cancelled after {tried} of {len(run.to_mend)} tenants that were to be"
            " put right; the others were left as they are."
        )
    said = f"The run was cancelled after {run.audited} of {run.tenants} tenants"
    if not run.listed:
        said += " that were looked for, and not all were"
    if run.to_mend:
        said += f"; {len(run.to_mend)} of them would have been changed, and were not"
    return f"{said}."


def _left_undone(run: FleetRun) -> list[str]:
    """What is not right, or not known to be, at the end of a run."""
    said = []
    if run.refused:
        said.append(
            f"{run.refused} of {run.tenants} tenants were not put right, because our automation"
            " lacks rights in them; nothing was changed there. Their reports name each right."
        )
    if run.failing:
        again = f"roll {run.manifest} out again" if run.manifest else "start another run"
        said.append(
            f"The audits of {run.failing} of {run.tenants} tenants did not succeed, so these are"
            " not known to be right. Their reports and operations say what is missing and why;"
            f" when that is mended, {again}."
        )
    return said


def _said(*sentences: str) -> str | None:
    return " ".join(sentences) or None


async def _end(
    context: Context,
    run: FleetRun,
    phase: Literal["done", "stopped", "cancelled", "failed"],
    notice: str | None,
) -> None:
    run.phase, run.notice, run.finished_at = phase, notice, context.now()
    if phase == "stopped":
        for listener in context.audit_listeners:
            await listener.publish(
                AUDIT_STOPPED, "fleet", summary(run), id=run.id, time=run.finished_at
            )
