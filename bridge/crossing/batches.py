"""Batches that come in. A batch goes where it went first; a new one as the modes of its organizations say.

| The sender's organizations | What happens |
|---|---|
| have only ever been modern, or there is no legacy host | the bridge takes the batch |
| have only ever been with the legacy host | the batch is passed on unread, and noted on its way |
| have a past on both sides | it is read; whoever got it before gets it again; a new one is placed |
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from bridge.batch import LegacyHalf
from bridge.bodies import Bodies, Whole
from bridge.crossing.beside import Beside
from bridge.crossing.ways import (
    WAY,
    Observer,
    Way,
    is_legacy,
    is_modern,
    is_watched,
    named_sender,
    recognize,
    was_always_legacy,
)
from bridge.errors import CallerError, NotAuthenticated
from bridge.identity import is_recognizable
from bridge.intake.desk import Desk
from bridge.legacy.body import Envelope, split
from bridge.passages import Passages
from bridge.passthrough import PassThrough
from bridge.pipeline import Pipeline, Ticket
from bridge.placing import Placer, Side
from bridge.senders import Sender, Senders
from bridge.steering.switchboard import Outlook, Switchboard

ROUTE = "batch"


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch that was read: what came, and what makes it the same again."""

    sender: Sender
    outlook: Outlook
    envelope: Envelope
    body: bytes
    identity: str


class Batches:
    """Take batches in, or pass them on."""

    def __init__(
        self,
        senders: Senders,
        pipeline: Pipeline,
        legacy_host: PassThrough,
        beside: Beside,
        switchboard: Switchboard,
        passages: Passages,
        placer: Placer,
        desks: Mapping[str, Desk],
        bodies: Bodies,
        observer: Observer,
        *,
        pass_strangers: bool,
    ) -> None:
        self._senders = senders
        self._pipeline = pipeline
        self._legacy_host = legacy_host
        self._beside = beside
        self._switchboard = switchboard
        self._passages = passages
        self._placer = placer
        self._desks = desks
        self._bodies = bodies
        self._observer = observer
        self._pass_strangers = pass_strangers and legacy_host.is_set_up
        self._deciding: dict[tuple[str, str], asyncio.Event] = {}

    async def take(self, request: web.Request) -> Ticket | web.StreamResponse:
        """Take one batch in and return its ticket, or the answer that the legacy host has given to its caller.

        Raises what `Senders.identify`, `Bodies.read_json`, `Pipeline.take` and `PassThrough.forward` do; CannotTakeNow
        also where the journal cannot be asked which way the batch went before.
        """
        await self._switchboard.wake_up()
        name = (named_sender(request) or "").strip()
        named = self._senders.find(name)
        if named is not None and was_always_legacy(self._outlook(named)):
            return await self._stream(request, named)
        try:
            sender = await self._senders.identify(name, request.headers.get("Authorization"))
        except NotAuthenticated:
            if named is None and self._pass_strangers:
                return await self._pass_stranger(request)
            raise
        outlook = self._outlook(sender)
        if is_modern(outlook) and not outlook.was_legacy:
            async with self._bodies.read_json(request) as body:
                return await self._take(request, sender, body)
        if was_always_legacy(outlook):
            return await self._stream(request, sender)
        await self._switchboard.settle(sender.organizations)
        outlook = self._outlook(sender)
        async with self._bodies.read_whole(request) as whole:
            return await self._send_where_it_belongs(request, sender, outlook, whole)

    @property
    def needs_no_journal(self) -> bool:
        """Tell whether every batch passes to the legacy host unread, whatever becomes of the journal."""
        return was_always_legacy(self._switchboard.outlook(self._switchboard.organizations))

    def _outlook(self, sender: Sender) -> Outlook:
        return self._switchboard.outlook(sender.organizations)

    async def _pass_stranger(self, request: web.Request) -> web.StreamResponse:
        self._go(request, "", Way.LEGACY)
        return await self._legacy_host.forward(request)

    async def _stream(self, request: web.Request, sender: Sender) -> web.StreamResponse:
        self._go(request, sender.id, Way.LEGACY)
        return await self._beside.stream(request, sender, watched=is_watched(self._outlook(sender)))

    async def _take(self, request: web.Request, sender: Sender, body: bytes, half: LegacyHalf | None = None) -> Ticket:
        self._go(request, sender.id, Way.SPLIT if half and half.rows else Way.MODERN)
        return await self._pipeline.take(sender, body, half)

    def _go(self, request: web.Request, sender: str, way: Way) -> None:
        request[WAY] = way.value
        self._observer.went(ROUTE, sender, way.value)

    # --- batches of senders with a past on both sides ----------------------------------------------------------------

    async def _send_where_it_belongs(
        self, request: web.Request, sender: Sender, outlook: Outlook, whole: Whole
    ) -> Ticket | web.StreamResponse:
        try:
            body = await whole.read_json()
            envelope = split(body)
            identity = await recognize(sender, envelope)
        except CallerError:
            if is_modern(outlook):
                raise
            return await self._hand_over(request, sender, outlook, whole, "")
        batch = _Batch(sender, outlook, envelope, body, identity)
        with ExitStack() as leaving:
            async with self._turn(batch):
                with self._pipeline.count_failures(sender.organizations):
                    half = await self._choose(batch, request.headers.get("Authorization", ""))
                if half is not None:
                    return await self._take(request, sender, body, half)
                leaving.enter_context(self._passages.leaving(sender, identity))
            noted = identity if is_recognizable(sender, envelope.batchid) else ""
            del batch, body, envelope  # what is passed on is what came
            return await self._hand_over(request, sender, outlook, whole, noted)

    async def _choose(self, batch: _Batch, authorization: str) -> LegacyHalf | None:
        """Return the legacy host's half of a batch for the bridge, perhaps an empty one; None: all of it is there.

        It goes by where the batch went before, else by the modes. The credentials are given in any case: a batch that
        was divided before may have lost them.
        """
        sender, outlook, identity = batch.sender, batch.outlook, batch.identity
        nothing = LegacyHalf({}, authorization)
        is_known = is_recognizable(sender, batch.envelope.batchid)
        if is_known and outlook.was_legacy:
            await self._beside.catch_up(sender)
            if await self._passages.knows(sender, identity):
                return None
        if is_modern(outlook):
            return nothing
        half = None if is_legacy(outlook) else await self._place(batch, authorization)
        if half is None and is_known and outlook.was_modern and await self._pipeline.knows(sender, identity):
            return nothing
        return half

    async def _place(self, batch: _Batch, authorization: str) -> LegacyHalf | None:
        """Return the same of a new batch, by the modes of its rows."""
        placed = await self._placer.place(batch.envelope, batch.sender, self._desks[batch.sender.profile])
        return None if placed is Side.LEGACY else LegacyHalf(placed, authorization)

    async def _hand_over(
        self, request: web.Request, sender: Sender, outlook: Outlook, whole: Whole, identity: str
    ) -> web.StreamResponse:
        whole.settle()
        self._go(request, sender.id, Way.LEGACY)
        return await self._beside.hand_over(request, sender, whole.raw, identity, watched=is_watched(outlook))

    @asynccontextmanager
    async def _turn(self, batch: _Batch) -> AsyncIterator[None]:
        """Let one caller at a time decide about the same batch: who comes second finds what the first has done."""
        key = (batch.sender.id, batch.identity)
        while (others := self._deciding.get(key)) is not None:
            await others.wait()
        mine = self._deciding[key] = asyncio.Event()
        try:
            yield
        finally:
            del self._deciding[key]
            mine.set()
