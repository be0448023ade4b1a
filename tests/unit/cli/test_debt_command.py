"""`bridge debt`: what only the modern system has, listed, and written as a legacy batch exactly once."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.cli import owing
from bridge.cli.private_files import Drafts
from bridge.errors import CannotTakeNow
from bridge.journal import (
    BatchRecord,
    CallRecord,
    CaseEvent,
    Claim,
    DecideRows,
    Hook,
    LearnClaims,
    MoveCall,
    OpenBatch,
    PlanCall,
    RegisterSettlements,
    RowRecord,
    SetSwitch,
)
from bridge.journal.opening import open_journal, open_office
from bridge.modes import Mode, Switch

Run = Callable[..., Any]
ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
SECRET = "Kari Nordmann"
START, END = 1_700_000_000.0, 1_700_100_000.0
LEGACY_FIRST = '\n[legacy]\nbase_url = "http://legacy.test"\n\n[cutover]\nfirst_mode = "legacy"\n'
SECOND = f'\n[[sender]]\nid = "ERP/2"\nprofile = "classic"\norganizations = ["{ORG}"]\nbearer = "two"\n'


def take(
    name: str, at: float, *, sender: str = "ERP-1", verdicts: str = "aa", unique: str = "", **more: Any
) -> list[Any]:
    """Return what writes a batch with an invoice for each letter: accepted, refused, pending, in doubt.

    Its invoices are the same entities as those of the batch `unique`, or of none other.
    """
    body = {"creditor": [{"idnumber": "984842252"}]}
    body["invoice"] = [{"ledgerref": f"{name}-{index}", "name": SECRET} for index in range(len(verdicts))]
    addresses = [Address("invoice", index) for index in range(len(verdicts))]
    batch = BatchRecord(
        id=name,
        sender=sender,
        profile="autocollect",
        batchid=name,
        identity=f"batchid:{name}",
        content=name,
        received_at=at,
        offline=False,
        row_count=len(verdicts),
        payload=json.dumps(body).encode(),
    )
    rows = [
        RowRecord(
            *(one, Verdict.PENDING, "", f"{name}-{one.objectindex}", ORG, "create_invoices"),
            unique_id=f"u-{unique or name}-{one.objectindex}",
        )
        for one in addresses
    ]
    outcomes = [
        Outcome(one, {"a": Verdict.ACCEPTED, "r": Verdict.REFUSED}[letter])
        for one, letter in zip(addresses, verdicts, strict=True)
        if letter in "ar"
    ]
    call = CallRecord(f"c-{name}", name, ORG, "create_invoices", "/x", tuple(addresses), CallState.PLANNED)
    changes: list[Any] = [OpenBatch(replace(batch, **more), rows)]
    if "d" in verdicts:
        changes += [
            PlanCall(call),
            MoveCall(call.id, CallState.PLANNED, CallState.SUBMITTING, at),
            MoveCall(call.id, CallState.SUBMITTING, CallState.IN_DOUBT, at, "lost"),
        ]
    return [*changes, DecideRows(name, outcomes)]


def fill(folder: Path, *changes: Any, hook: Hook | None = None, url: str = "sqlite:///journal.db") -> None:
    async def write() -> None:
        journal = await open_journal(url, base=folder)
        for change in changes:
            await journal.write(change)
        if hook is not None:
            await journal.note_hook(hook)
        await journal.close()

    asyncio.run(write())


def switches(*steps: tuple[float, Mode]) -> list[SetSwitch]:
    return [
        SetSwitch(Switch(ORG, mode, at=at, actor="kari", reason="x"), number) for number, (at, mode) in enumerate(steps)
    ]


@pytest.fixture
def back(configure: Callable[..., Path]) -> Path:
    """An organization that was modern for a while, and is back with the legacy host."""
    config = configure(more=LEGACY_FIRST + SECOND)
    fill(
        config.parent,
        *switches((START, Mode.MODERN), (END, Mode.LEGACY)),
        *take("b-1", START + 10, verdicts="aar"),
        *take("b-2", START + 20, verdicts="ap"),
    )
    return config


def test_what_only_the_modern_system_has_is_listed(run: Run, back: Path) -> None:
    """Accepted rows by batch; undecided ones with what to do; refused ones as a count. Nothing is written."""
    ran = run("debt", ORG, "-c", back)
    assert ran.code == 0
    assert "from 2023-11-14 22:13:20 until 2023-11-16 02:00:00 (UTC)" in ran.out
    assert "Only in the modern system: 3 rows" in ran.out
    assert "b-1    ERP-1   create_invoices  invoice 0-1 (b-1-0, b-1-1)\n" in ran.out
    assert "Not to be written now, 1 row: pending" in ran.out
    assert "b-2    invoice 1 (b-2-1)\n" in ran.out
    assert "Refused: 1 row." in ran.out
    assert f"bridge debt {ORG} --out FILE" in ran.out
    assert "until somebody closes it there" in ran.out
    assert SECRET not in ran.out
    told = run("debt", ORG, "-c", back, "--json").json
    assert told["exports"] == []
    assert [[row["ledgerref"] for row in one["rows"]] for one in told["unwritten"]] == [["b-2-1"]]


def test_it_is_written_once(run: Run, back: Path, tmp_path: Path) -> None:
    """As a legacy batch that only its owner may read; run again, it gives only what is new."""
    out = tmp_path / "catch-up.json"
    ran = run("debt", ORG, "-c", back, "--out", out)
    assert ran.code == 0
    assert f"Written for sender ERP-1: {out}" in ran.out
    assert "mode 0600" in ran.out
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    batch = json.loads(out.read_bytes())
    assert [row["ledgerref"] for row in batch["invoice"]] == ["b-1-0", "b-1-1", "b-2-0"]
    assert batch["creditor"] == [{"idnumber": "984842252"}]
    assert not list(tmp_path.glob("*.part"))

    fill(tmp_path, DecideRows("b-2", [Outcome(Address("invoice", 1), Verdict.ACCEPTED)]))
    more = tmp_path / "more.json"
    told = run("debt", ORG, "-c", back, "--out", more, "--json").json
    assert batch["batchid"] != f"bridge-catch-up-{told['export']}"
    assert [row["ledgerref"] for row in json.loads(more.read_bytes())["invoice"]] == ["b-2-1"]
    last = tmp_path / "last.json"
    said = run("debt", ORG, "-c", back, "--out", last)
    assert said.code == 0
    assert f"Nothing is left to be written.\nNo file was written: {last} would hold no row.\n" in said.out
    assert not last.exists()
    assert "No file" not in run("debt", ORG, "-c", back).out


def test_what_was_carried_in_an_earlier_period_is_not_carried_again(run: Run, back: Path, tmp_path: Path) -> None:
    """An invoice that its ERP sent once more after the next switch is one that the legacy host has by now."""
    assert run("debt", ORG, "-c", back, "--out", tmp_path / "first.json").code == 0
    later = [
        replace(one, expected=one.expected + 2) for one in switches((END + 100, Mode.MODERN), (END + 200, Mode.LEGACY))
    ]
    fill(tmp_path, *later, *take("b-9", END + 150, verdicts="aa", unique="b-2"))
    told = run("debt", ORG, "-c", back, "--out", tmp_path / "second.json")
    assert told.code == 0
    assert [row["ledgerref"] for row in json.loads((tmp_path / "second.json").read_bytes())["invoice"]] == ["b-9-1"]


def test_a_file_that_was_lost_is_written_again(run: Run, back: Path, tmp_path: Path) -> None:
    """The same bytes; also when the first run died between the mark and the file."""
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    export = run("debt", ORG, "-c", back, "--out", first, "--json").json["export"]
    listed = run("debt", ORG, "-c", back).out
    assert export in listed
    assert "In catch-up batches already: 3 rows" in listed
    ran = run("debt", ORG, "-c", back, "--out", second, "--export", export)
    assert ran.code == 0
    assert second.read_bytes() == first.read_bytes()
    assert "exists in the modern system until" in ran.out
    with closing(sqlite3.connect(tmp_path / "journal.db")) as journal, journal:
        journal.execute("DELETE FROM payload WHERE batch = (SELECT number FROM batch WHERE id = 'b-2')")
    third = run("debt", ORG, "-c", back, "--out", tmp_path / "third.json", "--export", export)
    assert (third.code, (tmp_path / "third.json").exists()) == (1, False)
    assert "1 of its rows can no longer be written" in third.err


def test_an_export_must_be_one(run: Run, back: Path, tmp_path: Path) -> None:
    """An unknown id is told with the known ones; without a file there is nothing to write it to."""
    ran = run("debt", ORG, "-c", back, "--out", tmp_path / "x.json", "--export", "nope")
    assert ran.code == 1
    assert "nope: there is no such export" in ran.err
    assert "known: none" in ran.err
    assert run("debt", ORG, "-c", back, "--export", "nope").code == 2


def test_each_sender_has_its_file(run: Run, back: Path, tmp_path: Path) -> None:
    """Their dialects differ; a name that no file can have is changed."""
    fill(tmp_path, *take("b-3", START + 30, sender="ERP/2", profile="classic"))
    ran = run("debt", ORG, "-c", back, "--out", tmp_path / "up.json")
    assert ran.code == 0
    assert len(json.loads((tmp_path / "up-ERP-1.json").read_bytes())["invoice"]) == 3
    assert len(json.loads((tmp_path / "up-ERP_2.json").read_bytes())["invoice"]) == 2
    assert not (tmp_path / "up.json").exists()


@pytest.mark.parametrize("which", ["there", "no folder"])
def test_what_cannot_be_written_marks_nothing(run: Run, back: Path, tmp_path: Path, which: str) -> None:
    """A file that is there is kept; a folder that is not there is told. The rows stay owed."""
    out = tmp_path / "up.json" if which == "there" else tmp_path / "nowhere" / "up.json"
    if which == "there":
        out.write_text("mine", encoding="utf-8")
    ran = run("debt", ORG, "-c", back, "--out", out)
    assert ran.code == 1
    assert str(out) in ran.err
    assert len(run("debt", ORG, "-c", back, "--json").json["rows"]) == 3
    if which == "there":
        assert out.read_text(encoding="utf-8") == "mine"


class _Refusing:
    """An office that cannot record anything, for one reason or another."""

    def __init__(self, office: Any, reason: Exception | None) -> None:
        self._office = office
        self._reason = reason

    async def write(self, change: Any) -> None:
        if self._reason is not None:
            raise self._reason
        await self._office.write(replace(change, export="faster"))  # somebody else, in the same moment
        await self._office.write(change)

    async def close(self) -> None:
        await self._office.close()


@pytest.mark.parametrize(
    ("reason", "words"), [(None, "run it again for the rest"), (CannotTakeNow("disk full."), "with --export")]
)
def test_a_mark_that_fails_leaves_no_file(
    run: Run, back: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: Exception | None, words: str
) -> None:
    """Not even a draft; and what to do is told."""
    monkeypatch.setattr(owing, "open_office", lambda url, *, base: _Refusing(open_office(url, base=base), reason))
    ran = run("debt", ORG, "-c", back, "--out", tmp_path / "up.json")
    assert ran.code == 1
    assert words in ran.err
    assert sorted(each.name for each in tmp_path.glob("up*")) == []


def test_a_crash_after_the_mark_costs_only_the_file(
    run: Run, back: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The export is known, and its file can be written."""

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Drafts, "finish", crash)
        run("debt", ORG, "-c", back, "--out", tmp_path / "up.json")
    (export,) = run("debt", ORG, "-c", back, "--json").json["exports"]
    assert export["rows"] == 3
    assert run("debt", ORG, "-c", back, "--out", tmp_path / "up.json", "--export", export["id"]).code == 0
    assert len(json.loads((tmp_path / "up.json").read_bytes())["invoice"]) == 3


