"""Rows of a batch on their way to the legacy host, as a batch of their own, and its whole answer back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from bridge.batch import LEGACY
from bridge.exchanges import Exchange, Message
from bridge.modern.answers import NOT_TAKEN, NotTaken, Unknown, read_retry_after
from bridge.modern.failures import EXCHANGE_FAILURES, Fate, judge
from bridge.settings import LegacySettings

CONNECT_SECONDS = 10.0
LONGEST_SHARE = 3
"""How many times the allowed silence a whole answer may take."""
LARGEST_ANSWER_BYTES = 64 * 1024 * 1024
UNCLEAR = frozenset({408, 409})
"""Client errors that may be said of something taken before; all others say that nothing was done."""
JSON_TYPE = "application/json; charset=utf-8"

Observer = Callable[[Exchange], None]
"""Is shown every exchange that came to an answer; never blocks, never raises."""


@dataclass(frozen=True, slots=True)
class Sub:
    """One sub-batch: whose it is, and its body."""

    sender: str
    profile: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Replied:
    """The legacy host has answered: 2xx, or a client error."""

    status: int
    body: bytes
    content_type: str | None = None


Answer = Replied | NotTaken | Unknown


def open_relay_session(settings: LegacySettings) -> aiohttp.ClientSession:
    """Return a session that uses no connection twice: one that the host has just closed would leave rows in doubt."""
    silence = settings.request_timeout_seconds
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        timeout=aiohttp.ClientTimeout(total=silence * LONGEST_SHARE, sock_connect=CONNECT_SECONDS, sock_read=silence),
    )


class Relay:
    """The way of sub-batches to the legacy host."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str | None,
        *,
        clock: Callable[[], float],
        observer: Observer = lambda _: None,
    ) -> None:
        self._session = session
        self._base_url = base_url
        self._clock = clock
        self._observer = observer

    async def send(self, sub: Sub, authorization: str) -> Answer:
        """Send once, and say what came of it: an answer, certainly nothing, or who knows. Never raises for the host."""
        if self._base_url is None:
            return NotTaken("no legacy host is configured any more, see [legacy] base_url")
        if self._session.closed:
            return NotTaken("the bridge is stopping")
        url = URL(self._base_url + LEGACY.path).with_query(senderid=sub.sender)
        headers = {"Content-Type": JSON_TYPE, "Accept": "application/json"}
        if authorization:
            headers["Authorization"] = authorization
        began = self._clock()
        try:
            async with self._session.post(url, data=sub.body, headers=headers, allow_redirects=False) as response:
                body = await _read_bounded(response)
                self._show(sub, began, response, body)
                return self._read(response.status, response.headers, body)
        except EXCHANGE_FAILURES as failure:
            if judge(failure) is Fate.NOT_SENT:
                return NotTaken(f"the legacy host could not be reached ({type(failure).__name__})")
            return Unknown(f"the exchange with the legacy host broke ({type(failure).__name__})")

    def _read(self, status: int, headers: Mapping[str, str], body: bytes | None) -> Answer:
        if status in NOT_TAKEN:
            return NotTaken(f"the legacy host answered HTTP {status}", read_retry_after(headers, self._clock()))
        if status in UNCLEAR or not (200 <= status < 300 or 400 <= status < 500):
            return Unknown(f"the legacy host answered HTTP {status}")
        if body is None:
            return Unknown("the legacy host's answer is too large to be read")
        return Replied(status, body, headers.get("Content-Type"))

    def _show(self, sub: Sub, began: float, response: aiohttp.ClientResponse, body: bytes | None) -> None:
        if body is None:
            return
        request, reply = Message(sub.body, JSON_TYPE), Message(body, response.headers.get("Content-Type"))
        seconds = self._clock() - began
        self._observer(Exchange(sub.sender, sub.profile, began, request, response.status, reply, seconds))


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes | None:
    """Return the body; None when it is larger than any answer."""
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > LARGEST_ANSWER_BYTES:
            response.close()
            return None
        chunks.append(chunk)
    return b"".join(chunks)
