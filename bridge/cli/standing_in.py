"""`bridge sandbox`: run the stand-in for the modern API and the legacy host until told to stop."""

from __future__ import annotations

import asyncio
import sys

from bridge.cli.listening import told_why_deaf
from bridge.cli.screen import Screen
from bridge.errors import OperatorError
from bridge.sandbox import SandboxOptions, ScriptFault, serve


def stand_in(options: SandboxOptions) -> None:
    """Run the sandbox until SIGTERM or SIGINT; say where it is once it answers."""

    def announce(base_url: str, token_url: str) -> None:
        _show_addresses(options, base_url, token_url)

    with told_why_deaf(OperatorError, f"--host, --port: cannot listen on {options.host}:{options.port}"):
        try:
            asyncio.run(serve(options, ready=announce))
        except ScriptFault as fault:
            raise OperatorError(str(fault)) from fault


def _show_addresses(options: SandboxOptions, base_url: str, token_url: str) -> None:
    screen, url = Screen(), token_url.removesuffix("/token")
    screen.say("The sandbox stands in for the modern API until you stop it (Ctrl-C). Its state is in memory only.")
    screen.say(f"  base_url  = {base_url}")
    screen.say(f"  token_url = {token_url}")
    screen.say(f"  state and requests: {url}/sandbox/state and /sandbox/requests")
    screen.say(f"  and for the legacy host: {url} ([legacy] base_url); what that one holds: /sandbox/legacy")
    if options.script:
        screen.say(f"  faults: {options.script}")
    sys.stdout.flush()