def test_what_is_no_row_is_named(run: Run, back: Path, tmp_path: Path) -> None:
    """Money that was collected since, and cases that somebody changed, are for people."""
    claim = Claim(ORG, invoice_id="i-1", unique_source_invoice_id="u-b-1-0", case_id="case-1", case_number="77")
    events = tuple(CaseEvent(ORG, "case-1", "77", at, "CASE_UPDATED", "PAUSED") for at in (START - 1, START + 99))
    settlements = [("s-1", "2023-11-13"), ("s-2", "2023-11-14"), ("s-3", "")]
    fill(
        tmp_path, LearnClaims([claim]), RegisterSettlements(ORG, settlements), hook=Hook("h", START, ORG, events=events)
    )
    out = run("debt", ORG, "-c", back).out
    assert "Settlements since (2)" in out
    assert "numbers 2, 3" in out
    assert "77    2023-11-14 22:14:59  PAUSED" in out
    told = run("debt", ORG, "-c", back, "--json").json
    assert told["settlements"] == [2, 3]
    assert [(case["number"], len(case["events"])) for case in told["cases"]] == [("77", 1)]


def test_an_organization_that_is_still_modern_owes_nothing_yet(run: Run, config: Path) -> None:
    """Without a legacy host everybody is, from the first; the rows are named, and no file is written."""
    fill(config.parent, *take("b-1", START, verdicts="ad"))
    out = run("debt", ORG, "-c", config, "--out", config.parent / "up.json").out
    assert "from the first and do so still (UTC)" in out
    assert "Rows still go to the modern system" in out
    assert "Not to be written now, 1 row: the bridge still answers for their creditors" in out
    assert "in doubt: find out in the modern system" in out
    assert "Nothing can be written now; what is named above is left." in out
    assert f"No file was written: {config.parent / 'up.json'} would hold no row." in out
    assert not (config.parent / "up.json").exists()


