"""`bridge translate`: what would become of a legacy payload. Nothing is sent, looked up or kept."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import typer

from bridge.batch import OBJECTNAMES, Address, Outcome, Reference, Verdict
from bridge.cli.losses import LostField, list_lost, write_lost
from bridge.cli.places import address_fields, name_places
from bridge.cli.screen import Screen, bad, good, print_json, waiting
from bridge.errors import BatchTooLarge, CallerError, OperatorError
from bridge.intake.desk import Desk, Intake
from bridge.legacy.body import decode_body, split
from bridge.mapping import load_profile
from bridge.modern.requests import assemble, with_field
from bridge.organizations import Directory
from bridge.plan import ORGANIZATION_PLACEHOLDER, Draft, PlannedRow, draft_calls, refuse_with, waves
from bridge.predicting import find_bond, read_in
from bridge.senders import Sender, Senders
from bridge.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class DryCall:
    """One modern call that would be made; ids that only the modern system can give stand in braces."""

    organization: str
    operation: str
    path: str
    rows: tuple[Address, ...]
    after: tuple[str, ...]
    """What would have to be known before, in words; empty: nothing."""
    body: bytes


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would become of a batch."""

    sender: str
    profile: str
    calls: tuple[DryCall, ...]
    decided: tuple[Outcome, ...]
    """Rows that would be answered without any call."""
    lost: tuple[LostField, ...]
    unknown: tuple[str, ...]
    """Top-level properties nobody reads."""


def translate(file: Path, config: Path, sender_id: str | None, charset: str, *, as_json: bool) -> None:
    """Show the calls, refusals and losses of one payload."""
    settings = load_settings(config, os.environ)
    sender = choose_sender(settings, sender_id)
    body = sys.stdin.buffer.read() if str(file) == "-" else _read(file)
    try:
        run = asyncio.run(dry_run(settings, sender, body, charset))
    except CallerError as fault:
        # the endpoint would answer the same
        raise OperatorError(f"{file}: HTTP {fault.status}, the whole batch is refused: {fault}") from fault
    if as_json:
        print_json(_to_json(run))
    else:
        _write(Screen(), run)


def choose_sender(settings: Settings, sender_id: str | None) -> Sender:
    """Return the named sender, or the only one."""
    senders = Senders(settings, _fetch_nothing, clock=lambda: 0.0)
    names = ", ".join(one.id for one in senders.senders)
    if sender_id is None:
        if len(senders.senders) == 1:
            return senders.senders[0]
        raise typer.BadParameter(f"name one of the senders: {names}", param_hint="--sender")
    if (sender := senders.find(sender_id)) is None:
        raise typer.BadParameter(f"there is no sender {sender_id}; known: {names}", param_hint="--sender")
    return sender


async def dry_run(settings: Settings, sender: Sender, body: bytes, charset: str) -> DryRun:
    """Read, route, translate and plan as the endpoint would; raises CallerError for a batch that cannot be read."""
    content_type = f"application/json; charset={charset}" if charset else None
    if len(body) > settings.server.max_body_bytes:
        raise BatchTooLarge
    envelope = split(decode_body(body, content_type))
    desk = Desk(load_profile(settings.mappings.folder / sender.profile), Directory(settings))
    intake = await read_in(desk, sender, envelope)
    refused, calls = _plan(intake, settings.modern.max_rows_per_call)
    return DryRun(
        sender=sender.id,
        profile=sender.profile,
        calls=tuple(calls),
        decided=tuple(sorted([*intake.decided.values(), *refused], key=_reply_order)),
        lost=tuple(list_lost(desk.profile, desk.reader, envelope)),
        unknown=envelope.unknown,
    )


async def _fetch_nothing(url: str) -> Any:
    raise OperatorError(f"a dry run asks nobody, and not {url}")  # pragma: no cover - nobody is identified here


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise OperatorError(
            f"{file}: cannot be read ({error.strerror}); name a legacy payload, or - for stdin"
        ) from error


def _reply_order(outcome: Outcome) -> tuple[int, int]:
    return OBJECTNAMES.index(outcome.address.objectname), outcome.address.objectindex


# --- calls -------------------------------------------------------------------------------------------------------


