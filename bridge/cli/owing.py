"""`bridge debt`: what only the modern system has of an organization, listed, and written as a legacy batch once."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bridge.cli.debt_report import Account, Export, to_json, write_account
from bridge.cli.journals import read_books
from bridge.cli.organizations import find_organization
from bridge.cli.private_files import Drafts, name_files
from bridge.cli.screen import Screen, print_json
from bridge.cli.switches import read_current
from bridge.debts.catch_up import Dialect, OwedRow, write_catch_up
from bridge.debts.owed import Debt, Period, Reckoner, find_period
from bridge.errors import CannotTakeNow, MappingFault, OperatorError
from bridge.journal import Books, CaseEvent, HandedOver, HandedOverBefore, HandOver, StoredBatch
from bridge.journal.opening import open_office
from bridge.mapping import load_profile
from bridge.modes import Switch
from bridge.settings import OrganizationSettings, Settings, load_settings


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed."""

    since: float | None
    out: Path | None
    again: str
    """Id of the export whose file is to be written once more; empty: a new one."""
    new_export: str
    actor: str
    at: float


def show_debt(config: Path, typed: str, wish: Wish, *, as_json: bool) -> None:
    """List what an organization owes to the legacy host, and write it where that is wished."""
    settings = load_settings(config, os.environ)
    organization = find_organization(settings, typed, "ORG")
    if wish.again and wish.out is not None:
        account = _write_again(settings, organization, wish.again, wish.out)
    else:
        account = read_books(settings, lambda books: _account(books, settings, organization, wish.since))
        account = replace(account, out=wish.out)
        if wish.out is not None and account.debt.rows:
            account = _write_new(settings, account, wish, wish.out)
    if as_json:
        print_json(to_json(account))
    else:
        write_account(Screen(), account)


# --- reckoning -----------------------------------------------------------------------------------------------------


async def _account(
    books: Books, settings: Settings, organization: OrganizationSettings, since: float | None
) -> Account:
    """Reckon what is owed since a moment (Unix seconds), or since rows began to go to the bridge."""
    period = find_period(await books.switch_history(organization.id), settings.cutover.first_mode)
    current = await read_current(books, organization.id, settings)
    carried = await books.handed_over(organization.id)
    start = since if since is not None else period.since if period is not None else 0.0
    debt, before = await _reckon(books, settings, current, organization, carried, start)
    moment = since if since is not None else period.start if period is not None else 0.0
    return Account(
        organization=organization.id,
        name=organization.name,
        period=period if since is None else Period(since, period.end if period is not None else None),
        debt=debt,
        before=before,
        settlements=await _find_settlements(books, organization.id, moment),
        events=await _find_events(books, organization.id, (*debt.rows, *debt.carried), moment),
        exports=_list_exports(carried),
    )


async def _reckon(
    books: Books,
    settings: Settings,
    current: Switch,
    organization: OrganizationSettings,
    carried: Sequence[HandedOver],
    since: float,
) -> tuple[Debt, int]:
    """Return what is owed, and how many rows from before are in no catch-up batch either."""
    dialects = read_dialects(settings)
    places = frozenset((one.batch_id, one.address) for one in carried)

    def is_back(creditor: str) -> bool:
        return current.mode_of(creditor).is_legacy_side

    owed, before = (Reckoner(organization.id, organization.creditors, dialects, places, is_back) for _ in range(2))
    wanted = await books.batches_of(organization.id, since)
    known = set(wanted)
    earlier = [one for one in await books.batches_of(organization.id, 0.0) if one not in known]
    async for stored in _load(books, earlier):
        before.take(stored)
        owed.remember(stored)
    async for stored in _load(books, wanted):
        owed.take(stored)
    left = before.reckon()
    return owed.reckon(), len(left.rows) + sum(len(one.rows) for one in left.unwritten)


async def _load(books: Books, batch_ids: Sequence[str]) -> AsyncIterator[StoredBatch]:
    """Yield batches one after the other: all of them together may be more than memory holds."""
    for batch_id in batch_ids:
        stored = await books.load(batch_id)
        if stored is not None:  # pragma: no branch - a batch that is listed stays in the books
            yield stored


def read_dialects(settings: Settings) -> Mapping[str, Dialect]:
    """Return what must be known of each profile; one that is gone, or has a fault, is left out."""
    dialects = {}
    folder = settings.mappings.folder
    for home in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not home.is_dir():
            continue
        try:
            objects = load_profile(home).objects
        except MappingFault:
            continue
        names = objects["creditor"].document.reply_reference if "creditor" in objects else ()
        fields = {name: mapping.document.creditor_field for name, mapping in objects.items()}
        dialects[home.name] = Dialect(fields, tuple(names))
    return dialects


