"""How the demonstration is told: what to look at, commands as they are typed, and checks that hold or do not."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

from rich.text import Text

from bridge.cli.screen import Screen, bad, good


class Story:
    """What is shown; it counts the checks that failed."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.failures = 0

    def tell(self, text: str) -> None:
        """Say what happens, and what to look at."""
        self.screen.say(text)

    def check(self, is_so: object, text: str) -> None:
        """Show whether something is as it must be."""
        self.screen.say(good(f"  ✓ {text}") if is_so else bad(f"  ✗ not so: {text}"))
        self.failures += not is_so

    async def run(self, command: str, code: int = 0) -> None:
        """Run a command of ours as if it was typed, in a thread as it has a loop of its own; check its exit code."""
        from bridge.cli import app  # noqa: PLC0415 - it holds the command that this is part of

        self.screen.say()
        self.screen.say(Text(f"$ bridge {command}", style="bold"))
        ended = await asyncio.to_thread(app, shlex.split(command), standalone_mode=False, prog_name="bridge")
        self.check((ended or 0) == code, f"exit code {code}")


def quote(path: Path) -> str:
    """Return a path as it is typed."""
    return shlex.quote(str(path))