def test_creditors_that_are_back_are_owed_while_others_are_still_modern(
    run: Run, configure: Callable[..., Path], tmp_path: Path
) -> None:
    """A percentage that was lowered sends some creditors back: only their rows are written."""
    config = configure(more=LEGACY_FIRST)
    creditors = [f"{number}" for number in range(900, 910)]
    config.write_text(
        config.read_text(encoding="utf-8").replace('["984842252"]', json.dumps(creditors)), encoding="utf-8"
    )
    half = Switch(ORG, Mode.LEGACY, Mode.MODERN, 50.0, at=END, actor="kari", reason="x")
    opening, *others = take("b-1", START + 10, verdicts="a" * 10)
    body = {"invoice": [{"creditorid": creditor} for creditor in creditors]}
    opening = replace(opening, batch=replace(opening.batch, payload=json.dumps(body).encode()))
    fill(tmp_path, *switches((START, Mode.MODERN)), SetSwitch(half, 1), opening, *others)
    run("debt", ORG, "-c", config, "--out", tmp_path / "up.json")
    written = [row["creditorid"] for row in json.loads((tmp_path / "up.json").read_bytes())["invoice"]]
    assert written == [creditor for creditor in creditors if half.mode_of(creditor) is Mode.LEGACY]
    assert 0 < len(written) < 10