async def _find_settlements(books: Books, organization: str, start: float) -> Sequence[int]:
    """Return the numbers of the settlements since a moment; one that does not say when counts as well."""
    day = datetime.fromtimestamp(start, UTC).date().isoformat()
    found = await books.settlements_after([organization], 0)
    return [one.number for one in found if not one.settled_on or one.settled_on >= day]


async def _find_events(
    books: Books, organization: str, rows: Sequence[OwedRow], start: float
) -> Mapping[str, Sequence[CaseEvent]]:
    """Return what became of the cases of invoices that only the modern system had, by case."""
    cases: dict[str, None] = {}
    for row in rows:
        if row.address.objectname == "invoice" and row.unique_id:
            claims = await books.claims(organization, "uniqueSourceInvoiceId", row.unique_id)
            cases.update((claim.case_id, None) for claim in claims if claim.case_id)
    told = await books.case_history(organization, list(cases)) if cases else {}
    recent = {case: [event for event in events if event.at >= start] for case, events in told.items()}
    return {case: recent[case] for case in sorted(recent) if recent[case]}


def _list_exports(carried: Sequence[HandedOver]) -> Sequence[Export]:
    by_id: dict[str, list[HandedOver]] = {}
    for one in carried:
        by_id.setdefault(one.export, []).append(one)
    exports = [Export(name, rows[0].at, len(rows)) for name, rows in by_id.items()]
    return sorted(exports, key=lambda each: (each.at, each.id))


# --- writing -------------------------------------------------------------------------------------------------------


def _write_new(settings: Settings, account: Account, wish: Wish, out: Path) -> Account:
    """Write what is owed: first the drafts, then the mark that it is written, then the files."""
    rows = account.debt.rows
    with _draft(wish.new_export, rows, out) as drafts:
        change = HandOver(
            wish.new_export, account.organization, [row.place for row in rows], wish.actor or getpass.getuser(), wish.at
        )
        asyncio.run(_mark(settings, change))
        _finish(drafts, wish.new_export)
    return replace(account, written=drafts.files, export=wish.new_export)


def _write_again(settings: Settings, organization: OrganizationSettings, export: str, out: Path) -> Account:
    account, missing = read_books(settings, lambda books: _reckon_export(books, settings, organization, export))
    if missing:
        raise OperatorError(
            f"{export}: {missing} of its rows can no longer be written, so it cannot be the same file again: their "
            "payload was erased, or their profile is gone; put the profile back, or take the file from a backup"
        )
    with _draft(export, account.debt.carried, out) as drafts:
        _finish(drafts, export)
    return replace(account, written=drafts.files, export=export)


def _finish(drafts: Drafts, export: str) -> None:
    try:
        drafts.finish()
    except OSError as error:
        raise OperatorError(
            f"{error.filename}: cannot be given its name ({error.strerror}); its rows are carried by export "
            f"{export}: write the file with --export {export}"
        ) from error


async def _reckon_export(
    books: Books, settings: Settings, organization: OrganizationSettings, export: str
) -> tuple[Account, int]:
    """Return the rows of one export as it was written, and how many are missing."""
    carried = await books.handed_over(organization.id)
    mine = [one for one in carried if one.export == export]
    if not mine:
        known = ", ".join(one.id for one in _list_exports(carried)) or "none"
        raise OperatorError(f"{export}: there is no such export of {organization.id}; known: {known}")
    places = frozenset((one.batch_id, one.address) for one in mine)
    reckoner = Reckoner(organization.id, organization.creditors, read_dialects(settings), places)
    batches = {one.batch_id for one in mine}
    in_order = [one for one in await books.batches_of(organization.id, 0.0) if one in batches]
    async for stored in _load(books, in_order):
        reckoner.take(stored)
    rows = reckoner.reckon().carried
    debt = Debt((), (), 0, rows)
    return Account(organization.id, organization.name, None, debt), len(mine) - len(rows)


def _draft(export: str, rows: Sequence[OwedRow], out: Path) -> Drafts:
    senders = sorted({row.sender for row in rows})
    files = name_files(out, senders)
    mine = {sender: [row for row in rows if row.sender == sender] for sender in senders}
    return Drafts({files[sender]: write_catch_up(export, mine[sender]) for sender in senders}, files)


async def _mark(settings: Settings, change: HandOver) -> None:
    """Remember that rows are carried; OperatorError when somebody else was faster, or nobody can tell."""
    office = open_office(settings.storage.url, base=Path.cwd())
    try:
        await office.write(change)
    except HandedOverBefore as taken:
        raise OperatorError(f"{taken}, in the same moment; nothing was written: run it again for the rest") from taken
    except CannotTakeNow as reason:
        raise OperatorError(
            f"{reason} Nothing was written. Should `bridge debt` list export {change.export} all the same, write its "
            f"file with --export {change.export}"
        ) from reason
    finally:
        await office.close()
