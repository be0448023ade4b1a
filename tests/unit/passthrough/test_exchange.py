"""An exchange on a connection that is lost before anything could leave on it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from bridge.passthrough.exchange import Exchange, Line
from bridge.passthrough.heads import Head


class Lost:
    """A connection that the host has closed while it was opened."""

    def __init__(self, transport: object) -> None:
        self.protocol = object()
        self.transport = transport
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("transport", [None, SimpleNamespace(is_closing=lambda: True)])
async def test_nothing_leaves_on_a_connection_that_is_lost(transport: Any) -> None:
    """The body is not even taken, so nobody believes that the host may have it."""
    lost = Lost(transport)

    async def connect() -> Lost:
        return lost

    line = cast("Line", SimpleNamespace(connect=connect, expect=lambda *_, **__: None))
    with pytest.raises(aiohttp.ClientConnectionResetError):
        async with Exchange(line, "POST", Head(b"POST", chunked=False), cast("Any", None)):
            raise AssertionError("there is no answer")
    assert lost.is_closed
