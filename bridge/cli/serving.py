"""`bridge serve`: run the bridge until told to stop."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bridge.cli.listening import told_why_deaf
from bridge.errors import SettingsFault, UnknownProfile
from bridge.logs import configure_logs
from bridge.server import run
from bridge.settings import load_settings


def serve(config: Path) -> None:
    """Run the bridge until SIGTERM or SIGINT; nothing on stdout, logs on stderr."""
    configure_logs(sys.stderr, pretty=sys.stderr.isatty())
    settings = load_settings(config, os.environ)
    address = f"{settings.server.host}:{settings.server.port}"
    with told_why_deaf(SettingsFault, f"{config}: server.host, server.port: cannot listen on {address}"):
        try:
            run(settings)
        except UnknownProfile as fault:
            raise SettingsFault("\n".join(f"{config}: {line}" for line in str(fault).splitlines())) from None
