"""The bridge as a process: listen, run until told to stop, drain."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable

from aiohttp import web

from bridge import __version__
from bridge.app import LINGER_SECONDS, open_bridge
from bridge.listener import make_runner
from bridge.logs import Event, get_log
from bridge.settings import Settings

log = get_log()

YOUNG_OBJECTS = 10_000
"""Allocations between two collections: a large batch makes many objects and no garbage cycles."""
SWITCH_SECONDS = 0.0001
"""How soon a waiting thread gets the interpreter."""


async def serve(settings: Settings) -> None:
    """Run the bridge until SIGTERM or SIGINT, then drain: held callers get what is known, new ones 503."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_bridge(settings) as bridge:
        runner = make_runner(bridge, shutdown_timeout=LINGER_SECONDS)
        await runner.setup()
        try:
            host, port = settings.server.host, settings.server.port
            await web.TCPSite(runner, host, port, reuse_address=True).start()
            _settle_interpreter()
            log.info(Event.BRIDGE_STARTED, version=__version__, host=host, port=port, count=len(bridge.workshop.works))
            await stop.wait()
            log.info(Event.DRAINING, count=len(bridge.workshop.works))
            await bridge.drain(settings.server.drain_seconds)
        finally:
            await runner.cleanup()


def run(settings: Settings) -> None:
    """Run the bridge on the fastest event loop there is."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(settings))


def _settle_interpreter() -> None:
    """Tune the interpreter for one busy loop beside the journal's threads.

    The collector keeps off what start-up made, and does not stop a large batch over and over. A thread that waits for
    the interpreter gets it after a fraction of a millisecond: with the usual 5 ms, a busy loop starves the journal.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 100, 20)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not there on Windows
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
