"""From a write that arrived to a batch that is open: checks, idempotency, postings, results."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import script
from .answers import Refused
from .books import Account, Remembered
from .claims import Invoice
from .faults import Strikes
from .lifecycle import Announcement, Batch, Pace, outcome_of
from .operations import Write
from .postings import Posting, Refusal, Result, find_duplicates, post
from .rendering import render_entry
from .stand_in import StandIn
from .strict import Violation, find_violations
from .wire import canonical


@dataclass(frozen=True, slots=True)
class Call:
    """One write as it arrived."""

    write: Write
    path: str
    account: Account
    client: str
    """UUID of the client that sent it."""
    key: str
    """Idempotency key; empty when it had none."""
    document: Any
    """The JSON body."""
    rows: Sequence[Any]
    case_id: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a write that was accepted."""

    batch_id: str
    """Empty: accepted without a batch."""
    replayed: bool = False


def accept(stand_in: StandIn, call: Call, strikes: Strikes) -> Accepted:
    """Take a call into the books, or raise Refused. Nothing of a refused call is kept."""
    violations = find_violations(call.write.name, call.document)
    if violations:
        raise _refuse_violations(violations)
    digest = hashlib.sha256(f"{call.path} ".encode() + canonical(call.document)).digest()
    known = _recall(stand_in, call, digest)
    if known is not None:
        return Accepted(known.batch_id, replayed=True)
    case = _find_case(call)
    _refuse_duplicates(stand_in, call)
    batch_id = _open(stand_in, call, strikes, case)
    if call.key and stand_in.behaviour.idempotency == "honour":
        call.account.keys[call.key] = Remembered(digest, batch_id)
    return Accepted(batch_id)


def _refuse_violations(violations: Sequence[Violation]) -> Refused:
    """Answer 400 when the shape is foreign to the API, 422 when a value is not allowed (assumed)."""
    foreign = any(violation.unknown or violation.path == "" for violation in violations)
    return Refused(400 if foreign else 422, [_error(violation) for violation in violations])


def _error(violation: Violation) -> dict[str, Any]:
    if violation.index is None:
        return {"field": violation.path, "message": violation.message}
    return {"index": violation.index, "field": violation.field, "path": violation.path, "message": violation.message}


def _recall(stand_in: StandIn, call: Call, digest: bytes) -> Remembered | None:
    known = call.account.keys.get(call.key) if stand_in.behaviour.idempotency == "honour" else None
    if known is not None and known.digest != digest:
        raise Refused(409, f"{stand_in.options.idempotency_header} was used before with another request")
    return known


def _find_case(call: Call) -> Invoice | None:
    if not call.case_id:
        return None
    invoice = call.account.invoice_by_case_id.get(call.case_id.lower())
    if invoice is None:
        raise Refused(404, "no case with this caseId")
    return invoice


def _refuse_duplicates(stand_in: StandIn, call: Call) -> None:
    """Refuse the whole call for a duplicate, where the behaviour says so."""
    if stand_in.behaviour.duplicates != "call":
        return
    found = find_duplicates(call.account, call.write.name, call.rows)
    if found:
        errors = [{"index": index, "field": refusal.field, "message": refusal.text} for index, refusal in found.items()]
        raise Refused(409, errors)


def _open(stand_in: StandIn, call: Call, strikes: Strikes, case: Invoice | None) -> str:
    """Open the batch, post the rows and set it going; return its id, or "" when none is to be shown."""
    batch = _new_batch(stand_in, call, strikes)
    posting = Posting(
        account=call.account,
        ids=stand_in.ids,
        batch=batch,
        refusals=_scripted_refusals(strikes),
        refuses_duplicates=stand_in.behaviour.duplicates != "accept",
        settles_payments=stand_in.behaviour.settle_payments,
        tells=stand_in.tells,
        case=case,
    )
    results = post(call.write.name, posting, call.rows)
    if case is not None and stand_in.behaviour.case_actions == "no-content":
        return _close_without_batch(stand_in, batch, results)
    call.account.enter(batch)
    _write_results(batch, results, call.write.name, strikes, stand_in.behaviour)
    stand_in.set_going(batch)
    return batch.id


def _close_without_batch(stand_in: StandIn, batch: Batch, results: Sequence[Result]) -> str:
    refusal = results[0].refusal
    if refusal is not None:
        raise Refused(422, refusal.text)
    stand_in.tell(batch.tidings, batch.announcement)
    return ""


def _new_batch(stand_in: StandIn, call: Call, strikes: Strikes) -> Batch:
    behaviour, now = stand_in.behaviour, stand_in.now()
    lag = strikes.last(script.Lag)
    honoured = behaviour.idempotency == "honour"
    return Batch(
        sequence=len(call.account.batches),
        id=stand_in.ids.new_uuid(),
        type=call.write.batch_type,
        organization=call.account.organization,
        created_at=now,
        created_by=call.client,
        key=call.key if honoured else "",
        pace=_pace(behaviour, strikes.last(script.Finish)),
        listed_at=now + (lag.seconds if lag else behaviour.lists_lag_seconds),
        announcement=_announcement(strikes.last(script.Webhook)),
    )


def _pace(behaviour: script.Behaviour, fault: script.Finish | None) -> Pace:
    polls, seconds = behaviour.finish_after_polls, behaviour.finish_after_seconds
    if fault is not None:
        polls, seconds = fault.after_polls, fault.after_seconds
    return Pace() if polls is None and seconds is None else Pace(polls, seconds)


def _announcement(fault: script.Webhook | None) -> Announcement:
    return Announcement() if fault is None else Announcement(fault.lost, fault.delay_seconds, fault.copies)


def _scripted_refusals(strikes: Strikes) -> Mapping[int, Refusal]:
    return {
        index: Refusal(fault.text, fault.field, fault.code)
        for fault, rows in strikes.of(script.Refuse)
        for index in rows
    }


def _write_results(
    batch: Batch, results: Sequence[Result], operation: str, strikes: Strikes, behaviour: script.Behaviour
) -> None:
    refused = sum(result.refusal is not None for result in results)
    batch.outcome = outcome_of(len(results) - refused, refused)
    batch.subjects = frozenset(subject for result in results for subject in result.subjects)
    hidden = {index for _, rows in strikes.of(script.Unmention) for index in rows}
    shown = [result for result in results if result.index not in hidden]
    if strikes.last(script.Reorder):
        shown.reverse()
    for result in shown:
        entries = batch.succeeded if result.refusal is None else batch.failed
        entries.append(render_entry(result, operation, behaviour))
