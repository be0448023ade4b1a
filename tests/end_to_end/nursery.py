"""Bridge processes that begin where all of them begin alike: forked from one that has loaded the code already.

To load it costs two thirds of a second of CPU, a few hundred times over. Such a process is as real as any other: its
own memory, sockets and signals. Those that operators start are tested as they are (`test_commands`,
`test_starting` but for its faulty files).
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

PRELOADED = ("bridge.__main__", "bridge.cli.serving", "bridge.journal.sqlite", "bridge.journal.postgres", __name__)
_context = multiprocessing.get_context("forkserver")
_turn = threading.Lock()


def become_bridge(arguments: Sequence[str], output: str, folder: str, environ: Mapping[str, str]) -> None:
    """Be `bridge …` from here on: in this folder, with this environment, its output in a file."""
    from bridge.__main__ import main

    sink = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.close(sink)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    os.umask(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random.seed()
    gc.unfreeze()
    sys.exit(main(list(arguments)))


class Fork:
    """One such process, to be handled like a `subprocess.Popen`."""

    def __init__(self, arguments: Sequence[str], output: Path, folder: Path, environ: Mapping[str, str]) -> None:
        self._process = _context.Process(
            target=become_bridge, args=(tuple(arguments), str(output), str(folder), dict(environ)), daemon=True
        )
        with _turn:  # the fork server takes one wish at a time
            _context.set_forkserver_preload(list(PRELOADED))
            self._process.start()
        self.pid = self._process.pid or 0
        self._asking = threading.Lock()

    @property
    def returncode(self) -> int | None:
        """The exit code, or the signal that ended it as a negative number; None while it runs."""
        return self.poll()

    def poll(self) -> int | None:
        """Return the same."""
        with self._asking:
            return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def wait(self, seconds: float) -> int:
        """Return the exit code once it has ended; raises as Popen does if it runs on."""
        with self._asking:
            self._process.join(seconds)
            code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("bridge", seconds)
        return code
