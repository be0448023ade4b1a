"""Commands about a batch that the legacy host shares: who can look for a row in doubt, what is assumed of answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.batch import LEGACY, Address, CallState, Verdict
from bridge.journal import BatchRecord, CallRecord, MoveCall, OpenBatch, PlanCall, RowRecord
from bridge.journal.opening import open_journal

Run = Callable[..., Any]
ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
OURS, FIRST, SECOND = Address("invoice", 0), Address("invoice", 1), Address("payment", 0)


@pytest.fixture
def shared(config: Path, tmp_path: Path) -> Path:
    """A batch with one row in doubt at the modern system, and two at the legacy host."""
    asyncio.run(_fill(tmp_path))
    return config


async def _fill(folder: Path) -> None:
    journal = await open_journal("sqlite:///journal.db", base=folder)
    operations = {OURS: "create_invoices", FIRST: LEGACY.name, SECOND: LEGACY.name}
    rows = [
        RowRecord(place, Verdict.PENDING, organization=ORG, operation=name, item=b"{}")
        for place, name in operations.items()
    ]
    batch = BatchRecord("b-1", "ERP-1", "autocollect", "7", "i", "c", 1.0, offline=False, row_count=3, payload=None)
    calls = [
        CallRecord("m", "b-1", ORG, "create_invoices", f"/orgs/{ORG}/invoices", (OURS,), CallState.SUBMITTING),
        CallRecord(
            "l", "b-1", "", LEGACY.name, "/webapi/api/Batch?senderid=ERP-1", (FIRST, SECOND), CallState.SUBMITTING
        ),
    ]
    await journal.write(OpenBatch(batch, rows), *map(PlanCall, calls))
    for call in calls:
        await journal.write(MoveCall(call.id, CallState.SUBMITTING, CallState.IN_DOUBT, 2.0, "HTTP 500"))
    await journal.close()


def test_show_tells_who_can_look_for_what(run: Run, shared: Path) -> None:
    """Of the modern system's rows the bridge does; of the legacy host's a person must, and gets the command."""
    text = run("batches", "show", "b-1", "-c", shared).out
    assert "POST /webapi/api/Batch?senderid=ERP-1" in text
    assert "to the legacy host, rows as their caller wrote them" in text
    assert "idempotency key l" not in text
    ours, legacy = text.split("In doubt: invoice 0")[1].split("In doubt: invoice 1; payment 0")
    assert "The bridge looks for it first." in ours
    assert "bridge batches settle b-1 --row invoice:0 --accepted|" in ours
    assert "Nobody can look for it but you" in legacy
    assert "bridge batches settle b-1 --row invoice:1 --row payment:0 --accepted|" in legacy


def test_a_part_of_the_half_is_not_sent_again(run: Run, shared: Path) -> None:
    """Its rows arrived together or not at all; each half may be settled without the other."""
    words = ("--by", "Kari", "--because", "asked them", "--yes", "-c", shared)
    ran = run("batches", "settle", "b-1", "--resend", "--row", "invoice:1", *words)
    assert (ran.code, "payment 0 travelled in the same call" in ran.err) == (1, True)
    ran = run("batches", "settle", "b-1", "--resend", "--row", "invoice:1", "--row", "payment:0", *words)
    assert "Recorded: invoice 1; payment 0 resend" in ran.out


def test_show_in_doubt_at_one_system_names_no_rows(run: Run, taken: Path) -> None:
    """Where all rows in doubt are of one kind the command needs no rows."""
    assert "bridge batches settle b-1 --accepted|" in run("batches", "show", "b-1", "-c", taken).out


def test_check_lists_how_the_hosts_answer_is_read(run: Run, config: Path) -> None:
    """No page says what its answers look like beyond their fields; the readings stand in the profile's reply.toml."""
    assumed = {(one["file"], one["key"]) for one in run("check", "-c", config, "--json").json["assumed"]}
    assert ("autocollect/reply.toml", "legacy_host: pending, both, unmentioned, unmentioned_in_success") in assumed
