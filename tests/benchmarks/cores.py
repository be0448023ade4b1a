"""A core for those whose CPU is measured, the others for everybody else, so that none starves or slows the other.

A process that is moved and interrupted all the time pays for it with up to half as much CPU again for the same work.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import Popen


@dataclass(frozen=True)
class Cores:
    """The cores kept free for what is measured; none: it runs wherever there is room."""

    kept: frozenset[int] = frozenset()

    def give(self, process: Popen[bytes]) -> Popen[bytes]:
        """Have a process that was just started run there, with all threads it is going to have."""
        if self.kept:
            os.sched_setaffinity(process.pid, self.kept)
        return process

    @property
    def note(self) -> str:
        """Say what was done."""
        return "on a core of its own" if self.kept else f"anywhere on {os.cpu_count()} core(s)"


@contextmanager
def keep_core() -> Iterator[Cores]:
    """Keep a core free of this process and what it starts meanwhile, where there are two, and a Linux to ask for it."""
    if not hasattr(os, "sched_setaffinity") or len(everywhere := os.sched_getaffinity(0)) < 2:
        yield Cores()
        return
    kept = frozenset({min(everywhere)})
    os.sched_setaffinity(0, everywhere - kept)
    try:
        yield Cores(kept)
    finally:
        os.sched_setaffinity(0, everywhere)
