"""Lines on their way to a file: a bounded queue, and one thread that writes. Nobody waits for it."""

from __future__ import annotations

import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from bridge.recording.files import name_file
from bridge.recording.lines import Line, write_line

MOST_LINES = 2_000
MOST_BYTES = 64 * 1024 * 1024
CLOSE_SECONDS = 5.0
_PRIVATE, _PRIVATE_FOLDER = 0o600, 0o700


Tell = Callable[[OSError | None], None]
"""Hears the fault when writing begins to fail, and None when it works again."""


class Recorder:
    """Writes lines into one file a UTC day and process; what does not fit into the queue is dropped and counted."""

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float],
        *,
        process: str = "",
        tell: Tell | None = None,
        most_lines: int = MOST_LINES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._folder, self._clock, self._tell = folder, clock, tell
        self._process = process or name_process()
        self._most_lines, self._most_bytes = most_lines, most_bytes
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._file, self._name = -1, ""
        self._failing = False
        self.dropped = 0
        """Lines left out: the queue was full, or they could not be written."""
        self.written = 0

    def offer(self, line: Line) -> bool:
        """Take a line to be written; tell whether there was room for it. Never blocks, never raises."""
        encoded = write_line(line)
        with self._changed:
            full = len(self._waiting) >= self._most_lines or self._bytes + len(encoded) > self._most_bytes
            if full or self._closing:
                self.dropped += 1
                return False
            self._waiting.append(encoded)
            self._bytes += len(encoded)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
                self._thread.start()
            self._changed.notify()
        return True

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Write what waits, for so long at most, and close the file."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(seconds)
            with self._changed:
                self.dropped += len(self._waiting)
                self._waiting.clear()

    def _run(self) -> None:
        while lines := self._take():
            for encoded in lines:
                self._write(encoded)
        self._close_file()

    def _take(self) -> list[bytes]:
        """Wait for lines; none means that it is over."""
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            lines = list(self._waiting)
            self._waiting.clear()
            self._bytes = 0
        return lines

    def _write(self, encoded: bytes) -> None:
        try:
            self._open(name_file(self._clock(), self._process))
            _write_whole(self._file, encoded)
        except OSError as fault:
            self.dropped += 1
            self._close_file()  # the next one ends what may stand there half
            self._note(fault)
        else:
            self.written += 1
            self._note(None)

    def _note(self, fault: OSError | None) -> None:
        if self._failing != (fault is not None):
            self._failing = fault is not None
            if self._tell:
                self._tell(fault)

    def _open(self, name: str) -> None:
        if self._file >= 0 and name == self._name:
            return
        self._close_file()
        self._folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        self._file = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _PRIVATE)
        self._name = name
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            _write_whole(self._file, b"\n")  # a process of the same name died in the middle of a line

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def name_process() -> str:
    """Return what tells this process from others that may write into the same folder."""
    host = "".join(sign if sign.isalnum() or sign == "-" else "-" for sign in socket.gethostname())
    return f"{host}-{os.getpid()}"


def _write_whole(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
