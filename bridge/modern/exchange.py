"""One HTTP exchange with the modern system: request out, bounded answer in. Nothing is repeated, nothing followed.

(aiohttp by itself repeats a request on a reused connection that the server had closed, but only for idempotent methods:
never a POST. A test holds it to that.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from bridge.modern.failures import EXCHANGE_FAILURES, ExchangeBroken, Fate, translate

LARGEST_ANSWER_BYTES = 32 * 1024 * 1024
"""After decompression; a batch result of 500 rows has about a hundred thousand."""

CONNECT_SHARE = 0.8
"""Part of the time-out that may go into getting a connection. Less than all of it, so that a request which only waited
for one is known not to have left."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Exchange:
    """Send single requests over one session."""

    def __init__(self, session: aiohttp.ClientSession, request_timeout_seconds: float) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(
            total=request_timeout_seconds, connect=request_timeout_seconds * CONNECT_SHARE
        )

    async def send(self, method: str, url: URL, headers: Mapping[str, str], data: Any = None) -> Reply:
        """Return the answer of one request. Raises ExchangeBroken."""
        if self._session.closed:
            raise ExchangeBroken(Fate.NOT_SENT, "the bridge is stopping")
        try:
            async with self._session.request(
                method, url, headers=headers, data=data, timeout=self._timeout, allow_redirects=False
            ) as response:
                return Reply(response.status, response.headers, await _read_body(response))
        except EXCHANGE_FAILURES as failure:
            raise translate(failure) from failure


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    """Return the body; that of an error may be cut short, since the status alone tells that nothing was done."""
    try:
        return await _read_bounded(response)
    except (*EXCHANGE_FAILURES, ExchangeBroken):
        if response.status < 400:
            raise
        return b""


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    if response.content.is_eof():  # it came with its headers, as short answers do
        body = response.content.read_nowait()
        _check_size(response, len(body))
        return body
    chunks = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        _check_size(response, size)
        chunks.append(chunk)
    return b"".join(chunks)


def _check_size(response: aiohttp.ClientResponse, size: int) -> None:
    if size > LARGEST_ANSWER_BYTES:
        response.close()
        raise ExchangeBroken(Fate.IN_DOUBT, "the answer is too large")
