"""The file that a replay writes: exchanges with the bridge's answers, each once, whatever stops it in between."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import merge
from pathlib import Path

from bridge.errors import OperatorError
from bridge.recording import Found, Line, list_files, read_line, read_recordings, write_line

_PRIVATE = 0o600


@dataclass(slots=True)
class OutFile:
    """An open file of answered exchanges; what is in it is not answered again."""

    path: Path
    number: int
    ids: set[str] = field(default_factory=set)

    def append(self, line: Line) -> None:
        """Write an answered exchange; it is there, or is not, whenever this process dies."""
        left = memoryview(write_line(line))
        while left:
            left = left[os.write(self.number, left) :]
        self.ids.add(line.id)


@contextmanager
def open_out(path: Path, *, resume: bool) -> Iterator[OutFile]:
    """Open the file of a replay, for its owner only; OperatorError when it is there and not to be resumed."""
    try:
        if path.exists() and path.stat().st_size and not resume:
            raise OperatorError(f"--out: {path} is there already; add --resume to go on with it, or name another file")
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
    except OSError as error:
        raise OperatorError(f"--out: {path}: cannot be written ({error.strerror}); name another file") from error
    try:
        yield OutFile(path, number, _read_ids(path, number))
    finally:
        os.close(number)


def read_in_order(paths: Sequence[Path]) -> Iterator[Found]:
    """Yield the lines of several recordings by the time they were recorded, as replicas took them side by side."""
    yield from merge(*(_keep_order(path) for path in list_files(paths)), key=_time)


def require_recordings(paths: Sequence[Path]) -> None:
    """Raise OperatorError unless every path is a file, or a folder of recordings."""
    for path in paths:
        if not path.exists():
            raise OperatorError(f"{path}: there is no such file; name a recording, or a folder of them")
        if path.is_dir() and not list_files([path]):
            raise OperatorError(f"{path}: holds no recording (*.jsonl, *.jsonl.gz)")


def _keep_order(path: Path) -> Iterator[Found]:
    return read_recordings([path])


def _time(found: Found) -> float:
    return found.line.at if found.line else 0.0


def _read_ids(path: Path, number: int) -> set[str]:
    """Return the exchanges that are answered; a line that was not finished is cut off, to be answered again."""
    ids: set[str] = set()
    end = 0
    with path.open("rb") as file:
        for written in file:
            if not written.endswith(b"\n"):
                break
            end += len(written)
            try:
                ids.add(read_line(written).id)
            except ValueError:
                raise OperatorError(f"--out: {path} is no replay (byte {end}); name another file") from None
    os.ftruncate(number, end)
    os.lseek(number, end, os.SEEK_SET)
    return ids