def _plan(intake: Intake, max_rows_per_call: int) -> tuple[list[Outcome], list[DryCall]]:
    """Return the rows that would be refused while planning, and the calls in the order they would be made."""
    refused: list[Outcome] = []
    calls: list[DryCall] = []
    for by_wave in waves(intake.planned).values():
        for wave in by_wave:
            ready: dict[Address, tuple[PlannedRow, str]] = {}
            for row in wave:
                result = _complete(row, intake)
                if isinstance(result, Outcome):
                    refused.append(result)
                else:
                    ready[row.address] = result
            drafts = draft_calls([row for row, _ in ready.values()], max_rows_per_call)
            calls += [_show_call(draft, [ready[row.address][1] for row in draft.rows]) for draft in drafts]
    return refused, calls


def _complete(row: PlannedRow, intake: Intake) -> tuple[PlannedRow, str] | Outcome:
    """Return the row with a stand-in for the id it waits for, and in words what it waits for."""
    if row.reference is None:
        return row, ""
    bond = find_bond(row, intake)
    if isinstance(bond, Outcome):
        return bond
    if bond is None:
        kind, value = row.reference.keys[0]
        return _fill(row, row.reference, f"{kind} {value}"), f"after looking up {_name_keys(row.reference)}"
    if (outcome := intake.decided.get(bond.invoice)) is not None:
        return refuse_with(outcome, row.address)
    return _fill(row, row.reference, f"{bond.invoice} of this batch"), f"after {bond.invoice} of this batch"


def _name_keys(reference: Reference) -> str:
    return ", else ".join(f"{kind} {value}" for kind, value in reference.keys)


def _fill(row: PlannedRow, reference: Reference, claim: str) -> PlannedRow:
    if reference.target == "case":
        return replace(row, reference=None, case_id=f"{{caseId of {claim}}}")
    stand_in = f"{{invoiceId of {claim}}}"
    return replace(row, reference=None, invoice_id=stand_in, item=with_field(row.item, reference.into, stand_in))


def _show_call(draft: Draft, waits: Sequence[str]) -> DryCall:
    path = draft.path
    if draft.rows[0].case_id.startswith("{"):  # a stand-in, which must not be percent-encoded
        path = draft.operation.path.replace(ORGANIZATION_PLACEHOLDER, draft.organization)
    return DryCall(
        organization=draft.organization,
        operation=draft.operation.name,
        path=path,
        rows=tuple(row.address for row in draft.rows),
        after=tuple(dict.fromkeys(filter(None, waits))),
        body=assemble(draft.operation.collection, [row.item for row in draft.rows]),
    )


# --- showing -----------------------------------------------------------------------------------------------------


def _write(screen: Screen, run: DryRun) -> None:
    screen.say(f"sender {run.sender}, profile {run.profile}; nothing was sent, looked up or kept")
    for number, call in enumerate(run.calls, 1):
        screen.title(f"Call {number}: {call.operation} for {name_places(call.rows)}")
        for wait in call.after:
            screen.say(waiting(f"  {wait}"))
        screen.say(f"  POST {call.path}")
        screen.data(call.body)
    screen.title("Rows answered without a call")
    lines = [
        (str(one.address), bad("refused") if one.verdict is Verdict.REFUSED else good("accepted"), one.message or "-")
        for one in run.decided
    ]
    if lines:
        screen.table(("row", "answer", "message"), lines)
    else:
        screen.say("  none")
    write_lost(screen, run.lost, run.unknown)


def _to_json(run: DryRun) -> dict[str, Any]:
    return {
        "sender": run.sender,
        "profile": run.profile,
        "calls": [
            {
                "method": "POST",
                "path": call.path,
                "organization": call.organization,
                "operation": call.operation,
                "rows": [address_fields(address) for address in call.rows],
                "after": list(call.after),
                "body": msgspec.Raw(call.body),
            }
            for call in run.calls
        ],
        "refused": [
            {**address_fields(one.address), "message": one.message}
            for one in run.decided
            if one.verdict is Verdict.REFUSED
        ],
        "accepted_without_call": [
            address_fields(one.address) for one in run.decided if one.verdict is Verdict.ACCEPTED
        ],
        "not_carried": [
            {
                "field": one.field,
                "rows": [address_fields(address) for address in one.rows],
                "reason": one.reason,
                "known": one.known,
            }
            for one in run.lost
        ],
        "unknown_properties": list(run.unknown),
    }