def test_rows_by_ids_of_the_modern_system_are_told(run: Run, back: Path, tmp_path: Path) -> None:
    """The legacy host may not know them."""
    opening, *others = take("b-3", START + 30, verdicts="a")
    rows = [replace(row, reference=b'{"invoice_id":"i-9"}') for row in opening.rows]
    fill(tmp_path, replace(opening, rows=rows), *others)
    assert "1 of them name their claim by an id of the modern system" in run("debt", ORG, "-c", back).out


def test_an_organization_that_never_was_modern_owes_nothing(run: Run, configure: Callable[..., Path]) -> None:
    """And says so."""
    config = configure(more=LEGACY_FIRST)
    fill(config.parent)
    out = run("debt", ORG, "-c", config).out
    assert "never went to the bridge" in out
    assert "Nothing is left to be written." in out


def test_rows_of_an_earlier_period_are_told(run: Run, configure: Callable[..., Path], tmp_path: Path) -> None:
    """Of them as well nothing is lost in silence, and `--since` reaches back to them."""
    config = configure(more=LEGACY_FIRST)
    fill(
        tmp_path,
        *switches((START, Mode.MODERN), (START + 1000, Mode.LEGACY), (START + 5000, Mode.MODERN), (END, Mode.LEGACY)),
        *take("old", START + 10),
        *take("new", START + 5010, verdicts="a"),
    )
    out = run("debt", ORG, "-c", config).out
    assert "Only in the modern system: 1 row\n" in out
    assert "From before, and in no catch-up batch: 2 rows. `--since TIME`" in out
    told = run("debt", ORG, "-c", config, "--since", "2023-11-14", "--json").json
    assert [row["batch"] for row in told["rows"]] == ["old", "old", "new"]
    assert told["before"] == 0


