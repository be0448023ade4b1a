"""`bridge serve` and `bridge sandbox`: run until told to stop."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.cli.screen import Screen
from bridge.errors import OperatorError, SettingsFault
from bridge.sandbox import SandboxOptions, ScriptFault
from bridge.sandbox import serve as serve_sandbox

CANNOT_LISTEN = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES})


def serve(config: Path) -> None:
    """Run the bridge until SIGTERM or SIGINT; nothing on stdout, logs on stderr."""
    from bridge.app import run  # noqa: PLC0415 - the sandbox does without the whole bridge
    from bridge.logs import configure_logs  # noqa: PLC0415 - as above
    from bridge.settings import load_settings  # noqa: PLC0415 - as above

    configure_logs(sys.stderr, pretty=sys.stderr.isatty())
    settings = load_settings(config, os.environ)
    address = f"{settings.server.host}:{settings.server.port}"
    with _told_why_deaf(SettingsFault, f"{config}: server.host, server.port: cannot listen on {address}"):
        run(settings)


def stand_in(options: SandboxOptions) -> None:
    """Run the sandbox until SIGTERM or SIGINT; say where it is once it answers."""
    ready = _announce(options)
    with _told_why_deaf(OperatorError, f"--host, --port: cannot listen on {options.host}:{options.port}"):
        try:
            asyncio.run(serve_sandbox(options, ready=ready))
        except ScriptFault as fault:
            raise OperatorError(str(fault)) from fault


def _announce(options: SandboxOptions) -> Callable[[str, str], None]:
    def announce(base_url: str, token_url: str) -> None:
        screen = Screen()
        screen.say("The sandbox stands in for the modern API until you stop it (Ctrl-C). Its state is in memory only.")
        screen.say(f"  base_url  = {base_url}")
        screen.say(f"  token_url = {token_url}")
        screen.say(f"  state and requests: {token_url.removesuffix('/token')}/sandbox/state and /sandbox/requests")
        if options.script:
            screen.say(f"  faults: {options.script}")
        sys.stdout.flush()

    return announce


@contextmanager
def _told_why_deaf(error: type[OperatorError], message: str) -> Iterator[None]:
    """Word the operating system's refusal to listen."""
    try:
        yield
    except OSError as refused:
        if refused.errno not in CANNOT_LISTEN:
            raise
        reason = os.strerror(refused.errno).lower()
        raise error(f"{message} ({reason}); choose another, or stop what is using it") from refused
