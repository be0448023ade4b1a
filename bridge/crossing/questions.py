"""Calls that read back: answered by the legacy host, by the bridge, or by both together, as modes are now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from bridge.crossing.ways import (
    WAY,
    Observer,
    Way,
    is_legacy,
    is_modern,
    named_batch,
    named_sender,
    was_always_legacy,
)
from bridge.errors import BridgeError, CallerError, NoSuchBatch, NotAuthenticated
from bridge.logs import Event, get_log
from bridge.modes import Mode
from bridge.passthrough import PassThrough
from bridge.pipeline import Answer, Pipeline
from bridge.placing import Placer
from bridge.readback import Account, Half, Question, Readback, read_question
from bridge.senders import Sender, Senders
from bridge.steering.switchboard import Outlook, Switchboard

log = get_log()

ROUTE = "read"
LEGACY_NAME = "legacy:"
"""Before a sender's id: in place of an organization where the legacy host's settlements are numbered."""
Told = Answer | Account | web.StreamResponse
"""An answer about a batch, one about claims and settlements, or one that the legacy host has given to its caller."""


class Questions:
    """Answer questions, or pass them on."""

    def __init__(
        self,
        senders: Senders,
        pipeline: Pipeline,
        readback: Readback,
        legacy_host: PassThrough,
        switchboard: Switchboard,
        placer: Placer,
        observer: Observer,
        *,
        pass_strangers: bool,
    ) -> None:
        self._senders = senders
        self._pipeline = pipeline
        self._readback = readback
        self._legacy_host = legacy_host
        self._switchboard = switchboard
        self._placer = placer
        self._observer = observer
        self._pass_strangers = pass_strangers and legacy_host.is_set_up

    async def answer(self, request: web.Request) -> Told:
        """Answer one question.

        Raises what `Senders.identify`, `Pipeline.recall`, `Readback.answer` and `PassThrough.forward` do.
        """
        name = (named_sender(request) or "").strip()
        named = self._senders.find(name)
        if named is not None and was_always_legacy(self._outlook(named)):
            return await self._forward(request, named.id)
        try:
            sender = await self._senders.identify(name, request.headers.get("Authorization"))
        except NotAuthenticated:
            if named is None and self._pass_strangers:
                return await self._forward(request, "")
            raise
        return await self._answer(request, sender, self._outlook(sender))

    def _outlook(self, sender: Sender) -> Outlook:
        return self._switchboard.outlook(sender.organizations)

    async def _answer(self, request: web.Request, sender: Sender, outlook: Outlook) -> Told:
        if is_legacy(outlook) and not named_batch(request):
            return await self._forward(request, sender.id)
        with self._count(sender):
            question = read_question(request.query.items())
            if question.batchid:
                return await self._recall(request, sender, outlook, question)
            way = self._find_way(sender, outlook, question)
            if way is not Way.LEGACY:
                return await self._read(request, sender, outlook, question, way)
        return await self._forward(request, sender.id)

    def _find_way(self, sender: Sender, outlook: Outlook, question: Question) -> Way:
        if is_modern(outlook):
            return Way.MODERN
        if not question.creditorid:
            return Way.SPLIT
        return Way.LEGACY if self._placer.place_creditor(sender, question.creditorid).is_legacy_side else Way.MODERN

    async def _recall(self, request: web.Request, sender: Sender, outlook: Outlook, question: Question) -> Told:
        """Tell of an earlier batch: one of the bridge's own, else whatever the legacy host knows."""
        try:
            answer = await self._pipeline.recall(sender, question.batchid)
        except NoSuchBatch:
            if not outlook.was_legacy:
                raise
            return await self._forward(request, sender.id)
        self._go(request, sender.id, Way.MODERN)
        return answer

    async def _read(
        self, request: web.Request, sender: Sender, outlook: Outlook, question: Question, way: Way
    ) -> Account:
        self._go(request, sender.id, way)
        half = self._halve(request, sender) if way is Way.SPLIT else None
        try:
            account = await self._readback.answer(sender, question, with_past=outlook.was_legacy, half=half)
        except BridgeError as failure:
            # the caller is told what to do, the operator what happened
            cause = failure.__cause__ if isinstance(failure.__cause__, BridgeError) else failure
            log.warning(Event.READ_FAILED, sender=sender.id, why=str(cause))
            raise
        log.info(Event.READ_ANSWERED, sender=sender.id, cases=account.cases, settlements=account.settlements)
        return account

    def _halve(self, request: web.Request, sender: Sender) -> Half:
        """Return the legacy host's half of a question: creditors of a mode there, and all that nobody can place."""
        modern = [one for one in sender.organizations if Mode.MODERN in self._switchboard.current(one).modes]
        return Half(
            name=LEGACY_NAME + sender.id,
            ask=lambda mark: self._legacy_host.fetch(request, {"lastsettlementid": mark}),
            organizations=frozenset(modern),
            is_ours=lambda creditor: not self._placer.place_creditor(sender, creditor).is_legacy_side,
        )

    async def _forward(self, request: web.Request, sender: str) -> web.StreamResponse:
        self._go(request, sender, Way.LEGACY)
        return await self._legacy_host.forward(request)

    def _go(self, request: web.Request, sender: str, way: Way) -> None:
        request[WAY] = way.value
        self._observer.went(ROUTE, sender, way.value)

    @contextmanager
    def _count(self, sender: Sender) -> Iterator[None]:
        """Count how a question has ended that is for the bridge as well."""
        result = "failed"
        try:
            yield
            result = "answered"
        except CallerError:
            result = "refused"
            raise
        finally:
            self._observer.read_answered(sender.id, result)
