"""Recordings as they lie on disk: one file a UTC day and process, a line an exchange; old ones may be gzipped."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from bridge.recording.lines import Line, read_line

SUFFIX = ".jsonl"
_ENDINGS = (SUFFIX, SUFFIX + ".gz")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Found:
    """One line of a file: what was recorded, or why it cannot be read."""

    file: Path
    number: int
    """From 1."""
    line: Line | None
    problem: str = ""

    @property
    def place(self) -> str:
        """Return where it stands, as `file:line`."""
        return f"{self.file}:{self.number}"


@dataclass(frozen=True, slots=True)
class Measure:
    """How much there is of one file."""

    file: Path
    lines: int
    size: int
    """Bytes on disk."""


def name_file(seconds: float, process: str) -> str:
    """Return the name of the file for a moment (Unix seconds) and a process."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}-{process}{SUFFIX}"


def list_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files meant: those named, and all recordings of folders that are named, oldest first."""
    files: list[Path] = []
    for path in paths:
        found = sorted(one for one in path.iterdir() if one.name.endswith(_ENDINGS)) if path.is_dir() else [path]
        files += found
    return files


def read_recordings(paths: Sequence[Path]) -> Iterator[Found]:
    """Yield every line of files and folders; a broken one, such as the last after a crash, tells its problem.

    OSError when a file cannot be opened.
    """
    for path in list_files(paths):
        with path.open("rb") as raw, _unpack(raw) as file:
            yield from _read(path, file)


def measure(folder: Path) -> list[Measure]:
    """Return the recordings of a folder with their lines and sizes; nothing when there is no such folder."""
    if not folder.is_dir():
        return []
    return [Measure(path, _count_lines(path), path.stat().st_size) for path in list_files([folder])]


def _unpack(file: IO[bytes]) -> IO[bytes] | gzip.GzipFile:
    start = file.read(2)
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if start == _GZIP else file


def _read(path: Path, file: IO[bytes] | gzip.GzipFile) -> Iterator[Found]:
    number = 0
    try:
        for number, written in enumerate(file, 1):
            if written.strip():
                yield _judge(path, number, written)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        yield Found(path, number + 1, None, "the compressed file ends too early or is damaged")


def _judge(path: Path, number: int, written: bytes) -> Found:
    try:
        return Found(path, number, read_line(written))
    except ValueError as fault:
        whole = written.endswith(b"\n")
        return Found(path, number, None, str(fault) if whole else "the line is not finished")


def _count_lines(path: Path) -> int:
    with path.open("rb") as raw, _unpack(raw) as file:
        try:
            return sum(1 for _ in file)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return 0
