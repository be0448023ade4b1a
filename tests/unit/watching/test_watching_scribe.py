"""Recordings and samples of what is watched, with the shipped redactor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bridge.recording import Recorder, Redactor, read_recordings
from bridge.watching import PenAndKey

REQUEST = b'{"invoice":[{"invoiceNumber":"1001","debtors":[{"name":"Kari Nordmann"}]}]}'
REPLY = b'{"statuscode":1,"errors":[{"objectname":"invoice","objectindex":0,"message":"Kari Nordmann"}],"responses":[]}'


def write(folder: Path | None) -> tuple[PenAndKey, Recorder | None]:
    recorder = Recorder(folder, lambda: 0.0) if folder else None
    return PenAndKey(Redactor(b"key"), recorder, new_id=lambda: "the-id"), recorder


async def test_an_exchange_is_written_down_redacted(exchanged: Any, tmp_path: Path) -> None:
    """With its id, its organizations and its status."""
    pen, recorder = write(tmp_path)
    assert recorder is not None
    await pen.record(exchanged({}, {}, status=202), ("org",), REQUEST, REPLY)
    recorder.close()
    (found,) = read_recordings([tmp_path])
    line = found.line
    assert line is not None
    assert line.legacy is not None
    assert (line.id, line.organizations, line.legacy.status) == ("the-id", ("org",), 202)
    assert b"Nordmann" not in line.body + line.legacy.json
    assert b'"invoiceNumber":"1001"' in line.body


async def test_without_a_recorder_nothing_is_written(exchanged: Any) -> None:
    """Samples are scrubbed all the same."""
    pen, _ = write(None)
    await pen.record(exchanged({}, {}), (), REQUEST, REPLY)
    assert "Nordmann" not in pen.scrub('"Kari Nordmann 1001"', REQUEST)
    assert "1001" in pen.scrub('"Kari Nordmann 1001"', REQUEST)


def test_names_are_scrubbed_but_for_known_ones() -> None:
    """A field of the published shape stays; a person's name does not."""
    pen, _ = write(None)
    assert pen.scrub_name("ledgerref") == "ledgerref"
    assert pen.scrub_name("caseNumber") == "caseNumber"
    assert "Nordmann" not in pen.scrub_name("Kari Nordmann")
