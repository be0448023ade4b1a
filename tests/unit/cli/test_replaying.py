"""`bridge replay`: recorded requests answered, each once, into a file that goes on where it stopped."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import replaying
from bridge.cli.replaying import Pace
from bridge.recording import Redactor, make_line, write_line

Run = Callable[..., Any]
REDACTOR = Redactor(b"key")


def invoice(number: int) -> dict[str, Any]:
    return {"invoiceNumber": f"{number}", "originalInvoiceAmount": 10, "dueDate": "2024-02-15"}


def recorded(number: int, *, sender: str = "ERP-1", at: float | None = None, body: bytes | None = None) -> bytes:
    request = json.dumps({"batchid": f"b-{number}", "invoice": [invoice(number)]}).encode() if body is None else body
    reply = json.dumps({"statuscode": 0, "errors": [], "responses": []}).encode()
    return write_line(
        make_line(
            REDACTOR.redact(request, 200, reply),
            id=f"id-{number}",
            at=float(number if at is None else at),
            sender=sender,
            profile="autocollect",
            organizations=("3fa85f64-5717-4562-b3fc-2c963f66afa6",),
            status=200,
            seconds=0.1,
        )
    )


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A folder with two files of three exchanges each, taken side by side."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "2024-01-01-a.jsonl").write_bytes(b"".join(map(recorded, (0, 2, 4))))
    (folder / "2024-01-01-b.jsonl").write_bytes(b"".join(map(recorded, (1, 3, 5))))
    return folder


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def ids(path: Path) -> list[str]:
    return [line["id"] for line in lines(path)]


def replay(run: Run, config: Path, out: Path, *more: object, against: str = "translate") -> Any:
    return run("replay", *more, "-c", config, "--against", against, "--out", out)


def test_translate(run: Run, config: Path, recording: Path, tmp_path: Path) -> None:
    """Each exchange gets the predicted answer, in the order of time; the file is for its owner only."""
    out = tmp_path / "out.jsonl"
    ran = replay(run, config, out, recording)
    assert ran.code == 0, ran.err
    assert "6 exchanges answered" in ran.out
    assert f"bridge compare {out} --config {config}" in ran.out
    assert ids(out) == [f"id-{number}" for number in range(6)]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    first = lines(out)[0]
    assert first["bridge"]["status"] == 200
    assert first["bridge"]["body"]["responses"][0]["ledgerref"] == "0"
    assert {key: first[key] for key in first if key != "bridge"} == lines(recording / "2024-01-01-a.jsonl")[0]


def test_what_is_written_can_be_compared_and_replayed(run: Run, config: Path, recording: Path, tmp_path: Path) -> None:
    """A replay is a recording again; answers of an earlier replay are not taken for new ones."""
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    replay(run, config, first, recording)
    spoiled = first.read_bytes().replace(b'"bridge":{"status":200', b'"bridge":{"status":500')
    first.write_bytes(spoiled)
    replay(run, config, second, first)
    assert [line["bridge"]["status"] for line in lines(second)] == [200] * 6
    assert json.loads(run("compare", second, "-c", config, "--json").out)


def test_resume(run: Run, config: Path, recording: Path, tmp_path: Path) -> None:
    """With --resume only what is missing is answered; a line that was not finished counts as missing."""
    out = tmp_path / "out.jsonl"
    replay(run, config, out, recording, "--limit", 3)
    assert ids(out) == ["id-0", "id-1", "id-2"]
    out.write_bytes(out.read_bytes()[:-30])
    ran = replay(run, config, out, recording, "--resume")
    assert "4 exchanges answered, 2 were answered before" in ran.out
    assert ids(out) == [f"id-{number}" for number in range(6)]


def test_a_file_that_is_there_is_not_overwritten(run: Run, config: Path, recording: Path, tmp_path: Path) -> None:
    """Without --resume it stays as it is; a file that is no replay is never gone on with."""
    out = tmp_path / "out.jsonl"
    out.write_bytes(b"my notes\n")
    ran = replay(run, config, out, recording)
    assert (ran.code, "add --resume" in ran.err) == (1, True)
    ran = replay(run, config, out, recording, "--resume")
    assert (ran.code, "is no replay" in ran.err) == (1, True)
    assert out.read_bytes() == b"my notes\n"
    source = recording / "2024-01-01-a.jsonl"
    assert "is one of the recordings" in replay(run, config, source, recording, "--resume").err
    assert "cannot be written" in replay(run, config, tmp_path / "no" / "where", recording).err


def test_what_cannot_be_replayed_is_told(run: Run, config: Path, tmp_path: Path) -> None:
    """Broken lines, requests that were not stored and strangers are counted; the rest is answered."""
    source, out = tmp_path / "r.jsonl", tmp_path / "out.jsonl"
    broken = b"{broken}\n" * 7
    source.write_bytes(recorded(1) + broken + recorded(2, sender="ERP-9") + recorded(3, body=b"<x>") + recorded(4)[:50])
    ran = replay(run, config, out, source)
    assert ids(out) == ["id-1"]
    assert "8 lines that cannot be read" in ran.out
    assert ran.out.count(f"{source}:") == 5
    assert "1 lines that hold no request" in ran.out
    assert "1 lines that are of a sender nobody knows" in ran.out


def test_a_batch_that_is_refused_as_a_whole(run: Run, config: Path, tmp_path: Path) -> None:
    """It gets the status and body the endpoint would answer."""
    source, out = tmp_path / "r.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(recorded(1, body=b'{"invoice": 5}'))
    replay(run, config, out, source)
    assert lines(out)[0]["bridge"]["status"] == 400
    assert lines(out)[0]["bridge"]["body"]["errors"][0]["objectname"] == "batch"


def test_nothing_to_replay(run: Run, config: Path, tmp_path: Path) -> None:
    """A path that leads nowhere, or to an empty folder, is told."""
    assert "there is no such file" in replay(run, config, tmp_path / "out", tmp_path / "nowhere").err
    (tmp_path / "empty").mkdir()
    assert "holds no recording" in replay(run, config, tmp_path / "out", tmp_path / "empty").err


def test_a_file_that_is_no_recording(run: Run, config: Path, tmp_path: Path) -> None:
    """Nothing is answered, so the command fails and names no file to compare."""
    source = tmp_path / "notes.jsonl"
    source.write_bytes(b"my notes\n")
    ran = replay(run, config, tmp_path / "out", source)
    assert (ran.code, "Nothing could be answered" in ran.out, "bridge compare" in ran.out) == (1, True, False)


def test_answers_among_the_recordings(run: Run, config: Path, recording: Path) -> None:
    """They would be taken for exchanges of their own the next time, so they go elsewhere."""
    ran = replay(run, config, recording / "out.jsonl", recording)
    assert (ran.code, "would lie among the recordings" in ran.err) == (1, True)
    assert not (recording / "out.jsonl").exists()


def test_sandbox(run: Run, config: Path, recording: Path, tmp_path: Path) -> None:
    """A sandbox and a bridge of its own work every batch to its end, offline ones too."""
    out = tmp_path / "out.jsonl"
    body = json.dumps({"batchid": "off", "offline": True, "invoice": [invoice(6)]}).encode()
    stranger = recorded(8, sender="ERP-9")
    refused = recorded(9, body=b'{"batchid": "off", "offline": 1, "invoice": [{}]}')
    (recording / "2024-01-02-a.jsonl").write_bytes(recorded(6, body=body) + stranger + refused)
    ran = replay(run, config, out, recording, against="sandbox")
    assert ran.code == 0, ran.err
    answers = [line["bridge"] for line in lines(out)]
    assert [answer["status"] for answer in answers] == [200] * 7 + [422]
    words = [response["status_statuscode"] for one in answers[:7] for response in one["body"]["responses"]]
    assert words == ["OK"] * 7
    assert ran.err == ""


def test_staging_needs_a_target(run: Run, config: Path, recording: Path, tmp_path: Path) -> None:
    """Without a shadow target there is no staging, and production is never taken for it."""
    ran = replay(run, config, tmp_path / "out", recording, against="staging")
    assert (ran.code, "shadow.base_url" in ran.err) == (1, True)
    assert "Traceback" not in ran.err
    production = config.read_text() + '[shadow]\nbase_url = "https://api.amili.no/collection/v1/"\n'
    config.write_text(production + 'token_url = "https://auth.amili.no/token"\n')
    ran = replay(run, config, tmp_path / "out", recording, against="staging")
    assert (ran.code, "is modern.base_url" in ran.err) == (1, True)
    there = 'shadow = { id = "11111111-2222-4333-8444-555555555555", client_id = "a", client_secret = "a" }'
    own = config.read_text().replace('client_secret = "demo"', f'client_secret = "demo"\n{there}')
    config.write_text(own + '[modern]\nbase_url = "http://127.0.0.1:9/own"\ntoken_url = "http://127.0.0.1:9/token"\n')
    ran = replay(run, config, tmp_path / "out", recording, against="staging")
    assert (ran.code, "the vendor's production host" in ran.err) == (1, True)


def test_an_interrupted_replay_says_how_to_go_on(
    run: Run, config: Path, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C keeps what is answered and names the way to go on."""
    real = replaying._wait

    async def interrupt(due: float, clock: Callable[[], float]) -> None:
        if len(ids(tmp_path / "out")) == 2:
            raise KeyboardInterrupt
        await real(due, clock)

    monkeypatch.setattr(replaying, "_wait", interrupt)
    ran = replay(run, config, tmp_path / "out", recording)
    assert ran.code != 0
    assert "Interrupted: 2 answered; the same command with --resume goes on" in ran.out
    assert len(ids(tmp_path / "out")) == 2


@pytest.mark.parametrize(
    ("pace", "count", "recorded_seconds", "due"),
    [
        (Pace(), 100, 50.0, 0.0),
        (Pace(rate=4), 10, 0.0, 2.5),
        (Pace(speed=10), 3, 50.0, 5.0),
        (Pace(rate=1, speed=10), 3, 50.0, 5.0),
        (Pace(rate=1, speed=10), 9, 50.0, 9.0),
    ],
)
def test_pace(pace: Pace, count: int, recorded_seconds: float, due: float) -> None:
    """An exchange waits for its turn by rate and for its time by speed, whichever is later."""
    assert pace.due(count, recorded_seconds) == due


def test_pace_is_kept(run: Run, config: Path, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six exchanges recorded in five seconds are due over half a second at ten times the speed."""
    dues: list[float] = []

    async def note(due: float, clock: Callable[[], float]) -> None:
        dues.append(due)

    monkeypatch.setattr(replaying, "_wait", note)
    replay(run, config, tmp_path / "out", recording, "--speed", 10)
    assert [round(due - dues[0], 3) for due in dues] == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
