"""Run the command line; errors become exit codes here and nowhere else."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from bridge.cli import app
from bridge.errors import BridgeError

FAILED = 1
"""The command could not do its work, or found what it looks for; a wrong command line is 2 (typer's)."""
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; without `arguments`, that of the process's own command line."""
    _spell_what_cannot_be_shown()
    try:
        app(args=None if arguments is None else list(arguments), prog_name="bridge")
    except SystemExit as ended:
        return _code(ended)
    except BridgeError as fault:
        print(f"bridge: {fault}", file=sys.stderr)  # noqa: T201 - the last word of a command goes to whoever ran it
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _spell_what_cannot_be_shown() -> None:
    """Have signs that the terminal's character set lacks written as escapes: no report breaks off at an arrow."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # in tests it may be anything
        sys.stdout.reconfigure(errors="backslashreplace")


def _code(ended: SystemExit) -> int:
    if ended.code is None:
        return 0
    return ended.code if isinstance(ended.code, int) else FAILED


if __name__ == "__main__":
    sys.exit(main())
