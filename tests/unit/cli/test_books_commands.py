"""`bridge batches` and `bridge ledger`, on a journal with a row in every state."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.batch import Address, Verdict
from bridge.journal import BatchRecord, OpenBatch, RowRecord
from bridge.journal.opening import open_journal

Run = Callable[..., Any]
ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
STATES = ["accepted", "refused", "pending", "in_doubt"]


def test_list(run: Run, taken: Path) -> None:
    """Each batch is one line with how many of its rows stand where."""
    ran = run("batches", "list", "-c", taken)
    assert ran.code == 0
    head, line = ran.out.splitlines()
    assert head.split()[:2] == ["batch", "received"]
    assert line.endswith("1 accepted, 1 refused, 1 pending, 1 in doubt")
    assert "b-1" in line
    assert "2023-11-14 22:13:20" in line


def test_list_json(run: Run, taken: Path) -> None:
    """Scripts get counts as numbers and times in ISO form."""
    (batch,) = run("batches", "list", "-c", taken, "--json").json
    assert batch["received_at"] == "2023-11-14T22:13:20.250000+00:00"
    assert batch["finished_at"] is None
    assert [batch[state] for state in STATES] == [1, 1, 1, 1]


def test_list_empty(run: Run, config: Path) -> None:
    """A journal without batches says so."""
    asyncio.run(_make_empty(config.parent))
    assert run("batches", "list", "-c", config).out == "The journal holds no batch yet.\n"
    assert "in doubt          0\n" in run("ledger", "-c", config).out


def test_show(run: Run, taken: Path) -> None:
    """A batch is shown with each row's state, and each call with its attempts."""
    ran = run("batches", "show", "b-1", "-c", taken)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert any("invoice 1" in line and "refused" in line and "debtor is under guardianship" in line for line in lines)
    assert any("invoice 3" in line and "in doubt" in line for line in lines)
    assert any("SUBMITTED" in line and "22:13:22.000" in line for line in lines)
    assert any("IN_DOUBT" in line and "the answer was lost" in line for line in lines)


def test_show_json(run: Run, taken: Path) -> None:
    """The same for scripts."""
    batch = run("batches", "show", "b-1", "-c", taken, "--json").json
    assert [row["state"] for row in batch["rows"]] == STATES
    assert batch["calls"][0]["rows"] == [
        {"objectname": "invoice", "objectindex": 0},
        {"objectname": "invoice", "objectindex": 1},
    ]
    assert [attempt["state"] for attempt in batch["calls"][0]["attempts"]] == [
        "PLANNED",
        "SUBMITTING",
        "SUBMITTED",
        "DONE",
    ]


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_personal_data(run: Run, taken: Path, form: tuple[str, ...]) -> None:
    """Neither payload nor items are ever printed."""
    for command in (("batches", "list"), ("batches", "show", "b-1"), ("ledger",)):
        assert "Nordmann" not in run(*command, "-c", taken, *form).out


def test_show_unknown(run: Run, taken: Path) -> None:
    """An id that is not there is told with where ids are found."""
    ran = run("batches", "show", "nope", "-c", taken)
    assert ran.code == 1
    assert "nope" in ran.err
    assert "bridge batches list" in ran.err


def test_no_journal(run: Run, config: Path) -> None:
    """A journal that is not there is no traceback, and is not created by looking."""
    ran = run("ledger", "-c", config)
    assert ran.code == 1
    assert "there is no journal at" in ran.err
    assert not (config.parent / "journal.db").exists()


def test_ledger(run: Run, taken: Path) -> None:
    """The proof names rows in doubt and exits with 0 while every row is accounted for."""
    ran = run("ledger", "-c", taken)
    assert ran.code == 0
    assert ran.out.startswith("rows taken            4\n")
    assert "b-1    invoice 3" in ran.out
    assert "bridge batches settle b-1 --accepted|--refused|--resend --by NAME --because TEXT" in ran.out
    assert "every row is accounted for" in ran.out


def test_ledger_json(run: Run, taken: Path) -> None:
    """Its JSON is exactly the one of the contract."""
    assert run("ledger", "-c", taken, "--json").json == {
        "accepted": 4,
        "final": 2,
        "pending": 1,
        "in_doubt": 1,
        "in_doubt_rows": [{"batch": "b-1", "objectname": "invoice", "objectindex": 3}],
        "unaccounted": [],
        "organizations": [
            {"organization": ORG, "name": None, "accepted": 4, "final": 2, "pending": 1, "in_doubt": 1},
        ],
    }


def test_ledger_names_organizations(run: Run, taken: Path) -> None:
    """Each has a line of its own, with the name the configuration gives it; rows of none have one as well."""
    taken.write_text(taken.read_text().replace("client_id", 'name = "Nordlys Energi AS"\nclient_id'))
    asyncio.run(_add_creditor(taken.parent))
    lines = [line.split() for line in run("ledger", "-c", taken).out.splitlines()]
    assert ["(no", "organization)", "-", "1", "1", "0", "0"] in lines
    assert [ORG, "Nordlys", "Energi", "AS", "4", "2", "1", "1"] in lines
    nobody, nordlys = run("ledger", "-c", taken, "--json").json["organizations"]
    assert (nobody["organization"], nobody["name"], nobody["accepted"]) == ("", None, 1)
    assert (nordlys["organization"], nordlys["name"], nordlys["accepted"]) == (ORG, "Nordlys Energi AS", 4)


def test_ledger_of_two_organizations_mixed_up(run: Run, taken: Path) -> None:
    """A row that stands under another organization than it was taken for is named, though the totals agree."""
    connection = sqlite3.connect(taken.parent / "journal.db")
    connection.execute("UPDATE row SET organization = 'other' WHERE objectindex = 2")
    connection.commit()
    connection.close()
    ran = run("ledger", "-c", taken)
    assert ran.code == 1
    assert f"invoice 2  it was taken for organization {ORG}, but stands under organization other" in ran.out


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_ledger_broken(run: Run, taken: Path, form: tuple[str, ...]) -> None:
    """A row that is gone breaks the proof: it is named, and the exit code is 1."""
    connection = sqlite3.connect(taken.parent / "journal.db")
    connection.execute("DELETE FROM row WHERE objectindex = 2")
    connection.commit()
    connection.close()
    ran = run("ledger", "-c", taken, *form)
    assert ran.code == 1
    if form:
        assert ran.json["unaccounted"][0].keys() == {"batch", "objectname", "objectindex", "why"}
        assert (ran.json["unaccounted"][0]["objectname"], ran.json["unaccounted"][0]["objectindex"]) == ("invoice", 2)
    else:
        assert "invoice 2" in ran.out
        assert "every row is accounted for" not in ran.out


async def _add_creditor(folder: Path) -> None:
    """Take a batch of one creditor row, which belongs to no organization."""
    journal = await open_journal("sqlite:///journal.db", base=folder)
    row = RowRecord(Address("creditor", 0), Verdict.ACCEPTED)
    await journal.write(
        OpenBatch(BatchRecord("b-2", "ERP-1", "autocollect", "", "batchid:2", "c", 1.0, False, 1, None), [row])
    )
    await journal.close()


async def _make_empty(folder: Path) -> None:
    journal = await open_journal("sqlite:///journal.db", base=folder)
    await journal.close()
