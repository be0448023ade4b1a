"""What happens beside a batch on its way to the legacy host: it is noted, and shown to whoever watches.

Neither holds the batch up. It is recognized while the legacy host works on it; see
docs/decisions/0010-noted-beside-not-before.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from aiohttp import web

from bridge.bodies import Bodies, Room
from bridge.crossing.ways import recognize
from bridge.errors import BridgeError, CallerError, CannotTakeNow
from bridge.exchanges import Exchange, Message
from bridge.identity import is_recognizable
from bridge.legacy.body import split
from bridge.logs import Event, get_log
from bridge.passages import Passages
from bridge.passthrough import PassThrough, Tap
from bridge.senders import Sender, Senders

log = get_log()

REFUSED = frozenset({401, 403, 413, 415, 429, 503})
"""Answers of the legacy host that say for certain that it has not taken a batch."""
NO_ANSWER = 0


class Watch(Protocol):
    """Who wants to see what the legacy host is asked and answers (`watching`)."""

    def offer(self, exchange: Exchange) -> None:
        """Show one exchange; never waits, never raises."""
        ...


class Unwatched:
    """Nobody watches."""

    def offer(self, exchange: Exchange) -> None:
        """Let it go."""


class Beside:
    """The way of whole batches to the legacy host, with what happens beside it."""

    def __init__(
        self,
        legacy_host: PassThrough,
        senders: Senders,
        passages: Passages,
        bodies: Bodies,
        watch: Watch,
        *,
        clock: Callable[[], float],
    ) -> None:
        """`bodies` gives room for what is kept of bodies that pass; `clock` tells Unix seconds."""
        self._legacy_host = legacy_host
        self._senders = senders
        self.passages = passages
        self.bodies = bodies
        self._watch = watch
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    async def stream(self, request: web.Request, sender: Sender, *, watched: bool) -> web.StreamResponse:
        """Pass a batch on that nobody has read: it is recognized on the way."""
        return await self._pass(request, sender, None, None, watched=watched)

    async def hand_over(
        self, request: web.Request, sender: Sender, raw: bytes, identity: str, *, watched: bool
    ) -> web.StreamResponse:
        """Pass a batch on that was read before; without an identity it is noted nowhere."""
        return await self._pass(request, sender, raw, identity, watched=watched)

    async def _pass(
        self, request: web.Request, sender: Sender, raw: bytes | None, identity: str | None, *, watched: bool
    ) -> web.StreamResponse:
        with self.bodies.room() as room:
            passing = _Passing(self, request, sender, room, watched=watched, identity=identity)
            try:
                response = await self._legacy_host.forward(request, passing.tap, body=raw)
                passing.hear(response.status)
            finally:
                passing.end()
            exchange = passing.exchange()
        if exchange is not None:
            self._watch.offer(exchange)
        return response

    async def recognize(self, sender: Sender, raw: bytes, headers: Mapping[str, str]) -> str:
        """Return the identity of a batch; an empty one of what the bridge would not take, or could not know again."""
        try:
            with self.bodies.room() as room:
                envelope = split(await self.bodies.keep(raw, headers, room).read_json())
        except (CallerError, CannotTakeNow):
            return ""
        if not is_recognizable(sender, envelope.batchid):
            return ""
        return await recognize(sender, envelope)

    async def has_proof(self, sender: Sender, headers: Mapping[str, str]) -> bool:
        """Tell whether the caller is who it says, as far as the bridge can tell."""
        with suppress(BridgeError):
            return (await self._senders.identify(sender.id, headers.get("Authorization"))).id == sender.id
        return False

    def now(self) -> float:
        """Return the time in Unix seconds."""
        return self._clock()

    def spawn(self, task: asyncio.Task[None]) -> None:
        """Keep a task until it ends."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Let what was begun come to its end."""
        if self._tasks:
            await asyncio.wait(self._tasks)


class _Passing:
    """One batch on its way."""

    def __init__(
        self,
        beside: Beside,
        request: web.Request,
        sender: Sender,
        room: Room,
        *,
        watched: bool,
        identity: str | None = None,
    ) -> None:
        """`identity` is None as long as nobody has read the batch."""
        self._beside = beside
        self._headers = request.headers
        self._sender = sender
        self._room = room
        self._watched = watched
        self._identity = identity
        self._noted = False
        self._answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._at = beside.now()
        unread = identity is None
        self.tap = Tap(grant=room.may_take, sent=self._leave, keep_request=watched or unread, keep_reply=watched)

    def hear(self, status: int) -> None:
        """Hear how the legacy host has answered."""
        self._answered.set_result(status)
        if self._noted and status in REFUSED and self._identity:
            self._beside.passages.withdraw(self._sender, self._identity)

    def end(self) -> None:
        """Hear that no other answer will come."""
        if not self._answered.done():
            self._answered.set_result(NO_ANSWER)

    def exchange(self) -> Exchange | None:
        """Return what there is to be watched: a whole exchange, or nothing."""
        tap = self.tap
        if not self._watched or not tap.whole or not tap.status:
            return None
        return Exchange(
            self._sender.id,
            self._sender.profile,
            self._at,
            _message(tap.request, self._headers),
            tap.status,
            _message(tap.reply, tap.headers),
            self._beside.now() - self._at,
        )

    def _leave(self) -> None:
        """Note the batch: the legacy host may have it from now on."""
        if self._identity is not None:
            self._note()
        elif self.tap.whole:
            raw = self.tap.request
            if not self._watched:
                self.tap.let_go()
                self._room.give_back()
            self._beside.spawn(asyncio.create_task(self._recognize_and_note(raw)))
        else:
            self._beside.passages.miss()

    async def _recognize_and_note(self, raw: bytes) -> None:
        """Note a batch that nobody has read; whose caller proves nothing, once the legacy host has taken it."""
        try:
            self._identity = await self._beside.recognize(self._sender, raw, self._headers)
            if not self._identity:
                return
            if await self._beside.has_proof(self._sender, self._headers):
                if not self._answered.done() or self._answered.result() not in REFUSED:
                    self._note()
            elif 200 <= await self._answered < 300:
                self._note()
        except Exception:
            log.exception(Event.UNEXPECTED, sender=self._sender.id)

    def _note(self) -> None:
        if self._identity:
            self._noted = True
            self._beside.passages.note(self._sender, self._identity)


def _message(body: bytes, headers: Mapping[str, str]) -> Message:
    return Message(body, headers.get("Content-Type"), headers.get("Content-Encoding", ""))
