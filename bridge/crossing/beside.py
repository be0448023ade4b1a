"""What happens beside a batch on its way to the legacy host: it is noted, and shown to whoever watches.

Neither holds the batch up. It is recognized while the legacy host works on it; see
docs/decisions/0010-noted-beside-not-before.md.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from aiohttp import web

from bridge.bodies import Bodies, Room
from bridge.crossing.ways import recognize
from bridge.errors import BridgeError, CallerError, CannotTakeNow, NoAnswer
from bridge.exchanges import Exchange, Message
from bridge.identity import is_recognizable
from bridge.legacy.body import decode_body, split
from bridge.logs import Event, get_log
from bridge.passages import Passages
from bridge.passthrough import PassThrough, Tap
from bridge.senders import Sender, Senders

log = get_log()

GATHER_SECONDS = 0.005
"""How long batches that have left are gathered before they are recognized: by then most are answered, and proven so."""
TURN_SHARE = 4
"""A quarter of those that wait is recognized in each turn of the loop: many may leave in one, and must not pile up."""
SMALL_BYTES = 64 * 1024
SECURE_SECONDS = 1.0
"""How long a caller waits for its note where the legacy host has not said what became of its batch."""
REFUSED = frozenset({401, 403, 413, 415, 429, 503})
"""Answers of the legacy host that say for certain that it has not taken a batch."""
NO_ANSWER = 0
LEAVING_SECONDS = 60.0
"""How long a batch may take to leave and still be waited for: whoever sends so slowly does not send it again yet."""
CATCH_UP_SECONDS = 10.0
ON_ITS_WAY = "another batch is still on its way to the legacy host, and may be the same one: send it again in a moment"


class Watch(Protocol):
    """Who wants to see what the legacy host is asked and answers (`watching`)."""

    def offer(self, exchange: Exchange) -> None:
        """Show one exchange; never waits, never raises."""
        ...

    def leave_out(self, exchange: Exchange) -> None:
        """Tell of one whose bodies there was no room to keep."""
        ...


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
        self._unread: deque[_Passing] = deque()
        self._unrecognized: set[_Passing] = set()
        """Batches that pass unread: about to leave, or gone and not recognized yet."""
        self._reader: asyncio.Task[None] | None = None

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
            if identity is None:
                self._unrecognized.add(passing)
            status = NO_ANSWER
            try:
                response = await self._legacy_host.forward(request, passing.tap, body=raw)
                status = response.status
            except NoAnswer:
                await passing.secure()
                raise
            finally:
                passing.end(status)
        passing.show(self._watch)
        return response

    async def catch_up(self, sender: Sender) -> None:
        """Return once every batch of a sender that has left, or is about to, is recognized.

        Raises CannotTakeNow when that takes too long.
        """
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                for passing in [one for one in self._unrecognized if one.sender.id == sender.id]:
                    if passing.tap.has_sent or self.now() - passing.at < LEAVING_SECONDS:
                        await passing.recognized.wait()
        except TimeoutError:
            raise CannotTakeNow(ON_ITS_WAY, retry_after_seconds=5) from None

    async def close(self) -> None:
        """Have everything recognized that has left."""
        if self._reader is not None:
            await asyncio.wait([self._reader])

    def now(self) -> float:
        """Return the time in Unix seconds."""
        return self._clock()

    def read_later(self, passing: _Passing) -> None:
        """Have a batch recognized; one after the other, so that a crowd of them leaves the others their turns."""
        self._unread.append(passing)
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        while self._unread:
            for _ in range(1 + len(self._unread) // TURN_SHARE):
                await self._read_one(self._unread.popleft())
            await asyncio.sleep(0)
        self._reader = None

    async def _read_one(self, passing: _Passing) -> None:
        try:
            identity = await self._recognize(passing)
            needs_proof = bool(identity) and not passing.is_taken
            passing.recognize(identity, proven=needs_proof and await self._has_proof(passing))
        except Exception:
            log.exception(Event.UNEXPECTED, sender=passing.sender.id)
        finally:
            self.settle(passing)

    def settle(self, passing: _Passing) -> None:
        """Let nobody wait for a batch any more: what can be known of it is known."""
        passing.recognized.set()
        self._unrecognized.discard(passing)

    async def _recognize(self, passing: _Passing) -> str:
        """Return the identity of a batch; an empty one of what the bridge would not take, or could not know again."""
        body, headers = passing.take_body(), passing.headers
        try:
            if len(body) <= SMALL_BYTES and "Content-Encoding" not in headers:  # as nearly all: no room to be asked for
                envelope = split(decode_body(body, headers.get("Content-Type")))
            else:
                with self.bodies.room() as room:
                    envelope = split(await self.bodies.keep(body, headers, room).read_json())
        except CallerError:
            return ""
        except CannotTakeNow:
            self.passages.miss()
            return ""
        if not is_recognizable(passing.sender, envelope.batchid):
            return ""
        return await recognize(passing.sender, envelope)

    async def _has_proof(self, passing: _Passing) -> bool:
        """Tell whether the caller is who it says, as far as the bridge can tell."""
        sender = passing.sender.id
        with suppress(BridgeError):
            return (await self._senders.identify(sender, passing.headers.get("Authorization"))).id == sender
        return False


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
        self.headers: Mapping[str, str] = request.headers
        self.sender = sender
        self._room = room
        self._watched = watched
        self._identity = identity
        self._proven = identity is not None
        self.recognized = asyncio.Event()
        self._body = b""
        self._status: int | None = None
        self._noted = False
        self.at = beside.now()
        unread = identity is None
        if not unread:
            self.recognized.set()
        self.tap = Tap(grant=room.may_take, sent=self._leave, keep_request=watched or unread, keep_reply=watched)

    def end(self, status: int) -> None:
        """Hear how the legacy host has answered; NO_ANSWER: it has not."""
        self._status = status
        if self._noted and status in REFUSED and self._identity:
            self._beside.passages.withdraw(self.sender, self._identity)
        self._note_if_taken()
        if not self.tap.has_sent:
            self._beside.settle(self)

    def recognize(self, identity: str, *, proven: bool) -> None:
        """Hear what the batch is known by, and whether its caller has proved who it is."""
        self._identity, self._proven = identity, proven
        self._note_if_taken()

    async def secure(self) -> None:
        """Have the batch noted for good, if that is soon done: who is not told what became of it sends it again.

        That may be to another replica, or after a crash of this one.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(SECURE_SECONDS):
                if not self._identity and self.tap.has_sent:
                    await self.recognized.wait()
                if self._identity:
                    await self._beside.passages.written(self.sender, self._identity)

    @property
    def is_taken(self) -> bool:
        """Tell whether the legacy host says that it has taken the batch."""
        return self._status is not None and 200 <= self._status < 300

    def take_body(self) -> bytes:
        """Return the body as it came, once."""
        body, self._body = self._body, b""
        return body

    def show(self, watch: Watch) -> None:
        """Have the exchange watched if that is wanted, and it came to its end."""
        tap = self.tap
        if not self._watched or not tap.status:
            return
        exchange = Exchange(
            self.sender.id,
            self.sender.profile,
            self.at,
            _message(tap.request, self.headers),
            tap.status,
            _message(tap.reply, tap.headers),
            self._beside.now() - self.at,
        )
        if tap.whole:
            watch.offer(exchange)
        else:
            watch.leave_out(exchange)

    def _leave(self) -> None:
        """Have the batch noted: the legacy host may have it from now on."""
        if self._identity is not None:
            self._note_if_taken()
        elif self.tap.whole:
            self._body = self.tap.request
            if not self._watched:
                self.tap.let_go()
                self._room.give_back()
            self._beside.read_later(self)
        else:
            self._beside.passages.miss()
            self._beside.settle(self)

    def _note_if_taken(self) -> None:
        """Note the batch if the legacy host may have taken it; without proof, if it says that it has."""
        if not self._identity or self._noted or not self.tap.has_sent or self._status in REFUSED:
            return
        if self._proven or self.is_taken:
            self._noted = True
            self._beside.passages.note(self.sender, self._identity, self.at)


def _message(body: bytes, headers: Mapping[str, str]) -> Message:
    return Message(body, headers.get("Content-Type"), headers.get("Content-Encoding", ""))