def test_the_moment_of_since_is_checked(run: Run, configure: Callable[..., Path], tmp_path: Path) -> None:
    """What is no moment, or lies ahead, is told; minutes are enough."""
    config = configure(more=LEGACY_FIRST)
    fill(tmp_path, *switches((START, Mode.MODERN), (START + 1000, Mode.LEGACY)), *take("a", START + 10))
    wrong = run("debt", ORG, "-c", config, "--since", "14.11.2023")
    assert (wrong.code, "14.11.2023: is no moment; write it as 2026-11-20" in wrong.err) == (2, True)
    ahead = run("debt", ORG, "-c", config, "--since", "2999-01-01")
    assert (ahead.code, "must not lie ahead" in ahead.err) == (2, True)
    assert run("debt", ORG, "-c", config, "--since", "2023-11-14T00:00").code == 0


def test_a_profile_that_is_gone_or_faulty_is_named(run: Run, configure: Callable[..., Path], tmp_path: Path) -> None:
    """Rows that came in it wait until it is back; a stray file among the profiles hurts nobody."""
    folder = tmp_path / "mappings"
    (folder / "autocollect").mkdir(parents=True)
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    config = configure(mappings=folder, more=LEGACY_FIRST)
    fill(tmp_path, *take("b-1", START))
    told = run("debt", ORG, "-c", config, "--json").json
    assert [one["why"] for one in told["unwritten"]] == ["no_profile"]


def test_the_umask_does_not_matter(run: Run, back: Path, tmp_path: Path) -> None:
    """The file is its owner's only, whatever new files usually are."""
    before = os.umask(0)
    try:
        run("debt", ORG, "-c", back, "--out", tmp_path / "up.json")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "up.json").stat().st_mode) == 0o600


def test_a_draft_of_another_run_is_left_alone(run: Run, back: Path, tmp_path: Path) -> None:
    """Somebody may be writing it; nothing is recorded, and of several files none is begun."""
    fill(tmp_path, *take("b-3", START + 30, sender="ERP/2", profile="classic"))
    theirs = tmp_path / "up-ERP_2.json.part"
    theirs.write_text("theirs", encoding="utf-8")
    ran = run("debt", ORG, "-c", back, "--out", tmp_path / "up.json")
    assert (ran.code, theirs.read_text(encoding="utf-8")) == (1, "theirs")
    assert "if none is, delete it" in ran.err
    assert [each.name for each in tmp_path.glob("up*")] == [theirs.name]
    assert run("debt", ORG, "-c", back, "--json").json["exports"] == []


def test_a_file_that_cannot_get_its_name_is_told_with_its_export(
    run: Run, back: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are marked by then: the export can be written elsewhere."""

    def fail(_: Drafts) -> None:
        raise OSError(5, "Input/output error", "up.json")

    with monkeypatch.context() as patch:
        patch.setattr(Drafts, "finish", fail)
        ran = run("debt", ORG, "-c", back, "--out", tmp_path / "up.json")
    (export,) = run("debt", ORG, "-c", back, "--json").json["exports"]
    assert ran.code == 1
    assert f"write the file with --export {export['id']}" in ran.err


def test_on_postgresql_it_is_the_same(
    run: Run, configure: Callable[..., Path], postgres_url: str, tmp_path: Path
) -> None:
    """Listed, written once, written again."""
    config = configure(more=LEGACY_FIRST)
    settings = config.read_text(encoding="utf-8").replace("sqlite:///journal.db", postgres_url)
    config.write_text(settings, encoding="utf-8")
    history = switches((START, Mode.MODERN), (END, Mode.LEGACY))
    fill(tmp_path, *history, *take("b-1", START + 10, verdicts="ara"), url=postgres_url)
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    told = run("debt", ORG, "-c", config, "--out", first, "--json").json
    assert [row["objectindex"] for row in told["rows"]] == [0, 2]
    assert run("debt", ORG, "-c", config, "--out", second, "--export", told["export"]).code == 0
    assert second.read_bytes() == first.read_bytes()
    assert run("debt", ORG, "-c", config, "--json").json["carried"] == 2
    assert run("ready", ORG, "-c", config, "--at", "2023-11-20").code == 1
