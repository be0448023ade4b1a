"""What demonstrations have in common: where their files lie, a bridge on a free port, and an ERP's credentials."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

import bridge
from bridge.app import Bridge, Environment, open_bridge
from bridge.errors import OperatorError
from bridge.listener import make_runner
from bridge.logs import configure_logs
from bridge.settings import SenderSettings, Settings


def perform(play: Callable[[], Coroutine[None, None, bool]], *, logs: bool) -> bool:
    """Run a demonstration, with the bridge's own log lines on stderr or without; tell how it ended."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - a device, not a path of ours
        configure_logs(sys.stderr if logs else nowhere, pretty=logs and sys.stderr.isatty())
        return asyncio.run(play())


def find_checkout(needed: Sequence[Path], named: Path | None = None) -> Path:
    """Return the folder that holds config/ and mappings/: the one named, else here, or where this package lies."""
    for candidate in (named,) if named is not None else (Path.cwd(), Path(bridge.__file__).parent.parent):
        if all((candidate / one).is_file() for one in needed):
            return candidate
    where = "here" if named is None else f"in {named}"
    raise OperatorError(f"no {needed[0]} and samples {where}: run this in a checkout, or name one with --folder")


def read_file(path: Path) -> bytes:
    """Return what a file of the checkout holds."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperatorError(f"{path}: cannot be read ({error.strerror}); name a checkout with --folder") from error


@asynccontextmanager
async def serve_here(settings: Settings, environment: Environment | None = None) -> AsyncIterator[tuple[str, Bridge]]:
    """Run the bridge on a free port instead of the configured one, and yield its address."""
    async with open_bridge(settings, environment) as opened:
        runner = make_runner(opened, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, settings.server.host, 0).start()
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}", opened
        finally:
            await runner.cleanup()


def show_credentials(sender: SenderSettings) -> dict[str, str]:
    """Return the headers by which a sender is known."""
    if sender.basic is None:
        return {}
    pair = f"{sender.basic.username}:{sender.basic.password.get_secret_value()}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
