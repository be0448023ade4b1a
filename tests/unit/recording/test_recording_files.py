"""Recordings on disk: written by a thread from a bounded queue, read back line by line."""

from __future__ import annotations

import gzip
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from bridge.recording import (
    Line,
    Recorder,
    Redacted,
    Side,
    list_files,
    make_line,
    measure,
    read_line,
    read_recordings,
    write_line,
)

DAY = 86_400.0


def line(name: str = "id-1", body: bytes = b'{"invoice":[]}') -> Line:
    return make_line(
        Redacted(body, b'{"statuscode":0}'),
        id=name,
        at=1.5,
        sender="ERP-1",
        profile="autocollect",
        organizations=("org",),
        status=200,
        seconds=0.25,
    )


class Clock:
    """A time that stands still until it is moved."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_recorder(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Recorder]]:
    opened: list[Recorder] = []

    def make(**options: object) -> Recorder:
        recorder = Recorder(tmp_path / "var" / "recordings", clock, process="host-1", **options)  # type: ignore[arg-type]
        opened.append(recorder)
        return recorder

    yield make
    for recorder in opened:
        recorder.close()


def ids(path: Path) -> list[str]:
    return [found.line.id if found.line else found.problem for found in read_recordings([path])]


def test_a_line_holds_what_the_format_says() -> None:
    """The version stands first; a part that is not there is left out, or null."""
    assert write_line(line()) == (
        b'{"v":1,"id":"id-1","at":1.5,"sender":"ERP-1","profile":"autocollect","organizations":["org"],'
        b'"request":{"invoice":[]},"legacy":{"status":200,"body":{"statuscode":0}},"seconds":0.25}\n'
    )
    answered = msgspec.structs.replace(line(), bridge=Side(422, msgspec.Raw(b"[1]")))
    assert b',"bridge":{"status":422,"body":[1]}}' in write_line(answered)
    assert read_line(write_line(answered)).bridge == Side(422, msgspec.Raw(b"[1]"))


def test_a_line_without_bodies_says_so() -> None:
    """What could not be read is told, and reads back as nothing."""
    redacted = Redacted(None, None, "request not stored: not JSON (3 bytes)")
    written = write_line(
        make_line(redacted, id="a", at=1, sender="s", profile="p", organizations=(), status=500, seconds=1)
    )
    assert b"request not stored" in written
    found = read_line(written)
    assert (found.body, found.legacy and found.legacy.json, found.unreadable) == (b"", b"", redacted.notice)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (b"{", "not a line"),
        (b"[]", "not a line"),
        (b"\xff", "not a line"),
        (write_line(line()).replace(b'"v":1', b'"v":2'), r"newer bridge \(version 2"),
    ],
)
def test_what_is_no_line(written: bytes, why: str) -> None:
    """A line that is none, or of a later version, is refused with the reason."""
    with pytest.raises(ValueError, match=why):
        read_line(written)


def test_lines_are_written_and_can_be_read_meanwhile(open_recorder: Callable[..., Recorder], tmp_path: Path) -> None:
    """What is offered stands in one file a day and process, for its owner only, while the recorder is open."""
    recorder = open_recorder()
    assert all(recorder.offer(line(f"id-{number}")) for number in range(50))
    file = tmp_path / "var" / "recordings" / "2023-11-14-host-1.jsonl"
    wait_until(lambda: recorder.written == 50)
    assert ids(file) == [f"id-{number}" for number in range(50)]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def wait_until(met: Callable[[], bool]) -> None:
    moment = threading.Event()
    for _ in range(1000):
        if met():
            return
        moment.wait(0.01)
    raise AssertionError("waited ten seconds")


def test_a_new_day_begins_a_new_file(open_recorder: Callable[..., Recorder], tmp_path: Path, clock: Clock) -> None:
    """Days are those of UTC."""
    recorder = open_recorder()
    recorder.offer(line("first"))
    wait_until(lambda: recorder.written == 1)
    clock.now += DAY
    recorder.offer(line("second"))
    recorder.close()
    assert [path.name[:10] for path in list_files([tmp_path / "var" / "recordings"])] == ["2023-11-14", "2023-11-15"]
    assert ids(tmp_path / "var" / "recordings") == ["first", "second"]


def test_what_does_not_fit_is_dropped_and_counted(open_recorder: Callable[..., Recorder], tmp_path: Path) -> None:
    """Nobody waits for a queue that is full, by lines or by bytes, or for a recorder that is closed."""
    assert not open_recorder(most_bytes=10).offer(line())
    recorder = open_recorder(most_lines=0)
    assert not recorder.offer(line())
    assert recorder.dropped == 1
    closed = open_recorder()
    closed.close()
    assert not closed.offer(line())
    assert not (tmp_path / "var").exists()


def test_a_full_disk_costs_lines_and_is_told_once(tmp_path: Path, clock: Clock) -> None:
    """Lines that cannot be written are counted; who runs the bridge hears of it when it begins and when it ends."""
    told: list[object] = []
    (tmp_path / "var").write_bytes(b"in the way")
    recorder = Recorder(tmp_path / "var", clock, process="p", tell=told.append)
    recorder.offer(line("lost"))
    recorder.offer(line("lost too"))
    wait_until(lambda: recorder.dropped == 2)
    (tmp_path / "var").unlink()
    recorder.offer(line("kept"))
    recorder.close()
    assert ids(tmp_path / "var") == ["kept"]
    assert [type(fault) for fault in told] == [FileExistsError, type(None)]


def test_the_line_of_a_crash_is_skipped(open_recorder: Callable[..., Recorder], tmp_path: Path) -> None:
    """A line that was not finished is told with its place, and what the next process of that name writes is whole."""
    file = tmp_path / "var" / "recordings" / "2023-11-14-host-1.jsonl"
    file.parent.mkdir(parents=True)
    file.write_bytes(write_line(line("before")) + write_line(line("half"))[:40])
    assert ids(file) == ["before", "the line is not finished"]

    recorder = open_recorder()
    recorder.offer(line("after"))
    recorder.close()
    assert ids(file) == ["before", "not a line of a recording", "after"]
    assert [found.place for found in read_recordings([file])][1] == f"{file}:2"


def test_gzipped_recordings_are_read(tmp_path: Path) -> None:
    """Old files may be compressed, whatever they are called; a damaged one tells so after what could be read."""
    packed = gzip.compress(write_line(line("a")) + write_line(line("b")))
    (tmp_path / "one.jsonl.gz").write_bytes(packed)
    (tmp_path / "notes.txt").write_bytes(b"no recording")
    assert ids(tmp_path) == ["a", "b"]
    assert [(one.file.name, one.lines) for one in measure(tmp_path)] == [("one.jsonl.gz", 2)]
    (tmp_path / "one.jsonl.gz").write_bytes(packed[:-20])
    assert ids(tmp_path)[-1] == "the compressed file ends too early or is damaged"
    assert measure(tmp_path)[0].size == len(packed) - 20
    assert measure(tmp_path / "nowhere") == []


def test_a_forked_name_is_safe() -> None:
    """The name of a process holds nothing a file name must not hold."""
    from bridge.recording.recorder import name_process

    assert name_process().endswith(f"-{os.getpid()}")
    assert "/" not in name_process()
